/* bundle.c - `vigil bundle`: what others lack, in files that are carried to them; and taking such files in. */
#include "tools/steps.h"

#include "node/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 16, ROUNDS_MAX = 1000000000 };

static json_int_t
number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

/* "4.2 MB" of bytes. */
static void
size_text(char out[32], json_int_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* --- export --- */

/* --files WHICH. */
static bool
check_files(const struct command *command, struct client_fault *fault)
{
    const char *files = args_value(command, OPT_FILES);

    if (files != NULL && strcmp(files, "none") != 0 && strcmp(files, "wanted") != 0 &&
        strcmp(files, "all") != 0) {
        return fault_set(fault, "usage", "say none, wanted or all", "--files cannot be %s", files);
    }
    if (files != NULL && strcmp(files, "none") != 0 && args_has(command, OPT_RECEIPTS)) {
        return fault_set(fault, "usage", "leave one of them out",
                         "--receipts and --files %s contradict each other", files);
    }
    return true;
}

/* Bytes of "650M": a number, and k, M, G or T of powers of 1,000, as sticks and discs are sold. */
static bool
read_size(const char *text, json_int_t *bytes_out, struct client_fault *fault)
{
    static const char units[] = "kMGT";
    char *end = NULL;
    json_int_t factor = 1;

    errno = 0;
    long long value = strtoll(text, &end, 10);
    const char *unit = *end == '\0' ? NULL : strchr(units, *end == 'K' ? 'k' : *end);
    for (const char *at = units; unit != NULL && at <= unit; at++) {
        factor *= 1000;
    }
    bool good = errno == 0 && end != text && value > 0 && value <= INT64_MAX / factor &&
                (*end == '\0' || (unit != NULL && end[1] == '\0'));
    if (good && value * factor < BUNDLE_VOLUME_BYTES_MIN) {
        return fault_set(fault, "usage", "give 1M or more", "no volume can be as small as %s", text);
    }
    *bytes_out = good ? value * factor : 0;
    return good ||
           fault_set(fault, "usage", "give a number, and k, M or G if you like: 650M", "%s is no size", text);
}

static json_t *
export_request(const struct command *command, struct client_fault *fault)
{
    char path[PATH_MAX];
    const char *size = args_value(command, OPT_SIZE);
    json_int_t bytes = 0;
    json_t *to = json_array();

    for (size_t n = 0; n < command->given_count; n++) {
        if (command->given[n].option == OPT_TO) {
            (void)json_array_append_new(to, json_string(command->given[n].text));
        }
    }
    bool good =
        steps_path(command->words[0], path, fault) && (size == NULL || read_size(size, &bytes, fault));
    if (good && json_array_size(to) == 0) {
        good = fault_set(fault, "usage", "name a device or an office with --to; vigil device list shows them",
                         "it is not said who is to open it");
    }
    if (good && args_has(command, OPT_ALL) && args_has(command, OPT_RECEIPTS)) {
        good =
            fault_set(fault, "usage", "leave one of them out", "--all and --receipts contradict each other");
    }
    good = good && check_files(command, fault);
    json_t *request =
        good ? json_pack("{s:s,s:s,s:O,s:s}", "do", "bundle.export", "path", path, "to", to, "content",
                         args_has(command, OPT_ALL)        ? "all"
                         : args_has(command, OPT_RECEIPTS) ? "receipts"
                                                           : "lacking")
             : NULL;
    json_decref(to);
    if (good && request == NULL) {
        (void)fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the path is not UTF-8");
    }
    if (request != NULL && size != NULL) {
        (void)json_object_set_new(request, "size", json_integer(bytes));
    }
    if (request != NULL && args_has(command, OPT_FILES)) {
        (void)json_object_set_new(request, "evidence", json_string(args_value(command, OPT_FILES)));
    }
    return request;
}

static void
say_devices(const struct command *command, const char *label, const json_t *devices)
{
    size_t index;
    json_t *device;

    json_array_foreach(devices, index, device)
    {
        command_say(command, "%-14s %s (%s)\n", index == 0 ? label : "", text_of(device, "name"),
                    text_of(device, "office"));
    }
}

/* What went in of evidence files, and what did not. */
static void
say_evidence(const struct command *command, const json_t *evidence)
{
    json_int_t files = number_of(evidence, "files");
    json_int_t left_out = number_of(evidence, "left_out");
    char size[32];

    size_text(size, number_of(evidence, "bytes"));
    if (files > 0) {
        command_say(command, "%-14s %lld, %s\n", "Files", (long long)files, size);
    }
    if (left_out > 0) {
        command_say(command,
                    "%-14s %lld: they went away or are damaged here, or are too large for a bundle\n",
                    "Left out", (long long)left_out);
    }
}

static enum exit_status
say_written(const struct command *command, const json_t *done)
{
    json_t *files = json_object_get(done, "files");
    const json_t *evidence = json_object_get(done, "evidence");
    json_int_t lost = number_of(done, "lost");
    json_int_t lost_parts = number_of(evidence, "lost");
    struct client_fault fault;
    char size[32];
    size_t index;
    json_t *file;

    size_text(size, number_of(done, "bytes"));
    if (command->out.json) {
        output_json(command->out.to, done);
    } else {
        json_array_foreach(files, index, file)
        {
            command_say(command, "%-14s %s\n", index == 0 ? "Volumes" : "", json_string_value(file));
        }
        say_devices(command, "Opens for", json_object_get(done, "to"));
        command_say(command, "%-14s %lld\n", "Entries", (long long)number_of(done, "entries"));
        say_evidence(command, evidence);
        command_say(command, "%-14s %s\n", "Size", size);
        command_remark(
            command, "nobody else can open it, and it names nobody; vigil bundle import takes it in there\n");
    }
    if (lost == 0 && lost_parts == 0) {
        return STATUS_DONE;
    }
    if (lost == 0) {
        (void)fault_set(
            &fault, err_code(ERR_CORRUPT),
            "vigil blob verify says of which file, and it comes again from a peer; the bundle is good "
            "without them",
            "files are damaged here");
        return command_fail(command, &fault, "%lld parts of files could not be read and are not in it",
                            (long long)lost_parts);
    }
    (void)fault_set(&fault, err_code(ERR_CORRUPT),
                    "stop the node and run vigild verify; the bundle is good without them",
                    "rows of the replica are damaged");
    return command_fail(command, &fault, "%lld entries could not be read and are not in it", (long long)lost);
}

static enum exit_status
run_export(struct command *command)
{
    struct client_fault fault;
    json_t *done = NULL;
    json_t *request = export_request(command, &fault);

    if (request != NULL && command_only_shown(command, request)) {
        return STATUS_DONE;
    }
    if (request == NULL || !steps_wait(command, request, &done, &fault)) {
        return command_fail(command, &fault, "the bundle was not written");
    }
    enum exit_status status = say_written(command, done);
    json_decref(done);
    return status;
}

/* --- inspect and import --- */

static json_t *
files_request(const struct command *command, const char *call, struct client_fault *fault)
{
    char path[PATH_MAX];
    json_t *files = json_array();

    for (size_t n = 0; n < command->word_count; n++) {
        json_t *file = steps_path(command->words[n], path, fault) ? json_string(path) : NULL;

        if (file == NULL || json_array_append_new(files, file) != 0) {
            if (path[0] == '/') {
                (void)fault_set(fault, "usage", "use a terminal that is set to UTF-8", "a path is not UTF-8");
            }
            json_decref(files);
            return NULL;
        }
    }
    return json_pack("{s:s,s:o}", "do", call, "files", files);
}

/* "2 of 3 kB at 1 place", "" if nothing is. */
static json_t *
damage_json(const json_t *file)
{
    json_int_t bytes = number_of(file, "damaged_bytes");
    json_int_t places = number_of(file, "damaged_places");
    char size[32];

    if (bytes == 0) {
        return json_string("");
    }
    size_text(size, bytes);
    return json_sprintf("%s at %lld %s", size, (long long)places, places == 1 ? "place" : "places");
}

/* What people should know of a file, in a few words. */
static const char *
state_words(const json_t *file)
{
    const char *state = text_of(file, "state");
    const char *maker = text_of(file, "maker");

    if (strcmp(state, "locked") == 0) {
        return "for others";
    }
    if (strcmp(state, "none") == 0) {
        return "no bundle";
    }
    if (strcmp(state, "foreign") == 0) {
        return "other organisation";
    }
    if (strcmp(state, "failed") == 0) {
        return "not read";
    }
    if (strcmp(maker, "revoked") == 0) {
        return "by a revoked device";
    }
    if (strcmp(maker, "forged") == 0) {
        return "by a forger";
    }
    return json_is_true(json_object_get(file, "whole")) ? "whole"
           : number_of(file, "damaged_bytes") > 0       ? "damaged"
                                                        : "cut short";
}

static void
print_files(const struct command *command, json_t *files)
{
    static const struct output_column columns[] = {
        { "file", COLUMN_CUT }, { "volume", COLUMN_RIGHT }, { "state", COLUMN_STATE },
        { "from", COLUMN_CUT }, { "made", COLUMN_TIME },    { "entries", COLUMN_RIGHT },
        { "files", 0 },         { "damaged", 0 },
    };
    size_t index;
    json_t *file;

    json_array_foreach(files, index, file)
    {
        const char *path = text_of(file, "path");
        const char *slash = strrchr(path, '/');
        json_int_t volume = number_of(file, "volume");

        char size[32] = "";

        if (number_of(file, "file_bytes") > 0) {
            size_text(size, number_of(file, "file_bytes"));
        }
        (void)json_object_set_new(file, "files", json_string(size));
        (void)json_object_set_new(file, "damaged", damage_json(file));
        (void)json_object_set_new(file, "state", json_string(state_words(file)));
        (void)json_object_set_new(file, "file", json_string(slash == NULL ? path : slash + 1));
        (void)json_object_set_new(file, "from",
                                  json_string(text_of(json_object_get(file, "device"), "name")));
        (void)json_object_set_new(
            file, "volume",
            volume == 0 ? json_string("")
                        : json_sprintf("%lld%s", (long long)volume,
                                       json_is_true(json_object_get(file, "last")) ? " (last)" : ""));
    }
    (void)command_table(command, columns, sizeof columns / sizeof columns[0], files);
}

/* What was not taken: why, and what helps. */
static void
say_refused(const struct command *command, const json_t *refused)
{
    static const struct {
        const char *reason;
        const char *words;
    } all[] = {
        { "gap",
          "entries wait for those before them: import the earlier volume or bundle, then this one again" },
        { "fork-below", "entries lie behind others than those here: ask for a bundle with --all" },
        { "author", "entries are of authors that nobody known here lets write there" },
        { "payload", "entries came without their payload, and no erasure that is known here says why" },
        { "limit", "entries are of compartments that this node may not hold, or beyond its limits" },
        { "full", "entries had no room: make room on the disk, then import again" },
        { "malformed", "chunks are no chunks" },
        { "forged", "chunks are not signed by their author" },
    };

    for (size_t n = 0; n < sizeof all / sizeof all[0]; n++) {
        json_int_t count = number_of(refused, all[n].reason);

        if (count > 0) {
            command_say(command, "%-14s %lld %s\n", "Refused", (long long)count, all[n].words);
        }
    }
}

/* What became of parts of files. False: not all of them are of use. */
static bool
say_parts(const struct command *command, const json_t *evidence)
{
    static const struct {
        const char *reason;
        const char *words;
    } all[] = {
        { "refused", "parts are not of the file that they name" },
        { "waiting",
          "parts of files wait for what verifies them: import the other volumes, or another copy" },
        { "unwanted", "parts are of files that no record here names, or that were put away here" },
        { "full", "parts of files had no room: make room on the disk, then import again" },
    };
    json_int_t taken = number_of(evidence, "new");
    json_int_t held = number_of(evidence, "held");
    json_int_t partly = number_of(evidence, "partly");
    json_int_t sum = 0;

    if (taken + held > 0) {
        command_say(command, "%-14s %lld parts new, %lld already here; %lld files are whole\n", "Files",
                    (long long)taken, (long long)held, (long long)number_of(evidence, "whole"));
    }
    for (size_t n = 0; n < sizeof all / sizeof all[0]; n++) {
        json_int_t count = number_of(evidence, all[n].reason);

        if (count > 0) {
            command_say(command, "%-14s %lld %s\n", n == 0 ? "Refused" : "Not used", (long long)count,
                        all[n].words);
        }
        sum += strcmp(all[n].reason, "unwanted") == 0 ? 0 : count;
    }
    if (partly > 0) {
        command_say(command, "%-14s %lld parts of %lld files: import another copy\n", "Missing",
                    (long long)number_of(evidence, "missing"), (long long)partly);
    }
    return sum == 0 && partly == 0;
}

/* What is of a later version. */
static void
say_unknown(const struct command *command, const json_t *files)
{
    json_int_t sum = 0;
    size_t index;
    json_t *file;

    json_array_foreach(files, index, file)
    {
        sum += number_of(file, "unknown_parts");
    }
    if (sum > 0) {
        command_say(command, "%-14s %lld parts are of a later version: the rest was used\n", "Passed over",
                    (long long)sum);
    }
}

/* What an exporter has, and we have not. Gives how many entries that is. */
static json_int_t
say_missing(const struct command *command, const json_t *compartments)
{
    json_int_t sum = 0;
    size_t index;
    json_t *compartment;

    json_array_foreach(compartments, index, compartment)
    {
        json_int_t missing = number_of(compartment, "missing");

        if (missing > 0) {
            command_say(command, "%-14s %lld of %s\n", "Missing", (long long)missing,
                        text_of(compartment, "name"));
        }
        sum += missing;
    }
    return sum;
}

/* What it is worth to a node that was restored; nothing to another one. */
static void
say_contact(const struct command *command, const char *contact)
{
    static const struct {
        const char *contact;
        const char *words;
    } all[] = {
        { "counts", "this node was restored, and shows its records again once all of this is worked off" },
        { "lacks", "this node was restored, and does not hold all that the maker of this held: import the "
                   "other volumes, or "
                   "ask for one with --all" },
        { "old", "this node was restored, and this may be older than its backup: carry a bundle from here to "
                 "its maker, and "
                 "one back" },
        { "unknown", "this node was restored, and nobody that it knows vouches for this" },
    };

    for (size_t n = 0; n < sizeof all / sizeof all[0]; n++) {
        if (strcmp(all[n].contact, contact) == 0) {
            command_say(command, "%-14s %s\n", "First contact", all[n].words);
        }
    }
}

/* True if a file gave what it should: it is whole and for us. */
static bool
all_are_good(const json_t *files, size_t *opened_out)
{
    bool good = true;
    size_t index;
    json_t *file;

    *opened_out = 0;
    json_array_foreach(files, index, file)
    {
        bool opened = strcmp(text_of(file, "state"), "good") == 0;

        *opened_out += opened ? 1 : 0;
        good = good && opened && json_is_true(json_object_get(file, "whole")) &&
               strcmp(text_of(file, "maker"), "member") == 0;
    }
    return good;
}

/* None of the files opened: say why, by the first. */
static enum exit_status
fail_closed(const struct command *command, const json_t *file)
{
    const char *state = text_of(file, "state");
    struct client_fault fault;

    if (strcmp(state, "locked") == 0) {
        (void)fault_set(&fault, err_code(ERR_LOCKED), "have one written with --to this device",
                        "it is sealed to other devices");
    } else if (strcmp(state, "foreign") == 0) {
        (void)fault_set(&fault, err_code(ERR_INVALID), "it belongs to somebody else: ask who gave it to you",
                        "it is of another organisation");
    } else if (strcmp(state, "failed") == 0) {
        (void)fault_set(&fault, text_of(file, "error"), "try another reader, or copy what can be read of it",
                        "it cannot be read");
    } else {
        (void)fault_set(&fault, err_code(ERR_INVALID), "check the name of the file, or ask for another copy",
                        "no head of a bundle is whole in it");
    }
    return command_fail(command, &fault, "nothing was read from %s", text_of(file, "path"));
}

static enum exit_status
run_files(struct command *command, const char *call, bool inspect)
{
    struct client_fault fault;
    json_t *done = NULL;
    size_t opened = 0;
    json_t *request = files_request(command, call, &fault);

    if (request == NULL || !steps_wait(command, request, &done, &fault)) {
        return command_fail(command, &fault, "nothing was %s", inspect ? "read" : "taken in");
    }
    json_t *files = json_object_get(done, "files");
    const json_t *refused = json_object_get(done, "refused");
    bool good = all_are_good(files, &opened);
    if (command->out.json) {
        output_json(command->out.to, done);
    } else if (opened > 0) {
        print_files(command, files);
    }
    if (opened == 0) {
        enum exit_status status = fail_closed(command, json_array_get(files, 0));

        json_decref(done);
        return status;
    }
    if (!inspect) {
        command_say(command, "%-14s %lld entries\n", "New", (long long)number_of(done, "new"));
        command_say(command, "%-14s %lld\n", "Already here", (long long)number_of(done, "held"));
    }
    say_refused(command, refused);
    if (!inspect) {
        good = say_parts(command, json_object_get(done, "evidence")) && good;
    }
    say_unknown(command, files);
    json_int_t missing = say_missing(command, json_object_get(done, "compartments"));
    say_contact(command, text_of(done, "contact"));
    good = good && json_object_size(refused) == 0 && (inspect || missing == 0);
    json_decref(done);
    return good ? STATUS_DONE : STATUS_FINDINGS;
}

static enum exit_status
run_inspect(struct command *command)
{
    return run_files(command, "bundle.inspect", true);
}

static enum exit_status
run_import(struct command *command)
{
    return run_files(command, "bundle.import", false);
}

/* --- carousel --- */

static bool
send_bytes(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t put = write(STDOUT_FILENO, bytes, size);

        if (put < 0 && errno != EINTR) {
            return false;
        }
        bytes += put > 0 ? put : 0;
        size -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* Copy one volume to stdout. */
static bool
send_file(const char *path, struct client_fault *fault)
{
    static char bytes[COPY_BYTES];
    ssize_t got = -1;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && got != 0) {
        got = read(fd, bytes, sizeof bytes);
        if ((got < 0 && errno != EINTR) || (got > 0 && !send_bytes(bytes, (size_t)got))) {
            break;
        }
    }
    if (got != 0) {
        (void)fault_set(fault, err_code(fd < 0 && errno == ENOENT ? ERR_ABSENT : ERR_IO),
                        "check the name, and what it is sent to", "%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return got == 0;
}

static enum exit_status
run_carousel(struct command *command)
{
    struct client_fault fault;
    long rounds = 0;
    bool good = args_number(command, OPT_ROUNDS, 1, ROUNDS_MAX, 0, &rounds, &fault);

    if (good && isatty(STDOUT_FILENO) == 1) {
        good = fault_set(&fault, "usage",
                         "send it to a line or a file: vigil bundle carousel FILE... > /dev/...",
                         "it would be written to the terminal");
    }
    for (long round = 0; good && (rounds == 0 || round < rounds); round++) {
        for (size_t n = 0; good && n < command->word_count; n++) {
            good = send_file(command->words[n], &fault);
        }
    }
    return good ? STATUS_DONE : command_fail(command, &fault, "the volumes were not sent");
}

static const struct verb verbs[] = {
    { "carousel", "FILE...", 1, BUNDLE_FILES_MAX, OPTION(ROUNDS),
      "Write volumes to standard output over and over, for a line that goes one way",
      "Nobody answers on such a line, so all is sent again and again. Whoever listens keeps what comes in a "
      "file, from any moment on, and takes it in with vigil bundle import once a round or more has come; "
      "what "
      "the line damaged comes whole with another round. No node is needed.\n\n"
      "Example:\n"
      "  vigil bundle carousel /var/spool/for-ken.* | socat - UDP-SENDTO:10.0.0.9:4000\n",
      run_carousel },
    { "export", "FILE", 1, 1,
      OPTION(TO) | OPTION(SIZE) | OPTION(ALL) | OPTION(RECEIPTS) | OPTION(FILES) | OPTION(DRY_RUN),
      "Write FILE.001, FILE.002 and so on, for the devices of --to",
      "In it is what one of them is not known to have: by the last bundle that came from it, or else by the "
      "last session. With --all it is everything that they may hold; with --receipts only what the "
      "organisation is to know, such as receipts of erasures. It holds compartments that all of them may "
      "hold, and says what this node has, so that what comes back is what it lacks. Nobody else can open it, "
      "and nothing in it can be read that names anybody.\n\n"
      "Evidence files come after the text: those that one of them asked for (vigil blob want, told by its "
      "last bundle) and those of a mebibyte at most, as far as this node holds them and does not know that "
      "they hold them. With --files all it is every one of these, with --files none no file.\n\n"
      "Each volume opens alone, and is read back from the disk before it gets its name; none is written "
      "over.\n\n"
      "Examples:\n"
      "  vigil bundle export --to HQ /media/stick/for-hq\n"
      "  vigil bundle export --to HQ --to KEN --size 650M /media/stick/news\n"
      "  vigil bundle export --to HQ --files all /media/disk/for-hq\n",
      run_export },
    { "import", "FILE...", 1, BUNDLE_FILES_MAX, 0, "Take in what is whole of these volumes",
      "Volumes may be given in any order, and more than once; an import that was cut off is run again. They "
      "are only read. What is damaged costs its own place: the rest is used, and the report says what is "
      "new, what was here already, what is damaged, what was refused and why, and what is still missing. "
      "Everything is judged as if it had come from a peer: who carries a bundle gives it no right.\n\n"
      "Ends with status 6 if something is damaged, refused or missing.\n\n"
      "Example:\n"
      "  vigil bundle import /media/stick/for-ken.*\n"
      "  vigil bundle export --to HQ --receipts /media/stick/receipts\n",
      run_import },
    { "inspect", "FILE...", 1, BUNDLE_FILES_MAX, 0, "Show what these volumes are, and whether they are whole",
      "Nothing is taken in. It takes a device that they were written for.\n\n"
      "Ends with status 6 if one is damaged, for others or no bundle.\n",
      run_inspect },
};

const struct noun bundle_noun = { "bundle", "Carry what others lack in files", verbs,
                                  sizeof verbs / sizeof verbs[0] };
