/* erase.c - `vigil erase`: destroy a record for good, on every node, and see which of them have confirmed it. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_BYTES = 128 };

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

/* What people call the record: its number, or else the beginning of its id. */
static void
name_of(const json_t *object, char out[ANSWER_BYTES])
{
    const char *number = text_of(object, "number");

    if (number[0] != '\0') {
        (void)snprintf(out, ANSWER_BYTES, "%s", number);
    } else {
        (void)snprintf(out, ANSWER_BYTES, "%.12s", text_of(object, "record"));
    }
}

static void
print_line(FILE *to, const char *label, const json_t *value)
{
    char *text = output_value(value);

    if (text != NULL && text[0] != '\0') {
        output_printf(to, "%-13s %s\n", label, text);
    }
    free(text);
}

static void
print_signers(FILE *to, const json_t *signers)
{
    size_t index;
    json_t *signer;

    json_array_foreach((json_t *)signers, index, signer)
    {
        output_printf(to, "%-13s %s of %s\n", "Signed by", text_of(signer, "name"),
                      text_of(signer, "office"));
    }
}

/* --- order ------------------------------------------------------------------- */

static void
print_plan(FILE *to, const json_t *plan, const char *name)
{
    json_int_t needed = json_integer_value(json_object_get(plan, "needed"));
    bool second = json_is_true(json_object_get(plan, "second"));

    output_printf(to, "%s, %s\n", name, text_of(plan, "kind"));
    print_line(to, "Held in", json_object_get(plan, "compartments"));
    output_printf(to, "%-13s %lld\n", "Devices",
                  (long long)json_integer_value(json_object_get(plan, "devices")));
    print_signers(to, json_object_get(plan, "signers"));
    if (second) {
        output_printf(to, "This is the second signature: it is then erased everywhere, for good.\n");
    } else if (needed > 1) {
        output_printf(to,
                      "Until a device of another office signs too, it is restricted: hidden everywhere, and "
                      "not destroyed.\n");
    } else {
        output_printf(to, "One signature is enough here: it is then erased everywhere, for good.\n");
    }
}

/* Show a person what is to be erased, and have its name typed. */
static bool
is_meant(const json_t *plan, const char *name, struct client_fault *fault_out)
{
    char answer[ANSWER_BYTES];

    if (!isatty(STDIN_FILENO)) {
        return fault_set(fault_out, "usage", "say --yes where nobody can be asked",
                         "erasing is confirmed at a terminal");
    }
    (void)fflush(stdout);
    print_plan(stderr, plan, name);
    output_printf(stderr, "Type %s to go on: ", name);
    (void)fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) == NULL) {
        answer[0] = '\0';
    }
    answer[strcspn(answer, "\n")] = '\0';
    return strcmp(answer, name) == 0 ||
           fault_set(fault_out, "usage", "type it exactly, or let it be", "what was typed is not %s", name);
}

static enum exit_status
give_order(struct command *command, json_t *request, const char *name)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot order the erasure of %s", name);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    }
    const char *order = text_of(ok, "order");
    bool stands =
        json_is_true(json_object_get(ok, "second")) || json_integer_value(json_object_get(ok, "needed")) <= 1;
    if (stands) {
        command_say(command, "%s is erased. Which devices have confirmed it: vigil erase report %.12s\n",
                    name, order);
    } else {
        command_say(command,
                    "%s is restricted, and order %.12s waits for a device of another office:\n"
                    "  vigil erase list             shows it there\n"
                    "  vigil erase order RECORD     signs it\n",
                    name, order);
    }
    json_decref(ok);
    return STATUS_DONE;
}

static enum exit_status
run_order(struct command *command)
{
    const char *reason = args_value(command, OPT_REASON);
    const char *record = command->words[0];
    struct client_fault fault;
    char name[ANSWER_BYTES];
    json_t *plan = NULL;
    long actor;

    if (reason == NULL) {
        (void)fault_set(&fault, "usage",
                        "consent_withdrawn, erasure_requested, safety, legal, under_review or other",
                        "--reason is missing");
        return command_fail(command, &fault, "nothing was done");
    }
    if (!args_number(command, OPT_ACTOR, 0, UINT32_MAX, 0, &actor, &fault) ||
        !command_ask(command, json_pack("{s:s, s:s}", "do", "erase.plan", "record", record), &plan, &fault)) {
        return command_fail(command, &fault, "cannot order the erasure of %s", record);
    }
    name_of(plan, name);
    bool shown = args_has(command, OPT_DRY_RUN);
    enum exit_status status = STATUS_DONE;
    if (shown && command->out.json) {
        output_json(command->out.to, plan);
    } else if (shown) {
        print_plan(command->out.to, plan, name);
    } else if (!args_has(command, OPT_YES) && !is_meant(plan, name, &fault)) {
        status = command_fail(command, &fault, "nothing was erased");
    } else {
        status = give_order(command,
                            json_pack("{s:s, s:s, s:s, s:I}", "do", "erase.order", "record", record, "reason",
                                      reason, "actor", (json_int_t)actor),
                            name);
    }
    json_decref(plan);
    return status;
}

/* --- list and status --------------------------------------------------------- */

/* A row for people: short names, and signatures as "1 of 2". */
static json_t *
list_row(const json_t *order)
{
    const json_t *here = json_object_get(order, "here");
    char id[16];
    char signatures[32];
    char name[ANSWER_BYTES];

    (void)snprintf(id, sizeof id, "%.12s", text_of(order, "order"));
    (void)snprintf(signatures, sizeof signatures, "%lld of %lld",
                   (long long)json_integer_value(json_object_get(order, "signed")),
                   (long long)json_integer_value(json_object_get(order, "needed")));
    name_of(order, name);
    return json_pack("{s:s, s:s, s:s, s:s, s:O*, s:O*, s:O*, s:O*, s:O*}", "order", id, "state",
                     text_of(order, "state"), "signed", signatures, "record", name, "here",
                     json_object_get(here, "state"), "erased", json_object_get(here, "erased"), "unread",
                     json_object_get(here, "unread"), "late", json_object_get(here, "late"), "compartments",
                     json_object_get(order, "compartments"));
}

static enum exit_status
print_orders(struct command *command, const json_t *orders, const struct output_column *columns,
             size_t column_count)
{
    json_t *rows = json_array();
    size_t index;
    json_t *order;

    json_array_foreach((json_t *)orders, index, order)
    {
        (void)json_array_append_new(rows, command->out.json ? json_incref(order) : list_row(order));
    }
    enum exit_status status = STATUS_DONE;
    if (command->out.json) {
        json_array_foreach(rows, index, order)
        {
            output_json(command->out.to, order);
        }
    } else {
        status = command_table(command, columns, column_count, rows);
    }
    json_decref(rows);
    return status;
}

static bool
ask_list(struct command *command, json_t **ok_out, struct client_fault *fault_out)
{
    return command_ask(command, json_pack("{s:s}", "do", "erase.list"), ok_out, fault_out);
}

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column columns[] = {
        { "order", 0 },  { "state", COLUMN_STATE },      { "signed", 0 },
        { "record", 0 }, { "compartments", COLUMN_CUT },
    };
    struct client_fault fault;
    json_t *ok = NULL;

    if (!ask_list(command, &ok, &fault)) {
        return command_fail(command, &fault, "cannot list the orders");
    }
    enum exit_status status =
        print_orders(command, json_object_get(ok, "orders"), columns, sizeof columns / sizeof columns[0]);
    json_decref(ok);
    return status;
}

static enum exit_status
run_status(struct command *command)
{
    static const struct output_column columns[] = {
        { "order", 0 },
        { "state", COLUMN_STATE },
        { "here", 0 },
        { "erased", COLUMN_RIGHT },
        { "unread", COLUMN_RIGHT },
        { "late", COLUMN_RIGHT },
    };
    struct client_fault fault;
    json_t *ok = NULL;

    if (!ask_list(command, &ok, &fault)) {
        return command_fail(command, &fault, "cannot see how far erasures are");
    }
    bool busy =
        json_is_true(json_object_get(ok, "scanning")) || json_is_true(json_object_get(ok, "rewriting_due"));
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        json_int_t needs = json_integer_value(json_object_get(ok, "rewriting_needs"));

        (void)print_orders(command, json_object_get(ok, "orders"), columns,
                           sizeof columns / sizeof columns[0]);
        if (needs > 0) {
            output_printf(
                command->out.to,
                "Old bytes lie in free pages until the files are rewritten, which needs %lld MiB of "
                "free disk.\n",
                (long long)(needs + (1 << 20) - 1) >> 20);
        } else if (busy) {
            output_printf(command->out.to, "An erasure is under way.\n");
        }
    }
    json_decref(ok);
    return busy && args_has(command, OPT_CHECK) ? STATUS_FINDINGS : STATUS_DONE;
}

/* --- report ------------------------------------------------------------------ */

static json_t *
report_row(const json_t *holder)
{
    const json_t *device = json_object_get(holder, "device");
    bool revoked = json_is_true(json_object_get(holder, "revoked"));
    bool by_bundle = json_is_true(json_object_get(holder, "by_bundle"));

    return json_pack("{s:O*, s:O*, s:O*, s:O*, s:O*, s:O*, s:O*, s:s}", "device",
                     json_object_get(device, "name"), "office", json_object_get(device, "office"), "state",
                     json_object_get(holder, "state"), "at", json_object_get(holder, "at"), "last_contact",
                     json_object_get(holder, "last_contact"), "late", json_object_get(holder, "late"),
                     "unread", json_object_get(holder, "unread"), "notes",
                     revoked && by_bundle ? "revoked, contact by bundle"
                     : revoked            ? "revoked"
                     : by_bundle          ? "contact by bundle"
                                          : "");
}

static enum exit_status
print_report(struct command *command, const json_t *report)
{
    static const struct output_column columns[] = {
        { "device", COLUMN_CUT },        { "office", 0 },
        { "state", COLUMN_STATE },       { "at", COLUMN_TIME },
        { "last_contact", COLUMN_TIME }, { "late", COLUMN_RIGHT },
        { "unread", COLUMN_RIGHT },      { "notes", 0 },
    };
    FILE *to = command->out.to;
    json_t *rows = json_array();
    size_t index;
    json_t *holder;

    output_printf(to, "Order %s %s\n", text_of(report, "order"),
                  strcmp(text_of(report, "state"), "stands") == 0 ? "stands"
                                                                  : "waits for a second signature");
    print_line(to, "Compartments", json_object_get(report, "compartments"));
    print_signers(to, json_object_get(report, "signers"));
    output_printf(to, "%lld confirmed, %lld missing\n\n",
                  (long long)json_integer_value(json_object_get(report, "confirmed")),
                  (long long)json_integer_value(json_object_get(report, "missing")));
    json_array_foreach(json_object_get(report, "devices"), index, holder)
    {
        (void)json_array_append_new(rows, report_row(holder));
    }
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    json_decref(rows);
    return status;
}

static enum exit_status
run_report(struct command *command)
{
    struct client_fault fault;
    enum exit_status status = STATUS_DONE;
    json_t *ok = NULL;
    json_t *request = json_pack("{s:s}", "do", "erase.report");

    if (command->word_count > 0) {
        (void)json_object_set_new(request, "order", json_string(command->words[0]));
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot report on an erasure");
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_report(command, ok);
    }
    if (status == STATUS_DONE && args_has(command, OPT_CHECK) &&
        json_integer_value(json_object_get(ok, "missing")) > 0) {
        status = STATUS_FINDINGS;
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { "order", "RECORD", 1, 1, OPTION(REASON) | OPTION(YES) | OPTION(DRY_RUN),
      "Order that a record be destroyed on every node, or sign such an order",
      "It takes two devices of two offices, each with admin in every compartment that holds a half of the "
      "record. Until the second has signed, the record is restricted: hidden everywhere and not destroyed, "
      "and whoever removes the restriction shows it again. After that there is no undo: what comes "
      "late is refused, on nodes that were away for years as well.\n\n"
      "You are asked to type the record's number; --yes stands for that. With --dry-run it is only shown "
      "what would be erased. Reasons: consent_withdrawn, erasure_requested, safety, legal, "
      "under_review, other.\n\n"
      "Example:\n"
      "  vigil erase order KEN-2026-0042 --reason consent_withdrawn\n",
      run_order },
    { "list", NULL, 0, 0, 0, "List all orders, and which record one that waits would erase",
      "Of an order that stands nothing is known any more but its name.\n\n"
      "Example:\n"
      "  vigil erase list\n",
      run_list },
    { "status", NULL, 0, 0, OPTION(CHECK), "Show how far this node is with each order",
      "Here: none (not begun), scanning (its entries are looked for), closed (no payload and no key is left "
      "in use; the files are to be rewritten), done. Late counts copies that came afterwards and were "
      "refused; unread, damaged entries of which nobody can say whether they were of the record. With "
      "--check it ends with 6 while something is under way.\n\n"
      "Example:\n"
      "  vigil erase status\n",
      run_status },
    { "report", "[ORDER]", 0, 1, OPTION(CHECK), "Show which devices have confirmed an order, and which not",
      "Every device that may hold the record, with the time of its signed receipt, or its last contact: over "
      "a line, or when it made the last bundle that came from it. An order goes by its id or at least six "
      "digits of it; the only one need not be named. With --check it "
      "ends with 6 while one is missing.\n\n"
      "Examples:\n"
      "  vigil erase report 3f09a1c2\n"
      "  vigil --json erase report | jq -r '.devices[] | select(.state == \"missing\") | .device.name'\n",
      run_report },
};

const struct noun erase_noun = { "erase", "Destroy a record for good, and see who has confirmed it", verbs,
                                 sizeof verbs / sizeof verbs[0] };
