/* What decodes encodes to the same bytes; any bytes can be judged, shown and indexed as the
 * value of any field; whatever is typed and taken is accepted. */
#include "store/codebook.h"

#include <stdlib.h>
#include <string.h>

#include "store/base/cbor.h"

static void
check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
try_codebook(struct span bytes)
{
    struct codebook *codebook = NULL;
    struct buf again = { 0 };

    if (codebook_decode(bytes, &codebook) != ERR_OK) {
        check(codebook == NULL);
        return;
    }
    codebook_encode(codebook, &again);
    check(span_equal(buf_span(&again), bytes));
    buf_free(&again);
    codebook_free(&codebook);
}

static void
try_value(const struct codebook_field *field, struct span bytes)
{
    const struct codebook *codebook = codebook_reprisals();
    struct buf text = { 0 };
    struct buf again = { 0 };
    struct buf tokens = { 0 };

    bool accepted = codebook_accepts(codebook, field, bytes);
    check(!accepted || cbor_valid(bytes));
    codebook_print(codebook, field, bytes, &text);
    buf_put_u8(&text, 0);
    check(utf8_valid(buf_span(&text)));
    if (accepted) {
        check(codebook_parse(codebook, field, (const char *)text.data, &again, NULL) == ERR_OK);
        check(span_equal(buf_span(&again), bytes));
    }
    codebook_tokens(codebook, field, bytes, &tokens);
    check(cbor_valid(buf_span(&tokens)));
    check(accepted || codebook_rank(codebook, field, bytes) == INT64_MIN);
    buf_free(&text);
    buf_free(&again);
    buf_free(&tokens);
}

static void
try_typed(const struct codebook_field *field, const char *typed)
{
    struct buf cbor = { 0 };
    const char *why = NULL;

    if (codebook_parse(codebook_reprisals(), field, typed, &cbor, &why) == ERR_OK) {
        check(codebook_accepts(codebook_reprisals(), field, buf_span(&cbor)));
    } else {
        check(why != NULL && cbor.size == 0);
    }
    buf_free(&cbor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* One field of each type, at most: the fields differ in nothing else that matters here. */
    bool tried[TYPE_FILE_KEY + 1] = { false };
    char typed[512];

    try_codebook(span_of(data, size));
    if (size >= sizeof typed) {
        return 0;
    }
    memcpy(typed, data, size);
    typed[size] = '\0';
    for (size_t i = 0; i < codebook_reprisals()->field_count; i++) {
        const struct codebook_field *field = &codebook_reprisals()->fields[i];
        if (!tried[field->type]) {
            tried[field->type] = true;
            try_value(field, span_of(data, size));
            try_typed(field, typed);
        }
    }
    return 0;
}
