/* metrics.c - `vigil metrics`: how the node is, in numbers, for Prometheus. */
#include "tools/command.h"

static enum exit_status
run_metrics(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "metrics"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot tell the metrics");
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        /* The node's own words: no label is a text of somebody else. */
        (void)fputs(json_string_value(json_object_get(ok, "text")), command->out.to);
    }
    json_decref(ok);
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { NULL, NULL, 0, 0, 0, "Print how the node is, in numbers, for Prometheus",
      "The text format of Prometheus: what is here and what waits, what is refused and why, how far behind "
      "each "
      "peer is, the database, keys and memory. A peer is named by the beginning of its id; no label names a "
      "person, an office or a country. With metrics in node.conf the node serves the same on loopback; "
      "elsewhere "
      "the textfile collector of node_exporter takes it.\n\n"
      "Examples:\n"
      "  vigil metrics\n"
      "  vigil metrics > /var/lib/prometheus/node-exporter/vigil.prom.new\n",
      run_metrics },
};

const struct noun metrics_noun = { "metrics", "Print how the node is, in numbers", verbs,
                                   sizeof verbs / sizeof verbs[0] };
