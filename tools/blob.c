/* blob.c - `vigil blob`: files that records name: in, out, and which of them are here. */
#include "tools/command.h"

#include "store/base/crypto.h"
#include "tools/clean.h"
#include "tools/sniff.h"
#include "tools/typed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static json_int_t
count_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "1.2 GB": as people say it. */
static void
size_text(char out[32], json_int_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB" };
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1000 && unit < 3) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(out, 32, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static bool
add_actor(const struct command *command, json_t *request, struct client_fault *fault)
{
    long actor = 0;

    if (!args_number(command, OPT_ACTOR, 0, UINT32_MAX, 0, &actor, fault)) {
        return false;
    }
    (void)json_object_set_new(request, "actor", json_integer(actor));
    return true;
}

/* --- add --------------------------------------------------------------------- */

/* A file that is read, and what is known of it. */
struct source {
    int file;
    uint64_t size;
    const char *name;
    char type[SNIFF_TYPE_BYTES];
};

static bool
read_some(int file, uint8_t *out, size_t room, size_t *size_out, struct client_fault *fault)
{
    *size_out = 0;
    while (*size_out < room) {
        ssize_t part = read(file, out + *size_out, room - *size_out);

        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part < 0) {
            return fault_set(fault, err_code(ERR_IO), "see that the disk is well",
                             "the file cannot be read: %s", strerror(errno));
        }
        if (part == 0) {
            break;
        }
        *size_out += (size_t)part;
    }
    return true;
}

/* Is it what it is said to be? Nothing of it is sent before. */
static bool
check_type(const struct command *command, struct source *source, struct client_fault *fault)
{
    const char *typed = args_value(command, OPT_KIND);
    const char *claimed = typed != NULL ? typed : sniff_claim(source->name);
    char real[SNIFF_TYPE_BYTES];
    size_t size;

    uint8_t *bytes = malloc(SNIFF_BYTES_MAX);
    if (bytes == NULL) {
        return fault_set(fault, err_code(ERR_MEMORY), "close other programs", "%s", err_text(ERR_MEMORY));
    }
    bool good = read_some(source->file, bytes, SNIFF_BYTES_MAX, &size, fault);
    if (good && !sniff_type(bytes, size, real)) {
        good = fault_set(fault, err_code(ERR_ABSENT), "apt install libmagic-mgc",
                         "what the file is cannot be told: libmagic has no data here");
    }
    explicit_bzero(bytes, SNIFF_BYTES_MAX);
    free(bytes);
    if (good && claimed != NULL && !sniff_fits(claimed, real)) {
        good = fault_set(fault, err_code(ERR_INVALID),
                         "see whether it is the right file; --kind says what it is if its name does not",
                         "the file is called %.100s, and is %.100s", claimed, real);
    }
    if (good && lseek(source->file, 0, SEEK_SET) != 0) {
        good = fault_set(fault, err_code(ERR_INVALID), "give the path of a file", "it is no file");
    }
    (void)snprintf(source->type, sizeof source->type, "%s", claimed != NULL ? claimed : real);
    return good;
}

static bool
open_source(const struct command *command, const char *path, struct source *source,
            struct client_fault *fault)
{
    const char *slash = strrchr(path, '/');
    struct stat stat_of;

    source->name = slash == NULL ? path : slash + 1;
    source->file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (source->file < 0) {
        return fault_set(fault, err_code(errno == ENOENT ? ERR_ABSENT : ERR_DENIED),
                         "give the path of a file", "the file cannot be opened: %s", strerror(errno));
    }
    if (fstat(source->file, &stat_of) != 0 || !S_ISREG(stat_of.st_mode)) {
        return fault_set(fault, err_code(ERR_INVALID), "give the path of a file", "it is no plain file");
    }
    source->size = (uint64_t)stat_of.st_size;
    return check_type(command, source, fault);
}

/* --set evidence.NAME=VALUE, several: without the name of the collection, which the node knows. */
static bool
read_sets(struct command *command, json_t *set, struct client_fault *fault)
{
    const char *level = args_value(command, OPT_LEVEL);

    if (level != NULL && strcmp(level, "L2") != 0 && strcmp(level, "L3") != 0) {
        return fault_set(fault, "usage", "L2 if it shows nobody; L3, which it is if left out, if it may",
                         "a file is of level L2 or L3");
    }
    if (!typed_values(command, false, 0, fault)) {
        return false;
    }
    for (size_t n = 0; n < command->given_count; n++) {
        const char *text = command->given[n].text;
        bool is_set = command->given[n].option == OPT_SET;
        const char *dot = is_set ? strchr(text, '.') : NULL;
        const char *equals = is_set ? strchr(text, '=') : NULL;

        if (is_set && (dot == NULL || equals == NULL || equals < dot)) {
            return fault_set(fault, "usage", "for example --set evidence.captured_at=2026-03-01",
                             "--set takes a field of evidence or attachment, and its value");
        }
        if (is_set) {
            char name[64];

            (void)snprintf(name, sizeof name, "%.*s", (int)(equals - dot - 1), dot + 1);
            if (json_object_set_new(set, name, json_string(equals + 1)) != 0) {
                return fault_set(fault, err_code(ERR_INVALID), "type it in UTF-8", "a value is not UTF-8");
            }
        }
    }
    return true;
}

/* --level L2: whoever reads the record may open the file. */
static bool
shows_nobody(const struct command *command)
{
    const char *level = args_value(command, OPT_LEVEL);

    return level != NULL && strcmp(level, "L2") == 0;
}

static json_t *
begin_request(struct command *command, const struct source *source, struct client_fault *fault)
{
    json_t *set = json_object();
    json_t *request = json_pack("{s:s,s:s,s:I,s:s,s:o,s:b}", "do", "blob.add.begin", "record",
                                command->words[0], "size", (json_int_t)source->size, "media_type",
                                source->type, "set", set, "shows_nobody", shows_nobody(command));

    /* A name that is no UTF-8 is left away: the content is what counts. */
    if (request != NULL) {
        (void)json_object_set_new(request, "name", json_string(source->name));
    }
    if (request == NULL) {
        (void)fault_set(fault, err_code(ERR_INVALID), "type it in UTF-8", "what was typed is not UTF-8");
    } else if (!add_actor(command, request, fault) || !read_sets(command, set, fault)) {
        json_decref(request);
        request = NULL;
    }
    return request;
}

static bool
send_piece(struct command *command, json_int_t add, uint64_t at, struct span piece,
           struct client_fault *fault)
{
    struct buf text = { 0 };
    json_t *ok = NULL;

    crypto_base64(&text, piece);
    json_t *request = text.failed ? NULL
                                  : json_pack("{s:s,s:I,s:I,s:s%}", "do", "blob.add.bytes", "add", add, "at",
                                              (json_int_t)at, "data", (const char *)text.data, text.size);
    buf_wipe(&text);
    bool good = request != NULL ? command_ask(command, request, &ok, fault)
                                : fault_set(fault, err_code(ERR_MEMORY), "close other programs", "%s",
                                            err_text(ERR_MEMORY));
    json_decref(ok);
    return good;
}

/* Send all of it; `sum_out` is the hash of what was sent. */
static bool
send_all(struct command *command, const struct source *source, json_int_t add, size_t piece_bytes,
         char sum_out[2 * HASH_BYTES + 1], struct client_fault *fault)
{
    struct crypto_sha256 sum;
    struct hash hash;
    uint64_t at = 0;
    size_t size = 1;
    bool good = true;

    uint8_t *piece = malloc(piece_bytes);
    if (piece == NULL) {
        return fault_set(fault, err_code(ERR_MEMORY), "close other programs", "%s", err_text(ERR_MEMORY));
    }
    crypto_sha256_begin(&sum);
    while (good && size > 0) {
        good = read_some(source->file, piece, piece_bytes, &size, fault);
        if (good && size > 0) {
            crypto_sha256_add(&sum, span_of(piece, size));
            good = send_piece(command, add, at, span_of(piece, size), fault);
            at += size;
        }
    }
    explicit_bzero(piece, piece_bytes);
    free(piece);
    crypto_sha256_end(&sum, &hash);
    bytes_hex(sum_out, hash_span(&hash));
    return good;
}

static bool
bring(struct command *command, const struct source *source, json_t **ok_out, struct client_fault *fault)
{
    char sum[2 * HASH_BYTES + 1];
    json_t *ok = NULL;
    json_t *request = begin_request(command, source, fault);

    if (request == NULL || !command_ask(command, request, &ok, fault)) {
        return false;
    }
    json_int_t add = count_of(ok, "add");
    json_int_t piece = count_of(ok, "piece");
    json_decref(ok);
    if (piece <= 0 || piece > CLIENT_LINE_BYTES_MAX) {
        return fault_set(fault, err_code(ERR_NEWER), "upgrade this program",
                         "the node wants pieces of %lld bytes", (long long)piece);
    }
    if (!send_all(command, source, add, (size_t)piece, sum, fault)) {
        return false;
    }
    request = json_pack("{s:s,s:I,s:s}", "do", "blob.add.end", "add", add, "sha256", sum);
    return add_actor(command, request, fault) && command_ask(command, request, ok_out, fault);
}

static enum exit_status
run_add(struct command *command)
{
    const char *path = command->words[1];
    struct source source = { .file = -1 };
    struct client_fault fault;
    char typed[PATH_MAX];
    json_t *ok = NULL;
    bool good = true;

    /* A name may say who somebody is, and others see a command line. */
    if (strcmp(path, "-") == 0) {
        good = typed_line("File: ", "name", "type it when asked, or pipe it in", typed, sizeof typed, &fault);
        path = typed;
    }
    good = good && open_source(command, path, &source, &fault) && bring(command, &source, &ok, &fault);
    if (source.file >= 0) {
        close(source.file);
    }
    if (!good) {
        return command_fail(command, &fault, "the file was not added");
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        command_say(command, "%s has the file %.12s, %s, sha256 %s\n", command->words[0], text_of(ok, "file"),
                    source.type, text_of(ok, "sha256"));
    }
    json_decref(ok);
    return STATUS_DONE;
}

/* --- list and status ---------------------------------------------------------- */

/* "40 %", "here": what of it is here. */
static void
state_text(char out[32], const json_t *row)
{
    json_int_t chunks = count_of(row, "chunks");

    if (strcmp(text_of(row, "state"), "partly") == 0 && chunks > 0) {
        (void)snprintf(out, 32, "%lld %% here", (long long)(count_of(row, "held_chunks") * 100 / chunks));
    } else {
        (void)snprintf(out, 32, "%s", text_of(row, "state"));
    }
}

/* What people read of it. */
static json_t *
shown_row(const json_t *row)
{
    const json_t *holders = json_object_get(row, "holders");
    json_t *shown = json_deep_copy(row);
    char text[64];

    (void)snprintf(text, sizeof text, "%.12s", text_of(row, "file"));
    (void)json_object_set_new(shown, "file", json_string(text));
    size_text(text, count_of(row, "size"));
    (void)json_object_set_new(shown, "size", json_string(text));
    state_text(text, row);
    (void)json_object_set_new(shown, "state", json_string(text));
    if (holders != NULL) {
        (void)snprintf(text, sizeof text, "%lld of %lld", (long long)count_of(holders, "held"),
                       (long long)count_of(holders, "of"));
        (void)json_object_set_new(shown, "held by", json_string(text));
    }
    return shown;
}

static enum exit_status
print_rows(struct command *command, const struct output_column *columns, size_t count, const json_t *files)
{
    json_t *rows = json_array();
    size_t index;
    json_t *row;

    json_array_foreach((json_t *)files, index, row)
    {
        (void)json_array_append_new(rows, shown_row(row));
    }
    enum exit_status status = command_table(command, columns, count, rows);
    json_decref(rows);
    return status;
}

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column columns[] = {
        { "file", 0 },  { "media_type", COLUMN_CUT }, { "size", COLUMN_RIGHT }, { "derivation", 0 },
        { "state", 0 }, { "held by", COLUMN_RIGHT },  { "readable", 0 },        { "name", COLUMN_CUT },
    };
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s,s:s}", "do", "blob.list", "record", command->words[0]), &ok,
                     &fault)) {
        return command_fail(command, &fault, "cannot list the files of %s", command->words[0]);
    }
    const json_t *files = json_object_get(ok, "files");
    enum exit_status status = STATUS_DONE;
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_rows(command, columns, sizeof columns / sizeof columns[0], files);
        if (json_array_size(files) == 0) {
            command_remark(command, "%s has no files\n", command->words[0]);
        }
    }
    json_decref(ok);
    return status;
}

static enum exit_status
run_status(struct command *command)
{
    static const struct output_column columns[] = {
        { "file", 0 },
        { "size", COLUMN_RIGHT },
        { "state", 0 },
    };
    struct client_fault fault;
    char here[32];
    char wanted[32];
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "blob.status"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot tell which files are here");
    }
    enum exit_status status = STATUS_DONE;
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        size_text(here, count_of(ok, "here_bytes"));
        size_text(wanted, count_of(ok, "wanted_bytes"));
        output_printf(command->out.to, "Here     %lld files, %s\n", (long long)count_of(ok, "here"), here);
        output_printf(command->out.to, "Wanted   %lld files, %s to come; %lld of them partly here\n",
                      (long long)count_of(ok, "wanted"), wanted, (long long)count_of(ok, "partly"));
        output_printf(command->out.to, "Put away %lld files\n", (long long)count_of(ok, "away"));
        size_t n;
        const json_t *refused;
        json_array_foreach(json_object_get(ok, "refused"), n, refused)
        {
            output_printf(command->out.to, "Refused  %lld parts from %s, which were not of their files\n",
                          (long long)count_of(refused, "parts"),
                          json_string_value(json_object_get(json_object_get(refused, "device"), "name")));
        }
        if (json_array_size(json_object_get(ok, "files")) > 0) {
            (void)fputc('\n', command->out.to);
            status = print_rows(command, columns, 3, json_object_get(ok, "files"));
        }
    }
    json_decref(ok);
    return status;
}

/* --- get and open ------------------------------------------------------------- */

/* Ask for a file, `which` of the record or its only one. */
static bool
begin_get(struct command *command, const char *how, const char *which, json_t **about_out,
          struct client_fault *fault)
{
    const char *reason = args_value(command, OPT_REASON);
    json_t *request =
        json_pack("{s:s,s:s,s:s}", "do", "blob.get.begin", "record", command->words[0], "how", how);

    if (request == NULL) {
        return fault_set(fault, err_code(ERR_INVALID), "type it in UTF-8", "what was typed is not UTF-8");
    }
    if (which != NULL) {
        (void)json_object_set_new(request, "file", json_string(which));
    }
    if (reason != NULL) {
        (void)json_object_set_new(request, "reason", json_string(reason));
    }
    if (!add_actor(command, request, fault)) {
        json_decref(request);
        return false;
    }
    return command_ask(command, request, about_out, fault);
}

static bool
write_all(int file, struct span bytes, struct client_fault *fault)
{
    while (bytes.size > 0) {
        ssize_t part = write(file, bytes.data, bytes.size);

        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part <= 0) {
            return fault_set(fault, err_code(errno == ENOSPC ? ERR_FULL : ERR_IO),
                             "see that there is room where it is written to",
                             "the file cannot be written: %s", strerror(errno));
        }
        bytes.data += part;
        bytes.size -= (size_t)part;
    }
    return true;
}

/* Write all of it to `file`, piece by piece. False: what was written is the beginning of a file at most. */
static bool
take_all(struct command *command, json_int_t get, int file, struct client_fault *fault)
{
    uint64_t at = 0;
    bool ended = false;
    bool good = true;

    while (good && !ended) {
        struct buf bytes = { 0 };
        json_t *ok = NULL;

        good = command_ask(
            command, json_pack("{s:s,s:I,s:I}", "do", "blob.get.bytes", "get", get, "at", (json_int_t)at),
            &ok, fault);
        if (good && !crypto_base64_read(&bytes, span_text(text_of(ok, "data")))) {
            good = fault_set(fault, err_code(ERR_INVALID), "upgrade this program",
                             "the node sent what is no base64");
        }
        good = good && write_all(file, buf_span(&bytes), fault);
        at += bytes.size;
        ended = json_is_true(json_object_get(ok, "end"));
        buf_wipe(&bytes);
        json_decref(ok);
    }
    return good;
}

/* A new file, for its owner alone. */
static int
new_file(const char *path, struct client_fault *fault)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (file < 0) {
        (void)fault_set(fault, err_code(errno == EEXIST ? ERR_EXISTS : ERR_DENIED),
                        "name a file that is not there yet, in a folder of yours", "%s cannot be made: %s",
                        path, strerror(errno));
    }
    return file;
}

/* The original, whole, to a new file; or no file. */
static bool
take_file(struct command *command, json_int_t get, const char *path, struct client_fault *fault)
{
    int file = new_file(path, fault);

    if (file < 0) {
        return false;
    }
    bool good = take_all(command, get, file, fault);
    if (good && fsync(file) != 0) {
        good = fault_set(fault, err_code(ERR_IO), "see that there is room where it is written to",
                         "the file cannot be written: %s", strerror(errno));
    }
    close(file);
    if (!good) {
        (void)unlink(path);
    }
    return good;
}

/* A working copy without metadata: the original lies in a private folder for as long as that takes. */
static bool
take_clean(struct command *command, const json_t *about, const char *path, struct client_fault *fault)
{
    char folder[PATH_MAX];
    char name[64];
    char whole[PATH_MAX + 80];
    char cleaned[PATH_MAX + 80];

    (void)snprintf(name, sizeof name, "original%s", sniff_ending(text_of(about, "media_type")));
    if (!clean_begin(path, folder, sizeof folder, fault)) {
        return false;
    }
    (void)snprintf(whole, sizeof whole, "%s/%s", folder, name);
    bool good = take_file(command, count_of(about, "get"), whole, fault) &&
                clean_run(folder, name, cleaned, sizeof cleaned, fault);
    if (good && (chmod(cleaned, 0600) != 0 || link(cleaned, path) != 0)) {
        good = fault_set(fault, err_code(errno == EEXIST ? ERR_EXISTS : ERR_IO),
                         "name a file that is not there yet", "%s cannot be made: %s", path, strerror(errno));
    }
    clean_end(folder);
    return good;
}

static enum exit_status
run_get(struct command *command)
{
    const char *path = command->words[1];
    const char *which = command->word_count > 2 ? command->words[2] : NULL;
    bool clean = args_has(command, OPT_CLEAN);
    struct client_fault fault;
    struct stat stat_of;
    json_t *about = NULL;

    if (lstat(path, &stat_of) == 0) {
        (void)fault_set(&fault, err_code(ERR_EXISTS), "name a file that is not there yet",
                        "%s is there already", path);
        return command_fail(command, &fault, "the file was not given out");
    }
    bool good = (!clean || clean_is_possible(&fault)) &&
                begin_get(command, clean ? "copy" : "export", which, &about, &fault) &&
                (clean ? take_clean(command, about, path, &fault)
                       : take_file(command, count_of(about, "get"), path, &fault));
    if (!good) {
        json_decref(about);
        return command_fail(command, &fault, "the file was not given out");
    }
    if (command->out.json) {
        output_json(command->out.to, about);
    } else if (clean) {
        command_say(command, "%s is a working copy without metadata; the original stays as it is\n", path);
    } else {
        command_say(command, "%s is the original, %s\n", path, text_of(about, "content_hash"));
    }
    json_decref(about);
    return STATUS_DONE;
}

static enum exit_status
run_open(struct command *command)
{
    const char *which = command->word_count > 1 ? command->words[1] : NULL;
    struct client_fault fault;
    json_t *about = NULL;

    if (isatty(STDOUT_FILENO)) {
        (void)fault_set(&fault, "usage", "for example vigil blob open KEN-2026-0042 | mpv -",
                        "a file is opened by a program that reads it from a pipe");
        return command_fail(command, &fault, "nothing was opened");
    }
    if (!begin_get(command, "open", which, &about, &fault) ||
        !take_all(command, count_of(about, "get"), STDOUT_FILENO, &fault)) {
        json_decref(about);
        return command_fail(command, &fault, "the file was not opened");
    }
    json_decref(about);
    return STATUS_DONE;
}

/* --- want, evict and verify ---------------------------------------------------- */

/* A record and one of its files, or a whole address alone. */
static json_t *
request_of(const struct command *command, const char *call)
{
    const char *first = command->words[0];
    json_t *request = json_pack("{s:s}", "do", call);

    if (command->word_count == 1 && strlen(first) == 2 * HASH_BYTES) {
        (void)json_object_set_new(request, "file", json_string(first));
        return request;
    }
    (void)json_object_set_new(request, "record", json_string(first));
    if (command->word_count > 1) {
        (void)json_object_set_new(request, "file", json_string(command->words[1]));
    }
    return request;
}

static enum exit_status
run_want(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, request_of(command, "blob.want"), &ok, &fault)) {
        return command_fail(command, &fault, "nothing was asked for");
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else if (strcmp(text_of(ok, "state"), "here") == 0) {
        command_say(command, "%.12s is here\n", text_of(ok, "file"));
    } else {
        command_say(command, "%.12s is asked for: vigil blob status shows how it comes\n",
                    text_of(ok, "file"));
    }
    json_decref(ok);
    return STATUS_DONE;
}

static enum exit_status
run_evict(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;
    json_t *request = request_of(command, "blob.evict");

    if (args_has(command, OPT_YES)) {
        (void)json_object_set_new(request, "although_only", json_true());
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "nothing was put away");
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        command_say(command,
                    "%.12s is put away here; vigil blob want brings it back from a node that holds it\n",
                    text_of(ok, "file"));
    }
    json_decref(ok);
    return STATUS_DONE;
}

static enum exit_status
run_verify(struct command *command)
{
    struct client_fault fault;
    json_int_t checked = 0;
    json_int_t damaged = 0;
    json_int_t next = 0;
    bool more = true;

    while (more) {
        json_t *ok = NULL;
        json_t *request = request_of(command, "blob.verify");

        (void)json_object_set_new(request, "from", json_integer(next));
        if (!command_ask(command, request, &ok, &fault)) {
            return command_fail(command, &fault, "the file was not looked through");
        }
        checked += count_of(ok, "checked");
        damaged += count_of(ok, "damaged");
        more = json_is_integer(json_object_get(ok, "next")) && count_of(ok, "next") > next;
        next = count_of(ok, "next");
        json_decref(ok);
    }
    if (command->out.json) {
        json_t *all = json_pack("{s:I,s:I}", "checked", checked, "damaged", damaged);

        output_json(command->out.to, all);
        json_decref(all);
    } else if (damaged == 0) {
        command_say(command, "all %lld parts are as they were sealed\n", (long long)checked);
    } else {
        command_say(
            command,
            "%lld of %lld parts are damaged or gone, and are fetched again from a node that holds them\n",
            (long long)damaged, (long long)checked);
    }
    return damaged == 0 ? STATUS_DONE : STATUS_FINDINGS;
}

static const struct verb verbs[] = {
    { "add", "ID FILE", 2, 2, OPTION(ACTOR) | OPTION(SET) | OPTION(KIND) | OPTION(LEVEL),
      "Add a file to a record: evidence of a case, an attachment of any other",
      "The file is read and not changed. It is sealed under a key of its own, which only those read who read "
      "the "
      "protected half of the record. A case notes in its custody that it was received, and by whom. What the "
      "file "
      "really is is told by its bytes: if its name or --kind says otherwise it is refused. FILE may be "
      "-: then its path is asked "
      "for, or read from standard input, and stands in no list of processes.\n\n"
      "Examples:\n"
      "  vigil blob add KEN-2026-0042 march.jpg --set evidence.captured_at=2026-03-01\n"
      "  vigil blob add KEN-2026-0042 blurred.jpg --set evidence.derivation=redacted --set "
      "evidence.derived_from=3f09a1c2aabbccdd\n"
      "  vigil blob add KEN-2026-0042 law.pdf --level L2\n",
      run_add },
    { "list", "ID", 1, 1, 0, "List the files of a record",
      "STATE tells whether the file itself is here: wanted and partly here are files whose record came "
      "first. HELD "
      "BY counts the devices that are known to have all of it, this one among them.\n\n"
      "Example:\n"
      "  vigil blob list KEN-2026-0042\n",
      run_list },
    { "get", "ID PATH [FILE]", 2, 3, OPTION(ACTOR) | OPTION(REASON) | OPTION(CLEAN),
      "Write a file of a record to a new file outside of the node",
      "Custody and audit log say so before the first byte is written; --reason is a sentence that says what "
      "it is for "
      "and who gets it. With --clean a working copy is made without metadata (place, device, author), by "
      "mat2; the "
      "original stays as it is. FILE is the beginning of what vigil blob list shows, and may be left out if "
      "there is "
      "one.\n\n"
      "Examples:\n"
      "  vigil blob get KEN-2026-0042 /media/stick/march.jpg --reason 'for the lawyer of the family'\n"
      "  vigil blob get KEN-2026-0042 copy.jpg 3f09a1 --clean --reason 'to be shown at the briefing'\n",
      run_get },
    { "open", "ID [FILE]", 1, 2, OPTION(ACTOR), "Write a file of a record to standard output, for a program",
      "Nothing is left on any disk by this. Custody says that it was opened, and by whom.\n\n"
      "Example:\n"
      "  vigil blob open KEN-2026-0042 | mpv -\n",
      run_open },
    { "want", "ID [FILE]", 1, 2, 0, "Ask for a file that is not here",
      "It comes when a link to a node that holds it is there, whatever the link's policy says of files.\n\n"
      "Example:\n"
      "  vigil blob want KEN-2026-0042\n",
      run_want },
    { "evict", "ID [FILE]", 1, 2, OPTION(YES), "Put a file away here, to make room",
      "This is no deletion: the record names the file still, and other nodes keep it. If nobody else is "
      "known to hold "
      "it, it is put away only with --yes, and may be lost.\n\n"
      "Example:\n"
      "  vigil blob evict KEN-2026-0042 3f09a1\n",
      run_evict },
    { "verify", "ID [FILE]", 1, 2, 0, "Look for damage in a file that is here",
      "Each part is held against its hash; one that does not match is fetched again. Ends with status 6 if "
      "there was "
      "one.\n\n"
      "Example:\n"
      "  vigil blob verify KEN-2026-0042\n",
      run_verify },
    { "status", "", 0, 0, 0, "Show how many files are here, and which are to come",
      "Records come before the files that they name, and both are counted apart.\n", run_status },
};

const struct noun blob_noun = { "blob", "Keep the files that records name, as evidence and attachments",
                                verbs, sizeof verbs / sizeof verbs[0] };
