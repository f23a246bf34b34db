/* What a record becomes in tables and on a page: tests/data/export has one with everything that may go wrong in it. */
#include "tests/support/check.h"
#include "tools/export_html.h"
#include "tools/export_table.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 1 << 16 };

static char home[] = "/tmp/vigil-export-XXXXXX";
static char text[TEXT_BYTES];
static struct client_fault fault;

static void
setup(void)
{
    (void)strcpy(strrchr(home, '-'), "-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
}

static void
teardown(void)
{
    char command[100];

    (void)snprintf(command, sizeof command, "rm -rf %s", home);
    ck_assert_int_eq(system(command), 0);
}

static json_t *
json_of(const char *name)
{
    const char *source = getenv("VIGIL_SOURCE");
    char path[600];

    ck_assert_ptr_nonnull(source);
    (void)snprintf(path, sizeof path, "%s/tests/data/export/%s.json", source, name);
    json_t *json = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(json);
    return json;
}

/* A table as it was written. */
static const char *
table(const char *name)
{
    char path[200];

    (void)snprintf(path, sizeof path, "%s/out/%s.csv", home, name);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    (void)fclose(file);
    return text;
}

static bool
is_table(const char *name)
{
    char path[200];

    (void)snprintf(path, sizeof path, "%s/out/%s.csv", home, name);
    return access(path, F_OK) == 0;
}

/* The tables of the record; the first value of its first set of countries is called `country`, unless that is NULL. */
static void
write_tables_with(const char *level, const char *country)
{
    struct fresh *fresh = NULL;
    struct sheets *sheets = NULL;
    struct tables *tables = NULL;
    char path[100];
    json_t *codebook = json_of("codebook");
    json_t *record = json_of("record");
    json_t *kinds = json_pack("[s]", "case");
    json_t *about = json_pack("[[s,s]]", "level", level);
    size_t index;
    json_t *element;

    json_array_foreach(json_object_get(record, "elements"), index, element)
    {
        const json_t *field = json_array_get(json_object_get(element, "fields"), 0);
        json_t *value = json_array_get(json_object_get(field, "values"), 0);

        if (country != NULL &&
            strcmp(json_string_value(json_object_get(element, "collection")), "country") == 0) {
            (void)json_object_set_new(value, "label", json_string(country));
            break;
        }
    }
    (void)snprintf(path, sizeof path, "%s/out", home);
    ck_assert(fresh_folder(&fresh, path, &fault));
    ck_assert(sheets_csv(&sheets, fresh, &fault));
    ck_assert(tables_begin(&tables, sheets, codebook, kinds, level, &fault));
    ck_assert(tables_add(tables, record, &fault));
    (void)json_object_set_new(record, "kind", json_string("okapi"));
    ck_assert(!tables_add(tables, record, &fault));
    ck_assert(tables_end(tables, about, &fault));
    tables_free(&tables);
    ck_assert(sheets_end(&sheets, &fault));
    ck_assert(fresh_keep(&fresh, &fault));
    json_decref(codebook);
    json_decref(record);
    json_decref(kinds);
    json_decref(about);
}

static void
write_tables(const char *level)
{
    write_tables_with(level, NULL);
}

START_TEST(a_bar_in_one_of_several_values_is_told_from_those_between_them)
{
    write_tables_with("L2", "K|E\\N");
    ck_assert_ptr_nonnull(strstr(table("case"), "\"K\\|E\\\\N|Lebanon\""));
    /* Those that stand against each other are for people to see, and no set. */
    ck_assert_ptr_nonnull(strstr(table("case"), "\"<script>One|=Two\""));
}
END_TEST

START_TEST(a_record_is_a_row_with_codes_labels_and_sets)
{
    write_tables("L2");
    ck_assert_str_eq(
        table("case"),
        "\"id\",\"number\",\"office\",\"created\",\"updated\",\"conflict\",\"withheld\",\"title\",\"status\","
        "\"status_label\",\"case_office\",\"country\",\"country_label\",\"conflicts\",\"newer\"\n"
        "\"0a1b\",\"KEN-1\",\"KEN\",\"2026-03-01T10:00:00.000Z\",\"2026-03-05T10:00:00.000Z\",\"yes\","
        "\"yes\","
        "\"<script>One|=Two\",\"old\",\"Old, or so\",\"Field\",\"KEN|LBN\",\"Kenya|Lebanon\","
        "\"title: <script>One|=Two\nstatus: old|new\ncountry[02]: edited while removed\","
        "\"field-9|collection-77[04]\"\n");
}
END_TEST

START_TEST(an_element_is_a_row_of_its_own_table)
{
    write_tables("L2");
    ck_assert_str_eq(
        table("case.act"),
        "\"record\",\"number\",\"element\",\"act.stage\",\"act.stage_label\",\"act.place\","
        "\"act.victim\",\"act.follows\",\"act.language\",\"act.language_label\",\"conflicts\",\"newer\"\n"
        "\"0a1b\",\"KEN-1\",\"03\",\"new\",\"New\",\"تلقى الشهود "
        "تهديدات\",\"0c2d|0e3f\",\"03\",\"ara\",\"Arabic\",\"\",\"\"\n");
    ck_assert_str_eq(
        table("case.note"),
        "\"record\",\"number\",\"element\",\"note.text\",\"at\",\"office\",\"conflicts\",\"newer\"\n"
        "\"0a1b\",\"KEN-1\",\"05\",\"A note\",\"2026-03-03T10:00:00.000Z\",\"KEN\",\"\",\"\"\n");
    ck_assert(!is_table("case.restriction"));
    ck_assert(!is_table("case.country"));
}
END_TEST

START_TEST(what_is_above_the_level_has_no_column)
{
    write_tables("L1");
    ck_assert(!is_table("case.note"));
    ck_assert(!is_table("case.name"));
    ck_assert_ptr_null(strstr(table("case"), "title\",\""));
    ck_assert_ptr_null(strstr(table("case.act"), "act.place"));
    ck_assert_ptr_null(strstr(table("dictionary"), "officer"));
}
END_TEST

START_TEST(the_dictionary_says_what_each_column_and_code_means)
{
    write_tables("L2");
    static const char heading[] =
        "\"table\",\"column\",\"label\",\"type\",\"vocabulary\",\"code\",\"code_label\"\n";
    const char *dictionary = table("dictionary");

    ck_assert_int_eq(strncmp(dictionary, heading, sizeof heading - 1), 0);
    ck_assert_ptr_nonnull(strstr(dictionary,
                                 "\"case\",\"status\",\"Status\",\"code\",\"states\",\"\",\"\"\n"
                                 "\"case\",\"status\",\"Status\",\"code\",\"states\",\"new\",\"New\"\n"
                                 "\"case\",\"status\",\"Status\",\"code\",\"states\",\"old\",\"Old, or "
                                 "so\"\n\"case\",\"status_label\",\"Status\",\"text\",\"\",\"\",\"\"\n"));
    ck_assert_ptr_nonnull(
        strstr(dictionary, "\"case.act\",\"act.victim\",\"Victim\",\"record\",\"\",\"\",\"\"\n"));
    ck_assert_str_eq(table("about"), "\"key\",\"value\"\n\"level\",\"L2\"\n");
}
END_TEST

static const char *
page(void)
{
    json_t *record = json_of("record");
    json_t *names = json_pack("{s:s}", "0c2d", "P & Q");
    json_t *made =
        json_loads("{\"at\":\"2026-03-09T10:00:00.000Z\",\"device\":{\"name\":\"<Laptop>\",\"office\":"
                   "\"KEN\"},\"actor\":{\"name\":\"Amina\"},\"level\":\"L2\",\"purpose\":\"\","
                   "\"compartments\":[{\"name\":\"KEN cases\",\"frontier\":\"aabb\"}]}",
                   0, NULL);
    json_t *reasons = json_pack("{s:i}", "restricted", 2);
    FILE *to = fmemopen(text, sizeof text, "w");

    ck_assert_ptr_nonnull(to);
    html_begin(to, html_name(record));
    html_record(to, record, names);
    html_end(to, made, reasons);
    ck_assert_int_eq(fclose(to), 0);
    json_decref(record);
    json_decref(names);
    json_decref(made);
    json_decref(reasons);
    return text;
}

START_TEST(a_page_runs_nothing_and_fetches_nothing)
{
    const char *html = page();

    ck_assert_ptr_null(strstr(html, "<script"));
    ck_assert_ptr_nonnull(strstr(html, "&lt;script&gt;One"));
    ck_assert_ptr_nonnull(strstr(html, "default-src 'none'; style-src 'unsafe-inline'"));
    ck_assert_ptr_null(strstr(html, "http:"));
    ck_assert_ptr_null(strstr(html, "https:"));
    ck_assert_ptr_null(strstr(html, "src="));
    ck_assert_ptr_null(strstr(html, "url("));
    ck_assert_ptr_null(strstr(html, "@import"));
    ck_assert_ptr_nonnull(strstr(html, "<title>KEN-1</title>"));
}
END_TEST

START_TEST(a_page_says_from_where_its_texts_run)
{
    ck_assert_ptr_nonnull(
        strstr(page(), "<div class=\"text\" lang=\"ar\" dir=\"rtl\">تلقى الشهود تهديدات</div>"));
}
END_TEST

START_TEST(a_page_shows_conflicts_side_by_side_and_what_is_withheld)
{
    const char *html = page();
    const char *first =
        strstr(html, "&lt;script&gt;One</div><div class=\"who\">KEN, 2026-03-01 10:00 UTC</div></td><td>");

    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(
        strstr(first, "=Two</div><div class=\"who\">HQ, 2026-03-02 10:00 UTC</div></td></tr>"));
    ck_assert_ptr_nonnull(strstr(html, "Officer</th><td><span class=\"withheld\">withheld</span>"));
    ck_assert_ptr_nonnull(strstr(html, "In conflict: edited while removed"));
    ck_assert_ptr_nonnull(strstr(html, "A note"));
}
END_TEST

START_TEST(a_page_links_within_itself_and_says_who_made_it)
{
    const char *html = page();

    ck_assert_ptr_nonnull(strstr(html, "<section id=\"r0a1b\">"));
    ck_assert_ptr_nonnull(strstr(html, "<a href=\"#r0c2d\">P &amp; Q</a>"));
    ck_assert_ptr_null(strstr(html, "#r0e3f"));
    ck_assert_ptr_nonnull(strstr(html, "<a href=\"#e03\">"));
    ck_assert_ptr_nonnull(strstr(html, "<h3 id=\"e03\">Act"));
    const char *foot = strstr(html, "<footer>");
    ck_assert_ptr_nonnull(foot);
    ck_assert_ptr_nonnull(strstr(foot, "2026-03-09 10:00 UTC"));
    ck_assert_ptr_nonnull(strstr(foot, "Amina"));
    ck_assert_ptr_nonnull(strstr(foot, "&lt;Laptop&gt;"));
    ck_assert_ptr_nonnull(strstr(foot, "Frontier of KEN cases</th><td>aabb"));
    ck_assert_ptr_nonnull(strstr(foot, "Left out: restricted</th><td>2"));
}
END_TEST

SUITE_MAIN_WITH("export", setup, teardown, a_record_is_a_row_with_codes_labels_and_sets,
                a_bar_in_one_of_several_values_is_told_from_those_between_them,
                an_element_is_a_row_of_its_own_table, what_is_above_the_level_has_no_column,
                the_dictionary_says_what_each_column_and_code_means, a_page_runs_nothing_and_fetches_nothing,
                a_page_says_from_where_its_texts_run,
                a_page_shows_conflicts_side_by_side_and_what_is_withheld,
                a_page_links_within_itself_and_says_who_made_it)
