#include "sync/zap.h"
#include "store/base/sorted.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The frames of a request, in their order. */
enum {
    FRAME_VERSION = 0,
    FRAME_REQUEST_ID,
    FRAME_DOMAIN,
    FRAME_ADDRESS,
    FRAME_ROUTING_ID,
    FRAME_MECHANISM,
    FRAME_KEY,
};

static int
compare_by_key(const void *a, const void *b)
{
    const struct zap_guest *left = a;
    const struct zap_guest *right = b;
    int order = memcmp(left->curve_pk, right->curve_pk, CURVE_PK_BYTES);

    return order != 0 ? order : hash_compare(&left->device_id, &right->device_id);
}

static int
compare_by_device(const void *a, const void *b)
{
    const struct zap_guest *left = a;
    const struct zap_guest *right = b;
    int order = hash_compare(&left->device_id, &right->device_id);

    return order != 0 ? order : memcmp(left->curve_pk, right->curve_pk, CURVE_PK_BYTES);
}

/* Sorted by key, drop repeated rows. False: one key stands for two devices. */
static bool
unite_rows(struct zap_guest *rows, size_t *count)
{
    size_t kept = 0;

    for (size_t i = 0; i < *count; i++) {
        if (kept > 0 && memcmp(rows[kept - 1].curve_pk, rows[i].curve_pk, CURVE_PK_BYTES) == 0) {
            if (!hash_equal(&rows[kept - 1].device_id, &rows[i].device_id)) {
                return false;
            }
            continue;
        }
        rows[kept] = rows[i];
        kept++;
    }
    *count = kept;
    return true;
}

enum err
zap_list_set(struct zap_list *list, const struct zap_guest *guests, size_t count)
{
    struct zap_list next = { .count = count };
    enum err err = ERR_MEMORY;

    if (count > ZAP_LIST_MAX) {
        return ERR_INVALID;
    }
    if (count > 0) {
        next.by_key = malloc(count * sizeof *guests);
        next.by_device = malloc(count * sizeof *guests);
        if (next.by_key == NULL || next.by_device == NULL) {
            goto fail;
        }
        memcpy(next.by_key, guests, count * sizeof *guests);
        qsort(next.by_key, count, sizeof *guests, compare_by_key);
        if (!unite_rows(next.by_key, &next.count)) {
            err = ERR_INVALID;
            goto fail;
        }
        memcpy(next.by_device, next.by_key, next.count * sizeof *guests);
        qsort(next.by_device, next.count, sizeof *guests, compare_by_device);
    }
    zap_list_free(list);
    *list = next;
    return ERR_OK;

fail:
    zap_list_free(&next);
    return err;
}

void
zap_list_free(struct zap_list *list)
{
    free(list->by_key);
    free(list->by_device);
    *list = (struct zap_list){ .count = 0 };
}

const struct hash *
zap_list_device(const struct zap_list *list, const uint8_t curve_pk[CURVE_PK_BYTES])
{
    const struct zap_guest *guest = sorted_find(
        SORTED_BY(struct zap_guest, list->by_key, list->count, curve_pk), span_of(curve_pk, CURVE_PK_BYTES));

    return guest == NULL ? NULL : &guest->device_id;
}

/* The rows of a device in by_device: each is a key of its own. */
static size_t
rows_of(const struct zap_list *list, const struct hash *device_id, size_t *first_out)
{
    return sorted_run(SORTED_BY(struct zap_guest, list->by_device, list->count, device_id),
                      hash_span(device_id), first_out);
}

bool
zap_list_has(const struct zap_list *list, const struct hash *device_id, const uint8_t *curve_pk)
{
    size_t first;
    size_t count = rows_of(list, device_id, &first);

    for (size_t n = first; n < first + count; n++) {
        if (curve_pk == NULL || memcmp(list->by_device[n].curve_pk, curve_pk, CURVE_PK_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static void
mac_of(uint8_t mac_out[ZAP_MAC_BYTES], const struct key *mac_key, const struct hash *device_id,
       const uint8_t curve_pk[CURVE_PK_BYTES])
{
    struct hash whole;

    CRYPTO_HASH(&whole, "vigil.uid.v1", span_of(mac_key->bytes, KEY_BYTES), hash_span(device_id),
                span_of(curve_pk, CURVE_PK_BYTES));
    memcpy(mac_out, whole.bytes, ZAP_MAC_BYTES);
}

enum zap_verdict
zap_decide(struct zap_answer *answer_out, const struct zap_list *list, const struct key *mac_key,
           const struct span *frames, size_t count)
{
    uint8_t proof[HASH_BYTES + ZAP_MAC_BYTES];

    *answer_out = (struct zap_answer){ .status = "400" };
    if (count > FRAME_REQUEST_ID && frames[FRAME_REQUEST_ID].size <= ZAP_REQUEST_ID_BYTES) {
        answer_out->request_id = frames[FRAME_REQUEST_ID];
    }
    if (count != ZAP_FRAMES || frames[FRAME_REQUEST_ID].size > ZAP_REQUEST_ID_BYTES ||
        !span_equal(frames[FRAME_VERSION], span_text("1.0")) ||
        !span_equal(frames[FRAME_DOMAIN], span_text(ZAP_DOMAIN)) ||
        !span_equal(frames[FRAME_MECHANISM], span_text("CURVE")) ||
        frames[FRAME_KEY].size != CURVE_PK_BYTES) {
        return ZAP_MALFORMED;
    }
    memcpy(answer_out->curve_pk, frames[FRAME_KEY].data, CURVE_PK_BYTES);
    const struct hash *device_id = zap_list_device(list, answer_out->curve_pk);
    if (device_id == NULL) {
        return ZAP_STRANGER;
    }
    memcpy(proof, device_id->bytes, HASH_BYTES);
    mac_of(proof + HASH_BYTES, mac_key, device_id, answer_out->curve_pk);
    bytes_hex(answer_out->user_id, span_of(proof, sizeof proof));
    answer_out->status = "200";
    return ZAP_ADMITTED;
}

bool
zap_user_id_verify(struct hash *device_out, const struct zap_list *list, const struct key *mac_key,
                   const char *user_id)
{
    uint8_t proof[HASH_BYTES + ZAP_MAC_BYTES];
    uint8_t mac[ZAP_MAC_BYTES];
    struct hash device_id;

    if (user_id == NULL || !bytes_from_hex(proof, sizeof proof, user_id)) {
        return false;
    }
    memcpy(device_id.bytes, proof, HASH_BYTES);
    size_t first;
    size_t count = rows_of(list, &device_id, &first);
    for (size_t n = first; n < first + count; n++) {
        mac_of(mac, mac_key, &device_id, list->by_device[n].curve_pk);
        if (crypto_equal(mac, proof + HASH_BYTES, ZAP_MAC_BYTES)) {
            *device_out = device_id;
            return true;
        }
    }
    return false;
}
