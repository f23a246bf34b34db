/* about.c - `vigil about`: the version, how it was built, whose work it is built on, what it does not protect against, and the help in
 * other languages. It asks no node. */
#include "node/labels.h"
#include "tools/command.h"
#include "tools/limits.h"
#include "tools/po.h"
#include "tools/translation.h"

#include <libgen.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

/* A library that a program of ours is linked with. */
struct linked {
    const char *name; /* as its file, up to ".so" */
    const char *licence;
};

/* By their copyright files in Debian 12; libzmq changed to MPL-2.0 later. */
static const struct linked libraries[] = {
    { "libc", "LGPL-2.1-or-later" },
    { "libcbor", "MIT" },
    { "libconfuse", "ISC" },
    { "libcsv", "LGPL-2.1-or-later" },
    { "libicui18n", "Unicode-DFS-2016" },
    { "libicuuc", "Unicode-DFS-2016" },
    { "libjansson", "MIT" },
    { "liblmdb", "OLDAP-2.8" },
    { "libm", "LGPL-2.1-or-later" },
    { "libmagic", "BSD-2-Clause" },
    { "libqrencode", "LGPL-2.1-or-later" },
#ifdef VIGIL_SECCOMP
    { "libseccomp", "LGPL-2.1-only" },
#endif
    { "libsmartcols", "LGPL-2.1-or-later" },
    { "libsodium", "ISC" },
    { "libsqlite3", "blessing (public domain)" },
    { "libstemmer", "BSD-3-Clause" },
#ifdef VIGIL_SYSTEMD
    { "libsystemd", "LGPL-2.1-or-later" },
#endif
    { "libxlsxwriter", "BSD-2-Clause" },
    { "libzmq", "LGPL-3.0-or-later, with an exception for linking" },
    { "libzstd", "BSD-3-Clause or GPL-2.0-only" },
};

enum { LIBRARIES = sizeof libraries / sizeof libraries[0], INDENT = 3 };

/* --- how it was built --- */

static const struct {
    const char *name;
    const char *value;
} built[] = {
    { "type", VIGIL_BUILD_TYPE },
#ifdef __clang__
    { "compiler", __VERSION__ },
#else
    { "compiler", "GCC " __VERSION__ },
#endif
#ifdef VIGIL_SYSTEMD
    { "systemd", "yes" },
#else
    { "systemd", "no" },
#endif
#ifdef VIGIL_SANDBOX_RELAXED
    { "sandbox", "relaxed, for measuring" },
#else
    { "sandbox", "whole" },
#endif
#ifdef __PIE__
    { "position independent", "yes" },
#else
    { "position independent", "no" },
#endif
#if defined __SSP_STRONG__ || defined __SSP_ALL__
    { "stack protector", "yes" },
#else
    { "stack protector", "no" },
#endif
#if defined _FORTIFY_SOURCE && _FORTIFY_SOURCE > 0
    { "fortified", "yes" },
#else
    { "fortified", "no" },
#endif
#ifdef __CET__
    { "control flow", "protected" },
#else
    { "control flow", "not protected" },
#endif
    { "sanitizers", VIGIL_SANITIZERS },
};

enum { BUILT = sizeof built / sizeof built[0] };

/* --- what is loaded --- */

struct loading {
    const char *name;
    char *path; /* the file that holds it; the caller's to free */
};

static int
see_object(struct dl_phdr_info *object, size_t size, void *self)
{
    struct loading *loading = self;
    const char *slash = strrchr(object->dlpi_name, '/');
    size_t length = strlen(loading->name);

    (void)size;
    if (slash != NULL && strncmp(slash + 1, loading->name, length) == 0 &&
        strncmp(slash + 1 + length, ".so", 3) == 0) {
        loading->path = realpath(object->dlpi_name, NULL);
        return 1;
    }
    return 0;
}

/* Rows of the libraries: their names, licences and the files that are loaded, null for one that is not. */
static json_t *
library_rows(void)
{
    json_t *rows = json_array();

    for (size_t n = 0; n < LIBRARIES; n++) {
        struct loading loading = { libraries[n].name, NULL };

        (void)dl_iterate_phdr(see_object, &loading);
        (void)json_array_append_new(rows, json_pack("{s:s, s:s, s:s?}", "library", libraries[n].name,
                                                    "licence", libraries[n].licence, "file",
                                                    loading.path == NULL ? NULL : basename(loading.path)));
        free(loading.path);
    }
    return rows;
}

static enum exit_status
print_about(struct command *command)
{
    static const struct output_column columns[] = { { "library", 0 },
                                                    { "licence", 0 },
                                                    { "file", COLUMN_CUT } };
    enum exit_status status = STATUS_DONE;
    json_t *rows = library_rows();

    if (command->out.json) {
        json_t *object = json_pack("{s:s, s:s, s:{}}", "version", VIGIL_VERSION, "licence", "ISC", "build");
        for (size_t n = 0; n < BUILT; n++) {
            (void)json_object_set_new(json_object_get(object, "build"), built[n].name,
                                      json_string(built[n].value));
        }
        (void)json_object_set(object, "libraries", rows);
        output_json(command->out.to, object);
        json_decref(object);
    } else {
        output_printf(command->out.to, "%-21s %s\n", "vigil", VIGIL_VERSION);
        output_printf(command->out.to, "%-21s %s\n", "licence", "ISC");
        for (size_t n = 0; n < BUILT; n++) {
            output_printf(command->out.to, "%-21s %s\n", built[n].name, built[n].value);
        }
        output_printf(command->out.to, "\n");
        status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
        output_printf(command->out.to, "\nvigil about --limits says what it does not protect against.\n");
    }
    json_decref(rows);
    return status;
}

/* --- what it does not protect against --- */

static const char limits_title[] = "What Vigil does not protect against";

static enum exit_status
print_limits(struct command *command)
{
    struct translation *translation = translation_choose();
    FILE *to = command->out.to;

    if (!command->out.json) {
        output_printf(to, "%s\n", translate(translation, limits_title));
    }
    for (size_t n = 0; n < limit_count; n++) {
        const char *title = translate(translation, limits[n].title);
        const char *text = translate(translation, limits[n].text);

        if (command->out.json) {
            json_t *row = json_pack("{s:s, s:s}", "title", title, "text", text);
            output_json(to, row);
            json_decref(row);
        } else {
            output_printf(to, "\n%zu. %s\n%*s", n + 1, title, INDENT, "");
            output_wrapped(&command->out, text, INDENT);
        }
    }
    translation_close(&translation);
    return STATUS_DONE;
}

/* --- the help in other languages --- */

/* A text stands in `texts` once, with all its places. */
static void
add_text(json_t *texts, const char *text, const char *noun, const char *verb, const char *what)
{
    json_t *places = json_object_get(texts, text);

    if (text[0] == '\0') {
        return;
    }
    if (places == NULL) {
        places = json_array();
        (void)json_object_set_new(texts, text, places);
    }
    (void)json_array_append_new(
        places, json_sprintf("%s%s%s%s", noun, verb == NULL ? "" : " ", verb == NULL ? "" : verb, what));
}

/* Every text of the help, in English, with where it stands. */
static json_t *
all_texts(void)
{
    json_t *texts = json_object();

    for (size_t n = 0; n < HELP_TEXTS; n++) {
        add_text(texts, help_texts[n], "help", NULL, "");
    }
    for (size_t n = 0; nouns[n] != NULL; n++) {
        const struct noun *noun = nouns[n];

        add_text(texts, noun->summary, noun->name, NULL, "");
        for (size_t m = 0; m < noun->verb_count; m++) {
            add_text(texts, noun->verbs[m].summary, noun->name, noun->verbs[m].name, "");
            add_text(texts, noun->verbs[m].details == NULL ? "" : noun->verbs[m].details, noun->name,
                     noun->verbs[m].name, ", details");
        }
    }
    for (size_t n = 0; n < OPT_COUNT; n++) {
        add_text(texts, option_texts[n].help, "option", option_texts[n].name, "");
    }
    add_text(texts, limits_title, "about --limits", NULL, "");
    for (size_t n = 0; n < limit_count; n++) {
        add_text(texts, limits[n].title, "about --limits", NULL, ", title");
        add_text(texts, limits[n].text, "about --limits", NULL, "");
    }
    return texts;
}

/* One language, and how many of the texts it has. */
static bool
add_share(const struct command *command, size_t language, json_t *texts, json_t *rows,
          struct client_fault *fault)
{
    struct translation *translation = NULL;
    size_t all = json_object_size(texts);
    size_t own = 0;
    const char *text;
    json_t *places;
    bool english = strcmp(labels_languages[language], "en") == 0;

    if (!english && !translation_open(&translation, labels_locales[language], fault)) {
        return false;
    }
    json_object_foreach(texts, text, places)
    {
        own += english || translation_find(translation, text) != NULL;
    }
    translation_close(&translation);
    (void)json_array_append_new(
        rows, command->out.json ? json_pack("{s:s, s:{s:I, s:I}}", "language", labels_languages[language],
                                            "help", "texts", (json_int_t)own, "of", (json_int_t)all)
                                : json_pack("{s:s, s:o}", "language", labels_languages[language], "help",
                                            json_sprintf("%zu of %zu", own, all)));
    return true;
}

static enum exit_status
print_shares(struct command *command)
{
    static const struct output_column columns[] = { { "language", 0 }, { "help", COLUMN_RIGHT } };
    struct client_fault fault;
    json_t *texts = all_texts();
    json_t *rows = json_array();
    bool good = true;

    for (size_t n = 0; good && n < LABELS_LANGUAGES_UN; n++) {
        good = add_share(command, n, texts, rows, &fault);
    }
    enum exit_status status = good ? command_table(command, columns, 2, rows)
                                   : command_fail(command, &fault, "cannot count the texts");
    json_decref(texts);
    json_decref(rows);
    return status;
}

/* The folder of a language that the help is translated to, "" for a template of none; NULL: there is no such language. */
static const char *
find_locale(const char *language)
{
    for (size_t n = 0; n < LABELS_LANGUAGES_UN; n++) {
        if (strcmp(language, labels_languages[n]) == 0 && strcmp(language, "en") != 0) {
            return labels_locales[n];
        }
    }
    return strcmp(language, "template") == 0 ? "" : NULL;
}

static enum exit_status
print_template(struct command *command, const char *language)
{
    const char *locale = find_locale(language);
    struct translation *translation = NULL;
    struct client_fault fault;
    FILE *to = command->out.to;
    size_t index;
    const char *text;
    json_t *places;
    json_t *place;

    if (locale == NULL) {
        (void)fault_set(&fault, "usage", "ar, es, fr, ru or zh, or template",
                        strcmp(language, "en") == 0 ? "the help is in English"
                                                    : "the help is not translated to that language");
        return command_fail(command, &fault, "there is nothing to translate");
    }
    if (locale[0] != '\0' && !translation_open(&translation, locale, &fault)) {
        return command_fail(command, &fault, "cannot print the texts");
    }
    json_t *texts = all_texts();
    po_put_heading(to, "Help of vigil, version " VIGIL_VERSION, "vigil " VIGIL_VERSION, "vigil", locale);
    json_object_foreach(texts, text, places)
    {
        const char *found = translation_find(translation, text);

        (void)fputc('\n', to);
        json_array_foreach(places, index, place)
        {
            (void)fprintf(to, "#. %s\n", json_string_value(place));
        }
        po_put_text(to, "msgid", text);
        po_put_text(to, "msgstr", found == NULL ? "" : found);
    }
    json_decref(texts);
    translation_close(&translation);
    return STATUS_DONE;
}

static enum exit_status
run_about(struct command *command)
{
    bool translations = args_has(command, OPT_TRANSLATIONS);
    struct client_fault fault;

    if (translations ? args_has(command, OPT_LIMITS) : command->word_count > 0) {
        (void)fault_set(&fault, "usage", "write vigil about --translations LANGUAGE, or vigil about --limits",
                        translations ? "--limits and --translations do not go together"
                                     : "a language is taken with --translations alone");
        return command_fail(command, &fault, "nothing was printed");
    }
    if (translations) {
        return command->word_count == 0 ? print_shares(command) : print_template(command, command->words[0]);
    }
    return args_has(command, OPT_LIMITS) ? print_limits(command) : print_about(command);
}

static const struct verb verbs[] = {
    { NULL, "[LANGUAGE]", 0, 1, OPTION(LIMITS) | OPTION(TRANSLATIONS),
      "Show the version, how it was built and on what, or what it does not protect against",
      "Of each library its licence, and the file that is loaded on this machine. With --limits it says what "
      "Vigil "
      "does not protect against, and what you can do: read it before you rely on it. With --translations it "
      "counts "
      "the texts of this help in each language, and with LANGUAGE prints them as a .po file with what is "
      "translated "
      "already; with template as one of no language. No node is needed.\n\n"
      "Examples:\n"
      "  vigil about\n"
      "  vigil about --limits | less\n"
      "  vigil about --translations fr > fr.po\n",
      run_about },
};

const struct noun about_noun = { "about", "What this program is, and what it does not protect against", verbs,
                                 1 };
