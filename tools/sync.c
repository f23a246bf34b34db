/* sync.c - `vigil sync`: how far this node and its peers are. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct output_column columns[] = {
    { "name", 0 },
    { "state", COLUMN_STATE },
    { "stored", COLUMN_RIGHT | COLUMN_PERCENT },
    { "visible", COLUMN_RIGHT | COLUMN_PERCENT },
    { "complete", 0 },
    { "waiting_in", COLUMN_RIGHT },
    { "waiting_out", COLUMN_RIGHT },
    { "last_contact", COLUMN_TIME },
    { "error", COLUMN_CUT },
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

static int64_t
now_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A peer as one line of JSON has it: its device is an id. */
static json_t *
flat_peer(const json_t *peer)
{
    static const char *const keys[] = { "name",       "device",      "state",        "stored",
                                        "visible",    "complete",    "last_contact", "error",
                                        "waiting_in", "waiting_out", "compartments" };
    json_t *row = json_object();

    for (size_t n = 0; n < sizeof keys / sizeof keys[0]; n++) {
        json_t *value = json_object_get(peer, keys[n]);
        if (json_is_object(value)) {
            value = json_object_get(value, "id");
        }
        (void)json_object_set_new(row, keys[n], value == NULL ? json_null() : json_incref(value));
    }
    return row;
}

static json_t *
flat_peers(const json_t *peers)
{
    json_t *rows = json_array();
    size_t index;
    json_t *peer;

    json_array_foreach(peers, index, peer)
    {
        (void)json_array_append_new(rows, flat_peer(peer));
    }
    return rows;
}

/* True if there are peers and each is complete. */
static bool
all_complete(const json_t *rows)
{
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row)
    {
        if (!json_is_true(json_object_get(row, "complete"))) {
            return false;
        }
    }
    return json_array_size(rows) > 0;
}

static bool
fetch(struct command *command, json_t **rows_out, struct client_fault *fault)
{
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "sync.status"), &ok, fault)) {
        return false;
    }
    *rows_out = flat_peers(json_object_get(ok, "peers"));
    json_decref(ok);
    return true;
}

static enum exit_status
run_status(struct command *command)
{
    struct client_fault fault;
    json_t *rows = NULL;

    if (!fetch(command, &rows, &fault)) {
        return command_fail(command, &fault, "cannot show how far the peers are");
    }
    enum exit_status status = command_table(command, columns, COLUMN_COUNT, rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "this node has no peer yet: vigil peer add --help shows how to name one\n");
    }
    if (status == STATUS_DONE && args_has(command, OPT_CHECK) && !all_complete(rows)) {
        status = STATUS_FINDINGS;
    }
    json_decref(rows);
    return status;
}

static enum exit_status
run_now(struct command *command)
{
    return command_ask_peers(command, "sync.now", "no peer is connected",
                             "vigil sync watch shows what comes");
}

/* Put what an event says of a peer into its row, or add it. */
static void
update_row(json_t *rows, json_t *row)
{
    size_t index;
    json_t *here;

    json_array_foreach(rows, index, here)
    {
        if (json_equal(json_object_get(here, "device"), json_object_get(row, "device"))) {
            (void)json_array_set(rows, index, row);
            return;
        }
    }
    (void)json_array_append(rows, row);
}

/* The whole table anew on a terminal; elsewhere what changed. */
static enum exit_status
show_rows(const struct command *command, const json_t *rows, json_t *changed)
{
    if (command->out.terminal && !command->out.json) {
        (void)fputs("\033[H\033[J", command->out.to);
        enum exit_status status = command_table(command, columns, COLUMN_COUNT, rows);
        (void)fflush(command->out.to);
        return status;
    }
    json_t *one = changed == NULL ? json_incref((json_t *)rows) : json_pack("[O]", changed);
    enum exit_status status = command_table(command, columns, COLUMN_COUNT, one);
    json_decref(one);
    (void)fflush(command->out.to);
    return status;
}

/* What a watch knows. */
struct watch {
    int64_t status_id; /* of the request for how things are, sent after that for events: none is missed */
    json_t *rows;      /* NULL until that is answered */
};

static bool
take_line(struct command *command, struct watch *watch, const struct client_answer *answer,
          enum exit_status *status_out)
{
    if (answer->id == watch->status_id && answer->ok != NULL) {
        watch->rows = flat_peers(json_object_get(answer->ok, "peers"));
        *status_out = show_rows(command, watch->rows, NULL);
        return true;
    }
    if (answer->ok == NULL && answer->event == NULL) {
        *status_out = command_fail(command, &answer->fault, "cannot watch the peers");
        return false;
    }
    /* An event before the answer is older than it. */
    if (answer->event != NULL && watch->rows != NULL) {
        json_t *row = flat_peer(answer->event);
        update_row(watch->rows, row);
        *status_out = show_rows(command, watch->rows, row);
        json_decref(row);
    }
    return true;
}

/* Wait for one line and show what it says. False: it is over, for the reason in `status_out`. */
static bool
watch_once(struct command *command, struct watch *watch, int wait_ms, enum exit_status *status_out)
{
    struct client_answer answer = { 0 };
    struct client_fault fault;

    enum err err = client_receive(command->client, wait_ms, &answer, &fault);
    if (err == ERR_BUSY && watch->rows != NULL) {
        (void)fault_set(&fault, err_code(ERR_BUSY), "vigil sync status shows what is missing",
                        "a peer is away, or there is more to come");
        *status_out = command_fail(command, &fault, "not every peer was complete in time");
        return false;
    }
    if (err != ERR_OK) {
        *status_out = command_fail(command, &fault, "cannot watch the peers any longer");
        return false;
    }
    bool more = take_line(command, watch, &answer, status_out);
    client_answer_free(&answer);
    return more && *status_out == STATUS_DONE;
}

static enum exit_status
run_watch(struct command *command)
{
    bool until = args_has(command, OPT_UNTIL_COMPLETE);
    bool limited = until && args_has(command, OPT_TIMEOUT);
    int64_t end = now_ms() + command->wait_ms;
    enum exit_status status = STATUS_DONE;
    struct watch watch = { 0 };
    struct client_fault fault;
    int64_t watch_id = 0;

    if (!command_connect(command, &fault) ||
        client_send(command->client, json_pack("{s:s}", "do", "sync.watch"), command->wait_ms, &watch_id,
                    &fault) != ERR_OK ||
        client_send(command->client, json_pack("{s:s}", "do", "sync.status"), command->wait_ms,
                    &watch.status_id, &fault) != ERR_OK) {
        return command_fail(command, &fault, "cannot watch the peers");
    }
    bool remarked = false;
    while (!(until && watch.rows != NULL && all_complete(watch.rows))) {
        int64_t left = end - now_ms();
        bool endless = watch.rows != NULL && !limited;
        if (!watch_once(command, &watch, endless ? -1 : (int)(left > 0 ? left : 0), &status)) {
            break;
        }
        if (!remarked && watch.rows != NULL && json_array_size(watch.rows) == 0) {
            command_remark(command, "this node has no peer yet; waiting for one, Ctrl-C ends it\n");
            remarked = true;
        }
    }
    json_decref(watch.rows);
    return status;
}

#define ABOUT_SHARES                                                                                         \
    "stored: the share of what this node holds that the peer has on its disk. visible: the share that "      \
    "can be read and found there. complete: both compared what they hold, and neither lacks anything. "      \
    "Shares are rounded down, so 100.0 % means all. Of a peer that is away this tells what it had when "     \
    "it went.\n\n"

static int64_t
member(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static enum exit_status
run_budget(struct command *command)
{
    static const struct output_column budgets[] = {
        { "name", 0 },
        { "profile", 0 },
        { "allowance", COLUMN_STATE },
        { "day_used", COLUMN_RIGHT },
        { "day_limit", COLUMN_RIGHT },
        { "month_used", COLUMN_RIGHT },
        { "month_limit", COLUMN_RIGHT },
        { "next", COLUMN_RIGHT },
        { "waiting_in", COLUMN_RIGHT },
        { "waiting_out", COLUMN_RIGHT },
        { "pulled", COLUMN_RIGHT },
        { "opens", COLUMN_TIME },
        { "last_ending", COLUMN_CUT },
    };
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "sync.budget"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot tell what the lines cost");
    }
    const json_t *rows = json_object_get(ok, "peers");
    enum exit_status status = command_table(command, budgets, sizeof budgets / sizeof budgets[0], rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "this node has no peer yet: vigil peer add --help shows how to name one\n");
    }
    const json_t *texts = json_object_get(ok, "texts");
    int64_t left = member(texts, "count") - member(texts, "asked");
    if (left > 0) {
        command_remark(command, "%lld long %s not come; vigil sync fetch asks for what is missing\n",
                       (long long)left, left == 1 ? "text has" : "texts have");
    }
    json_decref(ok);
    return status;
}

static enum exit_status
run_fetch(struct command *command)
{
    struct client_fault fault;
    json_t *request = json_pack("{s:s}", "do", "sync.fetch");
    json_t *ok = NULL;

    if (command->word_count > 0) {
        (void)json_object_set_new(request, "record", json_string(command->words[0]));
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot ask for what is missing");
    }
    int64_t count = member(ok, "count");
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else if (count == 0) {
        (void)fprintf(command->out.to, "nothing is missing\n");
    } else {
        (void)fprintf(command->out.to,
                      "%lld long %s asked for, %lld bytes; vigil sync watch shows what comes\n",
                      (long long)count, count == 1 ? "text is" : "texts are", (long long)member(ok, "bytes"));
    }
    json_decref(ok);
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { "budget", NULL, 0, 0, 0, "Show what each line has cost, what it may, and what waits",
      "Bytes are counted both ways, with what carries them, by days and months in UTC. allowance: open; "
      "urgent news alone, once four fifths of a budget are used; spent, until the time under opens. next: "
      "seconds until the next session of a line that does not stand. pulled: entries that went before "
      "others since the node began: somebody made their record urgent. last_ending: how the last session "
      "ended.\n"
      "vigil peer set says how a line is used.\n",
      run_budget },
    { "fetch", "[RECORD]", 0, 1, 0, "Ask for long texts that were left for later",
      "On a metered line the header of a long text comes, and the text itself when somebody asks for it: of "
      "one "
      "record, or of all. It comes in the next session, as the budget of the line allows.\n",
      run_fetch },
    { "now", "[PEER]", 0, 1, 0, "Ask the peers for what is new, at once",
      "Ends with 75 if nobody is connected.\n", run_now },
    { "status", NULL, 0, 0, OPTION(CHECK), "Show how far each peer is",
      ABOUT_SHARES "Examples:\n"
                   "  vigil sync status\n"
                   "  vigil sync status --check     ends with 6 unless every peer is complete\n",
      run_status },
    { "watch", NULL, 0, 0, OPTION(UNTIL_COMPLETE), "Show it and go on showing what changes",
      ABOUT_SHARES
      "Examples:\n"
      "  vigil sync watch\n"
      "  vigil sync watch --until-complete --timeout 300\n\n"
      "With --until-complete and --timeout it ends with 75 if the time is over before. Otherwise "
      "it ends when it is interrupted.\n",
      run_watch },
};

const struct noun sync_noun = { "sync", "See how far this node and its peers are", verbs,
                                sizeof verbs / sizeof verbs[0] };
