#include "tests/support/witness.h"

#include "sync/update.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

void
witness_free(struct witness *witness)
{
    for (size_t n = 0; n < witness->log_count; n++) {
        free(witness->logs[n].salts);
    }
    free(witness->logs);
    for (size_t a = 0; a < WITNESS_NODES_MAX; a++) {
        for (size_t b = 0; b < WITNESS_NODES_MAX; b++) {
            free(witness->ways[a][b].introduced);
        }
    }
    *witness = (struct witness){ .log_count = 0 };
}

static void
begin_way(struct witness_way *way, unsigned greetings)
{
    way->greetings = greetings;
    way->introduced_count = 0;
}

void
witness_connected(struct witness *witness, size_t a, size_t b)
{
    begin_way(&witness->ways[a][b], 0);
    begin_way(&witness->ways[b][a], 0);
}

static void *
grown(void *items, size_t count, size_t size)
{
    void *more = realloc(items, count * size);

    if (more == NULL) {
        ck_abort_msg("no memory");
    }
    return more;
}

/* The place of the log of that name, which is new if nobody named it before. */
static uint32_t
log_named(struct witness *witness, const uint8_t *name)
{
    for (size_t n = 0; n < witness->log_count; n++) {
        if (memcmp(witness->logs[n].name, name, SHORT_BYTES) == 0) {
            return (uint32_t)n;
        }
    }
    witness->logs = grown(witness->logs, witness->log_count + 1, sizeof *witness->logs);
    struct witness_log *log = &witness->logs[witness->log_count];
    *log = (struct witness_log){ .salts = NULL };
    memcpy(log->name, name, SHORT_BYTES);
    return (uint32_t)witness->log_count++;
}

/* The log that a reference means; NULL: it was never introduced. */
static struct witness_log *
log_of(struct witness *witness, struct witness_way *way, const struct log_ref *ref)
{
    struct descriptor descriptor;
    struct hash log_id;

    if (ref->ref >= LOG_REF_FIRST) {
        uint64_t place = ref->ref - LOG_REF_FIRST;

        return place < way->introduced_count ? &witness->logs[way->introduced[place]] : NULL;
    }
    if (ref->ref == LOG_REF_SHORT) {
        memcpy(log_id.bytes, ref->name.data, SHORT_BYTES);
    } else if (descriptor_read(ref->name, &descriptor)) {
        descriptor_log_id(&descriptor, &log_id);
    } else {
        return NULL;
    }
    way->introduced = grown(way->introduced, way->introduced_count + 1, sizeof *way->introduced);
    uint32_t place = log_named(witness, log_id.bytes);
    way->introduced[way->introduced_count++] = place;
    return &witness->logs[place];
}

static const char *
see_entry(struct witness *witness, struct witness_log *log, const struct entry *entry)
{
    uint64_t salt = bytes_read_u64(entry->salt);

    if (entry->seq >= log->salt_count) {
        log->salts = grown(log->salts, entry->seq + 1, sizeof *log->salts);
        memset(log->salts + log->salt_count, 0, (entry->seq + 1 - log->salt_count) * sizeof *log->salts);
        log->salt_count = entry->seq + 1;
    }
    if (log->salts[entry->seq] == 0) {
        log->salts[entry->seq] = salt;
        witness->entries++;
    }
    return log->salts[entry->seq] == salt ? NULL : "a number of a log was signed twice";
}

static const char *
see_chunk(struct witness *witness, struct witness_log *log, struct span bytes)
{
    static struct chunk chunk;
    enum chunk_fault fault = CHUNK_MALFORMED;
    const char *wrong = NULL;

    /* It does not say itself in which lane it travels. */
    for (uint8_t lane = 0; lane < LANE_COUNT && fault != CHUNK_OK; lane++) {
        fault = chunk_read(bytes, lane, &chunk);
    }
    if (fault != CHUNK_OK) {
        return "a chunk is malformed";
    }
    for (size_t n = 0; n < chunk.entry_count && wrong == NULL; n++) {
        wrong = see_entry(witness, log, &chunk.entries[n]);
    }
    return wrong;
}

/* Places are those in which the other introduced its logs. Where either greeted again within one connection, it cannot be told which of its
 * sessions is meant. */
static void
see_acks(struct witness *witness, size_t from, size_t to, struct reader items)
{
    const struct witness_way *spoken = &witness->ways[to][from];
    struct ack_item item;

    if (spoken->greetings != 1 || witness->ways[from][to].greetings != 1) {
        return;
    }
    while (ack_next(&items, &item)) {
        if (item.place < spoken->introduced_count) {
            struct witness_log *log = &witness->logs[spoken->introduced[item.place]];

            if (item.durable_next > log->kept_next[from]) {
                log->kept_next[from] = item.durable_next;
                witness->acks++;
            }
        }
    }
}

const char *
witness_frame(struct witness *witness, size_t from, size_t to, struct span bytes)
{
    struct witness_way *way = &witness->ways[from][to];
    struct frame frame;
    struct chunk_item item;
    const char *wrong = NULL;

    if (!frame_read(bytes, &frame)) {
        return "a frame is malformed";
    }
    if (frame.type == FRAME_HELLO) {
        begin_way(way, way->greetings + 1);
    }
    if (way->greetings == 0) {
        /* It was on its way when the connection before was cut. */
        return NULL;
    }
    if (frame.type == FRAME_WANT) {
        (void)log_of(witness, way, &frame.want.log);
    }
    while (frame.type == FRAME_CHUNK && wrong == NULL && chunk_next(&frame.chunks, &item)) {
        struct witness_log *log = log_of(witness, way, &item.log);

        wrong =
            log == NULL ? "a log was named that was never introduced" : see_chunk(witness, log, item.chunk);
    }
    if (frame.type == FRAME_ACK) {
        see_acks(witness, from, to, frame.ack.items);
    }
    return wrong;
}
