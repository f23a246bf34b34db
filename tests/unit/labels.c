/* The label of a code in each language of the UN, and what becomes of those that are not there. Nothing depends on a locale: the
 * whole suite runs in C. */
#include "tests/support/check.h"
#include "tests/support/mo.h"
#include "node/labels.h"
#include "tools/relabel.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char home[] = "/tmp/vigil-labels-XXXXXX";
static struct labels_places places;
static struct client_fault fault;

static void
setup(void)
{
    (void)strcpy(strrchr(home, '-'), "-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    ck_assert_str_eq(setlocale(LC_ALL, "C"), "C");
    (void)unsetenv("LANGUAGE");
    (void)setenv("VIGIL_LOCALE", home, 1);
    places = labels_places_default();
}

static void
teardown(void)
{
    char command[100];

    (void)snprintf(command, sizeof command, "rm -rf %s", home);
    ck_assert_int_eq(system(command), 0);
}

static struct labels *
open_labels(const char *language)
{
    struct labels *labels = NULL;

    ck_assert_msg(labels_open(&labels, language, &places, &fault), "%s", fault.message);
    ck_assert_str_eq(labels_language(labels), language);
    return labels;
}

static void
expect_label(struct label label, const char *text, bool own)
{
    ck_assert_str_eq(label.text, text);
    ck_assert_int_eq(label.own, own);
}

static const struct known {
    const char *language;
    const char *country; /* KEN */
    const char *other;   /* DEU */
    const char *spoken;  /* eng */
    const char *region;  /* 014 */
} known[] = {
    { "ar", "كينيا", "ألمانيا", "الإنجليزية", "شرق أفريقيا" },
    { "en", "Kenya", "Germany", "English", "Eastern Africa" },
    { "es", "Kenia", "Alemania", "Inglés", "África oriental" },
    { "fr", "Kenya", "Allemagne", "anglais", "Afrique orientale" },
    { "ru", "Кения", "Германия", "английский", "Восточная Африка" },
    { "zh", "肯尼亚", "德国", "英语", "东非" },
};

START_TEST(codes_have_labels_in_all_six_languages)
{
    for (size_t n = 0; n < sizeof known / sizeof known[0]; n++) {
        struct labels *labels = open_labels(known[n].language);

        ck_assert_str_eq(labels_languages[n], known[n].language);
        expect_label(labels_code(labels, LABELS_COUNTRIES, "KEN"), known[n].country, true);
        expect_label(labels_code(labels, LABELS_COUNTRIES, "DEU"), known[n].other, true);
        expect_label(labels_code(labels, LABELS_LANGUAGES, "eng"), known[n].spoken, true);
        expect_label(labels_code(labels, LABELS_REGIONS, "014"), known[n].region, true);
        labels_close(&labels);
    }
}
END_TEST

START_TEST(a_subdivision_has_a_label_where_iso_codes_has_one)
{
    struct labels *labels = open_labels("zh");

    expect_label(labels_code(labels, LABELS_SUBDIVISIONS, "KE-04"), "布西亚", true);
    labels_close(&labels);
    labels = open_labels("ru");
    expect_label(labels_code(labels, LABELS_SUBDIVISIONS, "RU-MOW"), "Москва", true);
    labels_close(&labels);
}
END_TEST

START_TEST(what_is_not_translated_is_in_english_and_says_so)
{
    struct labels *labels = open_labels("ar");

    expect_label(labels_code(labels, LABELS_LANGUAGES, "aaa"), "Ghotuo", false);
    expect_label(labels_code(labels, LABELS_SUBDIVISIONS, "KE-04"), "Busia", false);
    expect_label(labels_of(labels, "kind", "case", "Case"), "Case", false);
    labels_close(&labels);
    /* English is what was asked for. */
    labels = open_labels("en");
    expect_label(labels_code(labels, LABELS_LANGUAGES, "aaa"), "Ghotuo", true);
    expect_label(labels_of(labels, "kind", "case", "Case"), "Case", true);
    labels_close(&labels);
}
END_TEST

START_TEST(what_is_no_code_has_no_label)
{
    static const char *const none[] = { "", "QQQ", "ken", "KE-99", "Kenya", "999", "\xff" };
    struct labels *labels = open_labels("fr");

    for (size_t n = 0; n < sizeof none / sizeof none[0]; n++) {
        for (int list = 0; list < LABELS_LISTS; list++) {
            /* Of ISO 639-3, ken is one. */
            if (list != LABELS_LANGUAGES || strcmp(none[n], "ken") != 0) {
                ck_assert_ptr_null(labels_code(labels, (enum labels_list)list, none[n]).text);
            }
        }
    }
    ck_assert_ptr_null(labels_code(labels, LABELS_COUNTRIES, NULL).text);
    labels_close(&labels);
}
END_TEST

START_TEST(a_language_that_is_none_of_the_six_is_refused)
{
    static const char *const none[] = { "", "de", "FR", "zh_CN", "../../etc" };
    struct labels *labels = NULL;

    for (size_t n = 0; n < sizeof none / sizeof none[0]; n++) {
        ck_assert(!labels_open(&labels, none[n], &places, &fault));
        ck_assert_str_eq(fault.code, "usage");
        ck_assert_ptr_null(labels);
    }
}
END_TEST

START_TEST(without_iso_codes_regions_alone_have_labels)
{
    places.iso_lists = home;
    places.iso_locales = home;
    struct labels *labels = open_labels("fr");

    ck_assert_ptr_null(labels_code(labels, LABELS_COUNTRIES, "KEN").text);
    ck_assert_ptr_null(labels_rows(labels, LABELS_COUNTRIES, &fault));
    ck_assert_str_eq(fault.code, "absent");
    expect_label(labels_code(labels, LABELS_REGIONS, "014"), "Afrique orientale", true);
    labels_close(&labels);
}
END_TEST

START_TEST(rows_say_what_each_code_is_within)
{
    static const struct {
        enum labels_list list;
        const char *code;
        const char *within;
    } rows[] = {
        { LABELS_COUNTRIES, "KEN", "014" },      { LABELS_COUNTRIES, "ATA", "" },
        { LABELS_SUBDIVISIONS, "KE-30", "KEN" }, { LABELS_LANGUAGES, "swa", "" },
        { LABELS_REGIONS, "014", "002" },        { LABELS_REGIONS, "002", "" },
    };
    struct labels *labels = open_labels("en");

    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        const json_t *list = labels_rows(labels, rows[n].list, &fault);
        size_t found = 0;
        size_t index;
        json_t *row;

        ck_assert_ptr_nonnull(list);
        json_array_foreach(list, index, row)
        {
            if (strcmp(json_string_value(json_object_get(row, "code")), rows[n].code) == 0) {
                ck_assert_str_eq(json_string_value(json_object_get(row, "within")), rows[n].within);
                found++;
            }
        }
        ck_assert_uint_eq(found, 1);
    }
    labels_close(&labels);
}
END_TEST

/* --- the catalogue of the codebook --- */

static const struct support_message french[] = {
    { "collection act\004Acts", "Actes" },
    { "field act.type_of_act\004Type of act", "Type d'acte" },
    { "field title\004Old title", "Ancien titre" },
    { "kind case\004Case", "Dossier" },
    { "value act_type death_threat\004Death threat", "Menace de mort" },
};

static struct labels *
open_french(void)
{
    support_mo_file(home, "fr", "vigil-codebook", french, sizeof french / sizeof french[0]);
    return open_labels("fr");
}

START_TEST(a_catalogue_gives_the_labels_of_the_codebook)
{
    struct labels *labels = open_french();

    expect_label(labels_of(labels, "kind", "case", "Case"), "Dossier", true);
    expect_label(labels_of(labels, "value", "act_type death_threat", "Death threat"), "Menace de mort", true);
    /* A translation is of its English label: not of what that became. */
    expect_label(labels_of(labels, "field", "title", "Title"), "Title", false);
    labels_close(&labels);
    /* And of its language. */
    labels = open_labels("es");
    expect_label(labels_of(labels, "kind", "case", "Case"), "Case", false);
    labels_close(&labels);
}
END_TEST

START_TEST(chinese_is_where_gettext_has_it)
{
    static const struct support_message chinese[] = { { "kind case\004Case", "案件" } };

    support_mo_file(home, "zh_CN", "vigil-codebook", chinese, 1);
    struct labels *labels = open_labels("zh");
    ck_assert_str_eq(labels_locale(labels), "zh_CN");
    expect_label(labels_of(labels, "kind", "case", "Case"), "案件", true);
    labels_close(&labels);
}
END_TEST

START_TEST(a_damaged_catalogue_is_not_passed_over)
{
    struct labels *labels = open_french();
    char path[100];

    labels_close(&labels);
    (void)snprintf(path, sizeof path, "%s/fr/LC_MESSAGES/vigil-codebook.mo", home);
    ck_assert_int_eq(truncate(path, 40), 0);
    ck_assert(!labels_open(&labels, "fr", &places, &fault));
    ck_assert_str_eq(fault.code, "invalid");
    ck_assert_ptr_nonnull(strstr(fault.message, path));
    ck_assert_ptr_null(labels);
    /* It is in nobody's way who reads English. */
    labels = open_labels("en");
    labels_close(&labels);
}
END_TEST

/* --- what a node answers --- */

static json_t *
json_of(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    ck_assert_ptr_nonnull(json);
    return json;
}

static void
expect_json(json_t *json, const char *wanted)
{
    json_t *other = json_of(wanted);
    char *text = json_dumps(json, JSON_SORT_KEYS);

    ck_assert_msg(json_equal(json, other), "%s", text);
    free(text);
    json_decref(other);
    json_decref(json);
}

START_TEST(a_codebook_is_relabelled_and_counted)
{
    struct labels *labels = open_french();
    json_t *codebook = json_of("{\"kinds\":[{\"name\":\"case\",\"label\":\"Case\"}],"
                               "\"collections\":[{\"name\":\"act\",\"label\":\"Acts\"}],"
                               "\"fields\":[{\"name\":\"title\",\"label\":\"Title\"}],"
                               "\"vocabularies\":[{\"name\":\"act_type\",\"label\":\"Types\",\"values\":["
                               "{\"name\":\"death_threat\",\"label\":\"Death threat\"}]}]}");
    struct relabelled done = relabel_codebook(labels, codebook);

    ck_assert_uint_eq(done.all, 5);
    ck_assert_uint_eq(done.own, 3);
    expect_json(
        codebook,
        "{\"kinds\":[{\"name\":\"case\",\"label\":\"Dossier\",\"label_language\":\"fr\"}],"
        "\"collections\":[{\"name\":\"act\",\"label\":\"Actes\",\"label_language\":\"fr\"}],"
        "\"fields\":[{\"name\":\"title\",\"label\":\"Title\",\"label_language\":\"en\"}],"
        "\"vocabularies\":[{\"name\":\"act_type\",\"label\":\"Types\",\"label_language\":\"en\",\"values\":["
        "{\"name\":\"death_threat\",\"label\":\"Menace de mort\",\"label_language\":\"fr\"}]}]}");
    labels_close(&labels);
}
END_TEST

START_TEST(a_record_keeps_its_codes_and_gets_other_labels)
{
    struct labels *labels = open_french();
    json_t *record = json_of(
        "{\"fields\":[{\"name\":\"country\",\"label\":\"Country\",\"type\":\"country\",\"vocabulary\":\"\","
        "\"values\":[{\"value\":\"DEU\",\"label\":\"DEU\"},{\"value\":\"XKX\",\"label\":\"XKX\"},"
        "{\"value\":null,\"label\":\"(cleared)\"}]},"
        "{\"name\":\"title\",\"label\":\"Title\",\"type\":\"text\",\"vocabulary\":\"\","
        "\"values\":[{\"value\":\"DEU\",\"label\":\"DEU\"}]},"
        "{\"name\":\"name\",\"label\":\"Name\",\"withheld\":true}],"
        "\"elements\":[{\"collection\":\"act\",\"label\":\"Acts\",\"fields\":["
        "{\"name\":\"act.type_of_act\",\"label\":\"Type of "
        "act\",\"type\":\"code\",\"vocabulary\":\"act_type\","
        "\"values\":[{\"value\":\"death_threat\",\"label\":\"Death threat\"},"
        "{\"value\":\"killing\",\"label\":\"Killing\"}]}]}]}");

    relabel_record(labels, record);
    expect_json(
        record,
        "{\"fields\":[{\"name\":\"country\",\"label\":\"Country\",\"type\":\"country\",\"vocabulary\":\"\","
        "\"values\":[{\"value\":\"DEU\",\"label\":\"Allemagne\"},{\"value\":\"XKX\",\"label\":\"XKX\"},"
        "{\"value\":null,\"label\":\"(cleared)\"}]},"
        "{\"name\":\"title\",\"label\":\"Title\",\"type\":\"text\",\"vocabulary\":\"\","
        "\"values\":[{\"value\":\"DEU\",\"label\":\"DEU\"}]},"
        "{\"name\":\"name\",\"label\":\"Name\",\"withheld\":true}],"
        "\"elements\":[{\"collection\":\"act\",\"label\":\"Actes\",\"fields\":["
        "{\"name\":\"act.type_of_act\",\"label\":\"Type "
        "d'acte\",\"type\":\"code\",\"vocabulary\":\"act_type\","
        "\"values\":[{\"value\":\"death_threat\",\"label\":\"Menace de mort\"},"
        "{\"value\":\"killing\",\"label\":\"Killing\"}]}]}]}");
    labels_close(&labels);
}
END_TEST

START_TEST(tables_are_relabelled_by_the_lists_of_their_axes)
{
    struct labels *labels = open_french();
    json_t *tables = json_of(
        "[{\"cubes\":[{\"axes\":[{\"lists\":[\"regions\",\"countries\"]},{\"lists\":[\"act_group\",\"act_"
        "type\"]},"
        "{\"lists\":[]}],\"rows\":["
        "{\"values\":[\"all\",\"all\",\"KEN\"],\"labels\":[\"All\",\"All\",\"KEN\"]},"
        "{\"values\":[\"014\",\"death_threat\",\"new\"],\"labels\":[\"Eastern Africa\",\"Death "
        "threat\",\"New\"]},"
        "{\"values\":[\"DEU\",\"killing\",\"new\"],\"labels\":[\"Germany\",\"Killing\",\"New\"]}]}]}]");

    relabel_tables(labels, tables);
    expect_json(
        tables,
        "[{\"cubes\":[{\"axes\":[{\"lists\":[\"regions\",\"countries\"]},{\"lists\":[\"act_group\",\"act_"
        "type\"]},"
        "{\"lists\":[]}],\"rows\":["
        "{\"values\":[\"all\",\"all\",\"KEN\"],\"labels\":[\"All\",\"All\",\"KEN\"]},"
        "{\"values\":[\"014\",\"death_threat\",\"new\"],\"labels\":[\"Afrique orientale\",\"Menace de "
        "mort\",\"New\"]},"
        "{\"values\":[\"DEU\",\"killing\",\"new\"],\"labels\":[\"Allemagne\",\"Killing\",\"New\"]}]}]}]");
    labels_close(&labels);
}
END_TEST

SUITE_MAIN_WITH("labels", setup, teardown, codes_have_labels_in_all_six_languages,
                a_subdivision_has_a_label_where_iso_codes_has_one,
                what_is_not_translated_is_in_english_and_says_so, what_is_no_code_has_no_label,
                a_language_that_is_none_of_the_six_is_refused, without_iso_codes_regions_alone_have_labels,
                rows_say_what_each_code_is_within, a_catalogue_gives_the_labels_of_the_codebook,
                chinese_is_where_gettext_has_it, a_damaged_catalogue_is_not_passed_over,
                a_codebook_is_relabelled_and_counted, a_record_keeps_its_codes_and_gets_other_labels,
                tables_are_relabelled_by_the_lists_of_their_axes)
