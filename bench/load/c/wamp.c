#include "wamp.h"

static void separate(Writer *writer) {
    if (!writer->msgpack && !writer->first)
        buffer_add(&writer->out, ",", 1);
    writer->first = 0;
}

void write_array(Writer *writer, int count) {
    byte head = (byte) (0x90 | count);
    separate(writer);
    buffer_add(&writer->out, writer->msgpack ? (void *) &head : "[", 1);
    writer->first = 1;
}

void write_end(Writer *writer) {
    if (!writer->msgpack)
        buffer_add(&writer->out, "]", 1);
    writer->first = 0;
}

static size_t put_big_endian(byte *target, byte head, uint64_t value, int size) {
    target[0] = head;
    for (int at = size; at > 0; at--, value >>= 8)
        target[at] = (byte) value;
    return (size_t) size + 1;
}

size_t format_unsigned(byte *target, uint64_t value, int msgpack) {
    if (msgpack) {
        if (value < 0x80) {
            target[0] = (byte) value;
            return 1;
        }
        if (value < 0x100)
            return put_big_endian(target, 0xcc, value, 1);
        if (value < 0x10000)
            return put_big_endian(target, 0xcd, value, 2);
        if (value < 0x100000000)
            return put_big_endian(target, 0xce, value, 4);
        return put_big_endian(target, 0xcf, value, 8);
    }
    byte digits[20];
    size_t count = 0;
    do
        digits[count++] = (byte) ('0' + value % 10);
    while (value /= 10);
    for (size_t at = 0; at < count; at++)
        target[at] = digits[count - 1 - at];
    return count;
}

void write_unsigned(Writer *writer, uint64_t value) {
    separate(writer);
    buffer_reserve(&writer->out, 20);
    writer->out.used += format_unsigned(writer->out.data + writer->out.used, value, writer->msgpack);
}

void write_text(Writer *writer, const char *text, size_t size) {
    separate(writer);
    if (!writer->msgpack) {
        buffer_add(&writer->out, "\"", 1);
        buffer_add(&writer->out, text, size);
        buffer_add(&writer->out, "\"", 1);
        return;
    }
    byte head[5];
    size_t length = 1;
    if (size < 32)
        head[0] = (byte) (0xa0 | size);
    else if (size < 0x100)
        length = put_big_endian(head, 0xd9, size, 1);
    else if (size < 0x10000)
        length = put_big_endian(head, 0xda, size, 2);
    else
        length = put_big_endian(head, 0xdb, size, 4);
    buffer_add(&writer->out, head, length);
    buffer_add(&writer->out, text, size);
}

void write_options(Writer *writer, const char *key) {
    separate(writer);
    if (!writer->msgpack) {
        char text[64];
        int size = key ? snprintf(text, sizeof text, "{\"%s\":true}", key) : snprintf(text, sizeof text, "{}");
        buffer_add(&writer->out, text, (size_t) size);
        return;
    }
    buffer_add(&writer->out, key ? "\x81" : "\x80", 1);
    if (key) {
        write_text(writer, key, strlen(key));
        buffer_add(&writer->out, "\xc3", 1);
    }
}

void write_hello_details(Writer *writer) {
    static const char json[] = "{\"roles\":{\"caller\":{\"features\":{\"progressive_call_results\":true}},"
                               "\"subscriber\":{}}}";
    separate(writer);
    if (!writer->msgpack) {
        buffer_add(&writer->out, json, sizeof json - 1);
        return;
    }
    buffer_add(&writer->out, "\x81", 1);
    write_text(writer, "roles", 5);
    buffer_add(&writer->out, "\x82", 1);
    write_text(writer, "caller", 6);
    buffer_add(&writer->out, "\x81", 1);
    write_text(writer, "features", 8);
    write_options(writer, "progressive_call_results");
    write_text(writer, "subscriber", 10);
    buffer_add(&writer->out, "\x80", 1);
}

static void skip_space(Reader *reader) {
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t'
                                        || *reader->at == '\r'))
        reader->at++;
}

static int take(Reader *reader, byte wanted) {
    skip_space(reader);
    if (reader->at >= reader->end || *reader->at != wanted)
        return 0;
    reader->at++;
    return 1;
}

static int take_big_endian(Reader *reader, size_t size, uint64_t *value) {
    if ((size_t) (reader->end - reader->at) < size)
        return 0;
    *value = 0;
    while (size--)
        *value = *value << 8 | *reader->at++;
    return 1;
}

int read_array(Reader *reader, size_t *count) {
    uint64_t value;
    *count = 0;
    if (!reader->msgpack)
        return take(reader, '[');
    if (reader->at >= reader->end)
        return 0;
    byte head = *reader->at++;
    if ((head & 0xf0) == 0x90) {
        *count = head & 0x0f;
        return 1;
    }
    if ((head != 0xdc && head != 0xdd) || !take_big_endian(reader, head == 0xdc ? 2 : 4, &value))
        return 0;
    *count = (size_t) value;
    return 1;
}

int read_next(Reader *reader) {
    return reader->msgpack || take(reader, ',');
}

int read_end(Reader *reader) {
    return reader->msgpack || take(reader, ']');
}

int at_end_of_array(Reader *reader, size_t left) {
    if (reader->msgpack)
        return left == 0;
    skip_space(reader);
    return reader->at < reader->end && *reader->at == ']';
}

int read_unsigned(Reader *reader, uint64_t *value) {
    *value = 0;
    if (reader->msgpack) {
        if (reader->at >= reader->end)
            return 0;
        byte head = *reader->at++;
        if (head < 0x80) {
            *value = head;
            return 1;
        }
        return head >= 0xcc && head <= 0xcf && take_big_endian(reader, (size_t) 1 << (head - 0xcc), value);
    }
    skip_space(reader);
    const byte *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        *value = *value * 10 + (uint64_t) (*reader->at++ - '0');
    return reader->at > start;
}

int read_id(Reader *reader, uint64_t *value) {
    return read_unsigned(reader, value) && *value >= 1 && *value <= (uint64_t) 1 << 53;
}

static int take_text_head(Reader *reader, uint64_t *size) {
    if (reader->at >= reader->end)
        return 0;
    byte head = *reader->at++;
    if ((head & 0xe0) == 0xa0) {
        *size = head & 0x1f;
        return 1;
    }
    return head >= 0xd9 && head <= 0xdb && take_big_endian(reader, (size_t) 1 << (head - 0xd9), size);
}

int read_text(Reader *reader, const char *text, size_t size) {
    uint64_t length = size;
    if (reader->msgpack ? !take_text_head(reader, &length) : !take(reader, '"'))
        return 0;
    if (length != size || (size_t) (reader->end - reader->at) < size || memcmp(reader->at, text, size) != 0)
        return 0;
    reader->at += size;
    if (reader->msgpack)
        return 1;
    if (reader->at >= reader->end || *reader->at != '"')
        return 0;
    reader->at++;
    return 1;
}

static int skip_json(Reader *reader) {
    int depth = 0;
    skip_space(reader);
    while (reader->at < reader->end) {
        byte now = *reader->at;
        if (now == '"') {
            for (reader->at++; reader->at < reader->end && *reader->at != '"'; reader->at++)
                if (*reader->at == '\\')
                    reader->at++;
        }
        else if (now == '[' || now == '{')
            depth++;
        else if (now == ']' || now == '}') {
            if (depth == 0)
                return 1;
            depth--;
        }
        else if (now == ',' && depth == 0)
            return 1;
        reader->at++;
        if (depth == 0 && (now == '"' || now == ']' || now == '}'))
            return reader->at <= reader->end;
    }
    return 0;
}

static int skip_msgpack(Reader *reader) {
    if (reader->at >= reader->end)
        return 0;
    byte head = *reader->at++;
    uint64_t size = 0, elements = 0;
    if (head < 0x80 || head >= 0xe0 || head == 0xc0 || head == 0xc2 || head == 0xc3)
        return 1;
    if (head < 0x90)
        elements = 2 * (head & 0x0f);
    else if (head < 0xa0)
        elements = head & 0x0f;
    else if (head < 0xc0)
        size = head & 0x1f;
    else if (head >= 0xc4 && head <= 0xc6) {
        if (!take_big_endian(reader, (size_t) 1 << (head - 0xc4), &size))
            return 0;
    }
    else if (head == 0xca || head == 0xcb)
        size = head == 0xca ? 4 : 8;
    else if (head >= 0xcc && head <= 0xd3)
        size = (uint64_t) 1 << ((head - 0xcc) & 3);
    else if (head >= 0xd9 && head <= 0xdb) {
        if (!take_big_endian(reader, (size_t) 1 << (head - 0xd9), &size))
            return 0;
    }
    else if (head >= 0xdc && head <= 0xdf) {
        if (!take_big_endian(reader, head & 1 ? 4 : 2, &elements))
            return 0;
        elements *= head >= 0xde ? 2 : 1;
    }
    else
        return 0;
    if (size > (uint64_t) (reader->end - reader->at))
        return 0;
    reader->at += size;
    while (elements--)
        if (!skip_msgpack(reader))
            return 0;
    return 1;
}

int read_value(Reader *reader) {
    return reader->msgpack ? skip_msgpack(reader) : skip_json(reader);
}

int read_details(Reader *reader, int *progress) {
    *progress = 0;
    const byte *start = reader->at;
    if (!read_value(reader))
        return 0;
    size_t size = (size_t) (reader->at - start);
    if (size < 8)
        return 1;
    const byte *key = memmem(start, size, "progress", 8);
    if (key == NULL)
        return 1;
    Reader value = {key + 8, reader->at, reader->msgpack};
    if (reader->msgpack)
        *progress = value.at < value.end && *value.at == 0xc3;
    else
        *progress = take(&value, '"') && take(&value, ':') && take(&value, 't');
    return 1;
}

int read_message_end(Reader *reader, size_t left) {
    if (!at_end_of_array(reader, left)) {
        if (!read_next(reader))
            return 0;
        if (reader->msgpack ? (left != 1 || !take(reader, 0x80)) : !(take(reader, '{') && take(reader, '}')))
            return 0;
    }
    if (!read_end(reader))
        return 0;
    if (!reader->msgpack)
        skip_space(reader);
    return reader->at == reader->end;
}
