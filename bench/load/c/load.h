/* What the modes of the load generator share. */
#ifndef LOAD_H
#define LOAD_H

#include "client.h"

typedef struct {
    const char *mode, *procedure, *steps;
    unsigned connections, in_flight, progress, burst, concurrency, samples;
    size_t payload;
    double warmup, duration, longest, timeout;
    int server_pid, polite, has_single_writes;
} Options;

extern Options options;
extern Connection *connections;
extern char *text;              /* the payload */
extern uint64_t last_sign;      /* when the last answer came */

/* Open connections until there are `count`, `concurrency` at a time; returns 0 if one fails or `end` (ns) is over. */
int open_up_to(unsigned count, int subscribes, uint64_t end);
/* Whether nothing has come for so long that the run has failed. */
int has_stalled(void);

/* calls.c */
extern unsigned outstanding;    /* calls without their result */
void run_calls(void);
void run_echo(void);

/* events.c */
void run_events(void);
/* How many events of the last call have come. */
uint64_t count_received(void);

#endif
