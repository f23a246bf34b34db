#include "sync/ceremony_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEVICE_DAYS = 365,
    /* Of a revocation or an extension, what is not cuts and keep: keys of maps, heads of lists, ids. */
    STATEMENT_REST_BYTES = 200,
    KEEP_BYTES = 2 + HASH_BYTES,
    ROOT_HEX_DIGITS_MIN = 8,
    ISSUERS_MAX = 8,
};

/* --- roots and their numbers --- */

/* Every root key that was ever in force, and then of those that a waiting set would add. */
struct root_walk {
    const struct ceremony *ceremony;
    struct hash before;
    bool standing; /* look for the set that stands, or for those that wait */
    struct buf *keys;
    bool found;
    struct hash next;
};

/* Append a key unless it is there. */
static void
put_new_key(struct buf *keys, const uint8_t key[SIGN_PK_BYTES])
{
    for (size_t at = 0; at < keys->size; at += SIGN_PK_BYTES) {
        if (memcmp(keys->data + at, key, SIGN_PK_BYTES) == 0) {
            return;
        }
    }
    buf_put(keys, key, SIGN_PK_BYTES);
}

static void
put_new_keys(struct buf *keys, const struct statement_list *roots)
{
    for (size_t n = 0; n < roots->count; n++) {
        put_new_key(keys, statement_key_at(roots, n));
    }
}

static void
walk_founding(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct root_walk *walk = self;
    struct statement statement;

    (void)type;
    if (hash_equal(id, &walk->ceremony->org) && statement_read_again(stmt, &statement)) {
        put_new_keys(walk->keys, &statement.organisation.roots);
    }
}

static void
walk_roots(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct root_walk *walk = self;
    struct statement statement;

    (void)type;
    if (!statement_read_again(stmt, &statement) || statement.newer ||
        !hash_equal(&statement.roots.before, &walk->before) ||
        roster_stands(walk->ceremony->roster, id) != walk->standing) {
        return;
    }
    put_new_keys(walk->keys, &statement.roots.roots);
    walk->found = true;
    walk->next = *id;
}

/* All root keys in the order of their numbers. */
static void
list_roots(const struct ceremony *ceremony, struct buf *keys)
{
    struct root_walk walk = { .ceremony = ceremony, .before = ceremony->org, .standing = true, .keys = keys };

    roster_each(ceremony->roster, STATEMENT_ORGANISATION, walk_founding, &walk);
    do {
        walk.found = false;
        roster_each(ceremony->roster, STATEMENT_ROOTS, walk_roots, &walk);
        walk.before = walk.found ? walk.next : walk.before;
    } while (walk.found);
    walk.standing = false;
    roster_each(ceremony->roster, STATEMENT_ROOTS, walk_roots, &walk);
}

/* True if the file of the root with this number is here and says that it is this key; `other_out`: another. */
static bool
file_is(const struct ceremony *ceremony, unsigned number, const uint8_t *root_pk, bool *other_out)
{
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    uint8_t found[SIGN_PK_BYTES];

    root_key_name(name, number);
    bool here = ceremony_key_peek(ceremony, name, found) == ERR_OK;
    bool same = here && memcmp(found, root_pk, SIGN_PK_BYTES) == 0;
    *other_out = here && !same;
    return same;
}

bool
ceremony_root_name(const struct ceremony *ceremony, const uint8_t root_pk[SIGN_PK_BYTES],
                   char out[CEREMONY_KEY_NAME_BYTES_MAX])
{
    struct buf keys = { 0 };
    unsigned number = 0;

    list_roots(ceremony, &keys);
    unsigned count = (unsigned)(keys.size / SIGN_PK_BYTES);
    for (unsigned n = 1; n <= count && number == 0; n++) {
        bool other = false;
        /* A file that is here knows better: the first organisations numbered their roots in another order. */
        if (file_is(ceremony, n, root_pk, &other)) {
            number = n;
        }
    }
    for (unsigned n = 1; n <= count && number == 0; n++) {
        bool other = false;
        if (memcmp(keys.data + (size_t)(n - 1) * SIGN_PK_BYTES, root_pk, SIGN_PK_BYTES) == 0 &&
            (file_is(ceremony, n, root_pk, &other) || !other)) {
            number = n;
        }
    }
    buf_free(&keys);
    if (number == 0) {
        return false;
    }
    root_key_name(out, number);
    return true;
}

/* True if the key begins with these digits, of which there are enough. */
static bool
begins_with(const uint8_t key[SIGN_PK_BYTES], const char *digits)
{
    char hex[2 * SIGN_PK_BYTES + 1];
    size_t size = strlen(digits);

    bytes_hex(hex, span_of(key, SIGN_PK_BYTES));
    return size >= ROOT_HEX_DIGITS_MIN && strncmp(hex, digits, size) == 0;
}

bool
ceremony_root_by_name(const struct ceremony *ceremony, const char *name, uint8_t root_pk_out[SIGN_PK_BYTES])
{
    char of[CEREMONY_KEY_NAME_BYTES_MAX];
    struct buf keys = { 0 };
    size_t found = 0;

    list_roots(ceremony, &keys);
    for (size_t at = 0; at < keys.size; at += SIGN_PK_BYTES) {
        const uint8_t *key = keys.data + at;
        if (begins_with(key, name) || (ceremony_root_name(ceremony, key, of) && strcmp(of, name) == 0)) {
            memcpy(root_pk_out, key, SIGN_PK_BYTES);
            found++;
        }
    }
    buf_free(&keys);
    return found == 1;
}

bool
ceremony_root_at_hand(const struct ceremony *ceremony, const uint8_t root_pk[SIGN_PK_BYTES])
{
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    bool other = false;

    for (unsigned n = 1; n <= ROOT_NUMBER_MAX; n++) {
        if (file_is(ceremony, n, root_pk, &other)) {
            return true;
        }
        root_key_name(name, n);
        const struct key_pair *open = ceremony_key_find(ceremony, name);
        if (open != NULL && memcmp(open->public_key, root_pk, SIGN_PK_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* --- frontier --- */

enum err
ceremony_read_frontier(const struct ceremony *ceremony, struct span bytes,
                       const uint8_t not_by[SIGN_PK_BYTES], struct frontier_file *file_out,
                       ceremony_fault *fault_out)
{
    enum err err = frontier_file_read(bytes, &ceremony->secrets->control_key, file_out, fault_out);

    if (err != ERR_OK) {
        return err;
    }
    if (!hash_equal(&file_out->org, &ceremony->org)) {
        err =
            ceremony_fail(fault_out, ERR_LOCKED, "the frontier file cannot be used",
                          "it is of another organisation", "use one that a node of this organisation wrote");
    } else if (roster_device_by_sign_pk(ceremony->roster, file_out->sign_pk) == NULL) {
        err =
            ceremony_fail(fault_out, ERR_DENIED, "the frontier file cannot be used",
                          "the device that wrote it does not belong to the organisation, or is revoked",
                          "have another node write it, or bring the statements up to date: vigil-org merge");
    } else if (not_by != NULL && memcmp(file_out->sign_pk, not_by, SIGN_PK_BYTES) == 0) {
        err = ceremony_fail(fault_out, ERR_DENIED, "the frontier file cannot be used",
                            "it was written by the very device that is to be revoked",
                            "have a node write it that you trust");
    }
    if (err != ERR_OK) {
        frontier_file_free(file_out);
    }
    return err;
}

/* --- plans --- */

void
ceremony_cuts_free(struct ceremony_cuts *cuts)
{
    free(cuts->cuts);
    free(cuts->keep);
    *cuts = (struct ceremony_cuts){ 0 };
}

static int
cut_order(const void *a, const void *b)
{
    return statement_cut_compare(a, b);
}

static int
hash_order(const void *a, const void *b)
{
    return hash_compare(a, b);
}

/* Cuts at every tip that the file has of the logs of this key. */
static enum err
plan_cuts(struct ceremony_cuts *cuts, const struct frontier_file *frontier)
{
    size_t count = 0;

    for (size_t n = 0; frontier != NULL && n < frontier->log_count; n++) {
        if (memcmp(frontier->logs[n].descriptor.sign_pk, cuts->key, SIGN_PK_BYTES) == 0) {
            count += frontier->logs[n].tip_count;
        }
    }
    cuts->cuts = calloc(count + 1, sizeof *cuts->cuts);
    if (cuts->cuts == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; count > 0 && n < frontier->log_count; n++) {
        const struct frontier_file_log *log = &frontier->logs[n];
        if (memcmp(log->descriptor.sign_pk, cuts->key, SIGN_PK_BYTES) != 0) {
            continue;
        }
        for (size_t tip = 0; tip < log->tip_count; tip++) {
            cuts->cuts[cuts->cut_count++] =
                (struct statement_cut){ log->log_id, log->tips[tip].seq, log->tips[tip].entry_id };
        }
    }
    qsort(cuts->cuts, cuts->cut_count, sizeof *cuts->cuts, cut_order);
    return ERR_OK;
}

/* Collecting the statements of a key. */
struct keeping {
    const struct ceremony *ceremony;
    const uint8_t *key;
    const struct hash *drop;
    size_t drop_count;
    struct buf ids;
};

static void
keep_statement(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct keeping *keeping = self;
    struct statement statement;
    struct buf bytes = { 0 };
    bool ours = false;

    (void)type;
    (void)stmt;
    if (!roster_stands(keeping->ceremony->roster, id)) {
        return;
    }
    for (size_t n = 0; n < keeping->drop_count; n++) {
        if (hash_equal(&keeping->drop[n], id)) {
            return;
        }
    }
    ceremony_read_statement(keeping->ceremony, id, &bytes, &statement);
    for (size_t n = 0; n < statement.signers.count; n++) {
        struct statement_signature signature = statement_signature_at(&statement.signers, n);
        ours |= memcmp(signature.sign_pk, keeping->key, SIGN_PK_BYTES) == 0;
    }
    if (ours) {
        buf_put_span(&keeping->ids, hash_span(id));
    }
    buf_free(&bytes);
}

enum err
ceremony_plan_nothing(const uint8_t key[SIGN_PK_BYTES], uint32_t reason, struct ceremony_cuts *cuts_out)
{
    *cuts_out = (struct ceremony_cuts){ .reason = reason };
    memcpy(cuts_out->key, key, SIGN_PK_BYTES);
    cuts_out->keep = calloc(1, sizeof *cuts_out->keep);
    enum err err = cuts_out->keep == NULL ? ERR_MEMORY : plan_cuts(cuts_out, NULL);
    if (err != ERR_OK) {
        ceremony_cuts_free(cuts_out);
    }
    return err;
}

enum err
ceremony_plan_revoke(const struct ceremony *ceremony, const uint8_t key[SIGN_PK_BYTES], uint32_t reason,
                     const struct frontier_file *frontier, const struct hash *drop, size_t drop_count,
                     struct ceremony_cuts *cuts_out)
{
    struct keeping keeping = { .ceremony = ceremony, .key = key, .drop = drop, .drop_count = drop_count };

    *cuts_out = (struct ceremony_cuts){ .reason = reason };
    memcpy(cuts_out->key, key, SIGN_PK_BYTES);
    enum err err = plan_cuts(cuts_out, frontier);
    if (err == ERR_OK) {
        roster_each(ceremony->roster, 0, keep_statement, &keeping);
        cuts_out->keep_count = keeping.ids.size / HASH_BYTES;
        cuts_out->keep = calloc(cuts_out->keep_count + 1, sizeof *cuts_out->keep);
        err = keeping.ids.failed || cuts_out->keep == NULL ? ERR_MEMORY : ERR_OK;
    }
    if (err == ERR_OK && cuts_out->keep_count > 0) {
        memcpy(cuts_out->keep, keeping.ids.data, keeping.ids.size);
        qsort(cuts_out->keep, cuts_out->keep_count, sizeof *cuts_out->keep, hash_order);
    }
    buf_free(&keeping.ids);
    if (err != ERR_OK) {
        ceremony_cuts_free(cuts_out);
    }
    return err;
}

static bool
revocation_cuts_at(const struct roster_revocation *revocation, const struct statement_cut *cut)
{
    for (size_t n = 0; n < revocation->cut_count; n++) {
        if (statement_cut_compare(&revocation->cuts[n], cut) == 0) {
            return true;
        }
    }
    return false;
}

static bool
revocation_keeps(const struct roster_revocation *revocation, const struct hash *id)
{
    for (size_t n = 0; n < revocation->keep_count; n++) {
        if (hash_equal(&revocation->keep[n], id)) {
            return true;
        }
    }
    return false;
}

/* Leave in `cuts` only what the revocation has not. */
static void
leave_what_is_new(struct ceremony_cuts *cuts, const struct roster_revocation *revocations, size_t count)
{
    size_t cut_count = 0;
    size_t keep_count = 0;

    for (size_t n = 0; n < cuts->cut_count; n++) {
        bool new = false;
        for (size_t at = 0; at < count; at++) {
            new |= !revocation_cuts_at(&revocations[at], &cuts->cuts[n]);
        }
        if (new) {
            cuts->cuts[cut_count++] = cuts->cuts[n];
        }
    }
    for (size_t n = 0; n < cuts->keep_count; n++) {
        bool new = false;
        for (size_t at = 0; at < count; at++) {
            new |= !revocation_keeps(&revocations[at], &cuts->keep[n]);
        }
        if (new) {
            cuts->keep[keep_count++] = cuts->keep[n];
        }
    }
    cuts->cut_count = cut_count;
    cuts->keep_count = keep_count;
}

enum err
ceremony_plan_extend(const struct ceremony *ceremony, const uint8_t key[SIGN_PK_BYTES],
                     const struct frontier_file *frontier, const struct hash *keep, size_t keep_count,
                     struct ceremony_cuts *cuts_out)
{
    size_t count = 0;
    const struct roster_revocation *revocations = roster_revocations_of(ceremony->roster, key, &count);

    *cuts_out = (struct ceremony_cuts){ 0 };
    if (count == 0) {
        return ERR_ABSENT;
    }
    memcpy(cuts_out->key, key, SIGN_PK_BYTES);
    enum err err = plan_cuts(cuts_out, frontier);
    cuts_out->keep = calloc(keep_count + 1, sizeof *cuts_out->keep);
    if (err != ERR_OK || cuts_out->keep == NULL) {
        ceremony_cuts_free(cuts_out);
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < keep_count; n++) {
        cuts_out->keep[n] = keep[n];
    }
    qsort(cuts_out->keep, keep_count, sizeof *cuts_out->keep, hash_order);
    for (size_t n = 0; n < keep_count; n++) {
        if (n == 0 || !hash_equal(&cuts_out->keep[n - 1], &cuts_out->keep[n])) {
            cuts_out->keep[cuts_out->keep_count++] = cuts_out->keep[n];
        }
    }
    leave_what_is_new(cuts_out, revocations, count);
    return ERR_OK;
}

/* --- revoking and extending --- */

/* Who signs a revocation and its extensions: offices, or the roots if there are none. */
struct issuer {
    const struct key_pair *offices[ISSUERS_MAX];
    size_t count;
};

/* As much of `cuts`, from these places on, as one statement holds. */
static void
put_piece(const struct ceremony_cuts *cuts, size_t *cut_at, size_t *keep_at, struct buf *cut_items,
          struct statement_list *cuts_out, struct buf *keep_items, struct statement_list *keep_out)
{
    size_t left = STATEMENT_BYTES_MAX - STATEMENT_REST_BYTES;
    size_t cut_from = *cut_at;
    size_t keep_from = *keep_at;

    buf_clear(cut_items);
    buf_clear(keep_items);
    while (*keep_at < cuts->keep_count && left >= KEEP_BYTES) {
        statement_put_key(keep_items, cuts->keep[(*keep_at)++].bytes);
        left -= KEEP_BYTES;
    }
    while (*cut_at < cuts->cut_count) {
        struct buf one = { 0 };
        statement_put_cut(&one, &cuts->cuts[*cut_at]);
        bool fits = one.size <= left;
        if (fits) {
            buf_put_span(cut_items, buf_span(&one));
            left -= one.size;
            (*cut_at)++;
        }
        cut_items->failed |= one.failed;
        buf_free(&one);
        if (!fits || cut_items->failed) {
            break;
        }
    }
    *cuts_out = statement_list_of(cut_items, *cut_at - cut_from);
    *keep_out = statement_list_of(keep_items, *keep_at - keep_from);
}

static enum err
issue(struct ceremony *ceremony, const struct issuer *issuer, struct statement *statement,
      struct hash *id_out, ceremony_fault *fault_out)
{
    return issuer->count == 0
               ? ceremony_by_roots(ceremony, statement, id_out, fault_out)
               : ceremony_take(ceremony, statement, issuer->offices, issuer->count, id_out, fault_out);
}

/* Issue what is left of `cuts` as extensions of a revocation. */
static enum err
issue_extensions(struct ceremony *ceremony, const struct issuer *issuer, const struct hash *revoke,
                 const struct ceremony_cuts *cuts, size_t cut_at, size_t keep_at, ceremony_fault *fault_out)
{
    struct buf cut_items = { 0 };
    struct buf keep_items = { 0 };
    enum err err = ERR_OK;

    while (err == ERR_OK && (cut_at < cuts->cut_count || keep_at < cuts->keep_count)) {
        struct statement statement = { .type = STATEMENT_EXTEND, .extend = { .revoke = *revoke } };
        put_piece(cuts, &cut_at, &keep_at, &cut_items, &statement.extend.cuts, &keep_items,
                  &statement.extend.keep);
        err = cut_items.failed || keep_items.failed ? ceremony_no_memory(fault_out)
                                                    : issue(ceremony, issuer, &statement, NULL, fault_out);
    }
    buf_free(&cut_items);
    buf_free(&keep_items);
    return err;
}

/* The offices that certified a device. */
struct certifier_search {
    const struct ceremony *ceremony;
    const uint8_t *device_pk;
    struct buf houses; /* the lowest key of each, once */
};

static void
find_certifier(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct certifier_search *search = self;
    const struct roster *roster = search->ceremony->roster;
    struct statement statement;

    (void)type;
    if (!roster_stands(roster, id) || !statement_read_again(stmt, &statement) ||
        memcmp(statement.device.sign_pk, search->device_pk, SIGN_PK_BYTES) != 0) {
        return;
    }
    const struct roster_office *office = roster_office(roster, statement.device.office_pk);
    if (office != NULL) {
        put_new_key(&search->houses, office->house->office_pk);
    }
}

/* A key in force of an office that may have had several. ERR_ABSENT: none is at hand. */
static enum err
open_house(struct ceremony *ceremony, const uint8_t *house_pk, const struct key_pair **pair_out,
           ceremony_fault *fault_out)
{
    for (size_t n = 0; n < roster_office_count(ceremony->roster); n++) {
        const struct roster_office *office = roster_office_at(ceremony->roster, n);
        if (office->revoked || memcmp(office->house->office_pk, house_pk, SIGN_PK_BYTES) != 0) {
            continue;
        }
        enum err err = ceremony_key_office(ceremony, office->code, office->office_pk, pair_out, fault_out);
        if (err != ERR_ABSENT) {
            return err;
        }
        ceremony_ask_on(ceremony);
    }
    return ERR_ABSENT;
}

/* Open a key of each of these offices. None is given unless all are at hand. */
static enum err
open_offices(struct ceremony *ceremony, const struct buf *houses, struct issuer *issuer,
             ceremony_fault *fault_out)
{
    size_t count = houses->size / SIGN_PK_BYTES;

    issuer->count = 0;
    for (size_t n = 0; n < count && count <= ISSUERS_MAX; n++) {
        enum err err = open_house(ceremony, houses->data + n * SIGN_PK_BYTES, &issuer->offices[n], fault_out);
        if (err != ERR_OK) {
            issuer->count = 0;
            return err == ERR_ABSENT ? ERR_OK : err;
        }
        issuer->count++;
    }
    return ERR_OK;
}

/* An office takes back what it gave and no more: so all that certified the device, if all are at hand, or else the roots. */
static enum err
choose_issuer(struct ceremony *ceremony, const uint8_t key[SIGN_PK_BYTES], struct issuer *issuer,
              ceremony_fault *fault_out)
{
    struct certifier_search search = { .ceremony = ceremony, .device_pk = key };

    roster_each(ceremony->roster, STATEMENT_DEVICE, find_certifier, &search);
    enum err err = search.houses.failed ? ceremony_no_memory(fault_out)
                                        : open_offices(ceremony, &search.houses, issuer, fault_out);
    buf_free(&search.houses);
    return err;
}

enum err
ceremony_revoke(struct ceremony *ceremony, const struct ceremony_cuts *cuts, bool by_roots,
                bool *by_roots_out, ceremony_fault *fault_out)
{
    struct statement statement = { .type = STATEMENT_REVOKE, .revoke = { .reason = cuts->reason } };
    struct issuer issuer = { .count = 0 };
    struct buf cut_items = { 0 };
    struct buf keep_items = { 0 };
    struct hash revoke;
    size_t cut_at = 0;
    size_t keep_at = 0;
    enum err err = ERR_OK;

    if (!by_roots && roster_office(ceremony->roster, cuts->key) == NULL) {
        err = choose_issuer(ceremony, cuts->key, &issuer, fault_out);
    }
    if (err != ERR_OK) {
        return err;
    }
    *by_roots_out = issuer.count == 0;
    memcpy(statement.revoke.key, cuts->key, SIGN_PK_BYTES);
    put_piece(cuts, &cut_at, &keep_at, &cut_items, &statement.revoke.cuts, &keep_items,
              &statement.revoke.keep);
    err = cut_items.failed || keep_items.failed ? ceremony_no_memory(fault_out)
                                                : issue(ceremony, &issuer, &statement, &revoke, fault_out);
    buf_free(&cut_items);
    buf_free(&keep_items);
    return err == ERR_OK ? issue_extensions(ceremony, &issuer, &revoke, cuts, cut_at, keep_at, fault_out)
                         : err;
}

/* The office whose signature a revocation stands by, if a key of it is at hand; else the roots, who may extend all. */
static enum err
issuer_of(struct ceremony *ceremony, const struct roster_revocation *revocation, struct issuer *issuer,
          ceremony_fault *fault_out)
{
    struct buf keys = { 0 };

    issuer->count = 0;
    if (revocation->office == NULL) {
        return ERR_OK;
    }
    put_new_key(&keys, revocation->office->house->office_pk);
    enum err err =
        keys.failed ? ceremony_no_memory(fault_out) : open_offices(ceremony, &keys, issuer, fault_out);
    buf_free(&keys);
    return err;
}

/* One revocation of a key, copied: what is signed for it makes the roster settle. */
struct to_extend {
    struct hash stmt_id;
    struct issuer issuer;
    struct ceremony_cuts cuts;
};

static enum err
copy_cuts(struct ceremony_cuts *out, const struct ceremony_cuts *cuts)
{
    *out = *cuts;
    out->cuts = calloc(cuts->cut_count + 1, sizeof *out->cuts);
    out->keep = calloc(cuts->keep_count + 1, sizeof *out->keep);
    if (out->cuts == NULL || out->keep == NULL) {
        ceremony_cuts_free(out);
        return ERR_MEMORY;
    }
    if (cuts->cut_count > 0) {
        memcpy(out->cuts, cuts->cuts, cuts->cut_count * sizeof *cuts->cuts);
    }
    if (cuts->keep_count > 0) {
        memcpy(out->keep, cuts->keep, cuts->keep_count * sizeof *cuts->keep);
    }
    return ERR_OK;
}

enum err
ceremony_extend(struct ceremony *ceremony, const struct ceremony_cuts *cuts, bool *by_roots_out,
                ceremony_fault *fault_out)
{
    size_t count = 0;
    const struct roster_revocation *revocations = roster_revocations_of(ceremony->roster, cuts->key, &count);
    struct to_extend *all = calloc(count + 1, sizeof *all);
    enum err err = all == NULL ? ceremony_no_memory(fault_out) : ERR_OK;

    *by_roots_out = false;
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        all[n].stmt_id = revocations[n].stmt_id;
        err = copy_cuts(&all[n].cuts, cuts);
        if (err != ERR_OK) {
            err = ceremony_no_memory(fault_out);
            break;
        }
        leave_what_is_new(&all[n].cuts, &revocations[n], 1);
        err = issuer_of(ceremony, &revocations[n], &all[n].issuer, fault_out);
        *by_roots_out |= all[n].issuer.count == 0;
    }
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        err = issue_extensions(ceremony, &all[n].issuer, &all[n].stmt_id, &all[n].cuts, 0, 0, fault_out);
    }
    for (size_t n = 0; all != NULL && n < count; n++) {
        ceremony_cuts_free(&all[n].cuts);
    }
    free(all);
    return err;
}

/* --- another set of roots --- */

/* Collect what stands by the signatures of roots. */
static void
keep_of_roots(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct keeping *keeping = self;

    (void)stmt;
    if ((type == STATEMENT_OFFICE || type == STATEMENT_CODEBOOK || type == STATEMENT_REVOKE ||
         type == STATEMENT_EXTEND) &&
        roster_stands(keeping->ceremony->roster, id)) {
        buf_put_span(&keeping->ids, hash_span(id));
    }
}

static int
key_order(const void *a, const void *b)
{
    return memcmp(a, b, SIGN_PK_BYTES);
}

/* True if a change of the roots in force waits for signatures. */
static bool
roots_wait(const struct ceremony *ceremony)
{
    size_t count = ceremony_waiting(ceremony, NULL, 0);
    struct ceremony_waiting *waiting = calloc(count + 1, sizeof *waiting);
    bool found = waiting == NULL;

    if (waiting != NULL) {
        (void)ceremony_waiting(ceremony, waiting, count);
    }
    for (size_t n = 0; n < count && !found; n++) {
        found = waiting[n].type == STATEMENT_ROOTS;
    }
    free(waiting);
    return found;
}

/* Append the roots in force without those that go. False: one that is to go is none. */
static bool
put_remaining(struct buf *keys, const struct statement_list *roots, const struct ceremony_roots *change)
{
    size_t removed = 0;

    for (size_t n = 0; n < roots->count; n++) {
        const uint8_t *key = statement_key_at(roots, n);
        bool goes = false;
        for (size_t at = 0; at < change->remove_count; at++) {
            goes |= memcmp(change->remove[at], key, SIGN_PK_BYTES) == 0;
        }
        removed += goes;
        if (!goes) {
            buf_put(keys, key, SIGN_PK_BYTES);
        }
    }
    return removed == change->remove_count;
}

/* Make the key files of new roots and append their keys. Numbers go on after the highest that there was. */
static enum err
make_roots(struct ceremony *ceremony, size_t count, struct buf *keys, ceremony_fault *fault_out)
{
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    struct buf known = { 0 };
    enum err err = ERR_OK;

    list_roots(ceremony, &known);
    unsigned number = (unsigned)(known.size / SIGN_PK_BYTES);
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        number++;
        if (known.failed || number > ROOT_NUMBER_MAX) {
            err = known.failed ? ceremony_no_memory(fault_out)
                               : ceremony_fail(fault_out, ERR_FULL, "the roots were not changed",
                                               "there have been 999 root keys", "found an organisation anew");
            break;
        }
        root_key_name(name, number);
        err = ceremony_key_make(ceremony, name, fault_out);
        if (err == ERR_OK) {
            buf_put(keys, ceremony_key_find(ceremony, name)->public_key, SIGN_PK_BYTES);
        }
    }
    buf_free(&known);
    return err;
}

static enum err
check_roots(const struct ceremony *ceremony, const struct ceremony_roots *change, uint32_t *needed_out,
            ceremony_fault *fault_out)
{
    static const char what[] = "the roots were not changed";
    struct statement_list roots = roster_roots(ceremony->roster, needed_out);
    struct buf keys = { 0 };

    bool known = put_remaining(&keys, &roots, change);
    size_t count = keys.size / SIGN_PK_BYTES + change->add_count;
    buf_free(&keys);
    *needed_out = change->needed == 0 ? *needed_out : change->needed;
    if (!known) {
        return ceremony_fail(fault_out, ERR_INVALID, what, "a key that is to go is no root in force",
                             "see which are: vigil-org show");
    }
    if (count > STATEMENT_SIGNERS_MAX || count == 0) {
        return ceremony_fail(fault_out, ERR_INVALID, what, "there are 1 to 64 roots", "change fewer");
    }
    if (*needed_out > count) {
        return ceremony_fail(fault_out, ERR_INVALID, what,
                             "there would be fewer roots than must sign together",
                             "add roots as well, or let fewer be needed");
    }
    if (change->remove_count == 0 && change->add_count == 0 && change->needed == 0) {
        return ceremony_fail(fault_out, ERR_INVALID, what, "nothing is to be changed",
                             "say which root to replace, add or remove");
    }
    return roots_wait(ceremony)
               ? ceremony_fail(fault_out, ERR_EXISTS, what, "another change of them waits for signatures",
                               "sign that one first: vigil-org sign")
               : ERR_OK;
}

enum err
ceremony_replace_roots(struct ceremony *ceremony, const struct ceremony_roots *change,
                       ceremony_fault *fault_out)
{
    struct statement statement = { .type = STATEMENT_ROOTS };
    struct keeping keeping = { .ceremony = ceremony };
    struct buf keys = { 0 };
    struct buf root_items = { 0 };
    struct buf keep_items = { 0 };
    uint32_t needed = 0;
    uint32_t before = 0;

    enum err err = check_roots(ceremony, change, &needed, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    roster_each(ceremony->roster, 0, keep_of_roots, &keeping);
    size_t keep_count = keeping.ids.size / HASH_BYTES;
    size_t root_count = roster_roots(ceremony->roster, &before).count + change->add_count;
    if (keep_count * KEEP_BYTES + root_count * KEEP_BYTES > STATEMENT_BYTES_MAX - STATEMENT_REST_BYTES) {
        buf_free(&keeping.ids);
        return ceremony_fail(fault_out, ERR_FULL, "the roots were not changed",
                             "more stands by their signatures than one statement can keep",
                             "rotate the keys of offices that have many certificates, then try again");
    }
    err = ceremony_open_roots(ceremony, fault_out);
    if (err == ERR_OK) {
        struct statement_list roots = roster_roots(ceremony->roster, &before);
        (void)put_remaining(&keys, &roots, change);
        err = make_roots(ceremony, change->add_count, &keys, fault_out);
    }
    if (keys.size > 0) {
        qsort(keys.data, keys.size / SIGN_PK_BYTES, SIGN_PK_BYTES, key_order);
    }
    for (size_t at = 0; at < keys.size; at += SIGN_PK_BYTES) {
        statement_put_key(&root_items, keys.data + at);
    }
    if (keep_count > 0) {
        qsort(keeping.ids.data, keep_count, HASH_BYTES, hash_order);
    }
    for (size_t at = 0; at < keeping.ids.size; at += HASH_BYTES) {
        statement_put_key(&keep_items, keeping.ids.data + at);
    }
    statement.roots.before = *roster_roots_id(ceremony->roster);
    statement.roots.roots = statement_list_of(&root_items, keys.size / SIGN_PK_BYTES);
    statement.roots.needed = needed;
    statement.roots.keep = statement_list_of(&keep_items, keep_count);
    if (err == ERR_OK && (keys.failed || keeping.ids.failed || root_items.failed || keep_items.failed)) {
        err = ceremony_no_memory(fault_out);
    }
    if (err == ERR_OK) {
        err = ceremony_by_roots(ceremony, &statement, NULL, fault_out);
    }
    buf_free(&keeping.ids);
    buf_free(&keys);
    buf_free(&root_items);
    buf_free(&keep_items);
    return err;
}

/* --- another key of an office --- */

/* What an office certified of one device, as one certificate. */
struct certified {
    struct request request; /* its keys, possession and name */
    bool possession;
    uint32_t roles;
    uint64_t until;
    enum level any;
    struct ceremony_grant *grants; /* owned */
    size_t grant_count;
};

struct certified_list {
    const struct ceremony *ceremony;
    uint8_t office_pk[SIGN_PK_BYTES];
    struct certified *items;
    size_t count;
    bool failed;
};

static void
certified_free(struct certified_list *list)
{
    for (size_t n = 0; n < list->count; n++) {
        free(list->items[n].grants);
    }
    free(list->items);
}

static enum level
certified_level(const struct certified *device, const struct ident *compartment)
{
    for (size_t n = 0; n < device->grant_count; n++) {
        if (ident_equal(&device->grants[n].compartment, compartment)) {
            return device->grants[n].level;
        }
    }
    return device->any;
}

/* The higher of two levels counts in each compartment; one that neither names has the higher of both *any*. */
static bool
certified_unite(struct certified *device, const struct device_body *body)
{
    size_t room = device->grant_count + body->grants.count;
    struct ceremony_grant *grants = calloc(room + 1, sizeof *grants);
    size_t count = 0;

    if (grants == NULL) {
        return false;
    }
    for (size_t n = 0; n < room; n++) {
        bool ours = n < device->grant_count;
        struct statement_grant named = { { { 0 } }, LEVEL_NONE };
        if (!ours) {
            named = statement_grant_at(&body->grants, n - device->grant_count);
        }
        struct ident compartment = ours ? device->grants[n].compartment : named.compartment;
        enum level other = statement_grant_find(&body->grants, &compartment);
        enum level one = certified_level(device, &compartment);
        bool known = false;
        other = other == LEVEL_NONE ? body->any : other;
        for (size_t at = 0; at < count; at++) {
            known |= ident_equal(&grants[at].compartment, &compartment);
        }
        if (!known) {
            grants[count++] = (struct ceremony_grant){ compartment, one > other ? one : other };
        }
    }
    free(device->grants);
    device->grants = grants;
    device->grant_count = count;
    device->any = body->any > device->any ? body->any : device->any;
    if (body->possession != NULL) {
        memcpy(device->request.possession, body->possession, SIGNATURE_BYTES);
        device->possession = true;
    }
    return true;
}

static void
note_certificate(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct certified_list *list = self;
    struct certified *device = NULL;
    struct statement statement;

    (void)type;
    if (!roster_stands(list->ceremony->roster, id) || !statement_read_again(stmt, &statement) ||
        memcmp(statement.device.office_pk, list->office_pk, SIGN_PK_BYTES) != 0) {
        return;
    }
    const struct device_body *body = &statement.device;
    const struct roster_device *living = roster_device_by_sign_pk(list->ceremony->roster, body->sign_pk);
    if (living == NULL || list->failed) {
        return;
    }
    for (size_t n = 0; n < list->count; n++) {
        if (memcmp(list->items[n].request.sign_pk, body->sign_pk, SIGN_PK_BYTES) == 0) {
            device = &list->items[n];
        }
    }
    if (device == NULL) {
        struct certified *items = realloc(list->items, (list->count + 1) * sizeof *items);
        if (items == NULL) {
            list->failed = true;
            return;
        }
        list->items = items;
        device = &items[list->count++];
        *device = (struct certified){ .roles = living->roles, .until = living->until };
        memcpy(device->request.sign_pk, body->sign_pk, SIGN_PK_BYTES);
        memcpy(device->request.box_pk, body->box_pk, 32);
        memcpy(device->request.transport_pk, body->transport_pk, 32);
        (void)snprintf(device->request.name, sizeof device->request.name, "%s", living->name);
    }
    list->failed = !certified_unite(device, body);
}

static int
grant_order(const void *a, const void *b)
{
    return ident_compare(&((const struct ceremony_grant *)a)->compartment,
                         &((const struct ceremony_grant *)b)->compartment);
}

/* Certify a device under a key of its office, with all that it had. */
static enum err
certify_again(struct ceremony *ceremony, const struct key_pair *office, struct certified *device,
              ceremony_fault *fault_out)
{
    struct statement statement = { .type = STATEMENT_DEVICE };
    struct buf items = { 0 };

    if (device->grant_count > 0) {
        qsort(device->grants, device->grant_count, sizeof *device->grants, grant_order);
    }
    size_t grant_count = 0;
    for (size_t n = 0; n < device->grant_count; n++) {
        statement_put_grant(&items, &device->grants[n].compartment, device->grants[n].level);
        grant_count++;
    }
    memcpy(statement.device.sign_pk, device->request.sign_pk, SIGN_PK_BYTES);
    memcpy(statement.device.box_pk, device->request.box_pk, 32);
    memcpy(statement.device.transport_pk, device->request.transport_pk, 32);
    memcpy(statement.device.office_pk, office->public_key, SIGN_PK_BYTES);
    statement.device.grants = statement_list_of(&items, grant_count);
    statement.device.any = device->any;
    statement.device.roles = device->roles;
    statement.device.name = span_text(device->request.name);
    /* Of two certificates the later one is shown: this one, however short ago the other was made. */
    uint64_t until = ceremony_days_from_now(ceremony, DEVICE_DAYS);
    statement.device.until = until > device->until ? until : device->until + 1;
    statement.device.possession = device->request.possession;
    enum err err = items.failed ? ceremony_no_memory(fault_out)
                                : ceremony_take(ceremony, &statement, &office, 1, NULL, fault_out);
    buf_free(&items);
    return err;
}

/* An office in words of its own: those of the roster are lent until it settles. */
struct office_copy {
    uint8_t office_pk[SIGN_PK_BYTES];
    char code[OFFICE_CODE_BYTES_MAX + 1];
    char name[STATEMENT_NAME_BYTES_MAX + 1];
    struct ident own[OWN_COUNT];
    uint64_t until;
    bool revoked;
};

/* Have the roots certify a key, another one or the same, with all that the office has. */
static enum err
certify_office_again(struct ceremony *ceremony, const struct office_copy *office,
                     const uint8_t public_key[SIGN_PK_BYTES], ceremony_fault *fault_out)
{
    enum { OFFICE_DAYS = 730 };
    struct statement statement = { .type = STATEMENT_OFFICE };
    struct buf items = { 0 };

    memcpy(statement.office.office_pk, public_key, SIGN_PK_BYTES);
    statement.office.code = span_text(office->code);
    statement.office.name = span_text(office->name);
    memcpy(statement.office.own, office->own, sizeof statement.office.own);
    statement.office.grants =
        ceremony_office_grants(ceremony, roster_office(ceremony->roster, office->office_pk), &items);
    uint64_t until = ceremony_days_from_now(ceremony, OFFICE_DAYS);
    statement.office.until = until > office->until ? until : office->until + 1;
    enum err err = items.failed ? ceremony_no_memory(fault_out)
                                : ceremony_by_roots(ceremony, &statement, NULL, fault_out);
    buf_free(&items);
    return err;
}

/* Revoke the old key; what it signed stays. */
static enum err
revoke_office_key(struct ceremony *ceremony, const struct office_copy *office, uint32_t reason,
                  ceremony_fault *fault_out)
{
    struct ceremony_cuts cuts;
    bool by_roots = true;

    if (office->revoked) {
        return ERR_OK;
    }
    enum err err = ceremony_plan_revoke(ceremony, office->office_pk, reason, NULL, NULL, 0, &cuts);
    if (err != ERR_OK) {
        return ceremony_no_memory(fault_out);
    }
    err = ceremony_revoke(ceremony, &cuts, true, &by_roots, fault_out);
    ceremony_cuts_free(&cuts);
    return err;
}

/* ERR_INVALID: a device signed its certificate itself, and would have to sign the next. */
static enum err
all_can_be_certified(const struct certified_list *devices, const char *what, ceremony_fault *fault_out)
{
    for (size_t n = 0; n < devices->count; n++) {
        if (!devices->items[n].possession) {
            return ceremony_fail(fault_out, ERR_INVALID, what,
                                 "one of its devices cannot be certified without that device",
                                 "enrol that device with a new request first");
        }
    }
    return ERR_OK;
}

static void
copy_office(struct office_copy *out, const struct roster_office *office)
{
    *out = (struct office_copy){ .until = office->until, .revoked = office->revoked };
    memcpy(out->office_pk, office->office_pk, SIGN_PK_BYTES);
    (void)snprintf(out->code, sizeof out->code, "%s", office->code);
    (void)snprintf(out->name, sizeof out->name, "%s", office->name);
    memcpy(out->own, office->own, sizeof out->own);
}

/* Everything but the devices of requests, with the office's devices as they are listed. */
static enum err
rotate(struct ceremony *ceremony, const struct office_copy *office, uint32_t reason,
       struct certified_list *devices, const struct key_pair **pair_out, ceremony_fault *fault_out)
{
    enum err err = all_can_be_certified(devices, "the office has no new key", fault_out);
    if (err == ERR_OK) {
        err = ceremony_open_roots(ceremony, fault_out);
    }
    if (err == ERR_OK) {
        err = ceremony_office_key_make(ceremony, office->code, pair_out, fault_out);
    }
    if (err == ERR_OK) {
        err = certify_office_again(ceremony, office, (*pair_out)->public_key, fault_out);
    }
    for (size_t n = 0; n < devices->count && err == ERR_OK; n++) {
        err = certify_again(ceremony, *pair_out, &devices->items[n], fault_out);
    }
    return err == ERR_OK ? revoke_office_key(ceremony, office, reason, fault_out) : err;
}

enum err
ceremony_rotate(struct ceremony *ceremony, const char *code, uint32_t reason, const struct request *requests,
                size_t request_count, enum level level, uint32_t roles, ceremony_fault *fault_out)
{
    const struct roster_office *before = ceremony_office_any(ceremony, code);
    const struct key_pair *pair = NULL;
    struct certified_list devices = { .ceremony = ceremony };
    struct office_copy office = { .revoked = false };
    uint8_t waiting[SIGN_PK_BYTES];

    if (before == NULL) {
        return ceremony_fail(fault_out, ERR_ABSENT, "the office has no new key",
                             "there is no office of this code", "check the code");
    }
    if (ceremony_office_waiting(ceremony, code, waiting)) {
        return ceremony_fail(fault_out, ERR_EXISTS, "the office has no new key",
                             "another new key of it waits for signatures", "sign that first: vigil-org sign");
    }
    copy_office(&office, before);
    memcpy(devices.office_pk, before->office_pk, SIGN_PK_BYTES);
    roster_each(ceremony->roster, STATEMENT_DEVICE, note_certificate, &devices);
    enum err err = devices.failed ? ceremony_no_memory(fault_out)
                                  : rotate(ceremony, &office, reason, &devices, &pair, fault_out);
    certified_free(&devices);
    for (size_t n = 0; n < request_count && err == ERR_OK; n++) {
        err = ceremony_certify(ceremony, code, pair->public_key, &requests[n], level, roles, NULL, 0,
                               fault_out);
    }
    return err;
}

bool
ceremony_office_ends(const struct ceremony *ceremony, const struct roster_office *office)
{
    return office->until < ceremony_days_from_now(ceremony, DEVICE_DAYS);
}

enum err
ceremony_renew(struct ceremony *ceremony, const char *code, ceremony_fault *fault_out)
{
    static const char what[] = "nothing was renewed";
    const struct roster_office *before = ceremony_office_in_force(ceremony, code);
    struct certified_list devices = { .ceremony = ceremony };
    const struct key_pair *pair = NULL;
    struct office_copy office;

    if (before == NULL) {
        return ceremony_fail(fault_out, ERR_ABSENT, what, "no office of this code is in force",
                             "check the code; one whose key was revoked is brought back with recover");
    }
    bool ends = ceremony_office_ends(ceremony, before);
    copy_office(&office, before);
    memcpy(devices.office_pk, before->office_pk, SIGN_PK_BYTES);
    roster_each(ceremony->roster, STATEMENT_DEVICE, note_certificate, &devices);
    enum err err =
        devices.failed ? ceremony_no_memory(fault_out) : all_can_be_certified(&devices, what, fault_out);
    if (err == ERR_OK) {
        err = ceremony_key_office(ceremony, office.code, office.office_pk, &pair, fault_out);
    }
    if (err == ERR_OK && ends) {
        err = ceremony_open_roots(ceremony, fault_out);
    }
    if (err == ERR_OK && ends) {
        err = certify_office_again(ceremony, &office, office.office_pk, fault_out);
    }
    for (size_t n = 0; n < devices.count && err == ERR_OK; n++) {
        err = certify_again(ceremony, pair, &devices.items[n], fault_out);
    }
    certified_free(&devices);
    return err;
}
