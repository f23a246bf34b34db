#include "node/metrics.h"

#include <inttypes.h>

void
metrics_begin(struct metrics *metrics, const char *name, enum metric_type type, const char *help)
{
    metrics->name = name;
    buf_printf(&metrics->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
               type == METRIC_COUNTER ? "counter" : "gauge");
}

/* A label's value: three characters are escaped. */
static void
put_label(struct buf *out, const char *label, const char *text)
{
    buf_printf(out, "%s=\"", label);
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            buf_put_text(out, "\\n");
            continue;
        }
        if (*text == '\\' || *text == '"') {
            buf_put_u8(out, '\\');
        }
        buf_put_u8(out, (uint8_t)*text);
    }
    buf_put_u8(out, '"');
}

void
metrics_put(struct metrics *metrics, uint64_t value)
{
    buf_printf(&metrics->out, "%s %" PRIu64 "\n", metrics->name, value);
}

void
metrics_put_of(struct metrics *metrics, const char *label, const char *text, const char *second,
               const char *second_text, uint64_t value)
{
    buf_printf(&metrics->out, "%s{", metrics->name);
    put_label(&metrics->out, label, text);
    if (second != NULL) {
        buf_put_u8(&metrics->out, ',');
        put_label(&metrics->out, second, second_text);
    }
    buf_printf(&metrics->out, "} %" PRIu64 "\n", value);
}

void
metrics_one(struct metrics *metrics, const char *name, enum metric_type type, const char *help,
            uint64_t value)
{
    metrics_begin(metrics, name, type, help);
    metrics_put(metrics, value);
}
