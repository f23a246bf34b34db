#include "tools/org_words.h"
#include "tools/org_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_BYTES = 160 };

const char *
words_reason(uint32_t reason)
{
    static const char *const names[] = { "no reason given", "lost", "stolen", "left", "replaced", "misuse" };

    return reason < sizeof names / sizeof names[0] ? names[reason] : "a reason that a newer program knows";
}

/* The first eight bytes of a key in hex. */
static struct short_id
key_short(const uint8_t key[SIGN_PK_BYTES])
{
    struct hash hash;

    memcpy(hash.bytes, key, SIGN_PK_BYTES);
    return hash_short(&hash);
}

/* "the device KEN laptop of KEN", "the key 3f09... of the office KEN". */
static void
whose(char out[LABEL_BYTES], const struct roster *roster, const uint8_t key[SIGN_PK_BYTES])
{
    const struct roster_device *device = roster_author_by_sign_pk(roster, key);
    const struct roster_office *office = roster_office(roster, key);

    if (device != NULL) {
        (void)snprintf(out, LABEL_BYTES, "the device %.100s of %s", device->name, device->office->code);
    } else if (office != NULL) {
        (void)snprintf(out, LABEL_BYTES, "the key %s of the office %s", key_short(key).text, office->code);
    } else {
        (void)snprintf(out, LABEL_BYTES, "the key %s of nobody who is known here", key_short(key).text);
    }
}

/* --- what a key signed --- */

/* Counting statements that stand by a key and are not among those that are kept. */
struct counting {
    const struct ceremony *ceremony;
    const uint8_t *key; /* NULL: by the roots */
    const struct statement_list *keep;
    size_t left_out;
};

static bool
is_signed_by(const struct roster *roster, const struct hash *id, const uint8_t *key)
{
    struct statement statement;
    struct buf bytes = { 0 };
    bool found = false;

    if (roster_write(roster, id, &bytes) && statement_read_stored(buf_span(&bytes), &statement)) {
        for (size_t n = 0; n < statement.signers.count; n++) {
            struct statement_signature signature = statement_signature_at(&statement.signers, n);
            found |= memcmp(signature.sign_pk, key, SIGN_PK_BYTES) == 0;
        }
    }
    buf_free(&bytes);
    return found;
}

static void
count_left_out(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct counting *counting = self;
    const struct roster *roster = ceremony_roster(counting->ceremony);
    bool by_roots = type == STATEMENT_OFFICE || type == STATEMENT_CODEBOOK || type == STATEMENT_REVOKE ||
                    type == STATEMENT_EXTEND;

    (void)stmt;
    if (roster_stands(roster, id) && !statement_key_find(counting->keep, id->bytes) &&
        (counting->key == NULL ? by_roots : is_signed_by(roster, id, counting->key))) {
        counting->left_out++;
    }
}

/* Say how much that stands now would fall. */
static void
print_left_out(const struct ceremony *ceremony, const uint8_t *key, const struct statement_list *keep)
{
    struct counting counting = { ceremony, key, keep, 0 };

    roster_each(ceremony_roster(ceremony), 0, count_left_out, &counting);
    if (counting.left_out > 0) {
        (void)printf("  takes back   %zu statement%s that it signed and that count%s now\n",
                     counting.left_out, counting.left_out == 1 ? "" : "s", counting.left_out == 1 ? "s" : "");
    }
}

/* --- statements --- */

static void
words_office(const struct ceremony *ceremony, const struct office_body *body)
{
    static const char *const parts[OWN_COUNT] = { "cases", "protected part", "audit" };
    const struct roster *roster = ceremony_roster(ceremony);
    const struct roster_office *office = roster_office(roster, body->office_pk);

    (void)printf("  office       %.*s, %.*s: ", (int)body->code.size, (const char *)body->code.data,
                 (int)body->name.size, (const char *)body->name.data);
    (void)printf("%s key %s until ", office == NULL ? "certify its" : "more for its",
                 key_short(body->office_pk).text);
    org_print_day(body->until);
    (void)printf("\n");
    for (size_t n = 0; n < body->grants.count; n++) {
        struct statement_grant grant = statement_grant_at(&body->grants, n);
        const struct roster_compartment *there = roster_compartment(roster, &grant.compartment);
        const char *own = NULL;
        for (size_t at = 0; at < OWN_COUNT; at++) {
            own = ident_equal(&grant.compartment, &body->own[at]) ? parts[at] : own;
        }
        if (there != NULL && there->owner != NULL) {
            (void)printf("    %-6s in %s\n", org_level_name(grant.level), there->name);
        } else if (own != NULL) {
            (void)printf("    %-6s in its own %s\n", org_level_name(grant.level), own);
        } else {
            (void)printf("    %-6s in a compartment of an office that waits\n", org_level_name(grant.level));
        }
    }
}

static void
print_root(const struct ceremony *ceremony, const char *label, const uint8_t *key)
{
    char name[CEREMONY_KEY_NAME_BYTES_MAX];

    if (!ceremony_root_name(ceremony, key, name)) {
        (void)snprintf(name, sizeof name, "a root");
    }
    (void)printf("  %-12s %-10s %s\n", label, name, key_short(key).text);
}

static void
words_new_roots(const struct ceremony *ceremony, const struct roots_body *body)
{
    uint32_t needed = 0;
    struct statement_list before = roster_roots(ceremony_roster(ceremony), &needed);

    (void)printf("  roots        %zu, of which %u sign together (now %zu, of which %u)\n", body->roots.count,
                 (unsigned)body->needed, before.count, (unsigned)needed);
    for (size_t n = 0; n < before.count; n++) {
        const uint8_t *key = statement_key_at(&before, n);
        if (!statement_key_find(&body->roots, key)) {
            print_root(ceremony, "goes", key);
        }
    }
    for (size_t n = 0; n < body->roots.count; n++) {
        const uint8_t *key = statement_key_at(&body->roots, n);
        print_root(ceremony, statement_key_find(&before, key) ? "stays" : "comes", key);
    }
    (void)printf("  keeps        %zu statements that roots signed\n", body->keep.count);
    print_left_out(ceremony, NULL, &body->keep);
}

static void
print_counts(const char *label, size_t logs, size_t kept)
{
    if (logs == 0) {
        (void)printf("  %-12s no log\n", label);
    } else {
        (void)printf("  %-12s %zu log%s, each up to an entry that is named\n", label, logs,
                     logs == 1 ? "" : "s");
    }
    (void)printf("  %-12s %zu statement%s of it\n", "keeps", kept, kept == 1 ? "" : "s");
}

static void
words_revoke(const struct ceremony *ceremony, const struct revoke_body *body)
{
    char of[LABEL_BYTES];

    whose(of, ceremony_roster(ceremony), body->key);
    (void)printf("  revoke       %s: %s\n", of, words_reason(body->reason));
    print_counts("counts", body->cuts.count, body->keep.count);
    print_left_out(ceremony, body->key, &body->keep);
}

/* Looking for the revocation that an extension adds to. */
struct revoke_search {
    struct hash id;
    uint8_t key[SIGN_PK_BYTES];
    bool found;
};

static void
find_revoke(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct revoke_search *search = self;
    struct statement statement;

    (void)type;
    if (hash_equal(id, &search->id) && statement_read_again(stmt, &statement) && !statement.newer) {
        memcpy(search->key, statement.revoke.key, SIGN_PK_BYTES);
        search->found = true;
    }
}

static void
words_extend(const struct ceremony *ceremony, const struct extend_body *body)
{
    struct revoke_search search = { .id = body->revoke };
    char of[LABEL_BYTES] = "a key whose revocation is not here";

    roster_each(ceremony_roster(ceremony), STATEMENT_REVOKE, find_revoke, &search);
    if (search.found) {
        whose(of, ceremony_roster(ceremony), search.key);
    }
    (void)printf("  let count    more of %s, which is revoked\n", of);
    print_counts("counts", body->cuts.count, body->keep.count);
}

void
words_statement(const struct ceremony *ceremony, const struct hash *stmt_id)
{
    struct statement statement;
    struct buf bytes = { 0 };
    uint32_t needed = 0;
    struct statement_list roots = roster_roots(ceremony_roster(ceremony), &needed);
    uint32_t count = 0;

    if (!roster_write(ceremony_roster(ceremony), stmt_id, &bytes) ||
        !statement_read_stored(buf_span(&bytes), &statement)) {
        buf_free(&bytes);
        return;
    }
    (void)printf("statement      %s\n", hash_short(stmt_id).text);
    if (statement.newer) {
        (void)printf("  says         something that only a newer program understands\n");
    } else if (statement.type == STATEMENT_OFFICE) {
        words_office(ceremony, &statement.office);
    } else if (statement.type == STATEMENT_ROOTS) {
        words_new_roots(ceremony, &statement.roots);
    } else if (statement.type == STATEMENT_REVOKE) {
        words_revoke(ceremony, &statement.revoke);
    } else if (statement.type == STATEMENT_EXTEND) {
        words_extend(ceremony, &statement.extend);
    } else {
        (void)printf("  says         %s, %zu bytes\n", statement_type_name(statement.type),
                     statement.bytes.size);
    }
    (void)printf("  signed by   ");
    for (size_t n = 0; n < statement.signers.count; n++) {
        struct statement_signature signature = statement_signature_at(&statement.signers, n);
        char name[CEREMONY_KEY_NAME_BYTES_MAX];
        if (statement_key_find(&roots, signature.sign_pk)) {
            bool named = ceremony_root_name(ceremony, signature.sign_pk, name);
            (void)printf(" %s", named ? name : key_short(signature.sign_pk).text);
            count++;
        }
    }
    if (count < needed) {
        (void)printf("%s needs %u more signature%s", count == 0 ? " nobody;" : ";",
                     (unsigned)(needed - count), needed - count == 1 ? "" : "s");
    }
    (void)printf("\n");
    buf_free(&bytes);
}

/* --- what is about to be signed --- */

static void
print_cut(const struct roster *roster, const struct frontier_file *frontier, const struct statement_cut *cut)
{
    static const char *const lanes[] = { "keys and control", "urgent", "normal", "bulk" };

    for (size_t n = 0; n < frontier->log_count; n++) {
        const struct frontier_file_log *log = &frontier->logs[n];
        if (hash_equal(&log->log_id, &cut->log_id)) {
            const struct roster_compartment *there = roster_compartment(roster, &log->descriptor.compartment);
            (void)printf("    up to entry %llu (%s) in %s, %s\n", (unsigned long long)cut->seq,
                         hash_short(&cut->entry_id).text,
                         there == NULL ? "an unknown compartment" : there->name, lanes[log->descriptor.lane]);
            return;
        }
    }
}

/* Looking for the type of a statement. */
struct type_search {
    const struct hash *id;
    const char *type;
};

static void
find_type(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct type_search *search = self;

    (void)stmt;
    search->type = hash_equal(id, search->id) ? statement_type_name(type) : search->type;
}

void
words_cuts(const struct ceremony *ceremony, const struct ceremony_cuts *cuts,
           const struct frontier_file *frontier, bool extends)
{
    const struct roster *roster = ceremony_roster(ceremony);
    const struct roster_device *device = roster_author_by_sign_pk(roster, cuts->key);
    char of[LABEL_BYTES];

    whose(of, roster, cuts->key);
    if (extends) {
        (void)printf("%-14s more of %s\n", "let count", of);
    } else {
        (void)printf("%-14s %s: %s\n", "revoke", of, words_reason(cuts->reason));
    }
    if (device != NULL) {
        org_print_number("number", &device->device_id);
        print_counts("counts", cuts->cut_count, cuts->keep_count);
        for (size_t n = 0; frontier != NULL && n < cuts->cut_count; n++) {
            print_cut(roster, frontier, &cuts->cuts[n]);
        }
    } else {
        (void)printf("  %-12s %zu statement%s of it\n", "keeps", cuts->keep_count,
                     cuts->keep_count == 1 ? "" : "s");
    }
    for (size_t n = 0; n < cuts->keep_count; n++) {
        struct type_search search = { &cuts->keep[n], "statement" };
        roster_each(roster, 0, find_type, &search);
        (void)printf("    keep %s %s\n", search.type, hash_short(&cuts->keep[n]).text);
    }
}

void
words_revocations(const struct roster *roster)
{
    for (size_t n = 0; n < roster_revocation_count(roster); n++) {
        const struct roster_revocation *revocation = roster_revocation_at(roster, n);
        const struct roster_device *device = roster_author_by_sign_pk(roster, revocation->key);
        char of[LABEL_BYTES];

        whose(of, roster, revocation->key);
        (void)printf("\nrevoked        %s: %s\n", of, words_reason(revocation->reason));
        (void)printf("by             %s\n",
                     revocation->office == NULL ? "the roots" : revocation->office->code);
        if (device != NULL) {
            org_print_number("number", &device->device_id);
            print_counts("counts", revocation->cut_count, revocation->keep_count);
        } else {
            (void)printf("  %-12s %zu statements of it\n", "keeps", revocation->keep_count);
        }
        (void)printf("statement      %s\n", hash_short(&revocation->stmt_id).text);
    }
}

void
words_roots(const struct ceremony *ceremony)
{
    uint32_t needed = 0;
    struct statement_list roots = roster_roots(ceremony_roster(ceremony), &needed);

    (void)printf("%-14s %zu, of which %u sign together\n", "root keys", roots.count, (unsigned)needed);
    for (size_t n = 0; n < roots.count; n++) {
        const uint8_t *key = statement_key_at(&roots, n);
        char name[CEREMONY_KEY_NAME_BYTES_MAX];
        bool named = ceremony_root_name(ceremony, key, name);
        (void)printf("  %-12s %s%s\n", named ? name : "-", key_short(key).text,
                     ceremony_root_at_hand(ceremony, key) ? "  here" : "");
    }
    (void)printf("%-14s %s\n", "erasure",
                 roster_erasure_signatures(ceremony_roster(ceremony)) == 1 ? "an admin orders it alone"
                                                                           : "needs admins of two offices");
}
