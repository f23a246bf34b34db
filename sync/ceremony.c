#include "sync/ceremony.h"
#include "store/base/cbor.h"
#include "store/base/world.h"
#include "store/codebook.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_BYTES_MAX = 4096,
    KEYS_OPEN_MAX = 128,
    DAY_SECONDS = 24 * 60 * 60,
    OFFICE_DAYS = 730,
    DEVICE_DAYS = 365,
};

/* A key file: what a passphrase opens. */
enum {
    KEY_MAGIC_BYTES = 8,
    KEY_FILE_VERSION = 1,
    KEY_PLAIN_BYTES = 32 + KEY_BYTES + HASH_BYTES, /* seed, control key, org */
    KEY_HEAD_BYTES = KEY_MAGIC_BYTES + 1 + 4 + 8 + 16 + HASH_BYTES + NONCE_BYTES,
    KEY_FILE_BYTES = KEY_HEAD_BYTES + KEY_PLAIN_BYTES + SEAL_BYTES,
};

static const char key_magic[KEY_MAGIC_BYTES + 1] = "VIGILKEY";
static const char statements_name[] = "organisation.statements";

struct open_key {
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    struct key_pair pair;
};

/* Everything secret, in locked memory. */
struct secrets {
    struct key control_key;
    size_t key_count;
    struct open_key keys[KEYS_OPEN_MAX];
};

struct ceremony {
    struct ceremony_options options;
    struct secrets *secrets;
    struct roster *roster;
    struct hash org;
};

/* --- words --- */

static enum err
fault(ceremony_fault *out, enum err err, const char *what, const char *why, const char *todo)
{
    if (out != NULL) {
        *out = (ceremony_fault){ what, why, todo };
    }
    return err;
}

static enum err
no_memory(ceremony_fault *out)
{
    return fault(out, ERR_MEMORY, "the ceremony stopped", "the machine has no memory left",
                 "close other programs and try again");
}

/* A file that could not be read or written. */
static enum err
file_fault(ceremony_fault *out, enum err err, const char *what)
{
    return err == ERR_OK ? ERR_OK : fault(out, err, what, err_text(err), "check the directory and try again");
}

static bool
path_of(char out[PATH_BYTES_MAX], const struct ceremony *ceremony, const char *name, const char *suffix)
{
    int size = snprintf(out, PATH_BYTES_MAX, "%s/%s%s", ceremony->options.directory, name, suffix);

    return size > 0 && size < PATH_BYTES_MAX;
}

/* --- key files --- */

static void
key_commitment(struct hash *out, const struct key *key)
{
    CRYPTO_HASH(out, "vigil.kfc.v1", span_of(key->bytes, KEY_BYTES));
}

/* What a key file is bound to: its head up to the nonce, and its name. */
static void
key_associated(struct buf *out, const uint8_t *head, const char *name)
{
    buf_put(out, head, KEY_HEAD_BYTES - NONCE_BYTES);
    buf_put_text(out, name);
}

/* Seal a key under a new passphrase and write its file. */
static enum err
key_write(const struct ceremony *ceremony, const char *name, const uint8_t seed[32],
          ceremony_fault *fault_out)
{
    const struct vault_work *work = ceremony->options.work;
    const struct world *world = ceremony->options.world;
    struct buf passphrase = { 0 };
    struct buf file = { 0 };
    struct buf associated = { 0 };
    uint8_t plain[KEY_PLAIN_BYTES];
    uint8_t salt[16];
    struct hash commitment;
    struct nonce nonce;
    struct key key;
    char path[PATH_BYTES_MAX];

    enum err err = ceremony->options.ask(ceremony->options.self, name, true, &passphrase);
    if (err != ERR_OK || passphrase.size == 0) {
        buf_wipe(&passphrase);
        return fault(fault_out, err == ERR_OK ? ERR_INVALID : err, "the key was not made",
                     "it has no passphrase", "choose a passphrase for every key");
    }
    world_random(world, salt, sizeof salt);
    world_random(world, nonce.bytes, NONCE_BYTES);
    err = crypto_passphrase_key(&key, buf_span(&passphrase), salt, work->passes, work->memory_bytes);
    buf_wipe(&passphrase);
    if (err != ERR_OK) {
        return fault(fault_out, err, "the key was not made", err_text(err),
                     "close other programs and try again");
    }
    key_commitment(&commitment, &key);
    buf_put(&file, key_magic, KEY_MAGIC_BYTES);
    buf_put_u8(&file, KEY_FILE_VERSION);
    buf_put_u32(&file, work->passes);
    buf_put_u64(&file, work->memory_bytes);
    buf_put(&file, salt, sizeof salt);
    buf_put(&file, commitment.bytes, HASH_BYTES);
    if (!file.failed) {
        key_associated(&associated, file.data, name);
    }
    buf_put(&file, nonce.bytes, NONCE_BYTES);
    memcpy(plain, seed, 32);
    memcpy(plain + 32, ceremony->secrets->control_key.bytes, KEY_BYTES);
    memcpy(plain + 32 + KEY_BYTES, ceremony->org.bytes, HASH_BYTES);
    uint8_t *room = buf_extend(&file, KEY_PLAIN_BYTES + SEAL_BYTES);
    if (room != NULL && !associated.failed && path_of(path, ceremony, name, ".key")) {
        crypto_seal(room, &key, &nonce, buf_span(&associated), span_of(plain, sizeof plain));
        assert(file.size == KEY_FILE_BYTES);
        err = file_fault(fault_out, vault_write_plain(path, buf_span(&file)), "a key file was not written");
    } else {
        err = no_memory(fault_out);
    }
    crypto_wipe(plain, sizeof plain);
    crypto_wipe(&key, sizeof key);
    buf_free(&file);
    buf_free(&associated);
    return err;
}

/* Open the bytes of a key file. */
static enum err
key_unseal(struct span file, const char *name, struct span passphrase, uint8_t plain_out[KEY_PLAIN_BYTES])
{
    struct reader reader = reader_of(file);
    struct buf associated = { 0 };
    struct hash commitment;
    uint8_t stored[HASH_BYTES];
    uint8_t salt[16];
    struct nonce nonce;
    struct key key;

    struct span magic = reader_span(&reader, KEY_MAGIC_BYTES);
    uint8_t version = reader_u8(&reader);
    if (!span_equal(magic, span_of(key_magic, KEY_MAGIC_BYTES))) {
        return ERR_CORRUPT;
    }
    if (version != KEY_FILE_VERSION) {
        return ERR_NEWER;
    }
    uint32_t passes = reader_u32(&reader);
    uint64_t memory_bytes = reader_u64(&reader);
    reader_copy(&reader, salt, sizeof salt);
    reader_copy(&reader, stored, sizeof stored);
    reader_copy(&reader, nonce.bytes, NONCE_BYTES);
    struct span sealed = reader_span(&reader, KEY_PLAIN_BYTES + SEAL_BYTES);
    if (!reader_done(&reader)) {
        return ERR_CORRUPT;
    }
    enum err err = crypto_passphrase_key(&key, passphrase, salt, passes, memory_bytes);
    if (err != ERR_OK) {
        return err == ERR_INVALID ? ERR_CORRUPT : err;
    }
    key_commitment(&commitment, &key);
    key_associated(&associated, file.data, name);
    if (associated.failed) {
        err = ERR_MEMORY;
    } else if (!crypto_equal(commitment.bytes, stored, HASH_BYTES)) {
        err = ERR_PASSPHRASE;
    } else if (!crypto_open(plain_out, &key, &nonce, buf_span(&associated), sealed)) {
        err = ERR_CORRUPT;
    }
    crypto_wipe(&key, sizeof key);
    buf_free(&associated);
    return err;
}

static const struct key_pair *
key_find(const struct ceremony *ceremony, const char *name)
{
    for (size_t n = 0; n < ceremony->secrets->key_count; n++) {
        if (strcmp(ceremony->secrets->keys[n].name, name) == 0) {
            return &ceremony->secrets->keys[n].pair;
        }
    }
    return NULL;
}

static enum err
key_keep(struct ceremony *ceremony, const char *name, const uint8_t seed[32], ceremony_fault *fault_out)
{
    struct secrets *secrets = ceremony->secrets;

    if (secrets->key_count == KEYS_OPEN_MAX) {
        return fault(fault_out, ERR_FULL, "too many keys are open at once", "one ceremony opens 128 at most",
                     "do it in several steps");
    }
    struct open_key *open = &secrets->keys[secrets->key_count++];
    (void)snprintf(open->name, sizeof open->name, "%s", name);
    crypto_sign_pair_from_seed(&open->pair, seed);
    return ERR_OK;
}

/* Say in words why a key did not open. */
static enum err
key_fault(ceremony_fault *out, enum err err)
{
    switch (err) {
    case ERR_PASSPHRASE:
        return fault(out, err, "a key does not open", "the passphrase is not that of this key",
                     "try again, with the passphrase of the key that was named");
    case ERR_ABSENT:
        return fault(out, err, "a key that is needed is not at hand",
                     "its file or its passphrase is not here", "bring the key file into the directory");
    case ERR_DENIED:
        return fault(out, err, "a key does not open", "its file or its passphrase could not be read",
                     "check the mode of the file, and give the passphrase at a terminal or by descriptor");
    case ERR_CORRUPT:
        return fault(out, err, "a key file is damaged", "it does not follow its format",
                     "use the copy that is kept elsewhere");
    case ERR_NEWER:
        return fault(out, err, "a key file cannot be read", "it was written by a newer program",
                     "upgrade this program");
    default:
        return fault(out, err, "a key does not open", err_text(err), "try again");
    }
}

/* Open a key file unless it is open. The first one brings org and control key. */
static enum err
key_open(struct ceremony *ceremony, const char *name, ceremony_fault *fault_out)
{
    struct buf file = { 0 };
    struct buf passphrase = { 0 };
    uint8_t plain[KEY_PLAIN_BYTES];
    char path[PATH_BYTES_MAX];
    bool first = ceremony->secrets->key_count == 0;

    if (key_find(ceremony, name) != NULL) {
        return ERR_OK;
    }
    enum err err =
        path_of(path, ceremony, name, ".key") ? vault_read_plain(path, KEY_FILE_BYTES, &file) : ERR_INVALID;
    if (err == ERR_OK) {
        err = ceremony->options.ask(ceremony->options.self, name, false, &passphrase);
    }
    if (err == ERR_OK) {
        err = key_unseal(buf_span(&file), name, buf_span(&passphrase), plain);
    }
    buf_wipe(&passphrase);
    buf_free(&file);
    if (err != ERR_OK) {
        return key_fault(fault_out, err);
    }
    if (first) {
        memcpy(ceremony->secrets->control_key.bytes, plain + 32, KEY_BYTES);
        memcpy(ceremony->org.bytes, plain + 32 + KEY_BYTES, HASH_BYTES);
    } else if (memcmp(ceremony->org.bytes, plain + 32 + KEY_BYTES, HASH_BYTES) != 0) {
        crypto_wipe(plain, sizeof plain);
        return fault(fault_out, ERR_INVALID, "a key is of another organisation",
                     "its file was copied from elsewhere", "use the key file of this organisation");
    }
    err = key_keep(ceremony, name, plain, fault_out);
    crypto_wipe(plain, sizeof plain);
    return err;
}

/* Make a key, sealed in a file of its own. */
static enum err
key_make(struct ceremony *ceremony, const char *name, ceremony_fault *fault_out)
{
    uint8_t seed[32];

    world_random(ceremony->options.world, seed, sizeof seed);
    enum err err = key_write(ceremony, name, seed, fault_out);
    if (err == ERR_OK) {
        err = key_keep(ceremony, name, seed, fault_out);
    }
    crypto_wipe(seed, sizeof seed);
    return err;
}

/* --- opening and closing --- */

static enum err
ceremony_new(struct ceremony **ceremony_out, const struct ceremony_options *options,
             ceremony_fault *fault_out)
{
    struct ceremony *ceremony = calloc(1, sizeof *ceremony);

    if (ceremony == NULL) {
        return no_memory(fault_out);
    }
    ceremony->options = *options;
    ceremony->secrets = crypto_secret_new(sizeof *ceremony->secrets);
    if (ceremony->secrets == NULL) {
        ceremony_close(&ceremony);
        return no_memory(fault_out);
    }
    *ceremony_out = ceremony;
    return ERR_OK;
}

void
ceremony_close(struct ceremony **ceremony)
{
    struct ceremony *old = *ceremony;

    if (old == NULL) {
        return;
    }
    roster_free(&old->roster);
    crypto_secret_free(old->secrets);
    free(old);
    *ceremony = NULL;
}

const struct key_pair *
ceremony_key(const struct ceremony *ceremony, const char *key_name)
{
    return key_find(ceremony, key_name);
}

const struct roster *
ceremony_roster(const struct ceremony *ceremony)
{
    return ceremony->roster;
}

/* Sign a statement, take it into the roster and settle. */
static enum err
sign_and_take(struct ceremony *ceremony, struct statement *statement, const struct key_pair *const *signers,
              size_t signer_count, ceremony_fault *fault_out)
{
    struct buf out = { 0 };

    statement->org = ceremony->org;
    world_random(ceremony->options.world, statement->random, sizeof statement->random);
    enum err err = statement_sign(&out, statement, signers, signer_count, NULL);
    if (err == ERR_OK) {
        enum roster_news news = roster_add(ceremony->roster, buf_span(&out), NULL);
        assert(news == ROSTER_NEW || news == ROSTER_MEMORY);
        err = news == ROSTER_NEW ? roster_settle(ceremony->roster) : ERR_MEMORY;
    }
    buf_free(&out);
    if (err == ERR_FULL) {
        return fault(fault_out, err, "the certificate was not made", "it would hold more than one can",
                     "grant fewer compartments");
    }
    return err == ERR_OK ? ERR_OK : no_memory(fault_out);
}

static uint64_t
days_from_now(const struct ceremony *ceremony, uint64_t days)
{
    return world_wall_ms(ceremony->options.world) / 1000 + days * DAY_SECONDS;
}

static int
key_order(const void *a, const void *b)
{
    return memcmp(a, b, SIGN_PK_BYTES);
}

static bool
name_is_good(const char *name)
{
    struct span text = span_text(name);

    return text.size >= 1 && text.size <= STATEMENT_NAME_BYTES_MAX && utf8_valid(text) &&
           statement_name_plain(text);
}

static enum err
sign_founding(struct ceremony *ceremony, const char *name, const uint8_t (*seeds)[32], uint32_t root_count,
              uint32_t needed, struct buf *founding)
{
    struct statement statement = { .type = STATEMENT_ORGANISATION };
    const struct key_pair *signers[STATEMENT_SIGNERS_MAX];
    uint8_t keys[STATEMENT_SIGNERS_MAX][SIGN_PK_BYTES];
    struct buf roots = { 0 };
    const struct world *world = ceremony->options.world;

    struct key_pair *pairs = crypto_secret_new(root_count * sizeof *pairs);
    if (pairs == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t n = 0; n < root_count; n++) {
        crypto_sign_pair_from_seed(&pairs[n], seeds[n]);
        memcpy(keys[n], pairs[n].public_key, SIGN_PK_BYTES);
        signers[n] = &pairs[n];
    }
    qsort(keys, root_count, sizeof keys[0], key_order);
    for (uint32_t n = 0; n < root_count; n++) {
        statement_put_key(&roots, keys[n]);
    }
    statement.organisation.name = span_text(name);
    statement.organisation.roots = statement_list_of(&roots, root_count);
    statement.organisation.needed = needed;
    world_random(world, statement.organisation.control.bytes, IDENT_BYTES);
    world_random(world, statement.organisation.shared.bytes, IDENT_BYTES);
    statement.organisation.erasure_signatures = root_count == 1 ? 1 : 2;
    codebook_id(codebook_reprisals(), &statement.organisation.codebook_id);
    world_random(world, statement.random, sizeof statement.random);
    enum err err =
        roots.failed ? ERR_MEMORY : statement_sign(founding, &statement, signers, root_count, &ceremony->org);
    crypto_secret_free(pairs);
    buf_free(&roots);
    return err;
}

/* True unless it is certain that there is no such file. */
static bool
has_file(const struct ceremony *ceremony, const char *name, const char *suffix)
{
    struct buf file = { 0 };
    char path[PATH_BYTES_MAX];

    enum err err = path_of(path, ceremony, name, suffix)
                       ? vault_read_plain(path, JOINING_FILE_BYTES_MAX, &file)
                       : ERR_INVALID;
    buf_free(&file);
    return err != ERR_ABSENT;
}

/* Make roots, founding statement, key files and the file of statements, in this order: a directory
 * without the last of these is no organisation. */
static enum err
found(struct ceremony *ceremony, const char *name, uint32_t root_count, uint32_t needed,
      ceremony_fault *fault_out)
{
    struct buf founding = { 0 };

    world_random(ceremony->options.world, ceremony->secrets->control_key.bytes, KEY_BYTES);
    uint8_t(*seeds)[32] = crypto_secret_new(root_count * sizeof *seeds);
    if (seeds == NULL) {
        return no_memory(fault_out);
    }
    for (uint32_t n = 0; n < root_count; n++) {
        world_random(ceremony->options.world, seeds[n], sizeof seeds[n]);
    }
    enum err err = sign_founding(ceremony, name, (const uint8_t(*)[32])seeds, root_count, needed, &founding);
    if (err == ERR_OK) {
        ceremony->roster = roster_new(&ceremony->org);
        err =
            ceremony->roster != NULL && roster_add(ceremony->roster, buf_span(&founding), NULL) == ROSTER_NEW
                ? roster_settle(ceremony->roster)
                : ERR_MEMORY;
    }
    if (err != ERR_OK) {
        err = no_memory(fault_out);
    }
    for (uint32_t n = 0; n < root_count && err == ERR_OK; n++) {
        char key_name[CEREMONY_KEY_NAME_BYTES_MAX];
        (void)snprintf(key_name, sizeof key_name, "root-%u", (unsigned)(n + 1));
        err = key_write(ceremony, key_name, seeds[n], fault_out);
        if (err == ERR_OK) {
            err = key_keep(ceremony, key_name, seeds[n], fault_out);
        }
    }
    crypto_secret_free(seeds);
    buf_free(&founding);
    return err == ERR_OK ? ceremony_save(ceremony, fault_out) : err;
}

enum err
ceremony_found(struct ceremony **ceremony_out, const struct ceremony_options *options, const char *name,
               uint32_t root_count, uint32_t needed, ceremony_fault *fault_out)
{
    struct ceremony *ceremony = NULL;

    if (!name_is_good(name)) {
        return fault(fault_out, ERR_INVALID, "the organisation was not founded",
                     "its name must have 1 to 200 bytes and no control character", "choose another name");
    }
    if (root_count < 1 || root_count > STATEMENT_SIGNERS_MAX || needed < 1 || needed > root_count) {
        return fault(fault_out, ERR_INVALID, "the organisation was not founded",
                     "there are 1 to 64 roots, and at most as many are needed", "choose other numbers");
    }
    enum err err = ceremony_new(&ceremony, options, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    if (has_file(ceremony, statements_name, "") || has_file(ceremony, "root-1", ".key")) {
        err = fault(fault_out, ERR_EXISTS, "the organisation was not founded",
                    "there is one in this directory already, or it cannot be read",
                    "choose an empty directory");
    } else {
        err = found(ceremony, name, root_count, needed, fault_out);
    }
    if (err != ERR_OK) {
        ceremony_close(&ceremony);
        return err;
    }
    *ceremony_out = ceremony;
    return ERR_OK;
}

/* What a walk over statements came to. */
struct taking {
    struct roster *roster;
    bool bad;
};

static void
take_statement(void *self, struct span signed_statement)
{
    struct taking *taking = self;
    enum roster_news news = roster_add(taking->roster, signed_statement, NULL);

    taking->bad |= news != ROSTER_NEW && news != ROSTER_KNOWN;
}

/* Read the file of statements, with the control key that is here. */
static enum err
load_statements(struct ceremony *ceremony, ceremony_fault *fault_out)
{
    struct buf file = { 0 };
    struct buf statements = { 0 };
    struct taking taking = { .bad = false };
    char path[PATH_BYTES_MAX];

    enum err err = path_of(path, ceremony, statements_name, "")
                       ? vault_read_plain(path, JOINING_FILE_BYTES_MAX, &file)
                       : ERR_INVALID;
    if (err != ERR_OK) {
        buf_free(&file);
        return file_fault(fault_out, err, "the file organisation.statements cannot be read");
    }
    err = statements_read(buf_span(&file), &ceremony->secrets->control_key, &statements, fault_out);
    if (err == ERR_OK) {
        ceremony->roster = roster_new(&ceremony->org);
        taking.roster = ceremony->roster;
        if (ceremony->roster == NULL) {
            err = no_memory(fault_out);
        } else if (!joining_each(buf_span(&statements), take_statement, &taking) || taking.bad ||
                   roster_settle(ceremony->roster) != ERR_OK || !roster_founded(ceremony->roster)) {
            err = fault(fault_out, ERR_CORRUPT, "the file organisation.statements is damaged",
                        "what it holds is not signed as it must be", "use the copy that is kept elsewhere");
        }
    }
    buf_free(&file);
    buf_free(&statements);
    return err;
}

/* Open the first root that is at hand. */
static enum err
open_any_root(struct ceremony *ceremony, ceremony_fault *fault_out)
{
    enum err err = ERR_ABSENT;

    for (unsigned n = 1; n <= STATEMENT_SIGNERS_MAX && err == ERR_ABSENT; n++) {
        char name[CEREMONY_KEY_NAME_BYTES_MAX];
        (void)snprintf(name, sizeof name, "root-%u", n);
        err = key_open(ceremony, name, fault_out);
    }
    return err;
}

enum err
ceremony_open(struct ceremony **ceremony_out, const struct ceremony_options *options, const char *key_name,
              ceremony_fault *fault_out)
{
    struct ceremony *ceremony = NULL;
    enum err err = ceremony_new(&ceremony, options, fault_out);

    if (err != ERR_OK) {
        return err;
    }
    if (!has_file(ceremony, statements_name, "")) {
        err = fault(fault_out, ERR_ABSENT, "there is no organisation in this directory",
                    "it holds no file organisation.statements", "name the directory of the ceremony");
    } else {
        err = key_name == NULL ? open_any_root(ceremony, fault_out) : key_open(ceremony, key_name, fault_out);
    }
    if (err == ERR_OK) {
        err = load_statements(ceremony, fault_out);
    }
    if (err != ERR_OK) {
        ceremony_close(&ceremony);
        return err;
    }
    *ceremony_out = ceremony;
    return ERR_OK;
}

/* --- statements out --- */

struct collecting {
    const struct ceremony *ceremony;
    struct buf *out;
    size_t count;
};

static void
collect(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct collecting *collecting = self;
    struct buf one = { 0 };

    (void)type;
    (void)stmt;
    bool here = roster_write(collecting->ceremony->roster, id, &one);
    assert(here);
    cbor_put_bytes(collecting->out, buf_span(&one));
    collecting->out->failed |= one.failed;
    collecting->count++;
    buf_free(&one);
}

/* Every statement, as an array: what others stand on comes first. */
static void
collect_all(const struct ceremony *ceremony, struct buf *array_out)
{
    static const uint32_t first[] = { STATEMENT_ORGANISATION, STATEMENT_ROOTS, STATEMENT_OFFICE,
                                      STATEMENT_DEVICE };
    struct buf items = { 0 };
    struct collecting collecting = { ceremony, &items, 0 };

    for (size_t n = 0; n < sizeof first / sizeof first[0]; n++) {
        roster_each(ceremony->roster, first[n], collect, &collecting);
    }
    for (uint32_t type = STATEMENT_REVOKE; type <= STATEMENT_ACTOR; type++) {
        roster_each(ceremony->roster, type, collect, &collecting);
    }
    cbor_put_array(array_out, collecting.count);
    buf_put_span(array_out, buf_span(&items));
    array_out->failed |= items.failed;
    buf_free(&items);
}

enum err
ceremony_news(const struct ceremony *ceremony, struct buf *file_out)
{
    struct buf array = { 0 };

    collect_all(ceremony, &array);
    enum err err = array.failed ? ERR_MEMORY
                                : statements_write(file_out, buf_span(&array),
                                                   &ceremony->secrets->control_key, ceremony->options.world);
    buf_free(&array);
    return err;
}

enum err
ceremony_save(struct ceremony *ceremony, ceremony_fault *fault_out)
{
    struct buf file = { 0 };
    char path[PATH_BYTES_MAX];

    enum err err = ceremony_news(ceremony, &file);
    if (err == ERR_OK) {
        err = path_of(path, ceremony, statements_name, "") ? vault_write_plain(path, buf_span(&file))
                                                           : ERR_INVALID;
    }
    buf_free(&file);
    return file_fault(fault_out, err, "the file organisation.statements was not written");
}

enum err
ceremony_welcome(const struct ceremony *ceremony, const struct request *request, struct buf *file_out,
                 ceremony_fault *fault_out)
{
    const struct roster_device *device = roster_device_by_sign_pk(ceremony->roster, request->sign_pk);
    struct welcome welcome = { .org = ceremony->org };

    if (device == NULL) {
        return fault(fault_out, ERR_ABSENT, "there is no welcome for this device", "it is not certified",
                     "enrol it first");
    }
    welcome.certificate = device->certificate;
    welcome.control_key = ceremony->secrets->control_key;
    collect_all(ceremony, &welcome.statements);
    enum err err = welcome.statements.failed
                       ? ERR_MEMORY
                       : welcome_write(file_out, &welcome, request->box_pk, ceremony->options.world);
    welcome_free(&welcome);
    return err == ERR_OK ? ERR_OK
                         : fault(fault_out, err, "the welcome was not written", err_text(err), "try again");
}

/* --- offices --- */

static bool
code_is_good(const char *code)
{
    size_t size = strlen(code);

    return size >= 1 && size <= OFFICE_CODE_BYTES_MAX &&
           strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == size;
}

enum err
ceremony_read_grant(const struct ceremony *ceremony, const char *text,
                    struct ceremony_grant grants_out[OWN_COUNT], size_t *count_out)
{
    static const char *const levels[] = {
        [LEVEL_CARRY] = "carry", [LEVEL_READ] = "read", [LEVEL_WRITE] = "write", [LEVEL_ADMIN] = "admin"
    };
    static const char *const parts[OWN_COUNT] = { "cases", "protected", "audit" };
    char code[OFFICE_CODE_BYTES_MAX + 1];
    const char *colon = strchr(text, ':');
    const char *equals = strchr(text, '=');
    enum level level = LEVEL_NONE;

    *count_out = 0;
    if (colon == NULL || equals == NULL || colon > equals || colon - text > OFFICE_CODE_BYTES_MAX) {
        return ERR_INVALID;
    }
    for (enum level n = LEVEL_CARRY; n <= LEVEL_ADMIN; n++) {
        level = strcmp(equals + 1, levels[n]) == 0 ? n : level;
    }
    (void)snprintf(code, sizeof code, "%.*s", (int)(colon - text), text);
    size_t part_bytes = (size_t)(equals - colon - 1);
    const struct roster_office *office = roster_office_by_code(ceremony->roster, code);
    if (level == LEVEL_NONE || !code_is_good(code)) {
        return ERR_INVALID;
    }
    if (office == NULL) {
        return ERR_ABSENT;
    }
    for (size_t n = 0; n < OWN_COUNT; n++) {
        bool all = part_bytes == 3 && memcmp(colon + 1, "all", 3) == 0;
        if (all || (strlen(parts[n]) == part_bytes && memcmp(colon + 1, parts[n], part_bytes) == 0)) {
            grants_out[(*count_out)++] = (struct ceremony_grant){ office->own[n], level };
        }
    }
    return *count_out > 0 ? ERR_OK : ERR_ABSENT;
}

/* Grants that are being collected for a certificate. */
struct grant_set {
    struct ceremony_grant *grants;
    size_t count;
    size_t room;
};

/* Raise the level of a compartment to at least this. True if that changed anything. */
static bool
grant_raise(struct grant_set *set, const struct ident *compartment, enum level level)
{
    for (size_t n = 0; n < set->count; n++) {
        if (ident_equal(&set->grants[n].compartment, compartment)) {
            bool raised = set->grants[n].level < level;
            set->grants[n].level = raised ? level : set->grants[n].level;
            return raised;
        }
    }
    assert(set->count < set->room);
    set->grants[set->count++] = (struct ceremony_grant){ *compartment, level };
    return true;
}

static int
grant_order(const void *a, const void *b)
{
    return ident_compare(&((const struct ceremony_grant *)a)->compartment,
                         &((const struct ceremony_grant *)b)->compartment);
}

/* The grants as a list of a certificate. */
static struct statement_list
grant_list(struct buf *items, struct ceremony_grant *grants, size_t count)
{
    if (count > 0) {
        qsort(grants, count, sizeof *grants, grant_order);
    }
    for (size_t n = 0; n < count; n++) {
        statement_put_grant(items, &grants[n].compartment, grants[n].level);
    }
    return statement_list_of(items, count);
}

/* Open as many roots as are needed. Gives them in `signers_out`. */
static enum err
open_roots(struct ceremony *ceremony, const struct key_pair **signers_out, size_t *count_out,
           ceremony_fault *fault_out)
{
    uint32_t needed = 0;
    struct statement_list roots = roster_roots(ceremony->roster, &needed);
    size_t count = 0;

    for (unsigned n = 1; n <= STATEMENT_SIGNERS_MAX && count < needed; n++) {
        char name[CEREMONY_KEY_NAME_BYTES_MAX];
        (void)snprintf(name, sizeof name, "root-%u", n);
        enum err err = key_open(ceremony, name, fault_out);
        if (err != ERR_OK && err != ERR_ABSENT) {
            return err;
        }
        const struct key_pair *pair = key_find(ceremony, name);
        if (pair != NULL && statement_key_find(&roots, pair->public_key)) {
            signers_out[count++] = pair;
        }
    }
    *count_out = count;
    return count == needed ? ERR_OK
                           : fault(fault_out, ERR_DENIED, "the roots did not sign",
                                   "fewer root keys are at hand than must sign together",
                                   "bring more root key files into the directory, with their passphrases");
}

/* Sign a certificate of an office by the roots. */
static enum err
sign_office(struct ceremony *ceremony, const uint8_t office_pk[SIGN_PK_BYTES], const char *code,
            const char *name, const struct ident own[OWN_COUNT], struct grant_set *set,
            ceremony_fault *fault_out)
{
    struct statement statement = { .type = STATEMENT_OFFICE };
    const struct key_pair *signers[STATEMENT_SIGNERS_MAX];
    struct buf items = { 0 };
    size_t signer_count = 0;

    enum err err = open_roots(ceremony, signers, &signer_count, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    memcpy(statement.office.office_pk, office_pk, SIGN_PK_BYTES);
    statement.office.code = span_text(code);
    statement.office.name = span_text(name);
    memcpy(statement.office.own, own, sizeof statement.office.own);
    statement.office.grants = grant_list(&items, set->grants, set->count);
    statement.office.until = days_from_now(ceremony, OFFICE_DAYS);
    err = items.failed ? no_memory(fault_out)
                       : sign_and_take(ceremony, &statement, signers, signer_count, fault_out);
    buf_free(&items);
    return err;
}

/* Room for every compartment there is, and for `more`. */
static bool
grant_set_new(struct grant_set *set, const struct ceremony *ceremony, size_t more)
{
    *set = (struct grant_set){ .room = roster_compartment_count(ceremony->roster) + more };
    set->grants = calloc(set->room == 0 ? 1 : set->room, sizeof *set->grants);
    return set->grants != NULL;
}

/* Raise to admin in the own compartments of every office. True if that changed anything. */
static bool
grant_everything(struct grant_set *set, const struct roster *roster)
{
    bool changed = false;

    for (size_t n = 0; n < roster_compartment_count(roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(roster, n);
        if (compartment->owner != NULL) {
            changed |= grant_raise(set, &compartment->id, LEVEL_ADMIN);
        }
    }
    return changed;
}

/* Start from what the office has. */
static void
grant_present(struct grant_set *set, const struct roster *roster, const struct roster_office *office)
{
    for (size_t n = 0; n < roster_compartment_count(roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(roster, n);
        enum level level = roster_office_level(roster, office, &compartment->id);
        if (level != LEVEL_NONE) {
            (void)grant_raise(set, &compartment->id, level);
        }
    }
}

/* Sign a new certificate of an office that exists, if it lacks any of this. */
static enum err
widen_office(struct ceremony *ceremony, const uint8_t office_pk[SIGN_PK_BYTES], bool everything,
             const struct ceremony_grant *grants, size_t grant_count, ceremony_fault *fault_out)
{
    const struct roster_office *office = roster_office(ceremony->roster, office_pk);
    struct grant_set set;
    bool changed = false;

    if (!grant_set_new(&set, ceremony, grant_count)) {
        return no_memory(fault_out);
    }
    grant_present(&set, ceremony->roster, office);
    if (everything) {
        changed |= grant_everything(&set, ceremony->roster);
    }
    for (size_t n = 0; n < grant_count; n++) {
        changed |= grant_raise(&set, &grants[n].compartment, grants[n].level);
    }
    enum err err = changed ? sign_office(ceremony, office->office_pk, office->code, office->name, office->own,
                                         &set, fault_out)
                           : ERR_OK;
    free(set.grants);
    return err;
}

/* True if a device of the office serves headquarters. */
static bool
is_headquarters(const struct roster *roster, const struct roster_office *office)
{
    for (size_t n = 0; n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);
        if (device->office == office && (device->roles & ROLE_HEADQUARTERS) != 0) {
            return true;
        }
    }
    return false;
}

/* Headquarters hold the compartments of every office. */
static enum err
widen_headquarters(struct ceremony *ceremony, ceremony_fault *fault_out)
{
    size_t count = roster_office_count(ceremony->roster);
    enum err err = ERR_OK;

    /* Offices keep their order while only certificates are added. */
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        const struct roster_office *office = roster_office_at(ceremony->roster, n);
        if (is_headquarters(ceremony->roster, office)) {
            err = widen_office(ceremony, office->office_pk, true, NULL, 0, fault_out);
        }
    }
    return err;
}

static void
office_key_name(char out[CEREMONY_KEY_NAME_BYTES_MAX], const char *code)
{
    (void)snprintf(out, CEREMONY_KEY_NAME_BYTES_MAX, "office-%s", code);
}

/* Make an office that is not there yet. */
static enum err
make_office(struct ceremony *ceremony, const char *code, const char *name, bool everything,
            const struct ceremony_grant *grants, size_t grant_count, ceremony_fault *fault_out)
{
    const struct key_pair *signers[STATEMENT_SIGNERS_MAX];
    char key_name[CEREMONY_KEY_NAME_BYTES_MAX];
    struct ident own[OWN_COUNT];
    struct grant_set set;
    size_t signer_count = 0;

    /* The roots first: a key file without a certificate would be of no use. */
    enum err err = open_roots(ceremony, signers, &signer_count, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    if (!grant_set_new(&set, ceremony, OWN_COUNT + grant_count)) {
        return no_memory(fault_out);
    }
    office_key_name(key_name, code);
    /* A key whose certificate was lost on the way is used, not written over. */
    err = has_file(ceremony, key_name, ".key") ? key_open(ceremony, key_name, fault_out)
                                               : key_make(ceremony, key_name, fault_out);
    for (size_t n = 0; n < OWN_COUNT; n++) {
        world_random(ceremony->options.world, own[n].bytes, IDENT_BYTES);
        (void)grant_raise(&set, &own[n], LEVEL_ADMIN);
    }
    if (everything) {
        (void)grant_everything(&set, ceremony->roster);
    }
    for (size_t n = 0; n < grant_count; n++) {
        (void)grant_raise(&set, &grants[n].compartment, grants[n].level);
    }
    if (err == ERR_OK) {
        err =
            sign_office(ceremony, key_find(ceremony, key_name)->public_key, code, name, own, &set, fault_out);
    }
    free(set.grants);
    return err;
}

enum err
ceremony_office(struct ceremony *ceremony, const char *code, const char *name, bool everything,
                const struct ceremony_grant *grants, size_t grant_count, ceremony_fault *fault_out)
{
    const struct roster_office *office = roster_office_by_code(ceremony->roster, code);

    if (office != NULL) {
        return widen_office(ceremony, office->office_pk, everything, grants, grant_count, fault_out);
    }
    if (!code_is_good(code) || (name != NULL && !name_is_good(name))) {
        return fault(fault_out, ERR_INVALID, "the office was not made",
                     "a code is 1 to 12 of A-Z, 0-9 and -, a name 1 to 200 bytes", "choose others");
    }
    enum err err =
        make_office(ceremony, code, name == NULL ? code : name, everything, grants, grant_count, fault_out);
    return err == ERR_OK ? widen_headquarters(ceremony, fault_out) : err;
}

/* --- devices --- */

enum err
ceremony_device(struct ceremony *ceremony, const char *code, const struct request *request, enum level level,
                uint32_t roles, const struct ceremony_grant *grants, size_t grant_count,
                ceremony_fault *fault_out)
{
    const struct roster_office *office = roster_office_by_code(ceremony->roster, code);
    struct statement statement = { .type = STATEMENT_DEVICE };
    char key_name[CEREMONY_KEY_NAME_BYTES_MAX];
    struct grant_set set;
    struct buf items = { 0 };

    if (office == NULL) {
        return fault(fault_out, ERR_ABSENT, "the device was not enrolled", "there is no office of this code",
                     "check the code");
    }
    office_key_name(key_name, code);
    enum err err = key_open(ceremony, key_name, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    const struct key_pair *signer = key_find(ceremony, key_name);
    if (memcmp(signer->public_key, office->office_pk, SIGN_PK_BYTES) != 0) {
        return fault(fault_out, ERR_INVALID, "the device was not enrolled",
                     "the key file is not that of this office", "use the key file of this office");
    }
    if (!grant_set_new(&set, ceremony, grant_count)) {
        return no_memory(fault_out);
    }
    for (size_t n = 0; n < grant_count; n++) {
        (void)grant_raise(&set, &grants[n].compartment, grants[n].level);
    }
    memcpy(statement.device.sign_pk, request->sign_pk, SIGN_PK_BYTES);
    memcpy(statement.device.box_pk, request->box_pk, 32);
    memcpy(statement.device.transport_pk, request->transport_pk, 32);
    memcpy(statement.device.office_pk, office->office_pk, SIGN_PK_BYTES);
    statement.device.grants = grant_list(&items, set.grants, set.count);
    statement.device.any = level;
    statement.device.roles = roles;
    statement.device.name = span_text(request->name);
    statement.device.until = days_from_now(ceremony, DEVICE_DAYS);
    statement.device.possession = request->possession;
    err = items.failed ? no_memory(fault_out) : sign_and_take(ceremony, &statement, &signer, 1, fault_out);
    free(set.grants);
    buf_free(&items);
    if (err != ERR_OK) {
        return err;
    }
    const struct roster_device *device = roster_device_by_sign_pk(ceremony->roster, request->sign_pk);
    if (device == NULL || memcmp(device->box_pk, request->box_pk, 32) != 0) {
        return fault(fault_out, ERR_EXISTS, "the device was not enrolled",
                     "one of its keys is that of another device", "make a new request with new keys");
    }
    return ERR_OK;
}

enum err
ceremony_trial(const struct ceremony_options *options, const char *organisation_name, const char *code,
               const char *office_name, const struct request *request, struct buf *welcome_out,
               ceremony_fault *fault_out)
{
    const uint32_t roles = ROLE_CASE_WORK | ROLE_REVIEW | ROLE_HEADQUARTERS | ROLE_OPERATOR;
    struct ceremony *ceremony = NULL;

    enum err err = ceremony_found(&ceremony, options, organisation_name, 1, 1, fault_out);
    if (err == ERR_OK) {
        err = ceremony_office(ceremony, code, office_name, true, NULL, 0, fault_out);
    }
    if (err == ERR_OK) {
        err = ceremony_device(ceremony, code, request, LEVEL_ADMIN, roles, NULL, 0, fault_out);
    }
    if (err == ERR_OK) {
        err = ceremony_save(ceremony, fault_out);
    }
    if (err == ERR_OK) {
        err = ceremony_welcome(ceremony, request, welcome_out, fault_out);
    }
    ceremony_close(&ceremony);
    return err;
}

/* --- backups --- */

enum err
ceremony_open_backup(struct ceremony *ceremony, const char *key_name, const struct stream_header *header,
                     struct key *file_key_out, ceremony_fault *fault_out)
{
    struct key_pair pair;

    crypto_wipe(file_key_out, sizeof *file_key_out);
    enum err err = key_open(ceremony, key_name, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    crypto_box_pair_of_sign_pair(&pair, key_find(ceremony, key_name));
    err = stream_open_box(header, &pair, file_key_out);
    crypto_wipe(&pair, sizeof pair);
    if (err == ERR_LOCKED) {
        return fault(
            fault_out, err, "the backup does not open",
            "it is not sealed to this office key: its node was of another office, or of an older key",
            "name the key of the office that the node belonged to when it was made, with --key");
    }
    return err == ERR_OK ? ERR_OK
                         : fault(fault_out, err, "the backup does not open",
                                 "what is sealed to this office is not its key", "use another copy of it");
}
