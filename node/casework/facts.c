#include "node/casework/facts.h"

#include "store/base/cbor.h"
#include "store/base/crypto.h"
#include "store/edtf.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIELDS_MAX = 1024,   /* numbers of fields that are looked up; what is above is counted in no table */
    RECORD_FACTS = 2048, /* of one record: more are left out, as no case is */
    NAMES_FIRST = 1024,
};

/* Where facts come from. */
static const struct source {
    const char *kind;
    const char *field;
    enum fact_what what;
} sources[] = {
    { "case", "status", FACT_STATUS },
    { "case", "verification", FACT_VERIFICATION },
    { "case", "transnational", FACT_TRANSNATIONAL },
    { "case", "reporting_window", FACT_OF_WINDOW },
    { "case", "country_of_act", FACT_HOST },
    { "case", "country_alleged_responsible", FACT_STATE },
    { "case", "source_ref", FACT_SOURCE },
    { "case", "earlier_report.symbol", FACT_EARLIER_REPORT },
    { "case", "victim.person", FACT_VICTIM },
    { "case", "victim.part", FACT_VICTIM_PART },
    { "case", "act.type_of_act", FACT_ACT_TYPE },
    { "case", "act.stage", FACT_ACT_STAGE },
    { "case", "act.date_from", FACT_ACT_DAY },
    { "case", "act.victim", FACT_ACT_VICTIM },
    { "case", "act.online", FACT_ACT_ONLINE },
    { "case", "act.legal_basis", FACT_ACT_BASIS },
    { "case", "perpetrator.actor_type", FACT_PERPETRATOR_TYPE },
    { "case", "perpetrator.state_or_non_state", FACT_PERPETRATOR_SIDE },
    { "case", "cooperation.un_actor", FACT_UN_ACTOR },
    { "case", "action.actor_side", FACT_ACTION_SIDE },
    { "case", "action.date", FACT_ACTION_DAY },
    { "case", "follow_up.window", FACT_FOLLOW_UP_WINDOW },
    { "case", "follow_up.new_development", FACT_DEVELOPMENT },
    { "case", "follow_up.next_review", FACT_NEXT_REVIEW },
    { "person", "counting_unit", FACT_UNIT },
    { "person", "number_of_persons", FACT_LEAST },
    { "person", "gender", FACT_GENDER },
    { "person", "age_group", FACT_AGE },
    { "person", "roles", FACT_ROLE },
    { "person", "current_situation", FACT_SITUATION },
    { "person", "consent.scope", FACT_CONSENT_SCOPE },
    { "person", "consent.decision", FACT_CONSENT_DECISION },
    { "person", "consent.valid_until", FACT_CONSENT_UNTIL },
    { "person", "consent.replaces", FACT_CONSENT_REPLACES },
    { "person", "same_as.record", FACT_SAME_AS },
    { "person", "not_same_as.record", FACT_NOT_SAME_AS },
    { "reporting_window", "from", FACT_FROM },
    { "reporting_window", "to", FACT_TO },
    { "count_stub", "reporting_window", FACT_OF_WINDOW },
    { "count_stub", "country", FACT_STUB_STATE },
    { "count_stub", "act_group", FACT_STUB_GROUP },
};

struct facts {
    bool asked;
    struct trail trail;
    int first_kind; /* of the first reading: the kind that is read; FACTS_KINDS: all are */
    uint32_t first_below;
    struct arena arena;
    const struct codebook *codebook;
    struct hash codebook_id;
    uint32_t codebook_version;
    uint64_t version;
    uint32_t kinds[FACTS_KINDS]; /* numbers in the codebook */
    uint32_t vocabularies[FACT_COUNT];
    bool has[FACT_COUNT];
    uint16_t whats[FIELDS_MAX];   /* by number of the field */
    struct fact_record **records; /* by record_no */
    uint32_t record_room;
    struct ident *names; /* names[0] stands for no record */
    uint32_t *places;    /* by name: record_no, 0: it is not here */
    uint32_t name_count;
    uint32_t name_room;
    uint32_t *slots; /* an open hash table of names; a power of two of them */
    uint32_t slot_count;
};

struct facts *
facts_new(void)
{
    struct facts *facts = calloc(1, sizeof *facts);

    if (facts != NULL) {
        facts->version = 1;
    }
    return facts;
}

static void
forget_records(struct facts *facts)
{
    for (uint32_t n = 0; n < facts->record_room; n++) {
        free(facts->records[n]);
    }
    free(facts->records);
    free(facts->names);
    free(facts->places);
    free(facts->slots);
    facts->records = NULL;
    facts->names = NULL;
    facts->places = NULL;
    facts->slots = NULL;
    facts->record_room = 0;
    facts->name_count = 0;
    facts->name_room = 0;
    facts->slot_count = 0;
}

void
facts_free(struct facts **facts_in)
{
    struct facts *facts = *facts_in;

    if (facts == NULL) {
        return;
    }
    forget_records(facts);
    trail_free(&facts->trail);
    arena_free(&facts->arena);
    free(facts);
    *facts_in = NULL;
}

enum err
facts_begin(struct facts *facts, const struct codebook *codebook)
{
    static const char *const kinds[] = {
        [FACTS_CASE] = "case",
        [FACTS_PERSON] = "person",
        [FACTS_WINDOW] = "reporting_window",
        [FACTS_STUB] = "count_stub",
    };

    forget_records(facts);
    facts->version++;
    facts->codebook = codebook;
    facts->codebook_version = codebook->version;
    codebook_id(codebook, &facts->codebook_id);
    memset(facts->whats, 0, sizeof facts->whats);
    memset(facts->has, 0, sizeof facts->has);
    for (int n = FACTS_CASE; n < FACTS_KINDS; n++) {
        const struct codebook_kind *kind = codebook_kind_by_name(codebook, kinds[n]);

        facts->kinds[n] = kind == NULL ? 0 : kind->number;
    }
    for (size_t n = 0; n < sizeof sources / sizeof sources[0]; n++) {
        const struct source *source = &sources[n];
        const struct codebook_kind *kind = codebook_kind_by_name(codebook, source->kind);
        const struct codebook_field *field =
            kind == NULL ? NULL : codebook_field_by_name(codebook, kind->number, source->field);

        if (field != NULL && field->number < FIELDS_MAX &&
            (field->flags & (FIELD_INDEXED | FIELD_LISTED)) != 0) {
            facts->whats[field->number] = (uint16_t)source->what;
            facts->vocabularies[source->what] = field->vocabulary;
            facts->has[source->what] = true;
        }
    }
    return ERR_OK;
}

/* --- names --- */

static uint32_t *
find_slot(const struct facts *facts, const struct ident *id)
{
    uint32_t at = bytes_read_u32(id->bytes) & (facts->slot_count - 1); /* ids are hashes */

    while (facts->slots[at] != 0 && !ident_equal(&facts->names[facts->slots[at]], id)) {
        at = (at + 1) & (facts->slot_count - 1);
    }
    return &facts->slots[at];
}

static bool
grow_names(struct facts *facts)
{
    uint32_t room = facts->name_room == 0 ? NAMES_FIRST : 2 * facts->name_room;
    struct ident *names = realloc(facts->names, room * sizeof *names);

    if (names == NULL) {
        return false;
    }
    facts->names = names;
    uint32_t *places = realloc(facts->places, room * sizeof *places);
    if (places == NULL) {
        return false;
    }
    facts->places = places;
    uint32_t *slots = calloc(2 * (size_t)room, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    free(facts->slots);
    facts->slots = slots;
    facts->slot_count = 2 * room;
    facts->name_room = room;
    for (uint32_t n = 1; n <= facts->name_count; n++) {
        *find_slot(facts, &facts->names[n]) = n;
    }
    return true;
}

/* 0: no memory. */
static uint32_t
intern(struct facts *facts, const struct ident *id)
{
    if (facts->name_count + 1 >= facts->name_room && !grow_names(facts)) {
        return 0;
    }
    uint32_t *slot = find_slot(facts, id);
    if (*slot == 0) {
        facts->name_count++;
        facts->names[facts->name_count] = *id;
        facts->places[facts->name_count] = 0;
        *slot = facts->name_count;
    }
    return *slot;
}

uint32_t
facts_name(const struct facts *facts, const struct ident *record_id)
{
    return facts->slot_count == 0 ? 0 : *find_slot(facts, record_id);
}

const struct ident *
facts_id(const struct facts *facts, uint32_t name)
{
    return &facts->names[name];
}

uint32_t
facts_name_count(const struct facts *facts)
{
    return facts->name_count;
}

const struct fact_record *
facts_named(const struct facts *facts, uint32_t name)
{
    return name == 0 || name > facts->name_count || facts->places[name] == 0
               ? NULL
               : facts->records[facts->places[name]];
}

/* --- values --- */

uint32_t
fact_country(struct span alpha3)
{
    uint32_t country = 0;

    for (size_t n = 0; n < alpha3.size; n++) {
        if (alpha3.size != 3 || alpha3.data[n] < 'A' || alpha3.data[n] > 'Z') {
            return 0;
        }
        country = 26 * country + (uint32_t)(alpha3.data[n] - 'A');
    }
    return alpha3.size == 3 ? country + 1 : 0;
}

void
fact_country_text(uint32_t country, char alpha3_out[4])
{
    uint32_t rest = country - 1;

    for (int n = 2; n >= 0; n--) {
        alpha3_out[n] = (char)('A' + rest % 26);
        rest /= 26;
    }
    alpha3_out[3] = '\0';
}

/* The year begins in March, so that a leap day is its last. */
uint32_t
fact_day(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month < 3 ? year - 1 : year;
    unsigned m = month < 3 ? month + 9 : month - 3;

    if (month == 0 || month > 12 || day == 0 || day > 31 || (year == 0 && month < 3)) {
        return 0;
    }
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
}

uint32_t
fact_day_of(struct span text)
{
    struct edtf date;

    return edtf_parse(&date, text) && !date.interval
               ? fact_day(date.from.year, date.from.month, date.from.day)
               : 0;
}

/* A day that is known as one: of an interval, its first. */
static uint32_t
day_of_date(struct span text)
{
    struct edtf date;

    return edtf_parse(&date, text) && !date.from.open
               ? fact_day(date.from.year, date.from.month, date.from.day)
               : 0;
}

/* The last day that a date may mean. 0: its end is open. */
static uint32_t
last_day_of(struct span text)
{
    struct edtf date;
    struct edtf_day last;

    if (!edtf_parse(&date, text)) {
        return 1;
    }
    return edtf_latest(&date, &last) ? fact_day_of(span_text(last.text)) : 0;
}

/* What a value is as a number. False: it says nothing that is counted. */
static bool
read_value(struct facts *facts, const struct codebook_field *field, struct span cbor, uint32_t *value_out)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    uint64_t value = 0;
    struct ident id;

    switch (field->type) {
    case TYPE_CODE:
        value = cbor_read_uint(&in);
        break;
    case TYPE_BOOL:
        *value_out = cbor_read_bool(&in) ? 1 : 0;
        return !in.in.failed;
    case TYPE_COUNTRY:
        value = fact_country(cbor_read_text(&in));
        break;
    case TYPE_DATE:
        value = facts->whats[field->number] == FACT_CONSENT_UNTIL ? last_day_of(cbor_read_text(&in))
                                                                  : day_of_date(cbor_read_text(&in));
        break;
    case TYPE_RANGE: {
        int64_t least = cbor_read_array(&in) == 2 ? cbor_read_int(&in) : 0;
        value = least > 0 ? (uint64_t)least : 0;
        break;
    }
    case TYPE_RECORD:
        cbor_read_exact(&in, &id, sizeof id);
        value = in.in.failed ? 0 : intern(facts, &id);
        break;
    default:
        value = 1; /* that there is one */
        break;
    }
    *value_out = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
    return !in.in.failed && value > 0;
}

/* --- records --- */

static bool
make_room(struct facts *facts, uint32_t record_no)
{
    uint32_t room = facts->record_room == 0 ? NAMES_FIRST : facts->record_room;

    while (room <= record_no) {
        room = room > UINT32_MAX / 2 ? UINT32_MAX : 2 * room;
    }
    if (room == facts->record_room) {
        return true;
    }
    struct fact_record **records = realloc(facts->records, room * sizeof *records);
    if (records == NULL) {
        return false;
    }
    memset(records + facts->record_room, 0, (room - facts->record_room) * sizeof *records);
    facts->records = records;
    facts->record_room = room;
    return true;
}

void
facts_drop(struct facts *facts, uint32_t record_no)
{
    if (record_no < facts->record_room && facts->records[record_no] != NULL) {
        struct fact_record *record = facts->records[record_no];

        facts->places[record->name] = 0;
        crypto_wipe(record, sizeof *record + record->fact_count * sizeof *record->facts);
        free(record);
        facts->records[record_no] = NULL;
        facts->version++;
    }
}

static enum fact_kind
kind_of(const struct facts *facts, uint32_t kind)
{
    for (int n = FACTS_CASE; n < FACTS_KINDS; n++) {
        if (kind != 0 && facts->kinds[n] == kind) {
            return (enum fact_kind)n;
        }
    }
    return 0;
}

/* True if several values all count: of a union or a set, and of what somebody agreed to. */
static bool
shows_all(const struct codebook_field *field, enum fact_what what)
{
    return field->policy == MERGE_UNION || what == FACT_CONSENT_DECISION || what == FACT_CONSENT_UNTIL;
}

static bool
is_counted(const struct facts *facts, const struct record_item *item)
{
    return item->field != NULL && item->field->number < FIELDS_MAX &&
           facts->whats[item->field->number] != FACT_NONE;
}

/* True if the item is the first of its element. */
static bool
begins_element(const struct record_item *item, const struct record_item *before)
{
    return item->target.collection != 0 &&
           (before == NULL || before->target.collection != item->target.collection ||
            memcmp(before->target.element, item->target.element, ELEMENT_ID_BYTES) != 0);
}

/* The number that an element of the same collection has here; 0: nothing of it counts. */
static uint32_t
find_element(const struct facts *facts, const struct record_summary *summary, uint32_t collection,
             struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    struct span id = cbor_peek(&in) == CBOR_BYTES ? cbor_read_bytes(&in) : span_of(NULL, 0);
    const struct record_item *before = NULL;
    uint16_t element = 0;

    for (size_t n = 0; n < summary->item_count && id.size == ELEMENT_ID_BYTES; n++) {
        const struct record_item *item = &summary->items[n];

        if (is_counted(facts, item)) {
            element = (uint16_t)(element + begins_element(item, before));
            before = item;
            if (item->target.collection == collection &&
                memcmp(item->target.element, id.data, ELEMENT_ID_BYTES) == 0) {
                return element;
            }
        }
    }
    return 0;
}

/* One value as a fact. False: it says nothing that is counted. */
static bool
read_fact(struct facts *facts, const struct record_summary *summary, const struct record_item *item,
          struct span cbor, struct fact *fact)
{
    fact->what = facts->whats[item->field->number];
    if (fact->what == FACT_CONSENT_REPLACES) {
        fact->value = find_element(facts, summary, item->target.collection, cbor);
        return fact->value != 0;
    }
    return read_value(facts, item->field, cbor, &fact->value);
}

static size_t
read_facts(struct facts *facts, const struct record_summary *summary, struct fact out[RECORD_FACTS])
{
    const struct record_item *before = NULL;
    uint16_t element = 0;
    size_t count = 0;

    for (size_t n = 0; n < summary->item_count; n++) {
        const struct record_item *item = &summary->items[n];

        if (!is_counted(facts, item)) {
            continue;
        }
        /* Numbers of elements begin with 1. */
        element = (uint16_t)(element + begins_element(item, before));
        before = item;
        bool all = shows_all(item->field, facts->whats[item->field->number]);
        size_t shown = all ? item->shown_count : item->shown_count > 0;
        for (size_t s = 0; s < shown && count < RECORD_FACTS; s++) {
            out[count].element = item->target.collection == 0 ? 0 : element;
            count += read_fact(facts, summary, item, item->shown[s], &out[count]);
        }
    }
    return count;
}

/* Milliseconds since 1970 as a day. */
static uint32_t
day_of_hlc(uint64_t hlc)
{
    return fact_day(1970, 1, 1) + (uint32_t)((hlc >> 16) / (24 * 60 * 60 * 1000));
}

enum err
facts_put(struct facts *facts, const struct record_summary *summary)
{
    enum fact_kind kind = kind_of(facts, summary->kind);
    struct fact found[RECORD_FACTS];

    facts_drop(facts, summary->record_no);
    if (kind == 0 || summary->restricted) {
        return ERR_OK;
    }
    uint32_t name = make_room(facts, summary->record_no) ? intern(facts, &summary->record_id) : 0;
    if (name == 0) {
        return ERR_MEMORY;
    }
    size_t count = read_facts(facts, summary, found);
    struct fact_record *record = malloc(sizeof *record + count * sizeof *found);
    if (record == NULL) {
        return ERR_MEMORY;
    }
    *record = (struct fact_record){ .record_no = summary->record_no,
                                    .name = name,
                                    .kind = kind,
                                    .created_day = day_of_hlc(summary->created_hlc),
                                    .conflict = summary->conflict_count > 0,
                                    .fact_count = (uint32_t)count };
    memcpy(record->facts, found, count * sizeof *found);
    facts->records[summary->record_no] = record;
    facts->places[name] = summary->record_no;
    facts->version++;
    return ERR_OK;
}

static enum err
read_record(struct facts *facts, struct table_txn *txn, uint32_t record_no)
{
    struct record_summary summary;
    enum err err = record_summary_read(txn, facts->codebook, record_no, &facts->arena, &summary);

    if (err == ERR_OK) {
        err = facts_put(facts, &summary);
    } else if (err == ERR_ABSENT || err == ERR_CORRUPT) {
        facts_drop(facts, record_no); /* erased; or counted by table, and found by verify */
        err = ERR_OK;
    }
    arena_reset(&facts->arena);
    return err;
}

/* The next records of the kinds that are counted, by the coded index: the other half of a record is in none. */
static enum err
find_first(struct facts *facts, struct table_txn *txn)
{
    struct trail *trail = &facts->trail;
    struct buf token = { 0 };
    struct index_walk walk;

    cbor_put_uint(&token, facts->kinds[facts->first_kind]);
    const struct index_term term = { FIELD_KIND, buf_span(&token) };
    index_walk_init(&walk, txn, &term, 1, facts->first_below);
    while (trail->due_count < TRAIL_SLICE && index_walk_next(&walk, &trail->due[trail->due_count])) {
        facts->first_below = trail->due[trail->due_count];
        trail->due_count++;
    }
    index_walk_end(&walk);
    enum err err = token.failed ? ERR_MEMORY : table_error(txn);
    buf_free(&token);
    if (err == ERR_OK && trail->due_count < TRAIL_SLICE) {
        facts->first_kind++;
        facts->first_below = UINT32_MAX;
    }
    return err;
}

static void
begin_first(struct facts *facts)
{
    facts->first_kind = FACTS_CASE;
    facts->first_below = UINT32_MAX;
}

static bool
is_behind(const struct facts *facts, struct replica *replica)
{
    return facts->first_kind < FACTS_KINDS || trail_is_behind(&facts->trail, replica);
}

static enum err
read_slice(struct facts *facts, struct replica *replica, struct table_txn *txn)
{
    struct trail *trail = &facts->trail;
    bool again = false;
    enum err err = ERR_OK;

    if (trail->due_count == 0) {
        err = facts->first_kind < FACTS_KINDS ? find_first(facts, txn)
                                              : trail_read(trail, replica, txn, &again);
    }
    if (err == ERR_OK && again) {
        begin_first(facts);
        return facts_begin(facts, replica_codebook(replica)); /* any may be another */
    }
    while (err == ERR_OK && trail->due_count > 0) {
        err = read_record(facts, txn, trail->due[trail->due_count - 1]);
        trail->due_count -= err == ERR_OK;
    }
    return err;
}

/* Another codebook came into force, be it from a replica that opened itself again. */
static bool
is_of(const struct facts *facts, const struct codebook *codebook)
{
    struct hash id;

    if (facts->codebook == codebook && facts->codebook_version == codebook->version) {
        return true;
    }
    codebook_id(codebook, &id);
    return facts->codebook != NULL && hash_equal(&id, &facts->codebook_id);
}

enum err
facts_read(struct facts *facts, struct replica *replica, uint64_t now_ms)
{
    const struct codebook *codebook = replica_codebook(replica);
    struct table_txn *txn = NULL;
    enum err err = ERR_OK;

    if (!facts->trail.begun || !is_of(facts, codebook)) {
        trail_begin(&facts->trail, replica);
        begin_first(facts);
        err = facts_begin(facts, codebook);
    }
    facts->codebook = codebook;
    facts->asked = true;
    if (err == ERR_OK && !is_behind(facts, replica)) {
        return ERR_ABSENT;
    }
    if (err == ERR_OK) {
        err = replica_begin_read(replica, &txn);
    }
    if (err == ERR_OK) {
        err = read_slice(facts, replica, txn);
        replica_end_read(replica, &txn);
    }
    trail_note(&facts->trail, now_ms, err);
    return err;
}

uint64_t
facts_due_ms(struct facts *facts, struct replica *replica, uint64_t now_ms)
{
    return facts->asked ? trail_due_ms(&facts->trail, replica, is_behind(facts, replica), now_ms)
                        : UINT64_MAX;
}

/* --- what is here --- */

uint64_t
facts_version(const struct facts *facts)
{
    return facts->version;
}

bool
facts_has(const struct facts *facts, enum fact_what what)
{
    return facts->has[what];
}

uint32_t
facts_vocabulary(const struct facts *facts, enum fact_what what)
{
    return facts->vocabularies[what];
}

uint32_t
facts_end(const struct facts *facts)
{
    return facts->record_room;
}

const struct fact_record *
facts_at(const struct facts *facts, uint32_t place)
{
    return facts->records[place];
}
