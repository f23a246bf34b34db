/* org.c - vigil-org: the offline ceremony at which an organisation makes its keys and certificates. */
#include "tools/org_command.h"
#include "tools/org_words.h"

#include "store/base/usage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { GRANTS_MAX = ORG_LIST_MAX * OWN_COUNT };

const char *argp_program_version = "vigil-org 0.1.0";

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
    org_parse,
    "DIR",
    "Found an organisation: root keys, each under its own passphrase, in the directory DIR.\v"
    "Example:\n"
    "  vigil-org init ceremony --name 'Defenders Network' --roots 3 --needed 2\n\n"
    "Keep the root key files apart, on media that are never connected. Any key file opens "
    "organisation.statements, which holds all that was signed.",
    org_children,
    NULL,
    NULL
};

static int
do_init(struct arguments *arguments)
{
    struct org_session session;
    ceremony_fault fault = { NULL, NULL, NULL };

    if (arguments->name == NULL) {
        return org_complain_usage(NULL, "the organisation has no name", "--name is missing",
                                  "add --name NAME");
    }
    if (arguments->needed == 0) {
        arguments->needed = arguments->roots < 2 ? arguments->roots : 2;
    }
    if (mkdir(arguments->directory, 0700) != 0 && errno != EEXIST) {
        return org_complain(ERR_DENIED, arguments->directory, "the directory cannot be made", strerror(errno),
                            "choose another place");
    }
    org_session_init(&session, arguments);
    enum err err = ceremony_found(&session.ceremony, &session.options, arguments->name, arguments->roots,
                                  arguments->needed, &fault);
    if (err != ERR_OK) {
        return org_complain_fault(err, arguments->directory, &fault);
    }
    (void)printf("%-14s %s\n", "organisation", roster_name(ceremony_roster(session.ceremony)));
    org_print_number("number", roster_org(ceremony_roster(session.ceremony)));
    words_roots(session.ceremony);
    org_close(&session);
    return STATUS_DONE;
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
    { "key", OPTION_KEY, "KEY", 0, "Open with this key, root-2 or office-KEN (the first root that is here)",
      0 },
    { "dry-run", OPTION_DRY_RUN, NULL, 0, "Show what would be certified and sign nothing", 1 },
    { 0 },
};

static const struct argp enrol_argp = {
    enrol_options,
    org_parse,
    "DIR REQUEST...",
    "Certify the devices of these requests for an office, which is made if it is new.\v"
    "Writes REQUEST.welcome beside each request; DIR/organisation.statements is news for all other nodes. "
    "Where "
    "roots are with other people, a new office waits for their signatures: vigil-org sign, then vigil-org "
    "welcome."
    "\n\n"
    "Examples:\n"
    "  vigil-org enrol ceremony --office HQ --office-name Headquarters --everything hq.request\n"
    "  vigil-org enrol ceremony --office KEN --office-name 'Kenya office' ken.request\n"
    "  vigil-org enrol ceremony --office RELAY --level carry --grant KEN:all=carry relay.request\n"
    "  vigil-org enrol ceremony --office UN --level read --grant KEN:cases=read un.request\n\n"
    "Compare the numbers that are printed with those the devices show.",
    org_children,
    NULL,
    NULL
};

static int
read_grants(const struct ceremony *ceremony, const struct arguments *arguments,
            struct ceremony_grant *grants_out, size_t *count_out)
{
    *count_out = 0;
    for (size_t n = 0; n < arguments->grants.count; n++) {
        const char *word = arguments->grants.words[n];
        size_t count = 0;
        enum err err = ceremony_read_grant(ceremony, word, grants_out + *count_out, &count);
        if (err == ERR_ABSENT) {
            return org_complain(err, word, "the grant names nothing that is here",
                                "there is no such office or part",
                                "name cases, protected, audit or all of an office");
        }
        if (err != ERR_OK) {
            return org_complain_usage(word, "this is no grant", "it is not CODE:PART=LEVEL",
                                      "write it like KEN:cases=read");
        }
        *count_out += count;
    }
    return STATUS_DONE;
}

static void
print_organisation(const struct roster *roster)
{
    (void)printf("%-14s %s\n", "organisation", roster_name(roster));
    org_print_number("number", roster_org(roster));
}

/* Say what would be certified. */
static void
show_enrolment(const struct org_session *session, const struct incoming *incoming)
{
    const struct arguments *arguments = session->arguments;
    const struct roster *roster = ceremony_roster(session->ceremony);

    print_organisation(roster);
    (void)printf("%-14s %s%s\n", "office", arguments->office,
                 roster_office_by_code(roster, arguments->office) == NULL ? ", which would be made" : "");
    for (size_t n = 0; n < arguments->file_count; n++) {
        struct hash device_id;
        device_id_of(incoming[n].request.sign_pk, &device_id);
        (void)printf("%-14s %s, %s\n", "certify", incoming[n].request.name, org_level_name(arguments->level));
        org_print_number("number", &device_id);
    }
}

/* Everything of an enrolment that needs the ceremony to be open. */
static int
enrol_all(struct org_session *session, const struct incoming *incoming)
{
    const struct arguments *arguments = session->arguments;
    struct ceremony_grant grants[GRANTS_MAX];
    ceremony_fault fault = { NULL, NULL, NULL };
    size_t grant_count = 0;

    int code = read_grants(session->ceremony, arguments, grants, &grant_count);
    if (code != STATUS_DONE) {
        return code;
    }
    if (arguments->dry_run) {
        show_enrolment(session, incoming);
        return STATUS_DONE;
    }
    enum err err = ceremony_office(session->ceremony, arguments->office, arguments->office_name,
                                   arguments->everything, grants, grant_count, &fault);
    if (err != ERR_OK) {
        return org_complain_step(session, err, arguments->office, &fault);
    }
    for (size_t n = 0; n < arguments->file_count; n++) {
        err = ceremony_device(session->ceremony, arguments->office, &incoming[n].request, arguments->level,
                              org_roles(arguments), grants, grant_count, &fault);
        if (err != ERR_OK) {
            return org_complain_step(session, err, incoming[n].path, &fault);
        }
    }
    print_organisation(ceremony_roster(session->ceremony));
    code = org_save(session);
    return code == STATUS_DONE ? org_write_welcomes(session, incoming, arguments->file_count) : code;
}

/* Read the requests, open the ceremony, and do it. */
static int
with_requests(struct arguments *arguments, const char *what,
              int (*step)(struct org_session *session, const struct incoming *incoming))
{
    struct org_session session = { .ceremony = NULL };
    struct incoming *incoming = calloc(arguments->file_count + 1, sizeof *incoming);

    if (incoming == NULL) {
        return org_complain_memory(what);
    }
    int code = org_read_requests(incoming, arguments);
    if (code == STATUS_DONE) {
        code = org_open(&session, arguments);
    }
    if (code == STATUS_DONE) {
        code = step(&session, incoming);
    }
    org_close(&session);
    free(incoming);
    return code;
}

static int
do_enrol(struct arguments *arguments)
{
    static const char what[] = "nobody was enrolled";

    if (arguments->office == NULL || arguments->file_count == 0) {
        return org_complain_usage(NULL, what,
                                  arguments->office == NULL ? "--office is missing" : "no request is named",
                                  "see vigil-org enrol --help");
    }
    return with_requests(arguments, what, enrol_all);
}

/* --- welcome --- */

static const struct argp_option welcome_options[] = {
    { "key", OPTION_KEY, "KEY", 0, "Open with this key, root-2 or office-KEN (the first root that is here)",
      0 },
    { 0 },
};

static const struct argp welcome_argp = {
    welcome_options,
    org_parse,
    "DIR REQUEST...",
    "Write the welcome of a device that is certified: again, or after it waited for signatures.\v"
    "Example:\n"
    "  vigil-org welcome ceremony ken.request",
    org_children,
    NULL,
    NULL
};

static int
welcome_all(struct org_session *session, const struct incoming *incoming)
{
    print_organisation(ceremony_roster(session->ceremony));
    return org_write_welcomes(session, incoming, session->arguments->file_count);
}

static int
do_welcome(struct arguments *arguments)
{
    static const char what[] = "no welcome was written";

    if (arguments->file_count == 0) {
        return org_complain_usage(NULL, what, "no request is named", "see vigil-org welcome --help");
    }
    return with_requests(arguments, what, welcome_all);
}

/* --- show --- */

static const struct argp_option show_options[] = {
    { "key", OPTION_KEY, "KEY", 0, "Open with this key, root-2 or office-KEN (the first root that is here)",
      0 },
    { 0 },
};

static const struct argp show_argp = {
    show_options,
    org_parse,
    "DIR",
    "Print who belongs to the organisation, who is revoked, and what waits for signatures.\v"
    "Examples:\n"
    "  vigil-org show ceremony\n"
    "  vigil-org show ceremony --key office-KEN",
    org_children,
    NULL,
    NULL
};

static void
show_offices(const struct roster *roster)
{
    (void)printf("\n%-13s%-11s%s\n", "OFFICE", "UNTIL", "NAME");
    for (size_t n = 0; n < roster_office_count(roster); n++) {
        const struct roster_office *office = roster_office_at(roster, n);
        if (!office->revoked) {
            (void)printf("%-13s", office->code);
            org_print_day(office->until);
            (void)printf("%s\n", office->name);
        }
    }
}

static void
show_devices(const struct roster *roster)
{
    for (size_t n = 0; n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);
        (void)printf("\ndevice         %s\n", device->name);
        (void)printf("office         %s\nuntil          ", device->office->code);
        org_print_day(device->until);
        (void)printf("\n");
        org_print_number("number", &device->device_id);
        for (size_t at = 0; at < roster_compartment_count(roster); at++) {
            const struct roster_compartment *compartment = roster_compartment_at(roster, at);
            enum level level = roster_level(roster, device, &compartment->id);
            if (level != LEVEL_NONE && compartment->owner != NULL) {
                (void)printf("  %-6s in %s\n", org_level_name(level), compartment->name);
            }
        }
    }
}

static int
show_waiting(const struct ceremony *ceremony)
{
    size_t count = ceremony_waiting(ceremony, NULL, 0);
    struct ceremony_waiting *waiting = calloc(count + 1, sizeof *waiting);

    if (waiting == NULL) {
        return org_complain_memory("not all was shown");
    }
    (void)ceremony_waiting(ceremony, waiting, count);
    if (count > 0) {
        (void)printf("\nwaiting        %zu statement%s for signatures: vigil-org sign\n", count,
                     count == 1 ? "" : "s");
    }
    for (size_t n = 0; n < count; n++) {
        words_statement(ceremony, &waiting[n].stmt_id);
    }
    free(waiting);
    return STATUS_DONE;
}

static int
do_show(struct arguments *arguments)
{
    struct org_session session;

    int code = org_open(&session, arguments);
    if (code == STATUS_DONE) {
        const struct roster *roster = ceremony_roster(session.ceremony);
        print_organisation(roster);
        words_roots(session.ceremony);
        show_offices(roster);
        show_devices(roster);
        words_revocations(roster);
        code = show_waiting(session.ceremony);
    }
    org_close(&session);
    return code;
}

/* --- the program --- */

static const struct org_command init_command = { "init", "found an organisation", &init_argp, do_init };
static const struct org_command enrol_command = { "enrol", "certify devices of an office", &enrol_argp,
                                                  do_enrol };
static const struct org_command welcome_command = { "welcome", "write the welcome of a certified device",
                                                    &welcome_argp, do_welcome };
static const struct org_command show_command = { "show", "print who belongs to it, and what waits",
                                                 &show_argp, do_show };

static const struct org_command *const commands[] = {
    &init_command,     &enrol_command,  &welcome_command, &show_command,   &sign_command,    &merge_command,
    &revoke_command,   &extend_command, &roots_command,   &rotate_command, &recover_command, &renew_command,
    &codebook_command, &open_command,   &print_command,   &read_command,
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void
print_help(FILE *to)
{
    (void)fprintf(to, "Usage: vigil-org COMMAND DIR [OPTION...]\n\n"
                      "The offline ceremony: makes keys and signs certificates, and meets no node.\n\n");
    for (size_t n = 0; n < COMMAND_COUNT; n++) {
        (void)fprintf(to, "  %-8s %s\n", commands[n]->name, commands[n]->help);
    }
    (void)fprintf(to, "\nTry vigil-org COMMAND --help.\n"
                      "Exit: 0 done, 1 failed, 2 usage, 3 a key or permission is missing, 4 not found,\n"
                      "5 invalid data, 75 signed, but more signatures are needed.\n");
}

static int
run_command(const struct org_command *command, int argc, char **argv)
{
    static struct arguments arguments = {
        .roots = 3, .level = LEVEL_ADMIN, .reason = -1, .ask = { .fd = -1 }
    };
    static char program_name[64];

    (void)snprintf(program_name, sizeof program_name, "vigil-org %s", command->name);
    argv[1] = program_name;
    if (usage_parse(command->argp, argc - 1, argv + 1, &arguments) != 0) {
        return STATUS_USAGE;
    }
    int code = command->run(&arguments);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        return org_complain(ERR_IO, NULL, "the output was not written", "the disk is full or the pipe closed",
                            "make room and run it again");
    }
    return code;
}

int
main(int argc, char **argv)
{
    static const struct rlimit no_core = { 0, 0 };

    /* Keys are in memory: a crash must not write them down. */
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? STATUS_USAGE : STATUS_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("%s\n", argp_program_version);
        return STATUS_DONE;
    }
    if (crypto_start() != ERR_OK) {
        return org_complain(ERR_NEWER, NULL, "the program cannot start", "the installed libsodium is unfit",
                            "upgrade libsodium");
    }
    for (size_t n = 0; n < COMMAND_COUNT; n++) {
        if (strcmp(argv[1], commands[n]->name) == 0) {
            return run_command(commands[n], argc, argv);
        }
    }
    const char *names[COMMAND_COUNT];
    char why[128];
    char guess[64];
    for (size_t n = 0; n < COMMAND_COUNT; n++) {
        names[n] = commands[n]->name;
    }
    usage_guess(guess, sizeof guess, argv[1], names, COMMAND_COUNT);
    (void)snprintf(why, sizeof why, "there is no command '%.40s'%s", argv[1], guess);
    usage_tell("vigil-org", why);
    return STATUS_USAGE;
}
