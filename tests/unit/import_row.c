/* What a row of cells becomes under a mapping, and which column the node's words are about. */
#include "tests/support/check.h"
#include "tools/import_row.h"
#include "tools/several.h"

#include <stdlib.h>
#include <string.h>

/* As much of a codebook as these rows need, in the words of codebook.show. */
static const char codebook_text[] =
    "{'kinds':[{'name':'case'},{'name':'person'}],"
    "'collections':["
    "{'name':'country_of_act','kinds':['case'],'level':'L1','set':true},"
    "{'name':'act','kinds':['case'],'level':'L1','set':false},"
    "{'name':'victim','kinds':['case'],'level':'L1','set':false},"
    "{'name':'evidence','kinds':['case'],'level':'L2','set':false},"
    "{'name':'name','kinds':['person'],'level':'L3','set':false}],"
    "'fields':["
    "{'name':'title','kinds':['case'],'type':'text','level':'L2','policy':'surface'},"
    "{'name':'country_of_act','kinds':['case'],'type':'country','level':'L1','policy':'surface'},"
    "{'name':'act.type_of_act','kinds':['case'],'type':'code','level':'L1','policy':'surface'},"
    "{'name':'act.date_from','kinds':['case'],'type':'date','level':'L2','policy':'surface'},"
    "{'name':'act.legal_basis','kinds':['case'],'type':'code','level':'L1','policy':'union'},"
    "{'name':'evidence.redaction','kinds':['case'],'type':'text','level':'L2','policy':'union'},"
    "{'name':'act.stage','kinds':['case'],'type':'code','level':'L1','policy':'protective'},"
    "{'name':'victim.person','kinds':['case'],'type':'record','level':'L2','policy':'surface'},"
    "{'name':'gender','kinds':['person'],'type':'code','level':'L1','policy':'surface'},"
    "{'name':'name.text','kinds':['person'],'type':'text','level':'L3','policy':'surface'}]}";

static json_t *codebook;
static struct mapping mapping;
static struct import_rows *rows;
static struct client_fault fault;

/* Apostrophes stand for quotation marks. */
static json_t *
json_of(const char *text)
{
    char copy[2400];

    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *at = copy; *at != '\0'; at++) {
        *at = (char)(*at == '\'' ? '"' : *at);
    }
    json_t *json = json_loads(copy, 0, NULL);
    ck_assert_msg(json != NULL, "no JSON: %s", copy);
    return json;
}

static bool
bind(const char *text)
{
    struct config_fault why;

    ck_assert_msg(mapping_parse(&mapping, "m", span_text(text), &why) == ERR_OK, "%s", why.text);
    return import_rows_new(&rows, &mapping, codebook, mapping.kind, mapping.office, &fault);
}

static void
setup(void)
{
    codebook = json_of(codebook_text);
    rows = NULL;
    memset(&mapping, 0, sizeof mapping);
}

static void
teardown(void)
{
    import_rows_free(&rows);
    mapping_free(&mapping);
    json_decref(codebook);
}

static struct row
row_of(const char *cells)
{
    return (struct row){ .number = 2, .cells = json_of(cells) };
}

static void
becomes(const char *cells, const char *wanted)
{
    struct row row = row_of(cells);
    json_t *item = import_rows_make(rows, &row);

    ck_assert_msg(item != NULL, "%s: %s", row.column, row.message);
    json_t *expected = json_of(wanted);
    char *made = json_dumps(json_object_get(item, "records"), JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_msg(json_equal(json_object_get(item, "records"), expected), "%s", made);
    free(made);
    json_decref(expected);
    json_decref(item);
    row_free(&row);
}

static void
refuses(const char *cells, const char *column, const char *message)
{
    struct row row = row_of(cells);

    ck_assert_ptr_null(import_rows_make(rows, &row));
    ck_assert_str_eq(row.column, column);
    ck_assert_str_eq(row.message, message);
    row_free(&row);
}

static const char whole[] =
    "source = \"s\"\nkey = { \"a\", \"b\" }\ndate = \"dd/mm/yyyy\"\n"
    "column \"t\" { field = \"title\" }\n"
    "column \"c\" { field = \"country_of_act\" map = \"m\" }\n"
    "column \"act\" { field = \"act[1].type_of_act\" }\n"
    "column \"when\" { field = \"act[1].date_from\" }\n"
    "column \"law1\" { field = \"act[1].legal_basis\" if = \"1\" value = \"x\" }\n"
    "column \"law2\" { field = \"act[1].legal_basis\" if = \"1\" value = \"y\" }\n"
    "constant \"act[1].stage\" { value = \"ongoing\" }\n"
    "map \"m\" { values = { \"Kenya=KEN\", \"Uganda=UGA\" } }\n"
    "person \"p\" { column \"who\" { field = \"name.text\" } column \"sex\" { field = \"gender\" } }\n"
    "repeat { column \"r\" { field = \"act.type_of_act\" } constant \"act.stage\" { value = \"ended\" } }\n";

START_TEST(cells_go_where_the_mapping_says)
{
    ck_assert(bind(whole));
    becomes("{'a':'1','b':2,'t':' A | B ','c':'Kenya | "
            "Uganda','act':'x','when':'14/03/2019','law1':'1','law2':'1'}",
            "[{'key':'1\\u001f2','kind':'case','set':{'title':'A | B','country_of_act':['KEN','UGA']},"
            "'add':[{'to':'act','slot':'act[1]','fields':{'type_of_act':'x','date_from':'2019-03-14',"
            "'legal_basis':['x','y'],'stage':'ongoing'}}]}]");
    /* Nothing between two bars, or behind the last, is no value. */
    becomes("{'a':'1','b':'2','c':'Kenya||Uganda| '}",
            "[{'key':'1\\u001f2','kind':'case','set':{'country_of_act':['KEN','UGA']},'add':[]}]");
    /* A constant makes no element, and what is empty or says no makes nothing. */
    becomes("{'a':'1','b':'2','t':'A','law1':'0','act':' '}",
            "[{'key':'1\\u001f2','kind':'case','set':{'title':'A'},'add':[]}]");
    becomes("{'a':'1','b':'2','c':['Kenya','Uganda']}",
            "[{'key':'1\\u001f2','kind':'case','set':{'country_of_act':['KEN','UGA']},'add':[]}]");
    becomes("{'a':'1','b':'2','who':'Amina','sex':'woman'}",
            "[{'key':'1\\u001f2\\u001fp','kind':'person','set':{'gender':'woman'},"
            "'add':[{'to':'name','slot':'name','fields':{'text':'Amina'}}]},"
            "{'key':'1\\u001f2','kind':'case','set':{},'add':[{'to':'victim','slot':'victim[p]',"
            "'fields':{'person':{'row':0},'part':'alleged_victim'}}]}]");
}
END_TEST

/* What vigil export writes into a cell is read again as it was; in the files of others a bar always separates. */
START_TEST(several_values_of_a_cell_are_read_as_they_were_written)
{
    static const char *const texts[] = { "one|two", "back\\", "\\|", "|", "plain", "a\\b", "\\\\||\\" };
    enum { COUNT = sizeof texts / sizeof texts[0] };
    struct buf cell = { 0 };
    json_t *wanted = json_array();

    for (size_t n = 0; n < COUNT; n++) {
        several_put(&cell, texts[n]);
        (void)json_array_append_new(wanted, json_string(texts[n]));
    }
    buf_put_u8(&cell, '\0');
    ck_assert(!cell.failed);
    struct span plain = mapping_ready("plain");
    struct config_fault why;
    ck_assert_int_eq(mapping_parse(&mapping, "plain", plain, &why), ERR_OK);
    ck_assert(import_rows_new(&rows, &mapping, codebook, "case", "", &fault));
    struct row row = { .number = 2,
                       .cells = json_pack("{s:s,s:s,s:s}", "id", "1", "evidence[1].redaction",
                                          (const char *)cell.data, "title", "a\\|b|c") };
    json_t *item = import_rows_make(rows, &row);
    ck_assert_msg(item != NULL, "%s: %s", row.column, row.message);
    const json_t *record = json_array_get(json_object_get(item, "records"), 0);
    const json_t *added = json_array_get(json_object_get(record, "add"), 0);
    const json_t *got = json_object_get(json_object_get(added, "fields"), "redaction");
    ck_assert_msg(json_equal(got, wanted), "%s", json_dumps(got, JSON_ENCODE_ANY));
    /* What holds one value is taken as it stands. */
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(record, "set"), "title")), "a\\|b|c");
    json_decref(item);
    row_free(&row);
    import_rows_free(&rows);
    mapping_free(&mapping);

    ck_assert(bind("source = \"s\"\nkey = { \"a\" }\ncolumn \"r\" { field = \"evidence[1].redaction\" }\n"));
    row = (struct row){ .number = 2, .cells = json_pack("{s:s,s:s}", "a", "1", "r", "one\\|two") };
    item = import_rows_make(rows, &row);
    ck_assert_ptr_nonnull(item);
    char *made = json_dumps(item, JSON_COMPACT);
    ck_assert_ptr_nonnull(strstr(made, "[\"one\\\\\",\"two\"]"));
    free(made);
    json_decref(item);
    json_decref(wanted);
    buf_free(&cell);
    row_free(&row);
}
END_TEST

START_TEST(a_cell_that_fits_no_rule_is_named)
{
    ck_assert(bind(whole));
    refuses("{'a':'1','t':'x'}", "b", "the key is empty");
    refuses("{'a':'1','b':'2','c':'Kenya|Atlantis'}", "c", "the map 'm' of m has no such value");
    refuses("{'a':'1','b':'2','when':'2019'}", "when", "the date is not written as 14/03/2019");
    refuses("{'a':'1','b':'2','t':['x','y']}", "t", "title holds one value, and not 2");
}
END_TEST

START_TEST(rows_of_a_second_file_make_elements)
{
    ck_assert(bind(whole));
    struct row row = row_of("{'a':'1','b':'2','act':'x','_index':'7'}");
    struct row first = { .number = 5, .cells = json_of("{'r':'y','_parent_index':7}") };
    struct row second = { .number = 6, .cells = json_of("{'r':'z','_parent_index':'7'}") };
    json_int_t index = 0;
    json_int_t parent = 0;

    json_t *item = import_rows_make(rows, &row);
    ck_assert(import_rows_index(rows, &row, &index) && import_rows_parent(rows, &first, &parent));
    ck_assert_int_eq(index, 7);
    ck_assert_int_eq(parent, 7);
    ck_assert(import_rows_repeat(rows, item, 1, &first));
    ck_assert(import_rows_repeat(rows, item, 2, &second));
    const json_t *adds = json_object_get(json_array_get(json_object_get(item, "records"), 0), "add");
    ck_assert_uint_eq(json_array_size(adds), 3);
    json_t *last =
        json_of("{'to':'act','slot':'act[repeat-2]','row':6,'fields':{'type_of_act':'z','stage':'ended'}}");
    ck_assert(json_equal(json_array_get(adds, 2), last));
    json_decref(last);
    /* What the node says of it is said of its column. */
    json_t *outcome = json_of("{'record':0,'item':2,'field':'type_of_act'}");
    ck_assert_str_eq(import_rows_column(rows, item, row.cells, outcome), "r");
    json_decref(outcome);
    outcome = json_of("{'record':0,'item':0,'field':'act.type_of_act'}");
    ck_assert_str_eq(import_rows_column(rows, item, row.cells, outcome), "act");
    json_decref(outcome);
    outcome = json_of("{'record':0,'item':null,'field':null}");
    ck_assert_str_eq(import_rows_column(rows, item, row.cells, outcome), "");
    json_decref(outcome);
    json_decref(item);
    row_free(&row);
    row_free(&first);
    row_free(&second);
}
END_TEST

START_TEST(a_field_that_the_codebook_has_not_is_refused_with_its_line)
{
    ck_assert(!bind("source = \"s\"\nkey = { \"a\" }\ncolumn \"t\" { field = \"titel\" }\n"));
    ck_assert_str_eq(fault.message, "m:3: a case has no field called titel: did you mean title");
    mapping_free(&mapping);
    ck_assert(!bind("source = \"s\"\nkey = { \"a\" }\nkind = \"cse\"\ncolumn \"t\" { field = \"title\" }\n"));
    ck_assert_str_eq(fault.message, "there is no kind of record called cse");
    mapping_free(&mapping);
    ck_assert(!bind("source = \"s\"\nkey = { \"a\" }\ncolumn \"t\" { field = \"title\" }\n"
                    "constant \"act.stag\" { value = \"x\" }\n"));
    ck_assert_str_eq(fault.message, "m:4: a case has no field called act.stag: did you mean act.stage");
    mapping_free(&mapping);
    /* A name makes a poor secret. */
    ck_assert(!bind("source = \"s\"\nkey = { \"a\" }\ncolumn \"t\" { field = \"title\" }\n"
                    "person \"p\" { key = { \"who\" } column \"who\" { field = \"name.text\" } }\n"));
    ck_assert_str_eq(fault.message, "m:4: column 'who' goes to a field of L3, and so is no key");
}
END_TEST

START_TEST(headings_are_held_against_the_mapping)
{
    const char *const columns[] = { "id", "title", "act[2].type_of_act", "extra" };
    json_t *unused = json_array();

    ck_assert(bind("source = \"s\"\nkey = { \"id\" }\ncolumn \"title\" { field = \"title\" }\n"
                   "column \"more\" { field = \"act.stage\" optional = true }\n"));
    ck_assert(import_rows_heading(rows, columns, 4, "f", unused, &fault));
    ck_assert_uint_eq(json_array_size(unused), 2);
    ck_assert_str_eq(json_string_value(json_array_get(unused, 1)), "extra");
    ck_assert(!import_rows_heading(rows, columns, 1, "f", unused, &fault));
    ck_assert_str_eq(fault.message, "f has no column 'title', which m:3 names");
    import_rows_free(&rows);
    mapping_free(&mapping);

    ck_assert(bind("source = \"s\"\nkey = { \"id\" }\nnames = true\nignore = { \"id\" }\n"));
    ck_assert(!import_rows_heading(rows, columns, 4, "f", unused, &fault));
    ck_assert_str_eq(fault.message, "row 1 of f, column extra: a case has no field called so");
    ck_assert(import_rows_heading(rows, columns, 3, "f", unused, &fault));
    becomes("{'id':'1','title':'A','act[2].type_of_act':'x'}",
            "[{'key':'1','kind':'case','set':{'title':'A'},'add':[{'to':'act','slot':'act[2]','fields':{'"
            "type_of_act':'x'}}]}]");
    json_decref(unused);
}
END_TEST

SUITE_MAIN_WITH("import_row", setup, teardown, cells_go_where_the_mapping_says,
                several_values_of_a_cell_are_read_as_they_were_written, a_cell_that_fits_no_rule_is_named,
                rows_of_a_second_file_make_elements,
                a_field_that_the_codebook_has_not_is_refused_with_its_line,
                headings_are_held_against_the_mapping)
