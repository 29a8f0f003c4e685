/* The client's side of WebSocket connections that open WAMP sessions, on one epoll. */
#ifndef CLIENT_H
#define CLIENT_H

#include "accept.h"
#include "buffer.h"

typedef enum { CONNECTING, UPGRADING, GREETING, SUBSCRIBING, READY, CLOSED } Phase;

typedef struct {
    int fd;
    Phase phase;
    int waits_to_write;
    unsigned index;
    Buffer in, out;
    size_t out_start;
    uint64_t started;           /* when it began to connect, ns */
    uint64_t next_id;           /* of the next request */
    unsigned outstanding;       /* calls without their result */
    uint64_t *sent;             /* when the call of an id went out, by id % window; 0: no such call */
    unsigned *progress;         /* progress reports that have come for it */
    uint64_t next_event;        /* the number that the next event has to carry */
    uint64_t subscription;      /* its id */
    int subscribes;
    char accept[ACCEPT_SIZE + 1];   /* what the server has to answer to the key of the handshake */
} Connection;

typedef struct {
    const char *host;
    int port, sources, msgpack, is_echo, has_cookies, has_agents;
    const char *realm, *topic;
} Peer;

extern Peer peer;
extern uint64_t now;            /* ns; set when the program turns to a connection */
extern unsigned failures;
extern unsigned open_connections;
extern uint64_t bytes_in, bytes_out;
extern char first_failure[400];

/* What the program does with a connection that is ready, and with a message on it. */
extern void (*on_ready)(Connection *);
extern void (*on_message)(Connection *, const byte *payload, size_t size);

uint64_t read_clock(void);
void start_client(void);
void open_connection(Connection *, unsigned index);
void close_connection(Connection *);
void fail(Connection *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Something else has come than was wanted. */
void fail_message(Connection *, const char *wanted, const byte *payload, size_t size);

/* Append a message as a masked frame; flush() writes it. */
void put_message(Connection *, const void *payload, size_t size);
/* The size of a frame's header, and the header. The mask is the same for all frames: a server has to undo it all the
 * same, and the client's time is not what is measured. */
size_t put_header(byte *target, int opcode, size_t size);
void mask_payload(byte *payload, size_t size);
void flush(Connection *);

/* Wait for what happens, `timeout` ms, and deal with it; returns how many connections something happened on. */
int run_once(int timeout);
/* Read from a connection if there is something to be read. */
void poll_connection(Connection *);
/* Where run_once() looks before it turns to each of the others, or NULL. */
extern Connection *favoured;

extern const byte mask[4];

#endif
