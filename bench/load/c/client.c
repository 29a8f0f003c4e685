#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wamp.h"

enum { READ_ROOM = 1 << 20, EVENTS = 512 };
enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

Peer peer;
uint64_t now, bytes_in, bytes_out;
unsigned failures, open_connections;
char first_failure[400];
void (*on_ready)(Connection *);
void (*on_message)(Connection *, const byte *, size_t);
Connection *favoured;
const byte mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static int poller;
static byte *memory;

uint64_t read_clock(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t) time.tv_sec * 1000000000u + (uint64_t) time.tv_nsec;
}

void start_client(void) {
    poller = epoll_create1(0);
    memory = malloc(READ_ROOM);
    if (poller < 0 || memory == NULL)
        give_up("epoll_create1");
}

void close_connection(Connection *connection) {
    if (connection->phase == CLOSED)
        return;
    if (connection->phase == READY)
        open_connections--;
    connection->phase = CLOSED;
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    buffer_free(&connection->in);
    buffer_free(&connection->out);
    connection->out_start = 0;
}

void fail(Connection *connection, const char *format, ...) {
    if (failures++ == 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(first_failure, sizeof first_failure, format, arguments);
        va_end(arguments);
    }
    if (connection != NULL)
        close_connection(connection);
}

size_t put_header(byte *target, int opcode, size_t size) {
    size_t used = 2;
    target[0] = (byte) (0x80 | opcode);
    if (size < 126)
        target[1] = (byte) (0x80 | size);
    else {
        int extra = size < 0x10000 ? 2 : 8;
        target[1] = (byte) (0x80 | (extra == 2 ? 126 : 127));
        for (int at = extra - 1; at >= 0; at--)
            target[used++] = (byte) ((uint64_t) size >> 8 * at);
    }
    memcpy(target + used, mask, 4);
    return used + 4;
}

void mask_payload(byte *payload, size_t size) {
    for (size_t at = 0; at < size; at++)
        payload[at] ^= mask[at & 3];
}

static void put_frame(Connection *connection, int opcode, const void *payload, size_t size) {
    byte *target = buffer_reserve(&connection->out, size + 14);
    size_t head = put_header(target, opcode, size);
    memcpy(target + head, payload, size);
    mask_payload(target + head, size);
    connection->out.used += head + size;
}

void put_message(Connection *connection, const void *payload, size_t size) {
    put_frame(connection, peer.msgpack ? OP_BINARY : OP_TEXT, payload, size);
}

static void watch(Connection *connection, int operation, int writing) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = connection};
    if (epoll_ctl(poller, operation, connection->fd, &event) < 0)
        give_up("epoll_ctl");
    connection->waits_to_write = writing;
}

void flush(Connection *connection) {
    if (connection->phase == CLOSED || connection->phase == CONNECTING)
        return;
    size_t left = connection->out.used - connection->out_start;
    if (left) {
        ssize_t written = send(connection->fd, connection->out.data + connection->out_start, left, MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN) {
            fail(connection, "A connection can't be written to: %s.", strerror(errno));
            return;
        }
        if (written > 0) {
            bytes_out += (uint64_t) written;
            connection->out_start += (size_t) written;
            left -= (size_t) written;
        }
        if (left == 0)
            connection->out.used = connection->out_start = 0;
    }
    if ((left > 0) != connection->waits_to_write)
        watch(connection, EPOLL_CTL_MOD, left > 0);
}

void open_connection(Connection *connection, unsigned index) {
    memset(&connection->in, 0, sizeof connection->in);
    memset(&connection->out, 0, sizeof connection->out);
    connection->out_start = 0;
    connection->phase = CONNECTING;
    connection->index = index;
    connection->next_id = 1;
    connection->outstanding = 0;
    connection->started = read_clock();
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) {
        fail(connection, "There is no descriptor for another connection: %s.", strerror(errno));
        return;
    }
    int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (peer.sources > 1) {
        /* An address has some 28,000 ports; there are more addresses. */
        struct sockaddr_in source = {.sin_family = AF_INET};
        source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + index % (unsigned) peer.sources);
        setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(connection->fd, (struct sockaddr *) &source, sizeof source) < 0) {
            fail(connection, "A connection can't be bound to its address: %s.", strerror(errno));
            return;
        }
    }
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((uint16_t) peer.port)};
    if (inet_pton(AF_INET, peer.host, &target.sin_addr) != 1) {
        fail(connection, "%s is not an IPv4 address.", peer.host);
        return;
    }
    if (connect(connection->fd, (struct sockaddr *) &target, sizeof target) < 0 && errno != EINPROGRESS) {
        fail(connection, "A connection can't be made: %s.", strerror(errno));
        return;
    }
    watch(connection, EPOLL_CTL_ADD, 1);
}

static void send_upgrade(Connection *connection) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        fail(connection, "A connection is refused: %s.", strerror(error));
        return;
    }
    byte nonce[16];
    char key[KEY_SIZE + 1] = "", own[64] = "", text[512];
    if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
        give_up("getrandom");
    put_base64(key, nonce, sizeof nonce);
    put_accept(connection->accept, key);
    if (peer.has_cookies)
        snprintf(own, sizeof own, "Cookie: session=%.22s\r\n", key);
    else if (peer.has_agents)
        snprintf(own, sizeof own, "User-Agent: %.22s\r\n", key);
    int length = snprintf(text, sizeof text,
                          "GET /ws HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s\r\n",
                          peer.host, peer.port, key, own, peer.is_echo ? "" : "Sec-WebSocket-Protocol: ",
                          peer.is_echo ? "" : peer.msgpack ? "wamp.2.msgpack" : "wamp.2.json",
                          peer.is_echo ? "" : "\r\n");
    buffer_add(&connection->out, text, (size_t) length);
    connection->phase = UPGRADING;
    flush(connection);
}

static void become_ready(Connection *connection) {
    connection->phase = READY;
    open_connections++;
    on_ready(connection);
}

static void send_hello(Connection *connection) {
    Writer writer = {.msgpack = peer.msgpack, .first = 1};
    write_array(&writer, 3);
    write_unsigned(&writer, HELLO);
    write_text(&writer, peer.realm, strlen(peer.realm));
    write_hello_details(&writer);
    write_end(&writer);
    put_message(connection, writer.out.data, writer.out.used);
    buffer_free(&writer.out);
    connection->phase = GREETING;
}

static void send_subscribe(Connection *connection) {
    Writer writer = {.msgpack = peer.msgpack, .first = 1};
    write_array(&writer, 4);
    write_unsigned(&writer, SUBSCRIBE);
    write_unsigned(&writer, connection->next_id++);
    write_options(&writer, NULL);
    write_text(&writer, peer.topic, strlen(peer.topic));
    write_end(&writer);
    put_message(connection, writer.out.data, writer.out.used);
    buffer_free(&writer.out);
    connection->phase = SUBSCRIBING;
}

void fail_message(Connection *connection, const char *wanted, const byte *payload, size_t size) {
    char text[161];
    size_t length = size < sizeof text - 1 ? size : sizeof text - 1;
    for (size_t at = 0; at < length; at++)
        text[at] = payload[at] >= ' ' && payload[at] < 0x7f && payload[at] != '"' && payload[at] != '\\'
            ? (char) payload[at] : '.';
    text[length] = 0;
    fail(connection, "%s was expected, and this came: %s", wanted, text);
}

/* Returns how many bytes of the response there are, 0 while it is incomplete. */
static size_t read_upgrade(Connection *connection, byte *data, size_t size) {
    byte *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t length = (size_t) (end - data) + 4;
    const char *protocol = peer.msgpack ? "wamp.2.msgpack\r\n" : "wamp.2.json\r\n";
    if (length < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0 || !memmem(data, length, connection->accept, ACCEPT_SIZE)
        || (!peer.is_echo && !memmem(data, length, protocol, strlen(protocol)))) {
        fail_message(connection, "HTTP/1.1 101 with the right answers", data, length);
        return 0;
    }
    if (peer.is_echo)
        become_ready(connection);
    else
        send_hello(connection);
    return length;
}

static void handle_message(Connection *connection, const byte *payload, size_t size) {
    if (connection->phase == READY) {
        on_message(connection, payload, size);
        return;
    }
    Reader reader = {payload, payload + size, peer.msgpack};
    size_t count;
    uint64_t code = 0, id = 0;
    int is_read = read_array(&reader, &count) && read_unsigned(&reader, &code);
    if (connection->phase == GREETING) {
        if (!is_read || code != WELCOME)
            fail_message(connection, "WELCOME", payload, size);
        else if (connection->subscribes)
            send_subscribe(connection);
        else
            become_ready(connection);
    }
    else if (!is_read || code != SUBSCRIBED || !read_next(&reader) || !read_unsigned(&reader, &id) || id != 1
             || !read_next(&reader) || !read_id(&reader, &connection->subscription)
             || !read_message_end(&reader, count - 3))
        fail_message(connection, "SUBSCRIBED", payload, size);
    else
        become_ready(connection);
}

/* Returns how many bytes the first frame takes, 0 while it is incomplete. */
static size_t read_frame(Connection *connection, byte *data, size_t size) {
    if (size < 2)
        return 0;
    uint64_t length = data[1];
    size_t head = 2;
    if (length >= 126) {
        size_t extra = length == 126 ? 2 : 8;
        if (size < 2 + extra)
            return 0;
        length = 0;
        while (head < 2 + extra)
            length = length << 8 | data[head++];
    }
    if (size - head < length)
        return 0;
    byte *payload = data + head;
    int opcode = data[0] & 0x0f;
    if (!(data[0] & 0x80) || (data[0] & 0x70) || (data[1] & 0x80))
        fail(connection, "A frame begins with %02x %02x, which this client does not read.", data[0], data[1]);
    else if (opcode == (peer.msgpack ? OP_BINARY : OP_TEXT))
        handle_message(connection, payload, (size_t) length);
    else if (opcode == OP_PING)
        put_frame(connection, OP_PONG, payload, (size_t) length);
    else if (opcode == OP_CLOSE)
        fail(connection, "The server has closed the connection with code %d.",
             length >= 2 ? payload[0] << 8 | payload[1] : 0);
    else if (opcode != OP_PONG)
        fail(connection, "A frame of type %d is not expected.", opcode);
    return head + (size_t) length;
}

void poll_connection(Connection *connection) {
    if (connection->phase == CLOSED)
        return;
    ssize_t received = recv(connection->fd, memory, READ_ROOM, 0);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (received <= 0) {
        fail(connection, received ? "A connection is lost: %s." : "The server has ended a connection%s.",
             received ? strerror(errno) : "");
        return;
    }
    now = read_clock();
    bytes_in += (uint64_t) received;
    byte *data = memory;
    size_t size = (size_t) received, used = 0, step;
    int is_buffered = connection->in.used > 0;
    if (is_buffered) {
        buffer_add(&connection->in, memory, size);
        data = connection->in.data;
        size = connection->in.used;
    }
    do {
        step = connection->phase == UPGRADING ? read_upgrade(connection, data + used, size - used)
                                              : read_frame(connection, data + used, size - used);
        used += step;
    } while (step && used < size && connection->phase != CLOSED);
    if (connection->phase == CLOSED)
        return;
    if (is_buffered) {
        memmove(data, data + used, size - used);
        connection->in.used = size - used;
    }
    else if (used < size)
        buffer_add(&connection->in, data + used, size - used);
    flush(connection);
}

int run_once(int timeout) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, timeout);
    if (count < 0 && errno != EINTR)
        give_up("epoll_wait");
    now = read_clock();
    for (int at = 0; at < count; at++) {
        Connection *connection = events[at].data.ptr;
        if (favoured != NULL && connection != favoured)
            poll_connection(favoured);
        if (connection->phase == CONNECTING)
            send_upgrade(connection);
        else if (connection->phase != CLOSED && events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            poll_connection(connection);
        if (connection->phase != CLOSED && events[at].events & EPOLLOUT)
            flush(connection);
    }
    return count;
}
