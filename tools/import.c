/* import.c - vigil import: a file of another system, all of it or nothing.
 *
 *     rows.h --> import_row.h --> import.rows, three batches on their way --> a report for each row
 *                                 import.commit, if every row was good --> the node makes records of them
 */
#include "tools/command.h"
#include "tools/csv_write.h"
#include "tools/import_row.h"
#include "tools/input.h"
#include "tools/typed.h"

#include "store/base/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_ROWS = 256,
    BATCH_BYTES = 256 * 1024, /* of the requests that rows become: a line of the API has at most 1 MiB */
    BATCHES_MAX = 3,          /* on their way */
    BAD_SHOWN = 10,
    POLL_MS = 100,
};

/* Rows that were sent, until the node has judged them. */
struct batch {
    int64_t id; /* of the request */
    json_t *items;
    json_t *cells; /* of each as it was read */
    json_t *order; /* of all rows: null of one that was sent, or what is wrong with it */
    size_t bytes;
};

/* Keys of rows that came, so that no two rows are one record: hashes, at most half of the places taken. */
struct keys {
    uint64_t *places; /* 0: empty */
    size_t room;      /* a power of two */
    size_t count;
    uint8_t secret[16];
};

struct import {
    struct command *command;
    const char *path;
    const char *repeat_path;
    bool dry;
    struct mapping mapping;
    struct import_rows *shape;
    struct rows *rows;
    struct rows *repeat;
    struct row waiting; /* of the second file, read and not used yet */
    json_int_t waiting_parent;
    json_int_t parent_before;
    json_int_t index_before;
    char id[40]; /* of the import; "" of a dry run */
    const char *kind;
    const char *office;
    long actor;
    struct batch batches[BATCHES_MAX];
    size_t batch_count;
    struct batch filling;
    struct keys keys;
    FILE *report;
    size_t good;
    size_t fresh;
    size_t changed;
    size_t same;
    size_t kept;
    size_t bad;
    size_t found_bad; /* that were found here; some of them are not told yet */
    json_t *shown;    /* of the bad ones the first */
    struct client_fault fault;
};

/* --- the mapping --- */

static bool
read_file(const char *path, struct buf *out, struct client_fault *fault_out)
{
    FILE *file = NULL;
    uint8_t part[4096];

    if (!command_open(path, &file, fault_out)) {
        return false;
    }
    for (size_t got; out->size <= MAPPING_BYTES_MAX && (got = fread(part, 1, sizeof part, file)) > 0;) {
        buf_put(out, part, got);
    }
    bool good = ferror(file) == 0 ||
                fault_set(fault_out, err_code(ERR_IO), "look after its disk", "%s cannot be read", path);
    command_close(&file);
    if (good && out->size > MAPPING_BYTES_MAX) {
        good = fault_set(fault_out, err_code(ERR_INVALID), "give a mapping", "%s is longer than 1 MiB", path);
    }
    return good &&
           (!out->failed || fault_set(fault_out, err_code(ERR_MEMORY), NULL, "%s", err_text(ERR_MEMORY)));
}

static bool
read_mapping(struct import *import, const char *name, struct client_fault *fault_out)
{
    struct span text = mapping_ready(name);
    struct config_fault fault;
    struct buf file = { 0 };

    if (text.size == 0) {
        if (!read_file(name, &file, fault_out)) {
            buf_free(&file);
            return false;
        }
        text = buf_span(&file);
    }
    enum err err = mapping_parse(&import->mapping, name, text, &fault);
    buf_free(&file);
    if (err == ERR_INVALID) {
        return fault_set(fault_out, err_code(err), "mend the mapping; vigil import mapping plain shows one",
                         "%s", fault.text);
    }
    return err == ERR_OK || fault_set(fault_out, err_code(err), NULL, "%s", err_text(err));
}

/* --- the report --- */

static bool
open_report(struct import *import, const char *path, struct client_fault *fault_out)
{
    static const char *const heading[] = { "row", "column", "outcome", "message" };
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    import->report = fd < 0 ? NULL : fdopen(fd, "w");
    if (import->report == NULL) {
        int why = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return fault_set(fault_out, err_code(why == EEXIST ? ERR_EXISTS : ERR_IO),
                         "name a new file: one that is there is never overwritten", "%s cannot be made: %s",
                         path, strerror(why));
    }
    csv_write_row(import->report, heading, 4);
    return true;
}

static void
report_row(struct import *import, const char *number, const char *column, const char *outcome,
           const char *message)
{
    const char *const cells[] = { number, column, outcome, message };

    if (import->report != NULL) {
        csv_write_row(import->report, cells, 4);
    }
}

static void
report_bad(struct import *import, json_t *bad)
{
    import->bad++;
    report_row(import, json_string_value(json_object_get(bad, "row")),
               json_string_value(json_object_get(bad, "column")), "bad",
               json_string_value(json_object_get(bad, "message")));
    if (import->bad <= BAD_SHOWN) {
        (void)json_array_append(import->shown, bad);
    }
}

struct where {
    char text[300];
};

static struct where
where_is(const struct import *import, size_t number, bool repeat)
{
    struct where where;

    (void)snprintf(where.text, sizeof where.text, "%zu%s%.200s", number, repeat ? " of " : "",
                   repeat ? import->repeat_path : "");
    return where;
}

/* --- keys --- */

/* False: no memory. */
static bool
keys_add(struct keys *keys, const char *key, bool *twice_out)
{
    uint8_t hash[ROW_TAG_BYTES];

    if (2 * (keys->count + 1) > keys->room) {
        size_t room = keys->room == 0 ? 1024 : 2 * keys->room;
        uint64_t *places = calloc(room, sizeof *places);

        if (places == NULL) {
            return false;
        }
        for (size_t n = 0; n < keys->room; n++) {
            size_t at = keys->places[n] & (room - 1);

            while (keys->places[n] != 0 && places[at] != 0) {
                at = (at + 1) & (room - 1);
            }
            if (keys->places[n] != 0) {
                places[at] = keys->places[n];
            }
        }
        free(keys->places);
        keys->places = places;
        keys->room = room;
    }
    crypto_short_hash(hash, keys->secret, span_text(key));
    uint64_t value = bytes_read_u64(hash);
    value = value == 0 ? 1 : value;
    size_t at = value & (keys->room - 1);
    while (keys->places[at] != 0 && keys->places[at] != value) {
        at = (at + 1) & (keys->room - 1);
    }
    *twice_out = keys->places[at] == value;
    if (!*twice_out) {
        keys->places[at] = value;
        keys->count++;
    }
    return true;
}

/* --- batches --- */

static void
free_batch(struct batch *batch)
{
    json_decref(batch->items);
    json_decref(batch->cells);
    json_decref(batch->order);
    memset(batch, 0, sizeof *batch);
}

/* A row is bad: `where` is its number, or that of a row of the second file and its name. It is told in its turn. */
static void
add_bad(struct import *import, const char *where, const char *column, const char *message)
{
    if (import->filling.order == NULL) {
        import->filling.order = json_array();
    }
    import->found_bad++;
    (void)json_array_append_new(import->filling.order, json_pack("{s:s,s:s,s:s}", "row", where, "column",
                                                                 column, "message", message));
}

static void
take_fault(struct import *import, const json_t *item, const json_t *cells, const json_t *outcome)
{
    const char *column = import_rows_column(import->shape, item, cells, outcome);
    const char *message = json_string_value(json_object_get(outcome, "message"));
    const json_t *records = json_object_get(item, "records");
    const json_t *record =
        json_array_get(records, (size_t)json_integer_value(json_object_get(outcome, "record")));
    const json_t *add = json_is_integer(json_object_get(outcome, "item"))
                            ? json_array_get(json_object_get(record, "add"),
                                             (size_t)json_integer_value(json_object_get(outcome, "item")))
                            : NULL;
    const json_t *repeat = json_object_get(add, "row");
    json_int_t number = json_integer_value(json_object_get(repeat != NULL ? add : item, "row"));

    json_t *bad = json_pack("{s:s,s:s,s:s}", "row", where_is(import, (size_t)number, repeat != NULL).text,
                            "column", column, "message", message == NULL ? "" : message);
    report_bad(import, bad);
    json_decref(bad);
}

static void
take_outcome(struct import *import, const json_t *item, const json_t *cells, const json_t *outcome)
{
    const char *verdict = json_string_value(json_object_get(outcome, "verdict"));
    const json_t *kept = json_object_get(outcome, "kept");
    char number[32];
    size_t index;
    json_t *name;

    if (verdict == NULL) {
        take_fault(import, item, cells, outcome);
        return;
    }
    (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT,
                   json_integer_value(json_object_get(item, "row")));
    import->good++;
    size_t *count = strcmp(verdict, "new") == 0       ? &import->fresh
                    : strcmp(verdict, "changed") == 0 ? &import->changed
                                                      : &import->same;
    *count += 1;
    report_row(import, number, "", verdict, "");
    json_array_foreach((json_t *)kept, index, name)
    {
        import->kept++;
        report_row(import, number, "", "kept", json_string_value(name));
    }
}

/* Wait for the oldest batch. */
static bool
take_answer(struct import *import)
{
    struct client_answer answer = { 0 };
    struct batch *batch = &import->batches[0];
    size_t sent = 0;
    size_t index;
    json_t *bad;

    if (client_receive(import->command->client, import->command->wait_ms, &answer, &import->fault) !=
        ERR_OK) {
        return false;
    }
    if (answer.ok == NULL) {
        import->fault = answer.fault;
        client_answer_free(&answer);
        return false;
    }
    json_array_foreach(batch->order, index, bad)
    {
        if (json_is_null(bad)) {
            take_outcome(import, json_array_get(batch->items, sent), json_array_get(batch->cells, sent),
                         json_array_get(json_object_get(answer.ok, "rows"), sent));
            sent++;
        } else {
            report_bad(import, bad);
        }
    }
    client_answer_free(&answer);
    free_batch(batch);
    import->batch_count--;
    memmove(&import->batches[0], &import->batches[1], import->batch_count * sizeof import->batches[0]);
    return true;
}

static bool
send_batch(struct import *import)
{
    struct batch *batch = &import->batches[import->batch_count];

    if (import->filling.items == NULL) {
        import->filling.items = json_array();
    }
    json_t *request = json_pack("{s:s,s:O}", "do", import->dry ? "import.check" : "import.rows", "rows",
                                import->filling.items);

    if (import->dry) {
        (void)json_object_set_new(request, "source", json_string(import->mapping.source));
    } else {
        (void)json_object_set_new(request, "import", json_string(import->id));
    }
    if (import->actor != 0) {
        (void)json_object_set_new(request, "actor", json_integer(import->actor));
    }
    *batch = import->filling;
    memset(&import->filling, 0, sizeof import->filling);
    import->batch_count++;
    if (client_send(import->command->client, request, import->command->wait_ms, &batch->id, &import->fault) !=
        ERR_OK) {
        return false;
    }
    return import->batch_count < BATCHES_MAX || take_answer(import);
}

static bool
add_item(struct import *import, json_t *item, json_t *cells)
{
    struct batch *batch = &import->filling;
    size_t bytes = json_dumpb(item, NULL, 0, JSON_COMPACT);

    if (json_array_size(batch->order) > 0 &&
        (json_array_size(batch->order) >= BATCH_ROWS || batch->bytes + bytes > BATCH_BYTES)) {
        if (!send_batch(import)) {
            json_decref(item);
            return false;
        }
    }
    if (batch->items == NULL) {
        batch->items = json_array();
        batch->cells = json_array();
    }
    if (batch->order == NULL) {
        batch->order = json_array();
    }
    bool good = json_array_append_new(batch->items, item) == 0 &&
                json_array_append(batch->cells, cells) == 0 &&
                json_array_append_new(batch->order, json_null()) == 0;
    batch->bytes += bytes;
    return good || fault_set(&import->fault, err_code(ERR_MEMORY), NULL, "%s", err_text(ERR_MEMORY));
}

/* --- rows --- */

/* The next row of the second file, in `waiting`; at its end there is none. */
static bool
read_repeat(struct import *import)
{
    row_free(&import->waiting);
    if (!rows_next(import->repeat, &import->waiting, &import->fault)) {
        return false;
    }
    if (import->waiting.cells != NULL &&
        !import_rows_parent(import->shape, &import->waiting, &import->waiting_parent)) {
        import->waiting_parent = import->parent_before;
        if (import->waiting.message[0] == '\0') {
            (void)snprintf(import->waiting.column, sizeof import->waiting.column, "%s",
                           import->mapping.repeat.parent);
            (void)snprintf(import->waiting.message, sizeof import->waiting.message,
                           "it holds no number of a row");
        }
    }
    return true;
}

static void
blame_repeat(struct import *import, const char *message)
{
    const struct row *row = &import->waiting;

    add_bad(import, where_is(import, row->number, true).text,
            row->message[0] == '\0' ? import->mapping.repeat.parent : row->column,
            row->message[0] == '\0' ? message : row->message);
}

/* What the second file says of the row that has this index. Both files ascend by it, so that neither is held whole. */
static bool
join_repeats(struct import *import, json_t *item, json_int_t index)
{
    size_t ordinal = 0;

    while (import->waiting.cells != NULL && import->waiting_parent <= index) {
        if (import->waiting.message[0] == '\0' && import->waiting_parent < import->parent_before) {
            blame_repeat(import, "the rows do not ascend by this column: sort the file");
        } else if (import->waiting.message[0] != '\0' || import->waiting_parent < index) {
            blame_repeat(import, "no row of the first file has this number, or it stands further up there");
        } else if (item != NULL) {
            ordinal++;
            bool good = import_rows_repeat(import->shape, item, ordinal, &import->waiting);

            if (!good && import->waiting.message[0] == '\0') {
                return fault_set(&import->fault, err_code(ERR_MEMORY), NULL, "%s", err_text(ERR_MEMORY));
            }
            if (!good) {
                blame_repeat(import, "");
            }
        }
        import->parent_before = import->waiting_parent;
        if (!read_repeat(import)) {
            return false;
        }
    }
    return true;
}

/* The rows of the second file that belong to this one. False: it cannot go on. */
static bool
add_repeats(struct import *import, json_t *item, struct row *row)
{
    json_int_t index = 0;

    if (import->repeat == NULL) {
        return true;
    }
    if (!import_rows_index(import->shape, row, &index) || index <= import->index_before) {
        if (row->message[0] == '\0') {
            (void)snprintf(row->column, sizeof row->column, "%s", import->mapping.repeat.index);
            (void)snprintf(row->message, sizeof row->message,
                           "it holds no number above that of the row before: sort the file by it");
        }
        return true;
    }
    import->index_before = index;
    return join_repeats(import, item, index);
}

/* False: it cannot go on. */
static bool
take_row(struct import *import, struct row *row)
{
    size_t bad = import->found_bad;
    bool twice = false;
    json_t *item = import_rows_make(import->shape, row);

    if (item == NULL && row->message[0] == '\0') {
        return fault_set(&import->fault, err_code(ERR_MEMORY), NULL, "%s", err_text(ERR_MEMORY));
    }
    bool good = add_repeats(import, item, row);
    const json_t *records = json_object_get(item, "records");
    const json_t *own = json_array_get(records, json_array_size(records) - 1);
    if (good && item != NULL) {
        good = keys_add(&import->keys, json_string_value(json_object_get(own, "key")), &twice) ||
               fault_set(&import->fault, err_code(ERR_MEMORY), NULL, "%s", err_text(ERR_MEMORY));
    }
    if (twice && row->message[0] == '\0') {
        (void)snprintf(row->column, sizeof row->column, "%s", import->mapping.records[0].keys[0]);
        (void)snprintf(row->message, sizeof row->message, "an earlier row has this key");
    }
    if (row->message[0] != '\0') {
        add_bad(import, where_is(import, row->number, false).text, row->column, row->message);
    }
    if (!good || import->found_bad > bad) {
        json_decref(item);
        return good && (json_array_size(import->filling.order) < BATCH_ROWS || send_batch(import));
    }
    return add_item(import, item, row->cells);
}

static bool
take_rows(struct import *import)
{
    for (;;) {
        struct row row;

        if (!rows_next(import->rows, &row, &import->fault)) {
            return false;
        }
        if (row.cells == NULL) {
            break;
        }
        bool good = take_row(import, &row);
        row_free(&row);
        if (!good) {
            return false;
        }
    }
    if (import->repeat != NULL && !join_repeats(import, NULL, INT64_MAX)) {
        return false;
    }
    if (import->filling.order != NULL && !send_batch(import)) {
        return false;
    }
    while (import->batch_count > 0) {
        if (!take_answer(import)) {
            return false;
        }
    }
    return true;
}

/* --- all of it --- */

/* Hold the heading of both files against the mapping. */
static bool
look_at_headings(struct import *import)
{
    size_t count = 0;
    const char *const *columns = rows_columns(import->rows, &count);
    json_t *unused = json_array();
    struct buf names = { 0 };

    bool good = count == 0 ||
                import_rows_heading(import->shape, columns, count, import->path, unused, &import->fault);
    for (size_t n = 0; n < json_array_size(unused); n++) {
        buf_put_text(&names, n == 0 ? "" : ", ");
        buf_put_text(&names, json_string_value(json_array_get(unused, n)));
    }
    buf_put_u8(&names, 0);
    if (good && names.size > 1 && !names.failed) {
        command_remark(import->command, "columns that the mapping leaves out: %s\n",
                       (const char *)names.data);
    }
    buf_free(&names);
    json_decref(unused);
    if (good && import->repeat != NULL) {
        columns = rows_columns(import->repeat, &count);
        good = count == 0 ||
               import_rows_heading_repeat(import->shape, columns, count, import->repeat_path, &import->fault);
        good = good && read_repeat(import);
    }
    return good;
}

static bool
begin(struct import *import)
{
    json_t *ok = NULL;

    if (import->dry) {
        return true;
    }
    if (!command_ask(import->command,
                     json_pack("{s:s,s:s,s:I}", "do", "import.begin", "source", import->mapping.source,
                               "actor", (json_int_t)import->actor),
                     &ok, &import->fault)) {
        return false;
    }
    (void)snprintf(import->id, sizeof import->id, "%s", json_string_value(json_object_get(ok, "import")));
    json_decref(ok);
    return true;
}

static void
sleep_ms(long ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    (void)nanosleep(&time, NULL);
}

/* Wait until the node has made records of all rows; what it says in the end. NULL, and the fault: it stopped. */
static json_t *
wait_saved(struct import *import)
{
    for (;;) {
        json_t *ok = NULL;

        if (!command_ask(import->command, json_pack("{s:s}", "do", "import.status"), &ok, &import->fault)) {
            return NULL;
        }
        const char *state = json_string_value(json_object_get(ok, "state"));
        if (state != NULL && strcmp(state, "done") == 0) {
            return ok;
        }
        if (state == NULL || strcmp(state, "saving") != 0) {
            const char *why = json_string_value(json_object_get(ok, "why"));

            (void)fault_set(&import->fault, err_code(ERR_BUSY),
                            "mend that, then vigil import resume, or vigil import abandon drops the rest",
                            "it stopped after %" JSON_INTEGER_FORMAT " rows: %s",
                            json_integer_value(json_object_get(ok, "saved")), why == NULL ? "" : why);
            json_decref(ok);
            return NULL;
        }
        json_decref(ok);
        sleep_ms(POLL_MS);
    }
}

static enum exit_status
print_bad(struct import *import)
{
    size_t index;
    json_t *bad;
    struct client_fault fault;

    if (import->command->out.json) {
        json_t *all = json_pack("{s:I,s:I,s:O}", "rows", (json_int_t)import->good, "bad",
                                (json_int_t)import->bad, "first", import->shown);

        output_json(import->command->out.to, all);
        json_decref(all);
    }
    json_array_foreach(import->shown, index, bad)
    {
        const char *column = json_string_value(json_object_get(bad, "column"));

        command_remark(import->command, "row %s%s%s: %s\n", json_string_value(json_object_get(bad, "row")),
                       column[0] == '\0' ? "" : ", column ", column,
                       json_string_value(json_object_get(bad, "message")));
    }
    if (import->bad > BAD_SHOWN) {
        command_remark(import->command, "and %zu more\n", import->bad - BAD_SHOWN);
    }
    (void)fault_set(
        &fault, err_code(ERR_INVALID), "mend the file or the mapping; --report FILE lists every row",
        import->bad == 1 ? "%zu row is bad, and %zu are good" : "%zu rows are bad, and %zu are good",
        import->bad, import->good);
    return command_fail(import->command, &fault, "nothing was imported");
}

static enum exit_status
print_good(struct import *import, const json_t *done)
{
    struct command *command = import->command;
    json_int_t counts[] = { (json_int_t)import->good, (json_int_t)import->fresh, (json_int_t)import->changed,
                            (json_int_t)import->same, (json_int_t)import->kept,  0 };
    static const char *const names[] = { "rows", "new", "changed", "same", "kept", "left" };
    enum { COUNTS = sizeof names / sizeof names[0] };

    for (size_t n = 0; done != NULL && n < COUNTS; n++) {
        counts[n] = json_integer_value(json_object_get(done, names[n]));
    }
    if (command->out.json) {
        json_t *all = json_pack("{s:b}", "dry_run", import->dry);

        for (size_t n = 0; n < COUNTS; n++) {
            (void)json_object_set_new(all, names[n], json_integer(counts[n]));
        }
        output_json(command->out.to, all);
        json_decref(all);
        return STATUS_DONE;
    }
    command_say(command, "%s%lld rows: %lld new, %lld changed, %lld as they are here\n",
                import->dry ? "nothing was written. " : "", (long long)counts[0], (long long)counts[1],
                (long long)counts[2], (long long)counts[3]);
    if (counts[4] > 0) {
        command_say(command, "%lld values stay as they were changed here; --report FILE says which\n",
                    (long long)counts[4]);
    }
    if (counts[5] > 0) {
        command_say(command, "%lld were left out: their records were erased meanwhile\n",
                    (long long)counts[5]);
    }
    return STATUS_DONE;
}

/* Every row is good: the node is told so, and makes records of them. */
static enum exit_status
finish(struct import *import)
{
    json_t *ok = NULL;

    if (import->bad > 0) {
        return print_bad(import);
    }
    if (import->dry || import->good == 0) {
        return print_good(import, NULL);
    }
    if (!command_ask(import->command,
                     json_pack("{s:s,s:s,s:I,s:I}", "do", "import.commit", "import", import->id, "rows",
                               (json_int_t)import->good, "actor", (json_int_t)import->actor),
                     &ok, &import->fault)) {
        return command_fail(import->command, &import->fault, "nothing was imported");
    }
    json_decref(ok);
    ok = wait_saved(import);
    if (ok == NULL) {
        return command_fail(import->command, &import->fault, "%s is not imported to its end", import->path);
    }
    enum exit_status status = print_good(import, ok);
    json_decref(ok);
    return status;
}

static void
end_import(struct import *import)
{
    for (size_t n = 0; n < import->batch_count; n++) {
        free_batch(&import->batches[n]);
    }
    free_batch(&import->filling);
    row_free(&import->waiting);
    rows_close(&import->rows);
    rows_close(&import->repeat);
    import_rows_free(&import->shape);
    mapping_free(&import->mapping);
    json_decref(import->shown);
    free(import->keys.places);
}

/* Everything that is known before a row is read. */
static bool
prepare(struct import *import, FILE *file, FILE *repeat, bool json)
{
    struct client_fault *fault = &import->fault;
    const char *name = args_value(import->command, OPT_MAPPING);
    const char *kind = args_value(import->command, OPT_KIND);
    const char *office = args_value(import->command, OPT_OFFICE);

    import->shown = json_array();
    crypto_os_random(import->keys.secret, sizeof import->keys.secret);
    if (!args_number(import->command, OPT_ACTOR, 0, UINT32_MAX, 0, &import->actor, fault) ||
        !read_mapping(import, name == NULL ? "plain" : name, fault)) {
        return false;
    }
    import->kind = kind == NULL ? import->mapping.kind : kind;
    import->office = office == NULL ? import->mapping.office : office;
    if (repeat != NULL && import->mapping.repeat.parent == NULL) {
        return fault_set(fault, "usage", "leave out --repeat, or add a section \"repeat\" to the mapping",
                         "%s says nothing of a second file", import->mapping.name);
    }
    const json_t *codebook = typed_codebook(import->command, fault);
    if (codebook == NULL ||
        !import_rows_new(&import->shape, &import->mapping, codebook, import->kind, import->office, fault)) {
        return false;
    }
    struct rows_options options = { file, json, import->mapping.delimiter, import->path };
    if (!rows_open(&import->rows, &options, fault)) {
        return false;
    }
    options.file = repeat;
    options.label = import->repeat_path;
    return (repeat == NULL || rows_open(&import->repeat, &options, fault)) && look_at_headings(import) &&
           begin(import);
}

static enum exit_status
run_files(struct import *import, FILE *file, FILE *repeat, bool json)
{
    enum exit_status status = STATUS_FAILED;
    const char *report = args_value(import->command, OPT_REPORT);

    if ((report != NULL && !open_report(import, report, &import->fault)) ||
        !prepare(import, file, repeat, json) || !take_rows(import)) {
        status = command_fail(import->command, &import->fault, "nothing was imported");
    } else {
        status = finish(import);
    }
    if (import->report != NULL && fclose(import->report) != 0) {
        struct client_fault fault;

        (void)fault_set(&fault, err_code(ERR_IO), "make room on its disk", "%s", strerror(errno));
        status = command_fail(import->command, &fault, "the report is not whole");
    }
    end_import(import);
    return status;
}

static enum exit_status
run_import(struct command *command, bool json)
{
    struct import *import = calloc(1, sizeof *import);
    struct client_fault fault;
    FILE *file = NULL;
    FILE *repeat = NULL;
    enum exit_status status;

    if (import == NULL) {
        (void)fault_set(&fault, err_code(ERR_MEMORY), NULL, "%s", err_text(ERR_MEMORY));
        return command_fail(command, &fault, "nothing was imported");
    }
    import->command = command;
    import->path = strcmp(command->words[0], "-") == 0 ? "standard input" : command->words[0];
    import->repeat_path = args_value(command, OPT_REPEAT);
    import->dry = args_has(command, OPT_DRY_RUN);
    if (!command_open(command->words[0], &file, &fault) ||
        (import->repeat_path != NULL && !command_open(import->repeat_path, &repeat, &fault))) {
        status = command_fail(command, &fault, "nothing was imported");
    } else {
        status = run_files(import, file, repeat, json);
    }
    if (file != NULL) {
        command_close(&file);
    }
    if (repeat != NULL) {
        command_close(&repeat);
    }
    free(import);
    return status;
}

static enum exit_status
run_csv(struct command *command)
{
    return run_import(command, false);
}

static enum exit_status
run_jsonl(struct command *command)
{
    return run_import(command, true);
}

/* --- the one that is on its way --- */

static enum exit_status
run_status(struct command *command)
{
    static const struct output_column columns[] = {
        { "state", COLUMN_STATE }, { "source", 0 },          { "rows", COLUMN_RIGHT },
        { "saved", COLUMN_RIGHT }, { "new", COLUMN_RIGHT },  { "changed", COLUMN_RIGHT },
        { "same", COLUMN_RIGHT },  { "kept", COLUMN_RIGHT }, { "why", COLUMN_CUT },
    };
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "import.status"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot say how far it is");
    }
    json_t *rows = json_pack("[O]", ok);
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    json_decref(rows);
    json_decref(ok);
    return status;
}

static enum exit_status
run_resume(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "import.resume"), &ok, &fault)) {
        return command_fail(command, &fault, "nothing was resumed");
    }
    json_decref(ok);
    command_say(command, "the node goes on; vigil import status shows how far it is\n");
    return STATUS_DONE;
}

static enum exit_status
run_abandon(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "import.abandon"), &ok, &fault)) {
        return command_fail(command, &fault, "nothing was abandoned");
    }
    command_say(
        command, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " rows had become records, and stay\n",
        json_integer_value(json_object_get(ok, "saved")), json_integer_value(json_object_get(ok, "rows")));
    json_decref(ok);
    return STATUS_DONE;
}

static enum exit_status
run_mapping(struct command *command)
{
    struct span text = mapping_ready(command->words[0]);
    struct client_fault fault;

    if (text.size == 0) {
        (void)fault_set(&fault, err_code(ERR_ABSENT), "plain, uwazi and kobo come with the program",
                        "there is no mapping called '%s'", command->words[0]);
        return command_fail(command, &fault, "nothing was printed");
    }
    (void)fwrite(text.data, 1, text.size, command->out.to);
    return STATUS_DONE;
}

#define IMPORT_OPTIONS                                                                                       \
    (OPTION(MAPPING) | OPTION(KIND) | OPTION(OFFICE) | OPTION(REPEAT) | OPTION(REPORT) | OPTION(DRY_RUN))

static const char csv_details[] =
    "FILE is UTF-8, with a heading; - is standard input. --mapping says which column goes to which field: a "
    "file, "
    "or one of plain (columns are called as fields), uwazi and kobo; vigil import mapping NAME prints one to "
    "begin "
    "with. A second CSV of a repeat group goes to --repeat.\n\n"
    "All of the file is imported or nothing: each row is checked first, and a bad one is named with its "
    "column. "
    "Once all are good the node makes records of them, and goes on by itself if this command or the machine "
    "is "
    "stopped. A row is known by its key, so a second run changes what the file changed since, and nothing "
    "that was "
    "changed here. Rows are counted as a spreadsheet counts them: the heading is row 1.\n\n"
    "Examples:\n"
    "  vigil import csv cases.csv --mapping ours.conf --dry-run --report rows.csv\n"
    "  vigil import csv form.csv --repeat acts.csv --mapping kobo\n";

static const struct verb verbs[] = {
    { "abandon", NULL, 0, 0, 0, "Drop the rows of an import that stopped and are no records yet", NULL,
      run_abandon },
    { "csv", "FILE", 1, 1, IMPORT_OPTIONS, "Make records of the rows of a CSV file, all or none", csv_details,
      run_csv },
    { "jsonl", "FILE", 1, 1, IMPORT_OPTIONS,
      "Make records of the lines of a file of JSON objects, all or none",
      "Each line is an object whose keys are columns; a list is several values. Everything else is as with "
      "vigil import csv.\n\n"
      "Examples:\n"
      "  vigil import jsonl cases.jsonl --mapping ours.conf\n",
      run_jsonl },
    { "mapping", "NAME", 1, 1, 0, "Print a mapping that comes with the program: plain, uwazi or kobo", NULL,
      run_mapping },
    { "resume", NULL, 0, 0, 0, "Let an import go on that stopped", NULL, run_resume },
    { "status", NULL, 0, 0, 0, "How far the last import is", NULL, run_status },
};

const struct noun import_noun = { "import", "Make records of the files of other systems", verbs,
                                  sizeof verbs / sizeof verbs[0] };
