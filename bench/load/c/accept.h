/* Sec-WebSocket-Accept of a key (RFC 6455, 4.2.2): SHA-1 (RFC 3174) and Base64 of one short text. */
#ifndef ACCEPT_H
#define ACCEPT_H

#include "buffer.h"

enum { KEY_SIZE = 24, ACCEPT_SIZE = 28 };

static inline void put_base64(char *target, const byte *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t bits = (uint32_t) data[at] << 16 | (left > 1 ? data[at + 1] << 8 : 0) | (left > 2 ? data[at + 2] : 0);
        *target++ = digits[bits >> 18];
        *target++ = digits[bits >> 12 & 63];
        *target++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *target++ = left > 2 ? digits[bits & 63] : '=';
    }
}

static inline uint32_t rotate(uint32_t value, int bits) {
    return value << bits | value >> (32 - bits);
}

static inline void sha1_block(uint32_t *state, const byte *data) {
    uint32_t words[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int at = 0; at < 16; at++)
        words[at] = (uint32_t) data[4 * at] << 24 | data[4 * at + 1] << 16 | data[4 * at + 2] << 8 | data[4 * at + 3];
    for (int at = 16; at < 80; at++)
        words[at] = rotate(words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16], 1);
    for (int at = 0; at < 80; at++) {
        uint32_t mixed = at < 20 ? (b & c) | (~b & d) : at < 40 || at >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
        static const uint32_t constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
        uint32_t next = rotate(a, 5) + mixed + e + words[at] + constants[at / 20];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

static inline void put_accept(char *target, const char *key) {
    /* Key and GUID are 60 bytes: with their end and length two blocks. */
    byte text[128] = {0}, digest[20];
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(text, key, KEY_SIZE);
    memcpy(text + KEY_SIZE, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    text[60] = 0x80;
    text[126] = 60 * 8 >> 8;
    text[127] = 60 * 8 & 0xff;
    sha1_block(state, text);
    sha1_block(state, text + 64);
    for (int at = 0; at < 20; at++)
        digest[at] = (byte) (state[at / 4] >> (24 - 8 * (at % 4)));
    put_base64(target, digest, sizeof digest);
}

#endif
