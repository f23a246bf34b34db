/* backup.c - `vigil backup`: a backup of the node while it runs; and letting a restored one show what it holds. */
#include "tools/steps.h"

#include "node/sealing.h"
#include "store/base/crypto.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { FD_MAX = 1 << 20, KEY_MEMORY_MIN = 64, KEY_MEMORY_MAX = 4096 };

/* --- make --- */

/* Ask for the passphrase, and give what the node needs of it. */
static bool
take_recipient(const struct command *command, const char *path, json_t **out, struct client_fault *fault)
{
    static const struct rlimit no_core = { 0, 0 };
    struct ask ask = { .fd = -1 };
    struct stream_recipient recipient;
    char of[PATH_MAX + 16];
    long fd = -1;
    long memory = 0;

    if (!args_number(command, OPT_PASSPHRASE_FD, 0, FD_MAX, -1, &fd, fault) ||
        !args_number(command, OPT_KEY_MEMORY, KEY_MEMORY_MIN, KEY_MEMORY_MAX, 0, &memory, fault)) {
        return false;
    }
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (crypto_start() != ERR_OK) {
        return fault_set(fault, err_code(ERR_NEWER), "upgrade libsodium",
                         "the library libsodium cannot be used here (CVE-2025-69277)");
    }
    ask.fd = (int)fd;
    (void)snprintf(of, sizeof of, "the backup %s", path);
    switch (sealing_ask(&ask, of, (unsigned long)memory, &recipient)) {
    case ERR_OK:
        break;
    case ERR_INVALID:
        return fault_set(fault, err_code(ERR_INVALID), "give several words that you will remember",
                         "the passphrase is empty, or longer than 1,024 bytes");
    case ERR_MEMORY:
        return fault_set(fault, err_code(ERR_MEMORY), "close other programs, or give less with --key-memory",
                         "the machine cannot give the memory that the passphrase is to cost");
    default:
        return fault_set(fault, err_code(ERR_DENIED), "run it at a terminal, or use --passphrase-fd N",
                         "the passphrase could not be asked for");
    }
    *out = sealing_json(&recipient);
    return *out != NULL || fault_set(fault, err_code(ERR_MEMORY), NULL, "%s", err_text(ERR_MEMORY));
}

/* The evidence files that are here: where they went, or that they are not in it. */
static void
say_evidence(const struct command *command, const json_t *evidence)
{
    const char *path = json_string_value(json_object_get(evidence, "path"));
    json_int_t here = json_integer_value(json_object_get(evidence, "here"));
    json_int_t left_out = json_integer_value(json_object_get(evidence, "left_out"));

    if (path != NULL) {
        command_say(command, "%-14s %s: %lld, %.1f MB\n", "Files", path,
                    (long long)json_integer_value(json_object_get(evidence, "files")),
                    (double)json_integer_value(json_object_get(evidence, "bytes")) / 1e6);
    } else if (here > 0) {
        command_say(
            command,
            "%-14s none of the %lld that are here, %.1f MB: restored, the node asks its peers for them\n",
            "Files", (long long)here,
            (double)json_integer_value(json_object_get(evidence, "here_bytes")) / 1e6);
    }
    if (left_out > 0) {
        command_say(command,
                    "%-14s %lld files: they went away meanwhile, are damaged here, or are too large\n",
                    "Left out", (long long)left_out);
    }
}

static enum exit_status
say_done(const struct command *command, const json_t *done)
{
    const char *office = json_string_value(json_object_get(done, "office"));
    json_int_t lost = json_integer_value(json_object_get(done, "lost"));
    json_int_t lost_parts = json_integer_value(json_object_get(json_object_get(done, "evidence"), "lost"));
    struct client_fault fault;

    if (command->out.json) {
        output_json(command->out.to, done);
    } else {
        command_say(command, "%-14s %s\n", "Main", json_string_value(json_object_get(done, "main")));
        command_say(command, "%-14s %s\n", "Keys", json_string_value(json_object_get(done, "keys")));
        command_say(command, "%-14s %lld\n", "Entries",
                    (long long)json_integer_value(json_object_get(done, "entries")));
        say_evidence(command, json_object_get(done, "evidence"));
        command_say(command, "%-14s the passphrase that was chosen%s%s\n", "Opens with",
                    office == NULL || office[0] == '\0' ? "" : ", or the key of the office ",
                    office == NULL ? "" : office);
        command_say(command, "%-14s %s\n", "Device keys",
                    json_is_true(json_object_get(done, "with_device_keys")) ? "yes" : "no");
        command_remark(command,
                       "keep the two files apart: whoever has both and opens them can read the cases\n");
    }
    if (lost == 0 && lost_parts == 0) {
        return STATUS_DONE;
    }
    if (lost == 0) {
        (void)fault_set(
            &fault, err_code(ERR_CORRUPT),
            "vigil blob verify says of which file, and it comes again from a peer; keep this backup",
            "files are damaged here");
        return command_fail(command, &fault, "%lld parts of files could not be read and are not in it",
                            (long long)lost_parts);
    }
    (void)fault_set(&fault, err_code(ERR_CORRUPT),
                    "stop the node and run vigild verify; keep this backup, and let a peer fill the gaps",
                    "rows of the replica are damaged");
    return command_fail(command, &fault, "%lld entries could not be read and are not in it", (long long)lost);
}

static enum exit_status
run_make(struct command *command)
{
    struct client_fault fault;
    char path[PATH_MAX];
    json_t *recipient = NULL;
    json_t *done = NULL;

    const char *files = args_value(command, OPT_FILES);

    if (files != NULL && strcmp(files, "none") != 0 && strcmp(files, "all") != 0) {
        (void)fault_set(&fault, "usage", "say all or none", "--files cannot be %s here", files);
        return command_fail(command, &fault, "the backup was not made");
    }
    /* Nobody thinks of a passphrase for a node that does not answer. */
    if (!steps_path(command->words[0], path, &fault) || !command_connect(command, &fault) ||
        !take_recipient(command, path, &recipient, &fault)) {
        return command_fail(command, &fault, "the backup was not made");
    }
    json_t *request = json_pack("{s:s,s:s,s:o,s:b}", "do", "backup.make", "path", path, "recipient",
                                recipient, "with_device_keys", args_has(command, OPT_WITH_DEVICE_KEYS));
    if (request == NULL) {
        (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the path is not UTF-8");
        return command_fail(command, &fault, "the backup was not made");
    }
    if (files != NULL) {
        (void)json_object_set_new(request, "evidence", json_string(files));
    }
    bool made = steps_wait(command, request, &done, &fault);
    enum exit_status status =
        made ? say_done(command, done) : command_fail(command, &fault, "the backup was not made");
    json_decref(done);
    return status;
}

/* --- accept --- */

static enum exit_status
run_accept(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;
    json_t *request = json_pack("{s:s}", "do", "backup.accept");

    if (command_only_shown(command, request)) {
        return STATUS_DONE;
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "nothing was accepted");
    }
    json_decref(ok);
    command_say(command, "what was restored is shown from now on\n");
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { "accept", NULL, 0, 0, OPTION(DRY_RUN),
      "Let a restored node show its records though no peer was reached",
      "A restored node shows no record before it has compared with a peer, or taken in a bundle of one that "
      "is younger than the backup: consent may have been withdrawn, "
      "and "
      "records erased, after the backup was made. Where no peer can be reached, this says that you answer "
      "for "
      "it. What is erased is erased as soon as a peer tells of it.\n",
      run_accept },
    { "make", "NAME", 1, 1,
      OPTION(WITH_DEVICE_KEYS) | OPTION(FILES) | OPTION(KEY_MEMORY) | OPTION(PASSPHRASE_FD),
      "Write NAME.main, NAME.keys and NAME.files while the node runs",
      "NAME is a path; none of the files may be there. They open with a passphrase that you choose now, and "
      "with "
      "the key "
      "of the office. Keep them apart: .main shows nothing without .keys, and destroying .keys closes it for "
      "good. The node itself writes the files, and reads them back before they get their names.\n\n"
      "The evidence files that are here go into NAME.files, sealed as they are, if there are any: it may be "
      "large, opens nothing without the other two, and what is damaged in it costs its own place. With "
      "--files "
      "none they are left out: a restored node asks its peers for them.\n\n"
      "Without --with-device-keys it is restored to a newly enrolled machine. With them the device itself is "
      "restored: keep such a backup as you would keep the machine.\n\n"
      "Examples:\n"
      "  vigil backup make /media/stick/ken-2026-03-01\n"
      "  vigild restore --verify ken-2026-03-01.main ken-2026-03-01.keys\n",
      run_make },
};

const struct noun backup_noun = { "backup", "Keep a copy of all that this node holds", verbs,
                                  sizeof verbs / sizeof verbs[0] };
