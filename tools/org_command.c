#include "tools/org_command.h"
#include "store/base/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_FILE_BYTES_MAX = 16384 };

/* --- saying what is wrong --- */

int
org_complain(enum err err, const char *about, const char *what, const char *why, const char *todo)
{
    if (about != NULL) {
        (void)fprintf(stderr, "vigil-org: %s: %s\n", about, what);
    } else {
        (void)fprintf(stderr, "vigil-org: %s\n", what);
    }
    (void)fprintf(stderr, "  why: %s\n  do:  %s\n", why, todo);
    return (int)exit_status_of(err);
}

int
org_complain_usage(const char *about, const char *what, const char *why, const char *todo)
{
    (void)org_complain(ERR_OK, about, what, why, todo);
    return STATUS_USAGE;
}

int
org_complain_fault(enum err err, const char *about, const ceremony_fault *fault)
{
    return org_complain(err, about, fault->what, fault->why, fault->todo);
}

int
org_complain_memory(const char *what)
{
    return org_complain(ERR_MEMORY, NULL, what, err_text(ERR_MEMORY), "close other programs and try again");
}

/* --- the world of a program that meets nobody --- */

static uint64_t
wall_ms(void *self)
{
    struct timespec now;

    (void)self;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t
steady_ms(void *self)
{
    struct timespec now;

    (void)self;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
draw(void *self, void *out, size_t size)
{
    (void)self;
    crypto_os_random(out, size);
}

static bool
send_nothing(void *self, uint32_t peer, struct span frame)
{
    (void)self;
    (void)peer;
    (void)frame;
    return false;
}

static enum err
disk_is_fine(void *self, enum world_disk step)
{
    (void)self;
    (void)step;
    return ERR_OK;
}

static const struct world real_world = {
    .wall_ms = wall_ms,
    .steady_ms = steady_ms,
    .random = draw,
    .send = send_nothing,
    .disk = disk_is_fine,
};

/* --- arguments --- */

static unsigned long
parse_number(struct argp_state *state, const char *text, unsigned long least, unsigned long most)
{
    char *end = NULL;

    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < least || value > most) {
        argp_error(state, "%s is not a number from %lu to %lu", text, least, most);
    }
    return value;
}

/* Whoever writes the passphrase itself here does not find it on a screen or in a log. */
static int
parse_descriptor(struct argp_state *state, const char *text)
{
    if (text[strspn(text, "0123456789")] != '\0') {
        argp_error(state,
                   "--passphrase-fd takes the number of a descriptor, and never the passphrase itself");
    }
    return (int)parse_number(state, text, 0, 1 << 20);
}

static enum level
parse_level(struct argp_state *state, const char *text)
{
    static const char *const names[] = { "carry", "read", "write", "admin" };

    for (size_t n = 0; n < 4; n++) {
        if (strcmp(text, names[n]) == 0) {
            return (enum level)(LEVEL_CARRY + (int)n);
        }
    }
    argp_error(state, "%s is no level: carry, read, write or admin", text);
    return LEVEL_NONE;
}

static int
parse_reason(struct argp_state *state, const char *text)
{
    static const char *const names[] = { "none", "lost", "stolen", "left", "replaced", "misuse" };

    for (int n = REVOKE_LOST; n <= REVOKE_MISUSE; n++) {
        if (strcmp(text, names[n]) == 0) {
            return n;
        }
    }
    argp_error(state, "%s is no reason: lost, stolen, left, replaced or misuse", text);
    return REVOKE_NO_REASON;
}

static void
add_word(struct argp_state *state, struct word_list *list, const char *word)
{
    if (list->count == ORG_LIST_MAX) {
        argp_error(state, "more than %d of one option", ORG_LIST_MAX);
    }
    list->words[list->count++] = word;
}

/* Options that name one thing. False: it is none of these. */
static bool
parse_word(int key, char *text, struct arguments *arguments)
{
    const struct {
        int key;
        const char **word;
    } words[] = {
        { OPTION_NAME, &arguments->name },
        { OPTION_OFFICE, &arguments->office },
        { OPTION_OFFICE_NAME, &arguments->office_name },
        { OPTION_KEY, &arguments->key },
        { OPTION_DEVICE, &arguments->device },
        { OPTION_FRONTIER, &arguments->frontier },
        { OPTION_OUTPUT, &arguments->output },
    };

    for (size_t n = 0; n < sizeof words / sizeof words[0]; n++) {
        if (words[n].key == key) {
            *words[n].word = text;
            return true;
        }
    }
    return false;
}

/* Options that are there or not. False: it is none of these. */
static bool
parse_flag(int key, struct arguments *arguments)
{
    const struct {
        int key;
        bool *flag;
    } flags[] = {
        { OPTION_EVERYTHING, &arguments->everything },
        { OPTION_NOTHING, &arguments->nothing },
        { OPTION_BY_ROOTS, &arguments->by_roots },
        { OPTION_DRY_RUN, &arguments->dry_run },
        { OPTION_YES, &arguments->yes },
    };

    for (size_t n = 0; n < sizeof flags / sizeof flags[0]; n++) {
        if (flags[n].key == key) {
            *flags[n].flag = true;
            return true;
        }
    }
    return false;
}

error_t
org_parse_bare(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    if (parse_word(key, text, arguments) || parse_flag(key, arguments)) {
        return 0;
    }
    switch (key) {
    case OPTION_ROOTS:
        arguments->roots = (unsigned)parse_number(state, text, 1, STATEMENT_SIGNERS_MAX);
        return 0;
    case OPTION_NEEDED:
        arguments->needed = (unsigned)parse_number(state, text, 1, STATEMENT_SIGNERS_MAX);
        return 0;
    case OPTION_ADD:
        arguments->add = (unsigned)parse_number(state, text, 1, STATEMENT_SIGNERS_MAX);
        return 0;
    case OPTION_LEVEL:
        arguments->level = parse_level(state, text);
        return 0;
    case OPTION_REASON:
        arguments->reason = parse_reason(state, text);
        return 0;
    case OPTION_GRANT:
        add_word(state, &arguments->grants, text);
        return 0;
    case OPTION_DROP:
    case OPTION_KEEP:
    case OPTION_STATEMENT:
        add_word(state, &arguments->statements, text);
        return 0;
    case OPTION_REPLACE:
        add_word(state, &arguments->replace, text);
        return 0;
    case OPTION_REMOVE:
        add_word(state, &arguments->remove, text);
        return 0;
    case OPTION_KEY_MEMORY:
        arguments->key_memory_mib = parse_number(state, text, 64, 4096);
        return 0;
    case OPTION_PASSPHRASE_FD:
        arguments->ask.fd = parse_descriptor(state, text);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->directory == NULL) {
            arguments->directory = text;
        } else if (arguments->file_count < ORG_FILES_MAX) {
            arguments->files[arguments->file_count++] = text;
        } else {
            argp_error(state, "more than %d files", ORG_FILES_MAX);
        }
        return 0;
    case ARGP_KEY_END:
        if (arguments->directory == NULL) {
            argp_error(state, "nothing is named: see --help");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option common_options[] = {
    { "passphrase-fd", OPTION_PASSPHRASE_FD, "N", 0,
      "Read passphrases from descriptor N, one a line, in the order in which keys are asked for", 9 },
    { "key-memory", OPTION_KEY_MEMORY, "MIB", 0,
      "Memory that opening a new key file takes; without this it is measured", 9 },
    { 0 },
};

static const struct argp common_argp = { common_options, org_parse_bare, NULL, NULL, NULL, NULL, NULL };
const struct argp_child org_children[] = { { &common_argp, 0, NULL, 9 }, { 0 } };

/* The child parses the common options; the parent hands its input on. */
error_t
org_parse(int key, char *text, struct argp_state *state)
{
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
        return 0;
    }
    return org_parse_bare(key, text, state);
}

/* --- the ceremony --- */

/* What a new key file costs is measured when the first one is made: it takes seconds. */
static enum err
ask_and_measure(void *self, const char *key_name, bool fresh, struct buf *passphrase_out)
{
    struct org_session *session = self;
    enum err err = org_ask(&session->arguments->ask, key_name, fresh, passphrase_out);

    if (err == ERR_OK && fresh && !session->measured) {
        (void)fprintf(stderr, "Measuring what a passphrase may cost on this machine...\n");
        vault_calibrate(&session->work);
        session->measured = true;
    }
    return err;
}

void
org_session_init(struct org_session *session, struct arguments *arguments)
{
    *session = (struct org_session){
        .arguments = arguments,
        .work = { 3, (uint64_t)arguments->key_memory_mib << 20 },
        .measured = arguments->key_memory_mib > 0,
    };
    session->options = (struct ceremony_options){
        .directory = arguments->directory,
        .world = &real_world,
        .work = &session->work,
        .ask = ask_and_measure,
        .self = session,
        .key_in_question = session->key_in_question,
    };
}

int
org_open(struct org_session *session, struct arguments *arguments)
{
    ceremony_fault fault = { NULL, NULL, NULL };

    org_session_init(session, arguments);
    enum err err = ceremony_open(&session->ceremony, &session->options, arguments->key, &fault);
    return err == ERR_OK ? STATUS_DONE : org_complain_step(session, err, arguments->directory, &fault);
}

void
org_close(struct org_session *session)
{
    ceremony_close(&session->ceremony);
}

int
org_complain_step(const struct org_session *session, enum err err, const char *about,
                  const ceremony_fault *fault)
{
    return org_complain_fault(err, session->key_in_question[0] == '\0' ? about : session->key_in_question,
                              fault);
}

int
org_save(struct org_session *session)
{
    const char *directory = session->arguments->directory;
    ceremony_fault fault = { NULL, NULL, NULL };
    char why[64];

    enum err err = ceremony_save(session->ceremony, &fault);
    if (err != ERR_OK) {
        return org_complain_step(session, err, directory, &fault);
    }
    (void)printf("%-14s %s/organisation.statements\n", "news", directory);
    uint32_t missing = ceremony_missing(session->ceremony);
    if (missing == 0) {
        return STATUS_DONE;
    }
    (void)fflush(stdout);
    (void)snprintf(why, sizeof why, "it needs %u more signature%s of roots", (unsigned)missing,
                   missing == 1 ? "" : "s");
    (void)org_complain(ERR_BUSY, directory, "what was signed does not count yet", why,
                       "take organisation.statements to people with other root keys: vigil-org sign");
    return STATUS_AGAIN;
}

int
org_confirm(const struct arguments *arguments, const char *question)
{
    char answer[16] = "";

    if (arguments->yes) {
        return STATUS_DONE;
    }
    (void)fflush(stdout);
    int terminal = arguments->ask.fd >= 0 ? -1 : open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) {
        return org_complain_usage(NULL, "nothing was signed", "nobody can be asked whether to go on",
                                  "look at what would be signed with --dry-run, then add --yes");
    }
    (void)dprintf(terminal, "%s [y/N] ", question);
    ssize_t size = read(terminal, answer, sizeof answer - 1);
    (void)close(terminal);
    if (size <= 0 ||
        (strcmp(answer, "y\n") != 0 && strcmp(answer, "Y\n") != 0 && strcmp(answer, "yes\n") != 0)) {
        (void)org_complain(ERR_OK, NULL, "nothing was signed", "the answer was not yes", "run it again");
        return STATUS_FAILED;
    }
    return STATUS_DONE;
}

/* --- files --- */

int
org_read_file(const char *path, size_t bytes_max, const char *what, struct buf *out)
{
    enum err err = path[0] == '\0' || path[strlen(path) - 1] == '/' ? ERR_ABSENT
                                                                    : vault_read_plain(path, bytes_max, out);

    return err == ERR_OK
               ? STATUS_DONE
               : org_complain(err, path, what,
                              err == ERR_CORRUPT ? "it is longer than such a file is" : err_text(err),
                              "check the name of the file");
}

int
org_read_requests(struct incoming *incoming_out, const struct arguments *arguments)
{
    for (size_t n = 0; n < arguments->file_count; n++) {
        const char *path = arguments->files[n];
        struct buf file = { 0 };
        ceremony_fault fault = { NULL, NULL, NULL };
        int code = org_read_file(path, REQUEST_FILE_BYTES_MAX, "the request cannot be read", &file);
        enum err err = ERR_OK;

        if (code == STATUS_DONE) {
            incoming_out[n].path = path;
            err = request_read(buf_span(&file), &incoming_out[n].request, &fault);
        }
        buf_free(&file);
        if (code != STATUS_DONE || err != ERR_OK) {
            return code != STATUS_DONE ? code : org_complain_fault(err, path, &fault);
        }
    }
    return STATUS_DONE;
}

int
org_write_welcomes(const struct org_session *session, const struct incoming *incoming, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        char path[ORG_PATH_BYTES_MAX];
        struct buf file = { 0 };
        ceremony_fault fault = { NULL, NULL, NULL };
        enum err err = ceremony_welcome(session->ceremony, &incoming[n].request, &file, &fault);
        if (err != ERR_OK) {
            buf_free(&file);
            return org_complain_fault(err, incoming[n].path, &fault);
        }
        int size = snprintf(path, sizeof path, "%s.welcome", incoming[n].path);
        err = size > 0 && (size_t)size < sizeof path ? vault_write_plain(path, buf_span(&file)) : ERR_INVALID;
        buf_free(&file);
        if (err != ERR_OK) {
            return org_complain(err, incoming[n].path, "its welcome cannot be written", err_text(err),
                                "make room beside the request, then: vigil-org welcome");
        }
        const struct roster_device *device =
            roster_device_by_sign_pk(ceremony_roster(session->ceremony), incoming[n].request.sign_pk);
        (void)printf("%-14s %s\n", "device", device->name);
        org_print_number("number", &device->device_id);
        (void)printf("%-14s %s\n", "welcome", path);
    }
    return STATUS_DONE;
}

uint32_t
org_roles(const struct arguments *arguments)
{
    uint32_t roles = arguments->level == LEVEL_CARRY ? ROLE_RELAY : ROLE_CASE_WORK | ROLE_REVIEW;

    if (arguments->level == LEVEL_ADMIN) {
        roles |= ROLE_OPERATOR;
    }
    return arguments->everything ? roles | ROLE_HEADQUARTERS | ROLE_AUDITOR : roles;
}

/* --- printing --- */

void
org_print_number(const char *label, const struct hash *hash)
{
    (void)printf("%-14s %s\n", label, hash_fingerprint(hash).text);
}

const char *
org_level_name(enum level level)
{
    static const char *const names[] = { "-", "carry", "read", "write", "admin" };

    return names[level];
}

void
org_print_day(uint64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm day;
    char text[32] = "-";

    if (seconds < UINT64_C(253402300800) && gmtime_r(&time, &day) != NULL) {
        (void)strftime(text, sizeof text, "%Y-%m-%d", &day);
    }
    (void)printf("%-11s", text);
}
