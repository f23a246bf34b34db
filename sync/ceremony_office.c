#include "sync/ceremony_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OFFICE_DAYS = 730, DEVICE_DAYS = 365 };

/* --- offices --- */

bool
ceremony_code_good(const char *code)
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
    if (level == LEVEL_NONE || !ceremony_code_good(code)) {
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

/* Sign a certificate of an office by the roots. */
static enum err
sign_office(struct ceremony *ceremony, const uint8_t office_pk[SIGN_PK_BYTES], const char *code,
            const char *name, const struct ident own[OWN_COUNT], struct grant_set *set,
            ceremony_fault *fault_out)
{
    struct statement statement = { .type = STATEMENT_OFFICE };
    struct buf items = { 0 };

    memcpy(statement.office.office_pk, office_pk, SIGN_PK_BYTES);
    statement.office.code = span_text(code);
    statement.office.name = span_text(name);
    memcpy(statement.office.own, own, sizeof statement.office.own);
    statement.office.grants = grant_list(&items, set->grants, set->count);
    statement.office.until = ceremony_days_from_now(ceremony, OFFICE_DAYS);
    enum err err = items.failed ? ceremony_no_memory(fault_out)
                                : ceremony_by_roots(ceremony, &statement, NULL, fault_out);
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
        return ceremony_no_memory(fault_out);
    }
    grant_present(&set, ceremony->roster, office);
    if (everything) {
        changed |= grant_everything(&set, ceremony->roster);
    }
    for (size_t n = 0; n < grant_count; n++) {
        changed |= grant_raise(&set, &grants[n].compartment, grants[n].level);
    }
    if (!changed) {
        free(set.grants);
        return ERR_OK;
    }
    /* Words of the office are lent by the state of the roster, which a new statement replaces. */
    struct roster_office before = *office;
    char code[OFFICE_CODE_BYTES_MAX + 1];
    char name[STATEMENT_NAME_BYTES_MAX + 1];
    (void)snprintf(code, sizeof code, "%s", office->code);
    (void)snprintf(name, sizeof name, "%s", office->name);
    enum err err = sign_office(ceremony, before.office_pk, code, name, before.own, &set, fault_out);
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

/* Headquarters hold the compartments of every office, of a new one too that still waits for roots. */
static enum err
widen_headquarters(struct ceremony *ceremony, const struct ident own[OWN_COUNT], ceremony_fault *fault_out)
{
    struct ceremony_grant grants[OWN_COUNT];
    size_t count = roster_office_count(ceremony->roster);
    enum err err = ERR_OK;

    for (size_t n = 0; n < OWN_COUNT; n++) {
        grants[n] = (struct ceremony_grant){ own[n], LEVEL_ADMIN };
    }
    /* Offices keep their order while only certificates are added. */
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        const struct roster_office *office = roster_office_at(ceremony->roster, n);
        if (!office->revoked && is_headquarters(ceremony->roster, office)) {
            err = widen_office(ceremony, office->office_pk, true, grants, OWN_COUNT, fault_out);
        }
    }
    return err;
}

/* --- which key --- */

const struct roster_office *
ceremony_office_in_force(const struct ceremony *ceremony, const char *code)
{
    const struct roster_office *best = NULL;

    for (size_t n = 0; n < roster_office_count(ceremony->roster); n++) {
        const struct roster_office *office = roster_office_at(ceremony->roster, n);
        if (!office->revoked && strcmp(office->code, code) == 0 &&
            (best == NULL || hash_compare(&office->stmt_id, &best->stmt_id) < 0)) {
            best = office;
        }
    }
    return best;
}

const struct roster_office *
ceremony_office_any(const struct ceremony *ceremony, const char *code)
{
    const struct roster_office *office = ceremony_office_in_force(ceremony, code);

    return office != NULL ? office : roster_office_by_code(ceremony->roster, code);
}

/* Looking for certificates of offices of one code. */
struct code_search {
    const struct ceremony *ceremony;
    struct span code;
    bool waiting;        /* only such as wait for roots */
    struct buf keys;     /* the keys they certify, each once */
    struct hash stmt_id; /* of the last */
    struct ident own[OWN_COUNT];
    bool found;
};

static void
find_code(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct code_search *search = self;
    struct statement statement;
    struct buf bytes = { 0 };

    (void)type;
    if (!statement_read_again(stmt, &statement) || statement.newer ||
        !span_equal(statement.office.code, search->code)) {
        return;
    }
    ceremony_read_statement(search->ceremony, id, &bytes, &statement);
    bool waits = !roster_stands(search->ceremony->roster, id) &&
                 ceremony_root_signers(search->ceremony, &statement) > 0 &&
                 roster_office(search->ceremony->roster, statement.office.office_pk) == NULL;
    if (waits || !search->waiting) {
        const struct statement_list known = { search->keys.data, search->keys.size / SIGN_PK_BYTES };
        bool here = false;
        for (size_t n = 0; n < known.count; n++) {
            here |= memcmp(known.items + n * SIGN_PK_BYTES, statement.office.office_pk, SIGN_PK_BYTES) == 0;
        }
        if (!here) {
            buf_put(&search->keys, statement.office.office_pk, SIGN_PK_BYTES);
        }
        search->stmt_id = *id;
        memcpy(search->own, statement.office.own, sizeof search->own);
        search->found = true;
    }
    buf_free(&bytes);
}

/* The certificate of this code that waits for roots. False: there is none. Free its keys. */
static bool
search_code(struct code_search *search, const struct ceremony *ceremony, const char *code, bool waiting)
{
    *search = (struct code_search){ .ceremony = ceremony, .code = span_text(code), .waiting = waiting };
    roster_each(ceremony->roster, STATEMENT_OFFICE, find_code, search);
    return search->found && !search->keys.failed;
}

bool
ceremony_office_waiting(const struct ceremony *ceremony, const char *code,
                        uint8_t office_pk_out[SIGN_PK_BYTES])
{
    struct code_search search;
    bool found = search_code(&search, ceremony, code, true);

    if (found) {
        memcpy(office_pk_out, search.keys.data + search.keys.size - SIGN_PK_BYTES, SIGN_PK_BYTES);
    }
    buf_free(&search.keys);
    return found;
}

enum err
ceremony_office_key_make(struct ceremony *ceremony, const char *code, const struct key_pair **pair_out,
                         ceremony_fault *fault_out)
{
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    struct code_search search;

    (void)search_code(&search, ceremony, code, false);
    size_t used = search.keys.size / SIGN_PK_BYTES;
    /* The files of earlier keys may be elsewhere, so numbers are told from the certificates. */
    enum err err = search.keys.failed ? ceremony_no_memory(fault_out)
                   : used >= OFFICE_KEYS_MAX
                       ? ceremony_fail(fault_out, ERR_FULL, "the office has no new key",
                                       "it has had 99 of them", "make an office of another code")
                       : ERR_OK;
    buf_free(&search.keys);
    if (err != ERR_OK) {
        return err;
    }
    office_key_name(name, code, (unsigned)used + 1);
    err = ceremony_key_make(ceremony, name, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    *pair_out = ceremony_key_find(ceremony, name);
    if (roster_office(ceremony->roster, (*pair_out)->public_key) != NULL) {
        return ceremony_fail(fault_out, ERR_EXISTS, "the office has no new key",
                             "the file that it would go into holds a key that is in use",
                             "move that key file to another place");
    }
    return ERR_OK;
}

struct statement_list
ceremony_office_grants(const struct ceremony *ceremony, const struct roster_office *office, struct buf *items)
{
    struct statement_list list = { 0 };
    struct grant_set set;

    if (!grant_set_new(&set, ceremony, 0)) {
        items->failed = true;
        return list;
    }
    grant_present(&set, ceremony->roster, office);
    list = grant_list(items, set.grants, set.count);
    free(set.grants);
    return list;
}

/* --- making --- */

/* Make an office that is not there yet. */
static enum err
make_office(struct ceremony *ceremony, const char *code, const char *name, bool everything,
            const struct ceremony_grant *grants, size_t grant_count, ceremony_fault *fault_out)
{
    const struct key_pair *pair = NULL;
    struct ident own[OWN_COUNT];
    struct grant_set set;

    /* The roots first: a key file without a certificate would be of no use. */
    enum err err = ceremony_open_roots(ceremony, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    if (!grant_set_new(&set, ceremony, OWN_COUNT + grant_count)) {
        return ceremony_no_memory(fault_out);
    }
    err = ceremony_office_key_make(ceremony, code, &pair, fault_out);
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
        err = sign_office(ceremony, pair->public_key, code, name, own, &set, fault_out);
    }
    free(set.grants);
    return err == ERR_OK ? widen_headquarters(ceremony, own, fault_out) : err;
}

enum err
ceremony_office(struct ceremony *ceremony, const char *code, const char *name, bool everything,
                const struct ceremony_grant *grants, size_t grant_count, ceremony_fault *fault_out)
{
    const struct roster_office *office = ceremony_office_in_force(ceremony, code);
    struct code_search search;

    if (office != NULL) {
        return widen_office(ceremony, office->office_pk, everything, grants, grant_count, fault_out);
    }
    if (ceremony_office_any(ceremony, code) != NULL) {
        return ceremony_fail(fault_out, ERR_EXISTS, "the office was not made",
                             "the one of this code was revoked, and its compartments are here",
                             "give it a new key with vigil-org recover, or choose another code");
    }
    if (!ceremony_code_good(code) || (name != NULL && !ceremony_name_is_good(name))) {
        return ceremony_fail(fault_out, ERR_INVALID, "the office was not made",
                             "a code is 1 to 12 of A-Z, 0-9 and -, a name 1 to 200 bytes", "choose others");
    }
    bool waits = search_code(&search, ceremony, code, true);
    buf_free(&search.keys);
    if (!waits) {
        return make_office(ceremony, code, name == NULL ? code : name, everything, grants, grant_count,
                           fault_out);
    }
    /* Somebody began it elsewhere, or here with fewer roots. */
    enum err err = ceremony_sign(ceremony, &search.stmt_id, fault_out);
    return err == ERR_OK ? widen_headquarters(ceremony, search.own, fault_out) : err;
}

/* --- devices --- */

/* True if a device that stands has one of these keys and not all of them. */
static bool
keys_clash(const struct roster *roster, const struct request *request)
{
    for (size_t n = 0; n < roster_author_count(roster); n++) {
        const struct roster_device *device = roster_author_at(roster, n);
        int same = (memcmp(device->sign_pk, request->sign_pk, SIGN_PK_BYTES) == 0) +
                   (memcmp(device->box_pk, request->box_pk, 32) == 0) +
                   (memcmp(device->transport_pk, request->transport_pk, 32) == 0);
        if (same != 0 && same != 3) {
            return true;
        }
    }
    return false;
}

enum err
ceremony_certify(struct ceremony *ceremony, const char *code, const uint8_t office_pk[SIGN_PK_BYTES],
                 const struct request *request, enum level level, uint32_t roles,
                 const struct ceremony_grant *grants, size_t grant_count, ceremony_fault *fault_out)
{
    struct statement statement = { .type = STATEMENT_DEVICE };
    const struct key_pair *signer = NULL;
    struct grant_set set;
    struct buf items = { 0 };
    size_t count = 0;

    if (keys_clash(ceremony->roster, request)) {
        return ceremony_fail(fault_out, ERR_EXISTS, "the device was not enrolled",
                             "one of its keys is that of another device", "make a new request with new keys");
    }
    (void)roster_revocations_of(ceremony->roster, request->sign_pk, &count);
    if (count > 0) {
        return ceremony_fail(fault_out, ERR_EXISTS, "the device was not enrolled",
                             "its key is revoked, and a revoked key never returns",
                             "make a new state directory on it, with a new request");
    }
    enum err err = ceremony_key_office(ceremony, code, office_pk, &signer, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    if (!grant_set_new(&set, ceremony, grant_count)) {
        return ceremony_no_memory(fault_out);
    }
    for (size_t n = 0; n < grant_count; n++) {
        (void)grant_raise(&set, &grants[n].compartment, grants[n].level);
    }
    memcpy(statement.device.sign_pk, request->sign_pk, SIGN_PK_BYTES);
    memcpy(statement.device.box_pk, request->box_pk, 32);
    memcpy(statement.device.transport_pk, request->transport_pk, 32);
    memcpy(statement.device.office_pk, signer->public_key, SIGN_PK_BYTES);
    statement.device.grants = grant_list(&items, set.grants, set.count);
    statement.device.any = level;
    statement.device.roles = roles;
    statement.device.name = span_text(request->name);
    statement.device.until = ceremony_days_from_now(ceremony, DEVICE_DAYS);
    statement.device.possession = request->possession;
    err = items.failed ? ceremony_no_memory(fault_out)
                       : ceremony_take(ceremony, &statement, &signer, 1, NULL, fault_out);
    free(set.grants);
    buf_free(&items);
    return err;
}

enum err
ceremony_device(struct ceremony *ceremony, const char *code, const struct request *request, enum level level,
                uint32_t roles, const struct ceremony_grant *grants, size_t grant_count,
                ceremony_fault *fault_out)
{
    const struct roster_office *office = ceremony_office_in_force(ceremony, code);
    uint8_t office_pk[SIGN_PK_BYTES];

    if (office != NULL) {
        memcpy(office_pk, office->office_pk, SIGN_PK_BYTES);
    } else if (!ceremony_office_waiting(ceremony, code, office_pk)) {
        return ceremony_fail(fault_out, ERR_ABSENT, "the device was not enrolled",
                             "there is no office of this code", "check the code");
    }
    return ceremony_certify(ceremony, code, office_pk, request, level, roles, grants, grant_count, fault_out);
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
