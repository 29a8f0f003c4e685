/* The floor: a WebSocket echo with nothing in it. One thread, epoll, one read and one write for each batch of frames.
 *
 *   floor PORT
 *
 * It answers the one handshake key of the load generator, unmasks in place, and knows neither fragments nor control
 * frames. What a server in Python takes beyond this is what can be saved. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"

enum { ROOM = 1 << 20, EVENTS = 512 };

typedef struct {
    int fd, is_open;
    Buffer in, out;
} Client;

static const char RESPONSE[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static int poller;
static byte memory[ROOM];

static void drop(Client *client) {
    close(client->fd);
    buffer_free(&client->in);
    buffer_free(&client->out);
    free(client);
}

/* Appends the answer to one frame; returns how many bytes the frame takes, 0 while it is incomplete. */
static size_t echo_frame(Client *client, byte *data, size_t size) {
    if (size < 2)
        return 0;
    uint64_t length = data[1] & 0x7f;
    size_t head = 2;
    if (length >= 126) {
        size_t extra = length == 126 ? 2 : 8;
        if (size < 2 + extra)
            return 0;
        length = 0;
        while (head < 2 + extra)
            length = length << 8 | data[head++];
    }
    if (size < head + 4 || size - head - 4 < length)
        return 0;
    byte *mask = data + head, *payload = mask + 4, *target = buffer_reserve(&client->out, head + length);
    uint64_t wide_mask, word;
    memcpy(&wide_mask, mask, 4);
    memcpy((byte *) &wide_mask + 4, mask, 4);
    memcpy(target, data, head);
    target[1] &= 0x7f;
    target += head;
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        memcpy(&word, payload + at, 8);
        word ^= wide_mask;
        memcpy(target + at, &word, 8);
    }
    for (; at < length; at++)
        target[at] = payload[at] ^ mask[at & 3];
    client->out.used += head + length;
    return head + 4 + length;
}

static int write_out(Client *client) {
    ssize_t written = client->out.used ? send(client->fd, client->out.data, client->out.used, MSG_NOSIGNAL) : 0;
    if (written < 0 && errno != EAGAIN)
        return 0;
    if (written > 0) {
        client->out.used -= (size_t) written;
        memmove(client->out.data, client->out.data + written, client->out.used);
    }
    struct epoll_event event = {.events = EPOLLIN | (client->out.used ? EPOLLOUT : 0u), .data.ptr = client};
    if (client->out.used || written < 0)
        epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &event);
    return 1;
}

static int read_in(Client *client) {
    ssize_t received = recv(client->fd, memory, ROOM, 0);
    if (received <= 0)
        return received < 0 && errno == EAGAIN;
    byte *data = memory;
    size_t size = (size_t) received, used = 0, step;
    int is_buffered = client->in.used > 0;
    if (is_buffered) {
        buffer_add(&client->in, memory, size);
        data = client->in.data;
        size = client->in.used;
    }
    if (!client->is_open) {
        byte *end = memmem(data, size, "\r\n\r\n", 4);
        if (end != NULL) {
            used = (size_t) (end - data) + 4;
            client->is_open = 1;
            buffer_add(&client->out, RESPONSE, sizeof RESPONSE - 1);
        }
    }
    while (client->is_open && used < size && (step = echo_frame(client, data + used, size - used)))
        used += step;
    if (is_buffered) {
        memmove(data, data + used, size - used);
        client->in.used = size - used;
    }
    else if (used < size)
        buffer_add(&client->in, data + used, size - used);
    return write_out(client);
}

int main(int count, char **arguments) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (count != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    address.sin_port = htons((uint16_t) atoi(arguments[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *) &address, sizeof address) < 0 || listen(listener, 2048) < 0)
        give_up("floor");
    poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int at = 0; at < ready; at++) {
            Client *client = events[at].data.ptr;
            if (client != NULL) {
                int is_alive = 1;
                if (events[at].events & EPOLLOUT) {
                    is_alive = write_out(client);
                    if (is_alive && client->out.used == 0) {
                        event.events = EPOLLIN;
                        event.data.ptr = client;
                        epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &event);
                    }
                }
                if (is_alive && events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                    is_alive = read_in(client);
                if (!is_alive)
                    drop(client);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (fd < 0 || (client = calloc(1, sizeof *client)) == NULL)
                continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            client->fd = fd;
            event.events = EPOLLIN;
            event.data.ptr = client;
            epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
        }
    }
}
