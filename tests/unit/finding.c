/* The search index on disk: a node that starts goes on where it was, and nothing outlives an erasure or a doubt. */
#include "node/casework/finding.h"
#include "node/casework/finding_image.h"
#include "tests/support/check.h"
#include "tests/support/served.h"

#include "store/base/log.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 100 };

static struct test_organisation org;
static struct served ken;
static struct served hq;
static struct finding *finding;
static char logged[8192];

static void
note_line(void *self, const char *line)
{
    size_t used = strlen(logged);

    (void)self;
    (void)snprintf(logged + used, sizeof logged - used, "%s\n", line);
}

static void
begin_finding(void)
{
    finding = finding_new(&(struct finding_options){ ken.node->directory, &ken.node->world.world, 1 });
    ck_assert_ptr_nonnull(finding);
}

static void
begin_finding_again(void)
{
    finding_free(&finding);
    logged[0] = '\0';
    begin_finding();
}

static void
setup(void)
{
    logged[0] = '\0';
    log_to(note_line, NULL);
    test_organisation_init_with(&org, 44, 3, 2);
    served_begin_two(&org, &ken, &hq);
    begin_finding();
}

static void
teardown(void)
{
    finding_free(&finding);
    served_end(&ken);
    served_end(&hq);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

static void
save(const char *body, char number[40])
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.save',%s}", body);

    (void)snprintf(number, 40, "%s", json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
}

static void
save_cases(void)
{
    char body[128];
    char number[40];

    for (int n = 0; n < CASES; n++) {
        (void)snprintf(body, sizeof body, "'kind':'case','set':{'title':'Visit %d to the zebra'}", n);
        save(body, number);
    }
}

/* Read until nothing is left; gives how many slices that took. */
static int
read_all(void)
{
    int slices = 0;
    enum err err;

    while ((err = finding_read(finding, ken.node->replica, 1000)) == ERR_OK) {
        slices++;
    }
    ck_assert_int_eq(err, ERR_ABSENT);
    return slices;
}

static void
keep_all(void)
{
    ck_assert(finding_keep_is_due(finding, ken.node->replica, 1000));
    while (finding_keep_is_due(finding, ken.node->replica, 1000)) {
        finding_keep(finding, ken.node->replica, 1000);
    }
    ck_assert_ptr_nonnull(strstr(logged, "event=search-image-kept"));
}

static size_t
find(const char *words)
{
    static struct search_hit hits[1000];
    size_t count = 0;

    ck_assert_int_eq(finding_find(finding, span_text(words), hits, 1000, &count), ERR_OK);
    return count;
}

static void
image_path(char out[200])
{
    (void)snprintf(out, 200, "%s/search/image", ken.node->directory);
}

/* The bytes of the image that is kept; false: there is none. */
static bool
load_image(struct buf *out)
{
    char path[200];
    uint8_t piece[4096];
    size_t size;

    image_path(path);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    while ((size = fread(piece, 1, sizeof piece, file)) > 0) {
        buf_put(out, piece, size);
    }
    (void)fclose(file);
    return true;
}

static void
store_image(struct span bytes)
{
    char path[200];

    image_path(path);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_node_that_starts_goes_on_where_the_image_ends)
{
    char changed[40];
    char number[40];

    save_cases();
    save("'kind':'case','set':{'title':'The okapi'}", changed);
    ck_assert_int_gt(read_all(), 1);
    keep_all();
    begin_finding_again();
    ck_assert_int_eq(read_all(), 0);
    ck_assert_ptr_nonnull(strstr(logged, "event=search-resumed texts=101"));
    ck_assert_uint_eq(find("zebras"), CASES);
    ck_assert_uint_eq(find("okapi"), 1);
    /* What came since, and what was changed. */
    served_granted_once(&ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'A giraffe'}}");
    json_decref(
        served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'The gnu'}}", changed));
    save("'kind':'case','set':{'title':'The second zebra'}", number);
    begin_finding_again();
    ck_assert_int_gt(read_all(), 0);
    ck_assert_ptr_nonnull(strstr(logged, "event=search-resumed"));
    ck_assert_uint_eq(find("zebra"), CASES + 1);
    ck_assert_uint_eq(find("giraffe"), 1);
    ck_assert_uint_eq(find("gnu"), 1);
    ck_assert_uint_eq(find("okapi"), 0);
}
END_TEST

START_TEST(an_image_says_nothing_to_who_has_no_key)
{
    struct buf bytes = { 0 };
    char number[40];

    save("'kind':'case','set':{'title':'Kilimanjaro at dawn'}", number);
    save("'kind':'person','set':{'pseudonym':'Kingfisher','counting_unit':'individual'},"
         "'add':[{'to':'name','fields':{'text':'Wanjiru Kamau'}}]",
         number);
    (void)read_all();
    keep_all();
    ck_assert_uint_eq(find("wanjiru"), 1);
    ck_assert(load_image(&bytes));
    static const char *const markers[] = { "ilimanjaro", "ingfisher", "anjiru", "amau", "SQLite" };
    for (size_t n = 0; n < sizeof markers / sizeof markers[0]; n++) {
        ck_assert_ptr_null(memmem(bytes.data, bytes.size, markers[n], strlen(markers[n])));
    }
    buf_free(&bytes);
    ck_assert_ptr_null(strstr(logged, "anjiru"));
}
END_TEST

/* A copy of it that somebody took before opens no more, and the index has nothing of it. */
START_TEST(an_image_of_before_an_erasure_opens_no_more)
{
    struct buf before = { 0 };
    struct buf after = { 0 };
    char number[40];

    save_cases();
    save("'kind':'case','set':{'title':'The okapi'}", number);
    test_node_exchange(ken.node, hq.node);
    (void)read_all();
    keep_all();
    ck_assert(load_image(&before));
    json_decref(
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number));
    test_node_exchange(ken.node, hq.node);
    json_decref(
        served_ask(&hq, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number));
    test_node_exchange(ken.node, hq.node);
    test_node_tend(ken.node);
    ck_assert(replica_compact_is_due(ken.node->replica));
    ck_assert_int_eq(finding_forget_image(finding), ERR_OK);
    ck_assert_int_eq(replica_compact(ken.node->replica), ERR_OK);
    ck_assert(!load_image(&after));
    (void)read_all();
    ck_assert_uint_eq(find("okapi"), 0);
    ck_assert_uint_eq(find("zebra"), CASES);
    store_image(buf_span(&before));
    begin_finding_again();
    (void)read_all();
    ck_assert_ptr_nonnull(strstr(logged, "event=search-image-refused err=corrupt"));
    ck_assert_uint_eq(find("okapi"), 0);
    ck_assert_uint_eq(find("zebra"), CASES);
    keep_all();
    begin_finding_again();
    (void)read_all();
    ck_assert_ptr_nonnull(strstr(logged, "event=search-resumed texts=100"));
    buf_free(&before);
    buf_free(&after);
}
END_TEST

/* Then everything is read again, and nothing is missing. */
START_TEST(an_image_that_is_damaged_or_cut_is_refused)
{
    struct buf whole = { 0 };

    save_cases();
    (void)read_all();
    keep_all();
    ck_assert(load_image(&whole));
    const size_t places[] = { 0, 8, 9, 33, 60, 200, whole.size / 2, whole.size - 1 };
    for (size_t n = 0; n < sizeof places / sizeof places[0]; n++) {
        whole.data[places[n]] ^= 1;
        store_image(buf_span(&whole));
        whole.data[places[n]] ^= 1;
        begin_finding_again();
        ck_assert_int_gt(read_all(), 1);
        ck_assert_msg(strstr(logged, "event=search-image-refused err=") != NULL, "byte %zu", places[n]);
        ck_assert_uint_eq(find("zebra"), CASES);
    }
    const size_t sizes[] = { 0, 8, 33, 100, whole.size / 2, whole.size - 1 };
    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        store_image(span_of(whole.data, sizes[n]));
        begin_finding_again();
        ck_assert_int_gt(read_all(), 1);
        ck_assert_msg(strstr(logged, "event=search-image-refused err=corrupt") != NULL, "%zu bytes",
                      sizes[n]);
        ck_assert_uint_eq(find("zebra"), CASES);
    }
    buf_free(&whole);
}
END_TEST

/* One that somebody made under our key from a journal that is not ours, or of words that other libraries took apart. */
static void
forge(const struct finding_moment *moment)
{
    struct finding_writer *writer = NULL;
    struct search_image image;
    struct search *search = NULL;
    struct key key;
    char folder[160];

    (void)snprintf(folder, sizeof folder, "%s/search", ken.node->directory);
    ck_assert_int_eq(search_open(&search), ERR_OK);
    ck_assert_int_eq(search_put(search, 1, span_text("unicorn"), span_of(NULL, 0)), ERR_OK);
    ck_assert_int_eq(search_image(search, &image), ERR_OK);
    search_close(&search);
    replica_search_key(ken.node->replica, &key);
    ck_assert_int_eq(finding_writer_open(&writer, folder, &key, moment, &image, &ken.node->world.world),
                     ERR_OK);
    enum err err;
    while ((err = finding_writer_step(writer)) == ERR_OK) {
    }
    ck_assert_int_eq(err, ERR_ABSENT);
    finding_writer_close(&writer);
}

START_TEST(an_image_of_another_journal_or_other_words_is_refused)
{
    struct finding_moment moment = { .place = 3 };
    static const char *const reasons[] = { "err=corrupt", "err=corrupt", "err=newer" };

    save_cases();
    ck_assert_int_eq(search_fingerprint(&moment.fingerprint), ERR_OK);
    for (int n = 0; n < 3; n++) {
        if (n == 1) {
            moment.place = journal_place_last(replica_journal(ken.node->replica)) + 1;
        } else if (n == 2) {
            moment.fingerprint.bytes[5] ^= 1;
        }
        forge(&moment);
        begin_finding_again();
        (void)read_all();
        ck_assert_ptr_nonnull(strstr(logged, "event=search-image-refused"));
        ck_assert_ptr_nonnull(strstr(logged, reasons[n]));
        ck_assert_uint_eq(find("unicorn"), 0);
        ck_assert_uint_eq(find("zebra"), CASES);
    }
}
END_TEST

START_TEST(an_image_is_begun_when_all_was_read_and_there_is_enough_of_it)
{
    char number[40];

    ck_assert(!finding_keep_is_due(finding, ken.node->replica, 1000));
    save_cases();
    ck_assert_int_eq(finding_read(finding, ken.node->replica, 1000), ERR_OK);
    ck_assert(!finding_keep_is_due(finding, ken.node->replica, 1000));
    (void)read_all();
    keep_all();
    /* A quarter of what there is. */
    for (int n = 0; n < CASES / 5; n++) {
        save("'kind':'case','set':{'title':'More'}", number);
    }
    (void)read_all();
    ck_assert(!finding_keep_is_due(finding, ken.node->replica, 1000));
    for (int n = 0; n < CASES / 5; n++) {
        save("'kind':'case','set':{'title':'Much more'}", number);
    }
    (void)read_all();
    keep_all();
    /* A node that keeps none. */
    finding_free(&finding);
    finding = finding_new(&(struct finding_options){ NULL, &ken.node->world.world, 1 });
    (void)read_all();
    ck_assert(!finding_keep_is_due(finding, ken.node->replica, 1000));
    ck_assert_int_eq(finding_forget_image(finding), ERR_OK);
}
END_TEST

/* SQLite has `more` bytes than now, while the index is read; then as many as it likes. */
static void
read_without_memory(sqlite3_int64 more)
{
    struct search_hit hit;
    size_t count;
    enum err err;

    (void)sqlite3_hard_heap_limit64(sqlite3_memory_used() + more);
    while ((err = finding_read(finding, ken.node->replica, 1000)) == ERR_OK) {
    }
    ck_assert_int_eq(err, ERR_MEMORY);
    ck_assert_int_eq(finding_find(finding, span_text("zebra"), &hit, 1, &count), ERR_MEMORY);
    (void)sqlite3_hard_heap_limit64(0);
}

START_TEST(an_index_that_was_lost_is_made_anew)
{
    save_cases();
    (void)read_all();
    save_cases();
    read_without_memory(0); /* nothing was begun: the texts wait */
    ck_assert_ptr_null(strstr(logged, "event=search-lost"));
    (void)read_all();
    ck_assert_uint_eq(find("zebra"), 2 * CASES);
    save_cases();
    read_without_memory(20000);
    ck_assert_ptr_nonnull(strstr(logged, "event=search-lost"));
    (void)read_all();
    ck_assert_uint_eq(find("zebra"), 3 * CASES);
}
END_TEST

SUITE_MAIN_WITH("finding", setup, teardown, a_node_that_starts_goes_on_where_the_image_ends,
                an_image_says_nothing_to_who_has_no_key, an_image_of_before_an_erasure_opens_no_more,
                an_image_that_is_damaged_or_cut_is_refused,
                an_image_of_another_journal_or_other_words_is_refused,
                an_image_is_begun_when_all_was_read_and_there_is_enough_of_it,
                an_index_that_was_lost_is_made_anew)
