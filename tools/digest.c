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

static const struct verb verbs[] = {
    { NULL, NULL, 0, 0, OPTION(CHECK), "Print what this node holds of each compartment",
      "Two nodes that print the same frontier for a compartment hold the same updates of it. The "
      "state is complete, pending (something waits for a key or a newer program) or rebuilding.\n\n"
      "Examples:\n"
      "  vigil digest\n"
      "  vigil --json digest\n"
      "  vigil digest --check     ends with 6 unless all is complete\n",
      run_digest },
};

const struct noun digest_noun = { "digest", "Compare what two nodes hold", verbs, 1 };
