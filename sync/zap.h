/* zap.h - who may come in: the allow-list, and the answer to libzmq's question.
 *
 *     CURVE handshake --> libzmq asks (ZAP, RFC 27) --> on the list?  no --> 400, and not a word more
 *                                                          | yes
 *     User-Id = hex( device_id[32] || MAC[16] )  <---------+
 *
 * Where libzmq finds no handler it lets people in, and then hands us as User-Id
 * whatever the stranger wrote into its own handshake. So our answer carries a MAC
 * under a key drawn at start, over the device and the transport key that proved
 * it; every message is held against it and against the list as it is by then.
 * Pure: no socket, no clock.
 */
#pragma once

#include "store/base/crypto.h"

enum {
    CURVE_PK_BYTES = 32,
    ZAP_MAC_BYTES = 16,
    ZAP_USER_ID_BYTES = 2 * (HASH_BYTES + ZAP_MAC_BYTES) + 1, /* hex and a NUL */
    ZAP_FRAMES = 7,                                           /* in a request that names a CURVE key */
    ZAP_REQUEST_ID_BYTES = 255,
    ZAP_LIST_MAX = 16 * 1000, /* so that a list fits into one frame of the channel */
};

/* The one domain of our listener; libzmq asks nobody where it is empty. */
#define ZAP_DOMAIN "vigil"

/* One row of the allow-list. A device may have more than one key while it changes it. */
struct zap_guest {
    uint8_t curve_pk[CURVE_PK_BYTES];
    struct hash device_id;
};

/* Zeroed, it is the empty list: nobody may come in. */
struct zap_list {
    struct zap_guest *by_key;
    struct zap_guest *by_device;
    size_t count;
};

enum zap_verdict {
    ZAP_ADMITTED = 0,
    ZAP_STRANGER,  /* a CURVE key that is not on the list */
    ZAP_MALFORMED, /* no question that libzmq would ask about our listener */
};

/* The six frames of an answer, as text but for `request_id`, which is lent from the request. */
struct zap_answer {
    struct span request_id;
    const char *status;               /* "200" or "400" */
    char user_id[ZAP_USER_ID_BYTES];  /* empty unless admitted */
    uint8_t curve_pk[CURVE_PK_BYTES]; /* whose question it was; zeros if malformed */
};

/* Replace the list by a copy of `count` rows; a row that is there twice counts once.
 * ERR_INVALID: one key for two devices, or more than ZAP_LIST_MAX rows; the list stays as it was.
 * ERR_MEMORY: likewise. */
MUST_CHECK enum err zap_list_set(struct zap_list *list, const struct zap_guest *guests, size_t count);
void zap_list_free(struct zap_list *list);

/* The device of a key; NULL if the key is not on the list. Lent until the list changes. */
const struct hash *zap_list_device(const struct zap_list *list, const uint8_t curve_pk[CURVE_PK_BYTES]);

/* True if `device_id` is on the list with `curve_pk`, or with any key if that is NULL. */
bool zap_list_has(const struct zap_list *list, const struct hash *device_id, const uint8_t *curve_pk);

/* Answer one request of `count` frames, whatever they hold. */
enum zap_verdict zap_decide(struct zap_answer *answer_out, const struct zap_list *list,
                            const struct key *mac_key, const struct span *frames, size_t count);

/* The User-Id of a message that came in; NULL if it has none. True: we gave it to a
 * device that is still on the list with the same key, and `device_out` is set. */
MUST_CHECK bool zap_user_id_verify(struct hash *device_out, const struct zap_list *list,
                                   const struct key *mac_key, const char *user_id);
