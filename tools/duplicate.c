/* duplicate.c - `vigil duplicate`: records that may be of one person or one case, for people to decide. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_ROWS = 500, LIMIT_DEFAULT = 50 };

/* --- Listing ----------------------------------------------------------------- */

/* What to ask for; of one record with the names that matched. NULL, and `fault`: it is not UTF-8. */
static json_t *
list_request(const struct command *command, struct client_fault *fault)
{
    const char *kind = args_value(command, OPT_KIND);
    bool one = command->word_count > 0;
    json_t *request =
        json_pack("{s:s,s:b,s:b}", "do", "duplicate.list", "all", args_has(command, OPT_ALL), "names", one);

    if ((one && json_object_set_new(request, "record", json_string(command->words[0])) != 0) ||
        (kind != NULL && json_object_set_new(request, "kind", json_string(kind)) != 0)) {
        (void)fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        json_decref(request);
        return NULL;
    }
    return request;
}

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static const char *
name_of(const json_t *side)
{
    const char *number = text_of(side, "number");

    return number[0] == '\0' ? text_of(side, "id") : number;
}

/* "name_whole +50, gender_same +5": reasons as they fit into a table. */
static json_t *
short_reasons(const json_t *reasons)
{
    json_t *text = json_string("");
    size_t index;
    json_t *reason;

    json_array_foreach(reasons, index, reason)
    {
        json_t *longer = json_sprintf("%s%s%s %+lld", json_string_value(text), index == 0 ? "" : ", ",
                                      text_of(reason, "reason"),
                                      (long long)json_integer_value(json_object_get(reason, "points")));
        json_decref(text);
        text = longer;
    }
    return text;
}

static enum exit_status
print_table(struct command *command, const json_t *pairs)
{
    static const struct output_column columns[] = {
        { "score", COLUMN_RIGHT }, { "state", 0 }, { "kind", 0 },     { "a", 0 },
        { "a_office", 0 },         { "b", 0 },     { "b_office", 0 }, { "why", COLUMN_CUT },
    };
    json_t *rows = json_array();
    size_t index;
    json_t *pair;

    json_array_foreach(pairs, index, pair)
    {
        const json_t *a = json_object_get(pair, "a");
        const json_t *b = json_object_get(pair, "b");

        (void)json_array_append_new(
            rows, json_pack("{s:O,s:O,s:s,s:s,s:s,s:s,s:s,s:o}", "score", json_object_get(pair, "score"),
                            "state", json_object_get(pair, "state"), "kind", text_of(a, "kind"), "a",
                            name_of(a), "a_office", text_of(a, "office"), "b", name_of(b), "b_office",
                            text_of(b, "office"), "why", short_reasons(json_object_get(pair, "reasons"))));
    }
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    json_decref(rows);
    return status;
}

/* The names of one side of which a part matched, on a line of their own. */
static void
print_matched(const struct command *command, const json_t *side)
{
    const json_t *matched = json_object_get(side, "matched");

    if (json_array_size(matched) > 0) {
        char *text = output_value(matched);
        output_printf(command->out.to, "       %s: %s\n", name_of(side), text == NULL ? "" : text);
        free(text);
    }
}

static void
print_pair(const struct command *command, const json_t *pair)
{
    const json_t *a = json_object_get(pair, "a");
    const json_t *b = json_object_get(pair, "b");
    size_t index;
    json_t *reason;

    output_printf(command->out.to, "%3lld  %s of %s, %s of %s: %s\n",
                  (long long)json_integer_value(json_object_get(pair, "score")), name_of(a),
                  text_of(a, "office"), name_of(b), text_of(b, "office"), text_of(pair, "state"));
    json_array_foreach(json_object_get(pair, "reasons"), index, reason)
    {
        output_printf(command->out.to, "     %+4lld  %s\n",
                      (long long)json_integer_value(json_object_get(reason, "points")),
                      text_of(reason, "text"));
    }
    print_matched(command, a);
    print_matched(command, b);
}

static void
remark_on_rest(const struct command *command, const json_t *last, size_t shown)
{
    long long left_off = json_integer_value(json_object_get(last, "left_off"));
    long long left = json_integer_value(json_object_get(last, "left"));
    long long from = json_integer_value(json_object_get(last, "from_points"));
    long long threshold = json_integer_value(json_object_get(last, "threshold"));

    if (shown == 0) {
        command_remark(command, "there is none\n");
    } else if (left_off > 0) {
        command_remark(command, "%lld more, with fewer points: --limit %lld shows them\n", left_off,
                       (long long)shown + left_off);
    }
    if (from > threshold && command->word_count == 0) {
        command_remark(command,
                       "there are so many that only those from %lld points on are listed; name a record to "
                       "see all of it\n",
                       from);
    }
    if (left > 0) {
        command_remark(command, "%lld records and changes are not compared yet: ask again soon\n", left);
    }
}

static enum exit_status
run_list(struct command *command)
{
    struct client_fault fault;
    enum exit_status status = STATUS_DONE;
    json_t *last = NULL;
    long limit = 0;
    size_t index;
    json_t *pair;

    json_t *pairs = json_array();
    json_t *request = list_request(command, &fault);
    bool good = request != NULL &&
                args_number(command, OPT_LIMIT, 1, 100000000, LIMIT_DEFAULT, &limit, &fault) &&
                command_ask_pages(command, request, &(struct command_pages){ "pairs", limit, PAGE_ROWS },
                                  pairs, &last, &fault);
    json_decref(request);
    if (!good) {
        json_decref(last);
        json_decref(pairs);
        return command_fail(command, &fault, "cannot list duplicates");
    }
    if (command->out.json) {
        json_array_foreach(pairs, index, pair)
        {
            output_json(command->out.to, pair);
        }
    } else if (command->word_count == 0) {
        status = print_table(command, pairs);
    } else {
        json_array_foreach(pairs, index, pair)
        {
            print_pair(command, pair);
        }
    }
    remark_on_rest(command, last, json_array_size(pairs));
    json_decref(last);
    json_decref(pairs);
    return status;
}

/* --- Deciding ---------------------------------------------------------------- */

static void
say_state(const struct command *command, const json_t *ok)
{
    const char *a = text_of(ok, "a");
    const char *b = text_of(ok, "b");
    const char *state = text_of(ok, "state");
    size_t index;
    json_t *name;

    if (strcmp(state, "linked") == 0) {
        command_say(command, "%s and %s are linked\n", a, b);
    } else if (strcmp(state, "rejected") == 0) {
        command_say(command, "%s and %s are two\n", a, b);
    } else if (strcmp(state, "disputed") == 0) {
        command_say(command, "%s and %s are disputed: the one says otherwise than the other\n", a, b);
    } else {
        command_say(command, "nothing is said of %s and %s any more\n", a, b);
    }
    json_array_foreach(json_object_get(ok, "not_written"), index, name)
    {
        command_remark(command, "this node may not write in %s: nothing was changed there\n",
                       json_string_value(name));
    }
}

static enum exit_status
say(struct command *command, const char *call)
{
    struct client_fault fault;
    json_t *ok = NULL;
    long actor = 0;

    if (!args_number(command, OPT_ACTOR, 1, 1000000, 0, &actor, &fault)) {
        return command_fail(command, &fault, "nothing was done");
    }
    json_t *request = json_pack("{s:s,s:s,s:s}", "do", call, "a", command->words[0], "b", command->words[1]);
    bool good = request != NULL;
    if (good && command->word_count > 2) {
        good = json_object_set_new(request, "reason", json_string(command->words[2])) == 0;
    }
    if (good && actor > 0) {
        (void)json_object_set_new(request, "actor", json_integer(actor));
    }
    if (!good) {
        json_decref(request);
        (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        return command_fail(command, &fault, "nothing was done");
    }
    if (command_only_shown(command, request)) {
        return STATUS_DONE;
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "nothing was said of %s and %s", command->words[0],
                            command->words[1]);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        say_state(command, ok);
    }
    json_decref(ok);
    return STATUS_DONE;
}

static enum exit_status
run_link(struct command *command)
{
    return say(command, "duplicate.link");
}

static enum exit_status
run_unlink(struct command *command)
{
    return say(command, "duplicate.unlink");
}

static enum exit_status
run_reject(struct command *command)
{
    return say(command, "duplicate.reject");
}

static const struct verb verbs[] = {
    { "list", "[ID]", 0, 1, OPTION(ALL) | OPTION(KIND) | OPTION(LIMIT),
      "List pairs of records that may be one, the likeliest first",
      "Persons are compared by how their names sound, in whatever script they are written, by gender, birth "
      "and "
      "nationality, and by what their cases have in common; cases by their persons, country, time, place and "
      "acts. Each reason has its points, those that speak against it less than 0; pairs of 60 points and "
      "more, of at most 100, are "
      "listed. Of one record the reasons are told in words, with the names that matched where this node may "
      "read "
      "them. disputed: one office says that they are one, another that they are two.\n\n"
      "Examples:\n"
      "  vigil duplicate list\n"
      "  vigil duplicate list --kind person --limit 200\n"
      "  vigil duplicate list KEN-2026-0042\n"
      "  vigil duplicate list --all      with those that are linked or rejected\n",
      run_list },
    { "link", "ID ID", 2, 2, OPTION(ACTOR) | OPTION(DRY_RUN),
      "Say that two records are of one person or case",
      "Each says of the other that it is the same; nothing is moved, merged or lost, and unlink takes it "
      "back. Records that are linked in "
      "a chain are one group, and counted once. Where this node may write in one of the two only, it stands "
      "in "
      "that one.\n\n"
      "Example:\n"
      "  vigil duplicate link KEN-2026-0042 UGA-2026-0007\n",
      run_link },
    { "unlink", "ID ID", 2, 2, OPTION(ACTOR) | OPTION(DRY_RUN), "Take back what was said of two records",
      "They are not linked any more, nor rejected, and are listed again if they are alike.\n\n"
      "Example:\n"
      "  vigil duplicate unlink KEN-2026-0042 UGA-2026-0007\n",
      run_unlink },
    { "reject", "ID ID [REASON]", 2, 3, OPTION(ACTOR) | OPTION(DRY_RUN),
      "Say that two records were looked at, and are two",
      "They are listed no more, in neither office. REASON is namesake, relative, other_particulars, "
      "other_event, later_event, "
      "confirmed_apart or other.\n\n"
      "Example:\n"
      "  vigil duplicate reject KEN-2026-0042 UGA-2026-0007 namesake\n",
      run_reject },
};

const struct noun duplicate_noun = { "duplicate", "Find and link records that are of one person or case",
                                     verbs, sizeof verbs / sizeof verbs[0] };
