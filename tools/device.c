/* device.c - `vigil device`: every device that was ever certified, and what became of it. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column columns[] = {
        { "name", 0 },
        { "office", 0 },
        { "state", COLUMN_STATE },
        { "until", COLUMN_DAY },
        { "last_contact", COLUMN_TIME },
        { "roles", 0 },
        { "notes", COLUMN_CUT },
    };
    struct client_fault fault;
    json_t *ok = NULL;
    size_t index;
    json_t *row;

    if (!command_ask(command, json_pack("{s:s}", "do", "device.list"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot list the devices");
    }
    const json_t *rows = json_object_get(ok, "devices");
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    json_array_foreach((json_t *)rows, index, row)
    {
        const char *state = json_string_value(json_object_get(row, "state"));
        if (status == STATUS_DONE && args_has(command, OPT_CHECK) && state != NULL &&
            strcmp(state, "ok") != 0 && strcmp(state, "revoked") != 0) {
            status = STATUS_FINDINGS;
        }
    }
    json_decref(ok);
    return status;
}

/* --- One of them ------------------------------------------------------------- */

static void
line(FILE *to, const char *label, const json_t *value)
{
    char *text = output_value(value);

    if (text != NULL && text[0] != '\0') {
        output_printf(to, "%-13s %s\n", label, text);
    }
    free(text);
}

static void
time_line(FILE *to, const char *label, const json_t *value)
{
    char text[32];

    if (json_is_string(value)) {
        output_time(text, json_string_value(value));
        output_printf(to, "%-13s %s\n", label, text);
    }
}

static void
print_levels(FILE *to, const json_t *levels)
{
    size_t index;
    json_t *level;

    json_array_foreach((json_t *)levels, index, level)
    {
        const char *place = json_string_value(json_object_get(level, "compartment"));
        const char *word = json_string_value(json_object_get(level, "level"));
        output_printf(to, "%-13s %s in %s\n", index == 0 ? "Rights" : "", word == NULL ? "" : word,
                      place == NULL ? "" : place);
    }
}

static void
print_revocations(FILE *to, const json_t *revocations)
{
    size_t index;
    json_t *one;

    json_array_foreach((json_t *)revocations, index, one)
    {
        const char *by = json_string_value(json_object_get(one, "by"));
        const char *reason = json_string_value(json_object_get(one, "reason"));
        const char *id = json_string_value(json_object_get(one, "id"));
        output_printf(to, "%-13s by %s: %s (%.8s, %lld cuts)\n", index == 0 ? "Revoked" : "",
                      by == NULL ? "" : by, reason == NULL ? "" : reason, id == NULL ? "" : id,
                      (long long)json_integer_value(json_object_get(one, "cuts")));
    }
}

/* The entries at which a log forked, by the names that digest --without takes. */
static void
print_forks(FILE *to, const json_t *forks)
{
    size_t index;
    size_t at;
    json_t *fork;
    json_t *branch;

    json_array_foreach((json_t *)forks, index, fork)
    {
        const char *place = json_string_value(json_object_get(fork, "compartment"));

        output_printf(to, "\nTwo entries with number %lld in %s:\n",
                      (long long)json_integer_value(json_object_get(fork, "seq")),
                      place == NULL ? "" : place);
        json_array_foreach(json_object_get(fork, "branches"), at, branch)
        {
            const char *id = json_string_value(json_object_get(branch, "id"));
            const char *stamp = json_string_value(json_object_get(branch, "at"));
            char when[32] = "an unknown time";

            if (stamp != NULL) {
                output_time(when, stamp);
            }
            output_printf(to, "  %s claims %s, goes on to entry %lld%s\n", id == NULL ? "" : id, when,
                          (long long)json_integer_value(json_object_get(branch, "next")) - 1,
                          json_is_false(json_object_get(branch, "counts")) ? "; held" : "");
        }
    }
}

/* "120 entries, 100 count: cut". */
static json_t *
log_row(const json_t *log)
{
    json_int_t first = json_integer_value(json_object_get(log, "first"));
    json_int_t next = json_integer_value(json_object_get(log, "next"));
    json_int_t counts = json_integer_value(json_object_get(log, "counts_to"));
    const char *id = json_string_value(json_object_get(log, "log"));
    bool cut = json_is_true(json_object_get(log, "cut"));
    bool waits = json_is_true(json_object_get(log, "cut_waits"));
    char ends[96];
    char name[16];

    (void)snprintf(name, sizeof name, "%.12s", id == NULL ? "" : id);
    if (waits) {
        (void)snprintf(ends, sizeof ends, "at a cut whose entry has not arrived here");
    } else if (cut && counts == first) {
        (void)snprintf(ends, sizeof ends, "before its first entry");
    } else if (cut) {
        (void)snprintf(ends, sizeof ends, "after entry %lld", (long long)counts - 1);
    } else {
        ends[0] = '\0';
    }
    return json_pack("{s:s,s:O*,s:O*,s:I,s:I,s:O*,s:s,s:s}", "log", name, "compartment",
                     json_object_get(log, "compartment"), "lane", json_object_get(log, "lane"), "entries",
                     next - first, "count", counts - first, "held", json_object_get(log, "held"), "cut", ends,
                     "branch", first > 0 ? "yes" : "");
}

static enum exit_status
print_logs(const struct command *command, const json_t *logs)
{
    static const struct output_column columns[] = {
        { "log", 0 },
        { "compartment", 0 },
        { "lane", COLUMN_RIGHT },
        { "entries", COLUMN_RIGHT },
        { "count", COLUMN_RIGHT },
        { "held", COLUMN_RIGHT },
        { "cut", COLUMN_CUT },
    };
    json_t *rows = json_array();
    size_t index;
    json_t *log;

    json_array_foreach((json_t *)logs, index, log)
    {
        (void)json_array_append_new(rows, log_row(log));
    }
    if (json_array_size(rows) > 0) {
        output_printf(command->out.to, "\nIts logs, as far as they are here; \"count\" is how many count:\n");
    }
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    json_decref(rows);
    return status;
}

static enum exit_status
print_device(const struct command *command, const json_t *device)
{
    FILE *to = command->out.to;
    size_t index;
    json_t *note;

    line(to, "Name", json_object_get(device, "name"));
    line(to, "Office", json_object_get(device, "office"));
    line(to, "State", json_object_get(device, "state"));
    json_array_foreach(json_object_get(device, "notes"), index, note)
    {
        output_printf(to, "! %s\n", json_is_string(note) ? json_string_value(note) : "");
    }
    line(to, "Fingerprint", json_object_get(device, "fingerprint"));
    line(to, "Id", json_object_get(device, "id"));
    line(to, "Roles", json_object_get(device, "roles"));
    time_line(to, "Certificate", json_object_get(device, "until"));
    time_line(to, json_is_true(json_object_get(device, "by_bundle")) ? "Last bundle" : "Last contact",
              json_object_get(device, "last_contact"));
    line(to, "Endpoint", json_object_get(device, "endpoint"));
    print_levels(to, json_object_get(device, "levels"));
    print_revocations(to, json_object_get(device, "revocations"));
    print_forks(to, json_object_get(device, "forks"));
    return print_logs(command, json_object_get(device, "logs"));
}

static enum exit_status
run_show(struct command *command)
{
    struct client_fault fault;
    enum exit_status status = STATUS_DONE;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s, s:s}", "do", "device.show", "device", command->words[0]), &ok,
                     &fault)) {
        return command_fail(command, &fault, "cannot show %s", command->words[0]);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_device(command, ok);
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { "list", NULL, 0, 0, OPTION(CHECK), "List every device that was ever certified",
      "The state is ok, revoked, forked (it signed two entries with one number), expired, or clock (its "
      "clock is far ahead). With --check it ends with 6 if one is neither ok nor revoked.\n\n"
      "Examples:\n"
      "  vigil device list\n"
      "  vigil --json device list | jq -r 'select(.state == \"revoked\") | .name'\n",
      run_list },
    { "show", "DEVICE", 1, 1, 0, "Show one: its rights, its logs, and where they are cut",
      "A device goes by its name, its fingerprint, its id, or at least six digits that the id begins "
      "with.\n\n"
      "Example:\n"
      "  vigil device show 'KEN laptop'\n",
      run_show },
};

const struct noun device_noun = { "device", "See every device, and what became of it", verbs,
                                  sizeof verbs / sizeof verbs[0] };
