/* WAMP messages as JSON or MessagePack: written exactly, read with tolerance for what servers may vary. */
#ifndef WAMP_H
#define WAMP_H

#include "buffer.h"

enum {
    HELLO = 1, WELCOME = 2, ABORT = 3, ERROR = 8, SUBSCRIBE = 32, SUBSCRIBED = 33, EVENT = 36, CALL = 48, RESULT = 50
};

/* Writing. Arrays of less than 16 elements; `first` of an element is whether it begins its array. */

typedef struct {
    Buffer out;
    int msgpack, first;
} Writer;

void write_array(Writer *, int count);
void write_end(Writer *);
void write_unsigned(Writer *, uint64_t value);
void write_text(Writer *, const char *text, size_t size);
/* A map without entries, or the one entry key: true. */
void write_options(Writer *, const char *key);
/* The roles of a client. */
void write_hello_details(Writer *);

/* The bytes of an integer; returns how many. At most 20. */
size_t format_unsigned(byte *target, uint64_t value, int msgpack);

/* Reading. All return 0 if something else than expected is there. */

typedef struct {
    const byte *at, *end;
    int msgpack;
} Reader;

/* `count` is how many elements an array of MessagePack has; with JSON it counts for nothing. */
int read_array(Reader *, size_t *count);
int read_next(Reader *);      /* the comma of JSON */
int read_end(Reader *);       /* the closing bracket of JSON */
int at_end_of_array(Reader *, size_t left);
int read_unsigned(Reader *, uint64_t *value);
int read_id(Reader *, uint64_t *value);     /* from 1 to 2^53 */
int read_text(Reader *, const char *text, size_t size);
int read_value(Reader *);     /* anything */
/* RESULT's and EVENT's details; whether they say "progress": true. */
int read_details(Reader *, int *progress);
/* What may follow the positional arguments: nothing, or keyword arguments that are empty. And then the end. */
int read_message_end(Reader *, size_t left);

#endif
