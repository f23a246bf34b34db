/* A page over a page: what a terminal is sent, what anything else is, and how it ends. */
#include "tests/support/check.h"
#include "tools/repaint.h"

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *shown;
static size_t shown_size;
static FILE *to;

static void
setup(void)
{
    to = open_memstream(&shown, &shown_size);
    ck_assert_ptr_nonnull(to);
}

static void
teardown(void)
{
    (void)fclose(to);
    free(shown);
}

static const char *
text(void)
{
    ck_assert_int_eq(fflush(to), 0);
    return shown;
}

START_TEST(each_line_clears_what_was_in_its_place_and_the_rest_of_the_screen_goes)
{
    repaint_write(to, "one\ntwo\n", 0, 0);
    ck_assert_str_eq(text(), "\033[Hone\033[K\ntwo\033[K\n\033[0m\033[J");
}
END_TEST

START_TEST(a_page_is_no_longer_than_the_terminal_is_high)
{
    repaint_write(to, "1\n2\n3\n4\n", 3, 80);
    ck_assert_str_eq(text(), "\033[H1\033[K\n2\033[K\n\033[0m\033[J");
}
END_TEST

START_TEST(a_last_line_without_an_end_is_shown)
{
    repaint_write(to, "one", 24, 80);
    ck_assert_str_eq(text(), "\033[Hone\033[K\n\033[0m\033[J");
}
END_TEST

START_TEST(a_line_that_is_too_wide_goes_on_in_the_next_row)
{
    repaint_write(to, "abcdef\nxy\n", 4, 4);
    ck_assert_str_eq(text(), "\033[Habcd\nef\033[K\nxy\033[K\n\033[0m\033[J");
}
END_TEST

START_TEST(rows_are_counted_as_the_terminal_has_them)
{
    repaint_write(to, "abcdef\nxy\n", 3, 4);
    ck_assert_str_eq(text(), "\033[Habcd\nef\033[K\n\033[0m\033[J");
}
END_TEST

START_TEST(colours_take_no_room_and_wide_characters_two)
{
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    repaint_write(to, "\033[31mab\033[0mcd\n\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\n", 9, 4);
    ck_assert_str_eq(
        text(), "\033[H\033[31mab\033[0mcd\n\xe6\x97\xa5\xe6\x9c\xac\n\xe8\xaa\x9e\033[K\n\033[0m\033[J");
}
END_TEST

static void
show(struct repaint *repaint, const char *page)
{
    FILE *at = repaint_page(repaint);

    ck_assert_ptr_nonnull(at);
    (void)fputs(page, at);
    ck_assert_int_eq(repaint_show(repaint), ERR_OK);
}

START_TEST(what_is_no_terminal_gets_page_after_page_and_no_escape)
{
    struct repaint repaint;

    repaint_begin(&repaint, to, false, true);
    show(&repaint, "one\n");
    show(&repaint, "two\n");
    repaint_end(&repaint);
    ck_assert_str_eq(text(), "one\n\ntwo\n");
    repaint_begin(&repaint, to, false, false);
    show(&repaint, "{}\n");
    show(&repaint, "{}\n");
    ck_assert_uint_eq(repaint.pages, 2);
    repaint_end(&repaint);
    ck_assert_str_eq(text(), "one\n\ntwo\n{}\n{}\n");
}
END_TEST

START_TEST(a_signal_ends_the_waiting_and_is_then_what_it_was)
{
    static const int signals[] = { SIGINT, SIGTERM };
    struct sigaction was;
    struct sigaction now;
    struct repaint repaint;

    for (size_t n = 0; n < 2; n++) {
        ck_assert_int_eq(sigaction(signals[n], NULL, &was), 0);
        repaint_begin(&repaint, to, false, true);
        ck_assert_int_eq(raise(signals[n]), 0);
        ck_assert(!repaint_wait(3600));
        ck_assert(!repaint_wait(0));
        repaint_end(&repaint);
        ck_assert_int_eq(sigaction(signals[n], NULL, &now), 0);
        ck_assert(now.sa_handler == was.sa_handler);
    }
    /* The next one waits again. */
    repaint_begin(&repaint, to, false, true);
    ck_assert(repaint_wait(0));
    repaint_end(&repaint);
}
END_TEST

START_TEST(a_page_that_does_not_reach_its_place_is_an_error)
{
    FILE *full = fopen("/dev/full", "we");
    struct repaint repaint;

    ck_assert_ptr_nonnull(full);
    repaint_begin(&repaint, full, false, true);
    FILE *page = repaint_page(&repaint);
    ck_assert_ptr_nonnull(page);
    (void)fputs("one\n", page);
    ck_assert_int_eq(repaint_show(&repaint), ERR_IO);
    repaint_end(&repaint);
    (void)fclose(full);
}
END_TEST

SUITE_MAIN_WITH("repaint", setup, teardown,
                each_line_clears_what_was_in_its_place_and_the_rest_of_the_screen_goes,
                a_page_is_no_longer_than_the_terminal_is_high, a_last_line_without_an_end_is_shown,
                a_line_that_is_too_wide_goes_on_in_the_next_row, rows_are_counted_as_the_terminal_has_them,
                colours_take_no_room_and_wide_characters_two,
                what_is_no_terminal_gets_page_after_page_and_no_escape,
                a_signal_ends_the_waiting_and_is_then_what_it_was,
                a_page_that_does_not_reach_its_place_is_an_error)
