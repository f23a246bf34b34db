/* board.c - `vigil board`: the standing views. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 16 };

/* How a column is printed, by its name; one that is not here is text. */
static unsigned
flags_of(const char *name)
{
    static const struct {
        const char *name;
        unsigned flags;
    } known[] = {
        { "days", COLUMN_RIGHT },     { "hours", COLUMN_RIGHT },
        { "cases", COLUMN_RIGHT },    { "headquarters", COLUMN_RIGHT },
        { "proposed", COLUMN_RIGHT }, { "included", COLUMN_RIGHT },
        { "withheld", COLUMN_RIGHT }, { "follow_up", COLUMN_RIGHT },
        { "out", COLUMN_RIGHT },      { "waiting", COLUMN_RIGHT },
        { "ahead_s", COLUMN_RIGHT },  { "updated", COLUMN_DAY },
        { "since", COLUMN_TIME },     { "last_contact", COLUMN_TIME },
        { "stored", COLUMN_PERCENT }, { "visible", COLUMN_PERCENT },
        { "state", COLUMN_STATE },    { "title", COLUMN_CUT },
        { "why", COLUMN_CUT },        { "label", COLUMN_CUT },
    };

    for (size_t n = 0; n < sizeof known / sizeof known[0]; n++) {
        if (strcmp(known[n].name, name) == 0) {
            return known[n].flags;
        }
    }
    return 0;
}

static enum exit_status
list_boards(struct command *command)
{
    static const struct output_column columns[] = { { "name", 0 }, { "rows", COLUMN_RIGHT }, { "label", 0 } };
    struct client_fault fault;
    json_t *ok = NULL;
    size_t index;
    json_t *board;

    if (!command_ask(command, json_pack("{s:s}", "do", "board"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot list the boards");
    }
    json_t *rows = json_object_get(ok, "boards");
    json_array_foreach(rows, index, board)
    {
        char count[32];

        (void)snprintf(count, sizeof count, "%lld%s",
                       (long long)json_integer_value(json_object_get(board, "count")),
                       json_is_true(json_object_get(board, "more")) ? "+" : "");
        if (!command->out.json) {
            (void)json_object_set_new(board, "rows", json_string(count));
        }
    }
    enum exit_status status = STATUS_DONE;
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    }
    json_decref(ok);
    return status;
}

/* Pages, until there are as many rows as were asked for, or no more. `ok_out`: the last answer, with all rows. */
static bool
fetch_board(struct command *command, const char *name, long limit, json_t **ok_out,
            struct client_fault *fault)
{
    json_t *rows = json_array();
    json_t *request =
        json_pack("{s:s,s:s,s:b}", "do", "board", "name", name, "names", args_has(command, OPT_NAMES));
    bool good = request != NULL
                    ? command_ask_pages(command, request, &(struct command_pages){ "rows", limit, 1000 },
                                        rows, ok_out, fault)
                    : fault_set(fault, "usage", "vigil board lists them", "the name is not UTF-8");

    json_decref(request);
    if (good) {
        (void)json_object_set(*ok_out, "rows", rows);
    }
    json_decref(rows);
    return good;
}

static enum exit_status
print_board(struct command *command, const json_t *ok)
{
    struct output_column columns[COLUMNS_MAX];
    json_t *rows = json_object_get(ok, "rows");
    size_t count = 0;
    size_t index;
    json_t *column;

    json_array_foreach(json_object_get(ok, "columns"), index, column)
    {
        const char *name = json_string_value(json_object_get(column, "name"));

        if (name != NULL && count < COLUMNS_MAX) {
            /* Among States it is a number, and else a code. */
            bool counts = strcmp(name, "office") == 0 &&
                          json_is_integer(json_object_get(json_array_get(rows, 0), "office"));

            columns[count++] = (struct output_column){ name, counts ? COLUMN_RIGHT : flags_of(name) };
        }
    }
    output_name_rows(rows, "record");
    enum exit_status status = command_table(command, columns, count, rows);
    if (json_object_get(ok, "window") != NULL && json_is_null(json_object_get(ok, "window"))) {
        command_remark(command,
                       "no reporting window is open today: vigil record new --kind reporting_window\n");
    } else if (json_array_size(rows) == 0) {
        command_remark(command, "nothing is on this board\n");
    }
    if (!json_is_null(json_object_get(ok, "next"))) {
        command_remark(command, "there is more: --limit\n");
    }
    return status;
}

static enum exit_status
run_board(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;
    long limit = 0;

    if (command->word_count == 0 && args_has(command, OPT_NAMES)) {
        (void)fault_set(&fault, "usage", "as in vigil board focal-points --names", "--names needs a board");
        return command_fail(command, &fault, "cannot show the board");
    }
    if (command->word_count == 0) {
        return list_boards(command);
    }
    if (!args_number(command, OPT_LIMIT, 1, 1000000, 100, &limit, &fault) ||
        !fetch_board(command, command->words[0], limit, &ok, &fault)) {
        json_decref(ok);
        return command_fail(command, &fault, "cannot show the board");
    }
    enum exit_status status = STATUS_DONE;
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_board(command, ok);
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { NULL, "[NAME]", 0, 1, OPTION(LIMIT) | OPTION(NAMES),
      "Show a standing view, or list them with how much is on each",
      "What is late comes first: replies and reviews that are overdue, focal points that nobody confirmed "
      "for a "
      "year, consents that have ended. DAYS are those since the date; a minus says that it is still to come. "
      "Without --limit at most 100 rows are printed. A list counts up to 100 of each board, and says + if "
      "there is more. With --names the focal points have their names and how to reach them, of the offices "
      "whose names this node may read.\n\n"
      "Examples:\n"
      "  vigil board\n"
      "  vigil board actions\n"
      "  vigil board consent-expiry --limit 20\n"
      "  vigil board focal-points --names\n"
      "  vigil --json board readiness\n",
      run_board },
};

const struct noun board_noun = { "board", "Show the standing views", verbs, 1 };
