/* about.c - `vigil about`: the version, how it was built, whose work it is built on, and what it does not protect against. It asks no
 * node. */
#include "tools/command.h"
#include "tools/limits.h"

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

static enum exit_status
print_limits(struct command *command)
{
    FILE *to = command->out.to;

    if (!command->out.json) {
        output_printf(to, "What Vigil does not protect against\n");
    }
    for (size_t n = 0; n < limit_count; n++) {
        if (command->out.json) {
            json_t *row = json_pack("{s:s, s:s}", "title", limits[n].title, "text", limits[n].text);
            output_json(to, row);
            json_decref(row);
        } else {
            output_printf(to, "\n%zu. %s\n", n + 1, limits[n].title);
            output_printf(to, "%*s", INDENT, "");
            output_wrapped(&command->out, limits[n].text, INDENT);
        }
    }
    return STATUS_DONE;
}

static enum exit_status
run_about(struct command *command)
{
    return args_has(command, OPT_LIMITS) ? print_limits(command) : print_about(command);
}

static const struct verb verbs[] = {
    { NULL, NULL, 0, 0, OPTION(LIMITS),
      "Show the version, how it was built and on what, or what it does not protect against",
      "Of each library its licence, and the file that is loaded on this machine. With --limits it says what "
      "Vigil "
      "does not protect against, and what you can do: read it before you rely on it. No node is needed.\n\n"
      "Examples:\n"
      "  vigil about\n"
      "  vigil about --limits | less\n",
      run_about },
};

const struct noun about_noun = { "about", "What this program is, and what it does not protect against", verbs,
                                 1 };
