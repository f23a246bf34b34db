#include "store/codebook.h"

#include "store/blob.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/cbor.h"
#include "store/base/crypto.h"
#include "store/edtf.h"

/* A text is one line or paragraph; a long text is one section, and must leave room in a
 * payload of 32 KiB. */
enum { TEXT_BYTES_MAX = 4096, LONG_TEXT_BYTES_MAX = 30000 };

enum { ACTOR_BYTES = 12, COUNTRY_BYTES = 3, LANGUAGE_BYTES = 3 };

/* ISO 3166-1 alpha-3, as of 2023. */
static const char countries[] =
    "ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA "
    "BGD BGR BHR BHS BIH BLM BLR BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN "
    "CIV CMR COD COG COK COL COM CPV CRI CUB CUW CXR CYM CYP CZE DEU DJI DMA DNK DOM DZA ECU "
    "EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB GIN GLP GMB GNB "
    "GNQ GRC GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL "
    "ISR ITA JAM JEY JOR JPN KAZ KEN KGZ KHM KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO "
    "LTU LUX LVA MAC MAF MAR MCO MDA MDG MDV MEX MHL MKD MLI MLT MMR MNE MNG MNP MOZ MRT MSR "
    "MTQ MUS MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR NPL NRU NZL OMN PAK PAN PCN PER "
    "PHL PLW PNG POL PRI PRK PRT PRY PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS SHN SJM "
    "SLB SLE SLV SMR SOM SPM SRB SSD STP SUR SVK SVN SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK "
    "TKL TKM TLS TON TTO TUN TUR TUV TWN TZA UGA UKR UMI URY USA UZB VAT VCT VEN VGB VIR VNM "
    "VUT WLF WSM YEM ZAF ZMB ZWE ";

/* --- Finding -------------------------------------------------------------- */

/* The item of an array ascending by its first member, a uint32_t; NULL if there is none. */
static const void *
find(const void *items, size_t count, size_t item_bytes, uint32_t number)
{
    const unsigned char *base = items;
    size_t from = 0;
    size_t to = count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const void *item = base + middle * item_bytes;
        uint32_t here = *(const uint32_t *)item;
        if (here == number) {
            return item;
        }
        if (here < number) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return NULL;
}

static bool
of_kind(uint32_t kinds, uint32_t kind)
{
    return kind < 32 && (kinds >> kind & 1) != 0;
}

/* Names are looked up for every value that comes, and most differ in their first letter. */
static bool
is_named(const char *name, const char *wanted)
{
    return name[0] == wanted[0] && strcmp(name, wanted) == 0;
}

const struct codebook_kind *
codebook_kind(const struct codebook *codebook, uint32_t number)
{
    return find(codebook->kinds, codebook->kind_count, sizeof *codebook->kinds, number);
}

const struct codebook_kind *
codebook_kind_by_name(const struct codebook *codebook, const char *name)
{
    for (size_t i = 0; i < codebook->kind_count; i++) {
        if (is_named(codebook->kinds[i].name, name)) {
            return &codebook->kinds[i];
        }
    }
    return NULL;
}

const struct codebook_field *
codebook_field(const struct codebook *codebook, uint32_t number)
{
    return find(codebook->fields, codebook->field_count, sizeof *codebook->fields, number);
}

const struct codebook_field *
codebook_field_by_name(const struct codebook *codebook, uint32_t kind, const char *name)
{
    for (size_t i = 0; i < codebook->field_count; i++) {
        const struct codebook_field *field = &codebook->fields[i];
        if (of_kind(field->kinds, kind) && is_named(field->name, name)) {
            return field;
        }
    }
    return NULL;
}

const struct codebook_collection *
codebook_collection(const struct codebook *codebook, uint32_t number)
{
    return find(codebook->collections, codebook->collection_count, sizeof *codebook->collections, number);
}

const struct codebook_collection *
codebook_collection_by_name(const struct codebook *codebook, uint32_t kind, const char *name)
{
    for (size_t i = 0; i < codebook->collection_count; i++) {
        const struct codebook_collection *collection = &codebook->collections[i];
        if (of_kind(collection->kinds, kind) && is_named(collection->name, name)) {
            return collection;
        }
    }
    return NULL;
}

const struct codebook_vocabulary *
codebook_vocabulary(const struct codebook *codebook, uint32_t number)
{
    return find(codebook->vocabularies, codebook->vocabulary_count, sizeof *codebook->vocabularies, number);
}

const struct codebook_value *
codebook_value(const struct codebook_vocabulary *vocabulary, uint32_t number)
{
    return find(vocabulary->values, vocabulary->value_count, sizeof *vocabulary->values, number);
}

const struct codebook_value *
codebook_value_by_name(const struct codebook_vocabulary *vocabulary, const char *name)
{
    for (size_t i = 0; i < vocabulary->value_count; i++) {
        if (is_named(vocabulary->values[i].name, name)) {
            return &vocabulary->values[i];
        }
    }
    return NULL;
}

const struct codebook_field *
codebook_stage_field(const struct codebook *codebook, uint32_t kind)
{
    for (size_t i = 0; i < codebook->field_count; i++) {
        const struct codebook_field *field = &codebook->fields[i];

        if ((field->flags & FIELD_STAGE) != 0 && of_kind(field->kinds, kind)) {
            return field;
        }
    }
    return NULL;
}

const struct codebook_step *
codebook_step(const struct codebook_vocabulary *vocabulary, uint32_t from, uint32_t to)
{
    const struct codebook_step *any = NULL;

    for (size_t i = 0; i < vocabulary->step_count; i++) {
        const struct codebook_step *step = &vocabulary->steps[i];

        if (step->to == to && step->from == from) {
            return step;
        }
        if (step->to == to && step->from == STEP_FROM_ANY && from != STEP_FROM_NONE) {
            any = step;
        }
    }
    return any;
}

void
codebook_element(struct span cbor, uint8_t element_out[ELEMENT_BYTES])
{
    struct hash hash;

    CRYPTO_HASH(&hash, "vigil.elt.v1", cbor);
    memcpy(element_out, hash.bytes, ELEMENT_BYTES);
}

/* --- What a value may be ---------------------------------------------------- */

/* Bytes of the control character at the front of `text`: C0, DEL and C1; 0 if there is none. */
static size_t
control_bytes(struct span text)
{
    if (text.data[0] < 0x20 || text.data[0] == 0x7f) {
        return 1;
    }
    bool c1 = text.size > 1 && text.data[0] == 0xc2 && text.data[1] >= 0x80 && text.data[1] < 0xa0;
    return c1 ? 2 : 0;
}

/* Does a character stand at the front of `text` that turns what follows around: an embedding, an override or an isolate? A name
 * that holds one is read as another. */
static bool
turns_text(struct span text)
{
    if (text.size < 3 || text.data[0] != 0xe2) {
        return false;
    }
    return (text.data[1] == 0x80 && text.data[2] >= 0xaa && text.data[2] <= 0xae) ||
           (text.data[1] == 0x81 && text.data[2] >= 0xa6 && text.data[2] <= 0xa9);
}

static bool
text_fits(struct span text, bool is_long)
{
    if (text.size == 0 || text.size > (is_long ? LONG_TEXT_BYTES_MAX : TEXT_BYTES_MAX)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        struct span rest = span_of(text.data + i, text.size - i);
        bool layout = is_long && (text.data[i] == '\n' || text.data[i] == '\t');
        if ((!layout && control_bytes(rest) != 0) || (!is_long && turns_text(rest))) {
            return false;
        }
    }
    return true;
}

static bool
all_between(struct span text, char least, char most)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < (uint8_t)least || text.data[i] > (uint8_t)most) {
            return false;
        }
    }
    return true;
}

/* A country of the list, or X and two letters, which the standard leaves to its users: XKX. */
static bool
is_country(struct span text)
{
    if (text.size != COUNTRY_BYTES || !all_between(text, 'A', 'Z')) {
        return false;
    }
    for (size_t at = 0; at + COUNTRY_BYTES < sizeof countries; at += COUNTRY_BYTES + 1) {
        if (memcmp(countries + at, text.data, COUNTRY_BYTES) == 0) {
            return true;
        }
    }
    return text.data[0] == 'X';
}

/* Two letters, a hyphen, one to three letters or digits: the form of ISO 3166-2. */
static bool
is_subdivision(struct span text)
{
    if (text.size < 4 || text.size > 6 || text.data[2] != '-' ||
        !all_between(span_of(text.data, 2), 'A', 'Z')) {
        return false;
    }
    for (size_t i = 3; i < text.size; i++) {
        struct span one = span_of(text.data + i, 1);
        if (!all_between(one, 'A', 'Z') && !all_between(one, '0', '9')) {
            return false;
        }
    }
    return true;
}

static bool
is_language(struct span text)
{
    return text.size == LANGUAGE_BYTES && all_between(text, 'a', 'z');
}

static const struct codebook_value *
value_of(const struct codebook *codebook, const struct codebook_field *field, uint64_t number)
{
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(codebook, field->vocabulary);

    return vocabulary == NULL || number > UINT32_MAX ? NULL : codebook_value(vocabulary, (uint32_t)number);
}

/* How many bytes a value of this type has, if it is a byte string; else 0. */
static size_t
type_bytes(enum codebook_type type)
{
    switch (type) {
    case TYPE_RECORD:
        return IDENT_BYTES;
    case TYPE_ACTOR:
        return ACTOR_BYTES;
    case TYPE_BLOB:
        return HASH_BYTES;
    case TYPE_ELEMENT:
        return ELEMENT_BYTES;
    case TYPE_FILE_KEY:
        return BLOB_KEY_BYTES;
    default:
        return 0;
    }
}

static bool
accepts_text(enum codebook_type type, struct span text)
{
    struct edtf date;

    switch (type) {
    case TYPE_TEXT:
        return text_fits(text, false);
    case TYPE_LONG_TEXT:
        return text_fits(text, true);
    case TYPE_DATE:
        return edtf_parse(&date, text);
    case TYPE_COUNTRY:
        return is_country(text);
    case TYPE_SUBDIVISION:
        return is_subdivision(text);
    case TYPE_LANGUAGE:
        return is_language(text);
    default:
        return false;
    }
}

bool
codebook_accepts(const struct codebook *codebook, const struct codebook_field *field, struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    bool fits = false;

    switch (field->type) {
    case TYPE_TEXT:
    case TYPE_LONG_TEXT:
    case TYPE_DATE:
    case TYPE_COUNTRY:
    case TYPE_SUBDIVISION:
    case TYPE_LANGUAGE:
        fits = accepts_text(field->type, cbor_read_text(&in));
        break;
    case TYPE_CODE:
        fits = value_of(codebook, field, cbor_read_uint(&in)) != NULL;
        break;
    case TYPE_BOOL:
        (void)cbor_read_bool(&in);
        fits = true;
        break;
    case TYPE_INTEGER:
        (void)cbor_read_int(&in);
        fits = true;
        break;
    case TYPE_RANGE:
        if (cbor_read_array(&in) == 2) {
            uint64_t least = cbor_read_uint(&in);
            uint64_t most = cbor_read_uint(&in);
            fits = least <= most && most <= INT64_MAX;
        }
        break;
    case TYPE_LOCALISED:
        if (cbor_read_array(&in) == 2) {
            bool named = is_language(cbor_read_text(&in));
            fits = text_fits(cbor_read_text(&in), true) && named;
        }
        break;
    case TYPE_RECORD:
    case TYPE_ACTOR:
    case TYPE_BLOB:
    case TYPE_ELEMENT:
    case TYPE_FILE_KEY:
        fits = cbor_read_bytes(&in).size == type_bytes(field->type);
        break;
    }
    return fits && cbor_done(&in);
}

int64_t
codebook_rank(const struct codebook *codebook, const struct codebook_field *field, struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    if (!codebook_accepts(codebook, field, cbor)) {
        return INT64_MIN;
    }
    switch (field->type) {
    case TYPE_CODE:
        return (int64_t)value_of(codebook, field, cbor_read_uint(&in))->rank;
    case TYPE_BOOL:
        return cbor_read_bool(&in) ? 1 : 0;
    case TYPE_INTEGER:
        return cbor_read_int(&in);
    default:
        return INT64_MIN;
    }
}

/* --- What people type and see ----------------------------------------------- */

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n';
}

static struct span
trimmed(struct span text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = span_of(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

static bool
is_word(struct span text, const char *word)
{
    return span_equal(text, span_text(word));
}

/* Decimal digits, at most INT64_MAX. */
static bool
parse_number(struct span text, uint64_t *out)
{
    uint64_t number = 0;

    if (text.size == 0 || text.size > 19 || !all_between(text, '0', '9')) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        number = 10 * number + (uint64_t)(text.data[i] - '0');
    }
    *out = number;
    return number <= INT64_MAX;
}

/* Each appends the value, or says why there is none. */
static const char *
parse_code(const struct codebook *codebook, const struct codebook_field *field, struct span text,
           struct buf *out)
{
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(codebook, field->vocabulary);

    for (size_t i = 0; vocabulary != NULL && i < vocabulary->value_count; i++) {
        if (is_word(text, vocabulary->values[i].name)) {
            cbor_put_uint(out, vocabulary->values[i].number);
            return NULL;
        }
    }
    return "this is none of the values of the field's vocabulary";
}

static const char *
parse_bool(struct span text, struct buf *out)
{
    bool yes = is_word(text, "yes") || is_word(text, "true");

    if (!yes && !is_word(text, "no") && !is_word(text, "false")) {
        return "write yes or no";
    }
    cbor_put_bool(out, yes);
    return NULL;
}

static const char *
parse_integer(struct span text, struct buf *out)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t number = 0;

    if (negative) {
        text = span_of(text.data + 1, text.size - 1);
    }
    if (!parse_number(text, &number)) {
        return "write a whole number";
    }
    cbor_put_int(out, negative ? -(int64_t)number : (int64_t)number);
    return NULL;
}

static const char *
parse_range(struct span text, struct buf *out)
{
    const uint8_t *hyphen = text.size == 0 ? NULL : memchr(text.data, '-', text.size);
    struct span first = text;
    struct span second = text;
    uint64_t least = 0;
    uint64_t most = 0;

    if (hyphen != NULL) {
        first = trimmed(span_of(text.data, (size_t)(hyphen - text.data)));
        second = trimmed(span_of(hyphen + 1, text.size - (size_t)(hyphen - text.data) - 1));
    }
    if (!parse_number(first, &least) || !parse_number(second, &most) || least > most) {
        return "write a number, or the least and the most: 3-5";
    }
    cbor_put_array(out, 2);
    cbor_put_uint(out, least);
    cbor_put_uint(out, most);
    return NULL;
}

static const char *
parse_country(struct span text, struct buf *out)
{
    uint8_t upper[COUNTRY_BYTES];

    if (text.size == COUNTRY_BYTES) {
        for (size_t i = 0; i < COUNTRY_BYTES; i++) {
            bool lower = text.data[i] >= 'a' && text.data[i] <= 'z';
            upper[i] = (uint8_t)(lower ? text.data[i] - 'a' + 'A' : text.data[i]);
        }
        if (is_country(span_of(upper, sizeof upper))) {
            cbor_put_text(out, span_of(upper, sizeof upper));
            return NULL;
        }
    }
    return "write a country as three letters of ISO 3166-1: KEN";
}

static const char *
parse_localised(struct span text, struct buf *out)
{
    const char *why = "write a language of ISO 639-3, a colon and the text: eng: Released";

    if (text.size <= LANGUAGE_BYTES || text.data[LANGUAGE_BYTES] != ':' ||
        !is_language(span_of(text.data, LANGUAGE_BYTES))) {
        return why;
    }
    size_t skip = LANGUAGE_BYTES + 1;
    if (text.size > skip && text.data[skip] == ' ') {
        skip++;
    }
    if (!utf8_valid(text) || !text_fits(span_of(text.data + skip, text.size - skip), true)) {
        return why;
    }
    cbor_put_array(out, 2);
    cbor_put_text(out, span_of(text.data, LANGUAGE_BYTES));
    cbor_put_text(out, span_of(text.data + skip, text.size - skip));
    return NULL;
}

static const char *
parse_hex(size_t size, const char *text, struct buf *out)
{
    uint8_t bytes[HASH_BYTES];

    assert(size <= sizeof bytes);
    if (!bytes_from_hex(bytes, size, text)) {
        return "write an id in hexadecimal digits, whole";
    }
    cbor_put_bytes(out, span_of(bytes, size));
    return NULL;
}

static const char *
parse_text(enum codebook_type type, struct span text, struct buf *out)
{
    if (utf8_valid(text) && accepts_text(type, text)) {
        cbor_put_text(out, text);
        return NULL;
    }
    switch (type) {
    case TYPE_DATE:
        return "write a date as 2019, 2019-03, 2019-03-14, 2019-03~ or 2019-03/2019-05";
    case TYPE_SUBDIVISION:
        return "write an area as in ISO 3166-2: KE-30";
    case TYPE_LANGUAGE:
        return "write a language as three letters of ISO 639-3: eng";
    case TYPE_LONG_TEXT:
        return "write text of 1 to 30,000 bytes, in UTF-8 and without control characters";
    default:
        return "write one line of 1 to 4,096 bytes, in UTF-8, without control characters or those that turn "
               "text around";
    }
}

enum err
codebook_parse(const struct codebook *codebook, const struct codebook_field *field, const char *text,
               struct buf *cbor_out, const char **why_out)
{
    struct span whole = span_text(text);
    struct span word = trimmed(whole);
    const char *why = NULL;

    switch (field->type) {
    case TYPE_TEXT:
    case TYPE_LONG_TEXT:
        why = parse_text(field->type, whole, cbor_out);
        break;
    case TYPE_DATE:
    case TYPE_SUBDIVISION:
    case TYPE_LANGUAGE:
        why = parse_text(field->type, word, cbor_out);
        break;
    case TYPE_COUNTRY:
        why = parse_country(word, cbor_out);
        break;
    case TYPE_CODE:
        why = parse_code(codebook, field, word, cbor_out);
        break;
    case TYPE_BOOL:
        why = parse_bool(word, cbor_out);
        break;
    case TYPE_INTEGER:
        why = parse_integer(word, cbor_out);
        break;
    case TYPE_RANGE:
        why = parse_range(word, cbor_out);
        break;
    case TYPE_LOCALISED:
        why = parse_localised(whole, cbor_out);
        break;
    case TYPE_RECORD:
    case TYPE_ACTOR:
    case TYPE_BLOB:
    case TYPE_ELEMENT:
        why = parse_hex(type_bytes(field->type), text, cbor_out);
        break;
    case TYPE_FILE_KEY:
        why = "the node draws the key of a file when it takes the file in";
        break;
    }
    if (why_out != NULL) {
        *why_out = why;
    }
    if (why != NULL) {
        return ERR_INVALID;
    }
    return cbor_out->failed ? ERR_MEMORY : ERR_OK;
}

/* Text that a stranger may have written: a terminal must not obey it. */
static void
print_text(struct span text, bool is_long, struct buf *out)
{
    size_t at = 0;

    while (at < text.size) {
        bool layout = is_long && (text.data[at] == '\n' || text.data[at] == '\t');
        size_t control = layout ? 0 : control_bytes(span_of(text.data + at, text.size - at));
        if (control == 0) {
            buf_put_u8(out, text.data[at++]);
        } else {
            buf_put_text(out, "\xef\xbf\xbd");
            at += control;
        }
    }
}

static void
print_hex(struct span bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.size; i++) {
        buf_printf(out, "%02x", bytes.data[i]);
    }
}

/* A value that the field does not accept, on one line. */
static void
print_other(struct span cbor, struct buf *out)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    if (!cbor_valid(cbor)) {
        buf_put_text(out, "?");
        print_hex(cbor, out);
        return;
    }
    switch (cbor_peek(&in)) {
    case CBOR_TEXT:
        print_text(cbor_read_text(&in), false, out);
        break;
    case CBOR_UINT:
        buf_printf(out, "%llu", (unsigned long long)cbor_read_uint(&in));
        break;
    default:
        buf_put_text(out, "?");
        print_hex(cbor, out);
        break;
    }
}

void
codebook_print(const struct codebook *codebook, const struct codebook_field *field, struct span cbor,
               struct buf *text_out)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    if (!codebook_accepts(codebook, field, cbor)) {
        if (field->type == TYPE_FILE_KEY) {
            /* What was meant to be a key may hold one. */
            buf_put_text(text_out, "?no key of a file");
        } else {
            print_other(cbor, text_out);
        }
        return;
    }
    switch (field->type) {
    case TYPE_TEXT:
    case TYPE_LONG_TEXT:
    case TYPE_DATE:
    case TYPE_COUNTRY:
    case TYPE_SUBDIVISION:
    case TYPE_LANGUAGE:
        buf_put_span(text_out, cbor_read_text(&in));
        break;
    case TYPE_CODE:
        buf_put_text(text_out, value_of(codebook, field, cbor_read_uint(&in))->name);
        break;
    case TYPE_BOOL:
        buf_put_text(text_out, cbor_read_bool(&in) ? "yes" : "no");
        break;
    case TYPE_INTEGER:
        buf_printf(text_out, "%lld", (long long)cbor_read_int(&in));
        break;
    case TYPE_RANGE: {
        (void)cbor_read_array(&in);
        unsigned long long least = cbor_read_uint(&in);
        unsigned long long most = cbor_read_uint(&in);
        buf_printf(text_out, "%llu", least);
        if (most != least) {
            buf_printf(text_out, "-%llu", most);
        }
        break;
    }
    case TYPE_LOCALISED:
        (void)cbor_read_array(&in);
        buf_put_span(text_out, cbor_read_text(&in));
        buf_put_text(text_out, ": ");
        buf_put_span(text_out, cbor_read_text(&in));
        break;
    case TYPE_RECORD:
    case TYPE_ACTOR:
    case TYPE_BLOB:
    case TYPE_ELEMENT:
        print_hex(cbor_read_bytes(&in), text_out);
        break;
    case TYPE_FILE_KEY:
        buf_put_text(text_out, "sha256:");
        print_hex(span_of(cbor_read_bytes(&in).data + KEY_BYTES, HASH_BYTES), text_out);
        break;
    }
}

/* --- The index -------------------------------------------------------------- */

static void
put_months(struct span text, struct buf *out)
{
    struct edtf_month months[EDTF_MONTHS_MAX];
    struct edtf date;
    size_t count = edtf_parse(&date, text) ? edtf_months(&date, months) : 0;

    cbor_put_array(out, count);
    for (size_t i = 0; i < count; i++) {
        cbor_put_text(out, span_text(months[i].text));
    }
}

void
codebook_tokens(const struct codebook *codebook, const struct codebook_field *field, struct span cbor,
                struct buf *tokens_out)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    bool indexed = (field->flags & FIELD_INDEXED) != 0 && codebook_accepts(codebook, field, cbor);

    switch (indexed ? field->type : TYPE_TEXT) {
    case TYPE_CODE:
    case TYPE_BOOL:
    case TYPE_COUNTRY:
    case TYPE_SUBDIVISION:
    case TYPE_RECORD:
        cbor_put_array(tokens_out, 1);
        buf_put_span(tokens_out, cbor);
        break;
    case TYPE_DATE:
        put_months(cbor_read_text(&in), tokens_out);
        break;
    default:
        cbor_put_array(tokens_out, 0);
        break;
    }
}
