/* offices.c - `vigil offices`: how far this node is with each office, and what it holds of whom. */
#include "tools/command.h"

#include "store/base/bytes.h"

#include <stdlib.h>

static json_int_t
number(const json_t *of, const char *name)
{
    return json_integer_value(json_object_get(of, name));
}

/* Is there something of this office to look at? */
static bool
is_well(const json_t *row)
{
    return number(row, "to_receive") + number(row, "conflicts") + number(row, "urgent") +
               number(row, "receipts_missing") ==
           0;
}

static bool
all_well(const json_t *rows)
{
    size_t index;
    json_t *row;

    json_array_foreach((json_t *)rows, index, row)
    {
        if (!is_well(row)) {
            return false;
        }
    }
    return true;
}

/* --- All offices -------------------------------------------------------------- */

static enum exit_status
print_offices(const struct command *command, json_t *rows)
{
    static const struct output_column columns[] = {
        { "office", 0 },
        { "name", COLUMN_CUT },
        { "devices", COLUMN_RIGHT },
        { "last_contact", COLUMN_TIME },
        { "lag", COLUMN_RIGHT },
        { "stored", COLUMN_RIGHT | COLUMN_PERCENT },
        { "visible", COLUMN_RIGHT | COLUMN_PERCENT },
        { "to_receive", COLUMN_RIGHT },
        { "conflicts", COLUMN_RIGHT },
        { "urgent", COLUMN_RIGHT },
        { "receipts_missing", COLUMN_RIGHT },
    };
    size_t index;
    json_t *row;

    if (command->out.json) {
        json_array_foreach(rows, index, row)
        {
            output_json(command->out.to, row);
        }
        return STATUS_DONE;
    }
    json_array_foreach(rows, index, row)
    {
        char lag[32] = "";

        if (json_is_integer(json_object_get(row, "silent_s"))) {
            output_span(lag, number(row, "silent_s"));
        }
        (void)json_object_set_new(row, "lag",
                                  json_string(json_is_true(json_object_get(row, "own")) ? "" : lag));
    }
    return command_table(command, columns, sizeof columns / sizeof columns[0], rows);
}

/* --- One, by its authors ------------------------------------------------------- */

/* "42 to 57, 2 long texts": what is known to be missing of a log; "": nothing. */
static json_t *
missing_json(const json_t *log)
{
    struct buf words = { 0 };
    json_int_t first = json_is_integer(json_object_get(log, "up_to")) ? number(log, "up_to") + 1 : 0;
    json_int_t to_come = number(log, "to_come");

    if (to_come > 0) {
        buf_printf(&words, "%lld to %lld", (long long)first, (long long)(first + to_come - 1));
    }
    if (number(log, "texts") > 0) {
        buf_printf(&words, "%s%lld long texts", words.size > 0 ? ", " : "", (long long)number(log, "texts"));
    }
    if (number(log, "unread") > 0) {
        buf_printf(&words, "%s%lld wait for a key or an upgrade", words.size > 0 ? ", " : "",
                   (long long)number(log, "unread"));
    }
    if (json_is_true(json_object_get(log, "damaged"))) {
        buf_printf(&words, "%ssome cannot be read: vigil doctor", words.size > 0 ? ", " : "");
    }
    json_t *json = words.size == 0 ? json_string("") : json_stringn((const char *)words.data, words.size);
    buf_free(&words);
    return json;
}

static json_t *
log_rows(const json_t *authors)
{
    json_t *rows = json_array();
    size_t index;
    json_t *author;

    json_array_foreach((json_t *)authors, index, author)
    {
        size_t place;
        json_t *log;

        json_array_foreach(json_object_get(author, "logs"), place, log)
        {
            (void)json_object_set_new(log, "missing", missing_json(log));
            (void)json_object_set(log, "author", json_object_get(author, "device"));
            (void)json_array_append(rows, log);
        }
    }
    return rows;
}

static enum exit_status
print_authors(const struct command *command, const json_t *ok)
{
    static const struct output_column columns[] = {
        { "author", 0 },           { "compartment", 0 },      { "lane", COLUMN_RIGHT },
        { "up_to", COLUMN_RIGHT }, { "missing", COLUMN_CUT }, { "held", COLUMN_RIGHT },
    };
    const json_t *authors = json_object_get(ok, "authors");
    size_t index;
    json_t *author;

    json_t *rows = log_rows(authors);
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    json_array_foreach((json_t *)authors, index, author)
    {
        char *name = json_array_size(json_object_get(author, "logs")) > 0
                         ? NULL
                         : output_value(json_object_get(author, "device"));

        if (name != NULL) {
            command_remark(command, "of %s nothing is here\n", name);
        }
        free(name);
    }
    json_int_t to_come = number(json_array_get(json_object_get(ok, "offices"), 0), "to_receive");
    if (to_come > 0) {
        command_remark(command, "%lld entries of this office are still to come, as far as peers told\n",
                       (long long)to_come);
    }
    json_decref(rows);
    return status;
}

/* --- The verb ------------------------------------------------------------------ */

static enum exit_status
run_offices(struct command *command)
{
    const char *office = command->word_count > 0 ? command->words[0] : NULL;
    json_t *request = json_pack("{s:s}", "do", "offices");
    struct client_fault fault;
    json_t *ok = NULL;

    if (office != NULL && json_object_set_new(request, "office", json_string(office)) != 0) {
        json_decref(request);
        (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        return command_fail(command, &fault, "nothing was done");
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot show the offices");
    }
    json_t *rows = json_object_get(ok, "offices");
    bool well = all_well(rows);
    enum exit_status status = STATUS_DONE;
    if (office == NULL) {
        status = print_offices(command, rows);
    } else if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_authors(command, ok);
    }
    json_decref(ok);
    return status == STATUS_DONE && args_has(command, OPT_CHECK) && !well ? STATUS_FINDINGS : status;
}

static const struct verb verbs[] = {
    { NULL, "[OFFICE]", 0, 1, OPTION(CHECK), "Show how far this node is with each office",
      "last_contact: when one of its devices was last heard of, over a line or by a bundle; lag: how long "
      "ago. stored: "
      "the share that is on this disk of all that is known of it; visible: the share that can be read and "
      "found "
      "here. urgent: emergencies (U1) that nobody acknowledged. receipts_missing: of each order to erase, "
      "the "
      "devices that have not confirmed it.\n"
      "With OFFICE a row for each log of its devices: everything that was signed up to this number is here, "
      "and what "
      "is known to be missing. Nobody knows of what no peer has told.\n\n"
      "Examples:\n"
      "  vigil offices\n"
      "  vigil offices KEN\n"
      "  vigil offices --check     ends with 6 if something is to come, in conflict, urgent or not "
      "confirmed\n",
      run_offices },
};

const struct noun offices_noun = { "offices", "See how far this node is with each office", verbs, 1 };
