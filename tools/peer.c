/* peer.c - `vigil peer`: whom this node calls. */
#include "tools/command.h"
#include "tools/input.h"

#include <stdlib.h>
#include <string.h>

/* A statements file goes into one line of the API, in which a newline takes two characters. */
enum { STATEMENTS_BYTES_MAX = 900 << 10 };

static bool
endpoint_good(const char *endpoint, struct client_fault *fault)
{
    const char *port = strrchr(endpoint, ':');
    char *end = NULL;
    long number = port == NULL ? 0 : strtol(port + 1, &end, 10);

    return (strncmp(endpoint, "tcp://", 6) == 0 && port > endpoint + 6 && *end == '\0' && number >= 1 &&
            number <= 65535) ||
           fault_set(fault, "usage", "write tcp://HOST:PORT, as in tcp://hq.example.org:7700",
                     "'%s' is not an address", endpoint);
}

static bool
take_statements(const char *path, json_t *request, struct client_fault *fault)
{
    FILE *file = NULL;
    char *text = NULL;

    if (!command_open(path, &file, fault)) {
        return false;
    }
    bool good = input_text(file, STATEMENTS_BYTES_MAX, &text, fault);
    command_close(&file);
    if (good) {
        (void)json_object_set_new(request, "statements", json_string(text));
    }
    free(text);
    return good;
}

static bool
make_add(const struct command *command, json_t *request, struct client_fault *fault)
{
    static const enum opt options[] = { OPT_DEVICE, OPT_NAME, OPT_PROXY };
    const char *endpoint = command->word_count > 0 ? command->words[0] : NULL;
    const char *statements = args_value(command, OPT_STATEMENTS);

    if (endpoint == NULL && statements == NULL) {
        return fault_set(fault, "usage",
                         "write vigil peer add tcp://HOST:PORT --device DEVICE, or --statements FILE",
                         "there is neither an address nor a statements file");
    }
    if (endpoint != NULL && args_value(command, OPT_DEVICE) == NULL) {
        return fault_set(fault, "usage", "add --device with its fingerprint, id or name; ask its operator",
                         "it is not said which device answers at %s", endpoint);
    }
    if (endpoint != NULL && !endpoint_good(endpoint, fault)) {
        return false;
    }
    int failed = endpoint == NULL ? 0 : json_object_set_new(request, "endpoint", json_string(endpoint));
    for (size_t n = 0; n < sizeof options / sizeof options[0]; n++) {
        const char *value = args_value(command, options[n]);
        if (value != NULL) {
            failed |= json_object_set_new(request, option_texts[options[n]].name, json_string(value));
        }
    }
    if (failed != 0) {
        return fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
    }
    return statements == NULL || take_statements(statements, request, fault);
}

static enum exit_status
run_add(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    json_t *request = json_pack("{s:s}", "do", "peer.add");
    if (!make_add(command, request, &fault)) {
        json_decref(request);
        return command_fail(command, &fault, "no peer was added");
    }
    if (command_only_shown(command, request)) {
        return STATUS_DONE;
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "no peer was added");
    }
    const json_t *peer = json_object_get(ok, "peer");
    json_int_t statements = json_integer_value(json_object_get(ok, "statements"));
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else if (json_is_object(peer) && json_object_size(peer) > 0) {
        char *name = output_value(peer);
        command_say(command, "peer %s added\n", name == NULL ? "" : name);
        free(name);
    }
    if (statements > 0) {
        command_say(command, "%lld new statements taken in\n", (long long)statements);
    } else if (args_has(command, OPT_STATEMENTS)) {
        command_say(command, "every statement was here already\n");
    }
    json_decref(ok);
    return STATUS_DONE;
}

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column columns[] = {
        { "name", 0 },  { "device", COLUMN_CUT }, { "office", 0 },           { "endpoint", 0 },
        { "proxy", 0 }, { "schedule", 0 },        { "state", COLUMN_STATE }, { "reason", COLUMN_CUT },
    };
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "peer.list"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot list the peers");
    }
    const json_t *rows = json_object_get(ok, "peers");
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "this node has no peer yet: vigil peer add --help shows how to name one\n");
    }
    json_decref(ok);
    return status;
}

/* A setting that is a number, as it is called here and by the API. */
struct number_setting {
    const char *name;
    const char *member;
    const char *unit;
    bool none; /* "none" is 0 */
};

static const struct number_setting number_settings[] = {
    { "interval", "interval_minutes", "minutes", false },
    { "schedule", "schedule", "seconds", true },
    { "envelope", "envelope", "bytes", false },
};

static bool
take_number(json_t *request, const struct number_setting *setting, const char *value,
            struct client_fault *fault)
{
    char *end = NULL;
    long number = strtol(value, &end, 10);
    bool none = setting->none && strcmp(value, "none") == 0;

    return ((none || (value[0] >= '0' && value[0] <= '9' && *end == '\0')) &&
            json_object_set_new(request, setting->member, json_integer(none ? 0 : number)) == 0) ||
           fault_set(fault, "usage", "write a number, as in interval=30 or schedule=30",
                     "'%s' is no number of %s", value, setting->unit);
}

/* "interval=30" and so on, as a member of the request. */
static bool
take_setting(json_t *request, const char *word, struct client_fault *fault)
{
    static const char *const names[] = { "profile", "quiet_hours", "day_bytes", "month_bytes" };
    const char *equals = strchr(word, '=');
    size_t size = equals == NULL ? 0 : (size_t)(equals - word);

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        if (size == strlen(names[n]) && strncmp(word, names[n], size) == 0) {
            return json_object_set_new(request, names[n], json_string(equals + 1)) == 0 ||
                   fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        }
    }
    for (size_t n = 0; n < sizeof number_settings / sizeof number_settings[0]; n++) {
        const char *name = number_settings[n].name;
        if (size == strlen(name) && strncmp(word, name, size) == 0) {
            return take_number(request, &number_settings[n], equals + 1, fault);
        }
    }
    return fault_set(
        fault, "usage",
        "profile, interval, quiet_hours, day_bytes, month_bytes, schedule and envelope can be set",
        "'%s' is not NAME=VALUE of a setting", word);
}

/* --proxy as a member of the request, if it is given. */
static bool
take_proxy(const struct command *command, json_t *request, struct client_fault *fault)
{
    const char *proxy = args_value(command, OPT_PROXY);

    return proxy == NULL || json_object_set_new(request, "proxy", json_string(proxy)) == 0 ||
           fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
}

static enum exit_status
run_set(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (command->word_count == 1 && !args_has(command, OPT_PROXY)) {
        (void)fault_set(&fault, "usage", "name a setting, as in profile=metered, or give --proxy",
                        "there is nothing to set");
        return command_fail(command, &fault, "nothing was set");
    }
    json_t *request = json_pack("{s:s, s:s}", "do", "peer.set", "peer", command->words[0]);
    if (!take_proxy(command, request, &fault)) {
        json_decref(request);
        return command_fail(command, &fault, "nothing was set");
    }
    if (command->word_count == 2 && strcmp(command->words[1], "configured") == 0) {
        (void)json_object_set_new(request, "reset", json_true());
    } else {
        for (size_t n = 1; n < command->word_count; n++) {
            if (!take_setting(request, command->words[n], &fault)) {
                json_decref(request);
                return command_fail(command, &fault, "nothing was set");
            }
        }
    }
    if (request != NULL && command_only_shown(command, request)) {
        return STATUS_DONE;
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "nothing was set");
    }
    command_say(command, "the line to %s is used so from now on; vigil sync budget shows it\n",
                command->words[0]);
    if (command->out.json) {
        output_json(command->out.to, ok);
    }
    json_decref(ok);
    return STATUS_DONE;
}

static enum exit_status
run_remove(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    json_t *request = json_pack("{s:s, s:s}", "do", "peer.remove", "peer", command->words[0]);
    if (request != NULL && command_only_shown(command, request)) {
        return STATUS_DONE;
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot remove %s", command->words[0]);
    }
    command_say(command, "peer %s removed\n", command->words[0]);
    if (command->out.json) {
        output_json(command->out.to, ok);
    }
    json_decref(ok);
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { "add", "[tcp://HOST:PORT]", 0, 1,
      OPTION(DEVICE) | OPTION(NAME) | OPTION(PROXY) | OPTION(STATEMENTS) | OPTION(DRY_RUN),
      "Call a device of the organisation at an address, or take in a statements file",
      "Examples:\n"
      "  vigil peer add tcp://hq.example.org:7700 --device 'Geneva server' --name hq\n"
      "  vigil peer add tcp://vigilhq2x.onion:7700 --device 'Geneva server' --proxy socks5://127.0.0.1:9050\n"
      "  vigil peer add --statements news.vigil\n\n"
      "With --proxy it is called through that and never past it, whatever becomes of the proxy or the "
      "address.\n"
      "A device must be in the roster before it can be called. If it was enrolled after this node, "
      "take in the statements file that its office gives out; both may be given in one command.\n",
      run_add },
    { "list", NULL, 0, 0, 0, "List the peers that this node calls or that call it", NULL, run_list },
    { "remove", "PEER", 1, 1, OPTION(DRY_RUN), "Call a peer no more",
      "It stays a member of the organisation and may still call this node; what came from it stays.\n",
      run_remove },
    { "set", "PEER [NAME=VALUE...]", 1, 8, OPTION(PROXY) | OPTION(DRY_RUN),
      "Say how the line to a peer is used, and what it may cost",
      "Names and values:\n"
      "  profile=lan         send at once\n"
      "  profile=wan         urgent news at once, the rest in batches\n"
      "  profile=metered     a session every interval, and at once for urgent news; then hang up\n"
      "  profile=oneway      call it never: bundles go there\n"
      "  interval=30         minutes between sessions of a metered line, a fifth more or less\n"
      "  quiet_hours=22:00-06:00   no session by itself then (UTC); or none\n"
      "  day_bytes=2M  month_bytes=40M   what may pass, both ways, with what carries it (k, M, G); or none.\n"
      "                      The last fifth is kept for urgent news\n"
      "  schedule=30         one envelope each 30 seconds, whatever there is to say, and nothing beside it: "
      "who\n"
      "                      watches does not see that something was written; or none. Set it on both ends\n"
      "  envelope=2048       bytes of each\n\n"
      "With --proxy the peer is called through it and never past it, not while it is down either; peer list "
      "shows why it fails.\n\n"
      "Examples:\n"
      "  vigil peer set geneva profile=metered interval=30 month_bytes=40M\n"
      "  vigil peer set geneva --proxy socks5://127.0.0.1:9050\n"
      "  vigil peer set geneva profile=wan schedule=30 envelope=2048\n"
      "  vigil peer set geneva configured      as node.conf says, again, the proxy too\n",
      run_set },
};

const struct noun peer_noun = { "peer", "Say whom this node calls", verbs, sizeof verbs / sizeof verbs[0] };
