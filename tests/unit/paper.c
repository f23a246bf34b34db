#include "sync/paper.h"
#include "tests/support/check.h"
#include "tests/support/world.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_world world;
static struct paper paper;
static struct paper back;
static struct buf file;
static struct buf text;
static struct buf again;
static struct paper_place place;
static struct joining_fault fault;

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 12);
    paper = (struct paper){ 0 };
    back = (struct paper){ 0 };
    file = (struct buf){ 0 };
    text = (struct buf){ 0 };
    again = (struct buf){ 0 };
    place = (struct paper_place){ 0 };
}

static void
teardown(void)
{
    paper_free(&paper);
    paper_free(&back);
    buf_free(&file);
    buf_free(&text);
    buf_free(&again);
}

static void
split_random(size_t size)
{
    buf_clear(&file);
    world_random(&world.world, buf_extend(&file, size), size);
    paper_free(&paper);
    ck_assert_int_eq(paper_split(&paper, buf_span(&file)), ERR_OK);
}

/* Add `text`; it is good. */
static void
add_text(void)
{
    ck_assert_int_eq(paper_add(&back, buf_span(&text), &place, &fault), ERR_OK);
}

static void
check_back(void)
{
    buf_clear(&again);
    ck_assert_uint_eq(paper_missing(&back), 0);
    ck_assert_int_eq(paper_join(&back, &again), ERR_OK);
    ck_assert(span_equal(buf_span(&again), buf_span(&file)));
}

START_TEST(a_file_of_any_length_comes_back)
{
    static const size_t sizes[] = { 1, 2, 24, 25, 26, 248, 249, 250, 499, 500, 10000 };

    for (size_t at = 0; at < sizeof sizes / sizeof sizes[0]; at++) {
        for (int codes = 0; codes < 2; codes++) {
            split_random(sizes[at]);
            ck_assert_uint_eq(paper.part_count, (sizes[at] + 250) / 250);
            paper_free(&back);
            buf_clear(&text);
            for (uint32_t n = 0; n < paper.part_count; n++) {
                (codes == 1 ? paper_code : paper_text)(&paper, n, &text);
                buf_put_u8(&text, '\n');
            }
            add_text();
            check_back();
        }
    }
}
END_TEST

START_TEST(a_file_of_ours_takes_a_quarter_less_and_comes_back_to_the_byte)
{
    uint8_t bytes[750];

    world_random(&world.world, bytes, sizeof bytes);
    armour_write(&file, "VIGIL WELCOME 1", span_of(bytes, sizeof bytes));
    ck_assert_uint_gt(file.size, 1000);
    ck_assert_int_eq(paper_split(&paper, buf_span(&file)), ERR_OK);
    ck_assert_uint_eq(paper.part_count, 4);
    for (uint32_t n = 0; n < 4; n++) {
        paper_code(&paper, n, &text);
        buf_put_u8(&text, '\n');
    }
    add_text();
    check_back();
    /* As mail leaves it, it is a file like any other. */
    file.data[15] = '\r';
    paper_free(&paper);
    ck_assert_int_eq(paper_split(&paper, buf_span(&file)), ERR_OK);
    ck_assert_uint_gt(paper.part_count, 4);
}
END_TEST

START_TEST(parts_come_in_any_order_and_more_than_once)
{
    static const uint32_t order[] = { 3, 1, 3, 0, 2, 1 };

    split_random(900);
    ck_assert_uint_eq(paper.part_count, 4);
    ck_assert_uint_eq(paper_missing(&back), 1);
    static const uint32_t missing[] = { 1, 1, 1, 3, 0, 0 };
    for (size_t n = 0; n < 6; n++) {
        buf_clear(&text);
        paper_text(&paper, order[n], &text);
        add_text();
        ck_assert_uint_eq(paper_missing(&back), missing[n]);
    }
    check_back();
}
END_TEST

START_TEST(small_letters_and_digits_that_look_like_letters_are_read)
{
    split_random(700);
    for (uint32_t n = 0; n < paper.part_count; n++) {
        buf_clear(&text);
        paper_text(&paper, n, &text);
        size_t letters = (size_t)((uint8_t *)memchr(text.data, '\n', text.size) - text.data);
        for (size_t at = 0; at < text.size; at++) {
            uint8_t *letter = &text.data[at];
            if (at > letters) {
                *letter = *letter == 'O' ? '0' : *letter == 'I' ? '1' : *letter == 'B' ? '8' : *letter;
            }
            *letter = (uint8_t)tolower(*letter);
        }
        add_text();
    }
    check_back();
}
END_TEST

/* What is printed is what can be read, drawings and all. */
START_TEST(drawn_codes_between_the_parts_are_passed_over)
{
    split_random(300);
    for (uint32_t n = 0; n < 2; n++) {
        paper_text(&paper, n, &text);
        buf_put_text(&text, "\n  \xe2\x96\x88\xe2\x96\x80 \xe2\x96\x84\n## ##\n\n");
    }
    add_text();
    check_back();
}
END_TEST

/* Each letter of the printed form, changed to another: noticed at once, or by the check of the whole. */
START_TEST(every_changed_letter_is_noticed_and_most_are_found)
{
    size_t found = 0;
    size_t tried = 0;

    split_random(60);
    paper_text(&paper, 0, &text);
    size_t first = (size_t)((uint8_t *)memchr(text.data, '\n', text.size) - text.data);
    for (size_t at = 0; at < text.size; at++) {
        uint8_t was = text.data[at];
        if (was == ' ' || was == '\n') {
            continue;
        }
        for (const char *other = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; *other != '\0'; other++) {
            if (*other == (char)was) {
                continue;
            }
            text.data[at] = (uint8_t)*other;
            paper_free(&back);
            enum err err = paper_add(&back, buf_span(&text), &place, &fault);
            tried++;
            found += err != ERR_OK;
            if (err != ERR_OK) {
                ck_assert_ptr_nonnull(fault.what);
                ck_assert_ptr_nonnull(fault.why);
                ck_assert_ptr_nonnull(fault.todo);
            } else if (paper_missing(&back) == 0) {
                buf_clear(&again);
                ck_assert_int_eq(paper_join(&back, &again), ERR_CORRUPT);
            }
            if (err == ERR_INVALID && at > first) {
                uint32_t line = 0;
                for (size_t n = first; n < at; n++) {
                    line += text.data[n] == '\n';
                }
                ck_assert_uint_eq(place.part, 1);
                ck_assert_uint_eq(place.line, line);
            }
        }
        text.data[at] = was;
    }
    ck_assert_uint_gt(found * 100, tried * 99);
}
END_TEST

START_TEST(a_missing_or_doubled_letter_is_found_in_its_line)
{
    split_random(250);
    paper_text(&paper, 0, &text);
    size_t first = (size_t)((uint8_t *)memchr(text.data, '\n', text.size) - text.data) + 1;
    for (size_t at = first; at < text.size; at++) {
        if (text.data[at] == ' ' || text.data[at] == '\n') {
            continue;
        }
        buf_clear(&again);
        buf_put(&again, text.data, at);
        buf_put(&again, text.data + at + 1, text.size - at - 1);
        paper_free(&back);
        ck_assert_int_eq(paper_add(&back, buf_span(&again), &place, &fault), ERR_INVALID);
        ck_assert_str_eq(fault.what, "it is mistyped");
        buf_clear(&again);
        buf_put(&again, text.data, at + 1);
        buf_put(&again, text.data + at, text.size - at);
        paper_free(&back);
        ck_assert_int_eq(paper_add(&back, buf_span(&again), &place, &fault), ERR_INVALID);
    }
}
END_TEST

START_TEST(a_part_of_another_file_is_told_apart)
{
    split_random(400);
    paper_text(&paper, 0, &text);
    add_text();
    split_random(400);
    buf_clear(&text);
    paper_text(&paper, 1, &text);
    ck_assert_int_eq(paper_add(&back, buf_span(&text), &place, &fault), ERR_CONFLICT);
    ck_assert_uint_eq(place.part, 2);
    ck_assert_uint_eq(paper_missing(&back), 2);
}
END_TEST

START_TEST(what_is_no_part_is_said_to_be_none)
{
    static const struct {
        const char *text;
        enum err err;
    } bad[] = {
        { "", ERR_INVALID },
        { "hello", ERR_INVALID },
        { "VIGIL", ERR_INVALID },
        { "VIGIL WELCOME 1\nAAAA\n", ERR_INVALID },
        { "VIGIL PART", ERR_INVALID },
        { "VIGIL PART 2 1/1 AAAAAAAA AAAA", ERR_NEWER },
        { "VIGIL PART Q 1/1 AAAAAAAA AAAA", ERR_INVALID },
        { "VIGIL PART 1 0/1 AAAAAAAA AAAA", ERR_INVALID },
        { "VIGIL PART 1 2/1 AAAAAAAA AAAA", ERR_INVALID },
        { "VIGIL PART 1 1/1000 AAAAAAAA AAAA", ERR_INVALID },
        { "VIGIL PART 1 1/99999999999999999999 AAAAAAAA AAAA", ERR_INVALID },
        { "VIGIL PART 1 1-1 AAAAAAAA AAAA", ERR_INVALID },
        { "VIGIL PART 1 1/1 AAAAAAA AAAA", ERR_INVALID },
        { "VIGIL PART 1 1/1 AAAAAAA9 AAAA", ERR_INVALID },
        { "VIGIL PART 1 1/1 AAAAAAAA", ERR_INVALID },
        { "VIGIL PART 1 1/1 AAAAAAAA A", ERR_INVALID },
        { "VIGIL PART 1 1/1 AAAAAAAA AAA", ERR_INVALID },
        { "VIGIL PART 1 1/1 AAAAAAAA AA!A", ERR_INVALID },
        { "VIGIL PART 1 1/2 AAAAAAAA AAAA", ERR_INVALID },
    };

    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        fault = (struct joining_fault){ NULL, NULL, NULL };
        paper_free(&back);
        ck_assert_int_eq(paper_add(&back, span_text(bad[n].text), &place, &fault), bad[n].err);
        ck_assert_ptr_nonnull(fault.what);
        ck_assert_ptr_nonnull(fault.why);
        ck_assert_ptr_nonnull(fault.todo);
        ck_assert_uint_eq(back.part_count, 0);
    }
}
END_TEST

START_TEST(nothing_and_too_much_are_not_printed)
{
    ck_assert_int_eq(paper_split(&paper, (struct span){ 0 }), ERR_INVALID);
    buf_extend(&file, PAPER_PARTS_MAX * PAPER_PART_BYTES - 1);
    memset(file.data, 'x', file.size);
    ck_assert_int_eq(paper_split(&paper, buf_span(&file)), ERR_OK);
    ck_assert_uint_eq(paper.part_count, PAPER_PARTS_MAX);
    paper_code(&paper, 998, &text);
    ck_assert_uint_le(text.size, PAPER_CODE_CHARS_MAX);
    paper_free(&paper);
    buf_put_u8(&file, 'x');
    ck_assert_int_eq(paper_split(&paper, buf_span(&file)), ERR_FULL);
}
END_TEST

/* Only these letters fit into the alphanumeric mode of a QR code. */
START_TEST(codes_hold_no_other_letters)
{
    split_random(1000);
    for (uint32_t n = 0; n < paper.part_count; n++) {
        buf_clear(&text);
        paper_code(&paper, n, &text);
        for (size_t at = 0; at < text.size; at++) {
            ck_assert_ptr_nonnull(strchr("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", text.data[at]));
        }
    }
}
END_TEST

/* tests/data/vectors/paper.hex: the content of a file and its parts, as they are printed. */
START_TEST(parts_are_those_of_the_vectors)
{
    const char *source = getenv("VIGIL_SOURCE");
    static char line[8192];
    char path[4096];
    size_t checked = 0;

    for (size_t n = 0; n < 300; n++) {
        buf_put_u8(&file, (uint8_t)n);
    }
    ck_assert_int_eq(paper_split(&paper, buf_span(&file)), ERR_OK);
    (void)snprintf(path, sizeof path, "%s/tests/data/vectors/paper.hex", source == NULL ? "." : source);
    FILE *vectors = fopen(path, "r");
    ck_assert_ptr_nonnull(vectors);
    while (fgets(line, sizeof line, vectors) != NULL) {
        unsigned n = 0;
        line[strcspn(line, "\n")] = '\0';
        const char *colon = strstr(line, ": ");
        if (line[0] == '#' || colon == NULL) {
            continue;
        }
        buf_clear(&text);
        if (sscanf(line, "part %u:", &n) == 1) {
            paper_text(&paper, n - 1, &text);
        } else if (sscanf(line, "code %u:", &n) == 1) {
            paper_code(&paper, n - 1, &text);
        } else {
            buf_put_span(&text, buf_span(&file));
        }
        static char hex[8192];
        bytes_hex(hex, buf_span(&text));
        ck_assert_str_eq(hex, colon + 2);
        checked++;
    }
    (void)fclose(vectors);
    ck_assert_uint_eq(checked, 5);
}
END_TEST

SUITE_MAIN_WITH("paper", setup, teardown, a_file_of_any_length_comes_back,
                a_file_of_ours_takes_a_quarter_less_and_comes_back_to_the_byte,
                parts_come_in_any_order_and_more_than_once,
                small_letters_and_digits_that_look_like_letters_are_read,
                drawn_codes_between_the_parts_are_passed_over,
                every_changed_letter_is_noticed_and_most_are_found,
                a_missing_or_doubled_letter_is_found_in_its_line, a_part_of_another_file_is_told_apart,
                what_is_no_part_is_said_to_be_none, nothing_and_too_much_are_not_printed,
                codes_hold_no_other_letters, parts_are_those_of_the_vectors)
