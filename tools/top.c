/* top.c - `vigil top`: the lines to the peers, and what passes over them now. */
#include "tools/command.h"
#include "tools/repaint.h"

#include <stdlib.h>
#include <time.h>

enum { INTERVAL_SECONDS = 2, INTERVAL_SECONDS_MAX = 3600, ROUNDS_MAX = 1000000 };

static const struct output_column columns[] = {
    { "name", 0 },
    { "state", COLUMN_STATE },
    { "session", 0 },
    { "profile", 0 },
    { "control", COLUMN_RIGHT },
    { "urgent", COLUMN_RIGHT },
    { "normal", COLUMN_RIGHT },
    { "bulk", COLUMN_RIGHT },
    { "to_come", COLUMN_RIGHT },
    { "in_per_s", COLUMN_RIGHT },
    { "out_per_s", COLUMN_RIGHT },
    { "on_way", COLUMN_RIGHT },
    { "round_trip_ms", COLUMN_RIGHT },
    { "last", COLUMN_CUT },
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

static int64_t
now_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const json_t *
line_before(const json_t *lines, const json_t *device)
{
    size_t index;
    json_t *line;

    json_array_foreach((json_t *)lines, index, line)
    {
        if (json_equal(json_object_get(json_object_get(line, "device"), "id"),
                       json_object_get(device, "id"))) {
            return line;
        }
    }
    return NULL;
}

/* Bytes a second since the page before; null on the first, and where the node was started again between. */
static json_t *
rate_json(const json_t *line, const json_t *before, const char *name, int64_t elapsed_ms)
{
    json_int_t was = json_integer_value(json_object_get(before, name));
    json_int_t is = json_integer_value(json_object_get(line, name));

    if (before == NULL || elapsed_ms <= 0 || is < was) {
        return json_null();
    }
    return json_integer((is - was) * 1000 / elapsed_ms);
}

static json_t *
row_of(const json_t *line, const json_t *before, int64_t elapsed_ms)
{
    static const char *const kept[] = { "name",    "state",  "session",      "profile",
                                        "to_come", "on_way", "round_trip_ms" };
    static const char *const lanes[] = { "control", "urgent", "normal", "bulk" };
    const char *error = json_string_value(json_object_get(line, "error"));
    json_t *row = json_object();

    for (size_t n = 0; n < sizeof kept / sizeof kept[0]; n++) {
        (void)json_object_set(row, kept[n], json_object_get(line, kept[n]));
    }
    for (size_t n = 0; n < sizeof lanes / sizeof lanes[0]; n++) {
        (void)json_object_set(row, lanes[n], json_array_get(json_object_get(line, "lanes"), n));
    }
    (void)json_object_set(row, "device", json_object_get(json_object_get(line, "device"), "id"));
    (void)json_object_set_new(row, "in_per_s", rate_json(line, before, "bytes_in", elapsed_ms));
    (void)json_object_set_new(row, "out_per_s", rate_json(line, before, "bytes_out", elapsed_ms));
    /* Why it is away says more than how a session before that ended. */
    (void)json_object_set(row, "last",
                          json_object_get(line, error != NULL && error[0] != '\0' ? "error" : "last_ending"));
    return row;
}

/* What was seen last. */
struct sight {
    json_t *lines; /* NULL: nothing yet */
    int64_t at_ms;
};

static json_t *
rows_of(const json_t *lines, const struct sight *before, int64_t at_ms)
{
    json_t *rows = json_array();
    size_t index;
    json_t *line;

    json_array_foreach((json_t *)lines, index, line)
    {
        const json_t *was = line_before(before->lines, json_object_get(line, "device"));

        (void)json_array_append_new(rows, row_of(line, was, at_ms - before->at_ms));
    }
    return rows;
}

/* Print one page. False: `status_out` says why not, and it was told. */
static bool
show_once(struct command *command, struct repaint *repaint, struct sight *sight, enum exit_status *status_out)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "sync.lines"), &ok, &fault)) {
        *status_out = command_fail(command, &fault, "cannot show the lines");
        return false;
    }
    int64_t at_ms = now_ms();
    json_t *lines = json_object_get(ok, "lines");
    json_t *rows = rows_of(lines, sight, at_ms);
    json_decref(sight->lines);
    *sight = (struct sight){ json_incref(lines), at_ms };
    json_decref(ok);

    FILE *to = command->out.to;
    FILE *page = repaint_page(repaint);
    enum err err = page == NULL ? ERR_MEMORY : ERR_OK;
    if (err == ERR_OK) {
        command->out.to = page;
        *status_out = command_table(command, columns, COLUMN_COUNT, rows);
        command->out.to = to;
        if (json_array_size(rows) == 0 && !command->out.json) {
            (void)fputs("this node has no peer yet\n", page);
        }
        err = repaint_show(repaint);
    }
    json_decref(rows);
    if (err != ERR_OK) {
        (void)fault_set(&fault, err_code(err), "see that there is memory, and that somebody reads", "%s",
                        err_text(err));
        *status_out = command_fail(command, &fault, "the page was not printed");
    }
    return err == ERR_OK && *status_out == STATUS_DONE;
}

static enum exit_status
run_top(struct command *command)
{
    struct sight sight = { NULL, 0 };
    struct client_fault fault;
    struct repaint repaint;
    long interval = 0;
    long rounds = 0;

    if (!args_number(command, OPT_INTERVAL, 1, INTERVAL_SECONDS_MAX, INTERVAL_SECONDS, &interval, &fault) ||
        !args_number(command, OPT_ROUNDS, 1, ROUNDS_MAX, 0, &rounds, &fault)) {
        return command_fail(command, &fault, "nothing was done");
    }
    enum exit_status status = STATUS_DONE;
    repaint_begin(&repaint, command->out.to, command->out.terminal && !command->out.json, !command->out.json);
    while (show_once(command, &repaint, &sight, &status) &&
           (rounds == 0 || repaint.pages < (unsigned long)rounds) && repaint_wait((unsigned)interval)) {
    }
    repaint_end(&repaint);
    json_decref(sight.lines);
    return status;
}

static const struct verb verbs[] = {
    { NULL, NULL, 0, 0, OPTION(INTERVAL) | OPTION(ROUNDS),
      "Show what passes over the line to each peer, again and again",
      "control, urgent, normal, bulk: entries that wait to be sent, by lane. to_come: entries that the peer "
      "has and this "
      "node lacks. in_per_s, out_per_s: bytes a second since the page before, with what carries them. "
      "on_way: bytes that "
      "were sent and that the peer has not made room for again. round_trip_ms: the least time from a message "
      "until then. "
      "last: why it is away, or how its last session ended.\n"
      "It ends when it is interrupted. Where the output is no terminal, one page follows another.\n\n"
      "Examples:\n"
      "  vigil top\n"
      "  vigil top --interval 10\n"
      "  vigil --json top --rounds 2     the second line of a peer has its rates\n",
      run_top },
};

const struct noun top_noun = { "top", "Watch what passes over the lines to the peers", verbs, 1 };
