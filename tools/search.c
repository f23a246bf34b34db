/* search.c - vigil search: records by the words in them. */
#include "tools/command.h"
#include "tools/typed.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_BYTES_MAX = 4096 };

/* "country_of_act,status" as a list. */
static json_t *
cut_fields(const char *typed)
{
    json_t *fields = json_array();

    while (typed != NULL && typed[0] != '\0') {
        size_t size = strcspn(typed, ",");

        if (size > 0) {
            (void)json_array_append_new(fields, json_stringn(typed, size));
        }
        typed += size + (typed[size] == ',' ? 1 : 0);
    }
    return fields;
}

static enum exit_status
print_facets(struct command *command, const json_t *facets)
{
    enum exit_status status = STATUS_DONE;
    size_t index;
    json_t *facet;

    json_array_foreach(facets, index, facet)
    {
        const char *field = json_string_value(json_object_get(facet, "field"));
        const struct output_column columns[] = { { field, 0 }, { "count", COLUMN_RIGHT } };
        json_t *rows = json_array();
        size_t n;
        json_t *value;

        json_array_foreach(json_object_get(facet, "values"), n, value)
        {
            (void)json_array_append_new(rows, json_pack("{s:O,s:O}", field, json_object_get(value, "label"),
                                                        "count", json_object_get(value, "count")));
        }
        if (json_array_size(rows) > 0) {
            (void)fputc('\n', command->out.to);
            status = command_table(command, columns, 2, rows);
        }
        json_decref(rows);
    }
    return status;
}

/* What a row is called: the title of a case, the pseudonym of a person, or what else its kind has. */
static void
name_rows(json_t *rows)
{
    static const char *const names[] = { "title", "pseudonym", "entity", "report_symbol" };
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row)
    {
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
            json_t *name = json_object_get(row, names[n]);

            if (json_is_string(name) && json_object_get(row, "label") == NULL) {
                (void)json_object_set(row, "label", name);
            }
        }
    }
}

static enum exit_status
print_found(struct command *command, json_t *ok)
{
    static const struct output_column columns[] = {
        { "number", 0 },         { "kind", 0 },     { "office", 0 },           { "status", 0 },
        { "label", COLUMN_CUT }, { "conflict", 0 }, { "updated", COLUMN_DAY },
    };
    json_t *rows = json_object_get(ok, "records");
    json_int_t total = json_integer_value(json_object_get(ok, "total"));
    json_int_t left = json_integer_value(json_object_get(ok, "left"));

    output_name_rows(rows, "id");
    name_rows(rows);
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    if (status == STATUS_DONE) {
        status = print_facets(command, json_object_get(ok, "facets"));
    }
    if (json_array_size(rows) == 0) {
        command_remark(command, "nothing is found\n");
    } else if (total > (json_int_t)json_array_size(rows)) {
        command_remark(command, "%zu of %s%lld shown, the best matches first\n", json_array_size(rows),
                       json_is_true(json_object_get(ok, "more")) ? "more than " : "", (long long)total);
    }
    if (left > 0) {
        command_remark(command, "%lld records and changes are not searched yet: ask again soon\n",
                       (long long)left);
    }
    return status;
}

static enum exit_status
run_search(struct command *command)
{
    char words[WORDS_BYTES_MAX];
    struct client_fault fault;
    json_t *ok = NULL;
    long limit = 0;
    const char *kind = args_value(command, OPT_KIND);
    const char *office = args_value(command, OPT_OFFICE);
    json_t *request =
        json_pack("{s:s,s:o}", "do", "record.search", "by", cut_fields(args_value(command, OPT_BY)));

    if (kind != NULL) {
        (void)json_object_set_new(request, "kind", json_string(kind));
    }
    if (office != NULL) {
        (void)json_object_set_new(request, "office", json_string(office));
    }
    bool good = args_number(command, OPT_LIMIT, 1, 1000, 20, &limit, &fault) &&
                typed_filter(command, request, &fault);
    if (good && kind == NULL &&
        (args_has(command, OPT_WHERE) || args_has(command, OPT_MONTH) || args_has(command, OPT_BY))) {
        good = fault_set(&fault, "usage", "add --kind case or another; vigil codebook show lists them",
                         "fields are those of one kind of record, and no kind is named");
    }
    /* What somebody looks for is as secret as a case. */
    good = good && typed_line("Words: ", "words were",
                              "type them when asked, or pipe them in: echo 'night march' | vigil search",
                              words, sizeof words, &fault);
    if (good) {
        (void)json_object_set_new(request, "limit", json_integer(limit));
        (void)json_object_set_new(request, "words", json_string(words));
        if (json_object_get(request, "words") == NULL) {
            good = fault_set(&fault, "invalid", "type them in UTF-8", "the words are not UTF-8");
        }
    }
    good = good && command_ask(command, json_incref(request), &ok, &fault);
    explicit_bzero(words, sizeof words);
    json_decref(request);
    if (!good) {
        return command_fail(command, &fault, "cannot search");
    }
    enum exit_status status = STATUS_DONE;
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_found(command, ok);
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { NULL, NULL, 0, 0,
      OPTION(KIND) | OPTION(OFFICE) | OPTION(WHERE) | OPTION(MONTH) | OPTION(BY) | OPTION(LIMIT),
      "Find records by the words in them, the best match first",
      "The words are asked for, or read from stdin, so that they stand in no list of processes. A record is "
      "found if it holds all of them, in any form: \"marches\" finds \"marching\". march* stands for "
      "all words that begin so; what stands between quotation marks must come in that order. Text in "
      "any of the six languages is searched, and names, in another script or spelling too, where this node "
      "may read them.\n\n"
      "--where and --month narrow the search as they do with vigil case list, and want --kind; --by "
      "counts what is found by up to four indexed fields.\n\n"
      "Examples:\n"
      "  vigil search\n"
      "  echo 'night march' | vigil search --kind case --where country_of_act=KEN\n"
      "  echo threat | vigil search --kind case --by country_of_act,act.type_of_act\n",
      run_search },
};

const struct noun search_noun = { "search", "Find records by the words in them", verbs, 1 };
