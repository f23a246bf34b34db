/* A codebook as people edit it: any JSON is one, or a sentence says why not; and what is one is written as one that reads the same. */
#include "node/codebook_json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    struct codebook_fault fault = { "" };
    struct codebook *codebook = NULL;
    struct codebook *again = NULL;
    struct hash id;
    struct hash id_again;
    size_t refused = 0;

    if (json == NULL) {
        return 0;
    }
    enum err err = codebook_from_json(json, &codebook, &fault);
    json_decref(json);
    if (err != ERR_OK) {
        assert(codebook == NULL && (err != ERR_INVALID || fault.what[0] != '\0'));
        assert(memchr(fault.what, '\0', sizeof fault.what) != NULL);
        return 0;
    }
    json_t *written = codebook_json(codebook, NULL);
    assert(written != NULL);
    err = codebook_from_json(written, &again, &fault);
    json_decref(written);
    assert(err == ERR_OK);
    codebook_id(codebook, &id);
    codebook_id(again, &id_again);
    assert(hash_equal(&id, &id_again));
    /* Against itself nothing is another; against the one in force anything may be. */
    json_t *changes = codebook_changes_json(codebook, again, &refused);
    assert(json_is_array(changes));
    for (size_t n = 0; n < json_array_size(changes); n++) {
        const char *how = json_string_value(json_object_get(json_array_get(changes, n), "how"));

        assert(how != NULL && strcmp(how, "refused") == 0); /* the version did not rise */
    }
    json_decref(changes);
    json_decref(codebook_changes_json(codebook_reprisals(), codebook, &refused));
    codebook_free(&codebook);
    codebook_free(&again);
    return 0;
}
