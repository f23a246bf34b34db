#include "store/codebook.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/cbor.h"
#include "tests/support/check.h"

/* H("vigil.cbk.v1", the encoding of the embedded codebook). It changes only with the version. */
static const char golden_id[] = "bd9646aa4dce7c7bca4b48476537d8638053ca04d27a88a75fc8e788861b44cc";

/* --- The list that was written from the domain ------------------------------ */

enum { ITEMS_MAX = 1024, VOCABULARIES_MAX = 256 };

/* What the list has named so far, by place in the tables. */
static struct {
    bool kind[ITEMS_MAX];
    bool collection[ITEMS_MAX];
    bool field[ITEMS_MAX];
    bool value[VOCABULARIES_MAX][ITEMS_MAX];
} named;

static const struct codebook *book;

/* What of the line is being read, for the message of a failure. */
static char line_text[4096];
static int line_number;

#define HOLDS(condition) ck_assert_msg(condition, "line %d: %s: %s", line_number, line_text, #condition)

static void
name_once(bool *seen)
{
    HOLDS(!*seen);
    *seen = true;
}

/* Read the list line by line, each broken into its words. */
static void
for_each_line(void (*check)(char **words, size_t count))
{
    char path[PATH_MAX];
    char line[sizeof line_text];
    const char *source = getenv("VIGIL_SOURCE");
    size_t lines = 0;

    snprintf(path, sizeof path, "%s/tests/data/codebook.list", source != NULL ? source : ".");
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s: cannot be read", path);
    line_number = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        char *words[256];
        size_t count = 0;
        line_number++;
        ck_assert(strchr(line, '\n') != NULL);
        snprintf(line_text, sizeof line_text, "%.*s", (int)strcspn(line, "\n"), line);
        char *rest = NULL;
        for (char *word = strtok_r(line, " \n", &rest); word != NULL; word = strtok_r(NULL, " \n", &rest)) {
            HOLDS(count < sizeof words / sizeof *words);
            words[count++] = word;
        }
        if (count > 0 && words[0][0] != '#') {
            check(words, count);
            lines++;
        }
    }
    fclose(file);
    ck_assert_uint_gt(lines, 100);
}

static uint32_t
choice(const char *word, const char *const *choices, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(choices[i], word) == 0) {
            return (uint32_t)i;
        }
    }
    ck_abort_msg("line %d: %s: what is %s?", line_number, line_text, word);
}

#define CHOICE(word, choices) choice(word, choices, sizeof(choices) / sizeof *(choices))

static uint32_t
level_of(const char *word)
{
    static const char *const levels[] = { "L0", "L1", "L2", "L3" };

    return CHOICE(word, levels);
}

static uint32_t
type_of(const char *word)
{
    static const char *const types[] = { "",      "text", "long_text", "code",        "bool",     "integer",
                                         "range", "date", "country",   "subdivision", "language", "record",
                                         "actor", "blob", "localised", "element",     "file_key" };

    return CHOICE(word, types);
}

static uint32_t
policy_of(const char *word)
{
    static const char *const policies[] = { "surface", "union", "max", "min", "protective", "latest" };

    return CHOICE(word, policies);
}

/* Bits of a list of words separated by commas; "-" is none. */
static uint32_t
bits_of(char *words, const char *const *choices, size_t count)
{
    uint32_t bits = 0;
    char *rest = NULL;

    if (strcmp(words, "-") == 0) {
        return 0;
    }
    for (char *word = strtok_r(words, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        bits |= (uint32_t)1 << choice(word, choices, count);
    }
    return bits;
}

static const struct codebook_vocabulary *
vocabulary_named(const char *name)
{
    for (size_t i = 0; i < book->vocabulary_count; i++) {
        if (strcmp(book->vocabularies[i].name, name) == 0) {
            return &book->vocabularies[i];
        }
    }
    ck_abort_msg("line %d: %s: there is no vocabulary %s", line_number, line_text, name);
}

/* The flags of a field, and the stage from which on it must be filled in, "from=received" at their end; 0: none. */
static uint32_t
field_flags_of(char *words, uint32_t *stage_out)
{
    static const char *const flags[] = { "required", "indexed", "listed", "once", "stage" };
    char *from = strstr(words, "from=");

    *stage_out = 0;
    if (from != NULL) {
        const struct codebook_value *value =
            codebook_value_by_name(vocabulary_named("case_status"), from + strlen("from="));

        HOLDS(value != NULL);
        *stage_out = value->number;
        if (from == words) {
            return 0;
        }
        from[-1] = '\0';
    }
    return bits_of(words, flags, 5);
}

static uint32_t
collection_flags_of(char *words)
{
    static const char *const flags[] = { "append_only", "set", "keyed" };

    return bits_of(words, flags, 3);
}

static uint32_t
kinds_of(char *words)
{
    uint32_t kinds = 0;
    char *rest = NULL;

    if (strcmp(words, "*") == 0) {
        for (size_t i = 0; i < book->kind_count; i++) {
            kinds |= (uint32_t)1 << book->kinds[i].number;
        }
        return kinds;
    }
    for (char *word = strtok_r(words, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        const struct codebook_kind *kind = codebook_kind_by_name(book, word);
        HOLDS(kind != NULL);
        kinds |= (uint32_t)1 << kind->number;
    }
    return kinds;
}

static uint32_t
first_kind(uint32_t kinds)
{
    uint32_t kind = 0;

    while ((kinds >> kind & 1) == 0) {
        kind++;
    }
    return kind;
}

static void
check_kind(const char *name)
{
    const struct codebook_kind *kind = codebook_kind_by_name(book, name);

    HOLDS(kind != NULL);
    name_once(&named.kind[kind - book->kinds]);
}

static void
check_collection(uint32_t kinds, const char *name, uint32_t level, uint32_t flags)
{
    const struct codebook_collection *collection = codebook_collection_by_name(book, first_kind(kinds), name);

    HOLDS(collection != NULL);
    HOLDS(collection->kinds == kinds);
    HOLDS(collection->sensitivity == level);
    HOLDS(collection->flags == flags);
    name_once(&named.collection[collection - book->collections]);
}

static void
check_field(uint32_t kinds, const char *collection_name, const char *name, uint32_t type, uint32_t level,
            uint32_t policy, const char *of, char *words)
{
    uint32_t stage;
    uint32_t flags = field_flags_of(words, &stage);
    uint32_t vocabulary = 0;
    uint32_t target = 0;
    uint32_t collection = 0;

    if (collection_name != NULL) {
        HOLDS(codebook_collection_by_name(book, first_kind(kinds), collection_name) != NULL);
        collection = codebook_collection_by_name(book, first_kind(kinds), collection_name)->number;
    }
    if (type == TYPE_CODE) {
        vocabulary = vocabulary_named(of)->number;
    } else if (type == TYPE_RECORD && strcmp(of, "-") != 0) {
        HOLDS(codebook_kind_by_name(book, of) != NULL);
        target = codebook_kind_by_name(book, of)->number;
    } else if (type == TYPE_ELEMENT) {
        HOLDS(codebook_collection_by_name(book, first_kind(kinds), of) != NULL);
        target = codebook_collection_by_name(book, first_kind(kinds), of)->number;
    }
    const struct codebook_field *field = codebook_field_by_name(book, first_kind(kinds), name);
    HOLDS(field != NULL);
    HOLDS(field->kinds == kinds);
    HOLDS(field->collection == collection);
    HOLDS(field->type == type);
    HOLDS(field->sensitivity == level);
    HOLDS(field->policy == policy);
    HOLDS(field->vocabulary == vocabulary);
    HOLDS(field->target == target);
    HOLDS(field->flags == flags);
    HOLDS(field->stage == stage);
    name_once(&named.field[field - book->fields]);
}

/* "name", "name=rank", "name/group". */
static void
check_value(const struct codebook_vocabulary *vocabulary, char *word)
{
    const struct codebook_vocabulary *groups = codebook_vocabulary(book, vocabulary->groups);
    char *rank = strchr(word, '=');
    char *group = strchr(word, '/');
    uint32_t group_number = 0;

    if (rank != NULL) {
        *rank++ = '\0';
    }
    if (group != NULL) {
        *group++ = '\0';
        HOLDS(groups != NULL && codebook_value_by_name(groups, group) != NULL);
        group_number = codebook_value_by_name(groups, group)->number;
    }
    const struct codebook_value *value = codebook_value_by_name(vocabulary, word);
    ck_assert_msg(value != NULL, "line %d: %s: there is no %s", line_number, line_text, word);
    HOLDS(value->rank == (rank == NULL ? 0 : strtoul(rank, NULL, 10)));
    HOLDS(value->group == group_number);
    name_once(&named.value[vocabulary - book->vocabularies][value - vocabulary->values]);
}

static void
check_values(char **words, size_t count)
{
    char *groups = strchr(words[1], ':');

    if (groups != NULL) {
        *groups++ = '\0';
    }
    const struct codebook_vocabulary *vocabulary = vocabulary_named(words[1]);
    HOLDS(vocabulary->groups == (groups == NULL ? 0 : vocabulary_named(groups)->number));
    for (size_t i = 2; i < count; i++) {
        check_value(vocabulary, words[i]);
    }
}

static uint32_t
step_end(const struct codebook_vocabulary *vocabulary, const char *name)
{
    const struct codebook_value *value = codebook_value_by_name(vocabulary, name);

    if (strcmp(name, "none") == 0 || strcmp(name, "any") == 0) {
        return name[0] == 'n' ? STEP_FROM_NONE : STEP_FROM_ANY;
    }
    HOLDS(value != NULL);
    return value->number;
}

/* "FROM>TO" or "FROM>TO:GATE,GATE", in the order of the table. */
static void
check_steps(char **words, size_t count)
{
    static const char *const gates[] = {
        "scope", "consent", "no_harm", "verification", "four_eyes", "reply"
    };
    const struct codebook_vocabulary *vocabulary = vocabulary_named(words[1]);

    HOLDS(vocabulary->step_count == count - 2);
    for (size_t i = 2; i < count; i++) {
        const struct codebook_step *step = &vocabulary->steps[i - 2];
        char *to = strchr(words[i], '>');
        char *needs = strchr(words[i], ':');

        HOLDS(to != NULL);
        *to++ = '\0';
        if (needs != NULL) {
            *needs++ = '\0';
        }
        HOLDS(step->from == step_end(vocabulary, words[i]));
        HOLDS(step->to == step_end(vocabulary, to));
        HOLDS(step->gates == (needs == NULL ? 0 : bits_of(needs, gates, 6)));
    }
}

static void
check_line(char **words, size_t count)
{
    if (strcmp(words[0], "kind") == 0) {
        HOLDS(count == 2);
        check_kind(words[1]);
    } else if (strcmp(words[0], "collection") == 0) {
        HOLDS(count == 5);
        check_collection(kinds_of(words[1]), words[2], level_of(words[3]), collection_flags_of(words[4]));
    } else if (strcmp(words[0], "set") == 0) {
        HOLDS(count == 7);
        uint32_t kinds = kinds_of(words[1]);
        uint32_t level = level_of(words[4]);
        check_collection(kinds, words[2], level, COLLECTION_SET);
        check_field(kinds, words[2], words[2], type_of(words[3]), level, MERGE_SURFACE, words[5], words[6]);
    } else if (strcmp(words[0], "field") == 0) {
        char name[256];
        HOLDS(count == 9);
        bool in_collection = strcmp(words[2], "-") != 0;
        snprintf(name, sizeof name, "%s%s%s", in_collection ? words[2] : "", in_collection ? "." : "",
                 words[3]);
        check_field(kinds_of(words[1]), in_collection ? words[2] : NULL, name, type_of(words[4]),
                    level_of(words[5]), policy_of(words[6]), words[7], words[8]);
    } else if (strcmp(words[0], "steps") == 0) {
        HOLDS(count > 2);
        check_steps(words, count);
    } else {
        HOLDS(count > 2 && strcmp(words[0], "values") == 0);
        check_values(words, count);
    }
}

START_TEST(the_tables_hold_what_the_list_says_and_nothing_else)
{
    book = codebook_reprisals();
    memset(&named, 0, sizeof named);
    ck_assert_uint_le(book->kind_count, ITEMS_MAX);
    ck_assert_uint_le(book->collection_count, ITEMS_MAX);
    ck_assert_uint_le(book->field_count, ITEMS_MAX);
    ck_assert_uint_le(book->vocabulary_count, VOCABULARIES_MAX);
    for_each_line(check_line);
    for (size_t i = 0; i < book->kind_count; i++) {
        ck_assert_msg(named.kind[i], "kind %s is not in the list", book->kinds[i].name);
    }
    for (size_t i = 0; i < book->collection_count; i++) {
        ck_assert_msg(named.collection[i], "collection %s is not in the list", book->collections[i].name);
    }
    for (size_t i = 0; i < book->field_count; i++) {
        ck_assert_msg(named.field[i], "field %s is not in the list", book->fields[i].name);
    }
    for (size_t i = 0; i < book->vocabulary_count; i++) {
        const struct codebook_vocabulary *vocabulary = &book->vocabularies[i];
        for (size_t n = 0; n < vocabulary->value_count; n++) {
            ck_assert_msg(named.value[i][n], "value %s of %s is not in the list", vocabulary->values[n].name,
                          vocabulary->name);
        }
    }
}
END_TEST

static void
check_label(const char *name, const char *label)
{
    ck_assert_msg(label != NULL && label[0] != '\0', "%s has no label", name);
    ck_assert_msg(strcmp(name, label) != 0, "the label of %s is its name", name);
}

START_TEST(every_item_has_an_english_label)
{
    book = codebook_reprisals();
    for (size_t i = 0; i < book->kind_count; i++) {
        check_label(book->kinds[i].name, book->kinds[i].label);
    }
    for (size_t i = 0; i < book->collection_count; i++) {
        check_label(book->collections[i].name, book->collections[i].label);
    }
    for (size_t i = 0; i < book->field_count; i++) {
        check_label(book->fields[i].name, book->fields[i].label);
    }
    for (size_t i = 0; i < book->vocabulary_count; i++) {
        const struct codebook_vocabulary *vocabulary = &book->vocabularies[i];
        check_label(vocabulary->name, vocabulary->label);
        for (size_t n = 0; n < vocabulary->value_count; n++) {
            check_label(vocabulary->values[n].name, vocabulary->values[n].label);
        }
    }
}
END_TEST

START_TEST(no_strict_field_is_indexed_or_listed)
{
    size_t strict = 0;

    book = codebook_reprisals();
    for (size_t i = 0; i < book->field_count; i++) {
        const struct codebook_field *field = &book->fields[i];
        if (field->sensitivity == LEVEL_L3) {
            ck_assert_msg((field->flags & (FIELD_INDEXED | FIELD_LISTED)) == 0, "%s", field->name);
            strict++;
        }
    }
    ck_assert_uint_gt(strict, 20);
}
END_TEST

START_TEST(every_vocabulary_is_used_by_a_field)
{
    book = codebook_reprisals();
    for (size_t i = 0; i < book->vocabulary_count; i++) {
        uint32_t number = book->vocabularies[i].number;
        bool used = false;
        for (size_t n = 0; n < book->field_count; n++) {
            used = used || book->fields[n].vocabulary == number;
        }
        ck_assert_msg(used, "%s", book->vocabularies[i].name);
    }
}
END_TEST

START_TEST(all_is_found_by_number_and_by_name)
{
    book = codebook_reprisals();
    for (size_t i = 0; i < book->field_count; i++) {
        const struct codebook_field *field = &book->fields[i];
        ck_assert_ptr_eq(codebook_field(book, field->number), field);
        for (uint32_t kind = 0; kind < 40; kind++) {
            const struct codebook_field *found = codebook_field_by_name(book, kind, field->name);
            bool has = kind < 32 && (field->kinds >> kind & 1) != 0;
            ck_assert_int_eq(found == field, has);
        }
    }
    for (size_t i = 0; i < book->collection_count; i++) {
        ck_assert_ptr_eq(codebook_collection(book, book->collections[i].number), &book->collections[i]);
    }
    for (size_t i = 0; i < book->kind_count; i++) {
        ck_assert_ptr_eq(codebook_kind(book, book->kinds[i].number), &book->kinds[i]);
    }
    ck_assert_ptr_null(codebook_field(book, 0));
    ck_assert_ptr_null(codebook_field(book, UINT32_MAX));
    ck_assert_ptr_null(codebook_collection(book, 0));
    ck_assert_ptr_null(codebook_vocabulary(book, 0));
    ck_assert_ptr_null(codebook_value(codebook_vocabulary(book, 1), 99));
    ck_assert_ptr_null(codebook_kind_by_name(book, "cases"));
    ck_assert_ptr_null(codebook_collection_by_name(book, 2, "act"));
    ck_assert_uint_eq(codebook_field_by_name(book, 1, "record_kind")->number, FIELD_KIND);
    ck_assert_uint_eq(codebook_collection_by_name(book, 8, "restriction")->number, COLLECTION_RESTRICTION);
}
END_TEST

/* --- Bytes ------------------------------------------------------------------ */

START_TEST(the_embedded_codebook_has_its_golden_id)
{
    struct hash id;
    char hex[2 * HASH_BYTES + 1];

    codebook_id(codebook_reprisals(), &id);
    bytes_hex(hex, hash_span(&id));
    ck_assert_str_eq(hex, golden_id);
}
END_TEST

/* The worked example of the formats page. */
START_TEST(a_small_codebook_has_the_bytes_of_the_format)
{
    static const char expected[] =
        "a600010165736d616c6c02818301646361736564436173650381860663616374644163747302000104828c01"
        "6b7265636f72645f6b696e64644b696e640002030101000000008c02686163742e6461746564446174650602"
        "070002000200000581860166636f6c6f757266436f6c6f7572008185016372656463526564000080";
    static const struct codebook_kind kinds[] = { { 1, "case", "Case" } };
    static const struct codebook_collection collections[] = { { 6, "act", "Acts", 2, 0, LEVEL_L1 } };
    static const struct codebook_value values[] = { { 1, 0, "red", "Red", 0 } };
    static const struct codebook_vocabulary vocabularies[] = { { 1, "colour", "Colour", values, 1, 0, NULL,
                                                                 0 } };
    static const struct codebook_field fields[] = {
        { 1, "record_kind", "Kind", 0, 2, TYPE_CODE, 1, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
        { 2, "act.date", "Date", 6, 2, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, FIELD_INDEXED, 0, 0 }
    };
    const struct codebook small = { 1, "small", kinds, 1, fields, 2, collections, 1, vocabularies, 1 };
    struct buf bytes = { 0 };
    struct codebook *decoded = NULL;
    char hex[2 * 256 + 1];

    codebook_encode(&small, &bytes);
    ck_assert_uint_le(bytes.size, 256);
    bytes_hex(hex, buf_span(&bytes));
    ck_assert_str_eq(hex, expected);
    ck_assert_int_eq(codebook_decode(buf_span(&bytes), &decoded), ERR_OK);
    codebook_free(&decoded);
    buf_free(&bytes);
}
END_TEST

START_TEST(a_codebook_comes_back_from_its_bytes)
{
    struct buf bytes = { 0 };
    struct buf again = { 0 };
    struct codebook *decoded = NULL;

    codebook_encode(codebook_reprisals(), &bytes);
    ck_assert(cbor_valid(buf_span(&bytes)));
    ck_assert_uint_le(bytes.size, CODEBOOK_BYTES_MAX);
    ck_assert_int_eq(codebook_decode(buf_span(&bytes), &decoded), ERR_OK);
    codebook_encode(decoded, &again);
    ck_assert(span_equal(buf_span(&bytes), buf_span(&again)));
    const struct codebook_field *field = codebook_field_by_name(decoded, 1, "act.type_of_act");
    ck_assert_uint_eq(field->number, 12);
    ck_assert_str_eq(field->label, "Type of act");
    const struct codebook_vocabulary *types = codebook_vocabulary(decoded, field->vocabulary);
    ck_assert_uint_eq(codebook_value_by_name(types, "travel_ban")->number, 20);
    codebook_free(&decoded);
    ck_assert_ptr_null(decoded);
    codebook_free(&decoded);
    buf_free(&bytes);
    buf_free(&again);
}
END_TEST

START_TEST(a_codebook_cut_short_or_followed_is_refused)
{
    struct buf bytes = { 0 };
    struct codebook *decoded = NULL;

    codebook_encode(codebook_reprisals(), &bytes);
    for (size_t size = 0; size < bytes.size; size += 1 + size / 64) {
        ck_assert_int_eq(codebook_decode(span_of(bytes.data, size), &decoded), ERR_INVALID);
        ck_assert_ptr_null(decoded);
    }
    buf_put_u8(&bytes, 0);
    ck_assert_int_eq(codebook_decode(buf_span(&bytes), &decoded), ERR_INVALID);
    buf_free(&bytes);
}
END_TEST

/* A small sound codebook; each test of a rule breaks one thing in it. */
struct small {
    struct codebook book;
    struct codebook_kind kinds[2];
    struct codebook_collection collections[3];
    struct codebook_field fields[6];
    struct codebook_vocabulary vocabularies[2];
    struct codebook_value colours[2];
    struct codebook_value families[1];
};

static void
small_init(struct small *small)
{
    *small = (struct small){
        .kinds = { { 1, "case", "Case" }, { 2, "person", "Person" } },
        .collections = { { 6, "act", "Acts", 2, 0, LEVEL_L1 },
                         { 7, "place", "Places", 2, COLLECTION_SET, LEVEL_L1 },
                         { 8, "name", "Names", 4, 0, LEVEL_L3 } },
        .fields = { { 1, "record_kind", "Kind", 0, 6, TYPE_CODE, 1, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
                    { 2, "title", "Title", 0, 2, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, FIELD_LISTED, 0, 0 },
                    { 3, "act.victim", "Victim", 6, 2, TYPE_RECORD, 0, LEVEL_L2, MERGE_UNION, 0, 2, 0 },
                    { 4, "act.colour", "Colour", 6, 2, TYPE_CODE, 2, LEVEL_L3, MERGE_MAX, 0, 0, 0 },
                    { 5, "place", "Place", 7, 2, TYPE_COUNTRY, 0, LEVEL_L1, MERGE_SURFACE, FIELD_INDEXED, 0,
                      0 },
                    { 6, "name.text", "Name", 8, 4, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 } },
        .families = { { 1, 0, "warm", "Warm", 0 } },
        .colours = { { 1, 1, "red", "Red", 1 }, { 4, 2, "blue", "Blue", 0 } },
        .vocabularies = { { 1, "family", "Family", NULL, 1, 0, NULL, 0 },
                          { 2, "colour", "Colour", NULL, 2, 1, NULL, 0 } },
        .book = { .version = 3, .name = "small" },
    };
    small->vocabularies[0].values = small->families;
    small->vocabularies[1].values = small->colours;
    small->book.kinds = small->kinds;
    small->book.kind_count = 2;
    small->book.collections = small->collections;
    small->book.collection_count = 3;
    small->book.fields = small->fields;
    small->book.field_count = 6;
    small->book.vocabularies = small->vocabularies;
    small->book.vocabulary_count = 2;
}

/* The colours may take these two steps. */
static void
small_steps(struct small *small, struct codebook_step first, struct codebook_step second)
{
    static struct codebook_step steps[2];

    steps[0] = first;
    steps[1] = second;
    small->vocabularies[1].steps = steps;
    small->vocabularies[1].step_count = 2;
}

static enum err
small_verdict(const struct small *small)
{
    struct buf bytes = { 0 };
    struct codebook *decoded = NULL;

    codebook_encode(&small->book, &bytes);
    enum err err = codebook_decode(buf_span(&bytes), &decoded);
    ck_assert_int_eq(err == ERR_OK, decoded != NULL);
    codebook_free(&decoded);
    buf_free(&bytes);
    return err;
}

/* Each breaks one rule of an otherwise sound codebook. */
#define BREAKS(change)                                                                                       \
    do {                                                                                                     \
        struct small small;                                                                                  \
        small_init(&small);                                                                                  \
        change;                                                                                              \
        ck_assert_msg(small_verdict(&small) == ERR_INVALID, "%s", #change);                                  \
    } while (0)

START_TEST(a_status_follows_another_by_a_step_of_its_own_or_by_a_way_out)
{
    const struct codebook_vocabulary *status =
        codebook_vocabulary(codebook_reprisals(), codebook_stage_field(codebook_reprisals(), 1)->vocabulary);
    uint32_t draft = codebook_value_by_name(status, "draft")->number;
    uint32_t received = codebook_value_by_name(status, "received")->number;
    uint32_t proposed = codebook_value_by_name(status, "proposed_for_report")->number;
    uint32_t included = codebook_value_by_name(status, "included_named")->number;
    uint32_t withdrawn = codebook_value_by_name(status, "withdrawn")->number;

    ck_assert_ptr_nonnull(codebook_step(status, STEP_FROM_NONE, draft));
    ck_assert_ptr_nonnull(codebook_step(status, draft, received));
    ck_assert_ptr_null(codebook_step(status, received, draft));
    ck_assert_ptr_null(codebook_step(status, draft, included));
    ck_assert_ptr_null(codebook_step(status, STEP_FROM_NONE, included));
    ck_assert_uint_eq(codebook_step(status, proposed, included)->gates, 63);
    ck_assert_uint_eq(codebook_step(status, draft, withdrawn)->from, STEP_FROM_ANY);
    ck_assert_ptr_null(codebook_step(status, STEP_FROM_NONE, withdrawn));
    ck_assert_ptr_null(codebook_stage_field(codebook_reprisals(), 2));
}
END_TEST

START_TEST(each_rule_of_a_codebook_is_enforced)
{
    static char long_label[300];
    struct small sound;

    small_init(&sound);
    ck_assert_int_eq(small_verdict(&sound), ERR_OK);
    memset(long_label, 'a', sizeof long_label - 1);
    BREAKS(small.book.version = 0);
    BREAKS(small.book.name = "Small");
    BREAKS(small.book.name = "");
    BREAKS(small.kinds[1].number = 1);
    BREAKS(small.kinds[0].number = 0);
    BREAKS(small.kinds[1].number = 32);
    BREAKS(small.kinds[1].name = "case");
    BREAKS(small.kinds[1].label = "");
    BREAKS(small.kinds[1].label = long_label);
    BREAKS(small.kinds[1].label = "a\x1b[2J");
    BREAKS(small.kinds[1].label = "\xff");
    BREAKS(small.collections[1].number = 6);
    BREAKS(small.collections[0].kinds = 0);
    BREAKS(small.collections[0].kinds = 8);
    BREAKS(small.collections[0].flags = 8);
    BREAKS(small.collections[0].flags = COLLECTION_SET);
    BREAKS(small.collections[1].flags = COLLECTION_SET | COLLECTION_KEYED);
    BREAKS(small.collections[0].name = "act.x");
    BREAKS(small.collections[0].name = "place");
    BREAKS(small.collections[0].sensitivity = 4);
    BREAKS(small.collections[0].sensitivity = LEVEL_L3);
    BREAKS(small.book.field_count = 5);
    BREAKS(small.book.field_count = 0);
    BREAKS(small.fields[0].number = 0);
    BREAKS(small.fields[1].number = 1);
    BREAKS(small.fields[0].kinds = 2);
    BREAKS(small.fields[0].type = TYPE_INTEGER);
    BREAKS(small.fields[1].kinds = 0);
    BREAKS(small.fields[1].kinds = 2 | 16);
    BREAKS(small.fields[1].type = 0);
    BREAKS(small.fields[1].type = TYPE_FILE_KEY + 1);
    BREAKS(small.fields[1].type = TYPE_CODE);
    BREAKS(small.fields[1].vocabulary = 2);
    BREAKS(small.fields[3].vocabulary = 3);
    BREAKS(small.fields[1].policy = MERGE_LATEST + 1);
    BREAKS(small.fields[1].flags = 16);
    BREAKS(small.fields[1].sensitivity = LEVEL_L3);
    BREAKS(small.fields[1].target = 1);
    BREAKS(small.fields[2].target = 3);
    BREAKS(small.fields[2].type = TYPE_ELEMENT);
    BREAKS(small.fields[1].name = "Title");
    BREAKS(small.fields[1].name = "record_kind");
    BREAKS(small.fields[1].name = "act");
    BREAKS(small.fields[1].name = "a.b");
    BREAKS(small.fields[2].name = "act.colour");
    BREAKS(small.fields[2].name = "act.");
    BREAKS(small.fields[2].name = "act.a.b");
    BREAKS(small.fields[2].name = "victim");
    BREAKS(small.fields[2].collection = 9);
    BREAKS(small.fields[2].kinds = 6);
    BREAKS(small.fields[3].flags = FIELD_INDEXED);
    BREAKS(small.fields[3].flags = FIELD_LISTED);
    BREAKS(small.fields[4].name = "places");
    BREAKS(small.fields[5].sensitivity = LEVEL_L2);
    BREAKS(small.fields[1].stage = 1);                                       /* there is no stage */
    BREAKS(small.fields[1].flags |= FIELD_STAGE);                            /* not a code */
    BREAKS(small.fields[3].flags |= FIELD_STAGE);                            /* not of the record itself */
    BREAKS(small.fields[0].flags |= FIELD_STAGE; small.fields[1].stage = 2); /* no such value */
    BREAKS(small_steps(&small, (struct codebook_step){ 1, 2, 0 }, (struct codebook_step){ 4, 1, 0 }));
    BREAKS(small_steps(&small, (struct codebook_step){ 3, 4, 0 }, (struct codebook_step){ 4, 1, 0 }));
    BREAKS(small_steps(&small, (struct codebook_step){ 4, 1, 0 }, (struct codebook_step){ 1, 4, 0 }));
    BREAKS(small_steps(&small, (struct codebook_step){ 1, 4, 0 }, (struct codebook_step){ 1, 4, 0 }));
    BREAKS(small_steps(&small, (struct codebook_step){ 1, 4, 64 }, (struct codebook_step){ 4, 1, 0 }));
    small_steps(&sound, (struct codebook_step){ 1, 4, 63 }, (struct codebook_step){ STEP_FROM_ANY, 1, 0 });
    ck_assert_int_eq(small_verdict(&sound), ERR_OK);
    sound.fields[0].flags |= FIELD_STAGE;
    sound.fields[1].stage = 1;
    ck_assert_int_eq(small_verdict(&sound), ERR_OK);
    BREAKS(small.vocabularies[1].number = 1);
    BREAKS(small.vocabularies[1].value_count = 0);
    BREAKS(small.vocabularies[1].groups = 0);
    BREAKS(small.vocabularies[1].groups = 7);
    BREAKS(small.colours[0].group = 2);
    BREAKS(small.colours[1].number = 1);
    BREAKS(small.colours[0].number = 0);
    BREAKS(small.colours[1].name = "red");
    BREAKS(small.colours[1].name = "dark blue");
}
END_TEST

/* --- Values ----------------------------------------------------------------- */

static const struct codebook_field *
field_named(uint32_t kind, const char *name)
{
    const struct codebook_field *field = codebook_field_by_name(codebook_reprisals(), kind, name);

    ck_assert_msg(field != NULL, "%s", name);
    return field;
}

static const struct {
    uint32_t kind;
    const char *field;
    const char *typed;
    const char *cbor;  /* hex */
    const char *shown; /* NULL: as typed */
} accepted[] = {
    { 1, "title", "Défenseur détenu",
      "7244c3a966656e7365757220"
      "64c3a974656e75",
      NULL },
    { 1, "narrative.text", "one\n\ttwo", "686f6e650a0974776f", NULL },
    { 1, "status", "draft", "01", NULL },
    { 1, "status", " sealed ", "17", "sealed" },
    { 1, "act.type_of_act", "death_threat", "08", NULL },
    { 1, "transnational", "yes", "f5", NULL },
    { 1, "transnational", "false", "f4", "no" },
    { 1, "earlier_report.year", "2024", "1907e8", NULL },
    { 1, "earlier_report.year", "-5", "24", NULL },
    { 2, "number_of_persons", "3-5", "820305", NULL },
    { 2, "number_of_persons", "24", "8218181818", NULL },
    { 2, "number_of_persons", "4 - 4", "820404", "4" },
    { 1, "act.date_from", "2019-03~", "68323031392d30337e", NULL },
    { 1, "act.date_from", "2024-11-02/..", "6d323032342d31312d30322f2e2e", NULL },
    { 1, "country_of_act", "ken", "634b454e", "KEN" },
    { 1, "country_of_act", "XKX", "63584b58", NULL },
    { 1, "act.admin_area", "KE-30", "654b452d3330", NULL },
    { 1, "narrative.language", "ara", "63617261", NULL },
    { 1, "victim.person", "000102030405060708090A0b0c0d0e0f", "50000102030405060708090a0b0c0d0e0f",
      "000102030405060708090a0b0c0d0e0f" },
    { 1, "case_officer", "000102030405060700000007", "4c000102030405060700000007", NULL },
    { 1, "act.perpetrator", "0001020304050607", "480001020304050607", NULL },
    /* A mark of direction turns nothing around. */
    { 1, "title", "\xd8\xa3\xe2\x80\x8f", "65d8a3e2808f", NULL },
    { 1, "narrative.text", "a \xe2\x81\xa6name\xe2\x81\xa9", "6c6120e281a66e616d65e281a9", NULL },
    { 1, "follow_up.narrative", "fra: Remise en liberté",
      "82636672617252656d69736520656e206c69626572"
      "74c3a9",
      NULL },
};

START_TEST(what_people_type_becomes_cbor_and_comes_back)
{
    const struct codebook *codebook = codebook_reprisals();

    for (size_t n = 0; n < sizeof accepted / sizeof *accepted; n++) {
        const struct codebook_field *field = field_named(accepted[n].kind, accepted[n].field);
        struct buf cbor = { 0 };
        struct buf text = { 0 };
        const char *why = "";
        char hex[256];

        ck_assert_int_eq(codebook_parse(codebook, field, accepted[n].typed, &cbor, &why), ERR_OK);
        ck_assert_ptr_null(why);
        ck_assert(cbor_valid(buf_span(&cbor)));
        ck_assert(codebook_accepts(codebook, field, buf_span(&cbor)));
        ck_assert_uint_lt(2 * cbor.size, sizeof hex);
        bytes_hex(hex, buf_span(&cbor));
        ck_assert_str_eq(hex, accepted[n].cbor);
        codebook_print(codebook, field, buf_span(&cbor), &text);
        const char *shown = accepted[n].shown != NULL ? accepted[n].shown : accepted[n].typed;
        ck_assert_msg(span_equal(buf_span(&text), span_text(shown)), "%s", accepted[n].typed);
        buf_free(&cbor);
        buf_free(&text);
    }
}
END_TEST

static const struct {
    uint32_t kind;
    const char *field;
    const char *typed;
} refused[] = {
    { 1, "title", "" },
    { 1, "title", "two\nlines" },
    { 1, "title", "\x1b[31mred" },
    { 1, "title", "c1 \xc2\x9b control" },
    { 1, "title", "an embedding \xe2\x80\xaa" },
    { 1, "title", "an override \xe2\x80\xae txet" },
    { 1, "title", "\xe2\x81\xa6 an isolate" },
    { 1, "title", "its end \xe2\x81\xa9" },
    { 1, "title", "not utf-8 \xff" },
    { 1, "narrative.text", "carriage\rreturn" },
    { 1, "status", "" },
    { 1, "status", "Draft" },
    { 1, "status", "1" },
    { 1, "transnational", "maybe" },
    { 1, "earlier_report.year", "" },
    { 1, "earlier_report.year", "-" },
    { 1, "earlier_report.year", "12x" },
    { 1, "earlier_report.year", "9223372036854775808" },
    { 1, "earlier_report.year", "99999999999999999999" },
    { 2, "number_of_persons", "5-3" },
    { 2, "number_of_persons", "-3" },
    { 2, "number_of_persons", "3-" },
    { 1, "act.date_from", "last spring" },
    { 1, "act.date_from", "2019-02-30" },
    { 1, "country_of_act", "KEM" },
    { 1, "country_of_act", "KE" },
    { 1, "country_of_act", "Kenya" },
    { 1, "act.admin_area", "KE" },
    { 1, "act.admin_area", "KE-" },
    { 1, "act.admin_area", "KE-1234" },
    { 1, "act.admin_area", "ke-30" },
    { 1, "narrative.language", "en" },
    { 1, "narrative.language", "ENG" },
    { 1, "victim.person", "0001" },
    { 1, "victim.person", "000102030405060708090a0b0c0d0e0f00" },
    { 1, "case_officer", "xx0102030405060700000007" },
    { 1, "evidence.key", "0001" },
    { 1, "follow_up.narrative", "Remise" },
    { 1, "follow_up.narrative", "fra:" },
    { 1, "follow_up.narrative", "fra: \xff" },
};

START_TEST(what_does_not_fit_is_refused_with_a_reason)
{
    const struct codebook *codebook = codebook_reprisals();

    for (size_t n = 0; n < sizeof refused / sizeof *refused; n++) {
        struct buf cbor = { 0 };
        const char *why = NULL;
        enum err err = codebook_parse(codebook, field_named(refused[n].kind, refused[n].field),
                                      refused[n].typed, &cbor, &why);
        ck_assert_msg(err == ERR_INVALID, "%s = %s", refused[n].field, refused[n].typed);
        ck_assert_msg(why != NULL && why[0] != '\0', "%s", refused[n].typed);
        ck_assert_uint_eq(cbor.size, 0);
        buf_free(&cbor);
    }
}
END_TEST

static struct span
hex_span(uint8_t *bytes, const char *hex)
{
    size_t size = strlen(hex) / 2;

    ck_assert(bytes_from_hex(bytes, size, hex));
    return span_of(bytes, size);
}

/* Whatever a peer sent is shown on one line and makes a terminal do nothing. */
START_TEST(what_a_field_does_not_accept_is_shown_for_what_it_is)
{
    static const struct {
        const char *field;
        const char *cbor;
        const char *shown;
    } strange[] = {
        { "status", "18c8", "200" },                              /* an unknown code */
        { "status", "6161", "a" },                                /* text instead of a code */
        { "title", "631b5b32", "\xef\xbf\xbd[2" },                /* an escape */
        { "title", "62c29b", "\xef\xbf\xbd" },                    /* a C1 control */
        { "title", "01", "1" },                                   /* a number instead of text */
        { "title", "4100", "?4100" },                             /* bytes */
        { "title", "", "?" },                                     /* nothing */
        { "title", "ff", "?ff" },                                 /* not CBOR */
        { "act.date_from", "6473756d6d6572", "?6473756d6d6572" }, /* text, and more */
        { "act.date_from", "6673756d6d6572", "summer" },
        { "victim.person", "f6", "?f6" },
    };

    for (size_t n = 0; n < sizeof strange / sizeof *strange; n++) {
        const struct codebook_field *field = field_named(1, strange[n].field);
        uint8_t bytes[32];
        struct buf text = { 0 };
        struct span cbor = hex_span(bytes, strange[n].cbor);

        ck_assert_msg(!codebook_accepts(codebook_reprisals(), field, cbor), "%s", strange[n].cbor);
        ck_assert_int_eq(codebook_rank(codebook_reprisals(), field, cbor) == INT64_MIN, 1);
        codebook_print(codebook_reprisals(), field, cbor, &text);
        ck_assert_msg(span_equal(buf_span(&text), span_text(strange[n].shown)), "%s", strange[n].cbor);
        buf_free(&text);
    }
}
END_TEST

/* The key of a file is shown to nobody, not even one of a wrong length; the hash of the content is. */
START_TEST(a_key_of_a_file_shows_the_hash_of_the_content_alone)
{
    const struct codebook_field *field = codebook_field(codebook_reprisals(), FIELD_EVIDENCE_KEY);
    struct buf text = { 0 };
    struct buf cbor = { 0 };
    uint8_t key[66];
    const char *why = NULL;
    char hex[140] = { 0 };

    memset(key, 0xab, 32);
    memset(key + 32, 0x12, 34);
    cbor_put_bytes(&cbor, span_of(key, 64));
    ck_assert(codebook_accepts(codebook_reprisals(), field, buf_span(&cbor)));
    codebook_print(codebook_reprisals(), field, buf_span(&cbor), &text);
    buf_put_u8(&text, 0);
    ck_assert_str_eq((const char *)text.data,
                     "sha256:1212121212121212121212121212121212121212121212121212121212121212");
    buf_clear(&cbor);
    buf_clear(&text);
    cbor_put_bytes(&cbor, span_of(key, 66));
    ck_assert(!codebook_accepts(codebook_reprisals(), field, buf_span(&cbor)));
    codebook_print(codebook_reprisals(), field, buf_span(&cbor), &text);
    buf_put_u8(&text, 0);
    ck_assert_str_eq((const char *)text.data, "?no key of a file");
    buf_clear(&cbor);
    bytes_hex(hex, span_of(key, 64));
    ck_assert_int_eq(codebook_parse(codebook_reprisals(), field, hex, &cbor, &why), ERR_INVALID);
    ck_assert_uint_eq(cbor.size, 0);
    ck_assert_int_eq(codebook_field(codebook_reprisals(), FIELD_ATTACHMENT_KEY)->sensitivity, LEVEL_L3);
    ck_assert_int_eq(field->sensitivity, LEVEL_L3);
    buf_free(&cbor);
    buf_free(&text);
}
END_TEST

static int64_t
rank_of(uint32_t kind, const char *name, const char *typed)
{
    const struct codebook_field *field = field_named(kind, name);
    struct buf cbor = { 0 };

    ck_assert_int_eq(codebook_parse(codebook_reprisals(), field, typed, &cbor, NULL), ERR_OK);
    int64_t rank = codebook_rank(codebook_reprisals(), field, buf_span(&cbor));
    buf_free(&cbor);
    return rank;
}

START_TEST(the_more_protective_value_stands_higher)
{
    ck_assert_int_gt(rank_of(2, "consent.decision", "withdrawn"), rank_of(2, "consent.decision", "refused"));
    ck_assert_int_gt(rank_of(2, "consent.decision", "refused"), rank_of(2, "consent.decision", "expired"));
    ck_assert_int_gt(rank_of(2, "consent.decision", "expired"), rank_of(2, "consent.decision", "unknown"));
    ck_assert_int_gt(rank_of(2, "consent.decision", "unknown"), rank_of(2, "consent.decision", "granted"));
    ck_assert_int_gt(rank_of(2, "consent.identifiability_concern", "yes"),
                     rank_of(2, "consent.identifiability_concern", "no"));
    ck_assert_int_gt(rank_of(1, "urgency", "emergency"), rank_of(1, "urgency", "urgent"));
    ck_assert_int_gt(rank_of(1, "cooperation.visibility", "confidential"),
                     rank_of(1, "cooperation.visibility", "unknown"));
    ck_assert_int_gt(rank_of(1, "verification", "rejected"), rank_of(1, "verification", "corroborated"));
    ck_assert_int_gt(rank_of(1, "act.stage", "ongoing"), rank_of(1, "act.stage", "ended"));
    ck_assert_int_eq(rank_of(1, "earlier_report.year", "-7"), -7);
}
END_TEST

static void
check_tokens(uint32_t kind, const char *name, const char *typed, const char *hex)
{
    const struct codebook_field *field = field_named(kind, name);
    struct buf cbor = { 0 };
    struct buf tokens = { 0 };
    char got[256];

    ck_assert_int_eq(codebook_parse(codebook_reprisals(), field, typed, &cbor, NULL), ERR_OK);
    codebook_tokens(codebook_reprisals(), field, buf_span(&cbor), &tokens);
    bytes_hex(got, buf_span(&tokens));
    ck_assert_str_eq(got, hex);
    buf_free(&cbor);
    buf_free(&tokens);
}

START_TEST(an_indexed_value_gives_its_tokens)
{
    check_tokens(1, "country_of_act", "KEN", "81634b454e");
    check_tokens(1, "status", "draft", "8101");
    check_tokens(1, "transnational", "no", "81f4");
    check_tokens(1, "act.date_from", "2019-03-14~", "8167323031392d3033");
    check_tokens(1, "act.date_from", "2019", "816432303139");
    check_tokens(1, "act.date_from", "2019-12/2020-01", "8267323031392d313267323032302d3031");
    check_tokens(1, "title", "not indexed", "80");
    check_tokens(2, "birth_date", "1980", "80");
}
END_TEST

START_TEST(one_value_of_a_set_is_one_element)
{
    uint8_t kenya[ELEMENT_BYTES];
    uint8_t again[ELEMENT_BYTES];
    uint8_t uganda[ELEMENT_BYTES];
    uint8_t bytes[8];

    codebook_element(hex_span(bytes, "634b454e"), kenya);
    codebook_element(hex_span(bytes, "634b454e"), again);
    codebook_element(hex_span(bytes, "63554741"), uganda);
    ck_assert_mem_eq(kenya, again, ELEMENT_BYTES);
    ck_assert_mem_ne(kenya, uganda, ELEMENT_BYTES);
}
END_TEST

SUITE_MAIN("codebook", the_tables_hold_what_the_list_says_and_nothing_else, every_item_has_an_english_label,
           no_strict_field_is_indexed_or_listed, every_vocabulary_is_used_by_a_field,
           all_is_found_by_number_and_by_name, the_embedded_codebook_has_its_golden_id,
           a_small_codebook_has_the_bytes_of_the_format, a_codebook_comes_back_from_its_bytes,
           a_codebook_cut_short_or_followed_is_refused,
           a_status_follows_another_by_a_step_of_its_own_or_by_a_way_out, each_rule_of_a_codebook_is_enforced,
           what_people_type_becomes_cbor_and_comes_back, a_key_of_a_file_shows_the_hash_of_the_content_alone,
           what_does_not_fit_is_refused_with_a_reason, what_a_field_does_not_accept_is_shown_for_what_it_is,
           the_more_protective_value_stands_higher, an_indexed_value_gives_its_tokens,
           one_value_of_a_set_is_one_element)
