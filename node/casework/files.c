#include "node/casework/files.h"

#include "store/base/cbor.h"

#include <string.h>

static const struct file_fields evidence_fields = {
    .file = FIELD_EVIDENCE_FILE,
    .size = FIELD_EVIDENCE_SIZE,
    .media_type = FIELD_EVIDENCE_TYPE,
    .name = FIELD_EVIDENCE_NAME,
    .key = FIELD_EVIDENCE_KEY,
    .open_key = FIELD_EVIDENCE_OPEN_KEY,
    .derivation = FIELD_EVIDENCE_DERIVATION,
};

static const struct file_fields attachment_fields = {
    .file = FIELD_ATTACHMENT_FILE,
    .size = FIELD_ATTACHMENT_SIZE,
    .media_type = FIELD_ATTACHMENT_TYPE,
    .name = FIELD_ATTACHMENT_NAME,
    .key = FIELD_ATTACHMENT_KEY,
    .open_key = FIELD_ATTACHMENT_OPEN_KEY,
    .caption = FIELD_ATTACHMENT_CAPTION,
};

const struct file_fields *
file_fields(uint32_t collection)
{
    switch (collection) {
    case COLLECTION_EVIDENCE:
        return &evidence_fields;
    case COLLECTION_ATTACHMENT:
        return &attachment_fields;
    default:
        return NULL;
    }
}

/* What a half shows of a field of the element. */
static struct span
shown_in(const struct record_view *half, const struct target *element, uint32_t field)
{
    struct target target = *element;

    target.field = field;
    for (size_t n = 0; half != NULL && field != 0 && n < half->target_count; n++) {
        const struct record_target *at = &half->targets[n];

        if (target_compare(&at->target, &target) == 0) {
            return at->shown_count > 0 ? at->shown[0] : (struct span){ 0 };
        }
    }
    return (struct span){ 0 };
}

static bool
read_address(struct span cbor, struct hash *out)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    struct span bytes = cbor.data == NULL ? cbor : cbor_read_bytes(&in);

    if (bytes.size != HASH_BYTES || !cbor_done(&in)) {
        return false;
    }
    memcpy(out->bytes, bytes.data, HASH_BYTES);
    return true;
}

static bool
read_key(struct span cbor, struct blob_key *out)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    struct span bytes = cbor.data == NULL ? cbor : cbor_read_bytes(&in);

    return cbor.data != NULL && cbor_done(&in) && blob_key_read(bytes, out);
}

static uint64_t
read_size(struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    uint64_t size = cbor.data == NULL ? 0 : cbor_read_uint(&in);

    return cbor.data != NULL && cbor_done(&in) && size <= BLOB_BYTES_MAX ? size : 0;
}

static bool
file_of(const struct replica_view *view, const struct record_element *element,
        const struct file_fields *fields, struct case_file *out)
{
    struct target target = { .collection = element->collection };

    memcpy(target.element, element->element, ELEMENT_ID_BYTES);
    *out = (struct case_file){ .collection = element->collection };
    memcpy(out->element, element->element, ELEMENT_ID_BYTES);
    if (!read_address(shown_in(view->open, &target, fields->file), &out->address)) {
        return false;
    }
    out->size = read_size(shown_in(view->open, &target, fields->size));
    out->media_type = shown_in(view->open, &target, fields->media_type);
    out->caption = shown_in(view->open, &target, fields->caption);
    out->derivation = shown_in(view->open, &target, fields->derivation);
    out->name = shown_in(view->protected_half, &target, fields->name);
    out->readable = read_key(shown_in(view->protected_half, &target, fields->key), &out->key);
    if (!out->readable) {
        out->shows_nobody = read_key(shown_in(view->open, &target, fields->open_key), &out->key);
        out->readable = out->shows_nobody;
    }
    return true;
}

size_t
files_of(const struct replica_view *view, struct case_file *out, size_t room)
{
    struct case_file file;
    size_t count = 0;

    if (view->restricted || view->open == NULL) {
        return 0;
    }
    for (size_t n = 0; n < view->open->element_count; n++) {
        const struct record_element *element = &view->open->elements[n];
        const struct file_fields *fields = file_fields(element->collection);

        if (fields == NULL || !file_of(view, element, fields, &file)) {
            continue;
        }
        if (count < room) {
            out[count] = file;
        }
        count++;
    }
    crypto_wipe(&file.key, sizeof file.key);
    return count;
}

const struct case_file *
files_find(const struct case_file *files, size_t count, const char *typed, size_t *count_out)
{
    const struct case_file *found = NULL;
    char hex[2 * HASH_BYTES + 1];

    *count_out = 0;
    for (size_t n = 0; n < count; n++) {
        bytes_hex(hex, hash_span(&files[n].address));
        if (typed == NULL || strncmp(hex, typed, strlen(typed)) == 0) {
            found = &files[n];
            (*count_out)++;
        }
    }
    return *count_out == 1 ? found : NULL;
}
