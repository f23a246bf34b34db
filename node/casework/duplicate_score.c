#include "node/casework/duplicate_score.h"

#include "store/base/cbor.h"
#include "store/base/crypto.h"
#include "store/edtf.h"

#include <stdlib.h>
#include <string.h>

/* What each reason is worth. A person scores 100 whose name, gender, year of birth, nationality and act are the same;
 * a case, of whose one act person, kind, day and place are. */
enum {
    NAME_WHOLE = 50,
    NAME_ONLY = 35,
    NAME_PARTS = 35,
    NAME_PART = 20,
    NAME_LETTERS = 5,
    GENDER_SAME = 5,
    BIRTH_SAME = 15,
    BIRTH_NEAR = 5,
    AGE_SAME = 5,
    NATION_SAME = 5,
    CASES_ACT = DUPLICATE_CASES_POINTS,
    CASES_MONTH = 8,
    CASES_COUNTRY = 4,
    PERSON_ONE = 40,
    ACT_SAME = 20,
    MONTH_SAME = 10,
    DAY_SAME = 15,
    AREA_SAME = 15,
    PERPETRATOR_SAME = 5,
    COOPERATION_SAME = 5,
};

/* Without a key in common two persons share at most one part of a name. If it is one among several, they have not one year of birth
 * either; if it is all that both are called by, neither that nor an act. Two cases have not one act, day and place. */
_Static_assert((int)GENDER_SAME + BIRTH_SAME + NATION_SAME + CASES_ACT < DUPLICATE_THRESHOLD,
               "persons without a name in common would need a key");
_Static_assert((int)NAME_PART + GENDER_SAME + BIRTH_NEAR + NATION_SAME + CASES_ACT < DUPLICATE_THRESHOLD &&
                   (int)NAME_PART + GENDER_SAME + AGE_SAME + NATION_SAME + CASES_ACT < DUPLICATE_THRESHOLD,
               "one part of a name would need a key of its own");
_Static_assert((int)NAME_ONLY + GENDER_SAME + BIRTH_NEAR + NATION_SAME + CASES_MONTH < DUPLICATE_THRESHOLD &&
                   (int)NAME_ONLY + GENDER_SAME + AGE_SAME + NATION_SAME + CASES_MONTH < DUPLICATE_THRESHOLD,
               "the only part of a name would need a key of its own");
_Static_assert((int)ACT_SAME + DAY_SAME + PERPETRATOR_SAME + COOPERATION_SAME < DUPLICATE_THRESHOLD &&
                   (int)ACT_SAME + AREA_SAME + PERPETRATOR_SAME + COOPERATION_SAME < DUPLICATE_THRESHOLD &&
                   (int)MONTH_SAME + DAY_SAME + AREA_SAME + PERPETRATOR_SAME + COOPERATION_SAME <
                       DUPLICATE_THRESHOLD,
               "cases of one act would need a key for its day alone, or its place");

/* Points are counted in a table of 100. */
_Static_assert((int)NAME_WHOLE + NAME_LETTERS + GENDER_SAME + BIRTH_SAME + NATION_SAME + CASES_ACT <=
                       DUPLICATE_POINTS_MAX &&
                   (int)PERSON_ONE + ACT_SAME + DAY_SAME + AREA_SAME + PERPETRATOR_SAME + COOPERATION_SAME <=
                       DUPLICATE_POINTS_MAX,
               "a score is at most 100");

const struct duplicate_rule_text duplicate_rules[DUPLICATE_RULE_COUNT] = {
    [DUPLICATE_NAME_WHOLE] = { "name_whole", NAME_WHOLE, "all parts of the shorter name are in the other" },
    [DUPLICATE_NAME_ONLY] = { "name_only", NAME_ONLY, "the one name that each goes by is the same" },
    [DUPLICATE_NAME_PARTS] = { "name_parts", NAME_PARTS, "several parts of their names are the same" },
    [DUPLICATE_NAME_PART] = { "name_part", NAME_PART, "one part of their names is the same" },
    [DUPLICATE_NAME_LETTERS] = { "name_letters", NAME_LETTERS, "and the names have the same letters" },
    [DUPLICATE_GENDER_SAME] = { "gender_same", GENDER_SAME, "the same gender" },
    [DUPLICATE_GENDER_OTHER] = { "gender_other", -30, "another gender" },
    [DUPLICATE_UNIT_OTHER] = { "counting_unit_other", -30, "one is a person, the other a group" },
    [DUPLICATE_BIRTH_SAME] = { "birth_same", BIRTH_SAME, "the same year of birth" },
    [DUPLICATE_BIRTH_NEAR] = { "birth_near", BIRTH_NEAR, "born within a year" },
    [DUPLICATE_BIRTH_OTHER] = { "birth_other", -25, "born years apart" },
    [DUPLICATE_AGE_SAME] = { "age_same", AGE_SAME, "the same age group" },
    [DUPLICATE_AGE_OTHER] = { "age_other", -10, "another age group" },
    [DUPLICATE_NATION_SAME] = { "country_same", NATION_SAME,
                                "a nationality or country of residence in common" },
    [DUPLICATE_CASES_ACT] = { "cases_act", CASES_ACT,
                              "their cases have a country, a month and a kind of act in common" },
    [DUPLICATE_CASES_MONTH] = { "cases_month", CASES_MONTH,
                                "their cases have a country and a month in common" },
    [DUPLICATE_CASES_COUNTRY] = { "cases_country", CASES_COUNTRY, "their cases have a country in common" },
    [DUPLICATE_CASE_ONE] = { "case_one", -20, "one case names both, as two" },
    [DUPLICATE_PERSON_ONE] = { "person_one", PERSON_ONE, "both name one person" },
    [DUPLICATE_PERSON_ALIKE] = { "person_alike", 30, "they name persons who may be one" },
    [DUPLICATE_PERSONS_OTHER] = { "persons_other", -20, "both name persons, and none is alike" },
    [DUPLICATE_ACT_SAME] = { "act_same", ACT_SAME, "a kind of act in one country and month" },
    [DUPLICATE_MONTH_SAME] = { "month_same", MONTH_SAME, "acts in one country and month" },
    [DUPLICATE_COUNTRY_SAME] = { "country_same", 5, "acts in one country" },
    [DUPLICATE_TIME_APART] = { "time_apart", -20, "no month in common" },
    [DUPLICATE_DAY_SAME] = { "day_same", DAY_SAME, "and on one day" },
    [DUPLICATE_AREA_SAME] = { "area_same", AREA_SAME, "and in one area" },
    [DUPLICATE_PERPETRATOR_SAME] = { "perpetrator_same", PERPETRATOR_SAME,
                                     "a type of perpetrator in common" },
    [DUPLICATE_COOPERATION_SAME] = { "cooperation_same", COOPERATION_SAME,
                                     "cooperation with one part of the UN" },
};

enum {
    ACTS_MAX = 32, /* of a case that are looked at */
    READINGS_MAX = 16,
    PARTS_MAX = 8,        /* of one reading of a name */
    BIRTH_YEARS_MAX = 10, /* a longer span says too little */
    MONTH_DAYS = 31,
    YEAR_MONTHS = 12,
    SHORT_DAYS = 2, /* an act is of one day if it may have been on these and the one before */
};

/* --- hashes --- */

struct duplicate_maker {
    struct search_words *words;
    uint8_t hash_key[16];
    const struct codebook *codebook; /* whose numbers these are, by where it is and its version */
    uint32_t version;
    uint32_t kind_person;
    uint32_t kind_case;
    uint32_t individual;       /* the counting unit of one person */
    uint32_t person_fields[8]; /* by enum person_field and so on */
    uint32_t case_fields[9];
    /* Facts under work. */
    struct buf parts;
    struct buf readings;
    struct buf countries;
    struct buf acts;
    struct buf persons;
    struct buf said;
};

enum person_field {
    PERSON_GENDER,
    PERSON_AGE,
    PERSON_UNIT,
    PERSON_BIRTH,
    PERSON_NAME,
    PERSON_NATION,
    PERSON_RESIDENCE
};
enum case_field {
    CASE_COUNTRY,
    CASE_PERSON,
    CASE_TYPE,
    CASE_FROM,
    CASE_TO,
    CASE_AREA,
    CASE_PERPETRATOR,
    CASE_ACTOR,
};

static const char *const person_names[] = { "gender",    "age_group",   "counting_unit",        "birth_date",
                                            "name.text", "nationality", "country_of_residence", NULL };
static const char *const case_names[] = { "country_of_act",         "victim.person",        "act.type_of_act",
                                          "act.date_from",          "act.date_to",          "act.admin_area",
                                          "perpetrator.actor_type", "cooperation.un_actor", NULL };

uint64_t
duplicate_hash(const struct duplicate_maker *maker, char what, struct span bytes)
{
    uint8_t message[1 + SEARCH_NAME_BYTES] = { (uint8_t)what };
    uint8_t hash[ROW_TAG_BYTES];
    size_t size = bytes.size < SEARCH_NAME_BYTES ? bytes.size : SEARCH_NAME_BYTES;

    if (size > 0) {
        memcpy(message + 1, bytes.data, size);
    }
    crypto_short_hash(hash, maker->hash_key, span_of(message, 1 + size));
    explicit_bzero(message, sizeof message);
    return bytes_read_u64(hash);
}

enum err
duplicate_maker_new(struct duplicate_maker **maker_out, const uint8_t hash_key[16])
{
    struct duplicate_maker *maker = calloc(1, sizeof *maker);

    *maker_out = NULL;
    if (maker == NULL) {
        return ERR_MEMORY;
    }
    memcpy(maker->hash_key, hash_key, sizeof maker->hash_key);
    enum err err = search_words_open(&maker->words);
    if (err != ERR_OK) {
        duplicate_maker_free(&maker);
        return err;
    }
    *maker_out = maker;
    return ERR_OK;
}

void
duplicate_maker_free(struct duplicate_maker **maker_in)
{
    struct duplicate_maker *maker = *maker_in;

    if (maker == NULL) {
        return;
    }
    search_words_close(&maker->words);
    struct buf *const bufs[] = { &maker->parts, &maker->readings, &maker->countries,
                                 &maker->acts,  &maker->persons,  &maker->said };
    for (size_t n = 0; n < sizeof bufs / sizeof bufs[0]; n++) {
        buf_wipe(bufs[n]);
    }
    explicit_bzero(maker, sizeof *maker);
    free(maker);
    *maker_in = NULL;
}

/* --- names --- */

struct hearing {
    struct duplicate_maker *maker;
    struct duplicate_part *parts;
    size_t room;
    size_t count;
    uint8_t counts[SEARCH_READINGS_MAX]; /* of each reading */
};

static void
hear_part(void *self, struct span word, unsigned reading)
{
    struct hearing *hearing = self;
    struct search_name name;

    search_words_name(hearing->maker->words, word, &name);
    if (name.latin[0] != '\0' && hearing->count < hearing->room && hearing->counts[reading] < PARTS_MAX) {
        hearing->parts[hearing->count] = (struct duplicate_part){
            .latin = duplicate_hash(hearing->maker, 'l', span_text(name.latin)),
            .sound = duplicate_hash(hearing->maker, 's', span_text(name.consonants)),
            .weak = name.skeleton[0] == '\0',
        };
        hearing->count++;
        hearing->counts[reading]++;
    }
    explicit_bzero(&name, sizeof name);
}

static struct hearing
hear_name(struct duplicate_maker *maker, struct span name, struct duplicate_part *parts, size_t room)
{
    struct hearing hearing = { .maker = maker, .parts = parts, .room = room };

    search_words_parts(maker->words, name, hear_part, &hearing);
    return hearing;
}

size_t
duplicate_parts(struct duplicate_maker *maker, struct span name, struct duplicate_part *parts_out,
                size_t room)
{
    return hear_name(maker, name, parts_out, room).count;
}

/* --- facts of a view --- */

static uint32_t
field_number(const struct codebook *codebook, uint32_t kind, const char *name)
{
    const struct codebook_field *field = codebook_field_by_name(codebook, kind, name);

    return field == NULL ? 0 : field->number;
}

/* Each record asks, and a codebook has hundreds of names: they are looked up once. */
static void
know_codebook(struct duplicate_maker *maker, const struct codebook *codebook)
{
    const struct codebook_kind *person = codebook_kind_by_name(codebook, "person");
    const struct codebook_kind *of_case = codebook_kind_by_name(codebook, "case");

    if (maker->codebook == codebook && maker->version == codebook->version) {
        return;
    }
    maker->codebook = codebook;
    maker->version = codebook->version;
    maker->kind_person = person == NULL ? 0 : person->number;
    maker->kind_case = of_case == NULL ? 0 : of_case->number;
    const struct codebook_field *unit = codebook_field_by_name(codebook, maker->kind_person, "counting_unit");
    const struct codebook_value *individual =
        unit == NULL ? NULL
                     : codebook_value_by_name(codebook_vocabulary(codebook, unit->vocabulary), "individual");
    maker->individual = individual == NULL ? 0 : individual->number;
    for (size_t n = 0; person_names[n] != NULL; n++) {
        maker->person_fields[n] = field_number(codebook, maker->kind_person, person_names[n]);
    }
    for (size_t n = 0; case_names[n] != NULL; n++) {
        maker->case_fields[n] = field_number(codebook, maker->kind_case, case_names[n]);
    }
}

/* Where the field stands in a list of numbers that ends with 0; the end: it is not among them. */
static size_t
field_at(const uint32_t *fields, size_t count, const struct record_target *target)
{
    size_t at = 0;

    while (at < count && (target->field == NULL || fields[at] != target->field->number)) {
        at++;
    }
    return at;
}

/* A code that says something; 0: it does not, or is none. */
static uint32_t
code_read(const struct duplicate_maker *maker, const struct record_target *target, struct span cbor)
{
    static const char *const silent[] = { "unknown", "not_applicable", "other" };
    struct cbor_reader in = cbor_reader_of(cbor);
    uint64_t code = cbor_read_uint(&in);

    const struct codebook_value *value =
        cbor_done(&in) && code <= UINT32_MAX
            ? codebook_value(codebook_vocabulary(maker->codebook, target->field->vocabulary), (uint32_t)code)
            : NULL;
    for (size_t n = 0; value != NULL && n < sizeof silent / sizeof silent[0]; n++) {
        if (strcmp(value->name, silent[n]) == 0) {
            return 0;
        }
    }
    return value == NULL ? 0 : value->number;
}

/* The one code that is shown; 0: several, none, or one that says nothing. */
static uint32_t
code_of(const struct duplicate_maker *maker, const struct record_target *target)
{
    return target->shown_count == 1 ? code_read(maker, target, target->shown[0]) : 0;
}

/* The codes of a union that are shown, or the one of another field, as a set; those above 63 are left out. */
static uint64_t
codes_of(const struct duplicate_maker *maker, const struct record_target *target)
{
    bool several = target->field->policy == MERGE_UNION || target->shown_count == 1;
    uint64_t set = 0;

    for (size_t n = 0; several && n < target->shown_count; n++) {
        uint32_t code = code_read(maker, target, target->shown[n]);

        set |= code > 0 && code < 64 ? UINT64_C(1) << code : 0;
    }
    return set;
}

static struct span
text_at(const struct record_target *target, size_t n)
{
    struct cbor_reader in = cbor_reader_of(target->shown[n]);
    struct span text = cbor_read_text(&in);

    return cbor_done(&in) ? text : span_of(NULL, 0);
}

static bool
date_of(const struct record_target *target, struct edtf *out)
{
    return target->shown_count == 1 && edtf_parse(out, text_at(target, 0));
}

/* "2026-03-14" as a day of no calendar: see struct duplicate_act. */
static int32_t
day_number(const struct edtf_day *day)
{
    int year = atoi(day->text);
    int month = atoi(day->text + 5);

    return (year * YEAR_MONTHS + month - 1) * MONTH_DAYS + atoi(day->text + 8) - 1;
}

static int32_t
first_day(const struct edtf *date)
{
    struct edtf_day day;

    return edtf_earliest(date, &day) ? day_number(&day) : INT32_MIN;
}

static int32_t
last_day(const struct edtf *date)
{
    struct edtf_day day;

    return edtf_latest(date, &day) ? day_number(&day) : INT32_MAX;
}

static void
put_country(struct buf *countries, struct span text)
{
    uint32_t code = 0;

    for (size_t n = 0; n < text.size && text.size <= sizeof code; n++) {
        code = code << 8 | text.data[n];
    }
    if (code != 0) {
        buf_put(countries, &code, sizeof code);
    }
}

static void
put_countries(struct duplicate_maker *maker, const struct record_target *target)
{
    for (size_t n = 0; n < target->shown_count; n++) {
        put_country(&maker->countries, text_at(target, n));
    }
}

static bool
ident_of(struct span cbor, struct ident *out)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    cbor_read_exact(&in, out->bytes, sizeof out->bytes);
    return cbor_done(&in);
}

/* What it says of others. The elements are of every kind of record, and their numbers known. */
static void
put_said(struct duplicate_maker *maker, const struct record_target *target)
{
    struct duplicate_said said = { .same = target->target.collection == COLLECTION_SAME_AS };

    if (target->field == NULL ||
        (target->field->number != FIELD_SAME_AS && target->field->number != FIELD_NOT_SAME_AS)) {
        return;
    }
    for (size_t n = 0; n < target->shown_count; n++) {
        if (ident_of(target->shown[n], &said.record_id)) {
            buf_put(&maker->said, &said, sizeof said);
        }
    }
}

/* All live values, those in conflict among them: whichever is right, it may be the name. */
static void
put_names(struct duplicate_maker *maker, const struct record_target *target)
{
    struct duplicate_part parts[SEARCH_READINGS_MAX * PARTS_MAX];

    for (size_t n = 0; n < target->shown_count && maker->readings.size + SEARCH_READINGS_MAX <= READINGS_MAX;
         n++) {
        struct hearing hearing = hear_name(maker, text_at(target, n), parts, sizeof parts / sizeof parts[0]);

        buf_put(&maker->parts, parts, hearing.count * sizeof *parts);
        for (int reading = 0; reading < SEARCH_READINGS_MAX; reading++) {
            if (hearing.counts[reading] > 0) {
                buf_put_u8(&maker->readings, hearing.counts[reading]);
            }
        }
    }
    explicit_bzero(parts, sizeof parts);
}

static void
put_birth(struct duplicate_facts *facts, const struct record_target *target)
{
    struct edtf_day first;
    struct edtf_day last;
    struct edtf date;

    if (date_of(target, &date) && edtf_earliest(&date, &first) && edtf_latest(&date, &last) &&
        atoi(last.text) - atoi(first.text) < BIRTH_YEARS_MAX) {
        facts->birth_from = atoi(first.text);
        facts->birth_to = atoi(last.text);
    }
}

static void
read_person(struct duplicate_maker *maker, const struct record_view *half, struct duplicate_facts *facts)
{
    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        const struct record_target *target = &half->targets[n];

        switch (field_at(maker->person_fields, sizeof person_names / sizeof person_names[0] - 1, target)) {
        case PERSON_GENDER:
            facts->gender = code_of(maker, target);
            break;
        case PERSON_AGE:
            facts->age_group = code_of(maker, target);
            break;
        case PERSON_UNIT:
            facts->unit = code_of(maker, target) == 0                   ? 0
                          : code_of(maker, target) == maker->individual ? 1
                                                                        : 2;
            break;
        case PERSON_BIRTH:
            put_birth(facts, target);
            break;
        case PERSON_NAME:
            put_names(maker, target);
            break;
        case PERSON_NATION:
        case PERSON_RESIDENCE:
            put_countries(maker, target);
            break;
        default:
            put_said(maker, target);
            break;
        }
    }
}

/* --- facts of a case --- */

/* An act while its fields are read, which stand together. */
struct act_draft {
    uint8_t element[ELEMENT_ID_BYTES];
    struct duplicate_act act;
    bool has_from;
    bool has_to;
};

static void
put_act(struct duplicate_maker *maker, struct act_draft *draft)
{
    struct duplicate_act *act = &draft->act;

    if ((act->type != 0 || act->area != 0 || draft->has_from || draft->has_to) &&
        maker->acts.size < ACTS_MAX * sizeof *act) {
        act->dated = (draft->has_from || draft->has_to) && act->from <= act->to;
        buf_put(&maker->acts, act, sizeof *act);
    }
    *draft = (struct act_draft){ .act = { .from = INT32_MIN, .to = INT32_MAX } };
}

static void
take_dates(struct act_draft *draft, const struct record_target *target, bool from)
{
    struct edtf date;

    if (!date_of(target, &date)) {
        return;
    }
    if (from) {
        draft->act.from = first_day(&date);
        draft->act.to = draft->has_to ? draft->act.to : last_day(&date);
        draft->has_from = true;
    } else {
        draft->act.from = draft->has_from ? draft->act.from : first_day(&date);
        draft->act.to = last_day(&date);
        draft->has_to = true;
    }
}

static void
put_persons(struct duplicate_maker *maker, const struct record_target *target)
{
    struct ident person;

    for (size_t n = 0; n < target->shown_count; n++) {
        if (ident_of(target->shown[n], &person)) {
            buf_put(&maker->persons, &person, sizeof person);
        }
    }
}

static void
read_case(struct duplicate_maker *maker, const struct record_view *half, struct duplicate_facts *facts)
{
    struct act_draft draft = { .act = { .from = INT32_MIN, .to = INT32_MAX } };

    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        const struct record_target *target = &half->targets[n];
        size_t at = field_at(maker->case_fields, sizeof case_names / sizeof case_names[0] - 1, target);

        if (at >= CASE_TYPE && at <= CASE_AREA &&
            memcmp(draft.element, target->target.element, ELEMENT_ID_BYTES) != 0) {
            put_act(maker, &draft);
            memcpy(draft.element, target->target.element, ELEMENT_ID_BYTES);
        }
        switch (at) {
        case CASE_COUNTRY:
            put_countries(maker, target);
            break;
        case CASE_PERSON:
            put_persons(maker, target);
            break;
        case CASE_TYPE:
            draft.act.type = code_of(maker, target);
            break;
        case CASE_FROM:
        case CASE_TO:
            take_dates(&draft, target, at == CASE_FROM);
            break;
        case CASE_AREA:
            draft.act.area =
                target->shown_count == 1 ? (uint32_t)duplicate_hash(maker, 'a', text_at(target, 0)) | 1 : 0;
            break;
        case CASE_PERPETRATOR:
            facts->perpetrators |= codes_of(maker, target);
            break;
        case CASE_ACTOR:
            facts->cooperation |= codes_of(maker, target);
            break;
        default:
            put_said(maker, target);
            break;
        }
    }
    put_act(maker, &draft);
}

/* --- both --- */

static size_t
round_up(size_t size)
{
    return (size + 7) / 8 * 8;
}

/* The array is put behind the facts; gives the place behind it. */
static uint8_t *
pack(uint8_t *at, const struct buf *array, const void **array_out)
{
    *array_out = at;
    if (array->size > 0) {
        memcpy(at, array->data, array->size);
    }
    return at + round_up(array->size);
}

static int
country_order(const void *a, const void *b)
{
    const uint32_t *left = a;
    const uint32_t *right = b;

    return (*left > *right) - (*left < *right);
}

/* One block: the facts, and their arrays behind them. */
static struct duplicate_facts *
pack_facts(struct duplicate_maker *maker, const struct duplicate_facts *from)
{
    const struct buf *const bufs[] = { &maker->parts, &maker->readings, &maker->countries,
                                       &maker->acts,  &maker->persons,  &maker->said };
    size_t size = round_up(sizeof *from);
    bool failed = false;

    for (size_t n = 0; n < sizeof bufs / sizeof bufs[0]; n++) {
        size += round_up(bufs[n]->size);
        failed = failed || bufs[n]->failed;
    }
    struct duplicate_facts *facts = failed ? NULL : malloc(size);
    if (facts == NULL) {
        return NULL;
    }
    *facts = *from;
    uint8_t *at = (uint8_t *)facts + round_up(sizeof *facts);
    at = pack(at, &maker->parts, (const void **)&facts->parts);
    at = pack(at, &maker->countries, (const void **)&facts->countries);
    at = pack(at, &maker->acts, (const void **)&facts->acts);
    at = pack(at, &maker->persons, (const void **)&facts->persons);
    at = pack(at, &maker->said, (const void **)&facts->said);
    (void)pack(at, &maker->readings, (const void **)&facts->readings);
    facts->part_count = maker->parts.size / sizeof *facts->parts;
    facts->reading_count = maker->readings.size;
    facts->country_count = maker->countries.size / sizeof *facts->countries;
    facts->act_count = maker->acts.size / sizeof *facts->acts;
    facts->person_count = maker->persons.size / sizeof *facts->persons;
    facts->said_count = maker->said.size / sizeof *facts->said;
    return facts;
}

enum err
duplicate_facts_read(struct duplicate_maker *maker, const struct codebook *codebook,
                     const struct replica_view *view, struct duplicate_facts **facts_out)
{
    struct buf *const bufs[] = { &maker->parts, &maker->readings, &maker->countries,
                                 &maker->acts,  &maker->persons,  &maker->said };
    struct duplicate_facts facts = { .birth_from = -1, .birth_to = -1 };
    const struct record_view *const halves[2] = { view->open, view->protected_half };
    uint32_t kind = view->open != NULL && view->open->kind != 0 ? view->open->kind
                    : view->protected_half != NULL              ? view->protected_half->kind
                                                                : 0;

    *facts_out = NULL;
    know_codebook(maker, codebook);
    if (kind == 0 || (kind != maker->kind_person && kind != maker->kind_case)) {
        return ERR_OK;
    }
    facts.person = kind == maker->kind_person;
    for (size_t n = 0; n < sizeof bufs / sizeof bufs[0]; n++) {
        buf_clear(bufs[n]);
    }
    for (int n = 0; n < 2; n++) {
        if (facts.person) {
            read_person(maker, halves[n], &facts);
        } else {
            read_case(maker, halves[n], &facts);
        }
    }
    if (maker->countries.size > 0) {
        qsort(maker->countries.data, maker->countries.size / sizeof(uint32_t), sizeof(uint32_t),
              country_order);
    }
    *facts_out = pack_facts(maker, &facts);
    return *facts_out == NULL ? ERR_MEMORY : ERR_OK;
}

size_t
duplicate_facts_bytes(const struct duplicate_facts *facts)
{
    return round_up(sizeof *facts) + facts->part_count * sizeof *facts->parts +
           round_up(facts->country_count * sizeof *facts->countries) +
           round_up(facts->act_count * sizeof *facts->acts) +
           round_up(facts->person_count * sizeof *facts->persons) +
           round_up(facts->said_count * sizeof *facts->said) + round_up(facts->reading_count);
}

void
duplicate_facts_free(struct duplicate_facts **facts_in)
{
    if (*facts_in != NULL) {
        explicit_bzero(*facts_in, duplicate_facts_bytes(*facts_in));
        free(*facts_in);
        *facts_in = NULL;
    }
}

/* --- names that sound alike --- */

/* One reading of a name. */
struct reading {
    const struct duplicate_part *parts;
    size_t count;
};

/* How two readings match. */
struct match {
    size_t count;
    bool letters; /* each in the same letters */
    uint64_t sounds[PARTS_MAX];
};

enum likeness { LIKE_LETTERS, LIKE_SOUND, LIKE_WEAK, LIKE_COUNT };

static bool
is_like(const struct duplicate_part *a, const struct duplicate_part *b, enum likeness likeness)
{
    switch (likeness) {
    case LIKE_LETTERS:
        return a->latin == b->latin;
    case LIKE_SOUND:
        return a->sound == b->sound && !a->weak;
    default:
        return a->sound == b->sound;
    }
}

/* Each part with one of the other: what has the same letters first; what sounds alike; and beside these, what sounds alike
 * and is too short to say so alone. */
static void
match_readings(const struct reading *a, const struct reading *b, struct match *out)
{
    bool taken_a[PARTS_MAX] = { false };
    bool taken_b[PARTS_MAX] = { false };

    *out = (struct match){ .letters = true };
    for (int likeness = LIKE_LETTERS; likeness < LIKE_COUNT; likeness++) {
        if (likeness == LIKE_WEAK && out->count == 0) {
            return;
        }
        for (size_t i = 0; i < a->count; i++) {
            for (size_t j = 0; j < b->count && !taken_a[i]; j++) {
                if (!taken_b[j] && is_like(&a->parts[i], &b->parts[j], (enum likeness)likeness)) {
                    taken_a[i] = true;
                    taken_b[j] = true;
                    out->letters = out->letters && likeness == LIKE_LETTERS;
                    out->sounds[out->count] = a->parts[i].sound;
                    out->count++;
                }
            }
        }
    }
}

/* What the match is worth, as a rule; DUPLICATE_RULE_COUNT: nothing. */
static enum duplicate_rule
rule_of_match(const struct reading *a, const struct reading *b, const struct match *match)
{
    size_t shorter = a->count < b->count ? a->count : b->count;

    if (match->count == 0) {
        return DUPLICATE_RULE_COUNT;
    }
    if (match->count == 1) {
        return a->count == 1 && b->count == 1 ? DUPLICATE_NAME_ONLY : DUPLICATE_NAME_PART;
    }
    return match->count == shorter ? DUPLICATE_NAME_WHOLE : DUPLICATE_NAME_PARTS;
}

/* --- scores --- */

static void
add_reason(struct duplicate_score *score, enum duplicate_rule rule)
{
    if (score->reason_count < DUPLICATE_REASONS_MAX) {
        score->reasons[score->reason_count] = rule;
        score->reason_count++;
        score->points += duplicate_rules[rule].points;
    }
}

static void
end_score(struct duplicate_score *score)
{
    score->points = score->points < 0 ? 0 : score->points;
}

/* The best of all pairs of their names. */
static void
score_names(const struct duplicate_facts *a, const struct duplicate_facts *b, struct duplicate_score *out)
{
    enum duplicate_rule best = DUPLICATE_RULE_COUNT;
    int best_points = 0;
    bool letters = false;
    struct reading one = { a->parts, 0 };

    for (size_t i = 0; i < a->reading_count; i++) {
        struct reading other = { b->parts, 0 };

        one.count = a->readings[i];
        for (size_t j = 0; j < b->reading_count; j++) {
            struct match match;

            other.count = b->readings[j];
            match_readings(&one, &other, &match);
            enum duplicate_rule rule = rule_of_match(&one, &other, &match);
            bool alike = rule == DUPLICATE_NAME_WHOLE && match.letters;
            int points = rule == DUPLICATE_RULE_COUNT
                             ? 0
                             : duplicate_rules[rule].points + (alike ? (int)NAME_LETTERS : 0);
            if (points > best_points) {
                best = rule;
                best_points = points;
                letters = alike;
                memcpy(out->sounds, match.sounds, sizeof out->sounds);
                out->sound_count = match.count;
            }
            other.parts += other.count;
        }
        one.parts += one.count;
    }
    if (best != DUPLICATE_RULE_COUNT) {
        add_reason(out, best);
        if (letters) {
            add_reason(out, DUPLICATE_NAME_LETTERS);
        }
    }
}

/* The year of birth, where both have one; else the age group. */
static void
score_age(const struct duplicate_facts *a, const struct duplicate_facts *b, struct duplicate_score *out)
{
    if (a->birth_from >= 0 && b->birth_from >= 0) {
        if (a->birth_from <= b->birth_to && b->birth_from <= a->birth_to) {
            add_reason(out, DUPLICATE_BIRTH_SAME);
        } else if (a->birth_from <= b->birth_to + 1 && b->birth_from <= a->birth_to + 1) {
            add_reason(out, DUPLICATE_BIRTH_NEAR);
        } else {
            add_reason(out, DUPLICATE_BIRTH_OTHER);
        }
    } else if (a->age_group != 0 && b->age_group != 0) {
        add_reason(out, a->age_group == b->age_group ? DUPLICATE_AGE_SAME : DUPLICATE_AGE_OTHER);
    }
}

static bool
have_country(const struct duplicate_facts *a, const struct duplicate_facts *b)
{
    size_t i = 0;
    size_t j = 0;

    while (i < a->country_count && j < b->country_count) {
        if (a->countries[i] == b->countries[j]) {
            return true;
        }
        if (a->countries[i] < b->countries[j]) {
            i++;
        } else {
            j++;
        }
    }
    return false;
}

static int32_t
month_of(int32_t day)
{
    return day == INT32_MIN || day == INT32_MAX ? day : day / MONTH_DAYS;
}

static bool
have_month(const struct duplicate_act *a, const struct duplicate_act *b)
{
    return a->dated && b->dated && month_of(a->from) <= month_of(b->to) &&
           month_of(b->from) <= month_of(a->to);
}

/* Known to the day, or nearly. */
static bool
is_short(const struct duplicate_act *act)
{
    return act->dated && act->from != INT32_MIN && act->to != INT32_MAX && act->to - act->from <= SHORT_DAYS;
}

static bool
have_day(const struct duplicate_act *a, const struct duplicate_act *b)
{
    return is_short(a) && is_short(b) && a->from <= b->to && b->from <= a->to;
}

/* What the acts of two cases have in common, given that they are in one country. */
struct meeting {
    bool month;
    bool act; /* of one kind, in that month */
    bool day; /* of the pair that has most in common */
    bool area;
    bool apart; /* both are dated, and no two in one month */
};

static void
meet_acts(const struct duplicate_facts *a, const struct duplicate_facts *b, struct meeting *out)
{
    bool dated_a = false;
    bool dated_b = false;
    int best = 0;

    *out = (struct meeting){ .month = false };
    for (size_t i = 0; i < a->act_count; i++) {
        const struct duplicate_act *one = &a->acts[i];

        dated_a = dated_a || one->dated;
        for (size_t j = 0; j < b->act_count; j++) {
            const struct duplicate_act *other = &b->acts[j];

            dated_b = dated_b || other->dated;
            if (!have_month(one, other)) {
                continue;
            }
            struct meeting pair = { .month = true,
                                    .act = one->type != 0 && one->type == other->type,
                                    .day = have_day(one, other),
                                    .area = one->area != 0 && one->area == other->area };
            int points = 1 + (pair.act ? (int)ACT_SAME : 0) + (pair.day ? (int)DAY_SAME : 0) +
                         (pair.area ? (int)AREA_SAME : 0);
            if (points > best) {
                best = points;
                *out = pair;
            }
        }
    }
    out->apart = dated_a && dated_b && best == 0;
}

/* The best of all pairs of cases that name the one and the other. */
static void
score_their_cases(const struct duplicate_side *a, const struct duplicate_side *b, struct duplicate_score *out)
{
    enum duplicate_rule best = DUPLICATE_RULE_COUNT;
    bool one = false;

    for (size_t i = 0; i < a->case_count; i++) {
        for (size_t j = 0; j < b->case_count; j++) {
            struct meeting meeting;

            if (a->cases[i] == b->cases[j]) {
                one = true;
                continue;
            }
            if (!have_country(a->cases[i], b->cases[j])) {
                continue;
            }
            meet_acts(a->cases[i], b->cases[j], &meeting);
            enum duplicate_rule rule = meeting.act     ? DUPLICATE_CASES_ACT
                                       : meeting.month ? DUPLICATE_CASES_MONTH
                                                       : DUPLICATE_CASES_COUNTRY;
            best = rule < best ? rule : best; /* in order of their points */
        }
    }
    if (best != DUPLICATE_RULE_COUNT) {
        add_reason(out, best);
    }
    if (one) {
        add_reason(out, DUPLICATE_CASE_ONE);
    }
}

void
duplicate_score_alone(const struct duplicate_facts *a, const struct duplicate_facts *b,
                      struct duplicate_score *out)
{
    *out = (struct duplicate_score){ .points = 0 };
    score_names(a, b, out);
    if (a->gender != 0 && b->gender != 0) {
        add_reason(out, a->gender == b->gender ? DUPLICATE_GENDER_SAME : DUPLICATE_GENDER_OTHER);
    }
    if (a->unit != 0 && b->unit != 0 && a->unit != b->unit) {
        add_reason(out, DUPLICATE_UNIT_OTHER);
    }
    score_age(a, b, out);
    if (have_country(a, b)) {
        add_reason(out, DUPLICATE_NATION_SAME);
    }
}

void
duplicate_score_with_cases(const struct duplicate_side *a, const struct duplicate_side *b,
                           struct duplicate_score *score)
{
    score_their_cases(a, b, score);
    end_score(score);
}

void
duplicate_score_persons(const struct duplicate_side *a, const struct duplicate_side *b,
                        struct duplicate_score *out)
{
    duplicate_score_alone(a->facts, b->facts, out);
    duplicate_score_with_cases(a, b, out);
}

void
duplicate_score_cases(const struct duplicate_facts *a, const struct duplicate_facts *b,
                      enum duplicate_persons persons, struct duplicate_score *out)
{
    static const enum duplicate_rule of_persons[] = {
        [PERSONS_OTHER] = DUPLICATE_PERSONS_OTHER,
        [PERSONS_ALIKE] = DUPLICATE_PERSON_ALIKE,
        [PERSONS_ONE] = DUPLICATE_PERSON_ONE,
    };
    struct meeting meeting;

    *out = (struct duplicate_score){ .points = 0 };
    if (persons != PERSONS_UNKNOWN) {
        add_reason(out, of_persons[persons]);
    }
    meet_acts(a, b, &meeting);
    if (have_country(a, b)) {
        add_reason(out, meeting.act     ? DUPLICATE_ACT_SAME
                        : meeting.month ? DUPLICATE_MONTH_SAME
                                        : DUPLICATE_COUNTRY_SAME);
        if (meeting.day) {
            add_reason(out, DUPLICATE_DAY_SAME);
        }
        if (meeting.area) {
            add_reason(out, DUPLICATE_AREA_SAME);
        }
    }
    if (meeting.apart) {
        add_reason(out, DUPLICATE_TIME_APART);
    }
    if ((a->perpetrators & b->perpetrators) != 0) {
        add_reason(out, DUPLICATE_PERPETRATOR_SAME);
    }
    if ((a->cooperation & b->cooperation) != 0) {
        add_reason(out, DUPLICATE_COOPERATION_SAME);
    }
    end_score(out);
}

/* --- keys --- */

static uint64_t
key_of(const struct duplicate_maker *maker, char what, uint64_t a, uint64_t b, uint64_t c)
{
    uint8_t bytes[24];

    bytes_write_u64(bytes, a);
    bytes_write_u64(bytes + 8, b);
    bytes_write_u64(bytes + 16, c);
    return duplicate_hash(maker, what, span_of(bytes, sizeof bytes));
}

/* Two parts of a name together. */
static void
give_pairs(const struct duplicate_maker *maker, const struct reading *reading, duplicate_key *each,
           void *self)
{
    for (size_t i = 0; i < reading->count; i++) {
        for (size_t j = i + 1; j < reading->count; j++) {
            uint64_t a = reading->parts[i].sound;
            uint64_t b = reading->parts[j].sound;

            each(self, key_of(maker, '2', a < b ? a : b, a < b ? b : a, 0));
        }
    }
}

/* The only part of a name, with a country and a kind of act of a case. */
static void
give_acts(const struct duplicate_maker *maker, uint64_t sound, const struct duplicate_facts *of_case,
          duplicate_key *each, void *self)
{
    for (size_t country = 0; country < of_case->country_count; country++) {
        for (size_t act = 0; act < of_case->act_count; act++) {
            if (of_case->acts[act].type != 0 && of_case->acts[act].dated) {
                each(self, key_of(maker, '1', sound, of_case->countries[country], of_case->acts[act].type));
            }
        }
    }
}

static void
give_person_keys(const struct duplicate_maker *maker, const struct duplicate_side *side, duplicate_key *each,
                 void *self)
{
    const struct duplicate_facts *facts = side->facts;
    struct reading reading = { facts->parts, 0 };

    for (size_t n = 0; n < facts->reading_count; n++) {
        reading.count = facts->readings[n];
        give_pairs(maker, &reading, each, self);
        for (size_t part = 0; part < reading.count && facts->birth_from >= 0; part++) {
            for (int32_t year = facts->birth_from; year <= facts->birth_to; year++) {
                each(self, key_of(maker, 'b', reading.parts[part].sound, (uint64_t)year, 0));
            }
        }
        for (size_t of = 0; of < side->case_count && reading.count == 1; of++) {
            give_acts(maker, reading.parts[0].sound, side->cases[of], each, self);
        }
        reading.parts += reading.count;
    }
}

/* A kind of act in one country and area on one day. */
static void
give_case_keys(const struct duplicate_maker *maker, const struct duplicate_facts *facts, duplicate_key *each,
               void *self)
{
    for (size_t n = 0; n < facts->act_count; n++) {
        const struct duplicate_act *act = &facts->acts[n];

        for (int32_t day = act->from; is_short(act) && act->type != 0 && act->area != 0 && day <= act->to;
             day++) {
            for (size_t country = 0; country < facts->country_count; country++) {
                each(self, key_of(maker, 'd', (uint64_t)day, (uint64_t)act->area << 32 | act->type,
                                  facts->countries[country]));
            }
        }
    }
}

void
duplicate_keys(const struct duplicate_maker *maker, const struct duplicate_side *side, duplicate_key *each,
               void *self)
{
    if (side->facts->person) {
        give_person_keys(maker, side, each, self);
    } else {
        give_case_keys(maker, side->facts, each, self);
    }
}
