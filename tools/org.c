/* org.c - vigil-org: the offline ceremony at which an organisation makes its keys and certificates. */
#include "store/base/world.h"
#include "sync/ceremony.h"
#include "tools/org_ask.h"
#include "tools/org_backup.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_MISSING = 3,
    EXIT_NOT_FOUND = 4,
    EXIT_BAD_DATA = 5,
    EXIT_AGAIN = 75,
};

enum { REQUESTS_MAX = 256, GRANTS_MAX = 64, REQUEST_FILE_BYTES_MAX = 16384, PATH_BYTES_MAX = 4096 };

const char *argp_program_version = "vigil-org 0.1.0";

/* What was typed. */
struct arguments {
    const char *directory;
    const char *name;
    unsigned roots;
    unsigned needed;
    const char *office;
    const char *office_name;
    enum level level;
    bool everything;
    const char *grants[GRANTS_MAX];
    size_t grant_count;
    const char *requests[REQUESTS_MAX];
    size_t request_count;
    const char *key;
    unsigned long key_memory_mib; /* 0: measure */
    struct ask ask;
};

static int
exit_code(enum err err)
{
    switch (err) {
    case ERR_OK:
        return EXIT_DONE;
    case ERR_DENIED:
    case ERR_PASSPHRASE:
    case ERR_LOCKED:
    case ERR_NEWER:
        return EXIT_MISSING;
    case ERR_ABSENT:
        return EXIT_NOT_FOUND;
    case ERR_INVALID:
    case ERR_CORRUPT:
        return EXIT_BAD_DATA;
    case ERR_BUSY:
        return EXIT_AGAIN;
    default:
        return EXIT_FAILED;
    }
}

/* What, why, what to do: three lines. `about` names the file or argument, or is NULL. */
static int
complain(enum err err, const char *about, const char *what, const char *why, const char *todo)
{
    if (about != NULL) {
        (void)fprintf(stderr, "vigil-org: %s: %s\n", about, what);
    } else {
        (void)fprintf(stderr, "vigil-org: %s\n", what);
    }
    (void)fprintf(stderr, "  why: %s\n  do:  %s\n", why, todo);
    return exit_code(err);
}

static int
complain_usage(const char *about, const char *what, const char *why, const char *todo)
{
    (void)complain(ERR_OK, about, what, why, todo);
    return EXIT_USAGE;
}

static int
complain_fault(enum err err, const char *about, const ceremony_fault *fault)
{
    return complain(err, about, fault->what, fault->why, fault->todo);
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

enum option_key {
    OPTION_NAME = 'n',
    OPTION_OFFICE = 'o',
    OPTION_LEVEL = 'l',
    OPTION_EVERYTHING = 'e',
    OPTION_GRANT = 'g',
    OPTION_ROOTS = 256,
    OPTION_NEEDED,
    OPTION_OFFICE_NAME,
    OPTION_KEY,
    OPTION_KEY_MEMORY,
    OPTION_PASSPHRASE_FD,
};

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

static error_t
parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case OPTION_NAME:
        arguments->name = text;
        return 0;
    case OPTION_ROOTS:
        arguments->roots = (unsigned)parse_number(state, text, 1, STATEMENT_SIGNERS_MAX);
        return 0;
    case OPTION_NEEDED:
        arguments->needed = (unsigned)parse_number(state, text, 1, STATEMENT_SIGNERS_MAX);
        return 0;
    case OPTION_OFFICE:
        arguments->office = text;
        return 0;
    case OPTION_OFFICE_NAME:
        arguments->office_name = text;
        return 0;
    case OPTION_LEVEL:
        arguments->level = parse_level(state, text);
        return 0;
    case OPTION_EVERYTHING:
        arguments->everything = true;
        return 0;
    case OPTION_GRANT:
        if (arguments->grant_count == GRANTS_MAX) {
            argp_error(state, "more than %d grants", GRANTS_MAX);
        }
        arguments->grants[arguments->grant_count++] = text;
        return 0;
    case OPTION_KEY:
        arguments->key = text;
        return 0;
    case OPTION_KEY_MEMORY:
        arguments->key_memory_mib = parse_number(state, text, 64, 4096);
        return 0;
    case OPTION_PASSPHRASE_FD:
        arguments->ask.fd = (int)parse_number(state, text, 0, 1 << 20);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->directory == NULL) {
            arguments->directory = text;
        } else if (arguments->request_count < REQUESTS_MAX) {
            arguments->requests[arguments->request_count++] = text;
        } else {
            argp_error(state, "more than %d requests", REQUESTS_MAX);
        }
        return 0;
    case ARGP_KEY_END:
        if (arguments->directory == NULL) {
            argp_error(state, "no directory is named");
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

static const struct argp common_argp = { common_options, parse_option, NULL, NULL, NULL, NULL, NULL };
static const struct argp_child children[] = { { &common_argp, 0, NULL, 9 }, { 0 } };

/* The child parses the common options; the parent hands its input on. */
static error_t
parse_with_children(int key, char *text, struct argp_state *state)
{
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
        return 0;
    }
    return parse_option(key, text, state);
}

/* --- what subcommands share --- */

/* What a new key file costs is measured when the first one is made: it takes seconds. */
struct asking {
    struct ask *ask;
    struct vault_work work;
    bool measured;
};

static enum err
ask_and_measure(void *self, const char *key_name, bool fresh, struct buf *passphrase_out)
{
    struct asking *asking = self;
    enum err err = org_ask(asking->ask, key_name, fresh, passphrase_out);

    if (err == ERR_OK && fresh && !asking->measured) {
        (void)fprintf(stderr, "Measuring what a passphrase may cost on this machine...\n");
        vault_calibrate(&asking->work);
        asking->measured = true;
    }
    return err;
}

static struct ceremony_options
options_of(struct asking *asking, struct arguments *arguments)
{
    *asking = (struct asking){
        .ask = &arguments->ask,
        .work = { 3, (uint64_t)arguments->key_memory_mib << 20 },
        .measured = arguments->key_memory_mib > 0,
    };
    return (struct ceremony_options){
        .directory = arguments->directory,
        .world = &real_world,
        .work = &asking->work,
        .ask = ask_and_measure,
        .self = asking,
    };
}

static void
print_fingerprint(const char *label, const struct hash *hash)
{
    (void)printf("%-14s %s\n", label, hash_fingerprint(hash).text);
}

/* A statement's name is shown at a terminal as it is: it holds no control character. */
static const char *
level_name(enum level level)
{
    static const char *const names[] = { "-", "carry", "read", "write", "admin" };

    return names[level];
}

/* --- init --- */

static const struct argp_option init_options[] = {
    { "name", OPTION_NAME, "NAME", 0, "Name of the organisation", 0 },
    { "roots", OPTION_ROOTS, "N", 0, "How many root keys there are (3)", 0 },
    { "needed", OPTION_NEEDED, "M", 0, "How many of them must sign together (2, or all if there are fewer)",
      0 },
    { 0 },
};

static const struct argp init_argp = {
    init_options,
    parse_with_children,
    "DIR",
    "Found an organisation: root keys, each under its own passphrase, in the directory DIR.\v"
    "Example:\n"
    "  vigil-org init ceremony --name 'Defenders Network' --roots 3 --needed 2\n\n"
    "Keep the root key files apart, on media that are never connected. Any key file opens "
    "organisation.statements, which holds all that was signed.",
    children,
    NULL,
    NULL
};

static int
do_init(struct arguments *arguments)
{
    struct ceremony *ceremony = NULL;
    struct ceremony_options options;
    struct asking asking;
    ceremony_fault fault = { NULL, NULL, NULL };

    if (arguments->name == NULL) {
        return complain_usage(NULL, "the organisation has no name", "--name is missing", "add --name NAME");
    }
    if (arguments->needed == 0) {
        arguments->needed = arguments->roots < 2 ? arguments->roots : 2;
    }
    if (mkdir(arguments->directory, 0700) != 0 && errno != EEXIST) {
        return complain(ERR_DENIED, arguments->directory, "the directory cannot be made", strerror(errno),
                        "choose another place");
    }
    options = options_of(&asking, arguments);
    enum err err =
        ceremony_found(&ceremony, &options, arguments->name, arguments->roots, arguments->needed, &fault);
    if (err != ERR_OK) {
        return complain_fault(err, arguments->directory, &fault);
    }
    (void)printf("%-14s %s\n", "organisation", roster_name(ceremony_roster(ceremony)));
    print_fingerprint("number", roster_org(ceremony_roster(ceremony)));
    (void)printf("%-14s %u, of which %u sign together\n", "root keys", arguments->roots, arguments->needed);
    ceremony_close(&ceremony);
    return EXIT_DONE;
}

/* --- enrol --- */

static const struct argp_option enrol_options[] = {
    { "office", OPTION_OFFICE, "CODE", 0, "Code of the office, such as KEN: 1 to 12 of A-Z, 0-9 and -", 0 },
    { "office-name", OPTION_OFFICE_NAME, "NAME", 0, "Name of an office that is new (its code)", 0 },
    { "level", OPTION_LEVEL, "LEVEL", 0, "What the devices may do: carry, read, write or admin (admin)", 0 },
    { "everything", OPTION_EVERYTHING, NULL, 0,
      "Headquarters: the office holds the compartments of all offices, later ones too", 0 },
    { "grant", OPTION_GRANT, "CODE:PART=LEVEL", 0,
      "Let the office and these devices have a part of another office: cases, protected, audit or all", 0 },
    { 0 },
};

static const struct argp enrol_argp = {
    enrol_options,
    parse_with_children,
    "DIR REQUEST...",
    "Certify the devices of these requests for an office, which is made if it is new.\v"
    "Writes REQUEST.welcome beside each request; DIR/organisation.statements is news for all other nodes.\n\n"
    "Examples:\n"
    "  vigil-org enrol ceremony --office HQ --office-name Headquarters --everything hq.request\n"
    "  vigil-org enrol ceremony --office KEN --office-name 'Kenya office' ken.request\n"
    "  vigil-org enrol ceremony --office RELAY --level carry --grant KEN:all=carry relay.request\n"
    "  vigil-org enrol ceremony --office UN --level read --grant KEN:cases=read un.request\n\n"
    "Compare the numbers that are printed with those the devices show.",
    children,
    NULL,
    NULL
};

/* A request, and where it came from. */
struct incoming {
    const char *path;
    struct request request;
};

static int
read_requests(struct incoming *incoming, const struct arguments *arguments)
{
    for (size_t n = 0; n < arguments->request_count; n++) {
        struct buf file = { 0 };
        ceremony_fault fault = { NULL, NULL, NULL };
        const char *path = arguments->requests[n];
        enum err err = path[0] == '\0' || path[strlen(path) - 1] == '/'
                           ? ERR_ABSENT
                           : vault_read_plain(path, REQUEST_FILE_BYTES_MAX, &file);
        if (err != ERR_OK) {
            buf_free(&file);
            return complain(err, path, "the request cannot be read", err_text(err),
                            "check the name of the file");
        }
        incoming[n].path = path;
        err = request_read(buf_span(&file), &incoming[n].request, &fault);
        buf_free(&file);
        if (err != ERR_OK) {
            return complain_fault(err, path, &fault);
        }
    }
    return EXIT_DONE;
}

static int
read_grants(const struct ceremony *ceremony, const struct arguments *arguments,
            struct ceremony_grant *grants_out, size_t *count_out)
{
    *count_out = 0;
    for (size_t n = 0; n < arguments->grant_count; n++) {
        size_t count = 0;
        enum err err = ceremony_read_grant(ceremony, arguments->grants[n], grants_out + *count_out, &count);
        if (err == ERR_ABSENT) {
            return complain(err, arguments->grants[n], "the grant names nothing that is here",
                            "there is no such office or part",
                            "name cases, protected, audit or all of an office");
        }
        if (err != ERR_OK) {
            return complain_usage(arguments->grants[n], "this is no grant", "it is not CODE:PART=LEVEL",
                                  "write it like KEN:cases=read");
        }
        *count_out += count;
    }
    return EXIT_DONE;
}

static uint32_t
roles_of(const struct arguments *arguments)
{
    uint32_t roles = arguments->level == LEVEL_CARRY ? ROLE_RELAY : ROLE_CASE_WORK | ROLE_REVIEW;

    if (arguments->level == LEVEL_ADMIN) {
        roles |= ROLE_OPERATOR;
    }
    return arguments->everything ? roles | ROLE_HEADQUARTERS | ROLE_AUDITOR : roles;
}

static int
write_welcomes(const struct ceremony *ceremony, const struct incoming *incoming, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        char path[PATH_BYTES_MAX];
        struct buf file = { 0 };
        ceremony_fault fault = { NULL, NULL, NULL };
        enum err err = ceremony_welcome(ceremony, &incoming[n].request, &file, &fault);
        if (err != ERR_OK) {
            buf_free(&file);
            return complain_fault(err, incoming[n].path, &fault);
        }
        int size = snprintf(path, sizeof path, "%s.welcome", incoming[n].path);
        err = size > 0 && (size_t)size < sizeof path ? vault_write_plain(path, buf_span(&file)) : ERR_INVALID;
        buf_free(&file);
        if (err != ERR_OK) {
            return complain(err, incoming[n].path, "its welcome cannot be written", err_text(err),
                            "make room beside the request and enrol it again");
        }
        const struct roster_device *device =
            roster_device_by_sign_pk(ceremony_roster(ceremony), incoming[n].request.sign_pk);
        (void)printf("%-14s %s\n", "device", device->name);
        print_fingerprint("number", &device->device_id);
        (void)printf("%-14s %s\n", "welcome", path);
    }
    return EXIT_DONE;
}

/* Everything of an enrolment that needs the ceremony to be open. */
static int
enrol_all(struct ceremony *ceremony, const struct arguments *arguments, const struct incoming *incoming)
{
    struct ceremony_grant grants[GRANTS_MAX * OWN_COUNT];
    ceremony_fault fault = { NULL, NULL, NULL };
    size_t grant_count = 0;

    int code = read_grants(ceremony, arguments, grants, &grant_count);
    if (code != EXIT_DONE) {
        return code;
    }
    enum err err = ceremony_office(ceremony, arguments->office, arguments->office_name, arguments->everything,
                                   grants, grant_count, &fault);
    if (err != ERR_OK) {
        return complain_fault(err, arguments->office, &fault);
    }
    for (size_t n = 0; n < arguments->request_count; n++) {
        err = ceremony_device(ceremony, arguments->office, &incoming[n].request, arguments->level,
                              roles_of(arguments), grants, grant_count, &fault);
        if (err != ERR_OK) {
            return complain_fault(err, incoming[n].path, &fault);
        }
    }
    err = ceremony_save(ceremony, &fault);
    if (err != ERR_OK) {
        return complain_fault(err, arguments->directory, &fault);
    }
    (void)printf("%-14s %s\n", "organisation", roster_name(ceremony_roster(ceremony)));
    print_fingerprint("number", roster_org(ceremony_roster(ceremony)));
    code = write_welcomes(ceremony, incoming, arguments->request_count);
    if (code == EXIT_DONE) {
        (void)printf("%-14s %s/organisation.statements\n", "news", arguments->directory);
    }
    return code;
}

static int
do_enrol(struct arguments *arguments)
{
    struct ceremony *ceremony = NULL;
    struct ceremony_options options;
    struct asking asking;
    ceremony_fault fault = { NULL, NULL, NULL };

    if (arguments->office == NULL || arguments->request_count == 0) {
        return complain_usage(NULL, "nobody was enrolled",
                              arguments->office == NULL ? "--office is missing" : "no request is named",
                              "see vigil-org enrol --help");
    }
    struct incoming *incoming = calloc(arguments->request_count, sizeof *incoming);
    if (incoming == NULL) {
        return complain(ERR_MEMORY, NULL, "nobody was enrolled", err_text(ERR_MEMORY),
                        "close other programs and try again");
    }
    int code = read_requests(incoming, arguments);
    if (code == EXIT_DONE) {
        options = options_of(&asking, arguments);
        enum err err = ceremony_open(&ceremony, &options, arguments->key, &fault);
        code = err == ERR_OK ? enrol_all(ceremony, arguments, incoming)
                             : complain_fault(err, arguments->directory, &fault);
    }
    ceremony_close(&ceremony);
    free(incoming);
    return code;
}

/* --- show --- */

static const struct argp_option show_options[] = {
    { "key", OPTION_KEY, "KEY", 0, "Open with this key, root-2 or office-KEN (the first root that is here)",
      0 },
    { 0 },
};

static const struct argp show_argp = {
    show_options,
    parse_with_children,
    "DIR",
    "Print who belongs to the organisation, with the numbers that people compare.\v"
    "Examples:\n"
    "  vigil-org show ceremony\n"
    "  vigil-org show ceremony --key office-KEN",
    children,
    NULL,
    NULL
};

static void
print_day(uint64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm day;
    char text[32] = "-";

    if (seconds < UINT64_C(253402300800) && gmtime_r(&time, &day) != NULL) {
        (void)strftime(text, sizeof text, "%Y-%m-%d", &day);
    }
    (void)printf("%-11s", text);
}

static void
show_offices(const struct roster *roster)
{
    (void)printf("\n%-13s%-11s%s\n", "OFFICE", "UNTIL", "NAME");
    for (size_t n = 0; n < roster_office_count(roster); n++) {
        const struct roster_office *office = roster_office_at(roster, n);
        (void)printf("%-13s", office->code);
        print_day(office->until);
        (void)printf("%s\n", office->name);
    }
}

static void
show_devices(const struct roster *roster)
{
    for (size_t n = 0; n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);
        (void)printf("\ndevice         %s\n", device->name);
        (void)printf("office         %s\nuntil          ", device->office->code);
        print_day(device->until);
        (void)printf("\nnumber         %s\n", hash_fingerprint(&device->device_id).text);
        for (size_t at = 0; at < roster_compartment_count(roster); at++) {
            const struct roster_compartment *compartment = roster_compartment_at(roster, at);
            enum level level = roster_level(roster, device, &compartment->id);
            if (level != LEVEL_NONE && compartment->owner != NULL) {
                (void)printf("  %-6s in %s\n", level_name(level), compartment->name);
            }
        }
    }
}

static int
do_show(struct arguments *arguments)
{
    struct ceremony *ceremony = NULL;
    struct ceremony_options options;
    struct asking asking;
    ceremony_fault fault = { NULL, NULL, NULL };
    uint32_t needed = 0;

    options = options_of(&asking, arguments);
    enum err err = ceremony_open(&ceremony, &options, arguments->key, &fault);
    if (err != ERR_OK) {
        return complain_fault(err, arguments->directory, &fault);
    }
    const struct roster *roster = ceremony_roster(ceremony);
    struct statement_list roots = roster_roots(roster, &needed);
    (void)printf("%-14s %s\n", "organisation", roster_name(roster));
    print_fingerprint("number", roster_org(roster));
    (void)printf("%-14s %zu, of which %u sign together\n", "root keys", roots.count, (unsigned)needed);
    show_offices(roster);
    show_devices(roster);
    ceremony_close(&ceremony);
    return EXIT_DONE;
}

/* --- open --- */

static const struct argp_option open_options[] = {
    { "office", OPTION_OFFICE, "CODE", 0, "Code of the office that the node of the backup belonged to", 0 },
    { "key", OPTION_KEY, "KEY", 0, "Open with this key, such as office-KEN, instead of the one of --office",
      0 },
    { 0 },
};

static const struct argp open_argp = {
    open_options,
    parse_with_children,
    "DIR BACKUP REQUEST",
    "Let the machine of this request restore a backup, whose passphrase nobody knows any more.\v"
    "BACKUP is its .main or its .keys file; only its beginning is read. Writes REQUEST.backup-key, which "
    "opens "
    "the backup on that machine and nowhere else: vigild restore --key.\n\n"
    "Example:\n"
    "  vigil-org open ceremony --office KEN ken-2026-03-01.main spare.request\n\n"
    "Compare the number that is printed with the one the device shows.",
    children,
    NULL,
    NULL
};

static int
do_open(struct arguments *arguments)
{
    struct ceremony *ceremony = NULL;
    struct ceremony_options options;
    struct asking asking;
    ceremony_fault fault = { NULL, NULL, NULL };
    char key_name[CEREMONY_KEY_NAME_BYTES_MAX];
    const char *about = arguments->directory;

    if (arguments->request_count != 2 || (arguments->office == NULL && arguments->key == NULL)) {
        return complain_usage(NULL, "nothing was opened",
                              arguments->request_count != 2 ? "a backup and a request are needed"
                                                            : "--office is missing",
                              "see vigil-org open --help");
    }
    (void)snprintf(key_name, sizeof key_name, "office-%s",
                   arguments->office == NULL ? "" : arguments->office);
    const struct org_open open = { .backup = arguments->requests[0],
                                   .request = arguments->requests[1],
                                   .key_name = arguments->key == NULL ? key_name : arguments->key,
                                   .world = &real_world };
    options = options_of(&asking, arguments);
    enum err err = ceremony_open(&ceremony, &options, open.key_name, &fault);
    if (err == ERR_OK) {
        err = org_open_backup(ceremony, &open, &about, &fault);
    }
    ceremony_close(&ceremony);
    return err == ERR_OK ? EXIT_DONE : complain_fault(err, about, &fault);
}

/* --- the program --- */

static const struct {
    const char *name;
    const char *help;
    const struct argp *argp;
    int (*run)(struct arguments *arguments);
} commands[] = {
    { "init", "found an organisation", &init_argp, do_init },
    { "enrol", "certify devices of an office", &enrol_argp, do_enrol },
    { "show", "print who belongs to it", &show_argp, do_show },
    { "open", "let a machine restore a backup", &open_argp, do_open },
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void
print_help(FILE *to)
{
    (void)fprintf(to, "Usage: vigil-org COMMAND DIR [OPTION...]\n\n"
                      "The offline ceremony: makes keys and signs certificates, and meets no node.\n\n");
    for (size_t n = 0; n < COMMAND_COUNT; n++) {
        (void)fprintf(to, "  %-8s %s\n", commands[n].name, commands[n].help);
    }
    (void)fprintf(to, "\nTry vigil-org COMMAND --help.\n"
                      "Exit: 0 done, 1 failed, 2 usage, 3 a key or permission is missing, 4 not found,\n"
                      "5 invalid data, 75 try again.\n");
}

int
main(int argc, char **argv)
{
    static const struct rlimit no_core = { 0, 0 };
    static struct arguments arguments = { .roots = 3, .level = LEVEL_ADMIN, .ask = { .fd = -1 } };
    static char program_name[64];

    /* Keys are in memory: a crash must not write them down. */
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("%s\n", argp_program_version);
        return EXIT_DONE;
    }
    if (crypto_start() != ERR_OK) {
        return complain(ERR_NEWER, NULL, "the program cannot start", "the installed libsodium is unfit",
                        "upgrade libsodium");
    }
    argp_err_exit_status = EXIT_USAGE;
    for (size_t n = 0; n < COMMAND_COUNT; n++) {
        if (strcmp(argv[1], commands[n].name) == 0) {
            (void)snprintf(program_name, sizeof program_name, "vigil-org %s", commands[n].name);
            argv[1] = program_name;
            if (argp_parse(commands[n].argp, argc - 1, argv + 1, 0, NULL, &arguments) != 0) {
                return EXIT_USAGE;
            }
            int code = commands[n].run(&arguments);
            if (fflush(stdout) != 0 || ferror(stdout) != 0) {
                return complain(ERR_IO, NULL, "the output was not written",
                                "the disk is full or the pipe closed", "make room and run it again");
            }
            return code;
        }
    }
    return complain_usage(argv[1], "this is no command", "there are init, enrol, show and open",
                          "see vigil-org --help");
}
