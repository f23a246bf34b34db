#include "tests/bench/workload.h"

#include "store/base/cbor.h"
#include "sync/update.h"
#include "tests/support/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MIN = 1000, PEOPLE = 60, PERSON_BYTES = 32, WORDS = 47, STATUSES = 7, ACTOR = 1 };
enum { VOCABULARY_KIND = 1, VOCABULARY_STATUS, VOCABULARY_WORD, VOCABULARY_PERSON };

#define FIRST_MS UINT64_C(1774000000000)
#define STEP_MS UINT64_C(137)

static const char *const words[WORDS] = {
    "the",      "a",         "case",       "office",  "client",  "report",  "visit",    "call",
    "letter",   "court",     "date",       "agreed",  "school",  "family",  "doctor",   "safe",
    "plan",     "review",    "contact",    "support", "worker",  "risk",    "moved",    "home",
    "left",     "message",   "father",     "mother",  "child",   "urgent",  "awaiting", "signed",
    "form",     "sent",      "received",   "checked", "housing", "benefit", "referral", "police",
    "hospital", "discharge", "assessment", "meeting", "team",    "manager", "noted",
};

/* Names in the codebook, where no hyphen may be, and texts of the JSON. */
static const char *const status_names[STATUSES] = { "open",      "triage",   "in_review", "waiting",
                                                    "escalated", "resolved", "closed" };
static const char *const statuses[STATUSES] = { "open",      "triage",   "in-review", "waiting",
                                                "escalated", "resolved", "closed" };

/* --- the generator --- */

/* Xorshift of 32 bits. */
static uint32_t
draw(struct workload *workload, uint32_t below)
{
    uint32_t x = workload->state;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    workload->state = x;
    return x % below;
}

enum err
workload_open(struct workload *workload, uint64_t count, uint32_t seed)
{
    uint64_t records = count / 10 > RECORDS_MIN ? count / 10 : RECORDS_MIN;

    assert(records <= UINT32_MAX);

    *workload = (struct workload){
        .state = seed == 0 ? 1 : seed,
        .count = count,
        .record_count = (uint32_t)records,
        .seen = calloc(records, sizeof *workload->seen),
    };
    return workload->seen == NULL ? ERR_MEMORY : ERR_OK;
}

void
workload_close(struct workload *workload)
{
    free(workload->seen);
    *workload = (struct workload){ 0 };
}

static struct workload_value *
next_value(struct workload_update *update, enum workload_field field)
{
    assert(update->value_count < WORKLOAD_VALUES_MAX);

    struct workload_value *value = &update->values[update->value_count++];
    value->field = field;
    value->number = 0;
    return value;
}

/* Words up to `size` bytes, cut there, and a full stop. */
static void
put_words(struct workload *workload, struct workload_update *update, enum workload_field field, uint32_t size)
{
    struct workload_value *value = next_value(update, field);
    size_t length = 0;

    assert(size < WORKLOAD_TEXT_BYTES_MAX - 16);
    while (length < size) {
        length += (size_t)snprintf(value->text + length, sizeof value->text - length, "%s ",
                                   words[draw(workload, WORDS)]);
    }
    value->text[size - 1] = '.';
    value->text[size] = '\0';
}

static void
put_code(struct workload_update *update, enum workload_field field, uint32_t index, const char *text)
{
    struct workload_value *value = next_value(update, field);

    value->number = index + 1;
    (void)snprintf(value->text, sizeof value->text, "%s", text);
}

static void
put_person(struct workload *workload, struct workload_update *update)
{
    uint32_t person = draw(workload, PEOPLE);
    char name[PERSON_BYTES];

    (void)snprintf(name, sizeof name, "worker.%02" PRIu32 "@office-%" PRIu32, person, person % 8);
    put_code(update, WORK_ASSIGNEE, person, name);
}

static void
put_priority(struct workload *workload, struct workload_update *update)
{
    uint32_t priority = draw(workload, 5);
    char text[16];

    (void)snprintf(text, sizeof text, "%" PRIu32, priority + 1);
    put_code(update, WORK_PRIORITY, priority, text);
}

static void
put_date(struct workload *workload, struct workload_update *update, enum workload_field field, unsigned month)
{
    struct workload_value *value = next_value(update, field);

    (void)snprintf(value->text, sizeof value->text, "2026-%02u-%02" PRIu32, month, 1 + draw(workload, 28));
}

bool
workload_next(struct workload *workload, struct workload_update *update_out)
{
    if (workload->next_seq == workload->count) {
        return false;
    }
    /* Most of the work is on the newest fifth of the cases. */
    uint32_t newest = (workload->record_count + 4) / 5;
    uint32_t record = draw(workload, 10) < 8 ? workload->record_count - 1 - draw(workload, newest)
                                             : draw(workload, workload->record_count);
    uint32_t what = draw(workload, 100);
    update_out->record = record;
    update_out->seq = workload->next_seq++;
    update_out->wall_ms = FIRST_MS + update_out->seq * STEP_MS;
    update_out->first = !workload->seen[record];
    update_out->value_count = 0;
    if (update_out->first) {
        workload->seen[record] = true;
        put_words(workload, update_out, WORK_TITLE, 40);
        put_code(update_out, WORK_STATUS, 0, statuses[0]);
        put_priority(workload, update_out);
        uint32_t word = draw(workload, WORDS);
        put_code(update_out, WORK_CATEGORY, word, words[word]);
        put_person(workload, update_out);
        put_date(workload, update_out, WORK_OPENED, 3);
        put_words(workload, update_out, WORK_LOCATION, 30);
    } else if (what < 40) {
        uint32_t status = draw(workload, STATUSES);
        put_code(update_out, WORK_STATUS, status, statuses[status]);
        put_person(workload, update_out);
        put_words(workload, update_out, WORK_NOTE, 90 + draw(workload, 90));
    } else if (what < 75) {
        put_words(workload, update_out, WORK_NOTE, 140 + draw(workload, 140));
    } else if (what < 90) {
        put_date(workload, update_out, WORK_DUE, 4);
        put_priority(workload, update_out);
        put_words(workload, update_out, WORK_LOCATION, 60);
        put_words(workload, update_out, WORK_CONTACT, 60);
    } else {
        put_words(workload, update_out, WORK_SUMMARY, 200 + draw(workload, 100));
    }
    update_out->office = draw(workload, WORKLOAD_OFFICES);
    return true;
}

void
workload_json(struct buf *out, const struct workload_update *update)
{
    buf_printf(out,
               "{\"c\":\"case-%07" PRIu32 "\",\"o\":\"office-%" PRIu32 "\",\"s\":%" PRIu64 ",\"t\":%" PRIu64
               ",\"f\":{",
               update->record, update->office, update->seq, update->wall_ms);
    for (size_t n = 0; n < update->value_count; n++) {
        const struct workload_value *value = &update->values[n];
        const char *quote = value->field == WORK_PRIORITY ? "" : "\"";
        const struct codebook_field *field = &workload_codebook()->fields[value->field - 1];
        buf_printf(out, "%s\"%s\":%s%s%s", n == 0 ? "" : ",", field->name, quote, value->text, quote);
    }
    buf_put_text(out, "}}\n");
}

/* --- the codebook --- */

#define FIELD(number_, name_, type_, vocabulary_, flags_)                                                    \
    {                                                                                                        \
        .number = (number_), .name = (name_), .label = (name_), .kinds = 1u << WORKLOAD_KIND,                \
        .type = (type_), .vocabulary = (vocabulary_), .sensitivity = LEVEL_L1, .policy = MERGE_SURFACE,      \
        .flags = (flags_),                                                                                   \
    }

const struct codebook *
workload_codebook(void)
{
    static const struct codebook_kind kinds[] = { { WORKLOAD_KIND, "case", "Case" } };
    static const struct codebook_field fields[] = {
        FIELD(FIELD_KIND, "record_kind", TYPE_CODE, VOCABULARY_KIND, FIELD_ONCE),
        FIELD(WORK_TITLE, "title", TYPE_TEXT, 0, FIELD_REQUIRED | FIELD_LISTED),
        FIELD(WORK_STATUS, "status", TYPE_CODE, VOCABULARY_STATUS, FIELD_INDEXED | FIELD_LISTED),
        FIELD(WORK_PRIORITY, "priority", TYPE_INTEGER, 0, FIELD_LISTED),
        FIELD(WORK_CATEGORY, "category", TYPE_CODE, VOCABULARY_WORD, FIELD_INDEXED),
        FIELD(WORK_ASSIGNEE, "assignee", TYPE_CODE, VOCABULARY_PERSON, FIELD_INDEXED | FIELD_LISTED),
        FIELD(WORK_OPENED, "opened", TYPE_DATE, 0, FIELD_INDEXED),
        FIELD(WORK_LOCATION, "location", TYPE_TEXT, 0, 0),
        FIELD(WORK_NOTE, "note", TYPE_LONG_TEXT, 0, 0),
        FIELD(WORK_DUE, "due", TYPE_DATE, 0, FIELD_INDEXED),
        FIELD(WORK_CONTACT, "contact", TYPE_TEXT, 0, 0),
        FIELD(WORK_SUMMARY, "summary", TYPE_LONG_TEXT, 0, 0),
    };
    static const struct codebook_value kind_values[] = {
        { .number = WORKLOAD_KIND, .name = "case", .label = "Case" }
    };
    static struct codebook_value status_values[STATUSES];
    static struct codebook_value word_values[WORDS];
    static char person_names[PEOPLE][PERSON_BYTES];
    static char person_labels[PEOPLE][PERSON_BYTES];
    static struct codebook_value person_values[PEOPLE];
    static const struct codebook_vocabulary vocabularies[] = {
        { .number = VOCABULARY_KIND,
          .name = "record_kind",
          .label = "Kind of record",
          .values = kind_values,
          .value_count = 1 },
        { .number = VOCABULARY_STATUS,
          .name = "status",
          .label = "Status",
          .values = status_values,
          .value_count = STATUSES },
        { .number = VOCABULARY_WORD,
          .name = "word",
          .label = "Word",
          .values = word_values,
          .value_count = WORDS },
        { .number = VOCABULARY_PERSON,
          .name = "person",
          .label = "Person",
          .values = person_values,
          .value_count = PEOPLE },
    };
    static const struct codebook codebook = {
        .version = 1,
        .name = "workload",
        .kinds = kinds,
        .kind_count = sizeof kinds / sizeof kinds[0],
        .fields = fields,
        .field_count = sizeof fields / sizeof fields[0],
        .vocabularies = vocabularies,
        .vocabulary_count = sizeof vocabularies / sizeof vocabularies[0],
    };

    if (person_values[PEOPLE - 1].number == 0) {
        for (uint32_t n = 0; n < STATUSES; n++) {
            status_values[n] = (struct codebook_value){
                .number = n + 1, .rank = n, .name = status_names[n], .label = statuses[n]
            };
        }
        for (uint32_t n = 0; n < WORDS; n++) {
            word_values[n] =
                (struct codebook_value){ .number = n + 1, .rank = n, .name = words[n], .label = words[n] };
        }
        for (uint32_t n = 0; n < PEOPLE; n++) {
            (void)snprintf(person_names[n], PERSON_BYTES, "worker.%02" PRIu32, n);
            (void)snprintf(person_labels[n], PERSON_BYTES, "worker.%02" PRIu32 "@office-%" PRIu32, n, n % 8);
            person_values[n] = (struct codebook_value){
                .number = n + 1, .rank = n, .name = person_names[n], .label = person_labels[n]
            };
        }
    }
    return &codebook;
}

/* --- as entries --- */

/* The last op on a field of a case. */
struct writer {
    bool wrote;
    uint8_t office;
    uint8_t op;
    uint8_t entry_tag[4];
    uint32_t seq;
};

/* A log while it is written: the run that has no signature yet. */
struct pen {
    struct workload_log *log;
    const struct key_pair *signer;
    struct hash head;
    struct run run;
    size_t pending_count;
    struct entry pending[RUN_ENTRIES_MAX];
    struct buf sealed[RUN_ENTRIES_MAX];
};

struct case_state {
    struct key key;
    struct key erase_key;
    struct ident id;
    struct writer writers[WORK_FIELD_END];
};

struct builder {
    const struct workload_world *world;
    struct workload_logs *logs;
    struct test_world random;
    struct epoch_keys epoch;
    struct pen keys[WORKLOAD_OFFICES];
    struct pen data[WORKLOAD_OFFICES];
    struct case_state *cases;
    struct buf payload;
    bool failed;
};

void
workload_world_init(struct workload_world *world, uint64_t seed)
{
    struct test_world random;

    test_world_init(&random, seed);
    for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
        crypto_sign_pair(&world->offices[n], &random.world);
    }
    world_random(&random.world, world->incarnation, sizeof world->incarnation);
    world_random(&random.world, world->compartment.bytes, IDENT_BYTES);
    world_random(&random.world, world->epoch_key.bytes, KEY_BYTES);
    world_random(&random.world, world->epoch, sizeof world->epoch);
    world->secret_seed = seed + 1;
}

static void
pen_begin(struct pen *pen, struct workload_log *log, const struct workload_world *world, size_t office,
          enum lane lane)
{
    pen->log = log;
    pen->signer = &world->offices[office];
    memcpy(log->descriptor.sign_pk, pen->signer->public_key, SIGN_PK_BYTES);
    memcpy(log->descriptor.incarnation, world->incarnation, sizeof world->incarnation);
    log->descriptor.compartment = world->compartment;
    log->descriptor.lane = (uint8_t)lane;
    descriptor_log_id(&log->descriptor, &log->log_id);
}

/* Sign what is pending and make a chunk of it. False: no memory. */
static bool
pen_send(struct pen *pen)
{
    struct workload_log *log = pen->log;
    uint8_t signature[SIGNATURE_BYTES];

    if (pen->pending_count == 0) {
        return true;
    }
    if (log->chunk_count == log->chunk_capacity) {
        size_t capacity = log->chunk_capacity == 0 ? 64 : 2 * log->chunk_capacity;
        size_t *ends = realloc(log->chunk_ends, capacity * sizeof *ends);
        if (ends == NULL) {
            return false;
        }
        log->chunk_ends = ends;
        log->chunk_capacity = capacity;
    }
    entry_sign(signature, &pen->pending[pen->pending_count - 1].id, pen->signer);
    chunk_write(&log->bytes, pen->pending, pen->pending_count, signature);
    log->chunk_ends[log->chunk_count++] = log->bytes.size;
    pen->pending_count = 0;
    return !log->bytes.failed;
}

/* Seal the builder's payload as the next entry of a log. */
static const struct entry *
pen_write(struct builder *builder, struct pen *pen, enum entry_kind kind, const struct case_state *state)
{
    struct entry entry = {
        .kind = (uint8_t)kind,
        .lane = pen->log->descriptor.lane,
        .seq = pen->log->entry_count,
        .prev = pen->head,
    };
    struct buf sealed = { 0 };

    memcpy(entry.epoch, builder->world->epoch, sizeof entry.epoch);
    world_random(&builder->random.world, entry.salt, sizeof entry.salt);
    entry_reference_make(&entry, &pen->log->log_id, &builder->epoch, &state->id, &state->erase_key);
    enum err err =
        entry_seal(&entry, &pen->log->log_id, &builder->epoch, kind == ENTRY_DATA ? &state->key : NULL,
                   buf_span(&builder->payload), false, &sealed);
    /* Every update of the workload fits into an entry. */
    assert(err == ERR_OK || err == ERR_MEMORY);
    builder->failed |= err != ERR_OK || builder->payload.failed;
    if (run_breaks(&pen->run, entry.payload_size) && !pen_send(pen)) {
        builder->failed = true;
    }
    run_step(&pen->run, entry.payload_size);
    struct entry *kept = &pen->pending[pen->pending_count];
    buf_free(&pen->sealed[pen->pending_count]);
    pen->sealed[pen->pending_count] = sealed;
    *kept = entry;
    pen->pending_count++;
    pen->log->entry_count++;
    pen->head = entry.id;
    return kept;
}

static void
put_head(struct builder *builder, const struct workload_update *update)
{
    struct buf *payload = &builder->payload;

    buf_clear(payload);
    cbor_put_map(payload, 4);
    cbor_put_uint(payload, 0);
    cbor_put_uint(payload, SCHEMA);
    cbor_put_uint(payload, 1);
    cbor_put_uint(payload, update->wall_ms << 16);
}

static void
write_key(struct builder *builder, const struct workload_update *update, struct case_state *state)
{
    struct workload_sizes *sizes = &builder->logs->sizes;

    world_random(&builder->random.world, state->key.bytes, KEY_BYTES);
    record_key_id(&state->id, &state->key);
    record_key_erase(&state->erase_key, &state->key);
    builder->logs->record_ids[update->record] = state->id;
    builder->logs->record_keys[update->record] = state->key;
    put_head(builder, update);
    cbor_put_uint(&builder->payload, 4);
    cbor_put_uint(&builder->payload, ACTOR);
    cbor_put_uint(&builder->payload, 6);
    cbor_put_bytes(&builder->payload, span_of(state->key.bytes, KEY_BYTES));
    (void)pen_write(builder, &builder->keys[update->office], ENTRY_KEY, state);
    sizes->key_entries++;
}

static void
put_preds(struct builder *builder, const struct workload_update *update, const struct writer *writer)
{
    struct buf *payload = &builder->payload;
    size_t before = payload->size;

    cbor_put_array(payload, writer->wrote ? 1 : 0);
    if (writer->wrote && writer->office == update->office) {
        cbor_put_array(payload, 2);
        cbor_put_uint(payload, builder->logs->data[update->office].entry_count - writer->seq);
        cbor_put_uint(payload, writer->op);
    } else if (writer->wrote) {
        cbor_put_array(payload, 4);
        cbor_put_bytes(payload, span_of(builder->logs->data[writer->office].log_id.bytes, 6));
        cbor_put_uint(payload, writer->seq);
        cbor_put_uint(payload, writer->op);
        cbor_put_bytes(payload, span_of(writer->entry_tag, sizeof writer->entry_tag));
    }
    builder->logs->sizes.plain_preds += payload->size - before;
}

/* [1, field, preds, ...] */
static void
put_set(struct builder *builder, const struct workload_update *update, const struct case_state *state,
        uint32_t field)
{
    cbor_put_array(&builder->payload, 4);
    cbor_put_uint(&builder->payload, 1);
    cbor_put_uint(&builder->payload, field);
    put_preds(builder, update, &state->writers[field]);
}

static void
put_value(struct builder *builder, const struct workload_value *value)
{
    size_t before = builder->payload.size;

    if (value->number > 0) {
        cbor_put_uint(&builder->payload, value->number);
    } else {
        cbor_put_text(&builder->payload, span_text(value->text));
    }
    builder->logs->sizes.plain_values += builder->payload.size - before;
}

static void
remember(struct case_state *state, const struct workload_update *update, uint32_t field, size_t op,
         const struct entry *entry)
{
    struct writer *writer = &state->writers[field];

    *writer = (struct writer){
        .wrote = true,
        .office = (uint8_t)update->office,
        .op = (uint8_t)op,
        .seq = (uint32_t)entry->seq,
    };
    memcpy(writer->entry_tag, entry->id.bytes, sizeof writer->entry_tag);
}

static void
write_data(struct builder *builder, const struct workload_update *update, struct case_state *state)
{
    struct workload_sizes *sizes = &builder->logs->sizes;
    size_t kind_op = update->first ? 1 : 0;

    put_head(builder, update);
    cbor_put_uint(&builder->payload, 3);
    cbor_put_array(&builder->payload, kind_op + update->value_count);
    if (update->first) {
        put_set(builder, update, state, FIELD_KIND);
        cbor_put_uint(&builder->payload, WORKLOAD_KIND);
        sizes->plain_values++;
    }
    for (size_t n = 0; n < update->value_count; n++) {
        put_set(builder, update, state, update->values[n].field);
        put_value(builder, &update->values[n]);
    }
    cbor_put_uint(&builder->payload, 4);
    cbor_put_uint(&builder->payload, ACTOR);
    const struct entry *entry = pen_write(builder, &builder->data[update->office], ENTRY_DATA, state);
    if (update->first) {
        remember(state, update, FIELD_KIND, 0, entry);
    }
    for (size_t n = 0; n < update->value_count; n++) {
        remember(state, update, update->values[n].field, kind_op + n, entry);
    }
    sizes->entries++;
    sizes->plain += builder->payload.size;
    sizes->seals += SEAL_BYTES;
    sizes->content += entry->payload_size - SEAL_BYTES;
}

static void
sum_up(struct workload_logs *logs)
{
    struct workload_sizes *sizes = &logs->sizes;

    for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
        const struct workload_log *log = &logs->data[n];
        for (size_t c = 0; c < log->chunk_count; c++) {
            struct reader reader = reader_of(workload_chunk(log, c));
            (void)reader_varint(&reader);
            (void)reader_span(&reader, 8);
            (void)reader_varint(&reader);
            sizes->frames += workload_chunk(log, c).size - reader_left(&reader) + SIGNATURE_BYTES;
        }
        sizes->chunks += log->bytes.size;
        sizes->key_chunks += logs->keys[n].bytes.size;
    }
    sizes->fixed = sizes->chunks - sizes->frames - sizes->seals - sizes->content;
}

enum err
workload_build(struct workload_logs *logs_out, uint64_t count, const struct workload_world *world)
{
    struct workload workload;
    struct workload_update update;
    enum err err = ERR_MEMORY;

    *logs_out = (struct workload_logs){ 0 };
    struct builder *builder = calloc(1, sizeof *builder);
    if (builder == NULL || workload_open(&workload, count, WORKLOAD_SEED) != ERR_OK) {
        free(builder);
        return ERR_MEMORY;
    }
    builder->world = world;
    builder->logs = logs_out;
    builder->cases = calloc(workload.record_count, sizeof *builder->cases);
    logs_out->record_count = workload.record_count;
    logs_out->record_ids = calloc(workload.record_count, sizeof *logs_out->record_ids);
    logs_out->record_keys = calloc(workload.record_count, sizeof *logs_out->record_keys);
    if (builder->cases == NULL || logs_out->record_ids == NULL || logs_out->record_keys == NULL) {
        goto end;
    }
    test_world_init(&builder->random, world->secret_seed);
    epoch_keys_of(&builder->epoch, &world->epoch_key);
    for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
        pen_begin(&builder->keys[n], &logs_out->keys[n], world, n, LANE_CONTROL);
        pen_begin(&builder->data[n], &logs_out->data[n], world, n, LANE_NORMAL);
    }
    while (!builder->failed && workload_next(&workload, &update)) {
        struct case_state *state = &builder->cases[update.record];
        if (update.first) {
            write_key(builder, &update, state);
        }
        write_data(builder, &update, state);
    }
    for (size_t n = 0; n < WORKLOAD_OFFICES && !builder->failed; n++) {
        builder->failed = !pen_send(&builder->keys[n]) || !pen_send(&builder->data[n]);
    }
    if (!builder->failed) {
        sum_up(logs_out);
        err = ERR_OK;
    }

end:
    for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
        for (size_t e = 0; e < RUN_ENTRIES_MAX; e++) {
            buf_free(&builder->keys[n].sealed[e]);
            buf_free(&builder->data[n].sealed[e]);
        }
    }
    buf_free(&builder->payload);
    free(builder->cases);
    free(builder);
    workload_close(&workload);
    if (err != ERR_OK) {
        workload_logs_free(logs_out);
    }
    return err;
}

void
workload_logs_free(struct workload_logs *logs)
{
    for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
        buf_free(&logs->keys[n].bytes);
        buf_free(&logs->data[n].bytes);
        free(logs->keys[n].chunk_ends);
        free(logs->data[n].chunk_ends);
    }
    free(logs->record_ids);
    free(logs->record_keys);
    *logs = (struct workload_logs){ 0 };
}

struct span
workload_chunk(const struct workload_log *log, size_t n)
{
    size_t from = n == 0 ? 0 : log->chunk_ends[n - 1];

    assert(n < log->chunk_count);

    return span_of(log->bytes.data + from, log->chunk_ends[n] - from);
}
