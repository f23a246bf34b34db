/* Entries that are held: counted as they come and go, found in slices, and named by what people type. */

#include "store/journal.h"
#include "sync/held.h"
#include "sync/update.h"
#include "tests/support/check.h"
#include "tests/support/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct test_world test;
static char directory[64];
static struct key storage_key;
static struct table_env *env;
static struct table_txn *txn;
static struct journal *journal;

static void
open_journal(void)
{
    struct table_options options = { .path = directory,
                                     .set = TABLE_SET_MAIN,
                                     .key = &storage_key,
                                     .world = &test.world,
                                     .map_bytes = 1 << 24 };

    ck_assert_int_eq(table_env_open(&env, &options), ERR_OK);
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_OK);
    ck_assert_int_eq(journal_open(&journal, txn), ERR_OK);
}

static void
close_journal(void)
{
    journal_flush(journal, txn);
    ck_assert_int_eq(table_commit(&txn), ERR_OK);
    journal_close(&journal);
    table_env_close(&env);
}

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&test, 7);
    (void)snprintf(directory, sizeof directory, "/tmp/vigil-held-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    memset(&storage_key, 5, sizeof storage_key);
    open_journal();
}

static void
teardown(void)
{
    char command[100];

    close_journal();
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* Begin a log of the author with this number. */
static struct log_branch *
begin_log(uint8_t author, uint8_t lane)
{
    struct descriptor descriptor = { .lane = lane };
    struct key_pair pair;
    uint8_t seed[32] = { author };

    crypto_sign_pair_from_seed(&pair, seed);
    memcpy(descriptor.sign_pk, pair.public_key, SIGN_PK_BYTES);
    struct log_branch *branch = journal_begin_log(journal, &descriptor);
    ck_assert_ptr_nonnull(branch);
    return branch;
}

static void
put(struct log_branch *branch, uint8_t fill, enum entry_state state, enum held_reason reason)
{
    static const uint8_t signature[SIGNATURE_BYTES];
    uint8_t payload[40];
    struct entry entry = { .kind = ENTRY_DATA, .lane = branch->descriptor.lane, .seq = branch->next_seq };

    memset(payload, fill, sizeof payload);
    if (branch->next_seq > 0) {
        entry.prev = branch->head_id;
    }
    entry.payload = span_of(payload, sizeof payload);
    entry.payload_size = sizeof payload;
    entry_hash_payload(&entry.payload_hash, entry.payload);
    entry_identify(&entry, &branch->log_id);
    (void)journal_append(journal, txn, branch, &entry, state, (uint8_t)reason);
    journal_keep_signature(journal, txn, branch, signature);
}

static void
put_many(struct log_branch *branch, unsigned merged, unsigned held)
{
    for (unsigned n = 0; n < merged; n++) {
        put(branch, (uint8_t)n, STATE_MERGED, HELD_NOT);
    }
    for (unsigned n = 0; n < held; n++) {
        put(branch, (uint8_t)n, STATE_HELD, HELD_BEYOND_CUT);
    }
}

START_TEST(held_entries_are_counted_by_reason_as_they_come_and_go)
{
    struct log_branch *branch = begin_log(1, LANE_NORMAL);
    struct log_branch *other = begin_log(2, LANE_NORMAL);

    put_many(branch, 3, 4);
    put(branch, 1, STATE_NEEDS_KEY, HELD_NOT);
    put(other, 1, STATE_HELD, HELD_PADDING);
    ck_assert_uint_eq(branch->held_count, 4);
    ck_assert_uint_eq(journal_held_count(journal, HELD_BEYOND_CUT), 4);
    ck_assert_uint_eq(journal_held_count(journal, HELD_PADDING), 1);
    ck_assert_uint_eq(held_count(journal, NULL), 5);
    ck_assert_uint_eq(held_count(journal, &other->device_id), 1);
    close_journal();
    open_journal();
    branch = journal_branch(journal, 1);
    ck_assert_uint_eq(branch->held_count, 4);
    ck_assert_uint_eq(journal_held_count(journal, HELD_BEYOND_CUT), 4);

    /* A cut moves back and forth, and what waited turns out to be wrong. */
    ck_assert_int_eq(journal_set_state(journal, txn, 1, 3, STATE_MERGED, 0), ERR_OK);
    ck_assert_int_eq(journal_set_state(journal, txn, 1, 4, STATE_HELD, HELD_NO_RIGHT), ERR_OK);
    ck_assert_int_eq(journal_set_state(journal, txn, 1, 0, STATE_HELD, HELD_BEYOND_CUT), ERR_OK);
    ck_assert_int_eq(journal_set_state(journal, txn, 1, 7, STATE_HELD, HELD_RECORD_TAG), ERR_OK);
    ck_assert_uint_eq(branch->held_count, 5);
    ck_assert_uint_eq(branch->idle_bytes, 5 * 40);
    ck_assert_uint_eq(journal_held_count(journal, HELD_BEYOND_CUT), 3);
    ck_assert_uint_eq(journal_held_count(journal, HELD_NO_RIGHT), 1);
    ck_assert_uint_eq(journal_held_count(journal, HELD_RECORD_TAG), 1);
    for (uint64_t seq = 0; seq < branch->next_seq; seq++) {
        ck_assert_int_eq(journal_set_state(journal, txn, 1, seq, STATE_MERGED, 0), ERR_OK);
    }
    ck_assert_uint_eq(branch->held_count, 0);
    ck_assert_uint_eq(branch->idle_bytes, 0);
    ck_assert_uint_eq(held_count(journal, NULL), 1);
}
END_TEST

/* Walk to the end; gives how many were found, and in `calls_out` how many calls that took. */
static size_t
walk(const struct hash *device_id, size_t room, unsigned *calls_out)
{
    const struct held_filter filter = { device_id };
    struct held_place place = { 0 };
    struct held_entry found[HELD_SLICE];
    size_t all = 0;

    *calls_out = 0;
    do {
        size_t count = 0;

        ck_assert_int_eq(held_next(journal, txn, &filter, &place, found, room, &count), ERR_OK);
        ck_assert_uint_le(count, room);
        for (size_t n = 0; n < count; n++) {
            struct journal_entry stored;

            ck_assert_int_eq(journal_read(journal, txn, found[n].log_no, found[n].seq, &stored), ERR_OK);
            ck_assert_int_eq(stored.state, STATE_HELD);
            ck_assert(hash_equal(&stored.entry.id, &found[n].entry_id));
            ck_assert_uint_eq(found[n].payload_bytes, 40);
        }
        all += count;
        ++*calls_out;
        ck_assert_uint_lt(*calls_out, 1000);
    } while (!held_ended(journal, &place));
    return all;
}

START_TEST(a_walk_finds_every_held_entry_once_in_slices)
{
    struct log_branch *first = begin_log(1, LANE_NORMAL);
    struct log_branch *second = begin_log(2, LANE_NORMAL);
    struct log_branch *third = begin_log(1, LANE_URGENT);
    unsigned calls;

    put_many(first, 600, 20);
    put_many(second, 10, 0);
    put_many(third, 0, 300);
    ck_assert_uint_eq(walk(NULL, HELD_SLICE, &calls), 320);
    ck_assert_uint_ge(calls, 920 / HELD_SLICE);
    ck_assert_uint_eq(walk(NULL, 7, &calls), 320);
    ck_assert_uint_eq(walk(&first->device_id, HELD_SLICE, &calls), 320);
    ck_assert_uint_eq(walk(&second->device_id, HELD_SLICE, &calls), 0);
    ck_assert_uint_eq(calls, 1);
    /* Where all that are held lie beyond the limit, what lies below is not looked at. */
    first->limit_next = 600;
    third->limit_next = 0;
    ck_assert_uint_eq(walk(NULL, HELD_SLICE, &calls), 320);
    ck_assert_uint_eq(calls, 2);
}
END_TEST

START_TEST(a_held_entry_is_named_by_log_and_seq_and_the_beginning_will_do)
{
    struct log_branch *branch = begin_log(1, LANE_NORMAL);
    char hex[2 * HASH_BYTES + 1];
    char name[120];
    struct held_entry found;

    put_many(branch, 5, 5);
    bytes_hex(hex, hash_span(&branch->log_id));
    (void)snprintf(name, sizeof name, "%.6s:7", hex);
    ck_assert_int_eq(held_find(journal, txn, name, &found), ERR_OK);
    ck_assert_uint_eq(found.seq, 7);
    ck_assert_int_eq(found.reason, HELD_BEYOND_CUT);
    (void)snprintf(name, sizeof name, "%s:7", hex);
    ck_assert_int_eq(held_find(journal, txn, name, &found), ERR_OK);
    struct held_name shown = held_name(journal, &found);
    (void)snprintf(name, sizeof name, "%.12s:7", hex);
    ck_assert_str_eq(shown.text, name);
    (void)snprintf(name, sizeof name, "%.6s:4", hex); /* merged */
    ck_assert_int_eq(held_find(journal, txn, name, &found), ERR_ABSENT);
    (void)snprintf(name, sizeof name, "%.6s:10", hex);
    ck_assert_int_eq(held_find(journal, txn, name, &found), ERR_ABSENT);
    ck_assert_int_eq(held_find(journal, txn, "000000:7", &found), ERR_ABSENT);

    /* Another log that begins alike cannot be made; another branch can. */
    struct log_branch *fork = journal_begin_branch(journal, txn, branch->log_no, 7);
    ck_assert_ptr_nonnull(fork);
    put(fork, 77, STATE_HELD, HELD_BEYOND_CUT);
    (void)snprintf(name, sizeof name, "%.6s:7", hex);
    ck_assert_int_eq(held_find(journal, txn, name, &found), ERR_CONFLICT);
    shown = held_name(journal, &found);
    found.log_no = fork->log_no;
    found.entry_id = fork->head_id;
    shown = held_name(journal, &found);
    ck_assert_int_eq(held_find(journal, txn, shown.text, &found), ERR_OK);
    ck_assert_uint_eq(found.log_no, fork->log_no);
}
END_TEST

START_TEST(what_cannot_be_a_name_is_said_so)
{
    static const char *const names[] = { "",
                                         "12345:7",
                                         "abcdef",
                                         "abcdef:",
                                         "abcdef:x",
                                         "abcdef:7:",
                                         "abcdef:7:z",
                                         "abcdef:7 ",
                                         "KEN-2026-1",
                                         "abcdef:-1",
                                         "abcdef:99999999999999999999" };
    struct held_entry found;

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        ck_assert_msg(held_find(journal, txn, names[n], &found) == ERR_INVALID, "'%s'", names[n]);
    }
}
END_TEST

SUITE_MAIN_WITH("held", setup, teardown, held_entries_are_counted_by_reason_as_they_come_and_go,
                a_walk_finds_every_held_entry_once_in_slices,
                a_held_entry_is_named_by_log_and_seq_and_the_beginning_will_do,
                what_cannot_be_a_name_is_said_so)
