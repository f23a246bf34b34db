/* api: whatever lines come, each is a request with a name, or refused with a reason; and its texts are read as targets and
 * values without harm. */
#include "node/api.h"
#include "node/value.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KIND_CASE = 1 };

static void
as_target(const char *text)
{
    static const struct element_name element = { 6, { 0x3f, 0x09, 0xa1, 0xc2 } };
    const struct codebook *codebook = codebook_reprisals();
    struct value_fault fault;
    struct target target;

    if (target_parse(codebook, KIND_CASE, text, &element, 1, &target, &fault) == ERR_OK) {
        struct target again;

        /* What was read is printed so that it is read as the same. */
        if (target_parse(codebook, KIND_CASE, target_print(codebook, &target).text, &element, 1, &again,
                         &fault) != ERR_OK ||
            target_compare(&target, &again) != 0) {
            abort();
        }
    }
}

static void
as_values(const json_t *json)
{
    const struct codebook *codebook = codebook_reprisals();
    struct value_fault fault;

    for (size_t n = 0; n < codebook->field_count; n++) {
        struct buf cbor = { 0 };

        if (value_parse(codebook, &codebook->fields[n], json, &cbor, &fault) == ERR_OK) {
            json_t *back = value_json(codebook, &codebook->fields[n], buf_span(&cbor));

            if (back == NULL) {
                abort();
            }
            json_decref(back);
        }
        buf_free(&cbor);
    }
}

static void
one_line(struct span line)
{
    const char *call = NULL;
    const char *why = NULL;
    int64_t id = 0;
    json_t *body = api_parse(line, &id, &call, &why);
    const char *key;
    json_t *member;

    if (body == NULL) {
        if (why == NULL || call != NULL) {
            abort();
        }
        return;
    }
    if (why != NULL || call == NULL || !json_is_object(body)) {
        abort();
    }
    json_object_foreach(body, key, member)
    {
        as_target(key);
        as_values(member);
    }
    json_decref(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    size_t at = 0;

    while (at < size) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t length = end == NULL ? size - at : (size_t)(end - (data + at));

        one_line(span_of(data + at, length));
        at += length + 1;
    }
    if (size < sizeof text && size > 0 && memchr(data, 0, size) == NULL) {
        memcpy(text, data, size);
        text[size] = '\0';
        text[strcspn(text, "\n")] = '\0';
        as_target(text);
    }
    return 0;
}
