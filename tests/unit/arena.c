#include "tests/support/check.h"

#include "store/base/arena.h"

#include <stdalign.h>
#include <string.h>

static struct arena arena;

static void
teardown(void)
{
    arena_free(&arena);
}

START_TEST(pieces_are_aligned_apart_and_keep_their_bytes)
{
    uint8_t *pieces[300];

    for (size_t n = 0; n < 300; n++) {
        size_t size = n * 7 % 900;
        pieces[n] = arena_take(&arena, size);
        ck_assert_ptr_nonnull(pieces[n]);
        ck_assert_uint_eq((uintptr_t)pieces[n] % alignof(max_align_t), 0);
        memset(pieces[n], (int)n, size);
    }
    for (size_t n = 0; n < 300; n++) {
        for (size_t at = 0; at < n * 7 % 900; at++) {
            ck_assert_uint_eq(pieces[n][at], (uint8_t)n);
        }
    }
}
END_TEST

START_TEST(a_piece_may_be_larger_than_any_block)
{
    uint8_t *large = arena_take(&arena, 5 << 20);

    ck_assert_ptr_nonnull(large);
    memset(large, 1, 5 << 20);
    ck_assert_ptr_nonnull(arena_take(&arena, 1));
    ck_assert_uint_ge(arena_bytes(&arena), 5 << 20);
}
END_TEST

START_TEST(an_array_is_cleared_even_where_pieces_were_before)
{
    memset(arena_take(&arena, 2000), 0xff, 2000);
    arena_reset(&arena);
    const uint64_t *array = arena_take_array(&arena, 200, sizeof *array);
    for (size_t n = 0; n < 200; n++) {
        ck_assert_uint_eq(array[n], 0);
    }
}
END_TEST

START_TEST(a_reset_arena_takes_no_new_memory_for_the_same_work)
{
    for (int round = 0; round < 3; round++) {
        size_t before = arena_bytes(&arena);
        for (size_t n = 0; n < 1000; n++) {
            ck_assert_ptr_nonnull(arena_take(&arena, 333));
        }
        ck_assert(round == 0 || arena_bytes(&arena) == before);
        arena_reset(&arena);
    }
}
END_TEST

START_TEST(what_cannot_be_had_fails_and_stays_so_until_a_reset)
{
    ck_assert_ptr_null(arena_take(&arena, SIZE_MAX));
    ck_assert(arena.failed);
    ck_assert_ptr_null(arena_take(&arena, 1));
    ck_assert_ptr_null(arena_copy(&arena, span_text("lost")).data);
    arena_reset(&arena);
    ck_assert(!arena.failed);
    ck_assert_ptr_nonnull(arena_take(&arena, 1));
    ck_assert_ptr_null(arena_take_array(&arena, SIZE_MAX / 2, 3));
    ck_assert(arena.failed);
}
END_TEST

START_TEST(a_copy_is_the_same_bytes_elsewhere)
{
    struct span text = span_text("a narrative");
    struct span copy = arena_copy(&arena, text);

    ck_assert(span_equal(text, copy));
    ck_assert_ptr_ne(text.data, copy.data);
    /* Empty is a value; nothing is not. */
    ck_assert_ptr_nonnull(arena_copy(&arena, span_of(NULL, 0)).data);
}
END_TEST

SUITE_MAIN_WITH("arena", NULL, teardown, pieces_are_aligned_apart_and_keep_their_bytes,
                a_piece_may_be_larger_than_any_block, an_array_is_cleared_even_where_pieces_were_before,
                a_reset_arena_takes_no_new_memory_for_the_same_work,
                what_cannot_be_had_fails_and_stays_so_until_a_reset, a_copy_is_the_same_bytes_elsewhere)
