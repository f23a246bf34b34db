#include "tests/support/check.h"

#include "sync/frontier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOGS = 1000, MOVED = 50, MESSAGE_OVERHEAD = 35 };

static const uint8_t tag[TAG_BYTES] = { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7 };
static struct frontier ours;
static struct frontier theirs;
static struct checkpoint checkpoint;
static struct peer_view view;
static struct buf out;

static void
tear_down(void)
{
    frontier_free(&ours);
    frontier_free(&theirs);
    checkpoint_free(&checkpoint);
    peer_view_free(&view);
    buf_free(&out);
}

/* Log `n`, its tip at `seq`; ids look random, as hashes do. */
static struct tip
tip_at(uint64_t n, uint64_t seq)
{
    struct tip tip = { .seq = seq };

    CRYPTO_HASH(&tip.log_id, "test.log", span_of(&n, sizeof n));
    CRYPTO_HASH(&tip.entry_id, "test.entry", span_of(&n, sizeof n), span_of(&seq, sizeof seq));
    return tip;
}

static struct tip
branch_at(uint64_t n, uint64_t seq, uint64_t first, uint8_t id)
{
    struct tip tip = tip_at(n, seq);

    tip.entry_id.bytes[0] = id;
    tip.branch_first = first;
    memset(tip.branch_id, id, SHORT_BYTES);
    return tip;
}

static void
set(struct frontier *frontier, struct tip tip)
{
    ck_assert_int_eq(frontier_set(frontier, &tip), ERR_OK);
}

static void
set_fork(struct frontier *frontier, const struct tip *tips, size_t count)
{
    ck_assert_int_eq(frontier_set_log(frontier, &tips[0].log_id, tips, count), ERR_OK);
}

static void
thousand_logs(struct frontier *frontier, uint64_t seq)
{
    for (uint64_t n = 0; n < LOGS; n++) {
        set(frontier, tip_at(n, seq + n % 7));
    }
}

static struct front
built(const struct frontier *frontier, enum front_mode mode, const struct checkpoint *over)
{
    struct frame frame;

    buf_clear(&out);
    front_build(&out, tag, frontier, mode, over);
    ck_assert(!out.failed);
    ck_assert(frame_read(buf_span(&out), &frame));
    ck_assert_int_eq((int)frame.type, FRAME_FRONT);
    return frame.front;
}

START_TEST(tips_are_sorted_whatever_the_order_they_come_in)
{
    for (uint64_t n = 0; n < 100; n++) {
        set(&ours, tip_at(n * 37 % 100, n));
        set(&theirs, tip_at(99 - n, (99 - n) * 73 % 100));
    }
    /* 37 * 73 = 1 modulo 100: both hold the same tips. */
    ck_assert_uint_eq(ours.count, 100);
    for (size_t n = 1; n < ours.count; n++) {
        ck_assert_int_lt(hash_compare(&ours.tips[n - 1].log_id, &ours.tips[n].log_id), 0);
    }
    ck_assert_mem_eq(frontier_digest(&ours), frontier_digest(&theirs), DIGEST_BYTES);
    ck_assert_mem_eq(frontier_list_id(&ours), frontier_list_id(&theirs), SHORT_BYTES);
}
END_TEST

/* Computed from the definition, by hand. */
START_TEST(the_digest_is_the_hash_of_sorted_rows)
{
    struct tip first = tip_at(1, 5);
    struct tip second = tip_at(2, 9);
    struct hash expected;
    uint8_t seqs[16];
    uint8_t zero[16] = { 0 };

    if (hash_compare(&first.log_id, &second.log_id) > 0) {
        struct tip swap = first;
        first = second;
        second = swap;
    }
    set(&ours, second);
    set(&ours, first);
    bytes_write_u64(seqs, first.seq);
    bytes_write_u64(seqs + 8, second.seq);
    CRYPTO_HASH(&expected, "vigil.front.v1", hash_span(&first.log_id), span_of(seqs, 8),
                hash_span(&first.entry_id), hash_span(&second.log_id), span_of(seqs + 8, 8),
                hash_span(&second.entry_id));
    ck_assert_mem_eq(frontier_digest(&ours), expected.bytes, DIGEST_BYTES);
    CRYPTO_HASH(&expected, "vigil.list.v1", hash_span(&first.log_id), span_of(zero, 16),
                hash_span(&second.log_id), span_of(zero, 16));
    ck_assert_mem_eq(frontier_list_id(&ours), expected.bytes, SHORT_BYTES);
}
END_TEST

/* Two tips of one log are hashed by seq, though the list has them by branch. */
START_TEST(the_digest_of_a_fork_goes_by_seq)
{
    struct tip tips[2] = { branch_at(1, 9, 4, 0x10), branch_at(1, 5, 4, 0x20) };
    struct hash expected;
    uint8_t seqs[16];

    set_fork(&ours, tips, 2);
    bytes_write_u64(seqs, 5);
    bytes_write_u64(seqs + 8, 9);
    CRYPTO_HASH(&expected, "vigil.front.v1", hash_span(&tips[1].log_id), span_of(seqs, 8),
                hash_span(&tips[1].entry_id), hash_span(&tips[0].log_id), span_of(seqs + 8, 8),
                hash_span(&tips[0].entry_id));
    ck_assert_mem_eq(frontier_digest(&ours), expected.bytes, DIGEST_BYTES);
    ck_assert(frontier_forked(&ours, 0));
    ck_assert(frontier_forked(&ours, 1));
    ck_assert_uint_eq(ours.tips[0].branch_id[0], 0x10);
}
END_TEST

START_TEST(a_change_is_seen_in_the_digest_and_undone_by_its_reverse)
{
    uint8_t before[DIGEST_BYTES];

    for (uint64_t n = 0; n < 20; n++) {
        set(&ours, tip_at(n, n));
    }
    memcpy(before, frontier_digest(&ours), DIGEST_BYTES);
    uint64_t changes = ours.change_count;
    set(&ours, tip_at(3, 4));
    ck_assert_uint_gt(ours.change_count, changes);
    ck_assert_mem_ne(frontier_digest(&ours), before, DIGEST_BYTES);
    set(&ours, tip_at(3, 3));
    ck_assert_mem_eq(frontier_digest(&ours), before, DIGEST_BYTES);
    struct tip more = tip_at(77, 0);
    set(&ours, more);
    frontier_remove(&ours, &more.log_id);
    ck_assert_mem_eq(frontier_digest(&ours), before, DIGEST_BYTES);
    ck_assert_uint_eq(ours.count, 20);
}
END_TEST

START_TEST(entries_are_counted_once_whatever_branches_share_them)
{
    const struct tip branches[] = { branch_at(2, 10, 4, 0xaa), branch_at(2, 6, 4, 0xbb) };

    ck_assert_uint_eq(frontier_entry_count(&ours), 0);
    set(&ours, tip_at(1, 6));
    ck_assert_uint_eq(frontier_entry_count(&ours), 7);
    set_fork(&ours, branches, 2);
    /* 0 to 3 before the fork, 4 to 10 on one branch, 4 to 6 on the other. */
    ck_assert_uint_eq(frontier_entry_count(&ours), 7 + 4 + 7 + 3);
}
END_TEST

START_TEST(a_log_is_found_by_its_first_bytes)
{
    for (uint64_t n = 0; n < 50; n++) {
        set(&ours, tip_at(n, n));
    }
    struct tip there = tip_at(33, 0);
    struct tip not_there = tip_at(333, 0);
    const struct tip *found = frontier_find(&ours, there.log_id.bytes);
    ck_assert_ptr_nonnull(found);
    ck_assert_uint_eq(found->seq, 33);
    ck_assert_ptr_null(frontier_find(&ours, not_there.log_id.bytes));
}
END_TEST

START_TEST(only_the_slice_of_a_changed_log_differs)
{
    uint8_t before[SLICE_COUNT * SHORT_BYTES];
    uint8_t after[SLICE_COUNT * SHORT_BYTES];

    thousand_logs(&ours, 10);
    frontier_slices(&ours, before);
    struct tip moved = tip_at(5, 500);
    set(&ours, moved);
    frontier_slices(&ours, after);
    for (size_t slice = 0; slice < SLICE_COUNT; slice++) {
        bool differs = memcmp(before + slice * SHORT_BYTES, after + slice * SHORT_BYTES, SHORT_BYTES) != 0;
        ck_assert(differs == (slice == moved.log_id.bytes[0] >> 4));
    }
}
END_TEST

START_TEST(fifty_of_a_thousand_logs_moved_cost_160_bytes_at_most)
{
    thousand_logs(&ours, 3000);
    ck_assert_int_eq(checkpoint_take(&checkpoint, &ours, 1), ERR_OK);
    for (uint64_t n = 0; n < MOVED; n++) {
        set(&ours, tip_at(n * 20 + 3, 3000 + (n * 20 + 3) % 7 + 1 + n));
    }
    ck_assert_int_eq((int)front_best_mode(&ours, &checkpoint), FRONT_DELTA);
    struct front front = built(&ours, FRONT_DELTA, &checkpoint);
    printf("delta frontier, %d of %d logs: %zu bytes with its message\n", MOVED, LOGS,
           out.size + MESSAGE_OVERHEAD);
    ck_assert_uint_eq(front.list_count, MOVED);
    ck_assert_uint_le(out.size + MESSAGE_OVERHEAD, 160);
    ck_assert_int_eq((int)front_view(&front, &checkpoint, 1, &theirs, &view), FRONT_OK);
    ck_assert_uint_eq(view.count, LOGS);
    for (size_t n = 0; n < ours.count; n++) {
        ck_assert_uint_eq(peer_view_has(&view, &ours.tips[n], false), ours.tips[n].seq + 1);
    }
}
END_TEST

START_TEST(a_full_frontier_of_a_thousand_logs_costs_2300_bytes_at_most)
{
    thousand_logs(&ours, 3000);
    ck_assert_int_eq(checkpoint_take(&checkpoint, &ours, 1), ERR_OK);
    struct front front = built(&ours, FRONT_HEADS, &checkpoint);
    printf("full frontier, %d logs: %zu bytes with its message\n", LOGS, out.size + MESSAGE_OVERHEAD);
    ck_assert_uint_le(out.size + MESSAGE_OVERHEAD, 2300);
    ck_assert_int_eq((int)front_view(&front, &checkpoint, 1, &theirs, &view), FRONT_OK);
    for (size_t n = 0; n < ours.count; n++) {
        ck_assert_uint_eq(peer_view_has(&view, &ours.tips[n], false), ours.tips[n].seq + 1);
    }
}
END_TEST

START_TEST(logs_that_are_new_follow_the_list)
{
    for (uint64_t n = 0; n < 10; n++) {
        set(&ours, tip_at(n, n));
    }
    ck_assert_int_eq(checkpoint_take(&checkpoint, &ours, 1), ERR_OK);
    set(&ours, tip_at(100, 7));
    set(&ours, tip_at(4, 9));
    for (int mode = FRONT_DELTA; mode <= FRONT_NAMES; mode++) {
        struct front front = built(&ours, (enum front_mode)mode, &checkpoint);
        /* The reader has the same logs, a little behind: names cut short are completed from there. */
        frontier_free(&theirs);
        for (size_t n = 0; n < ours.count; n++) {
            struct tip tip = ours.tips[n];
            tip.seq = 0;
            set(&theirs, tip);
        }
        ck_assert_int_eq((int)front_view(&front, &checkpoint, 1, &theirs, &view), FRONT_OK);
        ck_assert_uint_eq(view.count, 11);
        for (size_t n = 0; n < ours.count; n++) {
            ck_assert_uint_eq(peer_view_has(&view, &theirs.tips[n], false), ours.tips[n].seq + 1);
        }
    }
}
END_TEST

START_TEST(a_fork_after_the_checkpoint_is_told_by_names)
{
    struct tip tips[2] = { branch_at(4, 30, 12, 0x10), branch_at(4, 20, 12, 0x20) };

    for (uint64_t n = 0; n < 10; n++) {
        set(&ours, tip_at(n, n));
    }
    ck_assert_int_eq(checkpoint_take(&checkpoint, &ours, 1), ERR_OK);
    set_fork(&ours, tips, 2);
    ck_assert_int_eq((int)front_best_mode(&ours, &checkpoint), FRONT_NAMES);
    struct front front = built(&ours, FRONT_NAMES, NULL);
    ck_assert_int_eq((int)front_view(&front, &checkpoint, 1, &ours, &view), FRONT_OK);
    ck_assert_uint_eq(peer_view_has(&view, &tips[0], true), 31);
    ck_assert_uint_eq(peer_view_has(&view, &tips[1], true), 21);
    /* A branch that the peer does not name: what lies below the fork it has. */
    struct tip third = branch_at(4, 40, 12, 0x30);
    ck_assert_uint_eq(peer_view_has(&view, &third, true), 12);
    /* Ours has not forked: the branch that is least far may be ours. */
    ck_assert_uint_eq(peer_view_has(&view, &third, false), 21);
}
END_TEST

START_TEST(a_cut_that_moves_a_tip_back_is_told_by_heads)
{
    for (uint64_t n = 0; n < 10; n++) {
        set(&ours, tip_at(n, 50));
    }
    ck_assert_int_eq(checkpoint_take(&checkpoint, &ours, 1), ERR_OK);
    set(&ours, tip_at(3, 20));
    ck_assert_int_eq((int)front_best_mode(&ours, &checkpoint), FRONT_HEADS);
    struct tip cut = tip_at(3, 20);
    frontier_remove(&ours, &cut.log_id);
    ck_assert_int_eq((int)front_best_mode(&ours, &checkpoint), FRONT_NAMES);
    ck_assert_int_eq((int)front_best_mode(&ours, NULL), FRONT_NAMES);
}
END_TEST

START_TEST(an_unknown_checkpoint_or_list_is_said_so)
{
    struct checkpoint other = { 0 };

    thousand_logs(&ours, 1);
    ck_assert_int_eq(checkpoint_take(&checkpoint, &ours, 1), ERR_OK);
    struct front front = built(&ours, FRONT_DELTA, &checkpoint);
    ck_assert_int_eq((int)front_view(&front, NULL, 0, &ours, &view), FRONT_UNKNOWN_CHECKPOINT);
    set(&theirs, tip_at(9999, 1));
    ck_assert_int_eq(checkpoint_take(&other, &theirs, 2), ERR_OK);
    ck_assert_int_eq((int)front_view(&front, &other, 1, &ours, &view), FRONT_UNKNOWN_CHECKPOINT);
    front = built(&ours, FRONT_HEADS, &checkpoint);
    ck_assert_int_eq((int)front_view(&front, &other, 1, &ours, &view), FRONT_UNKNOWN_LIST);
    /* The same logs at other heads: another checkpoint, the same list. */
    frontier_free(&theirs);
    thousand_logs(&theirs, 2);
    ck_assert_int_eq(checkpoint_take(&other, &theirs, 3), ERR_OK);
    ck_assert_int_eq((int)front_view(&front, &other, 1, &ours, &view), FRONT_OK);
    checkpoint_free(&other);
}
END_TEST

START_TEST(places_outside_of_the_list_are_malformed)
{
    struct frame frame;

    set(&ours, tip_at(1, 1));
    set(&ours, tip_at(2, 2));
    ck_assert_int_eq(checkpoint_take(&checkpoint, &ours, 1), ERR_OK);
    front_write(&out, tag, FRONT_DELTA, checkpoint.id, 1);
    front_delta_write(&out, 2, 1);
    front_extra_count_write(&out, 0);
    ck_assert(frame_read(buf_span(&out), &frame));
    ck_assert_int_eq((int)front_view(&frame.front, &checkpoint, 1, &ours, &view), FRONT_MALFORMED);
    buf_clear(&out);
    front_write(&out, tag, FRONT_DELTA, checkpoint.id, 2);
    front_delta_write(&out, 1, 1);
    front_delta_write(&out, UINT64_MAX, 1);
    front_extra_count_write(&out, 0);
    ck_assert(frame_read(buf_span(&out), &frame));
    ck_assert_int_eq((int)front_view(&frame.front, &checkpoint, 1, &ours, &view), FRONT_MALFORMED);
    buf_clear(&out);
    front_write(&out, tag, FRONT_HEADS, checkpoint.list_id, 3);
    for (int n = 0; n < 3; n++) {
        front_heads_write(&out, 1);
    }
    front_extra_count_write(&out, 0);
    ck_assert(frame_read(buf_span(&out), &frame));
    ck_assert_int_eq((int)front_view(&frame.front, &checkpoint, 1, &ours, &view), FRONT_MALFORMED);
    ck_assert_uint_eq(view.count, 0);
}
END_TEST

START_TEST(a_checkpoint_comes_back_from_its_bytes)
{
    struct checkpoint read = { 0 };
    struct tip tips[2] = { branch_at(4, 30, 12, 0x10), branch_at(4, 20, 12, 0x20) };

    for (uint64_t n = 0; n < 200; n++) {
        set(&ours, tip_at(n, n * n));
    }
    set_fork(&ours, tips, 2);
    ck_assert_int_eq(checkpoint_take(&checkpoint, &ours, 7), ERR_OK);
    checkpoint_write(&out, &checkpoint);
    ck_assert_int_eq(checkpoint_read(buf_span(&out), &read), ERR_OK);
    ck_assert_uint_eq(read.serial, 7);
    ck_assert_uint_eq(read.count, 201);
    ck_assert_mem_eq(read.id, checkpoint.id, SHORT_BYTES);
    ck_assert_mem_eq(read.list_id, checkpoint.list_id, SHORT_BYTES);
    for (size_t n = 0; n < read.count; n++) {
        ck_assert(hash_equal(&read.tips[n].log_id, &checkpoint.tips[n].log_id));
        ck_assert_uint_eq(read.tips[n].seq, checkpoint.tips[n].seq);
        ck_assert_uint_eq(read.tips[n].branch_first, checkpoint.tips[n].branch_first);
    }
    ck_assert_int_eq(checkpoint_read(span_of(out.data, out.size - 1), &read), ERR_INVALID);
    ck_assert_uint_eq(read.serial, 7);
    checkpoint_free(&read);
}
END_TEST

START_TEST(a_frontier_too_large_for_a_frame_is_told_as_far_as_it_fits)
{
    for (uint64_t n = 0; n < 3000; n++) {
        set(&ours, tip_at(n, 1 << 20));
    }
    struct front front = built(&ours, FRONT_NAMES, NULL);
    ck_assert_uint_gt(front.extra_count, 1000);
    ck_assert_uint_le(out.size, FRAME_SMALL_BYTES_MAX);
    ck_assert_int_eq(checkpoint_take(&checkpoint, &ours, 1), ERR_OK);
    set(&ours, tip_at(3000, 1));
    front = built(&ours, FRONT_HEADS, &checkpoint);
    ck_assert_uint_eq(front.list_count, 3000);
    ck_assert_uint_eq(front.extra_count, 1);
    ck_assert_int_eq((int)front_view(&front, &checkpoint, 1, &ours, &view), FRONT_OK);
    ck_assert_uint_eq(view.count, 3001);
}
END_TEST

SUITE_MAIN_WITH("frontier", NULL, tear_down, tips_are_sorted_whatever_the_order_they_come_in,
                the_digest_is_the_hash_of_sorted_rows, the_digest_of_a_fork_goes_by_seq,
                a_change_is_seen_in_the_digest_and_undone_by_its_reverse,
                entries_are_counted_once_whatever_branches_share_them, a_log_is_found_by_its_first_bytes,
                only_the_slice_of_a_changed_log_differs,
                fifty_of_a_thousand_logs_moved_cost_160_bytes_at_most,
                a_full_frontier_of_a_thousand_logs_costs_2300_bytes_at_most,
                logs_that_are_new_follow_the_list, a_fork_after_the_checkpoint_is_told_by_names,
                a_cut_that_moves_a_tip_back_is_told_by_heads, an_unknown_checkpoint_or_list_is_said_so,
                places_outside_of_the_list_are_malformed, a_checkpoint_comes_back_from_its_bytes,
                a_frontier_too_large_for_a_frame_is_told_as_far_as_it_fits)
