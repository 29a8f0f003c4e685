/* Calls, and the same bytes as an echo. */
#include "load.h"
#include "measure.h"
#include "wamp.h"

/* Seconds that a window is prolonged at most for as many answers to come as are in flight. */
enum { LONGEST_WINDOW = 30 };

typedef struct {
    byte *frame;                /* masked, with room for the id */
    size_t size, id_at, id_size;
    size_t head;
} Template;

unsigned outstanding;

static unsigned window;         /* of ids that may be on their way: a power of two */
static Template templates[21];
static int is_draining;
static uint64_t completed;      /* calls, inside the window or not */

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
    if (options.has_single_writes)
        flush(connection);
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

static void check_result(Connection *connection, const byte *payload, size_t size) {
    Reader reader = {payload, payload + size, peer.msgpack};
    size_t count, inner;
    uint64_t code = 0, id = 0;
    int progress = 0;
    if (!read_array(&reader, &count) || !read_unsigned(&reader, &code) || code != RESULT || !read_next(&reader)
        || !read_unsigned(&reader, &id) || !read_next(&reader) || !read_details(&reader, &progress)
        || !read_next(&reader) || !read_array(&reader, &inner) || !read_text(&reader, text, options.payload)
        || !at_end_of_array(&reader, inner - 1) || !read_end(&reader) || !read_message_end(&reader, count - 4)) {
        fail_message(connection, "RESULT with what the call carried", payload, size);
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
        fail_message(connection, "The message that was sent", payload, size);
    else
        complete(connection, id);
}

static int is_over(uint64_t start, double seconds) {
    return (double) (now - start) >= seconds * 1e9;
}

/* Latencies of the connection that the run is about. */
static uint64_t count_samples(void) {
    return options.polite ? results.favoured.total : results.latency.total;
}

static void run(void (*check)(Connection *, const byte *, size_t)) {
    on_message = check;
    for (window = 64; window < 16 * options.in_flight; window *= 2) {}
    for (unsigned at = 0; at < options.connections; at++) {
        connections[at].sent = calloc(window, sizeof *connections[at].sent);
        connections[at].progress = calloc(window, sizeof *connections[at].progress);
    }
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
                 && (results.operations >= flight || is_over(start, options.duration + LONGEST_WINDOW))
                 && (count_samples() >= options.samples || is_over(start, options.longest))) {
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

void run_calls(void) {
    run(check_result);
}

void run_echo(void) {
    peer.is_echo = 1;
    run(check_echo);
}
