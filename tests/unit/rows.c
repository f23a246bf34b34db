/* Files of rows: cells and lines as they are read, and what is wrong with each. */
#include "tests/support/check.h"
#include "tools/rows.h"

#include <stdlib.h>
#include <string.h>

static struct rows *rows;
static FILE *file;
static struct client_fault fault;

static bool
begin(const char *text, size_t size, bool json, char delimiter)
{
    file = fmemopen((void *)(uintptr_t)text, size, "r");
    ck_assert_ptr_nonnull(file);
    memset(&fault, 0, sizeof fault);
    return rows_open(&rows, &(struct rows_options){ file, json, delimiter, "f" }, &fault);
}

static void
end(void)
{
    rows_close(&rows);
    ck_assert_int_eq(fclose(file), 0);
}

/* The next row is this object, and what is said of it is this. */
static void
expect(size_t number, const char *cells, const char *column, const char *message)
{
    struct row row;

    ck_assert_msg(rows_next(rows, &row, &fault), "%s", fault.message);
    ck_assert_ptr_nonnull(row.cells);
    char *text = json_dumps(row.cells, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(text, cells);
    ck_assert_uint_eq(row.number, number);
    ck_assert_str_eq(row.column, column);
    ck_assert_str_eq(row.message, message);
    free(text);
    row_free(&row);
}

static void
expect_end(void)
{
    struct row row;

    ck_assert_msg(rows_next(rows, &row, &fault), "%s", fault.message);
    ck_assert_ptr_null(row.cells);
}

static void
expect_broken(const char *message)
{
    struct row row;

    ck_assert(!rows_next(rows, &row, &fault));
    ck_assert_str_eq(fault.message, message);
}

static void
expect_heading_refused(const char *text, const char *message)
{
    ck_assert(!begin(text, strlen(text), false, ','));
    ck_assert_ptr_null(rows);
    ck_assert_str_eq(fault.message, message);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(cells_come_under_the_names_of_their_columns)
{
    static const char text[] = "\xef\xbb\xbf"
                               "a,b c,\"d\"\"\"\r\n1,\"two, \"\"and\nmore\"\"\",\r\n,,\r\n4,5,6";
    size_t count = 0;

    ck_assert(begin(text, sizeof text - 1, false, ','));
    const char *const *columns = rows_columns(rows, &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(columns[0], "a");
    ck_assert_str_eq(columns[2], "d\"");
    expect(2, "{\"a\":\"1\",\"b c\":\"two, \\\"and\\nmore\\\"\"}", "", "");
    expect(3, "{}", "", "");
    expect(4, "{\"a\":\"4\",\"b c\":\"5\",\"d\\\"\":\"6\"}", "", "");
    expect_end();
    end();
    ck_assert(begin("a;b\n1,5;2\n", 10, false, ';'));
    expect(2, "{\"a\":\"1,5\",\"b\":\"2\"}", "", "");
    expect_end();
    end();
}
END_TEST

START_TEST(a_cell_that_cannot_be_taken_is_named)
{
    static const char text[] = "a,b\n1\n1,2,3\nx\xff,ok\nx\0y,ok\ngood,good\n";

    ck_assert(begin(text, sizeof text - 1, false, ','));
    expect(2, "{\"a\":\"1\"}", "", "the row has 1 cells, and the heading 2");
    expect(3, "{\"a\":\"1\",\"b\":\"2\"}", "", "the row has 3 cells, and the heading 2");
    expect(4, "{\"b\":\"ok\"}", "a", "the cell is not UTF-8: save the file as \"CSV UTF-8\"");
    expect(5, "{\"b\":\"ok\"}", "a", "the cell holds a NUL character");
    expect(6, "{\"a\":\"good\",\"b\":\"good\"}", "", "");
    expect_end();
    end();
}
END_TEST

/* A narrative of a megabyte ends in some later chunk than it began, and the row behind it is whole. */
START_TEST(a_cell_that_is_too_long_is_named_with_its_limit)
{
    enum { LONG = 1 << 20 };
    char *text = malloc(LONG + 64);
    struct row row;

    ck_assert_ptr_nonnull(text);
    memcpy(text, "a,b\n1,", 6);
    memset(text + 6, 'x', LONG);
    memcpy(text + 6 + LONG, "\n2,y\n", 5);
    ck_assert(begin(text, 6 + LONG + 5, false, ','));
    expect(2, "{\"a\":\"1\"}", "b", "the cell has 1048576 bytes, and at most 32768 are taken");
    expect(3, "{\"a\":\"2\",\"b\":\"y\"}", "", "");
    expect_end();
    end();
    /* The longest that is taken. */
    memcpy(text + 6 + ROWS_CELL_BYTES_MAX, "\n", 1);
    ck_assert(begin(text, 6 + ROWS_CELL_BYTES_MAX + 1, false, ','));
    ck_assert(rows_next(rows, &row, &fault));
    ck_assert_str_eq(row.message, "");
    ck_assert_uint_eq(json_string_length(json_object_get(row.cells, "b")), ROWS_CELL_BYTES_MAX);
    row_free(&row);
    end();
    free(text);
}
END_TEST

START_TEST(a_quotation_mark_where_none_may_be_ends_the_file)
{
    static const char open[] = "a,b\n1,2\n3,\"four\n5,6\n";
    static const char inner[] = "a,b\n1,2\n3,fo\"ur\n5,6\n";

    ck_assert(begin(open, sizeof open - 1, false, ','));
    expect(2, "{\"a\":\"1\",\"b\":\"2\"}", "", "");
    expect_broken("row 3 of f, column b: a quotation mark stands where none may, or is not closed");
    end();
    ck_assert(begin(inner, sizeof inner - 1, false, ','));
    expect(2, "{\"a\":\"1\",\"b\":\"2\"}", "", "");
    expect_broken("row 3 of f, column b: a quotation mark stands where none may, or is not closed");
    end();
}
END_TEST

START_TEST(a_heading_names_each_column_once)
{
    expect_heading_refused("\n", "f has no heading");
    expect_heading_refused("a,,b\n1,2,3\n", "row 1 of f: column 2 has no name");
    expect_heading_refused("a,b,a\n1,2,3\n", "row 1 of f: two columns are called a");
    expect_heading_refused("a,b\xff\n1,2\n", "row 1 of f: the name of column 2 is not UTF-8");
    expect_heading_refused("\xff\xfe"
                    "a",
                    "f is UTF-16 and not UTF-8");
}
END_TEST

START_TEST(lines_of_json_are_rows)
{
    static const char text[] = "\xef\xbb\xbf{\"a\":\"x\",\"b\":[1,\"two\",true],\"c\":null,\"d\":\"\"}\n"
                               "\n"
                               "{\"a\":{\"b\":1}}\n"
                               "{\"a\":[null]}\n"
                               "[1]\n"
                               "{\"a\":1,\"a\":2}\n"
                               "{\"a\":\"\xff\"}\n"
                               "{\"a\":1.5}";

    ck_assert(begin(text, sizeof text - 1, true, ','));
    expect(1, "{\"a\":\"x\",\"b\":[1,\"two\",true]}", "", "");
    expect(3, "{\"a\":{\"b\":1}}", "a",
           "the value is neither text, a number, true or false, nor a list of these");
    expect(4, "{\"a\":[null]}", "a",
           "the value is neither text, a number, true or false, nor a list of these");
    expect(5, "{}", "", "the line is not a JSON object with each key once");
    expect(6, "{}", "", "the line is not a JSON object with each key once");
    expect(7, "{}", "", "the line is not UTF-8");
    expect(8, "{\"a\":1.5}", "", "");
    expect_end();
    end();
}
END_TEST

START_TEST(a_line_that_is_too_long_is_named_and_those_behind_it_are_read)
{
    size_t size = ROWS_LINE_BYTES_MAX + 100;
    char *text = malloc(size + 16);

    ck_assert_ptr_nonnull(text);
    memset(text, ' ', size);
    memcpy(text + size, "\n{\"a\":1}\n", 9);
    ck_assert(begin(text, size + 9, true, ','));
    expect(1, "{}", "", "the line has 1048676 bytes, and at most 1048576 are taken");
    expect(2, "{\"a\":1}", "", "");
    expect_end();
    end();
    free(text);
}
END_TEST

SUITE_MAIN("rows", cells_come_under_the_names_of_their_columns, a_cell_that_cannot_be_taken_is_named,
           a_cell_that_is_too_long_is_named_with_its_limit, a_quotation_mark_where_none_may_be_ends_the_file,
           a_heading_names_each_column_once, lines_of_json_are_rows,
           a_line_that_is_too_long_is_named_and_those_behind_it_are_read)
