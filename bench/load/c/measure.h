/* What a run measures, and how it is printed. */
#ifndef MEASURE_H
#define MEASURE_H

#include "histogram.h"

typedef struct {
    uint64_t operations, messages, seconds_ns;
    Histogram latency, favoured;
} Results;

extern Results results;
extern int is_measuring;

/* The window. CPU time of this process, and of the server's where its id is known, is taken at both ends. */
void start_window(int server_pid);
void end_window(int server_pid);
void print_results(const char *mode);

#endif
