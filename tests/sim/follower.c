/* Whoever derives something from records (a search index, a list that is watched) follows the places of the journal and looks
 * at those records alone that they name. One such follower a node: what it remembers of every record is what is there. */
#include "tests/sim/sim.h"

#include "store/base/crypto.h"

#include <stdlib.h>
#include <string.h>

static struct hash *
remembered(struct sim_node *node, uint32_t record_no)
{
    struct sim_follower *follower = &node->follower;

    if (record_no >= follower->capacity) {
        size_t capacity = follower->capacity == 0 ? 64 : follower->capacity;

        while (capacity <= record_no) {
            capacity *= 2;
        }
        struct hash *records = realloc(follower->records, capacity * sizeof *records);
        if (records == NULL) {
            abort();
        }
        memset(records + follower->capacity, 0, (capacity - follower->capacity) * sizeof *records);
        follower->records = records;
        follower->capacity = capacity;
    }
    return &follower->records[record_no];
}

/* A hash over the rows of a record; zero: it has none. */
static struct hash
rows_of(struct table_txn *txn, uint32_t record_no)
{
    static const enum table_id tables[] = { TABLE_CELL, TABLE_SUM, TABLE_CONF };
    struct hash rows = { { 0 } };
    uint8_t prefix[4];

    bytes_write_u32(prefix, record_no);
    for (size_t n = 0; n < sizeof tables / sizeof tables[0]; n++) {
        struct table_cursor cursor;
        struct span key;
        struct span value;

        table_cursor_init(&cursor, txn, tables[n], span_of(prefix, sizeof prefix));
        while (table_cursor_next(&cursor, &key, &value)) {
            CRYPTO_HASH(&rows, "vigil.sim", hash_span(&rows), key, value);
        }
        table_cursor_end(&cursor);
    }
    return rows;
}

static void
look(struct sim_node *node, struct table_txn *txn, uint32_t record_no)
{
    *remembered(node, record_no) = rows_of(txn, record_no);
}

/* Any may be another: begin anew. */
static void
look_at_all(struct sim_node *node, struct table_txn *txn)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    if (node->follower.capacity > 0) {
        memset(node->follower.records, 0, node->follower.capacity * sizeof *node->follower.records);
    }
    table_cursor_init(&cursor, txn, TABLE_RECNO, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        look(node, txn, bytes_read_u32(key.data));
    }
    table_cursor_end(&cursor);
}

static void
look_at_place(struct sim_node *node, struct table_txn *txn, uint64_t place)
{
    struct arena arena = { 0 };
    struct signed_change change;
    struct ident record_id;
    uint32_t record_no = 0;
    uint32_t log_no;
    uint64_t seq;

    if (journal_at(txn, place, &log_no, &seq) != ERR_OK) {
        sim_fail(node->sim, "%s has no place %llu", node->device->name, (unsigned long long)place);
    }
    if (log_no == LOG_NONE && seq == 0) {
        look_at_all(node, txn);
    } else if (log_no == LOG_NONE) {
        look(node, txn, (uint32_t)seq);
    } else if (journal_branch(replica_journal(node->replica), log_no)->descriptor.lane == LANE_CONTROL) {
        /* Keys and statements say nothing of what a record holds. */
    } else if (replica_open_entry(node->replica, log_no, seq, &arena, &change, &record_id) == ERR_OK &&
               record_find(txn,
                           &journal_branch(replica_journal(node->replica), log_no)->descriptor.compartment,
                           &record_id, &record_no) == ERR_OK) {
        look(node, txn, record_no);
    }
    arena_free(&arena);
}

void
follower_catch_up(struct sim_node *node)
{
    uint64_t last = journal_place_last(replica_journal(node->replica));
    struct table_txn *txn = NULL;

    if (node->follower.place >= last || replica_begin_read(node->replica, &txn) != ERR_OK) {
        return;
    }
    while (node->follower.place < last) {
        node->follower.place++;
        look_at_place(node, txn, node->follower.place);
    }
    replica_end_read(node->replica, &txn);
}

void
follower_check(struct sim_node *node)
{
    struct table_txn *txn = NULL;

    follower_catch_up(node);
    if (replica_begin_read(node->replica, &txn) != ERR_OK) {
        sim_fail(node->sim, "%s cannot read", node->device->name);
    }
    for (uint32_t record_no = 1; record_no < node->follower.capacity; record_no++) {
        struct hash rows = rows_of(txn, record_no);

        if (!hash_equal(&rows, remembered(node, record_no))) {
            sim_fail(node->sim, "%s: no place says that record %u is another", node->device->name, record_no);
        }
    }
    struct table_cursor cursor;
    struct span key;
    struct span value;
    table_cursor_init(&cursor, txn, TABLE_RECNO, span_of(NULL, 0));
    if (table_cursor_last(&cursor, &key, &value) && bytes_read_u32(key.data) >= node->follower.capacity) {
        sim_fail(node->sim, "%s: no place names its last record", node->device->name);
    }
    table_cursor_end(&cursor);
    replica_end_read(node->replica, &txn);
}

void
follower_forget(struct sim_node *node)
{
    free(node->follower.records);
    node->follower = (struct sim_follower){ 0 };
}
