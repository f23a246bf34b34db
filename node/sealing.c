#include "node/sealing.h"

#include "node/world.h"

#include <stdio.h>
#include <string.h>

enum { PASSES = 3 };

enum err
sealing_ask(struct ask *ask, const char *of, unsigned long key_memory_mib, struct stream_recipient *out)
{
    struct buf passphrase = { 0 };
    struct real_world world;
    struct vault_work work = { .passes = PASSES, .memory_bytes = (uint64_t)key_memory_mib << 20 };

    enum err err = ask_passphrase(ask, of, true, &passphrase);
    if (err == ERR_OK) {
        if (key_memory_mib == 0) {
            (void)fprintf(stderr, "Measuring what a passphrase may cost on this machine...\n");
            vault_calibrate(&work);
        }
        real_world_init(&world);
        err = stream_recipient_of_passphrase(out, buf_span(&passphrase), &work, &world.world);
    }
    buf_wipe(&passphrase);
    return err;
}

json_t *
sealing_json(const struct stream_recipient *recipient)
{
    char salt[2 * sizeof recipient->salt + 1];
    char key[2 * sizeof recipient->public_key + 1];

    bytes_hex(salt, span_of(recipient->salt, sizeof recipient->salt));
    bytes_hex(key, span_of(recipient->public_key, sizeof recipient->public_key));
    return json_pack("{s:s,s:I,s:I,s:s}", "salt", salt, "passes", (json_int_t)recipient->work.passes,
                     "memory", (json_int_t)recipient->work.memory_bytes, "key", key);
}

bool
sealing_of_json(const json_t *json, struct stream_recipient *out)
{
    const char *salt = NULL;
    const char *key = NULL;
    json_int_t passes = 0;
    json_int_t memory = 0;

    memset(out, 0, sizeof *out);
    out->type = RECIPIENT_PASSPHRASE;
    if (json_unpack((json_t *)json, "{s:s,s:I,s:I,s:s}", "salt", &salt, "passes", &passes, "memory", &memory,
                    "key", &key) != 0 ||
        passes < 1 || passes > UINT32_MAX || memory < 0 ||
        !bytes_from_hex(out->salt, sizeof out->salt, salt) ||
        !bytes_from_hex(out->public_key, sizeof out->public_key, key)) {
        return false;
    }
    out->work = (struct vault_work){ .passes = (uint32_t)passes, .memory_bytes = (uint64_t)memory };
    return stream_work_valid(&out->work) && crypto_box_key_valid(out->public_key);
}
