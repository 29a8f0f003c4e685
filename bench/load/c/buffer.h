/* A growing run of bytes, and how a program that measures ends when it can't go on. */
#ifndef BUFFER_H
#define BUFFER_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned char byte;

typedef struct {
    byte *data;
    size_t used, room;
} Buffer;

static inline void give_up(const char *what) {
    perror(what);
    exit(2);
}

static inline byte *buffer_reserve(Buffer *buffer, size_t more) {
    if (buffer->used + more > buffer->room) {
        size_t room = buffer->room ? buffer->room : 256;
        while (room < buffer->used + more)
            room *= 2;
        buffer->data = realloc(buffer->data, room);
        if (buffer->data == NULL)
            give_up("realloc");
        buffer->room = room;
    }
    return buffer->data + buffer->used;
}

static inline void buffer_add(Buffer *buffer, const void *data, size_t size) {
    memcpy(buffer_reserve(buffer, size), data, size);
    buffer->used += size;
}

static inline void buffer_free(Buffer *buffer) {
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

#endif
