#include "sync/ceremony_state.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A key file: what a passphrase opens. Its head up to the nonce, and its name, are bound in. */
enum {
    KEY_MAGIC_BYTES = 8,
    KEY_FIRST_VERSION = 1, /* had no public key in its head */
    KEY_VERSION = 2,
    KEY_PLAIN_BYTES = 32 + KEY_BYTES + HASH_BYTES, /* seed, control key, org */
    KEY_FILE_BYTES_MAX = KEY_MAGIC_BYTES + 1 + 4 + 8 + 16 + HASH_BYTES + SIGN_PK_BYTES + NONCE_BYTES +
                         KEY_PLAIN_BYTES + SEAL_BYTES,
};

static const char key_magic[KEY_MAGIC_BYTES + 1] = "VIGILKEY";

/* A key file in words. */
struct key_file {
    uint8_t version;
    struct vault_work work;
    uint8_t salt[16];
    uint8_t commitment[HASH_BYTES];
    uint8_t public_key[SIGN_PK_BYTES]; /* not of the first version */
    struct nonce nonce;
    struct span bound;  /* the head up to the nonce; lent */
    struct span sealed; /* lent */
};

/* --- the file --- */

static enum err
key_file_decode(struct span bytes, struct key_file *file)
{
    struct reader reader = reader_of(bytes);

    *file = (struct key_file){ 0 };
    if (!span_equal(reader_span(&reader, KEY_MAGIC_BYTES), span_of(key_magic, KEY_MAGIC_BYTES))) {
        return ERR_CORRUPT;
    }
    file->version = reader_u8(&reader);
    if (reader.failed || file->version < KEY_FIRST_VERSION) {
        return ERR_CORRUPT;
    }
    if (file->version > KEY_VERSION) {
        return ERR_NEWER;
    }
    file->work.passes = reader_u32(&reader);
    file->work.memory_bytes = reader_u64(&reader);
    reader_copy(&reader, file->salt, sizeof file->salt);
    reader_copy(&reader, file->commitment, sizeof file->commitment);
    if (file->version >= KEY_VERSION) {
        reader_copy(&reader, file->public_key, sizeof file->public_key);
    }
    file->bound = span_of(bytes.data, bytes.size - reader_left(&reader));
    reader_copy(&reader, file->nonce.bytes, NONCE_BYTES);
    file->sealed = reader_span(&reader, KEY_PLAIN_BYTES + SEAL_BYTES);
    return reader_done(&reader) ? ERR_OK : ERR_CORRUPT;
}

static void
key_commitment(struct hash *out, const struct key *key)
{
    CRYPTO_HASH(out, "vigil.kfc.v1", span_of(key->bytes, KEY_BYTES));
}

/* Append what the seal of a key is bound to. */
static void
put_bound(struct buf *out, struct span head, const char *name)
{
    buf_put_span(out, head);
    buf_put_text(out, name);
}

static void
put_head(struct buf *out, const struct key_file *file)
{
    buf_put(out, key_magic, KEY_MAGIC_BYTES);
    buf_put_u8(out, KEY_VERSION);
    buf_put_u32(out, file->work.passes);
    buf_put_u64(out, file->work.memory_bytes);
    buf_put(out, file->salt, sizeof file->salt);
    buf_put(out, file->commitment, sizeof file->commitment);
    buf_put(out, file->public_key, sizeof file->public_key);
}

/* Append the whole file of a key: `plain` sealed under `key`. */
static void
put_file(struct buf *out, struct key_file *file, const char *name, const struct key *key,
         const uint8_t plain[KEY_PLAIN_BYTES])
{
    struct buf bound = { 0 };

    put_head(out, file);
    put_bound(&bound, buf_span(out), name);
    buf_put(out, file->nonce.bytes, NONCE_BYTES);
    uint8_t *room = buf_extend(out, KEY_PLAIN_BYTES + SEAL_BYTES);
    if (room != NULL && !bound.failed) {
        crypto_seal(room, key, &file->nonce, buf_span(&bound), span_of(plain, KEY_PLAIN_BYTES));
    }
    out->failed |= bound.failed;
    buf_free(&bound);
}

/* Open the bytes of a key file. */
static enum err
key_unseal(struct span bytes, const char *name, struct span passphrase, uint8_t plain_out[KEY_PLAIN_BYTES])
{
    struct buf bound = { 0 };
    struct key_file file;
    struct hash commitment;
    struct key key;

    enum err err = key_file_decode(bytes, &file);
    if (err != ERR_OK) {
        return err;
    }
    err = crypto_passphrase_key(&key, passphrase, file.salt, file.work.passes, file.work.memory_bytes);
    if (err != ERR_OK) {
        return err == ERR_INVALID ? ERR_CORRUPT : err;
    }
    key_commitment(&commitment, &key);
    put_bound(&bound, file.bound, name);
    if (bound.failed) {
        err = ERR_MEMORY;
    } else if (!crypto_equal(commitment.bytes, file.commitment, HASH_BYTES)) {
        err = ERR_PASSPHRASE;
    } else if (!crypto_open(plain_out, &key, &file.nonce, buf_span(&bound), file.sealed)) {
        err = ERR_CORRUPT;
    }
    crypto_wipe(&key, sizeof key);
    buf_free(&bound);
    return err;
}

/* --- names --- */

void
root_key_name(char out[CEREMONY_KEY_NAME_BYTES_MAX], unsigned number)
{
    (void)snprintf(out, CEREMONY_KEY_NAME_BYTES_MAX, "root-%u", number);
}

void
office_key_name(char out[CEREMONY_KEY_NAME_BYTES_MAX], const char *code, unsigned number)
{
    /* No code has a dot, so no name is that of another office. */
    if (number > 1) {
        (void)snprintf(out, CEREMONY_KEY_NAME_BYTES_MAX, "office-%.12s.%u", code, number);
    } else {
        (void)snprintf(out, CEREMONY_KEY_NAME_BYTES_MAX, "office-%.12s", code);
    }
}

/* --- keys that are open --- */

const struct key_pair *
ceremony_key_find(const struct ceremony *ceremony, const char *name)
{
    for (size_t n = 0; n < ceremony->secrets->key_count; n++) {
        if (strcmp(ceremony->secrets->keys[n].name, name) == 0) {
            return &ceremony->secrets->keys[n].pair;
        }
    }
    return NULL;
}

static const struct key_pair *
find_public(const struct ceremony *ceremony, const uint8_t public_key[SIGN_PK_BYTES])
{
    for (size_t n = 0; n < ceremony->secrets->key_count; n++) {
        if (memcmp(ceremony->secrets->keys[n].pair.public_key, public_key, SIGN_PK_BYTES) == 0) {
            return &ceremony->secrets->keys[n].pair;
        }
    }
    return NULL;
}

static enum err
key_keep(struct ceremony *ceremony, const char *name, const uint8_t seed[32], ceremony_fault *fault_out)
{
    struct secrets *secrets = ceremony->secrets;

    if (secrets->key_count == CEREMONY_KEYS_MAX) {
        return ceremony_fail(fault_out, ERR_FULL, "too many keys are open at once",
                             "one ceremony opens 128 at most", "do it in several steps");
    }
    struct open_key *open = &secrets->keys[secrets->key_count++];
    (void)snprintf(open->name, sizeof open->name, "%s", name);
    crypto_sign_pair_from_seed(&open->pair, seed);
    return ERR_OK;
}

static bool
was_skipped(const struct ceremony *ceremony, const char *name)
{
    for (size_t n = 0; n < ceremony->skipped_count; n++) {
        if (strcmp(ceremony->skipped[n], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Ask for a passphrase. Who had none once is not asked again. */
static enum err
ask(struct ceremony *ceremony, const char *name, bool fresh, struct buf *passphrase)
{
    if (!fresh && was_skipped(ceremony, name)) {
        return ERR_ABSENT;
    }
    enum err err = ceremony->options.ask(ceremony->options.self, name, fresh, passphrase);
    if (err == ERR_ABSENT && ceremony->skipped_count < CEREMONY_KEYS_MAX) {
        (void)snprintf(ceremony->skipped[ceremony->skipped_count++], CEREMONY_KEY_NAME_BYTES_MAX, "%s", name);
    }
    return err;
}

/* --- opening and making --- */

/* Say in words why a key did not open. */
static enum err
key_fault(const struct ceremony *ceremony, const char *name, ceremony_fault *out, enum err err)
{
    if (ceremony->options.key_in_question != NULL) {
        (void)snprintf(ceremony->options.key_in_question, CEREMONY_KEY_NAME_BYTES_MAX, "%s", name);
    }
    switch (err) {
    case ERR_PASSPHRASE:
        return ceremony_fail(out, err, "a key does not open", "the passphrase is not that of this key",
                             "try again, with the passphrase of the key that was named");
    case ERR_ABSENT:
        return ceremony_fail(out, err, "a key that is needed is not at hand",
                             "its file or its passphrase is not here",
                             "bring the key file into the directory, or name another key with --key");
    case ERR_DENIED:
        return ceremony_fail(
            out, err, "a key does not open", "its file or its passphrase could not be read",
            "check the mode of the file, and give the passphrase at a terminal or by descriptor");
    case ERR_CORRUPT:
        return ceremony_fail(out, err, "a key file cannot be used",
                             "it is damaged, or it is the file of another key under this name",
                             "use the copy that is kept elsewhere");
    case ERR_NEWER:
        return ceremony_fail(out, err, "a key file cannot be read", "it was written by a newer program",
                             "upgrade this program");
    default:
        return ceremony_fail(out, err, "a key does not open", err_text(err), "try again");
    }
}

void
ceremony_ask_on(const struct ceremony *ceremony)
{
    if (ceremony->options.key_in_question != NULL) {
        ceremony->options.key_in_question[0] = '\0';
    }
}

static enum err
read_file(const struct ceremony *ceremony, const char *name, struct buf *out)
{
    char path[CEREMONY_PATH_BYTES_MAX];

    return ceremony_path(path, ceremony, name, ".key") ? vault_read_plain(path, KEY_FILE_BYTES_MAX, out)
                                                       : ERR_INVALID;
}

enum err
ceremony_key_peek(const struct ceremony *ceremony, const char *name, uint8_t public_key_out[SIGN_PK_BYTES])
{
    struct buf bytes = { 0 };
    struct key_file file;

    enum err err = read_file(ceremony, name, &bytes);
    if (err == ERR_OK) {
        err = key_file_decode(buf_span(&bytes), &file);
    }
    if (err == ERR_OK) {
        memcpy(public_key_out, file.public_key, SIGN_PK_BYTES);
        err = file.version < KEY_VERSION ? ERR_LOCKED : ERR_OK;
    }
    buf_free(&bytes);
    return err;
}

enum err
ceremony_key_open(struct ceremony *ceremony, const char *name, ceremony_fault *fault_out)
{
    struct buf bytes = { 0 };
    struct buf passphrase = { 0 };
    uint8_t plain[KEY_PLAIN_BYTES];
    bool first = ceremony->secrets->key_count == 0;

    if (ceremony_key_find(ceremony, name) != NULL) {
        return ERR_OK;
    }
    enum err err = read_file(ceremony, name, &bytes);
    if (err == ERR_OK) {
        err = ask(ceremony, name, false, &passphrase);
    }
    if (err == ERR_OK) {
        err = key_unseal(buf_span(&bytes), name, buf_span(&passphrase), plain);
    }
    buf_wipe(&passphrase);
    buf_free(&bytes);
    if (err != ERR_OK) {
        return key_fault(ceremony, name, fault_out, err);
    }
    if (first) {
        memcpy(ceremony->secrets->control_key.bytes, plain + 32, KEY_BYTES);
        memcpy(ceremony->org.bytes, plain + 32 + KEY_BYTES, HASH_BYTES);
    } else if (memcmp(ceremony->org.bytes, plain + 32 + KEY_BYTES, HASH_BYTES) != 0) {
        crypto_wipe(plain, sizeof plain);
        (void)key_fault(ceremony, name, NULL, ERR_INVALID);
        return ceremony_fail(fault_out, ERR_INVALID, "a key is of another organisation",
                             "its file was copied from elsewhere", "use the key file of this organisation");
    }
    err = key_keep(ceremony, name, plain, fault_out);
    crypto_wipe(plain, sizeof plain);
    return err;
}

/* Seal and write the file of a key, whose passphrase has been given. */
static enum err
seal_file(const struct ceremony *ceremony, const char *name, const uint8_t seed[32], struct span passphrase,
          ceremony_fault *fault_out)
{
    struct key_file file = { .work = *ceremony->options.work };
    const struct world *world = ceremony->options.world;
    uint8_t plain[KEY_PLAIN_BYTES];
    struct buf bytes = { 0 };
    struct hash commitment;
    struct key_pair pair;
    struct key key;
    char path[CEREMONY_PATH_BYTES_MAX];

    world_random(world, file.salt, sizeof file.salt);
    world_random(world, file.nonce.bytes, NONCE_BYTES);
    enum err err =
        crypto_passphrase_key(&key, passphrase, file.salt, file.work.passes, file.work.memory_bytes);
    if (err != ERR_OK) {
        return ceremony_fail(fault_out, err, "the key was not made", err_text(err),
                             "close other programs and try again");
    }
    key_commitment(&commitment, &key);
    memcpy(file.commitment, commitment.bytes, HASH_BYTES);
    crypto_sign_pair_from_seed(&pair, seed);
    memcpy(file.public_key, pair.public_key, SIGN_PK_BYTES);
    crypto_wipe(&pair, sizeof pair);
    memcpy(plain, seed, 32);
    memcpy(plain + 32, ceremony->secrets->control_key.bytes, KEY_BYTES);
    memcpy(plain + 32 + KEY_BYTES, ceremony->org.bytes, HASH_BYTES);
    put_file(&bytes, &file, name, &key, plain);
    crypto_wipe(plain, sizeof plain);
    crypto_wipe(&key, sizeof key);
    if (bytes.failed) {
        err = ceremony_no_memory(fault_out);
    } else {
        err = ceremony_path(path, ceremony, name, ".key") ? vault_write_plain(path, buf_span(&bytes))
                                                          : ERR_INVALID;
        if (err != ERR_OK) {
            err = ceremony_fail(fault_out, err, "a key file was not written", err_text(err),
                                "check the directory and try again");
        }
    }
    buf_free(&bytes);
    return err;
}

enum err
ceremony_key_write(struct ceremony *ceremony, const char *name, const uint8_t seed[32],
                   ceremony_fault *fault_out)
{
    struct buf passphrase = { 0 };

    enum err err = ask(ceremony, name, true, &passphrase);
    if (err != ERR_OK || passphrase.size == 0) {
        buf_wipe(&passphrase);
        return ceremony_fail(fault_out, err == ERR_OK ? ERR_INVALID : err, "the key was not made",
                             "it has no passphrase", "choose a passphrase for every key");
    }
    err = seal_file(ceremony, name, seed, buf_span(&passphrase), fault_out);
    buf_wipe(&passphrase);
    return err == ERR_OK ? key_keep(ceremony, name, seed, fault_out) : err;
}

enum err
ceremony_key_make(struct ceremony *ceremony, const char *name, ceremony_fault *fault_out)
{
    uint8_t seed[32];

    if (ceremony_has_file(ceremony, name, ".key")) {
        return ceremony_key_open(ceremony, name, fault_out);
    }
    world_random(ceremony->options.world, seed, sizeof seed);
    enum err err = ceremony_key_write(ceremony, name, seed, fault_out);
    crypto_wipe(seed, sizeof seed);
    return err;
}

/* Open the file `name` if it is that of this key. ERR_ABSENT: it is not, or not at hand. */
static enum err
try_file(struct ceremony *ceremony, const char *name, const uint8_t public_key[SIGN_PK_BYTES],
         const struct key_pair **pair_out, ceremony_fault *fault_out)
{
    uint8_t found[SIGN_PK_BYTES];

    enum err err = ceremony_key_peek(ceremony, name, found);
    if (err != ERR_OK && err != ERR_LOCKED) {
        return err == ERR_ABSENT ? err : key_fault(ceremony, name, fault_out, err);
    }
    if (err == ERR_OK && memcmp(found, public_key, SIGN_PK_BYTES) != 0) {
        return ERR_ABSENT;
    }
    err = ceremony_key_open(ceremony, name, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    const struct key_pair *pair = ceremony_key_find(ceremony, name);
    assert(pair != NULL);
    if (memcmp(pair->public_key, public_key, SIGN_PK_BYTES) != 0) {
        return ERR_ABSENT;
    }
    *pair_out = pair;
    return ERR_OK;
}

enum err
ceremony_key_root(struct ceremony *ceremony, const uint8_t root_pk[SIGN_PK_BYTES],
                  const struct key_pair **pair_out, ceremony_fault *fault_out)
{
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    enum err err = ERR_ABSENT;

    *pair_out = find_public(ceremony, root_pk);
    for (unsigned n = 1; n <= ROOT_NUMBER_MAX && *pair_out == NULL && err == ERR_ABSENT; n++) {
        root_key_name(name, n);
        err = try_file(ceremony, name, root_pk, pair_out, fault_out);
    }
    if (err == ERR_ABSENT) {
        ceremony_ask_on(ceremony);
    }
    return *pair_out != NULL ? ERR_OK : err;
}

enum err
ceremony_key_office(struct ceremony *ceremony, const char *code, const uint8_t office_pk[SIGN_PK_BYTES],
                    const struct key_pair **pair_out, ceremony_fault *fault_out)
{
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    enum err err = ERR_ABSENT;

    *pair_out = find_public(ceremony, office_pk);
    for (unsigned n = 1; n <= OFFICE_KEYS_MAX && *pair_out == NULL && err == ERR_ABSENT; n++) {
        office_key_name(name, code, n);
        err = try_file(ceremony, name, office_pk, pair_out, fault_out);
    }
    if (*pair_out != NULL) {
        return ERR_OK;
    }
    office_key_name(name, code, 1);
    return err == ERR_ABSENT ? key_fault(ceremony, name, fault_out, err) : err;
}

/* --- backups --- */

enum err
ceremony_open_backup(struct ceremony *ceremony, const char *key_name, const struct stream_header *header,
                     struct key *file_key_out, ceremony_fault *fault_out)
{
    struct key_pair pair;

    crypto_wipe(file_key_out, sizeof *file_key_out);
    enum err err = ceremony_key_open(ceremony, key_name, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    crypto_box_pair_of_sign_pair(&pair, ceremony_key_find(ceremony, key_name));
    err = stream_open_box(header, &pair, file_key_out);
    crypto_wipe(&pair, sizeof pair);
    if (err == ERR_LOCKED) {
        return ceremony_fail(
            fault_out, err, "the backup does not open",
            "it is not sealed to this office key: its node was of another office, or of an older key",
            "name the key of the office that the node belonged to when it was made, with --key");
    }
    return err == ERR_OK
               ? ERR_OK
               : ceremony_fail(fault_out, err, "the backup does not open",
                               "what is sealed to this office is not its key", "use another copy of it");
}
