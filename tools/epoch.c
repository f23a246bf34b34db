/* epoch.c - `vigil epoch`: the keys that compartments are sealed with, and new ones. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>

/* "12 days", or "" where it is not known. */
static json_t *
age_text(const json_t *seconds)
{
    char text[32] = "";

    if (json_is_integer(seconds)) {
        output_span(text, json_integer_value(seconds));
    }
    return json_string(text);
}

static enum exit_status
print_epochs(const struct command *command, json_t *epochs)
{
    static const struct output_column columns[] = {
        { "compartment", 0 }, { "number", COLUMN_RIGHT }, { "state", COLUMN_STATE }, { "age", 0 },
        { "by", COLUMN_CUT }, { "boxes", COLUMN_RIGHT },  { "without", COLUMN_CUT },
    };
    size_t index;
    json_t *epoch;

    json_array_foreach(epochs, index, epoch)
    {
        if (!command->out.json) {
            (void)json_object_set_new(epoch, "age", age_text(json_object_get(epoch, "age_s")));
        }
    }
    return command_table(command, columns, sizeof columns / sizeof columns[0], epochs);
}

static enum exit_status
run_list(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    json_t *request = json_pack("{s:s}", "do", "epoch.list");
    if (command->word_count > 0) {
        (void)json_object_set_new(request, "compartment", json_string(command->words[0]));
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot list the epochs");
    }
    json_t *epochs = json_object_get(ok, "epochs");
    json_int_t old = json_integer_value(json_object_get(ok, "old_epoch"));
    enum exit_status status = print_epochs(command, epochs);
    if (json_array_size(epochs) == 0) {
        command_remark(command, "no epoch is here yet: an admin's node makes the first\n");
    }
    if (old > 0) {
        command_remark(
            command,
            "%lld entries came under an older epoch since the node started: their authors had not heard "
            "of the new one, and what they wrote counts\n",
            (long long)old);
    }
    json_decref(ok);
    return status;
}

static enum exit_status
run_rotate(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    json_t *request = json_pack("{s:s, s:s}", "do", "epoch.rotate", "compartment", command->words[0]);
    if (request != NULL && command_only_shown(command, request)) {
        return STATUS_DONE;
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "no epoch was made");
    }
    const char *place = json_string_value(json_object_get(ok, "compartment"));
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        command_say(command,
                    "a new epoch of %s is made, after number %lld; whoever may read there is boxed its key\n",
                    place == NULL ? "" : place, (long long)json_integer_value(json_object_get(ok, "was")));
    }
    json_decref(ok);
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { "list", "[COMPARTMENT]", 0, 1, 0, "List epochs: number, age, maker, and who lacks a box",
      "What is written in a compartment is sealed with the key of the epoch in force. Each device that may "
      "read "
      "there needs one box with a key; those named under WITHOUT have none of that epoch yet. The age is "
      "how long this node has known it, where it looked.\n\n"
      "Examples:\n"
      "  vigil epoch list\n"
      "  vigil epoch list 'KEN cases'\n",
      run_list },
    { "rotate", "COMPARTMENT", 1, 1, OPTION(DRY_RUN), "Make a new epoch now",
      "It is done by itself when a device is revoked and every 90 days. By hand it is of use when a key may "
      "have "
      "been seen. What was written before stays readable to those who could read it.\n\n"
      "Example:\n"
      "  vigil epoch rotate 'KEN protected'\n",
      run_rotate },
};

const struct noun epoch_noun = { "epoch", "See and renew the keys of compartments", verbs,
                                 sizeof verbs / sizeof verbs[0] };
