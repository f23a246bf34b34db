/* A ZAP request in frames: each is a length byte and that many bytes. Whatever
 * they hold, only a well-formed question about the one key on the list is answered
 * with 200, and its User-Id verifies. */
#include "sync/zap.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_of(span_of(data, size));
    struct span frames[FRAMES_MAX];
    struct zap_list list = { .count = 0 };
    struct zap_guest guest;
    struct key mac_key;
    struct zap_answer answer;
    struct hash device_id;
    size_t count = 0;
    char text[256];

    memset(&guest, 'k', sizeof guest);
    memset(&mac_key, 'm', sizeof mac_key);
    while (count < FRAMES_MAX && reader_left(&in) > 0 && !in.failed) {
        frames[count] = reader_span(&in, reader_u8(&in));
        count++;
    }
    if (zap_list_set(&list, &guest, 1) != ERR_OK) {
        abort();
    }
    enum zap_verdict verdict = zap_decide(&answer, &list, &mac_key, frames, count);
    bool admitted = strcmp(answer.status, "200") == 0;
    if (admitted != (verdict == ZAP_ADMITTED) ||
        (admitted && memcmp(frames[ZAP_FRAMES - 1].data, guest.curve_pk, CURVE_PK_BYTES) != 0) ||
        admitted != zap_user_id_verify(&device_id, &list, &mac_key, answer.user_id)) {
        abort();
    }
    /* The same bytes as a User-Id: nobody guesses a MAC. */
    size_t text_size = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, text_size);
    text[text_size] = '\0';
    if (!admitted && zap_user_id_verify(&device_id, &list, &mac_key, text)) {
        abort();
    }
    zap_list_free(&list);
    return 0;
}
