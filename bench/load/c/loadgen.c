/* The load generator: opens WAMP sessions, calls and subscribes, checks every answer and times it. One thread.
 *
 *   loadgen MODE --port PORT [options]; see usage(). Prints one JSON object, or one a step for `hold`.
 *
 * calls   every connection keeps `in-flight` calls going
 * echo    the same bytes, to a server that sends each message back
 * events  subscribers, and one session that calls a procedure which publishes to them; the next call goes out when
 *         all have everything
 * open    sessions are opened, `concurrency` at a time, and stay open
 * hold    sessions with one subscription are opened up to each of `steps`; goes on when a line comes in
 *
 * The load is closed: a call goes out when an answer has come, so that latencies are those of a server that is as
 * busy as this lets it be. */
#include <getopt.h>
#include <unistd.h>

#include "client.h"
#include "measure.h"
#include "wamp.h"

/* Seconds that a window is prolonged at most for enough answers to come. */
enum { LONGEST_WINDOW = 30 };

typedef struct {
    byte *frame;                /* masked, with room for the id */
    size_t size, id_at, id_size;
    size_t head;
} Template;

static struct {
    const char *mode, *procedure, *steps;
    unsigned connections, in_flight, progress, burst, concurrency;
    size_t payload;
    double warmup, duration, timeout;
    int server_pid, polite;
} options = {
    .procedure = "bench.echo", .steps = "", .connections = 64, .in_flight = 1, .burst = 1, .concurrency = 64,
    .payload = 64, .warmup = .2, .duration = 1, .timeout = 15,
};

static Connection *connections;
static unsigned opened, pending, window;
static char *text;
static Template templates[21];
static int is_draining;
static unsigned outstanding;
static uint64_t completed;      /* calls, inside the window or not */
static uint64_t last_sign;      /* when the last answer came */

/* Calls */

static Template *find_template(uint64_t id) {
    byte digits[20];
    size_t id_size = format_unsigned(digits, id, peer.msgpack);
    Template *template = &templates[id_size];
    if (template->frame != NULL)
        return template;
    Writer writer = {.msgpack = peer.msgpack, .first = 1};
    write_array(&writer, 5);
    write_unsigned(&writer, CALL);
    size_t before = writer.out.used + (peer.msgpack ? 0 : 1);
    write_unsigned(&writer, id);
    write_options(&writer, options.progress ? "receive_progress" : NULL);
    write_text(&writer, options.procedure, strlen(options.procedure));
    write_array(&writer, 1);
    write_text(&writer, text, options.payload);
    write_end(&writer);
    write_end(&writer);
    template->frame = malloc(writer.out.used + 14);
    if (template->frame == NULL)
        give_up("malloc");
    template->head = put_header(template->frame, peer.msgpack ? 2 : 1, writer.out.used);
    memcpy(template->frame + template->head, writer.out.data, writer.out.used);
    mask_payload(template->frame + template->head, writer.out.used);
    template->size = template->head + writer.out.used;
    template->id_at = before;
    template->id_size = id_size;
    buffer_free(&writer.out);
    return template;
}

static void put_call(Connection *connection) {
    uint64_t id = connection->next_id, *slot = &connection->sent[id & (window - 1)];
    if (*slot) {
        fail(connection, "The answer to call %llu has not come, those to many later ones have.",
             (unsigned long long) (id - window));
        return;
    }
    Template *template = find_template(id);
    byte *target = buffer_reserve(&connection->out, template->size), digits[20];
    memcpy(target, template->frame, template->size);
    size_t id_size = format_unsigned(digits, id, peer.msgpack);
    for (size_t at = 0; at < id_size; at++)
        target[template->head + template->id_at + at] = digits[at] ^ mask[(template->id_at + at) & 3];
    connection->out.used += template->size;
    *slot = now;
    connection->progress[id & (window - 1)] = 0;
    connection->next_id++;
    connection->outstanding++;
    outstanding++;
}

static void complete(Connection *connection, uint64_t id) {
    uint64_t *slot = &connection->sent[id & (window - 1)];
    last_sign = now;
    if (is_measuring) {
        int is_favoured = options.polite && connection->index == 0;
        histogram_add(is_favoured ? &results.favoured : &results.latency, now - *slot);
        results.operations += !is_favoured;
        results.messages += 1 + options.progress;
    }
    *slot = 0;
    completed++;
    connection->outstanding--;
    outstanding--;
    if (!is_draining)
        put_call(connection);
}

static void refuse(Connection *connection, const char *wanted, const byte *payload, size_t size) {
    char shown[121];
    size_t length = size < sizeof shown - 1 ? size : sizeof shown - 1;
    for (size_t at = 0; at < length; at++)
        shown[at] = payload[at] >= ' ' && payload[at] < 0x7f && payload[at] != '"' && payload[at] != '\\'
            ? (char) payload[at] : '.';
    shown[length] = 0;
    fail(connection, "%s was expected, and this came: %s", wanted, shown);
}

static void check_result(Connection *connection, const byte *payload, size_t size) {
    Reader reader = {payload, payload + size, peer.msgpack};
    size_t count, inner;
    uint64_t code = 0, id = 0;
    int progress = 0;
    if (!read_array(&reader, &count) || !read_unsigned(&reader, &code) || code != RESULT || !read_next(&reader)
        || !read_unsigned(&reader, &id) || !read_next(&reader) || !read_details(&reader, &progress)
        || !read_next(&reader) || !read_array(&reader, &inner) || !read_text(&reader, text, options.payload)
        || !at_end_of_array(&reader, inner - 1) || !read_end(&reader) || !read_message_end(&reader, count - 4)) {
        refuse(connection, "RESULT with what the call carried", payload, size);
        return;
    }
    if (id >= connection->next_id || id + window < connection->next_id || !connection->sent[id & (window - 1)]) {
        fail(connection, "A RESULT has the id %llu, of no call that waits for one.", (unsigned long long) id);
        return;
    }
    unsigned *reports = &connection->progress[id & (window - 1)];
    if (progress) {
        last_sign = now;
        if (++*reports > options.progress)
            fail(connection, "There are more progress reports than the %u that were expected.", options.progress);
    }
    else if (*reports != options.progress)
        fail(connection, "A final RESULT came after %u progress reports, not %u.", *reports, options.progress);
    else
        complete(connection, id);
}

static void check_echo(Connection *connection, const byte *payload, size_t size) {
    uint64_t id = connection->next_id - connection->outstanding;
    Template *template = find_template(id);
    byte digits[20];
    size_t id_size = format_unsigned(digits, id, peer.msgpack), at = template->id_at;
    static byte *plain[21];
    if (plain[id_size] == NULL) {
        plain[id_size] = malloc(template->size);
        memcpy(plain[id_size], template->frame + template->head, template->size - template->head);
        mask_payload(plain[id_size], template->size - template->head);
    }
    if (connection->outstanding == 0 || size != template->size - template->head
        || memcmp(payload, plain[id_size], at) != 0 || memcmp(payload + at, digits, id_size) != 0
        || memcmp(payload + at + id_size, plain[id_size] + at + id_size, size - at - id_size) != 0)
        refuse(connection, "The message that was sent", payload, size);
    else
        complete(connection, id);
}

/* Events */

static struct {
    uint64_t first, received, started;
    int is_counting, has_result, is_first_cycle_over;
} cycle;

static void call_publisher(Connection *connection, const char *procedure, int with_arguments) {
    Writer writer = {.msgpack = peer.msgpack, .first = 1};
    write_array(&writer, 5);
    write_unsigned(&writer, CALL);
    write_unsigned(&writer, connection->next_id++);
    write_options(&writer, NULL);
    write_text(&writer, procedure, strlen(procedure));
    write_array(&writer, with_arguments ? 3 : 0);
    if (with_arguments) {
        write_text(&writer, text, options.payload);
        write_unsigned(&writer, options.burst);
        write_unsigned(&writer, cycle.first);
    }
    write_end(&writer);
    write_end(&writer);
    put_message(connection, writer.out.data, writer.out.used);
    buffer_free(&writer.out);
    flush(connection);
}

static void start_cycle(Connection *connection) {
    cycle.received = 0;
    cycle.has_result = 0;
    cycle.started = now = read_clock();
    call_publisher(connection, options.procedure, 1);
}

static void check_count(Connection *connection, const byte *payload, size_t size) {
    Reader reader = {payload, payload + size, peer.msgpack};
    size_t count, inner;
    uint64_t code = 0, id = 0, subscribers = 0;
    int progress;
    if (!read_array(&reader, &count) || !read_unsigned(&reader, &code) || code != RESULT || !read_next(&reader)
        || !read_unsigned(&reader, &id) || id != connection->next_id - 1 || !read_next(&reader)
        || !read_details(&reader, &progress) || !read_next(&reader) || !read_array(&reader, &inner)
        || !read_unsigned(&reader, &subscribers) || !read_end(&reader) || !read_message_end(&reader, count - 4)) {
        refuse(connection, "RESULT with the number of subscribers", payload, size);
        return;
    }
    last_sign = now;
    if (subscribers == options.connections)
        cycle.has_result = 1;
    else if (!cycle.is_counting)
        fail(connection, "The server has %llu subscribers, and not the %u of this client.",
             (unsigned long long) subscribers, options.connections);
    else
        cycle.has_result = 2;   /* sessions of earlier runs are still there: ask again */
}

static void check_event(Connection *connection, const byte *payload, size_t size) {
    if (connection->index == options.connections) {
        check_count(connection, payload, size);
        return;
    }
    Reader reader = {payload, payload + size, peer.msgpack};
    size_t count, inner;
    uint64_t code = 0, ignored, number = 0;
    int progress;
    if (!read_array(&reader, &count) || !read_unsigned(&reader, &code) || code != EVENT || !read_next(&reader)
        || !read_unsigned(&reader, &ignored) || !read_next(&reader) || !read_unsigned(&reader, &ignored)
        || !read_next(&reader) || !read_details(&reader, &progress) || !read_next(&reader)
        || !read_array(&reader, &inner) || !read_unsigned(&reader, &number) || !read_next(&reader)
        || !read_text(&reader, text, options.payload) || !read_end(&reader) || !read_message_end(&reader, count - 5)) {
        refuse(connection, "EVENT with what was published", payload, size);
        return;
    }
    if (number != connection->next_event) {
        fail(connection, "A subscriber got event %llu where %llu was the next.", (unsigned long long) number,
             (unsigned long long) connection->next_event);
        return;
    }
    last_sign = now;
    connection->next_event++;
    cycle.received++;
    if (is_measuring) {
        results.operations++;
        results.messages++;
        histogram_add(&results.latency, now - cycle.started);
    }
}

/* Opening */

static void note_ready(Connection *connection) {
    (void) connection;
    pending--;
    last_sign = now;
    if (is_measuring) {
        results.operations++;
        histogram_add(&results.latency, now - connection->started);
    }
}

static int has_stalled(void) {
    if ((double) (read_clock() - last_sign) < options.timeout * 1e9)
        return 0;
    if (strcmp(options.mode, "events") == 0)
        fail(NULL, "For %g s nothing came; %llu of %llu events of the last call were there.", options.timeout,
             (unsigned long long) cycle.received, (unsigned long long) options.connections * options.burst);
    else
        fail(NULL, "For %g s nothing came; %u answers and %u sessions were waited for.", options.timeout, outstanding,
             pending);
    return 1;
}

static void open_next(int subscribes) {
    Connection *connection = &connections[opened];
    connection->subscribes = subscribes;
    pending++;
    open_connection(connection, opened++);
}

/* Open connections until there are `count`, `concurrency` at a time; returns 0 if one fails or `end` (ns) is over. */
static int open_up_to(unsigned count, int subscribes, uint64_t end) {
    last_sign = read_clock();
    while (open_connections < count && !failures && !has_stalled()) {
        while (opened < count && pending < options.concurrency && !failures)
            open_next(subscribes);
        run_once(100);
        if (end && now > end)
            return 0;
    }
    return open_connections == count;
}

/* Modes */

static int is_over(uint64_t start, double seconds) {
    return (double) (now - start) >= seconds * 1e9;
}

static void run_calls(void) {
    uint64_t start, flight = (uint64_t) options.connections * options.in_flight;
    if (!open_up_to(options.connections, 0, 0))
        return;
    favoured = options.polite ? &connections[0] : NULL;
    start = now = last_sign = read_clock();
    for (unsigned at = 0; at < options.connections; at++) {
        unsigned depth = options.polite && at == 0 ? 1 : options.in_flight;
        while (connections[at].phase == READY && depth--)
            put_call(&connections[at]);
        flush(&connections[at]);
    }
    /* What goes out at once at the start also comes back at once, late where it is much: only when as many calls as
     * are in flight have been answered is the load even, and so many belong into a window at least. */
    while (open_connections && !has_stalled()) {
        run_once(100);
        if (!is_measuring && !is_draining && is_over(start, options.warmup) && completed >= flight) {
            start_window(options.server_pid);
            start = now;
        }
        else if (is_measuring && is_over(start, options.duration)
                 && (results.operations >= flight || is_over(start, options.duration + LONGEST_WINDOW))) {
            end_window(options.server_pid);
            is_draining = 1;
        }
        if (is_draining && outstanding == 0)
            break;
    }
    if (is_measuring)
        end_window(options.server_pid);
    if (open_connections < options.connections)
        fail(NULL, "Connections were lost.");
}

static void run_events(void) {
    Connection *publisher = &connections[options.connections];
    uint64_t end = 0;
    int is_warm = 0;
    if (!open_up_to(options.connections, 1, 0) || !open_up_to(options.connections + 1, 0, 0))
        return;
    for (unsigned at = 0; at < options.connections; at++)
        connections[at].next_event = 1;
    cycle.is_counting = 1;
    cycle.first = 1;
    last_sign = read_clock();
    call_publisher(publisher, "bench.count", 0);
    while (!failures && !has_stalled()) {
        run_once(100);
        if (cycle.is_counting) {
            if (cycle.has_result == 2) {
                if (now - cycle.started > 20000000) {
                    cycle.has_result = 0;
                    cycle.started = now;
                    call_publisher(publisher, "bench.count", 0);
                }
                continue;
            }
            if (cycle.has_result == 1) {
                cycle.is_counting = 0;
                start_cycle(publisher);
                end = now + (uint64_t) (options.warmup * 1e9);
            }
            continue;
        }
        if (!cycle.has_result || cycle.received < (uint64_t) options.connections * options.burst)
            continue;
        cycle.first += options.burst;
        if (now >= end) {
            if (is_warm)
                break;
            is_warm = 1;
            start_window(options.server_pid);
            end = now + (uint64_t) (options.duration * 1e9);
        }
        start_cycle(publisher);
    }
    if (is_measuring)
        end_window(options.server_pid);
}

static void run_open(void) {
    now = read_clock();
    start_window(options.server_pid);
    uint64_t end = now + (uint64_t) (options.duration * 1e9);
    open_up_to(options.connections, 0, end);
    end_window(options.server_pid);
}

static void run_hold(void) {
    char line[16];
    const char *at = options.steps;
    now = read_clock();
    start_window(options.server_pid);
    while (*at) {
        char *rest;
        unsigned step = (unsigned) strtoul(at, &rest, 10);
        at = *rest == ',' ? rest + 1 : rest + strlen(rest);
        open_up_to(step, 1, 0);
        printf("{\"mode\": \"hold\", \"sessions\": %u, \"failures\": %u, \"first_failure\": \"%s\"}\n",
               open_connections, failures, first_failure);
        fflush(stdout);
        if (failures || fgets(line, sizeof line, stdin) == NULL)
            return;
    }
}

static void usage(void) {
    fprintf(stderr,
            "usage: loadgen calls|echo|events|open|hold --port PORT [options]\n"
            "  --host ADDRESS        an IPv4 address (127.0.0.1)\n"
            "  --sources N           connect from N loopback addresses (1)\n"
            "  --serializer NAME     json or msgpack (json)\n"
            "  --realm URI, --topic URI, --procedure URI\n"
            "  --connections N       sessions; subscribers for events (64)\n"
            "  --in-flight N         calls of one connection at the same time (1)\n"
            "  --payload BYTES       length of the text that calls and events carry (64)\n"
            "  --progress N          progress reports that come before a result (0)\n"
            "  --polite              the first connection has one call in flight and is timed apart\n"
            "  --burst N             publications for each call of the publisher (1)\n"
            "  --concurrency N       sessions that are being opened at the same time (64)\n"
            "  --steps N,N,...       numbers of sessions to hold\n"
            "  --warmup S, --duration S, --timeout S\n"
            "  --server-pid PID      a process whose CPU time is taken\n");
    exit(2);
}

static void read_options(int count, char **arguments) {
    static const struct option known[] = {
        {"host", 1, 0, 'h'}, {"port", 1, 0, 'p'}, {"sources", 1, 0, 'a'}, {"serializer", 1, 0, 's'},
        {"realm", 1, 0, 'r'}, {"topic", 1, 0, 'o'}, {"procedure", 1, 0, 'c'}, {"connections", 1, 0, 'n'},
        {"in-flight", 1, 0, 'f'}, {"payload", 1, 0, 'b'}, {"progress", 1, 0, 'g'}, {"polite", 0, 0, 'l'},
        {"burst", 1, 0, 'u'}, {"concurrency", 1, 0, 'k'}, {"steps", 1, 0, 'e'}, {"warmup", 1, 0, 'w'},
        {"duration", 1, 0, 'd'}, {"timeout", 1, 0, 't'}, {"server-pid", 1, 0, 'i'}, {0, 0, 0, 0},
    };
    int option;
    peer = (typeof(peer)) {.host = "127.0.0.1", .sources = 1, .realm = "bench", .topic = "bench.topic"};
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1)
        switch (option) {
            case 'h': peer.host = optarg; break;
            case 'p': peer.port = atoi(optarg); break;
            case 'a': peer.sources = atoi(optarg); break;
            case 's':
                peer.msgpack = strcmp(optarg, "msgpack") == 0;
                if (!peer.msgpack && strcmp(optarg, "json") != 0)
                    usage();
                break;
            case 'r': peer.realm = optarg; break;
            case 'o': peer.topic = optarg; break;
            case 'c': options.procedure = optarg; break;
            case 'n': options.connections = (unsigned) atoi(optarg); break;
            case 'f': options.in_flight = (unsigned) atoi(optarg); break;
            case 'b': options.payload = (size_t) atol(optarg); break;
            case 'g': options.progress = (unsigned) atoi(optarg); break;
            case 'l': options.polite = 1; break;
            case 'u': options.burst = (unsigned) atoi(optarg); break;
            case 'k': options.concurrency = (unsigned) atoi(optarg); break;
            case 'e': options.steps = optarg; break;
            case 'w': options.warmup = atof(optarg); break;
            case 'd': options.duration = atof(optarg); break;
            case 't': options.timeout = atof(optarg); break;
            case 'i': options.server_pid = atoi(optarg); break;
            default: usage();
        }
    if (optind != count - 1 || peer.port == 0 || options.connections == 0 || options.in_flight == 0)
        usage();
    options.mode = arguments[optind];
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    for (const char *at = options.steps; *at; at++) {
        unsigned step = (unsigned) atoi(at);
        options.connections = step > options.connections ? step : options.connections;
        at += strspn(at, "0123456789");
        if (!*at)
            break;
    }
    text = malloc(options.payload + 1);
    for (size_t at = 0; at < options.payload; at++)
        text[at] = "abcdefghijklmnopqrstuvwxyz0123456789"[at % 36];
    for (window = 64; window < 16 * options.in_flight; window *= 2) {}
    connections = calloc(options.connections + 1, sizeof *connections);
    for (unsigned at = 0; at <= options.connections; at++) {
        connections[at].phase = CLOSED;
        if (strcmp(options.mode, "calls") == 0 || strcmp(options.mode, "echo") == 0) {
            connections[at].sent = calloc(window, sizeof *connections[at].sent);
            connections[at].progress = calloc(window, sizeof *connections[at].progress);
        }
    }
    on_ready = note_ready;
    on_message = check_result;
    start_client();
    if (strcmp(options.mode, "calls") == 0)
        run_calls();
    else if (strcmp(options.mode, "echo") == 0) {
        peer.is_echo = 1;
        on_message = check_echo;
        run_calls();
    }
    else if (strcmp(options.mode, "events") == 0) {
        on_message = check_event;
        run_events();
    }
    else if (strcmp(options.mode, "open") == 0)
        run_open();
    else if (strcmp(options.mode, "hold") == 0)
        run_hold();
    else
        usage();
    if (strcmp(options.mode, "hold") != 0)
        print_results(options.mode);
    for (unsigned at = 0; at < opened; at++)
        close_connection(&connections[at]);
    return failures ? 1 : 0;
}
