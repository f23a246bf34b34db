#include "tools/steps.h"

#include <string.h>
#include <unistd.h>

bool
steps_path(const char *typed, char out[PATH_MAX], struct client_fault *fault)
{
    char here[PATH_MAX] = "";

    if (typed[0] != '/' && getcwd(here, sizeof here) == NULL) {
        return fault_set(fault, err_code(ERR_DENIED), "give the whole path, from / on",
                         "the present folder cannot be told");
    }
    return snprintf(out, PATH_MAX, typed[0] == '/' ? "%s%s" : "%s/%s", here, typed) < PATH_MAX ||
           fault_set(fault, err_code(ERR_INVALID), "give a shorter one", "the path is too long");
}

static bool
shows_progress(const struct command *command)
{
    return !command->out.json && !args_has(command, OPT_QUIET) && isatty(STDERR_FILENO) == 1;
}

static void
show_progress(const struct command *command, const char *stage, const json_t *event)
{
    enum { BAR = 30 };
    json_int_t done = json_integer_value(json_object_get(event, "done"));
    json_int_t all = json_integer_value(json_object_get(event, "all"));
    int part = all > 0 ? (int)(done * BAR / all) : BAR;

    if (shows_progress(command)) {
        part = part < 0 || part > BAR ? BAR : part;
        (void)fprintf(stderr, "\r[%.*s%*s] %s\033[K", part, "##############################", BAR - part, "",
                      strcmp(stage, "checking") == 0  ? "reading it back"
                      : strcmp(stage, "reading") == 0 ? "reading"
                                                      : "writing");
    }
}

/* One answer. True: it is over, and *done_out or `fault` says how. */
static bool
take_event(const struct command *command, const struct client_answer *answer, json_t **done_out,
           struct client_fault *fault)
{
    const char *stage = json_string_value(json_object_get(answer->event, "stage"));

    if (answer->event == NULL) {
        *fault = answer->fault;
        return true;
    }
    if (stage != NULL && strcmp(stage, "failed") == 0) {
        (void)fault_set(fault, json_string_value(json_object_get(answer->event, "code")),
                        json_string_value(json_object_get(answer->event, "hint")), "%s",
                        json_string_value(json_object_get(answer->event, "message")));
        return true;
    }
    if (stage != NULL && strcmp(stage, "done") == 0) {
        *done_out = json_incref(answer->event);
        return true;
    }
    show_progress(command, stage == NULL ? "" : stage, answer->event);
    return false;
}

bool
steps_wait(struct command *command, json_t *request, json_t **done_out, struct client_fault *fault)
{
    int64_t id = 0;
    bool over = false;

    *done_out = NULL;
    if (!command_connect(command, fault)) {
        json_decref(request);
        return false;
    }
    if (client_send(command->client, request, command->wait_ms, &id, fault) != ERR_OK) {
        return false;
    }
    while (!over) {
        struct client_answer answer = { 0 };

        if (client_receive(command->client, command->wait_ms, &answer, fault) != ERR_OK) {
            return false;
        }
        over = take_event(command, &answer, done_out, fault);
        client_answer_free(&answer);
    }
    if (shows_progress(command)) {
        (void)fputs("\r\033[K", stderr);
    }
    return *done_out != NULL;
}
