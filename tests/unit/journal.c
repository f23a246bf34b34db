/* The journal: trees of logs come back as they were written, with ids found by hashing. */

#include "store/journal.h"
#include "sync/update.h"
#include "tests/support/check.h"
#include "tests/support/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG_LOG = 200 };

static struct test_world test;
static char directory[64];
static struct key storage_key;
static struct table_env *env;
static struct table_txn *txn;
static struct journal *journal;
static struct key_pair author;
static struct descriptor descriptor;
static struct hash log_id;

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
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&test, 7);
    (void)snprintf(directory, sizeof directory, "/tmp/vigil-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    memset(&storage_key, 5, sizeof storage_key);
    crypto_sign_pair(&author, &test.world);
    memset(&descriptor, 0, sizeof descriptor);
    memcpy(descriptor.sign_pk, author.public_key, SIGN_PK_BYTES);
    descriptor.lane = LANE_NORMAL;
    descriptor_log_id(&descriptor, &log_id);
    open_journal();
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
teardown(void)
{
    char command[100];

    close_journal();
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* The entry that would come next on `branch`, with a payload of this size made of `fill`. */
static struct entry
next_entry(const struct log_branch *branch, uint8_t fill, uint32_t size)
{
    static uint8_t payload[PAYLOAD_BYTES_MAX];
    struct entry entry = { .kind = ENTRY_DATA, .lane = LANE_NORMAL, .seq = branch->next_seq };

    memset(payload, fill, size);
    if (branch->next_seq > 0) {
        entry.prev = branch->head_id;
    }
    memset(entry.salt, fill, sizeof entry.salt);
    entry.payload = span_of(payload, size);
    entry.payload_size = size;
    entry_hash_payload(&entry.payload_hash, entry.payload);
    entry_identify(&entry, &log_id);
    return entry;
}

static struct hash
write_entry(struct log_branch *branch, uint8_t fill, uint32_t size)
{
    struct entry entry = next_entry(branch, fill, size);
    uint8_t signature[SIGNATURE_BYTES];

    (void)journal_append(journal, txn, branch, &entry, STATE_MERGED, 0);
    entry_sign(signature, &entry.id, &author);
    journal_keep_signature(journal, txn, branch, signature);
    return entry.id;
}

START_TEST(ids_are_found_again_after_reopening)
{
    struct hash ids[LONG_LOG];
    struct log_branch *branch = journal_begin_log(journal, &descriptor);

    for (unsigned n = 0; n < LONG_LOG; n++) {
        ids[n] = write_entry(branch, (uint8_t)n, 40 + n * 7 % 900);
    }
    close_journal();
    open_journal();
    branch = journal_log(journal, &log_id);
    ck_assert_ptr_nonnull(branch);
    ck_assert_uint_eq(branch->next_seq, LONG_LOG);
    ck_assert(hash_equal(&branch->head_id, &ids[LONG_LOG - 1]));
    ck_assert_ptr_eq(journal_log_by_prefix(journal, log_id.bytes), branch);
    /* In an order that no walk can follow. */
    for (unsigned n = 0; n < LONG_LOG; n++) {
        struct journal_entry entry;
        unsigned seq = n * 73 % LONG_LOG;

        ck_assert_int_eq(journal_read(journal, txn, branch->log_no, seq, &entry), ERR_OK);
        ck_assert(hash_equal(&entry.entry.id, &ids[seq]));
        ck_assert_uint_eq(entry.entry.payload_size, 40 + seq * 7 % 900);
        ck_assert_uint_eq(entry.entry.payload.data[0], (uint8_t)seq);
    }
    struct journal_entry beyond;
    ck_assert_int_eq(journal_read(journal, txn, branch->log_no, LONG_LOG, &beyond), ERR_ABSENT);
}
END_TEST

/* The branches of a compartment, in hex of how many entries each has, the last that came first. */
static const char *
branches_of(uint8_t compartment)
{
    static char text[40];
    struct ident id = { { compartment } };
    size_t size = 0;

    text[0] = '\0';
    for (const struct log_branch *branch = NULL;
         (branch = journal_next_of(journal, &id, branch)) != NULL && size + 2 < sizeof text;) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%" PRIx64,
                                 branch->next_seq - branch->branch_first);
    }
    return text;
}

START_TEST(a_compartment_gives_its_branches_and_no_others)
{
    static const uint8_t order[] = { 5, 2, 9, 5, 2, 5 };

    ck_assert_str_eq(branches_of(5), "");
    for (unsigned n = 0; n < sizeof order; n++) {
        descriptor.compartment = (struct ident){ { order[n] } };
        descriptor.incarnation[0] = (uint8_t)n;
        descriptor_log_id(&descriptor, &log_id);
        struct log_branch *branch = journal_begin_log(journal, &descriptor);
        for (unsigned entry = 0; entry <= n; entry++) {
            (void)write_entry(branch, 1, 20);
        }
    }
    /* A branch of the last log, which leaves it behind its second entry. */
    struct log_branch *fork = journal_begin_branch(journal, txn, journal_log(journal, &log_id)->log_no, 2);
    (void)write_entry(fork, 3, 30);
    for (int times = 0; times < 2; times++) {
        ck_assert_str_eq(branches_of(5), "1641");
        ck_assert_str_eq(branches_of(2), "52");
        ck_assert_str_eq(branches_of(9), "3");
        ck_assert_str_eq(branches_of(1), "");
        ck_assert_str_eq(branches_of(10), "");
        ck_assert_uint_eq(journal_entry_count(journal, &(struct ident){ { 5 } }), 12);
        ck_assert_uint_eq(journal_entry_count(journal, &(struct ident){ { 4 } }), 0);
        close_journal();
        open_journal();
    }
}
END_TEST

/* A row that names an entry may outlive the row of its log. */
START_TEST(i1_an_entry_of_a_log_that_is_not_here_is_damage_and_no_reason_to_end)
{
    struct journal_entry entry;

    (void)write_entry(journal_begin_log(journal, &descriptor), 1, 40);
    ck_assert_int_eq(journal_read(journal, txn, journal_branch_count(journal) + 1, 0, &entry), ERR_CORRUPT);
    ck_assert_int_eq(journal_read(journal, txn, LOG_NONE, 0, &entry), ERR_CORRUPT);
    ck_assert_int_eq(journal_read(journal, txn, 1, 0, &entry), ERR_OK);
}
END_TEST

START_TEST(signatures_are_kept_at_run_ends_and_at_the_tip_only)
{
    struct log_branch *branch = journal_begin_log(journal, &descriptor);
    uint8_t signature[SIGNATURE_BYTES];
    uint64_t seq;

    for (unsigned n = 0; n < 150; n++) {
        (void)write_entry(branch, 1, 50);
    }
    ck_assert_uint_eq(table_count(txn, TABLE_SIG), 3);
    ck_assert_int_eq(journal_signature_after(journal, txn, branch->log_no, 0, &seq, signature), ERR_OK);
    ck_assert_uint_eq(seq, 63);
    ck_assert_int_eq(journal_signature_after(journal, txn, branch->log_no, 64, &seq, signature), ERR_OK);
    ck_assert_uint_eq(seq, 127);
    ck_assert_int_eq(journal_signature_after(journal, txn, branch->log_no, 140, &seq, signature), ERR_OK);
    ck_assert_uint_eq(seq, 149);
    ck_assert_int_eq(journal_signature_after(journal, txn, branch->log_no, 150, &seq, signature), ERR_ABSENT);
}
END_TEST

START_TEST(a_fork_is_read_along_either_branch)
{
    struct log_branch *branch = journal_begin_log(journal, &descriptor);
    struct hash main_ids[100];
    struct hash fork_ids[100];

    for (unsigned n = 0; n < 100; n++) {
        main_ids[n] = write_entry(branch, 1, 60);
    }
    struct log_branch *fork = journal_begin_branch(journal, txn, branch->log_no, 70);
    ck_assert_ptr_nonnull(fork);
    ck_assert_uint_eq(fork->run.count, 6);
    for (unsigned n = 70; n < 90; n++) {
        fork_ids[n] = write_entry(fork, 2, 60);
    }
    close_journal();
    open_journal();
    branch = journal_log(journal, &log_id);
    ck_assert_uint_ne(branch->sibling, LOG_NONE);
    fork = journal_branch(journal, branch->sibling);
    for (unsigned n = 0; n < 90; n++) {
        struct journal_entry entry;

        ck_assert_int_eq(journal_read(journal, txn, fork->log_no, 89 - n, &entry), ERR_OK);
        ck_assert(hash_equal(&entry.entry.id, 89 - n < 70 ? &main_ids[89 - n] : &fork_ids[89 - n]));
        ck_assert_int_eq(journal_read(journal, txn, branch->log_no, n, &entry), ERR_OK);
        ck_assert(hash_equal(&entry.entry.id, &main_ids[n]));
    }
    /* A chunk of the fork that starts before it ends at the fork's own signature, or at a run's end below. */
    uint8_t signature[SIGNATURE_BYTES];
    uint64_t seq;
    ck_assert_int_eq(journal_signature_after(journal, txn, fork->log_no, 64, &seq, signature), ERR_OK);
    ck_assert_uint_eq(seq, 89);
    ck_assert_int_eq(journal_signature_after(journal, txn, fork->log_no, 3, &seq, signature), ERR_OK);
    ck_assert_uint_eq(seq, 63);
}
END_TEST

/* The run of a fork is counted from seq 0 of its own way, whatever was kept where it left. */
START_TEST(a_forks_run_is_counted_along_its_own_way)
{
    struct log_branch *branch = journal_begin_log(journal, &descriptor);
    struct run run;

    (void)write_entry(branch, 1, 6000);
    (void)write_entry(branch, 1, 6000);
    (void)write_entry(branch, 1, 6000); /* begins a run: the signature of seq 1 stays */
    struct log_branch *fork = journal_begin_branch(journal, txn, branch->log_no, 2);
    ck_assert_uint_eq(fork->run.count, 2);
    (void)write_entry(fork, 2, 100); /* does not */
    (void)write_entry(fork, 2, 100);
    ck_assert_uint_eq(fork->run.count, 4);
    ck_assert_int_eq(journal_run_before(journal, txn, fork->log_no, 4, &run), ERR_OK);
    ck_assert_uint_eq(run.count, 4);
    ck_assert_uint_eq(run.payload_bytes, 12200);
}
END_TEST

START_TEST(arrival_order_is_kept)
{
    struct log_branch *branch = journal_begin_log(journal, &descriptor);
    uint32_t log_no;
    uint64_t seq;

    for (unsigned n = 0; n < 10; n++) {
        (void)write_entry(branch, 1, 30);
    }
    ck_assert_uint_eq(journal_place_last(journal), 10);
    ck_assert_int_eq(journal_at(txn, 4, &log_no, &seq), ERR_OK);
    ck_assert_uint_eq(log_no, branch->log_no);
    ck_assert_uint_eq(seq, 3);
    ck_assert_int_eq(journal_at(txn, 11, &log_no, &seq), ERR_ABSENT);

    /* A record has a place too, and one is enough for a turn; who saw that must see the next. */
    journal_append_record(journal, txn, 7);
    journal_append_record(journal, txn, 7);
    ck_assert_uint_eq(journal_place_last(journal), 11);
    ck_assert_int_eq(journal_at(txn, 11, &log_no, &seq), ERR_OK);
    ck_assert_uint_eq(log_no, LOG_NONE);
    ck_assert_uint_eq(seq, 7);
    journal_append_record(journal, txn, 0);
    ck_assert_uint_eq(journal_place_last(journal), 12);
    journal_append_record(journal, txn, 7);
    journal_flush(journal, txn);
    journal_append_record(journal, txn, 7);
    ck_assert_uint_eq(journal_place_last(journal), 14);
}
END_TEST

START_TEST(what_is_pending_holds_the_visible_mark_back)
{
    struct log_branch *branch = journal_begin_log(journal, &descriptor);

    (void)write_entry(branch, 1, 30);
    struct entry entry = next_entry(branch, 2, 30);
    (void)journal_append(journal, txn, branch, &entry, STATE_NEEDS_KEY, 0);
    (void)write_entry(branch, 3, 30);
    ck_assert_uint_eq(branch->visible_next, 1);
    ck_assert_uint_eq(branch->pending_count, 1);
    ck_assert_int_eq(journal_set_state(journal, txn, branch->log_no, 1, STATE_MERGED, 0), ERR_OK);
    ck_assert_uint_eq(branch->visible_next, 3);
}
END_TEST

static const struct ident order = { "an order of 16 b" };

/* The row of an entry, as it is stored. */
static struct span
row_of(uint32_t log_no, uint64_t seq)
{
    uint8_t key[12];
    struct span row;

    bytes_write_u32(key, log_no);
    bytes_write_u64(key + 4, seq);
    ck_assert_int_eq(table_get(txn, TABLE_ENT, span_of(key, sizeof key), &row), ERR_OK);
    return row;
}

START_TEST(w9_of_an_erased_entry_header_hash_and_order_are_left)
{
    enum { COUNT = 70, ERASED = 33 };
    struct hash ids[COUNT];
    struct hash payload_hash;
    struct journal_entry entry;
    struct log_branch *branch = journal_begin_log(journal, &descriptor);

    for (unsigned n = 0; n < COUNT; n++) {
        ids[n] = write_entry(branch, (uint8_t)n, 100 + n);
    }
    ck_assert_int_eq(journal_read(journal, txn, branch->log_no, ERASED, &entry), ERR_OK);
    payload_hash = entry.entry.payload_hash;
    ck_assert(ident_is_zero(&entry.order));
    ck_assert_int_eq(journal_erase(journal, txn, branch->log_no, ERASED, &order), ERR_OK);
    ck_assert_int_eq(journal_erase(journal, txn, branch->log_no, ERASED, &descriptor.compartment), ERR_OK);
    ck_assert_int_eq(journal_erase(journal, txn, branch->log_no, COUNT, &order), ERR_ABSENT);
    /* head, payload_hash, payload_size, order: nothing else */
    ck_assert_uint_eq(row_of(branch->log_no, ERASED).size, 35 + 32 + 4 + 16);
    close_journal();
    open_journal();
    branch = journal_log(journal, &log_id);
    for (unsigned n = 0; n < COUNT; n++) {
        ck_assert_int_eq(journal_read(journal, txn, branch->log_no, n, &entry), ERR_OK);
        ck_assert(hash_equal(&entry.entry.id, &ids[n]));
        ck_assert_uint_eq(entry.entry.payload_size, 100 + n);
        ck_assert_int_eq(entry.state, n == ERASED ? STATE_ERASED : STATE_MERGED);
        ck_assert_int_eq(entry.entry.payload.data == NULL, n == ERASED);
        ck_assert_int_eq(ident_equal(&entry.order, &order), n == ERASED);
    }
    ck_assert_int_eq(journal_read(journal, txn, branch->log_no, ERASED, &entry), ERR_OK);
    ck_assert(hash_equal(&entry.entry.payload_hash, &payload_hash));
    /* There is no way back. */
    ck_assert_int_eq(journal_set_state(journal, txn, branch->log_no, ERASED, STATE_MERGED, 0), ERR_OK);
    ck_assert_int_eq(journal_read(journal, txn, branch->log_no, ERASED, &entry), ERR_OK);
    ck_assert_int_eq(entry.state, STATE_ERASED);
}
END_TEST

START_TEST(w4_an_entry_that_comes_late_is_appended_without_its_payload)
{
    struct journal_entry stored;
    uint8_t signature[SIGNATURE_BYTES];
    struct log_branch *branch = journal_begin_log(journal, &descriptor);

    (void)write_entry(branch, 1, 50);
    struct entry entry = next_entry(branch, 0x5a, 900);
    entry_sign(signature, &entry.id, &author);
    (void)journal_append_erased(journal, txn, branch, &entry, &order);
    journal_keep_signature(journal, txn, branch, signature);
    struct hash last = write_entry(branch, 3, 50);
    ck_assert_uint_eq(branch->visible_next, 3);
    ck_assert_uint_eq(row_of(branch->log_no, 1).size, 35 + 32 + 4 + 16);
    ck_assert_int_eq(journal_read(journal, txn, branch->log_no, 1, &stored), ERR_OK);
    ck_assert(hash_equal(&stored.entry.id, &entry.id));
    ck_assert(ident_equal(&stored.order, &order));
    ck_assert_uint_eq(stored.entry.payload_size, 900);
    ck_assert_int_eq(journal_read(journal, txn, branch->log_no, 2, &stored), ERR_OK);
    ck_assert(hash_equal(&stored.entry.id, &last));
}
END_TEST

START_TEST(erasing_what_waits_moves_the_visible_mark)
{
    struct log_branch *branch = journal_begin_log(journal, &descriptor);

    struct entry entry = next_entry(branch, 2, 30);
    (void)journal_append(journal, txn, branch, &entry, STATE_NEEDS_KEY, 0);
    (void)write_entry(branch, 3, 30);
    ck_assert_uint_eq(branch->visible_next, 0);
    ck_assert_int_eq(journal_erase(journal, txn, branch->log_no, 0, &order), ERR_OK);
    ck_assert_uint_eq(branch->visible_next, 2);
    ck_assert_uint_eq(branch->pending_count, 0);
}
END_TEST

START_TEST(w5_the_bytes_of_a_damaged_entry_are_destroyed_too)
{
    static uint8_t file_bytes[4 << 20];
    struct journal_entry entry;
    char path[100];
    struct log_branch *branch = journal_begin_log(journal, &descriptor);

    (void)write_entry(branch, 1, 50);
    (void)write_entry(branch, 0x77, 700);
    (void)write_entry(branch, 3, 50);
    uint32_t log_no = branch->log_no;
    close_journal();
    /* Flip a bit of each copy of its payload. */
    (void)snprintf(path, sizeof path, "%s/data.mdb", directory);
    FILE *file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(file_bytes, 1, sizeof file_bytes, file);
    uint8_t run[300];
    memset(run, 0x77, sizeof run);
    int flipped = 0;
    for (uint8_t *at = file_bytes;
         (at = memmem(at, size - (size_t)(at - file_bytes), run, sizeof run)) != NULL; at += 700) {
        at[100] ^= 1;
        flipped++;
    }
    rewind(file);
    ck_assert_uint_eq(fwrite(file_bytes, 1, size, file), size);
    fclose(file);
    ck_assert_int_ge(flipped, 1);
    open_journal();
    ck_assert_int_eq(journal_read(journal, txn, log_no, 1, &entry), ERR_CORRUPT);
    ck_assert_int_eq(journal_erase(journal, txn, log_no, 1, &order), ERR_CORRUPT);
    ck_assert_int_eq(table_error(txn), ERR_OK);
    ck_assert_ptr_null(memmem(row_of(log_no, 1).data, row_of(log_no, 1).size, run, 4));
    ck_assert_int_eq(journal_erase(journal, txn, log_no, 1, &order), ERR_OK);
    /* It is not mended by that: what it said is not known. */
    ck_assert_int_eq(journal_read(journal, txn, log_no, 0, &entry), ERR_OK);
    ck_assert_int_eq(journal_read(journal, txn, log_no, 1, &entry), ERR_CORRUPT);
    ck_assert_int_eq(journal_read(journal, txn, log_no, 2, &entry), ERR_CORRUPT);
}
END_TEST

SUITE_MAIN_WITH("journal", setup, teardown, ids_are_found_again_after_reopening,
                a_compartment_gives_its_branches_and_no_others,
                i1_an_entry_of_a_log_that_is_not_here_is_damage_and_no_reason_to_end,
                signatures_are_kept_at_run_ends_and_at_the_tip_only, a_fork_is_read_along_either_branch,
                a_forks_run_is_counted_along_its_own_way, arrival_order_is_kept,
                what_is_pending_holds_the_visible_mark_back,
                w9_of_an_erased_entry_header_hash_and_order_are_left,
                w4_an_entry_that_comes_late_is_appended_without_its_payload,
                erasing_what_waits_moves_the_visible_mark, w5_the_bytes_of_a_damaged_entry_are_destroyed_too)
