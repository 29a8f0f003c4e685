/* The floor: a WebSocket server with nothing in it. One thread, epoll, one read and one write for each batch of frames.
 *
 *   floor PORT            sends every message back
 *   floor PORT events     answers what the load generator's `events` sends, with one write for each event
 *
 * It unmasks in one pass, and knows neither fragments nor control frames. What a server in Python takes beyond this is
 * what can be saved. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accept.h"
#include "buffer.h"

enum { ROOM = 1 << 20, EVENTS = 512, MESSAGE = 4096 };

typedef struct {
    int fd, is_open;
    Buffer in, out;
} Client;

static int poller;
static byte memory[ROOM];
static int has_events;
static Client **subscribers;
static size_t subscriber_count;

static void drop(Client *client) {
    for (size_t at = 0; at < subscriber_count; at++)
        if (subscribers[at] == client)
            subscribers[at--] = subscribers[--subscriber_count];
    close(client->fd);
    buffer_free(&client->in);
    buffer_free(&client->out);
    free(client);
}

/* Returns the size of a frame's header and sets the length of its payload; 0 while the frame is incomplete. */
static size_t read_head(const byte *data, size_t size, uint64_t *length) {
    if (size < 2)
        return 0;
    *length = data[1] & 0x7f;
    size_t head = 2;
    if (*length >= 126) {
        size_t extra = *length == 126 ? 2 : 8;
        if (size < 2 + extra)
            return 0;
        *length = 0;
        while (head < 2 + extra)
            *length = *length << 8 | data[head++];
    }
    return size < head + 4 || size - head - 4 < *length ? 0 : head;
}

static void unmask(byte *target, const byte *mask, size_t length) {
    const byte *payload = mask + 4;
    uint64_t wide_mask, word;
    memcpy(&wide_mask, mask, 4);
    memcpy((byte *) &wide_mask + 4, mask, 4);
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        memcpy(&word, payload + at, 8);
        word ^= wide_mask;
        memcpy(target + at, &word, 8);
    }
    for (; at < length; at++)
        target[at] = payload[at] ^ mask[at & 3];
}

static void echo_frame(Client *client, const byte *data, size_t head, size_t length) {
    byte *target = buffer_reserve(&client->out, head + length);
    memcpy(target, data, head);
    target[1] &= 0x7f;
    unmask(target + head, data + head, length);
    client->out.used += head + length;
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

/* Events. The load generator writes JSON without spaces, so that patterns are enough to read it. */

static size_t format_frame(byte *frame, const char *format, ...) {
    char text[MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t head = size < 126 ? 2 : 4;
    frame[0] = 0x81;
    frame[1] = (byte) (size < 126 ? size : 126);
    if (head == 4) {
        frame[2] = (byte) (size >> 8);
        frame[3] = (byte) size;
    }
    memcpy(frame + head, text, (size_t) size);
    return head + (size_t) size;
}

static void publish(const byte *frame, size_t size) {
    for (size_t at = 0; at < subscriber_count; at++) {
        Client *client = subscribers[at];
        ssize_t sent = client->out.used ? 0 : send(client->fd, frame, size, MSG_NOSIGNAL);
        if (sent < (ssize_t) size) {
            buffer_add(&client->out, frame + (sent > 0 ? sent : 0), size - (size_t) (sent > 0 ? sent : 0));
            write_out(client);
        }
    }
}

static void serve_frame(Client *client, const byte *data, size_t head, size_t length) {
    char text[MESSAGE / 2];
    byte frame[MESSAGE + 4];
    unsigned long long id, burst, first;
    size_t size = 0;
    int start = 0, end = 0;
    if (length >= sizeof text)
        return;
    unmask((byte *) text, data + head, length);
    text[length] = 0;
    if (strncmp(text, "[1,", 3) == 0)
        size = format_frame(frame, "[2,1,{}]");
    else if (sscanf(text, "[32,%llu", &id) == 1) {
        subscribers = realloc(subscribers, (subscriber_count + 1) * sizeof *subscribers);
        if (subscribers == NULL)
            give_up("realloc");
        subscribers[subscriber_count++] = client;
        size = format_frame(frame, "[33,%llu,1]", id);
    }
    else if (sscanf(text, "[48,%llu", &id) == 1) {
        static const char call[] = "[48,%*u,{},\"bench.spread\",[\"%n%*[a-z0-9]%n\",%llu,%llu";
        if (sscanf(text, call, &start, &end, &burst, &first) == 2)
            for (unsigned long long number = first; number < first + burst; number++) {
                size = format_frame(frame, "[36,1,%llu,{},[%llu,\"%.*s\"]]", number, number, end - start, text + start);
                publish(frame, size);
            }
        size = format_frame(frame, "[50,%llu,{},[%zu]]", id, subscriber_count);
    }
    buffer_add(&client->out, frame, size);
}

static int answer_request(Client *client, const byte *data, size_t size) {
    static const char name[] = "Sec-WebSocket-Key: ";
    const byte *key = memmem(data, size, name, sizeof name - 1);
    char accept[ACCEPT_SIZE + 1] = "", text[256];
    if (key == NULL || key + sizeof name + KEY_SIZE > data + size)
        return 0;
    put_accept(accept, (const char *) key + sizeof name - 1);
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                          accept, has_events ? "Sec-WebSocket-Protocol: wamp.2.json\r\n" : "");
    buffer_add(&client->out, text, (size_t) length);
    client->is_open = 1;
    return 1;
}

static int read_in(Client *client) {
    ssize_t received = recv(client->fd, memory, ROOM, 0);
    if (received <= 0)
        return received < 0 && errno == EAGAIN;
    byte *data = memory;
    size_t size = (size_t) received, used = 0, head;
    uint64_t length;
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
            if (!answer_request(client, data, used))
                return 0;
        }
    }
    while (client->is_open && used < size && (head = read_head(data + used, size - used, &length))) {
        (has_events ? serve_frame : echo_frame)(client, data + used, head, length);
        used += head + 4 + length;
    }
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
    has_events = count == 3 && strcmp(arguments[2], "events") == 0;
    if (count != 2 + has_events) {
        fprintf(stderr, "usage: floor PORT [events]\n");
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
