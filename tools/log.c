/* log.c - `vigil log`: what the node logged last, and what it logs now. */
#include "tools/command.h"

#include <stdlib.h>

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000 };

static const struct output_column columns[] = {
    { "place", COLUMN_HIDE }, { "time", 0 }, { "level", COLUMN_STATE },
    { "event", 0 },           { "peer", 0 }, { "text", COLUMN_CUT },
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

/* One event as people read it while they wait: a table would be as wide as the widest that has come so far. */
static enum exit_status
show_event(const struct command *command, json_t *event)
{
    if (command->out.json) {
        json_t *rows = json_pack("[O]", event);
        enum exit_status status = command_table(command, columns, COLUMN_COUNT, rows);

        json_decref(rows);
        (void)fflush(command->out.to);
        return status;
    }
    output_printf(command->out.to, "%s  %-7s  %s  %s\n", json_string_value(json_object_get(event, "time")),
                  json_string_value(json_object_get(event, "level")),
                  json_string_value(json_object_get(event, "event")),
                  json_string_value(json_object_get(event, "text")));
    (void)fflush(command->out.to);
    return STATUS_DONE;
}

/* NULL: no memory. */
static json_t *
new_request(const struct command *command, const char *call)
{
    json_t *request = json_pack("{s:s}", "do", call);
    const char *level = args_value(command, OPT_LEAST);

    if (level != NULL) {
        (void)json_object_set_new(request, "level", json_string(level));
    }
    return request;
}

static enum exit_status
follow(struct command *command, json_int_t after)
{
    struct client_fault fault;
    int64_t id = 0;
    json_t *request = new_request(command, "log.watch");
    enum exit_status status = STATUS_DONE;

    (void)json_object_set_new(request, "after", json_integer(after));
    if (client_send(command->client, request, command->wait_ms, &id, &fault) != ERR_OK) {
        return command_fail(command, &fault, "cannot follow the log");
    }
    while (status == STATUS_DONE) {
        struct client_answer answer = { 0 };

        if (client_receive(command->client, -1, &answer, &fault) != ERR_OK) {
            return command_fail(command, &fault, "cannot follow the log any longer");
        }
        status = answer.event != NULL ? show_event(command, answer.event)
                 : answer.ok == NULL  ? command_fail(command, &answer.fault, "cannot follow the log")
                                      : STATUS_DONE;
        client_answer_free(&answer);
    }
    return status;
}

static enum exit_status
run_log(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;
    long limit;
    const char *since = args_value(command, OPT_SINCE);

    if (!args_number(command, OPT_LIMIT, 1, LIMIT_MAX, LIMIT_DEFAULT, &limit, &fault)) {
        return command_fail(command, &fault, "nothing was asked");
    }
    json_t *request = new_request(command, "log.list");
    (void)json_object_set_new(request, "count", json_integer(limit));
    if (since != NULL) {
        (void)json_object_set_new(request, "since", json_string(since));
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot show the log");
    }
    json_t *events = json_object_get(ok, "events");
    enum exit_status status = STATUS_DONE;
    if (args_has(command, OPT_FOLLOW)) {
        size_t index;
        json_t *event;

        json_array_foreach(events, index, event)
        {
            status = status == STATUS_DONE ? show_event(command, event) : status;
        }
        status =
            status == STATUS_DONE ? follow(command, json_integer_value(json_object_get(ok, "last"))) : status;
    } else {
        status = command_table(command, columns, COLUMN_COUNT, events);
        if (json_array_size(events) == 0) {
            command_remark(command, "nothing was logged that is wanted\n");
        }
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { NULL, NULL, 0, 0, OPTION(FOLLOW) | OPTION(SINCE) | OPTION(LIMIT) | OPTION(LEAST),
      "Show what the node logged last",
      "The node keeps its last 1,000 events in memory, for who looks after it: operators and headquarters. "
      "They name devices, logs and files by the beginnings of their ids, and never what a case says. Without "
      "--limit the last 100 are shown. What is logged at all is said by log_level in node.conf; on a machine "
      "with systemd journalctl -u vigild has all of it.\n\n"
      "Examples:\n"
      "  vigil log\n"
      "  vigil log --least warning --since 2026-03-01\n"
      "  vigil log --follow --limit 10\n",
      run_log },
};

const struct noun log_noun = { "log", "Show what the node logged last", verbs,
                               sizeof verbs / sizeof verbs[0] };
