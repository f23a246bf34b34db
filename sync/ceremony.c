#include "sync/ceremony_state.h"
#include "store/base/cbor.h"
#include "store/codebook.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_SECONDS = 24 * 60 * 60 };

static const char statements_name[] = "organisation.statements";

/* --- words --- */

enum err
ceremony_fail(ceremony_fault *out, enum err err, const char *what, const char *why, const char *todo)
{
    if (out != NULL) {
        *out = (ceremony_fault){ what, why, todo };
    }
    return err;
}

enum err
ceremony_no_memory(ceremony_fault *out)
{
    return ceremony_fail(out, ERR_MEMORY, "the ceremony stopped", "the machine has no memory left",
                         "close other programs and try again");
}

/* A file that could not be read or written. */
static enum err
file_fault(ceremony_fault *out, enum err err, const char *what)
{
    return err == ERR_OK ? ERR_OK
                         : ceremony_fail(out, err, what, err_text(err), "check the directory and try again");
}

bool
ceremony_path(char out[CEREMONY_PATH_BYTES_MAX], const struct ceremony *ceremony, const char *name,
              const char *suffix)
{
    int size = snprintf(out, CEREMONY_PATH_BYTES_MAX, "%s/%s%s", ceremony->options.directory, name, suffix);

    return size > 0 && size < CEREMONY_PATH_BYTES_MAX;
}

bool
ceremony_has_file(const struct ceremony *ceremony, const char *name, const char *suffix)
{
    struct buf file = { 0 };
    char path[CEREMONY_PATH_BYTES_MAX];

    enum err err = ceremony_path(path, ceremony, name, suffix)
                       ? vault_read_plain(path, JOINING_FILE_BYTES_MAX, &file)
                       : ERR_INVALID;
    buf_free(&file);
    return err != ERR_ABSENT;
}

/* --- opening and closing --- */

static enum err
ceremony_new(struct ceremony **ceremony_out, const struct ceremony_options *options,
             ceremony_fault *fault_out)
{
    struct ceremony *ceremony = calloc(1, sizeof *ceremony);

    if (ceremony == NULL) {
        return ceremony_no_memory(fault_out);
    }
    ceremony->options = *options;
    ceremony->secrets = crypto_secret_new(sizeof *ceremony->secrets);
    if (ceremony->secrets == NULL) {
        ceremony_close(&ceremony);
        return ceremony_no_memory(fault_out);
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
    return ceremony_key_find(ceremony, key_name);
}

const struct roster *
ceremony_roster(const struct ceremony *ceremony)
{
    return ceremony->roster;
}

uint64_t
ceremony_days_from_now(const struct ceremony *ceremony, uint64_t days)
{
    return world_wall_ms(ceremony->options.world) / 1000 + days * DAY_SECONDS;
}

static int
pair_order(const void *a, const void *b)
{
    return memcmp(((const struct key_pair *)a)->public_key, ((const struct key_pair *)b)->public_key,
                  SIGN_PK_BYTES);
}

bool
ceremony_name_is_good(const char *name)
{
    struct span text = span_text(name);

    return text.size >= 1 && text.size <= STATEMENT_NAME_BYTES_MAX && utf8_valid(text) &&
           statement_name_plain(text);
}

/* Sign the founding statement by all roots, which ascend by their public keys. */
static enum err
sign_founding(struct ceremony *ceremony, const char *name, const struct key_pair *pairs, uint32_t root_count,
              uint32_t needed, struct buf *founding)
{
    struct statement statement = { .type = STATEMENT_ORGANISATION };
    const struct key_pair *signers[STATEMENT_SIGNERS_MAX];
    struct buf roots = { 0 };
    const struct world *world = ceremony->options.world;

    for (uint32_t n = 0; n < root_count; n++) {
        signers[n] = &pairs[n];
        statement_put_key(&roots, pairs[n].public_key);
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
    buf_free(&roots);
    return err;
}

/* Make roots, founding statement, key files and the file of statements, in this order: a directory
 * without the last of these is no organisation. Roots are numbered in the order of their keys, so
 * that the number of one that is lost can be told from the statements. */
static enum err
found(struct ceremony *ceremony, const char *name, uint32_t root_count, uint32_t needed,
      ceremony_fault *fault_out)
{
    struct buf founding = { 0 };

    world_random(ceremony->options.world, ceremony->secrets->control_key.bytes, KEY_BYTES);
    struct key_pair *pairs = crypto_secret_new(root_count * sizeof *pairs);
    if (pairs == NULL) {
        return ceremony_no_memory(fault_out);
    }
    for (uint32_t n = 0; n < root_count; n++) {
        crypto_sign_pair(&pairs[n], ceremony->options.world);
    }
    qsort(pairs, root_count, sizeof *pairs, pair_order);
    enum err err = sign_founding(ceremony, name, pairs, root_count, needed, &founding);
    if (err == ERR_OK) {
        ceremony->roster = roster_new(&ceremony->org);
        err =
            ceremony->roster != NULL && roster_add(ceremony->roster, buf_span(&founding), NULL) == ROSTER_NEW
                ? roster_settle(ceremony->roster)
                : ERR_MEMORY;
    }
    if (err != ERR_OK) {
        err = ceremony_no_memory(fault_out);
    }
    for (uint32_t n = 0; n < root_count && err == ERR_OK; n++) {
        char key_name[CEREMONY_KEY_NAME_BYTES_MAX];
        root_key_name(key_name, n + 1);
        /* The first half of a secret key is its seed. */
        err = ceremony_key_write(ceremony, key_name, pairs[n].secret_key, fault_out);
    }
    crypto_secret_free(pairs);
    buf_free(&founding);
    return err == ERR_OK ? ceremony_save(ceremony, fault_out) : err;
}

enum err
ceremony_found(struct ceremony **ceremony_out, const struct ceremony_options *options, const char *name,
               uint32_t root_count, uint32_t needed, ceremony_fault *fault_out)
{
    struct ceremony *ceremony = NULL;

    if (!ceremony_name_is_good(name)) {
        return ceremony_fail(fault_out, ERR_INVALID, "the organisation was not founded",
                             "its name must have 1 to 200 bytes and no control character",
                             "choose another name");
    }
    if (root_count < 1 || root_count > STATEMENT_SIGNERS_MAX || needed < 1 || needed > root_count) {
        return ceremony_fail(fault_out, ERR_INVALID, "the organisation was not founded",
                             "there are 1 to 64 roots, and at most as many are needed",
                             "choose other numbers");
    }
    enum err err = ceremony_new(&ceremony, options, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    if (ceremony_has_file(ceremony, statements_name, "") || ceremony_has_file(ceremony, "root-1", ".key")) {
        err = ceremony_fail(fault_out, ERR_EXISTS, "the organisation was not founded",
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
    size_t new_count;
    bool bad;
};

static void
take_statement(void *self, struct span signed_statement)
{
    struct taking *taking = self;
    enum roster_news news = roster_add(taking->roster, signed_statement, NULL);

    taking->new_count += news == ROSTER_NEW;
    taking->bad |= news != ROSTER_NEW && news != ROSTER_KNOWN;
}

/* Read the file of statements, with the control key that is here. */
static enum err
load_statements(struct ceremony *ceremony, ceremony_fault *fault_out)
{
    struct buf file = { 0 };
    struct buf statements = { 0 };
    struct taking taking = { .bad = false };
    char path[CEREMONY_PATH_BYTES_MAX];

    enum err err = ceremony_path(path, ceremony, statements_name, "")
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
            err = ceremony_no_memory(fault_out);
        } else if (!joining_each(buf_span(&statements), take_statement, &taking) || taking.bad ||
                   roster_settle(ceremony->roster) != ERR_OK || !roster_founded(ceremony->roster)) {
            err = ceremony_fail(fault_out, ERR_CORRUPT, "the file organisation.statements is damaged",
                                "what it holds is not signed as it must be",
                                "use the copy that is kept elsewhere");
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
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    enum err err = ERR_ABSENT;

    for (unsigned n = 1; n <= ROOT_NUMBER_MAX && err == ERR_ABSENT; n++) {
        root_key_name(name, n);
        err = ceremony_key_open(ceremony, name, fault_out);
    }
    if (err == ERR_ABSENT) {
        ceremony_ask_on(ceremony);
    }
    return err == ERR_ABSENT
               ? ceremony_fail(fault_out, err, "no root key is at hand",
                               "no root key file is here, or its passphrase is not",
                               "bring one into the directory, or open with an office's: --key office-CODE")
               : err;
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
    if (options->key_in_question != NULL) {
        options->key_in_question[0] = '\0';
    }
    if (!ceremony_has_file(ceremony, statements_name, "")) {
        err = ceremony_fail(fault_out, ERR_ABSENT, "there is no organisation in this directory",
                            "it holds no file organisation.statements", "name the directory of the ceremony");
    } else {
        err = key_name == NULL ? open_any_root(ceremony, fault_out)
                               : ceremony_key_open(ceremony, key_name, fault_out);
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

/* --- who signs --- */

enum err
ceremony_take(struct ceremony *ceremony, struct statement *statement, const struct key_pair *const *signers,
              size_t signer_count, struct hash *id_out, ceremony_fault *fault_out)
{
    struct buf out = { 0 };

    statement->org = ceremony->org;
    world_random(ceremony->options.world, statement->random, sizeof statement->random);
    enum err err = statement_sign(&out, statement, signers, signer_count, id_out);
    if (err == ERR_OK) {
        enum roster_news news = roster_add(ceremony->roster, buf_span(&out), NULL);
        assert(news == ROSTER_NEW || news == ROSTER_MEMORY);
        err = news == ROSTER_NEW ? roster_settle(ceremony->roster) : ERR_MEMORY;
    }
    buf_free(&out);
    if (err == ERR_FULL) {
        return ceremony_fail(fault_out, err, "the statement was not made", "it would hold more than one can",
                             "grant fewer compartments, or keep fewer statements");
    }
    return err == ERR_OK ? ERR_OK : ceremony_no_memory(fault_out);
}

void
ceremony_read_statement(const struct ceremony *ceremony, const struct hash *id, struct buf *bytes,
                        struct statement *statement_out)
{
    buf_clear(bytes);
    bool here = roster_write(ceremony->roster, id, bytes);
    assert(here && !bytes->failed);
    bool good = statement_read_stored(buf_span(bytes), statement_out);
    assert(good);
}

uint32_t
ceremony_root_signers(const struct ceremony *ceremony, const struct statement *statement)
{
    uint32_t needed = 0;
    struct statement_list roots = roster_roots(ceremony->roster, &needed);
    uint32_t count = 0;

    for (size_t n = 0; n < statement->signers.count; n++) {
        struct statement_signature signature = statement_signature_at(&statement->signers, n);
        count += statement_key_find(&roots, signature.sign_pk);
    }
    return count;
}

static bool
signed_by(const struct statement *statement, const uint8_t *sign_pk)
{
    for (size_t n = 0; n < statement->signers.count; n++) {
        struct statement_signature signature = statement_signature_at(&statement->signers, n);
        if (memcmp(signature.sign_pk, sign_pk, SIGN_PK_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Open roots in force that are at hand and have not signed `statement`, until with those that have there are as many
 * as are needed. They ascend by key. */
static enum err
open_roots(struct ceremony *ceremony, const struct statement *statement, const struct key_pair **signers_out,
           size_t *count_out, ceremony_fault *fault_out)
{
    uint32_t needed = 0;
    struct statement_list roots = roster_roots(ceremony->roster, &needed);
    uint32_t have = ceremony_root_signers(ceremony, statement);

    *count_out = 0;
    for (size_t n = 0; n < roots.count && have + *count_out < needed; n++) {
        const uint8_t *root_pk = statement_key_at(&roots, n);
        if (signed_by(statement, root_pk)) {
            continue;
        }
        enum err err = ceremony_key_root(ceremony, root_pk, &signers_out[*count_out], fault_out);
        if (err != ERR_OK && err != ERR_ABSENT) {
            return err;
        }
        *count_out += err == ERR_OK;
    }
    return ERR_OK;
}

enum err
ceremony_open_roots(struct ceremony *ceremony, ceremony_fault *fault_out)
{
    static const struct statement unsigned_yet;
    const struct key_pair *signers[STATEMENT_SIGNERS_MAX];
    size_t count = 0;

    enum err err = open_roots(ceremony, &unsigned_yet, signers, &count, fault_out);
    if (err == ERR_OK && count == 0) {
        err = ceremony_fail(fault_out, ERR_DENIED, "the roots did not sign", "not one root key is at hand",
                            "bring root key files into the directory, with their passphrases");
    }
    return err;
}

/* Looking for a statement that says the same as one that is to be made. */
struct likeness {
    const struct statement *statement;
    struct hash id;
    bool found;
    bool failed;
};

/* Two people who say the same apart say it within this time; one that goes on so much longer is another: it renews. */
static const uint64_t said_apart_s = UINT64_C(365) * 24 * 3600;

/* Until when an office is certified may differ somewhat, and the random part. */
static void
compare_statement(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct likeness *likeness = self;
    struct statement candidate = *likeness->statement;
    struct statement other;
    struct buf again = { 0 };

    if (likeness->found || !statement_read_again(stmt, &other) || other.newer) {
        return;
    }
    candidate.org = other.org;
    memcpy(candidate.random, other.random, sizeof candidate.random);
    if (type == STATEMENT_OFFICE && candidate.office.until <= other.office.until + said_apart_s) {
        candidate.office.until = other.office.until;
    }
    enum err err = statement_encode(&again, &candidate);
    likeness->failed |= err == ERR_MEMORY;
    likeness->found = err == ERR_OK && span_equal(buf_span(&again), stmt);
    likeness->id = *id;
    buf_free(&again);
}

/* Add the signatures of these keys, which ascend, to a statement that is here. */
static enum err
add_signatures(struct ceremony *ceremony, const struct statement *statement,
               const struct key_pair *const *signers, size_t signer_count, ceremony_fault *fault_out)
{
    struct statement_signature signatures[STATEMENT_SIGNERS_MAX];
    struct buf out = { 0 };

    for (size_t n = 0; n < signer_count; n++) {
        statement_signature_make(&signatures[n], &statement->id, signers[n]);
    }
    statement_write(&out, statement->bytes, signatures, signer_count);
    enum roster_news news = out.failed ? ROSTER_MEMORY : roster_add(ceremony->roster, buf_span(&out), NULL);
    assert(news == ROSTER_NEW || news == ROSTER_MEMORY);
    enum err err = news == ROSTER_NEW ? roster_settle(ceremony->roster) : ERR_MEMORY;
    buf_free(&out);
    return err == ERR_OK ? ERR_OK : ceremony_no_memory(fault_out);
}

/* Have a statement that is here signed by the roots that are at hand and have not. */
static enum err
sign_here(struct ceremony *ceremony, const struct hash *id, ceremony_fault *fault_out)
{
    const struct key_pair *signers[STATEMENT_SIGNERS_MAX];
    struct statement statement;
    struct buf bytes = { 0 };
    size_t count = 0;
    uint32_t needed = 0;

    (void)roster_roots(ceremony->roster, &needed);
    ceremony_read_statement(ceremony, id, &bytes, &statement);
    uint32_t have = ceremony_root_signers(ceremony, &statement);
    if (have >= needed) {
        buf_free(&bytes);
        return ERR_OK;
    }
    enum err err = open_roots(ceremony, &statement, signers, &count, fault_out);
    if (err == ERR_OK && count == 0) {
        err = ceremony_fail(fault_out, ERR_DENIED, "the statement was not signed",
                            "no root key is at hand that has not signed it",
                            "bring other root key files into the directory, with their passphrases");
    }
    if (err == ERR_OK) {
        err = add_signatures(ceremony, &statement, signers, count, fault_out);
    }
    if (err == ERR_OK && needed - have - count > ceremony->missing) {
        ceremony->missing = (uint32_t)(needed - have - count);
    }
    buf_free(&bytes);
    return err;
}

enum err
ceremony_by_roots(struct ceremony *ceremony, struct statement *statement, struct hash *id_out,
                  ceremony_fault *fault_out)
{
    const struct key_pair *signers[STATEMENT_SIGNERS_MAX];
    struct likeness likeness = { .statement = statement };
    size_t count = 0;
    uint32_t needed = 0;

    statement->org = ceremony->org;
    roster_each(ceremony->roster, statement->type, compare_statement, &likeness);
    if (likeness.failed) {
        return ceremony_no_memory(fault_out);
    }
    if (likeness.found) {
        if (id_out != NULL) {
            *id_out = likeness.id;
        }
        return roster_stands(ceremony->roster, &likeness.id) ? ERR_OK
                                                             : sign_here(ceremony, &likeness.id, fault_out);
    }
    enum err err = ceremony_open_roots(ceremony, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    statement->signers.count = 0;
    err = open_roots(ceremony, statement, signers, &count, fault_out);
    if (err == ERR_OK) {
        err = ceremony_take(ceremony, statement, signers, count, id_out, fault_out);
    }
    (void)roster_roots(ceremony->roster, &needed);
    if (err == ERR_OK && needed > count && needed - count > ceremony->missing) {
        ceremony->missing = needed - (uint32_t)count;
    }
    return err;
}

/* --- what waits --- */

uint32_t
ceremony_missing(const struct ceremony *ceremony)
{
    return ceremony->missing;
}

struct waiting {
    const struct ceremony *ceremony;
    struct ceremony_waiting *out;
    size_t room;
    size_t count;
    uint32_t needed;
};

static void
note_waiting(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct waiting *waiting = self;
    const struct ceremony *ceremony = waiting->ceremony;
    struct statement statement;
    struct buf bytes = { 0 };

    (void)stmt;
    if (roster_stands(ceremony->roster, id)) {
        return;
    }
    ceremony_read_statement(ceremony, id, &bytes, &statement);
    uint32_t signers = ceremony_root_signers(ceremony, &statement);
    /* What no further signature can make count does not wait: a successor of roots that have another. */
    bool counts_later = type != STATEMENT_ROOTS || statement.newer ||
                        hash_equal(&statement.roots.before, roster_roots_id(ceremony->roster));
    if (signers > 0 && signers < waiting->needed && counts_later) {
        if (waiting->count < waiting->room) {
            waiting->out[waiting->count] = (struct ceremony_waiting){ *id, type, signers, waiting->needed };
        }
        waiting->count++;
    }
    buf_free(&bytes);
}

size_t
ceremony_waiting(const struct ceremony *ceremony, struct ceremony_waiting *out, size_t room)
{
    static const uint32_t types[] = { STATEMENT_OFFICE, STATEMENT_REVOKE, STATEMENT_EXTEND,
                                      STATEMENT_CODEBOOK, STATEMENT_ROOTS };
    struct waiting waiting = { .ceremony = ceremony, .out = out, .room = room };

    (void)roster_roots(ceremony->roster, &waiting.needed);
    for (size_t n = 0; n < sizeof types / sizeof types[0]; n++) {
        roster_each(ceremony->roster, types[n], note_waiting, &waiting);
    }
    return waiting.count;
}

enum err
ceremony_sign(struct ceremony *ceremony, const struct hash *stmt_id, ceremony_fault *fault_out)
{
    size_t count = ceremony_waiting(ceremony, NULL, 0);
    struct ceremony_waiting *waiting = calloc(count + 1, sizeof *waiting);
    bool found = false;

    if (waiting == NULL) {
        return ceremony_no_memory(fault_out);
    }
    (void)ceremony_waiting(ceremony, waiting, count);
    for (size_t n = 0; n < count; n++) {
        found |= hash_equal(&waiting[n].stmt_id, stmt_id);
    }
    free(waiting);
    return found ? sign_here(ceremony, stmt_id, fault_out)
                 : ceremony_fail(fault_out, ERR_ABSENT, "nothing was signed", "no such statement waits",
                                 "see what waits: vigil-org show");
}

enum err
ceremony_merge(struct ceremony *ceremony, struct span file, size_t *new_count_out, ceremony_fault *fault_out)
{
    struct taking taking = { .roster = ceremony->roster };
    struct buf statements = { 0 };

    *new_count_out = 0;
    enum err err = statements_read(file, &ceremony->secrets->control_key, &statements, fault_out);
    if (err == ERR_OK) {
        (void)joining_each(buf_span(&statements), take_statement, &taking);
        if (taking.bad) {
            err = ceremony_fail(fault_out, ERR_CORRUPT, "the statements cannot be taken in",
                                "one of them is not signed as it must be, or of another organisation",
                                "ask for the file to be written again");
        } else if (roster_settle(ceremony->roster) != ERR_OK) {
            err = ceremony_no_memory(fault_out);
        }
    }
    *new_count_out = taking.new_count;
    buf_free(&statements);
    return err;
}

/* --- statements out --- */

struct collecting {
    const struct ceremony *ceremony;
    struct buf *out;
    size_t count;
    uint32_t above; /* types up to this one are left out */
};

static void
collect(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct collecting *collecting = self;
    struct buf one = { 0 };

    (void)stmt;
    if (type <= collecting->above) {
        return;
    }
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
    struct collecting collecting = { ceremony, &items, 0, 0 };

    for (size_t n = 0; n < sizeof first / sizeof first[0]; n++) {
        roster_each(ceremony->roster, first[n], collect, &collecting);
    }
    for (uint32_t type = STATEMENT_REVOKE; type <= STATEMENT_ACTOR; type++) {
        roster_each(ceremony->roster, type, collect, &collecting);
    }
    /* What a later version says is handed on. */
    collecting.above = STATEMENT_ACTOR;
    roster_each(ceremony->roster, 0, collect, &collecting);
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
    char path[CEREMONY_PATH_BYTES_MAX];

    enum err err = ceremony_news(ceremony, &file);
    if (err == ERR_OK) {
        err = ceremony_path(path, ceremony, statements_name, "") ? vault_write_plain(path, buf_span(&file))
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
        return ceremony_fail(fault_out, ERR_ABSENT, "there is no welcome for this device",
                             "it is not certified", "enrol it first");
    }
    welcome.certificate = device->certificate;
    welcome.control_key = ceremony->secrets->control_key;
    collect_all(ceremony, &welcome.statements);
    enum err err = welcome.statements.failed
                       ? ERR_MEMORY
                       : welcome_write(file_out, &welcome, request->box_pk, ceremony->options.world);
    welcome_free(&welcome);
    return err == ERR_OK
               ? ERR_OK
               : ceremony_fail(fault_out, err, "the welcome was not written", err_text(err), "try again");
}
