/* The full text index: words of the six languages of the UN in any form, phrases, prefixes, and what nobody may find. */

#include "store/search.h"
#include "store/search_ahead.h"
#include "store/search_words.h"
#include "store/base/bytes.h"
#include "tests/support/check.h"
#include "tests/support/threads.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static struct search *search;

static void
setup(void)
{
    threads_refuse(false);
    ck_assert_int_eq(search_open(&search), ERR_OK);
}

static void
teardown(void)
{
    search_close(&search);
    ck_assert_ptr_null(search);
}

static void
put(uint32_t record_no, const char *text)
{
    ck_assert_int_eq(search_put(search, record_no, span_text(text), span_of(NULL, 0)), ERR_OK);
}

/* How many records are found; the best in *first_out. */
static size_t
find(const char *query, uint32_t *first_out)
{
    struct search_hit hits[16];
    size_t count = 0;

    ck_assert_int_eq(search_find(search, span_text(query), hits, 16, &count), ERR_OK);
    *first_out = count == 0 ? 0 : hits[0].record_no;
    return count;
}

static void
expect_only(const char *query, uint32_t record_no)
{
    uint32_t first;

    ck_assert_msg(find(query, &first) == 1 && first == record_no, "%s finds record %u", query, first);
}

static void
expect_none(const char *query)
{
    uint32_t first;

    ck_assert_msg(find(query, &first) == 0, "%s finds record %u", query, first);
}

/* An index as bytes. */
START_TEST(an_image_finds_what_the_index_finds_and_goes_on)
{
    struct search_image image;
    struct search *again = NULL;
    struct search *whole = search;

    put(3, "The judge adjourned the hearing");
    put(70000, "свидетелям угрожали");
    ck_assert_int_eq(search_put(search, 9, span_text("came from the north"), span_text("Мухаммед")), ERR_OK);
    put(4, "it is found no more");
    put(4, "");
    ck_assert_int_eq(search_image(search, &image), ERR_OK);
    ck_assert_int_eq(search_restore(&again, span_of(image.bytes, image.size)), ERR_OK);
    search_image_free(&image);
    ck_assert_ptr_null(image.bytes);
    search = again;
    ck_assert_uint_eq(search_count(search), 3);
    expect_only("hearings", 3);
    expect_only("свидетель", 70000);
    expect_only("Mohamed", 9);
    expect_none("more");
    /* What is put now takes the place of what was there, and the other index hears nothing of it. */
    put(3, "The witness was released");
    put(5, "the second judge");
    expect_only("judge", 5);
    expect_only("releases", 3);
    ck_assert_uint_eq(search_count(search), 4);
    ck_assert_int_eq(search_purge(search), ERR_OK);
    search_close(&search);
    search = whole;
    expect_only("judge", 3);
    ck_assert_uint_eq(search_count(search), 3);
}
END_TEST

START_TEST(bytes_that_are_no_image_are_refused)
{
    struct search_image image;
    struct search *again = search;

    put(3, "The judge adjourned the hearing");
    ck_assert_int_eq(search_image(search, &image), ERR_OK);
    ck_assert_int_eq(search_restore(&again, span_of(image.bytes, image.size / 2)), ERR_CORRUPT);
    ck_assert_ptr_null(again);
    memset(image.bytes, 'x', 100);
    ck_assert_int_eq(search_restore(&again, span_of(image.bytes, image.size)), ERR_CORRUPT);
    search_image_free(&image);
}
END_TEST

START_TEST(a_fingerprint_is_the_same_each_time)
{
    static const struct hash none;
    struct hash first = none;
    struct hash second = none;

    ck_assert_int_eq(search_fingerprint(&first), ERR_OK);
    ck_assert_int_eq(search_fingerprint(&second), ERR_OK);
    ck_assert_mem_eq(&first, &second, sizeof first);
    ck_assert_mem_ne(&first, &none, sizeof first);
}
END_TEST

/* The table of what stock tokenizers miss. */
START_TEST(words_are_found_in_the_forms_of_their_language)
{
    static const char *const texts[] = {
        "هُدِّدَ الشُّهُودُ بَعْدَ عَوْدَتِهِمْ مِنْ جِنِيف", /* the witnesses were threatened after their return from Geneva */
        "اعتقلت الشرطة المدافعين عن حقوق الإنسان", /* the police arrested the defenders of human rights */
        "Les témoins ont été menacés après la réunion.",
        "Свидетелям угрожали после заседания комитета.",
        "该证人在出席会议后受到了威胁，并被迫离开家园。", /* the witness was threatened after the meeting, and forced from home */
        "The defenders' families received threatening calls.",
        "Los testigos fueron amenazados en la frontera.",
    };
    static const struct {
        const char *query;
        uint32_t record_no;
    } queries[] = {
        { "هدد", 1 },                      /* the verb, without vowel marks */
        { "شهود", 1 },                     /* without the article */
        { "المدافع", 2 },                  /* a singular for the plural */
        { "temoin", 3 },                   /* a singular, no accent */
        { "menace", 3 },                   /* another form of the verb */
        { "свидетель", 4 },                /* another case */
        { "комитет", 4 },   { "证人", 5 }, /* two characters */
        { "威胁", 5 },      { "会议", 5 },    { "defender", 6 },
        { "threaten", 6 },  { "TESTIGO", 7 }, { "amenazada", 7 },
    };

    for (uint32_t n = 0; n < sizeof texts / sizeof texts[0]; n++) {
        put(n + 1, texts[n]);
    }
    ck_assert_uint_eq(search_count(search), sizeof texts / sizeof texts[0]);
    for (size_t n = 0; n < sizeof queries / sizeof queries[0]; n++) {
        expect_only(queries[n].query, queries[n].record_no);
    }
}
END_TEST

static void
put_name(uint32_t record_no, const char *name)
{
    ck_assert_int_eq(search_put(search, record_no, span_of(NULL, 0), span_text(name)), ERR_OK);
}

START_TEST(a_name_is_found_in_another_script_and_spelling)
{
    put_name(1, "Мухаммад Абдуллаев");
    put_name(2, "يوسف الحسين");
    put_name(3, "Сергей Ковалёв");
    put_name(4, "Wanjiru Kamau");
    put_name(5, "خالد");
    put(6, "a text that speaks of Mohamed");
    static const struct {
        const char *query;
        uint32_t record_no;
    } queries[] = {
        { "muhammad abdullaev", 1 },
        { "Mohamed Abdulaev", 1 },
        { "محمد abdullaev", 1 },
        { "youssef", 2 },
        { "Юсеф", 2 },
        { "يوسف", 2 },
        { "sergei", 3 },
        { "Sergey", 3 },
        { "kovalev", 3 },
        { "Камау", 4 },
        { "wangiru", 0 },
        { "khaled", 5 },
        { "Халед", 5 },
        { "speaks mohamed", 6 },
        { "speaks محمد", 0 },
        { "zebra", 0 },
    };
    for (size_t n = 0; n < sizeof queries / sizeof queries[0]; n++) {
        if (queries[n].record_no == 0) {
            expect_none(queries[n].query);
        } else {
            expect_only(queries[n].query, queries[n].record_no);
        }
    }
    /* A name and a text that has the same word are both found by it. */
    uint32_t first;
    ck_assert_uint_eq(find("mohamed", &first), 2);
    put_name(1, "Ivan");
    expect_only("mohamed", 6);
}
END_TEST

START_TEST(all_words_must_be_there_and_a_phrase_in_its_order)
{
    put(1, "detained at the border after the session");
    put(2, "questioned at the border before the session");
    expect_only("border detained", 1);
    expect_only("\"before the session\"", 2);
    expect_none("\"session the before\"");
    expect_only("quest*", 2);
    expect_none("quest");
    expect_none("border released");
}
END_TEST

START_TEST(the_better_match_comes_first)
{
    uint32_t first;

    put(1, "A long account of a journey, of meetings and of calls, in which a passport is named once among "
           "many other things "
           "that happened to the family over the year.");
    put(2, "passport seized, passport cancelled");
    ck_assert_uint_eq(find("passport", &first), 2);
    ck_assert_uint_eq(first, 2);
}
END_TEST

START_TEST(a_word_that_few_texts_hold_says_more)
{
    uint32_t first;

    put(1, "border border border passport");
    put(2, "border passport passport passport");
    for (uint32_t other = 3; other < 20; other++) {
        put(other, "questioned at the border");
    }
    ck_assert_uint_eq(find("border passport", &first), 2);
    ck_assert_uint_eq(first, 2);
}
END_TEST

START_TEST(nothing_that_is_typed_is_a_command)
{
    struct search_hit hits[2];
    size_t count;

    put(1, "he said NOT NEAR the OR border AND left");
    put(2, "somebody else");
    expect_only("NOT border", 1);
    expect_none("body: OR"); /* no column of that name is asked: no record holds the word */
    expect_none("body:somebody* -x");
    expect_only("\"said not", 1); /* a quote that is not closed */
    expect_only("NEAR( border ) OR", 1);
    expect_only("left^ -he +said", 1);
    for (const char *const *query = (const char *const[]){ "", "  ", "\"\"", "*", "!!! --", "\xff", NULL };
         *query != NULL; query++) {
        ck_assert_int_eq(search_find(search, span_text(*query), hits, 2, &count), ERR_INVALID);
        ck_assert_uint_eq(count, 0);
    }
    /* A NUL ends nothing either. */
    static const char cut[] = "air*\0\"stopped her\"";
    ck_assert_int_eq(search_find(search, span_of(cut, sizeof cut - 1), hits, 2, &count), ERR_OK);
}
END_TEST

START_TEST(a_text_that_was_replaced_or_taken_out_is_not_found)
{
    put(1, "first words");
    put(1, "second words");
    expect_none("first");
    expect_only("second", 1);
    ck_assert_uint_eq(search_count(search), 1);
    put(1, "");
    expect_none("second");
    ck_assert_uint_eq(search_count(search), 0);
    put(1, "");
    ck_assert_uint_eq(search_count(search), 0);
    ck_assert_int_eq(search_purge(search), ERR_OK);
    put(2, "third");
    expect_only("third", 2);
}
END_TEST

START_TEST(text_that_is_no_utf8_and_words_without_end_do_no_harm)
{
    static char endless[100000];
    static const char broken[] = "before \xff\xfe\xc0 after";

    memset(endless, 'x', sizeof endless - 1);
    put(1, endless);
    ck_assert_int_eq(search_put(search, 2, span_of(broken, sizeof broken - 1), span_of(NULL, 0)), ERR_OK);
    expect_only("before after", 2);
    ck_assert_uint_eq(search_count(search), 2);
}
END_TEST

struct seen {
    char text[1000];
    size_t from;
    size_t to;
};

static int
note_word(void *self, struct span word, size_t from, size_t to, bool again)
{
    struct seen *seen = self;
    size_t used = strlen(seen->text);

    ck_assert_uint_lt(used + word.size + 2, sizeof seen->text);
    seen->text[used] = again ? '=' : ' ';
    memcpy(seen->text + used + 1, word.data, word.size);
    seen->text[used + 1 + word.size] = '\0';
    seen->from = from;
    seen->to = to;
    return 0;
}

START_TEST(a_word_comes_with_its_stems_at_its_place)
{
    struct search_words *words = NULL;
    struct seen seen = { .text = "" };

    ck_assert_int_eq(search_words_open(&words), ERR_OK);
    ck_assert_int_eq(search_words_each(words, span_text("Été, Ёлки!"), note_word, &seen), 0);
    ck_assert_ptr_nonnull(strstr(seen.text, " ete"));
    ck_assert_ptr_nonnull(strstr(seen.text, " елки=елк"));
    ck_assert_uint_eq(seen.from, strlen("Été, "));
    ck_assert_uint_eq(seen.to, strlen("Été, Ёлки"));
    seen.text[0] = '\0';
    ck_assert_int_eq(search_words_each(words, span_text("  ... "), note_word, &seen), 0);
    ck_assert_str_eq(seen.text, "");
    search_words_close(&words);
    ck_assert_ptr_null(words);
}
END_TEST

/* --- texts that are taken apart ahead --- */

enum { MANY = 400 };

/* Text `n` of four scripts, and every third with a name. Some are long, and a few too long to be taken apart ahead. */
static void
make_text(uint32_t n, struct buf *text, struct buf *names)
{
    static const char *const parts[] = {
        "هُدِّدَ الشُّهُودُ بَعْدَ عَوْدَتِهِمْ مِنْ جِنِيف",       "Les témoins ont été menacés après la réunion",
        "Свидетелям угрожали после заседания", "该证人在出席会议后受到了威胁",
        "The defenders' families were called", "اعتقلت الشرطة المدافعين عن حقوق الإنسان",
    };
    static const char *const people[] = { "Мухаммад Абдуллаев", "يوسف الحسين", "Wanjiru Kamau", "王小明" };

    uint32_t count = n % 131 == 130 ? 4000 : n % 7 == 0 ? 60 : 3;

    buf_clear(text);
    buf_clear(names);
    for (uint32_t part = 0; part < count; part++) {
        buf_printf(text, "%s %u; ", parts[(n + part * part) % 6], (n * 31 + part) % 97);
    }
    ck_assert_int_eq(text->size > SEARCH_AHEAD_LONGEST, count == 4000);
    if (n % 3 == 0) {
        buf_put_text(names, people[n % 4]);
    }
}

/* Put many texts, replace some and take out others. After `rest` of them the index is settled: it never is if that is 0. */
static void
put_many(struct search *into, uint32_t rest)
{
    struct buf text = { 0 };
    struct buf names = { 0 };

    for (uint32_t n = 0; n < MANY; n++) {
        uint32_t record_no = n % 5 == 4 ? n / 2 : n;

        make_text(n, &text, &names);
        if (n % 11 == 10) {
            buf_clear(&text);
            buf_clear(&names);
        }
        ck_assert_int_eq(search_put(into, record_no, buf_span(&text), buf_span(&names)), ERR_OK);
        if (rest > 0 && n % rest == rest - 1) {
            ck_assert_int_eq(search_settle(into), ERR_OK);
        }
    }
    buf_free(&text);
    buf_free(&names);
}

/* Both find the same, at the same ranks. */
static void
expect_same(struct search *a, struct search *b)
{
    static const char *const queries[] = { "شهود",   "المدافع", "temoin",   "menace*",      "свидетель",
                                           "威胁",   "会议",    "defender", "13",           "\"réunion\"",
                                           "Юсеф",   "mohamed", "王",       "kamau called", "小明",
                                           "absent", "جنيف 5",  "засед*" };
    static struct search_hit hits[2][MANY];
    size_t found = 0;

    ck_assert_uint_eq(search_count(a), search_count(b));
    for (size_t n = 0; n < sizeof queries / sizeof queries[0]; n++) {
        size_t counts[2];

        ck_assert_int_eq(search_find(a, span_text(queries[n]), hits[0], MANY, &counts[0]), ERR_OK);
        ck_assert_int_eq(search_find(b, span_text(queries[n]), hits[1], MANY, &counts[1]), ERR_OK);
        ck_assert_msg(counts[0] == counts[1], "%s finds %zu and %zu", queries[n], counts[0], counts[1]);
        for (size_t hit = 0; hit < counts[0]; hit++) {
            ck_assert_uint_eq(hits[0][hit].record_no, hits[1][hit].record_no);
            ck_assert_double_eq_tol(hits[0][hit].rank, hits[1][hit].rank, 1e-9);
        }
        found += counts[0] > 0;
    }
    ck_assert_uint_eq(found, sizeof queries / sizeof queries[0] - 1);
}

START_TEST(an_index_is_the_same_with_a_thread_and_without)
{
    struct search *alone = NULL;
    struct search *often = NULL;
    struct search_image images[2];

    put_many(search, 0);
    ck_assert_int_eq(threads_asked(), 1);
    ck_assert_int_eq(search_open(&alone), ERR_OK);
    threads_refuse(true);
    put_many(alone, 0);
    ck_assert_int_eq(threads_asked(), 1);
    ck_assert_int_eq(search_open(&often), ERR_OK);
    put_many(often, 4); /* too few at a time */
    ck_assert_int_eq(threads_asked(), 1);
    expect_same(search, often);
    expect_same(search, alone);
    ck_assert_int_eq(search_image(search, &images[0]), ERR_OK);
    ck_assert_int_eq(search_image(alone, &images[1]), ERR_OK);
    ck_assert_uint_eq(images[0].size, images[1].size);
    ck_assert(memcmp(images[0].bytes, images[1].bytes, images[0].size) == 0);
    search_image_free(&images[0]);
    search_image_free(&images[1]);
    search_close(&alone);
    search_close(&often);
}
END_TEST

START_TEST(what_was_put_last_holds_however_soon_it_came)
{
    char text[32];

    for (uint32_t n = 0; n < MANY; n++) {
        (void)snprintf(text, sizeof text, "first%u", n);
        put(7, text);
        put(8, text);
        put(8, "");
        (void)snprintf(text, sizeof text, "then%u", n);
        put(7, text);
        ck_assert_uint_eq(search_count(search), 1);
    }
    expect_only("then399", 7);
    expect_none("first399");
    expect_none("then* first*");
    put(7, "");
    expect_none("then399");
    ck_assert_uint_eq(search_count(search), 0);
}
END_TEST

START_TEST(whoever_searches_finds_all_that_was_put_and_is_alone)
{
    char text[32];

    for (uint32_t n = 1; n <= MANY; n++) {
        (void)snprintf(text, sizeof text, "word%u", n);
        put(n, text);
        if (n % 97 == 0) {
            expect_only(text, n);
        }
    }
    ck_assert_int_eq(threads_asked(), MANY / 97);
    expect_only("word1", 1);
    expect_only("word400", 400);
}
END_TEST

START_TEST(an_index_is_closed_while_texts_are_taken_apart)
{
    for (int n = 0; n < 3; n++) {
        put_many(search, 0);
        search_close(&search);
        ck_assert_int_eq(search_open(&search), ERR_OK);
    }
}
END_TEST

/* Put texts until one is refused, with `more` bytes for SQLite than it has; then with as many as it likes. Gives whether the index
 * was lost. */
static bool
put_without_memory(sqlite3_int64 more)
{
    char text[32];
    uint32_t refused = 0;

    put(1, "before");
    ck_assert_int_eq(search_settle(search), ERR_OK);
    (void)sqlite3_hard_heap_limit64(sqlite3_memory_used() + more);
    for (uint32_t n = 2; n <= 100000 && refused == 0; n++) {
        (void)snprintf(text, sizeof text, "word%u", n);
        if (search_put(search, n, span_text(text), span_of(NULL, 0)) != ERR_OK) {
            refused = n;
        }
    }
    ck_assert_uint_gt(refused, 2);
    ck_assert_int_eq(search_settle(search), ERR_MEMORY);
    (void)sqlite3_hard_heap_limit64(0);
    if (search_is_lost(search)) {
        struct search_image image;
        struct search_hit hit;
        size_t count;

        ck_assert_int_eq(search_put(search, refused, span_text("again"), span_of(NULL, 0)), ERR_MEMORY);
        ck_assert_int_eq(search_settle(search), ERR_MEMORY);
        ck_assert_int_eq(search_find(search, span_text("before"), &hit, 1, &count), ERR_MEMORY);
        ck_assert_int_eq(search_image(search, &image), ERR_MEMORY);
        ck_assert_int_eq(search_purge(search), ERR_MEMORY);
        return true;
    }
    ck_assert_int_eq(search_put(search, refused, span_text("again"), span_of(NULL, 0)), ERR_OK);
    ck_assert_uint_eq(search_count(search), refused);
    for (uint32_t n = 2; n < refused; n++) {
        (void)snprintf(text, sizeof text, "word%u", n);
        expect_only(text, n);
    }
    expect_only("again", refused);
    expect_only("before", 1);
    return false;
}

START_TEST(without_memory_a_text_waits_or_the_index_says_that_it_is_lost)
{
    static const sqlite3_int64 more[] = { 0, 500, 2000, 6000, 20000, 60000, 100000, 300000, 1000000 };
    size_t lost = 0;

    for (size_t n = 0; n < sizeof more / sizeof more[0]; n++) {
        lost += put_without_memory(more[n]);
        search_close(&search);
        ck_assert_int_eq(search_open(&search), ERR_OK);
    }
    ck_assert_uint_gt(lost, 0);
    ck_assert_uint_lt(lost, sizeof more / sizeof more[0]);
}
END_TEST

SUITE_MAIN_WITH("search", setup, teardown, words_are_found_in_the_forms_of_their_language,
                a_name_is_found_in_another_script_and_spelling,
                all_words_must_be_there_and_a_phrase_in_its_order, the_better_match_comes_first,
                a_word_that_few_texts_hold_says_more, nothing_that_is_typed_is_a_command,
                a_text_that_was_replaced_or_taken_out_is_not_found,
                text_that_is_no_utf8_and_words_without_end_do_no_harm,
                a_word_comes_with_its_stems_at_its_place, an_image_finds_what_the_index_finds_and_goes_on,
                bytes_that_are_no_image_are_refused, a_fingerprint_is_the_same_each_time,
                an_index_is_the_same_with_a_thread_and_without, what_was_put_last_holds_however_soon_it_came,
                whoever_searches_finds_all_that_was_put_and_is_alone,
                an_index_is_closed_while_texts_are_taken_apart,
                without_memory_a_text_waits_or_the_index_says_that_it_is_lost)
