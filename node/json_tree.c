#include "node/json_tree.h"

#include <string.h>

enum { DEPTH_MAX = 2048 }; /* as jansson's parser */

static void
put_text(struct buf *out, const char *text, size_t size)
{
    buf_put_varint(out, size);
    buf_put(out, text, size);
}

static void
put_integer(struct buf *out, json_int_t value)
{
    uint64_t bits = (uint64_t)value;

    buf_put_varint(out, bits << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static void
put_real(struct buf *out, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    buf_put_u64(out, bits);
}

static void
put_members(struct buf *out, json_t *object)
{
    buf_put_varint(out, json_object_size(object));
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        put_text(out, json_object_iter_key(at), json_object_iter_key_len(at));
        json_tree_put(out, json_object_iter_value(at));
    }
}

void
json_tree_put(struct buf *out, const json_t *value)
{
    static const char tags[] = {
        [JSON_OBJECT] = 'o', [JSON_ARRAY] = 'a', [JSON_STRING] = 's', [JSON_INTEGER] = 'i',
        [JSON_REAL] = 'r',   [JSON_TRUE] = 't',  [JSON_FALSE] = 'f',  [JSON_NULL] = 'n',
    };

    buf_put_u8(out, (uint8_t)tags[json_typeof(value)]);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_members(out, (json_t *)(uintptr_t)value);
        break;
    case JSON_ARRAY:
        buf_put_varint(out, json_array_size(value));
        for (size_t n = 0; n < json_array_size(value); n++) {
            json_tree_put(out, json_array_get(value, n));
        }
        break;
    case JSON_STRING:
        put_text(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        put_integer(out, json_integer_value(value));
        break;
    case JSON_REAL:
        put_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
}

/* A text; empty once the reader failed. */
static struct span
read_text(struct reader *in)
{
    uint64_t size = reader_varint(in);

    if (size > reader_left(in)) {
        in->failed = true;
        return span_of(NULL, 0);
    }
    return reader_span(in, (size_t)size);
}

static json_t *
read_integer(struct reader *in)
{
    uint64_t bits = reader_varint(in);

    return json_integer((json_int_t)(bits >> 1 ^ ((bits & 1) != 0 ? UINT64_MAX : 0)));
}

static json_t *
read_real(struct reader *in)
{
    uint64_t bits = reader_u64(in);
    double value;

    memcpy(&value, &bits, sizeof value);
    return json_real(value);
}

static json_t *
read_string(struct reader *in)
{
    struct span text = read_text(in);

    return json_stringn((const char *)text.data, text.size);
}

static json_t *read_value(struct reader *in, int depth);

/* NULL: the reader failed, or there is no memory. */
static json_t *
read_items(struct reader *in, int depth)
{
    uint64_t left = reader_varint(in);
    json_t *array = json_array();

    for (; left > 0; left--) {
        if (json_array_append_new(array, read_value(in, depth)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *
read_members(struct reader *in, int depth)
{
    uint64_t left = reader_varint(in);
    json_t *object = json_object();

    for (; left > 0; left--) {
        struct span key = read_text(in);

        if (json_object_setn_new(object, (const char *)key.data, key.size, read_value(in, depth)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *
read_value(struct reader *in, int depth)
{
    uint8_t tag = reader_u8(in);

    if (in->failed || depth == DEPTH_MAX) {
        return NULL;
    }
    switch (tag) {
    case 'o':
        return read_members(in, depth + 1);
    case 'a':
        return read_items(in, depth + 1);
    case 's':
        return read_string(in);
    case 'i':
        return read_integer(in);
    case 'r':
        return read_real(in);
    case 't':
        return json_true();
    case 'f':
        return json_false();
    case 'n':
        return json_null();
    default:
        return NULL;
    }
}

json_t *
json_tree_read(struct span bytes)
{
    struct reader in = reader_of(bytes);
    json_t *value = read_value(&in, 0);

    if (!reader_done(&in)) {
        json_decref(value);
        return NULL;
    }
    return value;
}
