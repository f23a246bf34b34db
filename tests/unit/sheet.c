/* Tables in files: what somebody typed runs nowhere, breaks no row and no reader, and nothing half-written stays. */
#include "tests/support/check.h"
#include "tools/sheet.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES = 1 << 20 };

static char home[] = "/tmp/vigil-sheet-XXXXXX";
static char text[FILE_BYTES];
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

static const char *
path_of(const char *name)
{
    static char paths[4][200];
    static size_t next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", home, name);
    return path;
}

/* What stands in a file, or is printed by a command that takes one. */
static const char *
read_all(FILE *from, bool process)
{
    ck_assert_ptr_nonnull(from);
    size_t size = fread(text, 1, sizeof text - 1, from);
    text[size] = '\0';
    ck_assert_int_eq(process ? pclose(from) : fclose(from), 0);
    return text;
}

static const char *
part_of(const char *book, const char *part)
{
    char command[400];

    (void)snprintf(command, sizeof command, "unzip -p '%s' %s", book, part);
    return read_all(popen(command, "r"), true);
}

static size_t
count_files(const char *path)
{
    DIR *list = opendir(path);
    size_t count = 0;

    ck_assert_ptr_nonnull(list);
    while (readdir(list) != NULL) {
        count++;
    }
    (void)closedir(list);
    return count - 2;
}

static mode_t
mode_of(const char *path)
{
    struct stat stat;

    ck_assert_int_eq(lstat(path, &stat), 0);
    return stat.st_mode & 07777;
}

/* Formulas, everything that separates, what steers, what is no character, and another script. */
static const char *const cells[] = {
    "=HYPERLINK(\"http://x\")",
    "@SUM(A1)",
    "-1",
    "a,b;c",
    "\"quoted\"",
    "two\nlines",
    "tab\there\x01\x1b[2J",
    "abc\u202egnp.exe\u2066",
    "تلقى الشهود تهديدات",
    "<b>&'",
    "\uFFFE\uFFFF",
    "",
    NULL,
    "\u200b=1+1",
};
enum { CELLS = sizeof cells / sizeof cells[0] };

static void
write_cells(struct sheets *sheets)
{
    static const char *const headings[CELLS] = { "one", "two" };
    size_t sheet = 7;

    ck_assert(sheets_add(sheets, "case", headings, CELLS, &sheet, &fault));
    ck_assert_uint_eq(sheet, 0);
    ck_assert(sheets_row(sheets, sheet, cells, CELLS, &fault));
}

START_TEST(a_table_of_text_holds_what_was_typed_and_nothing_of_it_runs)
{
    struct fresh *fresh = NULL;
    struct sheets *sheets = NULL;

    ck_assert(fresh_folder(&fresh, path_of("out"), &fault));
    ck_assert(sheets_csv(&sheets, fresh, &fault));
    write_cells(sheets);
    ck_assert(sheets_end(&sheets, &fault));
    ck_assert(fresh_keep(&fresh, &fault));
    ck_assert_str_eq(
        strchr(read_all(fopen(path_of("out/case.csv"), "r"), false), '\n') + 1,
        "\"'=HYPERLINK(\"\"http://x\"\")\",\"'@SUM(A1)\",\"'-1\",\"a,b;c\",\"\"\"quoted\"\"\",\"two\nlines\","
        "\"tab here[2J\",\"abcgnp.exe\",\"تلقى الشهود "
        "تهديدات\",\"<b>&'\",\"\uFFFE\uFFFF\",\"\",\"\",\"'=1+1\"\n");
    ck_assert_uint_eq(mode_of(path_of("out/case.csv")), 0600);
    ck_assert_uint_eq(mode_of(path_of("out")), 0700);
}
END_TEST

START_TEST(a_workbook_holds_text_and_no_formula)
{
    struct fresh *fresh = NULL;
    struct sheets *sheets = NULL;
    const char *name = NULL;

    ck_assert(fresh_place(&fresh, path_of("book.xlsx"), &name, &fault));
    ck_assert_str_eq(name, "book.xlsx");
    ck_assert(sheets_xlsx(&sheets, fresh, name, &fault));
    write_cells(sheets);
    ck_assert(sheets_end(&sheets, &fault));
    ck_assert(fresh_keep(&fresh, &fault));
    /* Nothing else was left beside it. */
    ck_assert_uint_eq(count_files(home), 1);
    ck_assert_uint_eq(mode_of(path_of("book.xlsx")), 0600);
    const char *sheet = part_of(path_of("book.xlsx"), "xl/worksheets/sheet1.xml");
    ck_assert_ptr_nonnull(strstr(sheet, ">=HYPERLINK(\"http://x\")</t>"));
    ck_assert_ptr_nonnull(strstr(sheet, ">@SUM(A1)</t>"));
    ck_assert_ptr_nonnull(strstr(sheet, ">-1</t>"));
    ck_assert_ptr_nonnull(strstr(sheet, ">two\nlines</t>"));
    ck_assert_ptr_nonnull(strstr(sheet, ">tab here[2J</t>"));
    ck_assert_ptr_nonnull(strstr(sheet, ">abcgnp.exe</t>"));
    ck_assert_ptr_nonnull(strstr(sheet, ">تلقى الشهود تهديدات</t>"));
    ck_assert_ptr_nonnull(strstr(sheet, ">&lt;b&gt;&amp;'</t>"));
    ck_assert_ptr_nonnull(strstr(sheet, ">\uFFFD\uFFFD</t>"));
    ck_assert_ptr_null(strstr(sheet, "<f>"));
    ck_assert_ptr_null(strstr(sheet, "<v>"));
    ck_assert_ptr_null(strstr(part_of(path_of("book.xlsx"), "xl/worksheets/sheet1.xml"), "hyperlink"));
}
END_TEST

/* What a cell cannot take is not lost without a word; a name is cut, and no two are one. */
START_TEST(what_a_workbook_cannot_take_is_cut_and_said)
{
    static const char *const heading[] = { "text" };
    struct fresh *fresh = NULL;
    struct sheets *sheets = NULL;
    const char *name = NULL;
    size_t first = 0;
    size_t second = 0;
    char *large = calloc(40001, 3);

    ck_assert_ptr_nonnull(large);
    for (size_t n = 0; n < 40000; n++) {
        (void)memcpy(large + 2 * n, "ش", 2);
    }
    ck_assert(fresh_place(&fresh, path_of("book.xlsx"), &name, &fault));
    ck_assert(sheets_xlsx(&sheets, fresh, name, &fault));
    ck_assert(sheets_add(sheets, "a_very_long_name_of_a_kind.collection", heading, 1, &first, &fault));
    ck_assert(sheets_add(sheets, "a_very_long_name_of_a_kind.collections", heading, 1, &second, &fault));
    ck_assert(sheets_row(sheets, second, (const char *const *)&large, 1, &fault));
    large[2 * 32767] = '\0';
    ck_assert(sheets_row(sheets, first, (const char *const *)&large, 1, &fault));
    ck_assert_uint_eq(sheets_cut(sheets), 1);
    ck_assert(sheets_end(&sheets, &fault));
    ck_assert(fresh_keep(&fresh, &fault));
    ck_assert_ptr_nonnull(strstr(part_of(path_of("book.xlsx"), "xl/worksheets/sheet2.xml"),
                                 "ش [cut here: the whole text is in the other formats]</t>"));
    ck_assert_ptr_null(strstr(part_of(path_of("book.xlsx"), "xl/worksheets/sheet1.xml"), "cut here"));
    const char *names = part_of(path_of("book.xlsx"), "xl/workbook.xml");
    ck_assert_ptr_nonnull(strstr(names, "name=\"a_very_long_name_of_a_kind.~0\""));
    ck_assert_ptr_nonnull(strstr(names, "name=\"a_very_long_name_of_a_kind.~1\""));
    free(large);
}
END_TEST

START_TEST(nothing_that_is_there_is_written_over_and_no_link_is_followed)
{
    struct fresh *fresh = NULL;
    FILE *file = NULL;
    const char *name;

    file = fopen(path_of("there"), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(symlink(path_of("elsewhere"), path_of("link")), 0);
    ck_assert(!fresh_folder(&fresh, home, &fault));
    ck_assert_str_eq(fault.code, "exists");
    ck_assert(!fresh_folder(&fresh, path_of("there"), &fault));
    ck_assert(!fresh_folder(&fresh, path_of("link"), &fault));
    ck_assert(!fresh_place(&fresh, path_of("nowhere/file"), &name, &fault));
    ck_assert_str_eq(fault.code, "absent");
    ck_assert(!fresh_place(&fresh, path_of("folder/"), &name, &fault));
    static const char *const taken[] = { "there", "link" };
    for (size_t n = 0; n < 2; n++) {
        ck_assert(fresh_place(&fresh, path_of(taken[n]), &name, &fault));
        ck_assert(!fresh_file(fresh, name, &file, &fault));
        ck_assert_str_eq(fault.code, "exists");
        fresh_drop(&fresh);
    }
    ck_assert_int_eq(access(path_of("elsewhere"), F_OK), -1);
    ck_assert_int_eq(access(path_of("there"), F_OK), 0);
    /* A folder that is empty will do. */
    ck_assert_int_eq(mkdir(path_of("empty"), 0700), 0);
    ck_assert(fresh_folder(&fresh, path_of("empty"), &fault));
    fresh_drop(&fresh);
    ck_assert_int_eq(access(path_of("empty"), F_OK), 0);
}
END_TEST

START_TEST(what_is_given_up_leaves_nothing)
{
    static const char *const heading[] = { "text" };

    for (int book = 0; book < 2; book++) {
        struct fresh *fresh = NULL;
        struct sheets *sheets = NULL;
        size_t sheet = 0;

        ck_assert(fresh_folder(&fresh, path_of("out"), &fault));
        ck_assert(book == 0 ? sheets_csv(&sheets, fresh, &fault)
                            : sheets_xlsx(&sheets, fresh, "book.xlsx", &fault));
        ck_assert(sheets_add(sheets, "case", heading, 1, &sheet, &fault));
        ck_assert_uint_eq(count_files(path_of("out")), 1);
        sheets_drop(&sheets);
        fresh_drop(&fresh);
        ck_assert_uint_eq(count_files(home), 0);
    }
}
END_TEST

SUITE_MAIN_WITH("sheet", setup, teardown, a_table_of_text_holds_what_was_typed_and_nothing_of_it_runs,
                a_workbook_holds_text_and_no_formula, what_a_workbook_cannot_take_is_cut_and_said,
                nothing_that_is_there_is_written_over_and_no_link_is_followed,
                what_is_given_up_leaves_nothing)
