/* status.c - `vigil status`: is this node well? */
#include "tools/command.h"
#include "tools/repaint.h"

#include <stdlib.h>
#include <string.h>

enum { WATCH_SECONDS = 2, WATCH_SECONDS_MAX = 3600, ROUNDS_MAX = 1000000 };

static void
line(FILE *to, const char *label, const char *text)
{
    output_printf(to, "%-14s %s\n", label, text);
}

static void
value_line(FILE *to, const char *label, const json_t *value)
{
    char *text = output_value(value);

    if (text != NULL && text[0] != '\0') {
        line(to, label, text);
    }
    free(text);
}

/* "3 key, 1 schema" of the counts that are not zero; counts within counts by their own names. */
static void
put_counts(char *out, size_t size, const json_t *counts, unsigned depth)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)counts, name, value)
    {
        size_t used = strlen(out);
        if (json_is_object(value) && depth > 0) {
            put_counts(out, size, value, depth - 1);
        } else if (json_integer_value(value) > 0) {
            (void)snprintf(out + used, size - used, "%s%lld %s", used > 0 ? ", " : "",
                           (long long)json_integer_value(value), name);
        }
    }
}

static void
counts_line(FILE *to, const char *label, const json_t *counts)
{
    char text[256] = "";

    put_counts(text, sizeof text, counts, 1);
    if (text[0] != '\0') {
        line(to, label, text);
    }
}

static void
bytes_text(char out[32], const json_t *bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = json_number_value(bytes);
    size_t unit = 0;

    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void
print_disk(FILE *to, const json_t *disk)
{
    char used[32];
    char map[32];
    char room[32];

    if (disk == NULL) {
        return;
    }
    bytes_text(used, json_object_get(disk, "used"));
    bytes_text(map, json_object_get(disk, "map"));
    bytes_text(room, json_object_get(disk, "free"));
    output_printf(to, "%-14s %s used of %s mapped, %s free on the disk\n", "Disk", used, map, room);
}

/* What the node found when it read through its store; nothing before it began. */
static void
print_scrub(FILE *to, const json_t *scrub)
{
    json_int_t findings = json_integer_value(json_object_get(scrub, "findings"));
    json_int_t before = json_integer_value(json_object_get(scrub, "ended_findings"));
    json_int_t noted = json_integer_value(json_object_get(scrub, "noted"));
    const char *ended = json_string_value(json_object_get(scrub, "ended"));
    json_int_t rows = json_integer_value(json_object_get(scrub, "rows"));
    char time[32];

    if (ended != NULL) {
        output_time(time, ended);
        output_printf(to, "%-14s all was read by %s, and %lld of it damaged\n", "Scrub", time,
                      (long long)before);
    }
    if (rows > 0) {
        output_printf(to, "%-14s %lld rows read %s, and %lld damaged\n", ended == NULL ? "Scrub" : "",
                      (long long)rows, ended == NULL ? "so far" : "since", (long long)findings);
    }
    if (noted > 0) {
        output_printf(to, "%-14s %lld entries are to come again from peers\n",
                      ended == NULL && rows == 0 ? "Scrub" : "", (long long)noted);
    }
}

static void
print_clock(FILE *to, const json_t *clock)
{
    char now[32];
    char ahead[32];
    size_t index;
    json_t *device;

    if (clock == NULL) {
        return;
    }
    output_time(now, json_string_value(json_object_get(clock, "now")));
    output_printf(to, "%-14s %s%s\n", "Clock", now,
                  json_is_true(json_object_get(clock, "suspect")) ? ", doubtful: compare it with a watch"
                                                                  : "");
    json_array_foreach(json_object_get(clock, "devices"), index, device)
    {
        char *name = output_value(json_object_get(device, "device"));
        output_span(ahead, (json_int_t)json_number_value(json_object_get(device, "ahead_s")));
        output_printf(to, "%-14s the clock of %s is %s ahead\n", "", name == NULL ? "" : name, ahead);
        free(name);
    }
}

static void
print_peers(FILE *to, const json_t *peers)
{
    if (peers != NULL) {
        output_printf(to, "%-14s %lld of %lld connected\n", "Peers",
                      (long long)json_integer_value(json_object_get(peers, "up")),
                      (long long)json_integer_value(json_object_get(peers, "all")));
    }
}

/* "[#####+++++..........]": what can be read and found, what is on the disk besides, and what is still to come. */
static void
bar_text(char out[24], double stored, double visible)
{
    enum { WIDTH = 20 };

    /* Rounded down: a bar that is full says that all is here. */
    int read = (int)(visible * WIDTH);
    int held = (int)(stored * WIDTH);
    char *at = out;
    *at++ = '[';
    for (int n = 0; n < WIDTH; n++) {
        *at++ = (char)(n < read ? '#' : n < held ? '+' : '.');
    }
    *at++ = ']';
    *at = '\0';
}

/* As 99.9 of 0.9999: not all. */
static double
percent_of(double share)
{
    return (double)(int)(share * 1000.0) / 10.0;
}

static void
print_arriving(FILE *to, const json_t *arriving)
{
    size_t index;
    json_t *one;

    json_array_foreach((json_t *)arriving, index, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        const json_t *visible = json_object_get(one, "visible");
        double stored = json_number_value(json_object_get(one, "stored"));
        double read = json_is_null(visible) ? 0.0 : json_number_value(visible);
        json_int_t entries = json_integer_value(json_object_get(one, "to_receive"));
        char bar[24];
        char bytes[32];

        bar_text(bar, stored, read);
        output_printf(to, "%-14s %s %s: %.1f %% stored, ", index == 0 ? "Arriving" : "", bar,
                      name == NULL ? "" : name, percent_of(stored));
        if (json_is_null(visible)) {
            output_printf(to, "carried for others");
        } else {
            output_printf(to, "%.1f %% visible", percent_of(read));
        }
        if (entries > 0) {
            bytes_text(bytes, json_object_get(one, "bytes_to_receive"));
            output_printf(to, ", %lld entries to come", (long long)entries);
            if (json_integer_value(json_object_get(one, "bytes_to_receive")) > 0) {
                output_printf(to, " (about %s)", bytes);
            }
            if (json_is_false(json_object_get(one, "connected"))) {
                output_printf(to, ", as a peer said before it went");
            }
        }
        output_printf(to, "\n");
    }
}

static void
print_net(FILE *to, const json_t *net)
{
    json_int_t restarts = json_integer_value(json_object_get(net, "restarts"));

    if (restarts > 0) {
        output_printf(to, "%-14s the network process was started again %lld times\n", "Network",
                      (long long)restarts);
    }
}

static void
print_own_held(FILE *to, const json_t *status)
{
    json_int_t own = json_integer_value(json_object_get(status, "own_held"));

    if (own > 0) {
        output_printf(to, "%-14s %lld of them by this very device\n", "", (long long)own);
    }
}

static void
print_status(FILE *to, const json_t *status)
{
    char started[32];
    size_t index;
    json_t *warning;

    value_line(to, "State", json_object_get(status, "state"));
    value_line(to, "Device", json_object_get(status, "device"));
    value_line(to, "Fingerprint", json_object_get(status, "fingerprint"));
    value_line(to, "Organisation", json_object_get(status, "org"));
    value_line(to, "", json_object_get(status, "org_fingerprint"));
    output_time(started, json_string_value(json_object_get(status, "started")));
    line(to, "Started", started);
    value_line(to, "Version", json_object_get(status, "version"));
    value_line(to, "Records", json_object_get(status, "records"));
    value_line(to, "Entries", json_object_get(status, "entries"));
    value_line(to, "Conflicts", json_object_get(status, "conflicts"));
    counts_line(to, "Pending", json_object_get(status, "pending"));
    if (json_is_true(json_object_get(status, "rebuilding"))) {
        line(to, "Rebuilding", "records are being made anew: lists and counts may be behind for a while");
    }
    counts_line(to, "Held", json_object_get(status, "held"));
    print_own_held(to, status);
    counts_line(to, "Refused", json_object_get(status, "refused"));
    print_peers(to, json_object_get(status, "peers"));
    print_arriving(to, json_object_get(status, "arriving"));
    print_net(to, json_object_get(status, "net"));
    print_disk(to, json_object_get(status, "disk"));
    print_scrub(to, json_object_get(status, "scrub"));
    print_clock(to, json_object_get(status, "clock"));
    json_array_foreach(json_object_get(status, "warnings"), index, warning)
    {
        output_printf(to, "! %s\n", json_is_string(warning) ? json_string_value(warning) : "");
    }
}

/* What --check calls something to look at. */
static bool
is_well(const json_t *status)
{
    const char *state = json_string_value(json_object_get(status, "state"));

    return state != NULL && strcmp(state, "running") == 0 &&
           json_array_size(json_object_get(status, "warnings")) == 0 &&
           json_integer_value(json_object_get(status, "conflicts")) == 0 &&
           !json_is_true(json_object_get(json_object_get(status, "clock"), "suspect"));
}

/* Print it once. False: it was told why not. */
static bool
show_once(struct command *command, struct repaint *repaint, enum exit_status *status_out)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "status"), &ok, &fault)) {
        *status_out = command_fail(command, &fault, "cannot show the status");
        return false;
    }
    FILE *page = repaint_page(repaint);
    enum err err = page == NULL ? ERR_MEMORY : ERR_OK;
    if (err == ERR_OK && command->out.json) {
        output_json(page, ok);
    } else if (err == ERR_OK) {
        print_status(page, ok);
    }
    if (err == ERR_OK) {
        err = repaint_show(repaint);
    }
    *status_out = args_has(command, OPT_CHECK) && !is_well(ok) ? STATUS_FINDINGS : STATUS_DONE;
    json_decref(ok);
    if (err != ERR_OK) {
        (void)fault_set(&fault, err_code(err), "see that there is memory, and that somebody reads", "%s",
                        err_text(err));
        *status_out = command_fail(command, &fault, "the status was not printed");
    }
    return err == ERR_OK;
}

static enum exit_status
run_status(struct command *command)
{
    bool again = args_has(command, OPT_WATCH);
    enum exit_status status = STATUS_DONE;
    struct client_fault fault;
    struct repaint repaint;
    long interval = 0;
    long rounds = 0;

    if (!args_number(command, OPT_INTERVAL, 1, WATCH_SECONDS_MAX, WATCH_SECONDS, &interval, &fault) ||
        !args_number(command, OPT_ROUNDS, 1, ROUNDS_MAX, 0, &rounds, &fault)) {
        return command_fail(command, &fault, "nothing was done");
    }
    if (!again && (args_has(command, OPT_INTERVAL) || args_has(command, OPT_ROUNDS))) {
        (void)fault_set(&fault, "usage", "add --watch",
                        "--interval and --rounds are of use with --watch only");
        return command_fail(command, &fault, "nothing was done");
    }
    repaint_begin(&repaint, command->out.to, again && command->out.terminal && !command->out.json,
                  !command->out.json);
    while (show_once(command, &repaint, &status) && again &&
           (rounds == 0 || repaint.pages < (unsigned long)rounds) && repaint_wait((unsigned)interval)) {
    }
    repaint_end(&repaint);
    return status;
}

static const struct verb verbs[] = {
    { NULL, NULL, 0, 0, OPTION(WATCH) | OPTION(INTERVAL) | OPTION(ROUNDS) | OPTION(CHECK),
      "Show whether this node is well",
      "A line that begins with ! is a warning, with what to do. Arriving: how far a compartment is of which "
      "something is to come or waits to be read; # can be read and found, + is stored, . is to come. Held: "
      "entries that are kept and do not "
      "count; "
      "vigil held list shows them. Refused: what arrived malformed or forged, and what waits for something "
      "else.\n\n"
      "Examples:\n"
      "  vigil status\n"
      "  vigil status --check     ends with 6 if there is something to look at\n"
      "  vigil status --watch --interval 10\n",
      run_status },
};

const struct noun status_noun = { "status", "See whether this node is well", verbs, 1 };
