/* Events: subscribers, and a caller of a procedure that publishes. */
#include "load.h"
#include "measure.h"
#include "wamp.h"

static struct {
    uint64_t first, received, started;
    int is_counting, has_result;
    uint64_t *publications;     /* of realm.publish(): the id of each publication of the burst */
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
    if (cycle.publications != NULL)
        memset(cycle.publications, 0, options.burst * sizeof *cycle.publications);
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
        fail_message(connection, "RESULT with the number of subscribers", payload, size);
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
    uint64_t code = 0, subscription = 0, publication = 0, number = 0;
    int progress;
    if (!read_array(&reader, &count) || !read_unsigned(&reader, &code) || code != EVENT || !read_next(&reader)
        || !read_id(&reader, &subscription) || !read_next(&reader) || !read_id(&reader, &publication)
        || !read_next(&reader) || !read_details(&reader, &progress) || !read_next(&reader)
        || !read_array(&reader, &inner) || !read_unsigned(&reader, &number) || !read_next(&reader)
        || !read_text(&reader, text, options.payload) || !read_end(&reader) || !read_message_end(&reader, count - 5)) {
        fail_message(connection, "EVENT with what was published", payload, size);
        return;
    }
    if (number != connection->next_event) {
        fail(connection, "A subscriber got event %llu where %llu was the next.", (unsigned long long) number,
             (unsigned long long) connection->next_event);
        return;
    }
    if (subscription != connection->subscription) {
        fail(connection, "An event is for subscription %llu, and the subscriber's is %llu.",
             (unsigned long long) subscription, (unsigned long long) connection->subscription);
        return;
    }
    if (cycle.publications != NULL && number - cycle.first < options.burst) {
        uint64_t *known = &cycle.publications[number - cycle.first];
        if (*known != 0 && *known != publication) {
            fail(connection, "One publication has the ids %llu and %llu.", (unsigned long long) *known,
                 (unsigned long long) publication);
            return;
        }
        *known = publication;
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

uint64_t count_received(void) {
    return cycle.received;
}

void run_events(void) {
    on_message = check_event;
    Connection *publisher = &connections[options.connections];
    uint64_t end = 0;
    int is_warm = 0;
    if (!open_up_to(options.connections, 1, 0) || !open_up_to(options.connections + 1, 0, 0))
        return;
    for (unsigned at = 0; at < options.connections; at++)
        connections[at].next_event = 1;
    if (strcmp(options.procedure, "bench.publish") == 0)
        cycle.publications = calloc(options.burst, sizeof *cycle.publications);
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
