/* Mappings: what may be said of the columns of a file, and where it is refused. */
#include "tests/support/check.h"
#include "tools/mapping.h"

#include <stdlib.h>
#include <string.h>

static struct mapping mapping;
static struct config_fault fault;

static enum err
parse(const char *text)
{
    return mapping_parse(&mapping, "m.conf", span_text(text), &fault);
}

static void
expect_refused(const char *text, const char *why)
{
    ck_assert_int_eq(parse(text), ERR_INVALID);
    ck_assert_str_eq(fault.text, why);
    mapping_free(&mapping);
}

START_TEST(a_mapping_says_what_goes_where)
{
    ck_assert_int_eq(
        parse("source = \"ours\"\nkey = { \"a\", \"b\" }\nseparator = \";\"\ndate = \"dd/mm/yyyy\"\n"
              "delimiter = \"\t\"\n"
              "column \"Country\" { field = \"country_of_act\" map = \"countries\" optional = true }\n"
              "column \"Act\" { field = \"act[1].type_of_act\" separator = \"\" date = \"unix\" }\n"
              "constant \"transnational\" { value = \"no\" }\n"
              "map \"countries\" { values = { \"b=B\", \"a=b=A\" } other = \"XXX\" }\n"
              "person \"victim\" { key = { \"p\" } column \"Name\" { field = \"name.text\" } }\n"
              "repeat { column \"t\" { field = \"act.type_of_act\" } }\n"),
        ERR_OK);
    const struct mapping_record *own = &mapping.records[0];
    ck_assert_str_eq(mapping.source, "ours");
    ck_assert_str_eq(mapping.kind, "case");
    ck_assert_int_eq(mapping.delimiter, '\t');
    ck_assert_uint_eq(own->key_count, 2);
    ck_assert_str_eq(own->keys[1], "b");
    ck_assert_uint_eq(own->column_count, 2);
    ck_assert_str_eq(own->columns[0].field, "country_of_act");
    ck_assert_str_eq(own->columns[0].separator, ";");
    ck_assert(own->columns[0].optional && !own->columns[1].optional);
    ck_assert_int_eq(own->columns[0].date, MAPPING_DATE_DMY);
    ck_assert_int_eq(own->columns[0].line, 6);
    ck_assert_str_eq(own->columns[1].separator, "");
    ck_assert_int_eq(own->columns[1].date, MAPPING_DATE_UNIX);
    ck_assert_str_eq(own->constants[0].value, "no");
    /* The last "=" counts: what is theirs may hold one. */
    ck_assert_str_eq(mapping_translate(own->columns[0].map, "a=b"), "A");
    ck_assert_str_eq(mapping_translate(own->columns[0].map, "c"), "XXX");
    ck_assert_uint_eq(mapping.record_count, 2);
    ck_assert_str_eq(mapping.records[1].part, "alleged_victim");
    ck_assert_str_eq(mapping.records[1].keys[0], "p");
    ck_assert_str_eq(mapping.repeat.parent, "_parent_index");
    ck_assert_str_eq(mapping.repeat.elements.columns[0].name, "t");
    mapping_free(&mapping);
}
END_TEST

START_TEST(what_is_wrong_is_named_with_its_line)
{
    expect_refused("source = \"\xff\"\n", "m.conf:1: it is no text in UTF-8");
    expect_refused("", "m.conf:1: it does not name its source: source = \"...\"");
    expect_refused("source = \"x\"\n", "m.conf:1: it names no column");
    expect_refused("source = \"x\"\ncolumn \"a\" { field = \"title\" }\n",
            "m.conf:1: it does not say which column is the key of a row: key = { \"id\" }");
    expect_refused("source = \"x\"\nkey = { \"a\" }\n\ncolumn \"a\" { }\n", "m.conf:4: column 'a' goes to no field");
    expect_refused("source = \"x\"\nkey = { \"a\" }\ncolumn \"a\" {\n  field = \"Title\"\n}\n",
            "m.conf:5: column 'a': 'Title' is not the name of a field");
    expect_refused("source = \"x\"\nkey = { \"a\" }\ncolumn \"a\" { field = \"act[].x\" }\n",
            "m.conf:3: column 'a': 'act[].x' is not the name of a field");
    expect_refused("source = \"x\"\nkey = { \"a\" }\ncolumn \"a\" { field = \"title\" map = \"m\" }\n",
            "m.conf:3: column 'a': there is no map 'm'");
    expect_refused("source = \"x\"\nkey = { \"a\" }\nmap \"m\" { values = { \"a\" } }\n",
            "m.conf:3: map 'm': a value is written \"theirs=ours\"");
    expect_refused("source = \"x\"\nkey = { \"a\" }\nmap \"m\" { values = { \"a=1\", \"a=2\" } }\n",
            "m.conf:3: map 'm' has a value twice: a");
    expect_refused("source = \"x\"\nkey = { \"a\" }\ncolumn \"a\" { field = \"title\" date = \"d/m/y\" }\n",
            "m.conf:3: date 'd/m/y' is none of edtf, dd/mm/yyyy, mm/dd/yyyy, yyyy/mm/dd, unix, datetime");
    expect_refused("source = \"x\"\ndelimiter = \";;\"\n",
            "m.conf:2: a delimiter is one character, such as \",\" or \";\"");
    expect_refused("source = \"x\"\nkye = { \"a\" }\n", "m.conf:2: no such option 'kye'");
    expect_refused("source = \"x\"\nkey = { \"a\" }\ncolumn \"a\" { field = \"title\" }\nperson \"p\" { }\n",
            "m.conf:4: person 'p' names no column");
    expect_refused("source = \"x\"\nkey = { \"a\" }\ncolumn \"a\" { field = \"title\" }\n"
            "repeat { column \"b\" { field = \"title\" } }\n",
            "m.conf:4: column 'b' of a repeat goes to a field of an element, as in act.type_of_act");
    expect_refused("column \"a\" { field = ", "m.conf:2: premature end of file");
}
END_TEST

START_TEST(faults_of_options_are_told_with_their_line)
{
    expect_refused("\n\nsource = \"x\"\ndate = \"never\"\nkey = { \"a\" }\n",
            "m.conf:4: date 'never' is none of edtf, dd/mm/yyyy, mm/dd/yyyy, yyyy/mm/dd, unix, datetime");
    ck_assert_int_eq(parse("source = \"x\"\n\nkey = { \"a\" }\ncolumn \"a\" { field = \"title\" }\n"),
                     ERR_OK);
    ck_assert_int_eq(mapping.records[0].line, 3);
    mapping_free(&mapping);
}
END_TEST

START_TEST(the_mappings_that_come_with_the_program_are_good)
{
    size_t count = 0;

    for (const char *name; (name = mapping_ready_name(count)) != NULL; count++) {
        ck_assert_msg(mapping_parse(&mapping, name, mapping_ready(name), &fault) == ERR_OK, "%s", fault.text);
        ck_assert_str_eq(mapping.source, name);
        mapping_free(&mapping);
    }
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(mapping_ready("nothing").size, 0);
}
END_TEST

static const char *
date(enum mapping_date form, const char *text)
{
    static char out[MAPPING_DATE_BYTES];

    return mapping_date_read(form, text, out) ? out : "";
}

START_TEST(dates_are_read_as_their_source_writes_them)
{
    ck_assert_str_eq(date(MAPPING_DATE_DMY, "4/3/2019"), "2019-03-04");
    ck_assert_str_eq(date(MAPPING_DATE_DMY, "14.03.2019"), "2019-03-14");
    ck_assert_str_eq(date(MAPPING_DATE_MDY, "03-14-2019"), "2019-03-14");
    ck_assert_str_eq(date(MAPPING_DATE_YMD, "2019/3/14"), "2019-03-14");
    ck_assert_str_eq(date(MAPPING_DATE_UNIX, "0"), "1970-01-01");
    ck_assert_str_eq(date(MAPPING_DATE_UNIX, "-86400"), "1969-12-31");
    ck_assert_str_eq(date(MAPPING_DATE_DATETIME, "2019-03-14T10:00:00.000+03:00"), "2019-03-14");
    ck_assert_str_eq(date(MAPPING_DATE_EDTF, "2019-03~"), "2019-03~");
    /* Which day there is, is for the codebook to say. */
    ck_assert_str_eq(date(MAPPING_DATE_DMY, "31/02/2019"), "2019-02-31");
    ck_assert_str_eq(date(MAPPING_DATE_DMY, "14/03/19"), "");
    ck_assert_str_eq(date(MAPPING_DATE_DMY, "14/03-2019"), "");
    ck_assert_str_eq(date(MAPPING_DATE_DMY, "14/03/2019 "), "");
    ck_assert_str_eq(date(MAPPING_DATE_DMY, "2019-03-14"), "");
    ck_assert_str_eq(date(MAPPING_DATE_YMD, "14/3/2019"), "");
    ck_assert_str_eq(date(MAPPING_DATE_UNIX, "1e9"), "");
    ck_assert_str_eq(date(MAPPING_DATE_UNIX, "99999999999999999999"), "");
    ck_assert_str_eq(date(MAPPING_DATE_UNIX, "1-2"), "");
    ck_assert_str_eq(date(MAPPING_DATE_DATETIME, "2019-03-14x"), "");
    ck_assert_str_eq(date(MAPPING_DATE_DATETIME, "2019"), "");
    ck_assert_str_eq(date(MAPPING_DATE_EDTF, "2019-03-14/2019-03-14/2019-03-14/2019"), "");
}
END_TEST

SUITE_MAIN("mapping", a_mapping_says_what_goes_where, what_is_wrong_is_named_with_its_line,
           faults_of_options_are_told_with_their_line, the_mappings_that_come_with_the_program_are_good,
           dates_are_read_as_their_source_writes_them)
