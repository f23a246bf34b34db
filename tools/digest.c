/* digest.c - `vigil digest`: what this node holds, as numbers to compare with another. */
#include "tools/command.h"

#include <string.h>

static enum exit_status
run_digest(struct command *command)
{
    static const struct output_column columns[] = {
        { "name", 0 },
        { "id", COLUMN_CUT },
        { "frontier", 0 },
        { "state", COLUMN_STATE },
        { "entries", COLUMN_RIGHT },
        { "records", COLUMN_RIGHT },
    };
    struct client_fault fault;
    json_t *ok = NULL;
    size_t index;
    json_t *row;

    if (!command_ask(command, json_pack("{s:s}", "do", "digest"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot show the digest");
    }
    json_t *rows = json_object_get(ok, "compartments");
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    json_array_foreach(rows, index, row)
    {
        const char *state = json_string_value(json_object_get(row, "state"));
        if (status == STATUS_DONE && args_has(command, OPT_CHECK) &&
            (state == NULL || strcmp(state, "complete") != 0)) {
            status = STATUS_FINDINGS;
        }
    }
    json_decref(ok);
    return status;
}

/* --- The frontier, for the ceremony ------------------------------------------ */

/* Where logs end before the time of --before; false, and `fault`: the node refused. */
static bool
find_cuts(struct command *command, json_t *cuts, struct client_fault *fault)
{
    json_t *request = json_pack("{s:s, s:s, s:s}", "do", "frontier.cut", "device",
                                args_value(command, OPT_DEVICE), "before", args_value(command, OPT_BEFORE));
    bool good =
        command_ask_pages(command, request, &(struct command_pages){ "cuts", 0, 0 }, cuts, NULL, fault);

    json_decref(request);
    return good;
}

/* Say where each log ends, and what this node could not tell. */
static void
tell_cuts(const struct command *command, const json_t *cuts)
{
    json_int_t closed = 0;
    size_t index;
    json_t *cut;

    json_array_foreach((json_t *)cuts, index, cut)
    {
        const char *place = json_string_value(json_object_get(cut, "compartment"));
        const json_t *seq = json_object_get(cut, "seq");
        char ends[48];

        if (json_is_integer(seq)) {
            (void)snprintf(ends, sizeof ends, "ends after entry %lld", (long long)json_integer_value(seq));
        } else {
            (void)snprintf(ends, sizeof ends, "ends before its first entry");
        }
        command_say(command, "%s, lane %lld: %s; %lld left out\n", place == NULL ? "" : place,
                    (long long)json_integer_value(json_object_get(cut, "lane")), ends,
                    (long long)json_integer_value(json_object_get(cut, "dropped")));
        closed += json_integer_value(json_object_get(cut, "closed"));
    }
    if (closed > 0) {
        command_remark(
            command,
            "the time of %lld entries could not be told here, and they were let pass: make the file on a "
            "node that reads them\n",
            (long long)closed);
    }
}

static bool
check_frontier(const struct command *command, struct client_fault *fault)
{
    bool alone = args_value(command, OPT_DEVICE) == NULL && args_value(command, OPT_BEFORE) == NULL &&
                 args_value(command, OPT_WITHOUT) == NULL;

    if (args_value(command, OPT_FRONTIER) == NULL) {
        return alone || fault_set(fault, "usage", "add --frontier FILE",
                                  "--device, --before and --without are of use with --frontier only");
    }
    return args_value(command, OPT_BEFORE) == NULL || args_value(command, OPT_DEVICE) != NULL ||
           fault_set(fault, "usage", "add --device with the one that is to be cut",
                     "--before cuts the logs of one device");
}

/* What the file is to say: where logs end, and nothing of those of which nothing is left. */
static json_t *
places_of(const json_t *cuts)
{
    json_t *places = json_array();
    size_t index;
    json_t *cut;

    json_array_foreach((json_t *)cuts, index, cut)
    {
        if (json_is_string(json_object_get(cut, "entry"))) {
            (void)json_array_append_new(
                places, json_pack("{s:O, s:O, s:O}", "log", json_object_get(cut, "log"), "seq",
                                  json_object_get(cut, "seq"), "entry", json_object_get(cut, "entry")));
        }
    }
    return places;
}

static enum exit_status
write_frontier(struct command *command)
{
    const char *device = args_value(command, OPT_DEVICE);
    const char *path = args_value(command, OPT_FRONTIER);
    json_t *cuts = args_value(command, OPT_BEFORE) == NULL ? NULL : json_array();
    json_t *request = json_pack("{s:s}", "do", "frontier.write");
    struct client_fault fault;
    json_t *ok = NULL;

    bool good = device == NULL || json_object_set_new(request, "device", json_string(device)) == 0 ||
                fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
    good = good && (cuts == NULL || find_cuts(command, cuts, &fault));
    if (good && cuts != NULL) {
        (void)json_object_set_new(request, "cuts", places_of(cuts));
    }
    json_t *without = json_array();
    for (size_t n = 0; good && n < command->given_count; n++) {
        if (command->given[n].option == OPT_WITHOUT) {
            good = json_array_append_new(without, json_string(command->given[n].text)) == 0 ||
                   fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        }
    }
    if (json_array_size(without) > 0) {
        (void)json_object_set(request, "without", without);
    }
    json_decref(without);
    good = good && command_ask(command, json_incref(request), &ok, &fault);
    const char *text = json_string_value(json_object_get(ok, "file"));
    good = good && command_write(path, text == NULL ? "" : text, &fault);
    enum exit_status status =
        good ? STATUS_DONE : command_fail(command, &fault, "no frontier file was written");
    if (good) {
        (void)json_object_del(ok, "file");
        (void)json_object_set_new(ok, "path", json_string(path));
        if (cuts != NULL) {
            (void)json_object_set(ok, "cuts", cuts);
            tell_cuts(command, cuts);
        }
        if (command->out.json) {
            output_json(command->out.to, ok);
        }
        command_say(command, "%s holds what is here of %lld logs; carry it to the ceremony\n", path,
                    (long long)json_integer_value(json_object_get(ok, "logs")));
    }
    json_decref(ok);
    json_decref(request);
    json_decref(cuts);
    return status;
}

static enum exit_status
run(struct command *command)
{
    struct client_fault fault;

    if (!check_frontier(command, &fault)) {
        return command_fail(command, &fault, "nothing was done");
    }
    return args_value(command, OPT_FRONTIER) == NULL ? run_digest(command) : write_frontier(command);
}

static const struct verb verbs[] = {
    { NULL, NULL, 0, 0, OPTION(CHECK) | OPTION(FRONTIER) | OPTION(DEVICE) | OPTION(BEFORE) | OPTION(WITHOUT),
      "Print what this node holds of each compartment",
      "Two nodes that print the same frontier for a compartment hold the same updates of it. The "
      "state is complete, pending (something waits for a key or a newer program) or rebuilding.\n\n"
      "Examples:\n"
      "  vigil digest\n"
      "  vigil --json digest\n"
      "  vigil digest --check     ends with 6 unless all is complete\n"
      "  vigil digest --frontier ken.frontier --device 'KEN laptop'\n"
      "  vigil digest --frontier ken.frontier --device 'KEN laptop' --before 2026-03-01T17:30Z\n\n"
      "A revocation says up to which entry each log of a device counts: vigil-org revoke takes it from "
      "a frontier file. With --before each log of the device ends before the first entry that claims that "
      "time (UTC) or a later one; what a thief dated back stays, so look at it. With --without a log ends "
      "before that entry, such as the first of a thief's branch, which vigil device show names. The file "
      "is sealed for the organisation and signed by this device; FILE must not be there yet.\n",
      run },
};

const struct noun digest_noun = { "digest", "Compare what two nodes hold", verbs, 1 };
