/* main.c - vigild: make a node, run it, look into one that does not run. */
#include "node/main.h"

#include "node/json_memory.h"
#include "node/loop.h"
#include "node/net.h"
#include "node/notify.h"
#include "node/probe.h"
#include "node/restoring.h"
#include "node/setup.h"
#include "node/system_log.h"
#include "store/base/log.h"
#include "store/base/usage.h"
#include "sync/ceremony.h"
#include "sync/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define VIGIL_VERSION "0.1.0"

const char *argp_program_version = "vigild " VIGIL_VERSION;

enum { DEVICE_NAME_BYTES = 65 };

int
complain(const struct setup_fault *fault)
{
    (void)fprintf(stderr, "vigild: %s\n  why: %s\n  do:  %s\n", fault->what, fault->why, fault->todo);
    return (int)exit_status_of(fault->err);
}

int
complain_of(enum err err, const char *what, const char *why, const char *todo)
{
    struct setup_fault fault;

    setup_fault_set(&fault, err, why, todo, "%s", what);
    return complain(&fault);
}

/* --- arguments --- */

static unsigned long
parse_number(const struct argp_state *state, const char *text, unsigned long least, unsigned long most)
{
    char *end = NULL;

    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number < least || number > most) {
        argp_error(state, "'%s' is not a number from %lu to %lu", text, least, most);
    }
    return number;
}

/* Whoever writes the passphrase itself here does not find it on a screen or in a log. */
static int
parse_descriptor(const struct argp_state *state, const char *text)
{
    if (text[strspn(text, "0123456789")] != '\0') {
        argp_error(state,
                   "--passphrase-fd takes the number of a descriptor, and never the passphrase itself");
    }
    return (int)parse_number(state, text, 0, 1 << 20);
}

error_t
parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;

    switch (key) {
    case OPTION_NAME:
        arguments->name = text;
        return 0;
    case OPTION_LISTEN:
        arguments->listen = text;
        return 0;
    case OPTION_WELCOME:
        arguments->welcome = text;
        return 0;
    case OPTION_TRIAL:
        arguments->trial = true;
        return 0;
    case OPTION_OFFICE:
        arguments->office = text;
        return 0;
    case OPTION_KEY_MEMORY:
        arguments->key_memory_mib = parse_number(state, text, 64, 4096);
        return 0;
    case OPTION_PASSPHRASE_FD:
        arguments->ask.fd = parse_descriptor(state, text);
        return 0;
    case OPTION_FULL:
        arguments->full = true;
        return 0;
    case OPTION_REPAIR:
        arguments->repair = true;
        return 0;
    case OPTION_DRY_RUN:
        arguments->dry_run = true;
        return 0;
    case OPTION_CHANNEL:
        arguments->channel = (int)parse_number(state, text, 3, 1 << 20);
        return 0;
    case OPTION_SANDBOX:
        if (!sandbox_mode_parse(text, &arguments->sandbox)) {
            argp_error(state, "'%s' is none of on, best-effort, off", text);
        }
        arguments->sandbox_said = true;
        return 0;
    case OPTION_EXAMPLE:
        arguments->example = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->directory != NULL) {
            argp_error(state, "one directory, please: '%s' is one too many", text);
        }
        arguments->directory = text;
        return 0;
    case ARGP_KEY_END:
        if (arguments->directory == NULL && arguments->channel < 0 && !arguments->example) {
            argp_error(state, "no directory is named");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option node_options[] = {
    { "sandbox", OPTION_SANDBOX, "MODE", 0, "on, best-effort or off, whatever node.conf says", 0 },
    { "passphrase-fd", OPTION_PASSPHRASE_FD, "N", 0,
      "Read the passphrase from descriptor N, up to the first newline; without this it is asked for at the "
      "terminal",
      9 },
    { 0 },
};

static const struct argp_option init_options[] = {
    { "name", OPTION_NAME, "NAME", 0, "How people call this machine (its host name)", 0 },
    { "listen", OPTION_LISTEN, "tcp://HOST:PORT", 0,
      "Where other nodes may call; without this the node only calls others", 0 },
    { "welcome", OPTION_WELCOME, "FILE", 0, "Join with the welcome file that answers the request", 1 },
    { "trial", OPTION_TRIAL, NULL, 0,
      "Found an organisation of this one node as well: for trying out, not for real cases", 2 },
    { "office", OPTION_OFFICE, "CODE", 0, "Code of the trial's office: 1 to 12 of A-Z, 0-9 and - (TRIAL)",
      2 },
    { "key-memory", OPTION_KEY_MEMORY, "MIB", 0, "Memory that unlocking takes; without this it is measured",
      9 },
    { "passphrase-fd", OPTION_PASSPHRASE_FD, "N", 0,
      "Read the passphrase from descriptor N, up to the first newline; without this it is asked for at the "
      "terminal",
      9 },
    { 0 },
};

static const struct argp_option starter_options[] = {
    { "channel", OPTION_CHANNEL, "N", 0, "Descriptor of the channel to the process that started this one",
      0 },
    { "sandbox", OPTION_SANDBOX, "MODE", 0, "on, best-effort or off", 0 },
    { 0 },
};

static const struct argp_option net_options[] = {
    { "channel", OPTION_CHANNEL, "N", 0, "Descriptor of the channel to the process that started this one",
      0 },
    { 0 },
};

static const struct argp init_argp = {
    init_options,
    parse_option,
    "DIR",
    "Make the state directory DIR and the keys of a new device.\v"
    "Writes DIR/NAME.request, with which an office enrols the device (vigil-org enrol); the welcome file "
    "that "
    "comes back makes it a member.\n\n"
    "Examples:\n"
    "  vigild init /var/lib/vigil --name 'Nairobi laptop' --listen tcp://0.0.0.0:7700\n"
    "  vigild init /var/lib/vigil --welcome laptop.request.welcome\n"
    "  vigild init --trial /tmp/trial",
    NULL,
    NULL,
    NULL
};

static const struct argp run_argp = {
    node_options,
    parse_option,
    "DIR",
    "Unlock the node in DIR and run it until SIGTERM or SIGINT.\v"
    "Stopping at any moment, by SIGKILL too, loses nothing that was acknowledged.\n\n"
    "Example:\n"
    "  vigild run /var/lib/vigil",
    NULL,
    NULL,
    NULL
};

static const struct argp_option verify_options[] = {
    { "full", OPTION_FULL, NULL, 0, "Read every piece of every evidence file, too", 1 },
    { "repair", OPTION_REPAIR, NULL, 0,
      "Make what is derived anew, and have what else is damaged come again from peers when the node runs; "
      "where "
      "pages are damaged, take out what can be read first",
      2 },
    { "dry-run", OPTION_DRY_RUN, NULL, 0, "With --repair: say what it would do, and change nothing", 3 },
    { "sandbox", OPTION_SANDBOX, "MODE", 0, "on, best-effort or off, whatever node.conf says", 4 },
    { "passphrase-fd", OPTION_PASSPHRASE_FD, "N", 0,
      "Read the passphrase from descriptor N, up to the first newline; without this it is asked for at the "
      "terminal",
      9 },
    { 0 },
};

static const struct argp verify_argp = {
    verify_options,
    parse_option,
    "DIR",
    "Check every row, signature and invariant of a node that does not run.\v"
    "Prints the digest of each compartment and what was found; exits 5 if anything was.\n\n"
    "Examples:\n"
    "  vigild verify /var/lib/vigil\n"
    "  vigild verify /var/lib/vigil --full --repair --dry-run",
    NULL,
    NULL,
    NULL
};

static const struct argp rebuild_argp = {
    node_options,
    parse_option,
    "DIR",
    "Make views and indexes of a node that does not run anew from its journal.\v"
    "Example:\n"
    "  vigild rebuild /var/lib/vigil",
    NULL,
    NULL,
    NULL
};

static const struct argp_option config_options[] = {
    { "example", OPTION_EXAMPLE, NULL, 0,
      "Print a node.conf with every option, its default and a line about it, instead", 0 },
    { 0 },
};

static const struct argp config_argp = {
    config_options,
    parse_option,
    "DIR\n--example",
    "Read DIR/node.conf as a node does when it starts, or gets SIGHUP, and say whether it can be used.\v"
    "Changes nothing; exits 5 if it cannot be used, with the line.\n\n"
    "Examples:\n"
    "  vigild config /var/lib/vigil && systemctl reload vigild\n"
    "  vigild config --example",
    NULL,
    NULL,
    NULL
};

static const struct argp_option change_options[] = {
    { "key-memory", OPTION_KEY_MEMORY, "MIB", 0, "Memory that unlocking takes; without this it is measured",
      9 },
    { "passphrase-fd", OPTION_PASSPHRASE_FD, "N", 0,
      "Read the old passphrase and the new one from descriptor N, a line each; without this they are asked "
      "for "
      "at the terminal",
      9 },
    { 0 },
};

static const struct argp passphrase_argp = {
    change_options,
    parse_option,
    "DIR",
    "Change the passphrase that unlocks the node in DIR, whether it runs or not.\v"
    "The old one opens nothing any more, but for copies of DIR/lock that were made before: if it has become "
    "known and such a copy may be out of your hands, enrol the machine anew.\n\n"
    "Example:\n"
    "  vigild passphrase /var/lib/vigil",
    NULL,
    NULL,
    NULL
};

static const struct argp net_argp = {
    net_options, parse_option,
    NULL,        "The process that meets the network. vigild run starts it; people never do.",
    NULL,        NULL,
    NULL
};

static const struct argp starter_argp = {
    starter_options,
    parse_option,
    "FOLDER",
    "The process that starts net, which may make sockets in FOLDER. vigild run starts it; people never do.",
    NULL,
    NULL,
    NULL
};

/* --- the process --- */

/* What a crash, a debugger or a loose umask could give away. */
static void
harden(void)
{
    static const struct rlimit no_core = { 0, 0 };

    (void)umask(077);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

/* Of a service whose manager hands it over: see LoadCredentialEncrypted of systemd.exec(5). Only a path is in the environment. */
static void
look_for_credential(struct ask *ask)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char path[SETUP_PATH_BYTES];

    if (ask->fd < 0 && directory != NULL && directory[0] == '/' &&
        snprintf(path, sizeof path, "%s/passphrase", directory) < (int)sizeof path) {
        ask->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
}

bool
get_passphrase(struct arguments *arguments, bool fresh, struct buf *out, int *exit_out)
{
    char of[SETUP_TEXT_BYTES];

    (void)snprintf(of, sizeof of, "the node %s", arguments->directory);
    enum err err = ask_passphrase(&arguments->ask, of, fresh, out);
    if (err == ERR_OK) {
        return true;
    }
    buf_wipe(out);
    *exit_out = arguments->ask.fd >= 0
                    ? complain_of(err, "the passphrase could not be read",
                                  err == ERR_INVALID ? "the line is longer than 1,024 bytes"
                                                     : "the descriptor gives no line",
                                  "hand it over as one line: --passphrase-fd 3 3<FILE")
                    : complain_of(err, "the passphrase could not be asked for",
                                  "there is no terminal, or it was cancelled",
                                  "run it at a terminal, or use --passphrase-fd N");
    return false;
}

void
measure(struct vault_work *work, unsigned long key_memory_mib)
{
    if (key_memory_mib > 0) {
        *work = (struct vault_work){ .passes = 3, .memory_bytes = (uint64_t)key_memory_mib << 20 };
        return;
    }
    (void)fprintf(stderr, "Measuring what a passphrase may cost on this machine...\n");
    vault_calibrate(work);
}

static int
complain_half(const struct arguments *arguments)
{
    struct setup_fault fault;

    setup_fault_set(&fault, ERR_CORRUPT, "a restore into it was cut off, and not all of it is here",
                    "start the same vigild restore again: it begins anew", "%s is half restored",
                    arguments->directory);
    return complain(&fault);
}

/* --- init --- */

static int
do_join(struct arguments *arguments, const struct world *world)
{
    struct buf passphrase = { 0 };
    struct setup setup = { .directory = "" };
    struct setup_fault fault;
    struct hash org;
    int status = STATUS_DONE;

    if (!get_passphrase(arguments, false, &passphrase, &status)) {
        return status;
    }
    bool joined = setup_unlock(&setup, arguments->directory, buf_span(&passphrase), &fault) &&
                  setup_join(&setup, arguments->welcome, world, &org, &fault);
    buf_wipe(&passphrase);
    if (joined) {
        (void)printf(
            "organisation   %s\nnumber         %s\n\n"
            "Compare this number with the one that your organisation tells you by another way, by telephone\n"
            "or on paper. If they differ, do not use this node.\n\nThen: vigild run %s\n",
            roster_name(replica_roster(setup.replica)), hash_fingerprint(&org).text, arguments->directory);
    } else {
        status = complain(&fault);
    }
    setup_close(&setup);
    return status;
}

/* Say what comes next. */
static void
print_request(const struct arguments *arguments, const char *request_path, const struct hash *device_id)
{
    (void)printf(
        "request        %s\nnumber         %s\n\n"
        "Hand the request file to whoever enrols devices in your organisation, and compare this number with\n"
        "the one that they see. The welcome file that comes back makes this node a member:\n\n"
        "  vigild init %s --welcome FILE\n",
        request_path, hash_fingerprint(device_id).text, arguments->directory);
}

static bool
found_trial(struct arguments *arguments, struct span passphrase, const struct vault_work *work,
            const struct world *world, struct setup_fault *fault)
{
    struct setup setup = { .directory = "" };
    struct hash org;
    bool done = setup_unlock(&setup, arguments->directory, passphrase, fault) &&
                setup_trial(&setup, arguments->office, passphrase, work, world, &org, fault);

    setup_close(&setup);
    if (done) {
        (void)printf("organisation   Trial organisation, of this one node\noffice         %s\n\n"
                     "It is ready: vigild run %s\n",
                     arguments->office, arguments->directory);
    }
    return done;
}

static int
do_init(struct arguments *arguments, const struct world *world)
{
    char host[DEVICE_NAME_BYTES] = "node";
    char request_path[SETUP_PATH_BYTES];
    struct buf passphrase = { 0 };
    struct setup_fault fault;
    struct hash device_id;
    struct endpoint endpoint;
    int status = STATUS_DONE;

    if (restoring_is_half(arguments->directory)) {
        return complain_half(arguments);
    }
    if (arguments->welcome != NULL) {
        return do_join(arguments, world);
    }
    if (arguments->listen[0] != '\0' &&
        endpoint_parse(&endpoint, span_text(arguments->listen), ENDPOINT_BIND, false) != ERR_OK) {
        (void)complain_of(ERR_INVALID, "the place to listen cannot be used",
                          "it is not of the form tcp://HOST:PORT", "as in --listen tcp://0.0.0.0:7700");
        return STATUS_USAGE;
    }
    if (arguments->trial && !ceremony_code_good(arguments->office)) {
        (void)complain_of(ERR_INVALID, "the office cannot have this code",
                          "a code is 1 to 12 of A-Z, 0-9 and -", "as in --office KEN");
        return STATUS_USAGE;
    }
    if (arguments->name == NULL) {
        (void)gethostname(host, sizeof host - 1);
        arguments->name = host;
    }
    struct setup_new options = { .directory = arguments->directory,
                                 .name = arguments->name,
                                 .listen = arguments->listen,
                                 .world = world };
    if (!get_passphrase(arguments, true, &passphrase, &status)) {
        return status;
    }
    options.passphrase = buf_span(&passphrase);
    measure(&options.work, arguments->key_memory_mib);
    bool done = setup_init(&options, request_path, &device_id, &fault);
    if (done && arguments->trial) {
        done = found_trial(arguments, options.passphrase, &options.work, world, &fault);
    } else if (done) {
        print_request(arguments, request_path, &device_id);
    }
    buf_wipe(&passphrase);
    return done ? STATUS_DONE : complain(&fault);
}

/* --- passphrase --- */

static int
do_passphrase(struct arguments *arguments, const struct world *world)
{
    struct buf old = { 0 };
    struct buf fresh = { 0 };
    struct setup setup = { .directory = "" };
    struct setup_fault fault;
    struct vault_work work;
    int status = STATUS_DONE;

    if (!get_passphrase(arguments, false, &old, &status)) {
        return status;
    }
    /* Nobody thinks of a new passphrase, twice, before the old one is known to be right. */
    bool done = setup_unlock(&setup, arguments->directory, buf_span(&old), &fault);
    setup_close(&setup);
    if (!done) {
        status = complain(&fault);
    } else if (get_passphrase(arguments, true, &fresh, &status)) {
        measure(&work, arguments->key_memory_mib);
        if (setup_change_passphrase(arguments->directory, buf_span(&old), buf_span(&fresh), &work, world,
                                    &fault)) {
            (void)printf("the passphrase of %s was changed\n", arguments->directory);
        } else {
            status = complain(&fault);
        }
    }
    buf_wipe(&old);
    buf_wipe(&fresh);
    return status;
}

/* --- what needs an unlocked node --- */

void
close_node(struct node *node)
{
    setup_close(&node->setup);
    starter_end(&node->starter);
    config_free(&node->config);
}

/* Where net makes its sockets: a folder of its own, so that nothing else of the state is within its reach. */
static bool
begin_starter(const struct arguments *arguments, struct node *node, struct setup_fault *fault)
{
    char path[SETUP_PATH_BYTES];

    loop_sockets_path(path, sizeof path, arguments->directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        setup_fault_set(fault, errno == EACCES ? ERR_DENIED : ERR_IO, strerror(errno),
                        "run it as the user who owns the directory, on a disk that can be written",
                        "%s cannot be made", path);
        return false;
    }
    enum err err = starter_begin(&node->starter, node->config.sandbox, path);
    if (err != ERR_OK) {
        setup_fault_set(fault, err, err_text(err), "look at the system log", "no process can be started");
    }
    return err == ERR_OK;
}

static bool
enter_sandbox(const struct arguments *arguments, enum sandbox_role role, struct node *node,
              struct setup_fault *fault)
{
    const struct sandbox_options options = { .role = role,
                                             .mode = node->config.sandbox,
                                             .directory = arguments->directory,
                                             .folders = (const char *const *)node->config.folders,
                                             .folder_count = node->config.folder_count };

    if (!sandbox_enter(&options, &node->sandbox)) {
        setup_fault_set(
            fault, ERR_DENIED, node->sandbox.missing,
            "use a kernel that has it (Linux 5.13 or later), or say sandbox = best-effort in node.conf",
            "the sandbox cannot be set");
        return false;
    }
    return true;
}

static bool
read_config(const struct arguments *arguments, struct config *config, int *exit_out)
{
    char path[SETUP_PATH_BYTES];
    struct config_fault fault;

    (void)snprintf(path, sizeof path, "%s/node.conf", arguments->directory);
    enum err err = config_read(path, config, &fault);
    if (err != ERR_OK) {
        *exit_out = complain_of(err, "the configuration cannot be used",
                                fault.text[0] == '\0' ? err_text(err) : fault.text,
                                "mend that line; man vigil-node.conf explains every option");
        return false;
    }
    config->sandbox = arguments->sandbox_said ? arguments->sandbox : config->sandbox;
    config->sandbox_fixed = arguments->sandbox_said;
    return true;
}

bool
unlock_node(struct arguments *arguments, const struct world *world, enum sandbox_role role, struct node *node,
            bool *damaged_out, int *exit_out)
{
    struct setup_fault fault;
    struct buf passphrase = { 0 };
    struct stat info;

    *node = (struct node){ .sandbox = { .whole = false } };
    if (stat(arguments->directory, &info) != 0 || !S_ISDIR(info.st_mode)) {
        setup_fault_set(&fault, ERR_ABSENT, strerror(errno == 0 ? ENOTDIR : errno),
                        "make a node there with: vigild init DIR", "%s: there is no such state directory",
                        arguments->directory);
        *exit_out = complain(&fault);
        return false;
    }
    if (restoring_is_half(arguments->directory)) {
        *exit_out = complain_half(arguments);
        return false;
    }
    if (!read_config(arguments, &node->config, exit_out)) {
        return false;
    }
    /* The starter goes first: what it does not see cannot be taken from it. */
    bool opened = role != SANDBOX_STORE || begin_starter(arguments, node, &fault);
    if (role != SANDBOX_ROLES) {
        look_for_credential(&arguments->ask);
    }
    if (opened && !get_passphrase(arguments, false, &passphrase, exit_out)) {
        close_node(node);
        return false;
    }
    opened = opened && (role != SANDBOX_STORE ||
                        probe_store(arguments->directory, node->config.sandbox, world, &fault));
    opened = opened && (damaged_out == NULL ||
                        probe_parts(arguments->directory, node->config.sandbox, world, damaged_out, &fault));
    opened = opened && (role == SANDBOX_ROLES || enter_sandbox(arguments, role, node, &fault)) &&
             setup_unlock(&node->setup, arguments->directory, buf_span(&passphrase), &fault);
    buf_wipe(&passphrase);
    if (!opened) {
        *exit_out = complain(&fault);
        close_node(node);
    }
    return opened;
}

bool
open_unlocked(const struct world *world, struct node *node, int *exit_out)
{
    struct setup_fault fault;
    bool opened = setup_open(&node->setup, world, node->config.map_mib, &fault);

    if (!opened) {
        *exit_out = complain(&fault);
        close_node(node);
    }
    return opened;
}

bool
open_node(struct arguments *arguments, const struct world *world, enum sandbox_role role, struct node *node,
          int *exit_out)
{
    return unlock_node(arguments, world, role, node, NULL, exit_out) && open_unlocked(world, node, exit_out);
}

/* --- run --- */

static int
run_loop(const struct loop_options *options)
{
    struct loop *loop = NULL;
    enum err err = loop_open(&loop, options);

    if (err != ERR_OK) {
        return complain_of(err, "the node cannot start",
                           err == ERR_INVALID ? "the path of the state directory is too long for a socket"
                           : err == ERR_BUSY  ? "another vigild answers there"
                                              : err_text(err),
                           err == ERR_INVALID ? "choose a directory whose path is shorter than 100 bytes"
                           : err == ERR_BUSY  ? "stop it first, or ask it: vigil --node DIR status"
                                              : "look at the disk and at the system log");
    }
    log_event("ready", "api=%s/api", options->directory);
    notify_ready();
    err = loop_run(loop);
    notify_stopping();
    loop_close(&loop);
    if (err != ERR_OK) {
        return complain_of(err, "the node stopped, since its disk could not be written", err_text(err),
                           "look at the disk, then: vigild verify DIR; what was acknowledged is safe");
    }
    log_event("stopped", NULL);
    return STATUS_DONE;
}

static int
do_run(struct arguments *arguments, struct real_world *world)
{
    struct node node;
    int status = STATUS_DONE;

    if (!open_node(arguments, &world->world, SANDBOX_STORE, &node, &status)) {
        return status;
    }
    status = run_loop(&(struct loop_options){ .replica = node.setup.replica,
                                              .world = world,
                                              .config = &node.config,
                                              .directory = arguments->directory,
                                              .version = VIGIL_VERSION,
                                              .starter = node.starter.fd,
                                              .sandbox = node.sandbox });
    close_node(&node);
    return status;
}

/* --- config --- */

static int
print_example(void)
{
    struct buf text = { 0 };
    int status = STATUS_DONE;

    config_write_example("Nairobi laptop", "tcp://0.0.0.0:7700", &text);
    if (text.failed) {
        status = complain_of(ERR_MEMORY, "there is no example", "no memory is left", "try again");
    } else if (fwrite(text.data, 1, text.size, stdout) != text.size || fflush(stdout) != 0) {
        status = complain_of(ERR_IO, "the example cannot be written", "standard output takes no more",
                             "try again");
    }
    buf_free(&text);
    return status;
}

static int
do_config(const struct arguments *arguments)
{
    struct config config;
    int status = STATUS_DONE;

    if (read_config(arguments, &config, &status)) {
        (void)printf("%s/node.conf can be used\n", arguments->directory);
        config_free(&config);
    }
    return status;
}

/* --- main --- */

static void
print_help(FILE *to)
{
    (void)fprintf(to, "Usage: vigild COMMAND DIR [OPTION...]\n\n"
                      "The node: one state directory, and at most one vigild that runs in it.\n\n"
                      "  init        make a state directory and the keys of a new device, or join\n"
                      "  run         unlock and run\n"
                      "  passphrase  change the passphrase that unlocks it\n"
                      "  verify      check a replica that is not running\n"
                      "  rebuild     make views and indexes anew from the journal\n"
                      "  backup      write a backup of a node that is not running\n"
                      "  restore     restore a backup\n"
                      "  config      check node.conf, and change nothing\n"
                      "  self-test   try the sandbox of each process\n\n"
                      "To try it out:\n"
                      "  vigild init --trial /tmp/trial\n"
                      "  vigild run /tmp/trial\n\n"
                      "vigild COMMAND --help explains each; man vigild explains all.\n");
}

static int
run_command(const char *command, struct arguments *arguments, int argc, char **argv)
{
    static const struct {
        const char *name;
        const struct argp *argp;
    } commands[] = {
        { "init", &init_argp },       { "run", &run_argp },         { "passphrase", &passphrase_argp },
        { "verify", &verify_argp },   { "rebuild", &rebuild_argp }, { "backup", &backup_argp },
        { "restore", &restore_argp }, { "config", &config_argp },   { "self-test", &self_test_argp },
        { "net", &net_argp },         { "starter", &starter_argp }
    };
    char shown[32];
    struct real_world world;
    const struct argp *argp = NULL;

    for (size_t n = 0; n < sizeof commands / sizeof commands[0]; n++) {
        if (strcmp(commands[n].name, command) == 0) {
            argp = commands[n].argp;
        }
    }
    if (argp == NULL) {
        const char *names[sizeof commands / sizeof commands[0]];
        char why[128];
        char guess[64];
        size_t count = sizeof commands / sizeof commands[0] - 2; /* the last two are for nobody to type */

        for (size_t n = 0; n < count; n++) {
            names[n] = commands[n].name;
        }
        usage_guess(guess, sizeof guess, command, names, count);
        (void)snprintf(why, sizeof why, "there is no command '%.40s'%s", command, guess);
        usage_tell("vigild", why);
        return STATUS_USAGE;
    }
    (void)snprintf(shown, sizeof shown, "vigild %s", command);
    argv[1] = shown;
    (void)usage_parse(argp, argc - 1, argv + 1, arguments);
    if (argp == &net_argp || argp == &starter_argp) {
        if (arguments->channel < 0) {
            (void)complain_of(ERR_INVALID, "there is no channel", "vigild run starts this process by itself",
                              "vigild run DIR");
            return STATUS_USAGE;
        }
        if (argp == &net_argp) {
            net_main(arguments->channel);
        }
        starter_main(arguments->channel, arguments->sandbox, arguments->directory);
    }
    json_memory_watch();
    if (crypto_start() != ERR_OK) {
        return complain_of(ERR_NEWER, "the library libsodium cannot be used here",
                           "it accepts keys that must be refused (CVE-2025-69277)", "upgrade libsodium");
    }
    if (argp == &config_argp) {
        return arguments->example ? print_example() : do_config(arguments);
    }
    if (argp == &self_test_argp) {
        return do_self_test();
    }
    real_world_init(&world);
    if (argp == &init_argp) {
        return do_init(arguments, &world.world);
    }
    if (argp == &backup_argp) {
        return do_backup(arguments, &world);
    }
    if (argp == &restore_argp) {
        return do_restore(arguments, &world.world);
    }
    if (argp == &passphrase_argp) {
        return do_passphrase(arguments, &world.world);
    }
    if (argp == &run_argp) {
        return do_run(arguments, &world);
    }
    return argp == &verify_argp ? do_verify(arguments, &world) : do_rebuild(arguments, &world);
}

int
main(int argc, char **argv)
{
    struct arguments arguments = { .listen = "", .office = "TRIAL", .channel = -1, .ask = { .fd = -1 } };

    harden();
    (void)system_log_begin();
    if (argc < 2) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return STATUS_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("%s\n", argp_program_version);
        return STATUS_DONE;
    }
    return run_command(argv[1], &arguments, argc, argv);
}
