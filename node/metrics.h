/* metrics.h - numbers in the text format of Prometheus.
 *
 *     # HELP vigil_peer_lag_seconds How long ago ...
 *     # TYPE vigil_peer_lag_seconds gauge
 *     vigil_peer_lag_seconds{peer="3f09a1c2"} 12
 *
 * Labels are short ids of devices, and reasons that this program has words for: no name of a person, an office or a country, and nothing that a
 * case says. Pure.
 */
#pragma once

#include "store/base/bytes.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metrics {
    struct buf out; /* the text; of its owner */
    const char *name;
};

/* Begin a metric. `name` outlives its values; `help` is a sentence without a full stop. */
void metrics_begin(struct metrics *metrics, const char *name, enum metric_type type, const char *help);

/* A value of the metric that was begun last. */
void metrics_put(struct metrics *metrics, uint64_t value);
/* The same with one label, or with two; a NULL `second` is none. */
void metrics_put_of(struct metrics *metrics, const char *label, const char *text, const char *second,
                    const char *second_text, uint64_t value);

/* A metric with one value. */
void metrics_one(struct metrics *metrics, const char *name, enum metric_type type, const char *help,
                 uint64_t value);
