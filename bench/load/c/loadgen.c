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

#include "load.h"
#include "measure.h"

Options options = {
    .procedure = "bench.echo", .steps = "", .connections = 64, .in_flight = 1, .burst = 1, .concurrency = 64,
    .payload = 64, .warmup = .2, .duration = 1, .timeout = 15,
};
Connection *connections;
char *text;
uint64_t last_sign;

static unsigned opened, pending;

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

int has_stalled(void) {
    if ((double) (read_clock() - last_sign) < options.timeout * 1e9)
        return 0;
    if (strcmp(options.mode, "events") == 0)
        fail(NULL, "For %g s nothing came; %llu of %llu events of the last call were there.", options.timeout,
             (unsigned long long) count_received(), (unsigned long long) options.connections * options.burst);
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

int open_up_to(unsigned count, int subscribes, uint64_t end) {
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
            "  --single-writes       a write for each call (one write for all that are due)\n"
            "  --polite              the first connection has one call in flight and is timed apart\n"
            "  --samples N           go on until the one that is timed apart, or all, have N answers (0)\n"
            "  --longest S           but not longer than this (0)\n"
            "  --cookies             each connection sends a cookie of its own\n"
            "  --agents              each connection sends a User-Agent of its own\n"
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
        {"duration", 1, 0, 'd'}, {"timeout", 1, 0, 't'}, {"server-pid", 1, 0, 'i'}, {"single-writes", 0, 0, 'y'},
        {"samples", 1, 0, 'm'}, {"longest", 1, 0, 'x'}, {"cookies", 0, 0, 'z'}, {"agents", 0, 0, 'A'}, {0, 0, 0, 0},
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
            case 'y': options.has_single_writes = 1; break;
            case 'm': options.samples = (unsigned) atoi(optarg); break;
            case 'x': options.longest = atof(optarg); break;
            case 'z': peer.has_cookies = 1; break;
            case 'A': peer.has_agents = 1; break;
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
    connections = calloc(options.connections + 1, sizeof *connections);
    for (unsigned at = 0; at <= options.connections; at++)
        connections[at].phase = CLOSED;
    on_ready = note_ready;
    start_client();
    if (strcmp(options.mode, "calls") == 0)
        run_calls();
    else if (strcmp(options.mode, "echo") == 0)
        run_echo();
    else if (strcmp(options.mode, "events") == 0)
        run_events();
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
