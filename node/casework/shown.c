#include "node/casework/shown.h"

#include "store/base/cbor.h"

#include <string.h>

const struct record_target *
shown_target(const struct record_view *view, const struct record_element *element, const char *name)
{
    size_t first = element == NULL ? 0 : element->first;
    size_t end = view == NULL ? 0 : element == NULL ? view->target_count : first + element->count;

    for (size_t n = first; n < end; n++) {
        const struct record_target *target = &view->targets[n];

        if (target->field != NULL && strcmp(target->field->name, name) == 0 &&
            (element != NULL || target->target.collection == 0)) {
            return target;
        }
    }
    return NULL;
}

bool
shown_is_in(const struct codebook *codebook, const struct record_element *element, const char *name)
{
    const struct codebook_collection *collection = codebook_collection(codebook, element->collection);

    return collection != NULL && strcmp(collection->name, name) == 0;
}

const struct codebook_value *
shown_value(const struct codebook *codebook, const struct record_target *target)
{
    if (target == NULL || target->shown_count != 1 || target->field == NULL) {
        return NULL;
    }
    struct cbor_reader in = cbor_reader_of(target->shown[0]);
    uint64_t code = cbor_peek(&in) == CBOR_UINT ? cbor_read_uint(&in) : 0;
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(codebook, target->field->vocabulary);

    return vocabulary == NULL || code > UINT32_MAX ? NULL : codebook_value(vocabulary, (uint32_t)code);
}

const char *
shown_code(const struct codebook *codebook, const struct record_target *target)
{
    const struct codebook_value *value = shown_value(codebook, target);

    return value == NULL ? "" : value->name;
}

bool
shown_has_record(const struct record_target *target, const struct ident *id)
{
    for (size_t n = 0; target != NULL && n < target->shown_count; n++) {
        struct cbor_reader in = cbor_reader_of(target->shown[n]);

        if (cbor_peek(&in) == CBOR_BYTES && span_equal(cbor_read_bytes(&in), ident_span(id))) {
            return true;
        }
    }
    return false;
}
