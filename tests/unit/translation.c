/* Which language the help is in, and that what a catalogue says is printed and does nothing. The whole suite runs in the locale C: no other is
 * needed. */
#include "tests/support/check.h"
#include "tests/support/mo.h"
#include "tools/translation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char home[] = "/tmp/vigil-translation-XXXXXX";
static struct client_fault fault;

static const char *const variables[] = { "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE" };

enum { VARIABLES = sizeof variables / sizeof variables[0] };

static void
setup(void)
{
    (void)strcpy(strrchr(home, '-'), "-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    (void)setenv("VIGIL_LOCALE", home, 1);
    for (size_t n = 0; n < VARIABLES; n++) {
        (void)unsetenv(variables[n]);
    }
}

static void
teardown(void)
{
    char command[100];

    (void)snprintf(command, sizeof command, "rm -rf %s", home);
    ck_assert_int_eq(system(command), 0);
}

/* A catalogue in which "Help" is `text`. */
static void
put(const char *locale, const char *text)
{
    support_mo_file(home, locale, "vigil", &(const struct support_message){ "Help", text }, 1);
}

static const struct asked {
    const char *values[VARIABLES]; /* of `variables`; NULL: not set */
    const char *help;              /* NULL: English */
} asked[] = {
    { { NULL, NULL, NULL, NULL }, NULL },
    { { NULL, NULL, NULL, "fr" }, NULL },
    { { NULL, NULL, "C", "fr" }, NULL },
    { { "POSIX", NULL, "fr_FR.UTF-8", "fr" }, NULL },
    { { NULL, NULL, "C.UTF-8", NULL }, NULL },
    { { NULL, NULL, "C.UTF-8", "fr" }, "Aide" },
    { { NULL, NULL, "fr_FR.UTF-8", NULL }, "Aide" },
    { { NULL, NULL, "fr", NULL }, "Aide" },
    { { NULL, NULL, "fr_CA@euro", NULL }, "Aide d'ici" },
    { { NULL, "fr_FR.UTF-8", "ru_RU.UTF-8", NULL }, "Aide" },
    { { "es_CO.UTF-8", "fr_FR.UTF-8", NULL, NULL }, "Ayuda" },
    { { "", "fr_FR.UTF-8", NULL, "" }, "Aide" },
    { { NULL, NULL, "fr_FR.UTF-8", "es" }, "Ayuda" },
    { { NULL, NULL, "fr_FR.UTF-8", "ru:es:fr" }, "Ayuda" },
    { { NULL, NULL, "fr_FR.UTF-8", "ru" }, NULL },
    { { NULL, NULL, "fr_FR.UTF-8", "en_GB:fr" }, NULL },
    { { NULL, NULL, "fr_FR.UTF-8", "en" }, NULL },
    { { NULL, NULL, "zh", NULL }, "帮助" },
    { { NULL, NULL, "zh_CN.UTF-8", NULL }, "帮助" },
    { { NULL, NULL, "zh_TW.UTF-8", NULL }, NULL },
    { { NULL, NULL, "de_DE.UTF-8", NULL }, NULL },
    /* What is no locale is no path. */
    { { NULL, NULL, "C.UTF-8", "../fr" }, NULL },
    { { NULL, NULL, "C.UTF-8", "fr/../fr" }, NULL },
    { { NULL, NULL, "C.UTF-8", "fr_" }, NULL },
    { { NULL, NULL, "C.UTF-8", "fr_AAAAAAAAAAAAAAAAAAAAAAAA" }, NULL },
    { { NULL, NULL, "C.UTF-8", "::fr" }, "Aide" },
};

START_TEST(the_language_is_the_one_that_gettext_would_choose)
{
    put("fr", "Aide");
    put("fr_CA", "Aide d'ici");
    put("es", "Ayuda");
    put("zh_CN", "帮助");
    for (size_t row = 0; row < sizeof asked / sizeof asked[0]; row++) {
        for (size_t n = 0; n < VARIABLES; n++) {
            (void)unsetenv(variables[n]);
            if (asked[row].values[n] != NULL) {
                (void)setenv(variables[n], asked[row].values[n], 1);
            }
        }
        struct translation *translation = translation_choose();
        const char *help = asked[row].help == NULL ? "Help" : asked[row].help;
        ck_assert_msg(strcmp(translate(translation, "Help"), help) == 0, "row %zu", row);
        ck_assert_str_eq(translate(translation, "Nobody translated this"), "Nobody translated this");
        ck_assert_ptr_null(translation_find(translation, "Nobody translated this"));
        translation_close(&translation);
        ck_assert_ptr_null(translation);
        translation_close(&translation);
    }
}
END_TEST

START_TEST(what_a_translation_says_steers_no_terminal_and_is_no_format)
{
    struct translation *translation = NULL;

    put("fr", "\x1b[31m%s%n\xe2\x80\xae Aide\n  avec\tdeux lignes\a");
    ck_assert(translation_open(&translation, "fr", &fault));
    const char *first = translate(translation, "Help");
    ck_assert_str_eq(first, "[31m%s%n Aide\n  avec deux lignes");
    /* It is lent, and the same each time. */
    ck_assert_ptr_eq(translate(translation, "Help"), first);
    translation_close(&translation);
    put("fr", "\x1b\a");
    ck_assert(translation_open(&translation, "fr", &fault));
    ck_assert_str_eq(translate(translation, "Help"), "Help");
    translation_close(&translation);
}
END_TEST

START_TEST(a_damaged_catalogue_is_told_to_who_asks_and_hides_no_help)
{
    struct translation *translation = NULL;
    char path[200];

    put("fr", "Aide");
    (void)snprintf(path, sizeof path, "%s/fr/LC_MESSAGES/vigil.mo", home);
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fputs("X", file), 1);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert(!translation_open(&translation, "fr", &fault));
    ck_assert_ptr_null(translation);
    ck_assert_str_eq(fault.code, "invalid");
    ck_assert_ptr_nonnull(strstr(fault.message, path));
    (void)setenv("LANG", "fr_FR.UTF-8", 1);
    translation = translation_choose();
    ck_assert_ptr_null(translation);
    ck_assert_str_eq(translate(translation, "Help"), "Help");
    /* The next language that is asked for takes its place. */
    put("es", "Ayuda");
    (void)setenv("LANGUAGE", "fr:es", 1);
    translation = translation_choose();
    ck_assert_str_eq(translate(translation, "Help"), "Ayuda");
    translation_close(&translation);
}
END_TEST

START_TEST(without_a_catalogue_nothing_is_translated)
{
    struct translation *translation = NULL;

    ck_assert(translation_open(&translation, "ar", &fault));
    ck_assert_ptr_nonnull(translation);
    ck_assert_ptr_null(translation_find(translation, "Help"));
    translation_close(&translation);
}
END_TEST

SUITE_MAIN_WITH("translation", setup, teardown, the_language_is_the_one_that_gettext_would_choose,
                what_a_translation_says_steers_no_terminal_and_is_no_format,
                a_damaged_catalogue_is_told_to_who_asks_and_hides_no_help,
                without_a_catalogue_nothing_is_translated)
