/* doctor.c - `vigil doctor`: what is wrong with this node, why, and what to do.
 *
 *     the state directory, looked at from here --+
 *     node.conf, read as vigild reads it --------+--> one checklist
 *     what the node knows of itself, if it runs -+
 */
#include "tools/command.h"

#include "node/checkup_json.h"
#include "node/config.h"

#include <string.h>

/* --- Gathering the lines ------------------------------------------------------ */

static void
add_line(void *self, const struct checkup_line *line)
{
    (void)json_array_append_new(self, checkup_json(line));
}

static void
read_configuration(const struct checkup_sink *sink, const char *directory)
{
    char path[4096];
    struct config_fault fault = { .line = 0 };
    struct config config;

    (void)snprintf(path, sizeof path, "%s/node.conf", directory);
    enum err err = config_read(path, &config, &fault);
    if (err == ERR_OK) {
        checkup_well(sink, CHECK_CONFIGURATION, "node.conf can be used");
        config_free(&config);
    } else if (err == ERR_INVALID) {
        checkup_found(sink, CODE_CONFIG_WRONG, "%s", fault.text);
    } else {
        checkup_unknown(sink, CHECK_CONFIGURATION, "node.conf cannot be read: %s", err_text(err));
    }
}

/* Without the node its own checks are not known, and that is said of each. */
static void
say_without_node(const struct checkup_sink *sink, const struct client_fault *fault)
{
    bool stopped = strcmp(fault->code, CLIENT_STOPPED) == 0;

    checkup_found(sink, stopped ? CODE_NODE_STOPPED : CODE_NODE_SILENT, "%s", fault->message);
    for (int check = CHECK_STORE; check < CHECK_COUNT; check++) {
        checkup_unknown(sink, (enum checkup_check)check,
                        stopped ? "only a node that runs can tell" : "the node did not tell");
    }
}

static int
place_of(const json_t *line)
{
    const char *name = json_string_value(json_object_get(line, "check"));
    int check = 0;

    while (check < CHECK_COUNT &&
           (name == NULL || strcmp(checkup_check_name((enum checkup_check)check), name) != 0)) {
        check++;
    }
    return check; /* one that only a newer node knows comes last */
}

/* In the order of the checks; within one as they came. */
static json_t *
sort_lines(const json_t *lines)
{
    json_t *sorted = json_array();

    for (int check = 0; check <= CHECK_COUNT; check++) {
        size_t index;
        json_t *line;

        json_array_foreach((json_t *)lines, index, line)
        {
            if (place_of(line) == check) {
                (void)json_array_append(sorted, line);
            }
        }
    }
    return sorted;
}

/* --- Printing them ------------------------------------------------------------ */

static const char *
text_of(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));

    return text == NULL ? "" : text;
}

static bool
is_found(const json_t *line)
{
    return strcmp(text_of(line, "state"), "found") == 0;
}

static void
print_line(FILE *to, const json_t *line)
{
    const char *state = is_found(line)                                ? text_of(line, "severity")
                        : strcmp(text_of(line, "state"), "well") == 0 ? "ok"
                                                                      : "?";

    output_printf(to, "%-8s %-14s %s\n", state, text_of(line, "check"), text_of(line, "what"));
    if (is_found(line)) {
        output_printf(to, "%-8s %-14s %s: %s\n", "", "", text_of(line, "code"), text_of(line, "cause"));
        output_printf(to, "%-8s %-14s do: %s\n", "", "", text_of(line, "next"));
    }
}

struct tally {
    json_int_t findings;
    json_int_t notes;
    json_int_t unknown;
};

static struct tally
count_lines(const json_t *lines)
{
    struct tally tally = { 0, 0, 0 };
    size_t index;
    json_t *line;

    json_array_foreach((json_t *)lines, index, line)
    {
        bool note = strcmp(text_of(line, "severity"), checkup_severity_name(SEVERITY_NOTE)) == 0;

        tally.notes += is_found(line) && note;
        tally.findings += is_found(line) && !note;
        tally.unknown += strcmp(text_of(line, "state"), "unknown") == 0;
    }
    return tally;
}

static void
print_lines(const struct command *command, const json_t *lines, const struct tally *tally)
{
    size_t index;
    json_t *line;

    json_array_foreach((json_t *)lines, index, line)
    {
        print_line(command->out.to, line);
    }
    output_printf(command->out.to, "\n%lld %s, %lld %s, %lld not known\n", (long long)tally->findings,
                  tally->findings == 1 ? "finding" : "findings", (long long)tally->notes,
                  tally->notes == 1 ? "note" : "notes", (long long)tally->unknown);
}

/* --- The verb ------------------------------------------------------------------ */

static enum exit_status
run_doctor(struct command *command)
{
    const char *directory = client_state_dir(args_value(command, OPT_NODE));
    json_t *lines = json_array();
    const struct checkup_sink sink = { lines, add_line };
    struct surroundings here;
    struct client_fault fault;
    json_t *ok = NULL;

    surroundings_read(directory, &here);
    if (here.seen == ERR_ABSENT) {
        json_decref(lines);
        (void)fault_set(&fault, err_code(ERR_ABSENT), "name it with --node DIR, or make one: vigild init DIR",
                        "%s is no directory of a node", directory);
        return command_fail(command, &fault, "there is nothing to look at");
    }
    checkup_surroundings(&sink, &here);
    read_configuration(&sink, directory);
    if (command_ask(command, json_pack("{s:s}", "do", "doctor"), &ok, &fault)) {
        (void)json_array_extend(lines, json_object_get(ok, "checks"));
    } else {
        say_without_node(&sink, &fault);
    }
    json_t *sorted = sort_lines(lines);
    struct tally tally = count_lines(sorted);
    if (command->out.json) {
        json_t *all = json_pack("{s:I, s:I, s:I, s:O}", "findings", tally.findings, "notes", tally.notes,
                                "unknown", tally.unknown, "checks", sorted);

        output_json(command->out.to, all);
        json_decref(all);
    } else {
        print_lines(command, sorted, &tally);
    }
    json_decref(sorted);
    json_decref(lines);
    json_decref(ok);
    return tally.findings > 0 ? STATUS_FINDINGS : STATUS_DONE;
}

static const struct verb verbs[] = {
    { NULL, NULL, 0, 0, 0, "Look for what is wrong with this node, and say what to do",
      "A line for each check. ok: it is well. ?: it could not be looked at, and why. note: to be known. "
      "warning, "
      "alarm: a finding, with its code, its cause and what to do; then it ends with 6. Man vigil lists all "
      "codes.\n"
      "Where no node runs it looks at the state directory alone, and says so. Nothing is changed.\n\n"
      "Examples:\n"
      "  vigil doctor\n"
      "  vigil --json doctor\n",
      run_doctor },
};

const struct noun doctor_noun = { "doctor", "Look for what is wrong with this node", verbs, 1 };
