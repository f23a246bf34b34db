#include "sync/flow.h"
#include "store/base/sorted.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
flows_free(struct flows *flows)
{
    free(flows->rows);
    memset(flows, 0, sizeof *flows);
}

void
flows_wake(struct flows *flows)
{
    memset(flows->idle, 0, sizeof flows->idle);
    flows->pulled_idle = false;
}

static bool
is_row_of(const struct flow *row, const struct tip *tip)
{
    return row->branch_first == tip->branch_first &&
           memcmp(row->branch_id, tip->branch_id, SHORT_BYTES) == 0 && hash_equal(&row->log_id, &tip->log_id);
}

/* The common case: the same tips as before, some of them further on. False: another set of tips. */
static bool
follow_in_place(struct flows *flows, const struct frontier *frontier, bool *changed)
{
    if (flows->count != frontier->count) {
        return false;
    }
    for (size_t n = 0; n < flows->count; n++) {
        if (!is_row_of(&flows->rows[n], &frontier->tips[n])) {
            return false;
        }
    }
    for (size_t n = 0; n < flows->count; n++) {
        uint64_t tip_next = frontier->tips[n].seq + 1;
        if (flows->rows[n].tip_next != tip_next) {
            flows->rows[n].tip_next = tip_next;
            *changed = true;
        }
    }
    return true;
}

size_t
flows_log(const struct flows *flows, const struct hash *log_id, size_t *first)
{
    return sorted_run(SORTED_BY(struct flow, flows->rows, flows->count, log_id), hash_span(log_id), first);
}

/* The row of a tip that had none: a new log, or a branch that got its name by a fork. Of a fork the peer has below it
 * what it has of the branches that were told apart before. */
static void
begin_row(struct flow *row, const struct tip *tip, const struct flows *before,
          const struct gossip_store *store)
{
    struct descriptor descriptor;
    size_t first;
    size_t count = flows_log(before, &tip->log_id, &first);

    memset(row, 0, sizeof *row);
    row->log_id = tip->log_id;
    row->branch_first = tip->branch_first;
    memcpy(row->branch_id, tip->branch_id, SHORT_BYTES);
    if (count == 0) {
        if (store->descriptor(store->self, &tip->log_id, &descriptor)) {
            row->lane = descriptor.lane;
        } else {
            row->stopped = true;
        }
        return;
    }
    const struct flow *old = &before->rows[first];
    row->lane = old->lane;
    row->known = old->known;
    row->place = old->place;
    row->stopped = old->stopped;
    row->careful = old->careful;
    row->hint_next = old->hint_next;
    row->pulled_next = old->pulled_next;
    row->next = old->next;
    row->durable_next = old->durable_next;
    row->visible_next = old->visible_next;
    for (size_t n = 1; n < count; n++) {
        row->next = old[n].next < row->next ? old[n].next : row->next;
        row->durable_next = old[n].durable_next < row->durable_next ? old[n].durable_next : row->durable_next;
        row->visible_next = old[n].visible_next < row->visible_next ? old[n].visible_next : row->visible_next;
    }
    if (row->branch_first != 0 || bytes_read_u64(row->branch_id) != 0) {
        row->next = tip->branch_first < row->next ? tip->branch_first : row->next;
        row->durable_next = row->next < row->durable_next ? row->next : row->durable_next;
        row->visible_next = row->next < row->visible_next ? row->next : row->visible_next;
    }
}

enum err
flows_sync(struct flows *flows, const struct frontier *frontier, const struct gossip_store *store,
           bool *changed)
{
    *changed = false;
    if (flows->synced && flows->change_count == frontier->change_count) {
        return ERR_OK;
    }
    if (!follow_in_place(flows, frontier, changed)) {
        struct flow *rows = calloc(frontier->count + 1, sizeof *rows);
        size_t old = 0;
        if (rows == NULL) {
            return ERR_MEMORY;
        }
        for (size_t n = 0; n < frontier->count; n++) {
            const struct tip *tip = &frontier->tips[n];
            /* Both are sorted alike: rows before the tip's place belong to tips that are gone. */
            while (old < flows->count && !is_row_of(&flows->rows[old], tip)) {
                const struct flow *row = &flows->rows[old];
                int order = hash_compare(&row->log_id, &tip->log_id);
                if (order == 0 && row->branch_first != tip->branch_first) {
                    order = row->branch_first < tip->branch_first ? -1 : 1;
                } else if (order == 0) {
                    order = memcmp(row->branch_id, tip->branch_id, SHORT_BYTES);
                }
                if (order > 0) {
                    break;
                }
                old++;
            }
            if (old < flows->count && is_row_of(&flows->rows[old], tip)) {
                rows[n] = flows->rows[old++];
            } else {
                begin_row(&rows[n], tip, flows, store);
            }
            rows[n].tip_next = tip->seq + 1;
        }
        free(flows->rows);
        flows->rows = rows;
        flows->count = frontier->count;
        memset(flows->cursor, 0, sizeof flows->cursor);
        flows->pulled_cursor = 0;
        *changed = true;
    }
    if (*changed) {
        flows_wake(flows);
    }
    flows->synced = true;
    flows->change_count = frontier->change_count;
    return ERR_OK;
}

void
flows_set_equal(struct flows *flows)
{
    for (size_t n = 0; n < flows->count; n++) {
        struct flow *row = &flows->rows[n];
        row->next = row->tip_next;
        row->durable_next = row->tip_next;
        row->known = true;
        row->careful = false;
        row->stopped = false;
    }
}

static bool
is_forked(const struct flows *flows, size_t n)
{
    const struct flow *row = &flows->rows[n];

    return (n > 0 && hash_equal(&row[-1].log_id, &row->log_id)) ||
           (n + 1 < flows->count && hash_equal(&row[1].log_id, &row->log_id));
}

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
flows_set_view(struct flows *flows, const struct peer_view *view)
{
    for (size_t n = 0; n < flows->count; n++) {
        struct flow *row = &flows->rows[n];
        struct tip tip = { .log_id = row->log_id, .branch_first = row->branch_first };
        memcpy(tip.branch_id, row->branch_id, SHORT_BYTES);
        uint64_t has = peer_view_has(view, &tip, is_forked(flows, n));
        row->next = has;
        row->durable_next = has;
        row->visible_next = least(row->visible_next, has);
        row->known = row->known || has > 0;
        row->careful = row->careful || row->stopped;
        row->stopped = false;
    }
    flows_wake(flows);
}

bool
flows_ack(struct flows *flows, const struct hash *log_id, uint64_t durable_next, uint64_t visible_next)
{
    size_t first;
    size_t count = flows_log(flows, log_id, &first);
    bool progress = false;

    flows_wake(flows);
    for (size_t n = first; n < first + count; n++) {
        struct flow *row = &flows->rows[n];
        if (durable_next == 0) {
            /* It keeps nothing of this log: its author is unknown there. It will ask when that has changed. */
            row->stopped = true;
            continue;
        }
        row->known = true;
        row->careful = false;
        if (durable_next > row->durable_next) {
            row->durable_next = durable_next;
            progress = true;
        }
        row->visible_next = visible_next > row->visible_next ? visible_next : row->visible_next;
        /* It has more than was sent: another peer was faster. On a fork the seq may be of the other branch. */
        if (count == 1 && durable_next > row->next) {
            row->next = durable_next;
        }
    }
    return progress;
}

void
flows_came_from_peer(struct flows *flows, const struct hash *log_id, uint64_t durable_next)
{
    size_t first;
    size_t count = flows_log(flows, log_id, &first);

    for (size_t n = first; n < first + count; n++) {
        struct flow *row = &flows->rows[n];
        row->known = true;
        if (count == 1 && durable_next > row->next) {
            row->next = durable_next;
            row->durable_next = durable_next > row->durable_next ? durable_next : row->durable_next;
        }
    }
}

void
flows_rewind(struct flows *flows, const struct hash *log_id, uint64_t from)
{
    size_t first;
    size_t count = flows_log(flows, log_id, &first);

    for (size_t n = first; n < first + count; n++) {
        flows->rows[n].next = least(flows->rows[n].next, from);
        flows->rows[n].careful = false;
        flows->rows[n].stopped = false;
    }
    flows_wake(flows);
}

void
flows_introduced(struct flows *flows, const struct hash *log_id, uint32_t place)
{
    size_t first;
    size_t count = flows_log(flows, log_id, &first);

    for (size_t n = first; n < first + count; n++) {
        flows->rows[n].place = place;
    }
}

static bool
has_to_send(const struct flow *row)
{
    bool waits = row->careful && row->next > row->durable_next;

    return !row->stopped && !waits && row->next < row->tip_next;
}

struct flow *
flows_next(struct flows *flows, enum lane lane)
{
    if (flows->idle[lane]) {
        return NULL;
    }
    for (size_t step = 0; step < flows->count; step++) {
        size_t n = (flows->cursor[lane] + step) % flows->count;
        struct flow *row = &flows->rows[n];
        if (row->lane == lane && has_to_send(row)) {
            flows->cursor[lane] = n;
            return row;
        }
    }
    flows->idle[lane] = true;
    return NULL;
}

void
flows_pull(struct flows *flows, const struct hash *log_id, uint64_t next)
{
    size_t first;
    size_t count = flows_log(flows, log_id, &first);

    for (size_t n = first; n < first + count; n++) {
        struct flow *row = &flows->rows[n];
        if (row->lane > LANE_URGENT && row->pulled_next < next) {
            row->pulled_next = next;
            flows->pulled_idle = false;
        }
    }
}

struct flow *
flows_next_pulled(struct flows *flows)
{
    if (flows->pulled_idle) {
        return NULL;
    }
    for (size_t step = 0; step < flows->count; step++) {
        size_t n = (flows->pulled_cursor + step) % flows->count;
        struct flow *row = &flows->rows[n];
        if (row->next < row->pulled_next && has_to_send(row)) {
            flows->pulled_cursor = n;
            return row;
        }
    }
    flows->pulled_idle = true;
    return NULL;
}

bool
flows_pending(struct flows *flows)
{
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        if (flows_next(flows, (enum lane)lane) != NULL) {
            return true;
        }
    }
    return false;
}

void
flows_waiting(const struct flows *flows, uint64_t entries_out[LANE_COUNT])
{
    memset(entries_out, 0, LANE_COUNT * sizeof *entries_out);
    for (size_t n = 0; n < flows->count; n++) {
        const struct flow *row = &flows->rows[n];
        if (!row->stopped && row->next < row->tip_next) {
            entries_out[row->lane] += row->tip_next - row->next;
        }
    }
}

void
flows_sum(const struct flows *flows, struct flow_sums *sums)
{
    memset(sums, 0, sizeof *sums);
    for (size_t n = 0; n < flows->count; n++) {
        const struct flow *row = &flows->rows[n];
        /* What branches share counts once, with the first of them. */
        uint64_t from = n > 0 && hash_equal(&row->log_id, &row[-1].log_id) ? row->branch_first : 0;
        uint64_t durable = least(row->durable_next, row->tip_next);
        uint64_t visible = least(row->visible_next, durable);
        sums->entries += row->tip_next - from;
        sums->durable += durable > from ? durable - from : 0;
        sums->visible += visible > from ? visible - from : 0;
        sums->to_send += row->tip_next > row->next ? row->tip_next - row->next : 0;
    }
}
