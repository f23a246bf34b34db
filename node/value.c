#include "node/value.h"

#include "node/json_memory.h"

#include "store/base/cbor.h"
#include "store/base/crypto.h"
#include "store/base/nearest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ELEMENT_DIGITS = 2 * ELEMENT_ID_BYTES, ELEMENT_DIGITS_MIN = 4 };

__attribute__((format(printf, 2, 3))) static void
explain(struct value_fault *fault, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
}

/* --- values --- */

bool
value_is_null(struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    if (cbor.data == NULL) {
        return true;
    }
    cbor_read_null(&in);
    return cbor_done(&in);
}

json_t *
text_json(struct span text)
{
    /* A NUL would make the whole line unreadable to clients whose strings end there. */
    bool plain = text.size > 0 && utf8_valid(text) && memchr(text.data, '\0', text.size) == NULL;
    json_t *json = plain ? json_stringn((const char *)text.data, text.size) : NULL;

    if (json != NULL || text.size == 0) {
        return json == NULL ? json_string("") : json;
    }
    char *copy = malloc(text.size);
    if (copy == NULL) {
        json_memory_note();
        return NULL;
    }
    for (size_t n = 0; n < text.size; n++) {
        copy[n] = (char)(text.data[n] < 0x20 || text.data[n] > 0x7e ? '?' : text.data[n]);
    }
    json = json_stringn(copy, text.size);
    crypto_wipe(copy, text.size);
    free(copy);
    return json;
}

json_t *
hex_json(struct span bytes)
{
    char *text = malloc(2 * bytes.size + 1);

    if (text == NULL) {
        json_memory_note();
        return NULL;
    }
    bytes_hex(text, bytes);
    json_t *json = json_string(text);
    free(text);
    return json;
}

static json_t *
printed(const struct codebook *codebook, const struct codebook_field *field, struct span cbor)
{
    struct buf text = { 0 };

    if (field != NULL) {
        codebook_print(codebook, field, cbor, &text);
    } else {
        struct cbor_reader in = cbor_reader_of(cbor);

        switch (cbor_peek(&in)) {
        case CBOR_TEXT:
            buf_put_span(&text, cbor_read_text(&in));
            break;
        case CBOR_UINT:
        case CBOR_NEGATIVE:
            buf_printf(&text, "%" PRId64, cbor_read_int(&in));
            break;
        default:
            buf_printf(&text, "%zu bytes", cbor.size);
            break;
        }
    }
    json_t *json = NULL;
    if (text.failed) {
        json_memory_note();
    } else {
        json = text_json(buf_span(&text));
    }
    buf_wipe(&text);
    return json;
}

/* [least, most], or [language, text]. */
static json_t *
pair_json(enum codebook_type type, struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    (void)cbor_read_array(&in);
    if (type == TYPE_RANGE) {
        json_int_t least = cbor_read_int(&in);

        return json_pack("[I,I]", least, (json_int_t)cbor_read_int(&in));
    }
    struct span language = cbor_read_text(&in);
    struct span text = cbor_read_text(&in);
    return json_pack("[o,o]", text_json(language), text_json(text));
}

json_t *
value_json(const struct codebook *codebook, const struct codebook_field *field, struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    if (value_is_null(cbor)) {
        return json_null();
    }
    if (field == NULL || !codebook_accepts(codebook, field, cbor)) {
        return printed(codebook, field, cbor);
    }
    switch (field->type) {
    case TYPE_BOOL:
        return json_boolean(cbor_read_bool(&in));
    case TYPE_INTEGER:
        return json_integer(cbor_read_int(&in));
    case TYPE_RANGE:
    case TYPE_LOCALISED:
        return pair_json(field->type, cbor);
    default:
        return printed(codebook, field, cbor);
    }
}

json_t *
value_label(const struct codebook *codebook, const struct codebook_field *field, struct span cbor)
{
    if (value_is_null(cbor)) {
        return json_string("(cleared)");
    }
    if (field != NULL && field->type == TYPE_CODE && codebook_accepts(codebook, field, cbor)) {
        struct cbor_reader in = cbor_reader_of(cbor);
        uint64_t number = cbor_read_uint(&in);
        const struct codebook_vocabulary *vocabulary = codebook_vocabulary(codebook, field->vocabulary);
        const struct codebook_value *value =
            vocabulary == NULL || number > UINT32_MAX ? NULL : codebook_value(vocabulary, (uint32_t)number);

        if (value != NULL) {
            return json_string(value->label);
        }
    }
    return printed(codebook, field, cbor);
}

/* Text as codebook_parse takes it, of JSON that is no string. */
static bool
put_as_typed(const json_t *json, struct buf *out)
{
    switch (json_typeof(json)) {
    case JSON_STRING:
        buf_put(out, json_string_value(json), json_string_length(json));
        return true;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        return true;
    case JSON_TRUE:
        buf_put_text(out, "yes");
        return true;
    case JSON_FALSE:
        buf_put_text(out, "no");
        return true;
    case JSON_ARRAY:
        break;
    default:
        return false;
    }
    const json_t *first = json_array_get(json, 0);
    const json_t *second = json_array_get(json, 1);
    if (json_array_size(json) != 2 || json_typeof(first) != json_typeof(second)) {
        return false;
    }
    if (json_is_integer(first)) {
        buf_printf(out, "%" JSON_INTEGER_FORMAT "-%" JSON_INTEGER_FORMAT, json_integer_value(first),
                   json_integer_value(second));
    } else if (json_is_string(first)) {
        buf_printf(out, "%s: %s", json_string_value(first), json_string_value(second));
    } else {
        return false;
    }
    return true;
}

static struct value_guess
guess(const struct nearest *nearest)
{
    struct value_guess out = { "" };

    if (nearest->name != NULL) {
        (void)snprintf(out.text, sizeof out.text, ": did you mean %s?", nearest->name);
    }
    return out;
}

/* Of a code: the one that was probably meant. */
static struct value_guess
guess_value(const struct codebook *codebook, const struct codebook_field *field, const char *typed)
{
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(codebook, field->vocabulary);
    struct nearest nearest = nearest_to(typed);

    for (size_t n = 0; vocabulary != NULL && n < vocabulary->value_count; n++) {
        nearest_see(&nearest, vocabulary->values[n].name);
    }
    return guess(&nearest);
}

enum err
value_parse(const struct codebook *codebook, const struct codebook_field *field, const json_t *json,
            struct buf *cbor_out, struct value_fault *fault_out)
{
    struct buf text = { 0 };
    const char *why = NULL;
    enum err err = ERR_INVALID;

    if (json_is_null(json)) {
        cbor_put_null(cbor_out);
        return cbor_out->failed ? ERR_MEMORY : ERR_OK;
    }
    if (!put_as_typed(json, &text)) {
        explain(fault_out, "%s: neither text nor a value of type %s", field->name,
                value_type_name(field->type));
    } else {
        buf_put_u8(&text, 0);
        err = text.failed ? ERR_MEMORY
                          : codebook_parse(codebook, field, (const char *)text.data, cbor_out, &why);
        if (err == ERR_INVALID) {
            explain(fault_out, "%s: %s%s", field->name, why == NULL ? "not a value of this field" : why,
                    guess_value(codebook, field, (const char *)text.data).text);
        }
    }
    buf_wipe(&text);
    return err;
}

const char *
value_type_name(enum codebook_type type)
{
    static const char *const names[] = {
        [TYPE_TEXT] = "text",         [TYPE_LONG_TEXT] = "long_text", [TYPE_CODE] = "code",
        [TYPE_BOOL] = "bool",         [TYPE_INTEGER] = "integer",     [TYPE_RANGE] = "range",
        [TYPE_DATE] = "date",         [TYPE_COUNTRY] = "country",     [TYPE_SUBDIVISION] = "subdivision",
        [TYPE_LANGUAGE] = "language", [TYPE_RECORD] = "record",       [TYPE_ACTOR] = "actor",
        [TYPE_BLOB] = "blob",         [TYPE_LOCALISED] = "localised", [TYPE_ELEMENT] = "element",
        [TYPE_FILE_KEY] = "file_key",
    };
    size_t n = (size_t)type;

    return n < sizeof names / sizeof names[0] && names[n] != NULL ? names[n] : "unknown";
}

const char *
value_policy_name(enum merge_policy policy)
{
    static const char *const names[] = {
        [MERGE_SURFACE] = "surface", [MERGE_UNION] = "union",           [MERGE_MAX] = "max",
        [MERGE_MIN] = "min",         [MERGE_PROTECTIVE] = "protective", [MERGE_LATEST] = "latest",
    };
    size_t n = (size_t)policy;

    return n < sizeof names / sizeof names[0] ? names[n] : "unknown";
}

const char *
value_level_name(enum sensitivity sensitivity)
{
    static const char *const names[] = { "L0", "L1", "L2", "L3" };
    size_t n = (size_t)sensitivity;

    return n < sizeof names / sizeof names[0] ? names[n] : "unknown";
}

/* --- targets --- */

struct target_text
target_print(const struct codebook *codebook, const struct target *target)
{
    const struct codebook_field *field = target->field == 0 ? NULL : codebook_field(codebook, target->field);
    const struct codebook_collection *collection =
        target->collection == 0 ? NULL : codebook_collection(codebook, target->collection);
    struct target_text out;
    char unknown_collection[24];
    char unknown_field[24];
    char element[ELEMENT_DIGITS + 1];

    (void)snprintf(unknown_field, sizeof unknown_field, "field-%" PRIu32, target->field);
    const char *field_name = field == NULL ? unknown_field : field->name;
    if (target->collection == 0) {
        (void)snprintf(out.text, sizeof out.text, "%s", field_name);
        return out;
    }
    (void)snprintf(unknown_collection, sizeof unknown_collection, "collection-%" PRIu32, target->collection);
    const char *name = collection == NULL ? unknown_collection : collection->name;
    bytes_hex(element, span_of(target->element, ELEMENT_ID_BYTES));
    if (target->field == 0) {
        (void)snprintf(out.text, sizeof out.text, "%s[%s]", name, element);
        return out;
    }
    const char *dot = strchr(field_name, '.');
    (void)snprintf(out.text, sizeof out.text, "%s[%s].%s", name, element, dot == NULL ? field_name : dot + 1);
    return out;
}

const char *
target_label(const struct codebook *codebook, const struct target *target)
{
    if (target->field != 0) {
        const struct codebook_field *field = codebook_field(codebook, target->field);

        return field == NULL ? "a field of a newer version" : field->label;
    }
    const struct codebook_collection *collection = codebook_collection(codebook, target->collection);
    return collection == NULL ? "an element of a newer version" : collection->label;
}

const struct codebook_field *
value_first_field(const struct codebook *codebook, uint32_t collection)
{
    for (size_t n = 0; n < codebook->field_count; n++) {
        if (codebook->fields[n].collection == collection) {
            return &codebook->fields[n];
        }
    }
    return NULL;
}

const struct codebook_field *
value_element_field(const struct codebook *codebook, uint32_t kind,
                    const struct codebook_collection *collection, const char *name)
{
    char whole[VALUE_TEXT_BYTES];
    const struct codebook_field *field = NULL;
    size_t before = strlen(collection->name);
    size_t size = strlen(name);

    /* By hand: an import asks for each value of each row. */
    if (before + 1 + size < sizeof whole) {
        memcpy(whole, collection->name, before);
        whole[before] = '.';
        memcpy(whole + before + 1, name, size + 1);
        field = codebook_field_by_name(codebook, kind, whole);
    }
    if (field == NULL) {
        field = codebook_field_by_name(codebook, kind, name);
    }
    return field != NULL && field->collection == collection->number ? field : NULL;
}

struct value_guess
value_guess_name(const struct codebook *codebook, uint32_t kind, const struct codebook_collection *collection,
                 const char *typed)
{
    struct nearest nearest = nearest_to(typed);
    uint32_t bit = UINT32_C(1) << (kind & 31);

    for (size_t n = 0; n < codebook->field_count; n++) {
        const struct codebook_field *field = &codebook->fields[n];
        const char *dot = strchr(field->name, '.');

        if ((field->kinds & bit) != 0 && (collection == NULL || field->collection == collection->number)) {
            nearest_see(&nearest, collection != NULL && dot != NULL ? dot + 1 : field->name);
        }
    }
    for (size_t n = 0; collection == NULL && n < codebook->collection_count; n++) {
        if ((codebook->collections[n].kinds & bit) != 0) {
            nearest_see(&nearest, codebook->collections[n].name);
        }
    }
    return guess(&nearest);
}

struct value_guess
value_guess_kind(const struct codebook *codebook, const char *typed)
{
    struct nearest nearest = nearest_to(typed);

    for (size_t n = 0; n < codebook->kind_count; n++) {
        nearest_see(&nearest, codebook->kinds[n].name);
    }
    return guess(&nearest);
}

/* True if the hex digits of `element` begin with `digits`. */
static bool
begins(const uint8_t element[ELEMENT_ID_BYTES], const char *digits, size_t count)
{
    char hex[ELEMENT_DIGITS + 1];

    bytes_hex(hex, span_of(element, ELEMENT_ID_BYTES));
    for (size_t n = 0; n < count; n++) {
        char digit = (char)(digits[n] >= 'A' && digits[n] <= 'F' ? digits[n] - 'A' + 'a' : digits[n]);

        if (hex[n] != digit) {
            return false;
        }
    }
    return true;
}

static enum err
find_element(const struct codebook_collection *collection, const char *digits, size_t count,
             const struct element_name *elements, size_t element_count, struct target *target_out,
             struct value_fault *fault)
{
    const struct element_name *found = NULL;

    if (count < ELEMENT_DIGITS_MIN || count > ELEMENT_DIGITS) {
        explain(fault, "an element of %s is named by 4 to 16 digits of its id, as show --ids prints it",
                collection->name);
        return ERR_INVALID;
    }
    for (size_t n = 0; n < element_count; n++) {
        if (elements[n].collection != collection->number || !begins(elements[n].element, digits, count)) {
            continue;
        }
        if (found != NULL && memcmp(found->element, elements[n].element, ELEMENT_ID_BYTES) != 0) {
            explain(fault, "more than one %s begins with %.*s", collection->name, (int)count, digits);
            return ERR_CONFLICT;
        }
        found = &elements[n];
    }
    if (found == NULL) {
        explain(fault, "the record has no %s[%.*s]", collection->name, (int)count, digits);
        return ERR_ABSENT;
    }
    target_out->collection = found->collection;
    memcpy(target_out->element, found->element, ELEMENT_ID_BYTES);
    return ERR_OK;
}

enum err
target_parse(const struct codebook *codebook, uint32_t kind, const char *text,
             const struct element_name *elements, size_t element_count, struct target *target_out,
             struct value_fault *fault_out)
{
    const char *open = strchr(text, '[');
    const char *close = open == NULL ? NULL : strchr(open, ']');
    char name[64];

    memset(target_out, 0, sizeof *target_out);
    if (open == NULL) {
        const struct codebook_field *field = codebook_field_by_name(codebook, kind, text);

        if (field != NULL && field->collection == 0) {
            target_out->field = field->number;
            return ERR_OK;
        }
        if (field != NULL || codebook_collection_by_name(codebook, kind, text) != NULL) {
            explain(fault_out,
                    "%.60s belongs to an element: name the element, as in act[3f09a1c2].type_of_act", text);
        } else {
            explain(fault_out, "there is no field called %.60s%s", text,
                    value_guess_name(codebook, kind, NULL, text).text);
        }
        return ERR_INVALID;
    }
    if (close == NULL || (close[1] != '\0' && close[1] != '.') || (size_t)(open - text) >= sizeof name) {
        explain(fault_out, "%.60s is not of the form act[3f09a1c2].type_of_act", text);
        return ERR_INVALID;
    }
    memcpy(name, text, (size_t)(open - text));
    name[open - text] = '\0';
    const struct codebook_collection *collection = codebook_collection_by_name(codebook, kind, name);
    if (collection == NULL) {
        explain(fault_out, "there is no collection called %s%s", name,
                value_guess_name(codebook, kind, NULL, name).text);
        return ERR_INVALID;
    }
    enum err err = find_element(collection, open + 1, (size_t)(close - open - 1), elements, element_count,
                                target_out, fault_out);
    if (err != ERR_OK || close[1] == '\0') {
        return err;
    }
    const struct codebook_field *field = value_element_field(codebook, kind, collection, close + 2);
    if (field == NULL) {
        explain(fault_out, "%s has no field called %.60s%s", name, close + 2,
                value_guess_name(codebook, kind, collection, close + 2).text);
        return ERR_INVALID;
    }
    target_out->field = field->number;
    return ERR_OK;
}

/* --- times --- */

struct time_text
time_print(uint64_t wall_ms)
{
    struct time_text out;
    struct tm parts;
    time_t seconds = (time_t)(wall_ms / 1000);
    char day[24] = "";

    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
    }
    (void)snprintf(out.text, sizeof out.text, "%s.%03uZ", day, (unsigned)(wall_ms % 1000));
    return out;
}

/* Take exactly `digits` digits at *at; false: there are none. */
static bool
take_number(const char **at, int digits, int least, int most, int *out)
{
    *out = 0;
    for (int n = 0; n < digits; n++, ++*at) {
        if (!isdigit((unsigned char)**at)) {
            return false;
        }
        *out = *out * 10 + (**at - '0');
    }
    return *out >= least && *out <= most;
}

static bool
take_mark(const char **at, const char *marks)
{
    bool found = **at != '\0' && strchr(marks, **at) != NULL;

    *at += found;
    return found;
}

bool
time_parse(const char *text, uint64_t *wall_ms_out)
{
    struct tm parts = { 0 };
    int ms = 0;

    if (!take_number(&text, 4, 1970, 9999, &parts.tm_year) || !take_mark(&text, "-") ||
        !take_number(&text, 2, 1, 12, &parts.tm_mon) || !take_mark(&text, "-") ||
        !take_number(&text, 2, 1, 31, &parts.tm_mday)) {
        return false;
    }
    if (take_mark(&text, "T ")) {
        if (!take_number(&text, 2, 0, 23, &parts.tm_hour) || !take_mark(&text, ":") ||
            !take_number(&text, 2, 0, 59, &parts.tm_min) ||
            (take_mark(&text, ":") && !take_number(&text, 2, 0, 59, &parts.tm_sec)) ||
            (take_mark(&text, ".") && !take_number(&text, 3, 0, 999, &ms))) {
            return false;
        }
        (void)take_mark(&text, "Z");
    }
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    int day = parts.tm_mday;
    time_t seconds = timegm(&parts);
    if (*text != '\0' || seconds < 0 || parts.tm_mday != day) {
        return false; /* something follows, or the month has no such day */
    }
    *wall_ms_out = (uint64_t)seconds * 1000 + (uint64_t)ms;
    return true;
}

json_t *
time_json(uint64_t wall_ms)
{
    return wall_ms == 0 ? json_null() : json_string(time_print(wall_ms).text);
}

json_t *
hlc_json(uint64_t hlc)
{
    return time_json(hlc >> 16);
}
