/* org_trust.c - keys that are lost, stolen or replaced. */
#include "tools/org_command.h"
#include "tools/org_words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_DIGITS_MIN = 8, NUMBER_DIGITS_MIN = 10 };

#define KEY_OPTION                                                                                           \
    {                                                                                                        \
        "key", OPTION_KEY, "KEY", 0,                                                                         \
            "Open with this key, root-2 or office-KEN (the first root that is here)", 0                      \
    }
#define SAFETY_OPTIONS                                                                                       \
    { "dry-run", OPTION_DRY_RUN, NULL, 0, "Show what would be signed and sign nothing", 1 },                 \
    {                                                                                                        \
        "yes", OPTION_YES, NULL, 0, "Sign without asking", 1                                                 \
    }

/* --- naming --- */

/* The digits of a number that people compare, without spaces. */
static void
digits_of(char out[61], const struct hash *device_id)
{
    struct fingerprint number = hash_fingerprint(device_id);
    size_t size = 0;

    for (const char *at = number.text; *at != '\0'; at++) {
        if (isdigit((unsigned char)*at) && size < 60) {
            out[size++] = *at;
        }
    }
    out[size] = '\0';
}

/* True if the device has this name, or this number, or its number or id begins so. */
static bool
device_is(const struct roster_device *device, const char *word)
{
    char hex[2 * HASH_BYTES + 1];
    char number[61];
    char typed[61];
    size_t size = 0;

    if (strcmp(device->name, word) == 0) {
        return true;
    }
    bytes_hex(hex, hash_span(&device->device_id));
    if (strlen(word) >= ID_DIGITS_MIN && strncmp(hex, word, strlen(word)) == 0) {
        return true;
    }
    for (const char *at = word; *at != '\0'; at++) {
        if (isdigit((unsigned char)*at) && size < 60) {
            typed[size++] = *at;
        } else if (*at != ' ') {
            return false;
        }
    }
    typed[size] = '\0';
    digits_of(number, &device->device_id);
    return size >= NUMBER_DIGITS_MIN && strncmp(number, typed, size) == 0;
}

/* The device that --device names, living or `revoked`. */
static int
find_device(const struct ceremony *ceremony, const char *word, bool revoked,
            const struct roster_device **device_out)
{
    const struct roster *roster = ceremony_roster(ceremony);
    size_t count = 0;

    for (size_t n = 0; n < roster_author_count(roster); n++) {
        const struct roster_device *device = roster_author_at(roster, n);
        size_t revocations = 0;
        (void)roster_revocations_of(roster, device->sign_pk, &revocations);
        if (device_is(device, word) && (revoked ? revocations > 0 : !device->revoked)) {
            *device_out = device;
            count++;
        }
    }
    if (count == 1) {
        return STATUS_DONE;
    }
    return count == 0
               ? org_complain(ERR_ABSENT, word,
                              revoked ? "there is no such device that is revoked" : "there is no such device",
                              "none has this name or number, or it is revoked otherwise",
                              "see who belongs: vigil-org show")
               : org_complain(ERR_INVALID, word, "more than one device is meant",
                              "several have this name, or numbers that begin so",
                              "name it by its whole number: vigil-org show");
}

/* Looking for a statement by the beginning of its number. */
struct id_search {
    const char *word;
    struct hash id;
    size_t count;
};

static void
find_id(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct id_search *search = self;
    char hex[2 * HASH_BYTES + 1];

    (void)type;
    (void)stmt;
    bytes_hex(hex, hash_span(id));
    if (strncmp(hex, search->word, strlen(search->word)) == 0) {
        search->id = *id;
        search->count++;
    }
}

/* The statements that --drop or --keep names. A whole number may be of one that is not here. */
static int
find_statements(const struct ceremony *ceremony, const struct word_list *words, struct hash *ids_out)
{
    for (size_t n = 0; n < words->count; n++) {
        struct id_search search = { .word = words->words[n] };
        size_t size = strlen(search.word);
        if (size >= ID_DIGITS_MIN) {
            roster_each(ceremony_roster(ceremony), 0, find_id, &search);
        }
        if (search.count == 0 && size == 2 * HASH_BYTES &&
            bytes_from_hex(search.id.bytes, HASH_BYTES, search.word)) {
            search.count = 1;
        }
        if (search.count != 1) {
            return org_complain(search.count == 0 ? ERR_ABSENT : ERR_INVALID, search.word,
                                "this is no statement that is known here",
                                search.count == 0 ? "none has a number that begins so, with 8 digits or more"
                                                  : "several have numbers that begin so",
                                "give more digits, as they are shown");
        }
        ids_out[n] = search.id;
    }
    return STATUS_DONE;
}

/* Read the frontier file that was named; none was: nothing is read. */
static int
read_frontier(const struct org_session *session, const uint8_t *not_by, struct frontier_file *frontier_out)
{
    const char *path = session->arguments->frontier;
    ceremony_fault fault = { NULL, NULL, NULL };
    struct buf file = { 0 };

    *frontier_out = (struct frontier_file){ 0 };
    if (path == NULL) {
        return STATUS_DONE;
    }
    int code = org_read_file(path, ORG_FILE_BYTES_MAX, "the frontier file cannot be read", &file);
    enum err err = code == STATUS_DONE ? ceremony_read_frontier(session->ceremony, buf_span(&file), not_by,
                                                                frontier_out, &fault)
                                       : ERR_OK;
    buf_free(&file);
    if (code != STATUS_DONE || err != ERR_OK) {
        return code != STATUS_DONE ? code : org_complain_fault(err, path, &fault);
    }
    const struct roster_device *by =
        roster_device_by_sign_pk(ceremony_roster(session->ceremony), frontier_out->sign_pk);
    (void)printf("%-14s as %s of %s held it on ", "frontier", by->name, by->office->code);
    org_print_day(frontier_out->made);
    (void)printf("\n");
    return STATUS_DONE;
}

/* --- plans --- */

/* Everything that one command will sign about keys. */
struct plan {
    struct ceremony_cuts *cuts; /* owned */
    size_t count;
};

static void
plan_free(struct plan *plan)
{
    for (size_t n = 0; n < plan->count; n++) {
        ceremony_cuts_free(&plan->cuts[n]);
    }
    free(plan->cuts);
}

/* Room for one more. */
static struct ceremony_cuts *
plan_room(struct plan *plan)
{
    struct ceremony_cuts *cuts = realloc(plan->cuts, (plan->count + 1) * sizeof *cuts);

    if (cuts == NULL) {
        return NULL;
    }
    plan->cuts = cuts;
    return &cuts[plan->count];
}

static int
plan_revoke(const struct org_session *session, struct plan *plan, const uint8_t *key,
            const struct frontier_file *frontier, const struct hash *drop)
{
    const struct arguments *arguments = session->arguments;
    struct ceremony_cuts *cuts = plan_room(plan);
    enum err err = ERR_MEMORY;

    if (cuts != NULL && arguments->nothing) {
        err = ceremony_plan_nothing(key, (uint32_t)arguments->reason, cuts);
    } else if (cuts != NULL) {
        err = ceremony_plan_revoke(session->ceremony, key, (uint32_t)arguments->reason, frontier, drop,
                                   arguments->statements.count, cuts);
    }
    if (err != ERR_OK) {
        return org_complain_memory("nothing was revoked");
    }
    plan->count++;
    return STATUS_DONE;
}

/* Show a plan, and ask. STATUS_DONE: go on, unless it is a dry run. */
static int
show_plan(const struct org_session *session, const struct plan *plan, const struct frontier_file *frontier,
          bool extends)
{
    for (size_t n = 0; n < plan->count; n++) {
        words_cuts(session->ceremony, &plan->cuts[n], frontier, extends);
    }
    return session->arguments->dry_run ? STATUS_DONE : org_confirm(session->arguments, "Sign this?");
}

/* Sign what is planned, as extensions where `extend`, and keep it in the ceremony's folder. */
static int
sign_plan(struct org_session *session, const struct plan *plan, bool extend)
{
    ceremony_fault fault = { NULL, NULL, NULL };

    for (size_t n = 0; n < plan->count; n++) {
        bool by_roots = session->arguments->by_roots || session->arguments->office != NULL;
        enum err err = extend
                           ? ceremony_extend(session->ceremony, &plan->cuts[n], &by_roots, &fault)
                           : ceremony_revoke(session->ceremony, &plan->cuts[n], by_roots, &by_roots, &fault);
        if (err != ERR_OK) {
            return org_complain_step(session, err, session->arguments->directory, &fault);
        }
        if (n == 0) {
            (void)printf("%-14s %s\n", "signed by", by_roots ? "roots" : "the office");
        }
    }
    return org_save(session);
}

/* --- revoke --- */

static const struct argp_option revoke_options[] = {
    { "device", OPTION_DEVICE, "DEVICE", 0, "The device, by its number or its name", 0 },
    { "office", OPTION_OFFICE, "CODE", 0, "The office: its key and all its devices", 0 },
    { "reason", OPTION_REASON, "REASON", 0, "lost, stolen, left, replaced or misuse", 0 },
    { "frontier", OPTION_FRONTIER, "FILE", 0,
      "What a node that you trust holds (vigil digest --frontier FILE): so far the work counts", 0 },
    { "nothing", OPTION_NOTHING, NULL, 0, "Nothing of it counts, neither what it wrote nor what it signed",
      0 },
    { "drop", OPTION_DROP, "STATEMENT", 0,
      "Do not keep this statement of it, by the beginning of its number; may be given more than once", 0 },
    { "by-roots", OPTION_BY_ROOTS, NULL, 0, "Let the roots sign, even where the office's key is here", 0 },
    KEY_OPTION,
    SAFETY_OPTIONS,
    { 0 },
};

static const struct argp revoke_argp = {
    revoke_options,
    org_parse,
    "DIR",
    "Revoke a device, or an office with its devices: a revoked key never returns.\v"
    "What it wrote counts as far as the frontier file says, and what it signed is kept. A device is revoked "
    "by "
    "its office if that key is here, else by roots; an office by roots.\n\n"
    "Examples:\n"
    "  vigil-org revoke ceremony --device 'KEN laptop' --reason stolen --frontier hq.frontier\n"
    "  vigil-org revoke ceremony --device 'KEN laptop' --reason misuse --nothing\n"
    "  vigil-org revoke ceremony --office KEN --reason left --frontier hq.frontier --dry-run",
    org_children,
    NULL,
    NULL
};

/* Everything to be revoked with an office: its key, and each device whose office it is. */
static int
plan_office(const struct org_session *session, struct plan *plan, const struct frontier_file *frontier,
            const struct hash *drop)
{
    const struct roster *roster = ceremony_roster(session->ceremony);
    const char *code = session->arguments->office;
    int status = STATUS_DONE;
    bool found = false;

    for (size_t n = 0; n < roster_office_count(roster) && status == STATUS_DONE; n++) {
        const struct roster_office *office = roster_office_at(roster, n);
        if (!office->revoked && strcmp(office->code, code) == 0) {
            found = true;
            status = plan_revoke(session, plan, office->office_pk, frontier, drop);
        }
    }
    if (!found) {
        return org_complain(ERR_ABSENT, code, "there is no such office",
                            "none has this code, or it is revoked already",
                            "see who belongs: vigil-org show");
    }
    for (size_t n = 0; n < roster_device_count(roster) && status == STATUS_DONE; n++) {
        const struct roster_device *device = roster_device_at(roster, n);
        if (strcmp(device->office->code, code) == 0) {
            status = plan_revoke(session, plan, device->sign_pk, frontier, drop);
        }
    }
    return status;
}

/* A file without a log of what is revoked may be the wrong file. */
static int
check_cuts(const struct arguments *arguments, const struct plan *plan)
{
    size_t count = 0;

    for (size_t n = 0; n < plan->count; n++) {
        count += plan->cuts[n].cut_count;
    }
    return count > 0 || arguments->nothing
               ? STATUS_DONE
               : org_complain(ERR_INVALID, arguments->frontier, "nothing was revoked",
                              "the file holds nothing that was written there: all of it would be lost",
                              "take the file from a node that has this work, or add --nothing");
}

static int
revoke_in(struct org_session *session)
{
    const struct arguments *arguments = session->arguments;
    const struct roster_device *device = NULL;
    struct frontier_file frontier = { 0 };
    struct plan plan = { 0 };
    struct hash drop[ORG_LIST_MAX];

    int code = arguments->device == NULL ? STATUS_DONE
                                         : find_device(session->ceremony, arguments->device, false, &device);
    if (code == STATUS_DONE) {
        code = find_statements(session->ceremony, &arguments->statements, drop);
    }
    if (code == STATUS_DONE) {
        code = read_frontier(session, device == NULL ? NULL : device->sign_pk, &frontier);
    }
    if (code == STATUS_DONE) {
        code = device == NULL ? plan_office(session, &plan, &frontier, drop)
                              : plan_revoke(session, &plan, device->sign_pk, &frontier, drop);
    }
    if (code == STATUS_DONE) {
        code = check_cuts(arguments, &plan);
    }
    if (code == STATUS_DONE) {
        code = show_plan(session, &plan, &frontier, false);
    }
    if (code == STATUS_DONE && !arguments->dry_run) {
        code = sign_plan(session, &plan, false);
    }
    plan_free(&plan);
    frontier_file_free(&frontier);
    return code;
}

/* One of the two is named, and neither both nor none. */
static int
check_target(const struct arguments *arguments, const char *what)
{
    return (arguments->device == NULL) != (arguments->office == NULL)
               ? STATUS_DONE
               : org_complain_usage(NULL, what, "it is not said of which device, or of which office",
                                    "give --device DEVICE or --office CODE");
}

static int
do_revoke(struct arguments *arguments)
{
    static const char what[] = "nothing was revoked";
    struct org_session session;

    int code = check_target(arguments, what);
    if (code != STATUS_DONE) {
        return code;
    }
    if (arguments->reason < 0) {
        return org_complain_usage(NULL, what, "--reason is missing",
                                  "give one: lost, stolen, left, replaced or misuse");
    }
    if ((arguments->frontier == NULL) != arguments->nothing) {
        return org_complain_usage(NULL, what,
                                  arguments->nothing ? "--frontier and --nothing exclude each other"
                                                     : "it is not said how much of its work counts",
                                  "give --frontier FILE of a node that you trust, or --nothing");
    }
    code = org_open(&session, arguments);
    if (code == STATUS_DONE) {
        code = revoke_in(&session);
    }
    org_close(&session);
    return code;
}

const struct org_command revoke_command = { "revoke", "revoke a device or an office", &revoke_argp,
                                            do_revoke };

/* --- extend --- */

static const struct argp_option extend_options[] = {
    { "device", OPTION_DEVICE, "DEVICE", 0, "The revoked device, by its number or its name", 0 },
    { "office", OPTION_OFFICE, "CODE", 0, "The office with a revoked key, for --keep", 0 },
    { "frontier", OPTION_FRONTIER, "FILE", 0, "What a node holds, after review: so far the work counts now",
      0 },
    { "keep", OPTION_KEEP, "STATEMENT", 0,
      "Let this statement of it count again, by its number; may be given more than once", 0 },
    KEY_OPTION,
    SAFETY_OPTIONS,
    { 0 },
};

static const struct argp extend_argp = {
    extend_options,
    org_parse,
    "DIR",
    "Let more count of what a revoked device wrote or a revoked key signed, after people reviewed it.\v"
    "Adds to every revocation of it, by the office that issued it if that key is here, else by roots.\n\n"
    "Examples:\n"
    "  vigil-org extend ceremony --device 'KEN laptop' --frontier reviewed.frontier\n"
    "  vigil-org extend ceremony --office KEN --keep 3f09a1c2",
    org_children,
    NULL,
    NULL
};

/* One plan for each key that is revoked: of the device, or of the office. */
static int
plan_extend(const struct org_session *session, struct plan *plan, const struct roster_device *device,
            const struct frontier_file *frontier, const struct hash *keep)
{
    const struct roster *roster = ceremony_roster(session->ceremony);
    const struct arguments *arguments = session->arguments;
    size_t all = device != NULL ? 1 : roster_office_count(roster);

    for (size_t n = 0; n < all; n++) {
        const struct roster_office *office = device != NULL ? NULL : roster_office_at(roster, n);
        if (office != NULL && (!office->revoked || strcmp(office->code, arguments->office) != 0)) {
            continue;
        }
        struct ceremony_cuts *cuts = plan_room(plan);
        enum err err = cuts == NULL
                           ? ERR_MEMORY
                           : ceremony_plan_extend(session->ceremony,
                                                  device != NULL ? device->sign_pk : office->office_pk,
                                                  frontier, keep, arguments->statements.count, cuts);
        if (err != ERR_OK) {
            return org_complain_memory("nothing was extended");
        }
        plan->count++;
    }
    return plan->count > 0 ? STATUS_DONE
                           : org_complain(ERR_ABSENT, arguments->office, "nothing was extended",
                                          "no office of this code has a revoked key",
                                          "see what is revoked: vigil-org show");
}

static int
extend_in(struct org_session *session)
{
    const struct arguments *arguments = session->arguments;
    const struct roster_device *device = NULL;
    struct frontier_file frontier = { 0 };
    struct plan plan = { 0 };
    struct hash keep[ORG_LIST_MAX];
    size_t new_count = 0;

    int code = arguments->device == NULL ? STATUS_DONE
                                         : find_device(session->ceremony, arguments->device, true, &device);
    if (code == STATUS_DONE) {
        code = find_statements(session->ceremony, &arguments->statements, keep);
    }
    if (code == STATUS_DONE) {
        code = read_frontier(session, device == NULL ? NULL : device->sign_pk, &frontier);
    }
    if (code == STATUS_DONE) {
        code = plan_extend(session, &plan, device, &frontier, keep);
    }
    for (size_t n = 0; n < plan.count; n++) {
        new_count += plan.cuts[n].cut_count + plan.cuts[n].keep_count;
    }
    if (code == STATUS_DONE && new_count == 0) {
        (void)printf("nothing new: all of this counts already\n");
    } else if (code == STATUS_DONE) {
        code = show_plan(session, &plan, &frontier, true);
        if (code == STATUS_DONE && !arguments->dry_run) {
            code = sign_plan(session, &plan, true);
        }
    }
    plan_free(&plan);
    frontier_file_free(&frontier);
    return code;
}

static int
do_extend(struct arguments *arguments)
{
    static const char what[] = "nothing was extended";
    struct org_session session;

    int code = check_target(arguments, what);
    if (code != STATUS_DONE) {
        return code;
    }
    if (arguments->office != NULL && arguments->frontier != NULL) {
        return org_complain_usage(NULL, what, "an office writes nothing: its devices do",
                                  "give --device with --frontier, and --office with --keep");
    }
    if (arguments->frontier == NULL && arguments->statements.count == 0) {
        return org_complain_usage(NULL, what, "it is not said what counts now",
                                  "give --frontier FILE, or --keep STATEMENT");
    }
    code = org_open(&session, arguments);
    if (code == STATUS_DONE) {
        code = extend_in(&session);
    }
    org_close(&session);
    return code;
}

const struct org_command extend_command = { "extend", "let more of a revoked key count", &extend_argp,
                                            do_extend };

/* --- roots --- */

static const struct argp_option roots_options[] = {
    { "replace", OPTION_REPLACE, "ROOT", 0,
      "Put a new root key in the place of this one, root-2 or the beginning of its number; may be given more "
      "than "
      "once",
      0 },
    { "remove", OPTION_REMOVE, "ROOT", 0, "Let this one be no root any more; may be given more than once",
      0 },
    { "add", OPTION_ADD, "N", 0, "Make N more root keys", 0 },
    { "needed", OPTION_NEEDED, "M", 0, "How many sign together from then on (as many as now)", 0 },
    KEY_OPTION,
    SAFETY_OPTIONS,
    { 0 },
};

static const struct argp roots_argp = {
    roots_options,
    org_parse,
    "DIR",
    "Replace root keys. The roots in force sign; everything that stands stays.\v"
    "A new root key is a file in DIR under a passphrase of its own: give it to whoever is to keep it. The "
    "key that "
    "goes is not needed.\n\n"
    "Examples:\n"
    "  vigil-org roots ceremony --replace root-2\n"
    "  vigil-org roots ceremony --add 2 --needed 3",
    org_children,
    NULL,
    NULL
};

static int
roots_in(struct org_session *session)
{
    const struct arguments *arguments = session->arguments;
    uint8_t remove[2 * ORG_LIST_MAX][SIGN_PK_BYTES];
    struct ceremony_roots change = { .remove = (const uint8_t(*)[SIGN_PK_BYTES])remove,
                                     .add_count = arguments->add + arguments->replace.count,
                                     .needed = arguments->needed };
    ceremony_fault fault = { NULL, NULL, NULL };
    size_t all = arguments->replace.count + arguments->remove.count;

    words_roots(session->ceremony);
    for (size_t n = 0; n < all; n++) {
        const char *word = n < arguments->replace.count
                               ? arguments->replace.words[n]
                               : arguments->remove.words[n - arguments->replace.count];
        if (!ceremony_root_by_name(session->ceremony, word, remove[n])) {
            return org_complain(ERR_ABSENT, word, "the roots were not changed", "there is no such root key",
                                "name it root-2, or by the beginning of its number, as shown above");
        }
        (void)printf("%-14s %s\n", n < arguments->replace.count ? "replace" : "remove", word);
        change.remove_count++;
    }
    if (change.add_count > 0) {
        (void)printf("%-14s %zu new root key%s\n", "make", change.add_count,
                     change.add_count == 1 ? "" : "s");
    }
    int code = arguments->dry_run ? STATUS_DONE : org_confirm(arguments, "Sign this?");
    if (code != STATUS_DONE || arguments->dry_run) {
        return code;
    }
    enum err err = ceremony_replace_roots(session->ceremony, &change, &fault);
    if (err != ERR_OK) {
        return org_complain_step(session, err, arguments->directory, &fault);
    }
    if (ceremony_missing(session->ceremony) == 0) {
        words_roots(session->ceremony);
    }
    return org_save(session);
}

static int
do_roots(struct arguments *arguments)
{
    struct org_session session;

    if (arguments->replace.count + arguments->remove.count + arguments->add + arguments->needed == 0) {
        return org_complain_usage(NULL, "the roots were not changed", "it is not said how",
                                  "give --replace, --remove, --add or --needed");
    }
    int code = org_open(&session, arguments);
    if (code == STATUS_DONE) {
        code = roots_in(&session);
    }
    org_close(&session);
    return code;
}

const struct org_command roots_command = { "roots", "replace root keys", &roots_argp, do_roots };

/* --- rotate and recover --- */

static const struct argp_option rotate_options[] = {
    { "office", OPTION_OFFICE, "CODE", 0, "Code of the office", 0 },
    { "reason", OPTION_REASON, "REASON", 0, "Why its old key is revoked (replaced)", 0 },
    KEY_OPTION,
    SAFETY_OPTIONS,
    { 0 },
};

static const struct argp rotate_argp = {
    rotate_options,
    org_parse,
    "DIR",
    "Give an office a new key, in the place of one that is old, or may have been copied.\v"
    "The office keeps its code, its compartments and its devices, which are certified anew; roots revoke the "
    "old key, "
    "with everything that it signed kept. The old key is not needed.\n\n"
    "Example:\n"
    "  vigil-org rotate ceremony --office KEN",
    org_children,
    NULL,
    NULL
};

static const struct argp_option recover_options[] = {
    { "office", OPTION_OFFICE, "CODE", 0, "Code of the office whose key is lost", 0 },
    { "level", OPTION_LEVEL, "LEVEL", 0, "What the devices may do: carry, read, write or admin (admin)", 0 },
    { "reason", OPTION_REASON, "REASON", 0, "Why its old key is revoked (lost)", 0 },
    KEY_OPTION,
    SAFETY_OPTIONS,
    { 0 },
};

static const struct argp recover_argp = {
    recover_options,
    org_parse,
    "DIR REQUEST...",
    "Bring an office back whose key is lost, on the device of this request.\v"
    "As rotate, and certifies the devices of the requests under the new key. It takes as many people as hold "
    "the "
    "root keys that must sign together: none alone recovers anything. A lost device is revoked by itself: "
    "vigil-org revoke. Where signatures are still missing, the welcome comes later: vigil-org welcome.\n\n"
    "Example:\n"
    "  vigil-org recover ceremony --office KEN laptop.request",
    org_children,
    NULL,
    NULL
};

static const struct roster_office *
office_of_code(const struct roster *roster, const char *code)
{
    const struct roster_office *found = NULL;

    for (size_t n = 0; n < roster_office_count(roster); n++) {
        const struct roster_office *office = roster_office_at(roster, n);
        if (strcmp(office->code, code) == 0 && (found == NULL || !office->revoked)) {
            found = office;
        }
    }
    return found;
}

/* Say what will happen to the office, and ask. */
static int
show_rotation(const struct org_session *session, const struct roster_office *office,
              const struct incoming *incoming)
{
    const struct roster *roster = ceremony_roster(session->ceremony);
    const struct arguments *arguments = session->arguments;

    (void)printf("%-14s %s, %s: a new key, with the same compartments\n", "office", office->code,
                 office->name);
    for (size_t n = 0; n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);
        if (device->office == office) {
            (void)printf("%-14s %s\n", "certify anew", device->name);
        }
    }
    for (size_t n = 0; n < arguments->file_count; n++) {
        struct hash device_id;
        device_id_of(incoming[n].request.sign_pk, &device_id);
        (void)printf("%-14s %s\n", "certify", incoming[n].request.name);
        org_print_number("number", &device_id);
    }
    if (!office->revoked) {
        (void)printf("%-14s its old key: %s; what it signed is kept\n", "revoke",
                     words_reason((uint32_t)arguments->reason));
    }
    return arguments->dry_run ? STATUS_DONE : org_confirm(arguments, "Sign this?");
}

static int
rotate_in(struct org_session *session, const struct incoming *incoming)
{
    const struct arguments *arguments = session->arguments;
    const struct roster_office *office =
        office_of_code(ceremony_roster(session->ceremony), arguments->office);
    ceremony_fault fault = { NULL, NULL, NULL };

    if (office == NULL) {
        return org_complain(ERR_ABSENT, arguments->office, "the office has no new key",
                            "there is no office of this code", "check the code");
    }
    int code = show_rotation(session, office, incoming);
    if (code != STATUS_DONE || arguments->dry_run) {
        return code;
    }
    struct request *requests = calloc(arguments->file_count + 1, sizeof *requests);
    if (requests == NULL) {
        return org_complain_memory("the office has no new key");
    }
    for (size_t n = 0; n < arguments->file_count; n++) {
        requests[n] = incoming[n].request;
    }
    enum err err =
        ceremony_rotate(session->ceremony, arguments->office, (uint32_t)arguments->reason, requests,
                        arguments->file_count, arguments->level, org_roles(arguments), &fault);
    free(requests);
    if (err != ERR_OK) {
        return org_complain_step(session, err, arguments->directory, &fault);
    }
    /* What waits has no welcome; what was signed is kept before any is written. */
    code = org_save(session);
    return code == STATUS_DONE ? org_write_welcomes(session, incoming, arguments->file_count) : code;
}

static int
rotate_with(struct arguments *arguments, int reason)
{
    struct org_session session = { .ceremony = NULL };

    arguments->reason = arguments->reason < 0 ? reason : arguments->reason;
    struct incoming *incoming = calloc(arguments->file_count + 1, sizeof *incoming);
    if (incoming == NULL) {
        return org_complain_memory("the office has no new key");
    }
    int code = org_read_requests(incoming, arguments);
    if (code == STATUS_DONE) {
        code = org_open(&session, arguments);
    }
    if (code == STATUS_DONE) {
        code = rotate_in(&session, incoming);
    }
    org_close(&session);
    free(incoming);
    return code;
}

static int
do_rotate(struct arguments *arguments)
{
    if (arguments->office == NULL || arguments->file_count > 0) {
        return org_complain_usage(NULL, "the office has no new key",
                                  arguments->office == NULL ? "--office is missing" : "it takes no request",
                                  "see vigil-org rotate --help");
    }
    return rotate_with(arguments, REVOKE_REPLACED);
}

static int
do_recover(struct arguments *arguments)
{
    if (arguments->office == NULL || arguments->file_count == 0) {
        return org_complain_usage(NULL, "the office was not recovered",
                                  arguments->office == NULL ? "--office is missing" : "no request is named",
                                  "see vigil-org recover --help");
    }
    return rotate_with(arguments, REVOKE_LOST);
}

const struct org_command rotate_command = { "rotate", "give an office a new key", &rotate_argp, do_rotate };
const struct org_command recover_command = { "recover", "bring back an office whose key is lost",
                                             &recover_argp, do_recover };

/* --- renew --- */

static const struct argp_option renew_options[] = {
    { "office", OPTION_OFFICE, "CODE", 0, "Code of the office", 0 },
    KEY_OPTION,
    SAFETY_OPTIONS,
    { 0 },
};

static const struct argp renew_argp = {
    renew_options,
    org_parse,
    "DIR",
    "Certify the devices of an office anew before their certificates end, or after.\v"
    "Each keeps what it had: its levels, roles and name. No request is needed. A device that is in use no "
    "more is "
    "revoked first: vigil-org revoke. Where the certificate of the office itself would end before theirs, "
    "roots sign "
    "another one for the same key. DIR/organisation.statements is the news for all nodes, the renewed ones "
    "too: vigil peer add --statements FILE.\n\n"
    "Examples:\n"
    "  vigil-org renew ceremony --office KEN --dry-run\n"
    "  vigil-org renew ceremony --office KEN",
    org_children,
    NULL,
    NULL
};

static int
renew_in(struct org_session *session)
{
    const struct arguments *arguments = session->arguments;
    const struct roster *roster = ceremony_roster(session->ceremony);
    const struct roster_office *office = office_of_code(roster, arguments->office);
    ceremony_fault fault = { NULL, NULL, NULL };

    if (office == NULL || office->revoked) {
        return org_complain(ERR_ABSENT, arguments->office, "nothing was renewed",
                            "no office of this code is in force", "check the code");
    }
    if (ceremony_office_ends(session->ceremony, office)) {
        (void)printf("%-14s %s, %s, by roots: it ends ", "office", office->code, office->name);
        org_print_day(office->until);
        (void)putchar('\n');
    }
    for (size_t n = 0; n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);
        if (device->office == office) {
            (void)printf("%-14s %s: it ends ", "certify anew", device->name);
            org_print_day(device->until);
            (void)putchar('\n');
        }
    }
    int code = arguments->dry_run ? STATUS_DONE : org_confirm(arguments, "Sign this?");
    if (code != STATUS_DONE || arguments->dry_run) {
        return code;
    }
    enum err err = ceremony_renew(session->ceremony, arguments->office, &fault);
    return err == ERR_OK ? org_save(session) : org_complain_step(session, err, arguments->directory, &fault);
}

static int
do_renew(struct arguments *arguments)
{
    struct org_session session = { .ceremony = NULL };

    if (arguments->office == NULL || arguments->file_count > 0) {
        return org_complain_usage(NULL, "nothing was renewed",
                                  arguments->office == NULL ? "--office is missing" : "it takes no request",
                                  "see vigil-org renew --help");
    }
    int code = org_open(&session, arguments);
    if (code == STATUS_DONE) {
        code = renew_in(&session);
    }
    org_close(&session);
    return code;
}

const struct org_command renew_command = { "renew", "certify the devices of an office for longer",
                                           &renew_argp, do_renew };
