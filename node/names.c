#include "node/names.h"

#include "store/base/cbor.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ID_DIGITS = 2 * IDENT_BYTES, ID_DIGITS_MIN = 6, COUNTER_MAX = 999999999 };

/* The highest counter of one office and year. */
struct counter {
    char prefix[NAMES_NUMBER_BYTES]; /* "KEN-2026-" */
    unsigned long highest;
    unsigned long given; /* as meta says: see number_row */
    bool given_known;    /* it was read, and not forgotten with a turn that did not happen: see names_clear */
};

struct name_entry {
    struct named named;
    bool bare; /* nothing of it was merged when we last looked */
};

struct names {
    struct name_entry *all; /* in order of record_no; what was made in this turn stands at the end */
    size_t count;
    size_t capacity;
    size_t fresh; /* how many at the end were made in this turn */
    bool looked;  /* at the bare ones, since the last turn ended: they have no number before it does */
    uint32_t next_no;
    struct counter *counters;
    size_t counter_count;
};

struct names *
names_new(void)
{
    struct names *names = calloc(1, sizeof *names);

    if (names != NULL) {
        names->next_no = 1;
    }
    return names;
}

void
names_clear(struct names *names)
{
    free(names->all);
    free(names->counters);
    *names = (struct names){ .next_no = 1 };
}

void
names_free(struct names **names_in)
{
    if (*names_in != NULL) {
        names_clear(*names_in);
        free(*names_in);
        *names_in = NULL;
    }
}

/* The counter that a number ends in, and the length of what stands before it; 0: it is none of ours. */
static unsigned long
counter_of(const char *number, size_t *prefix_size_out)
{
    const char *dash = strrchr(number, '-');
    char *end = NULL;

    if (dash == NULL || !isdigit((unsigned char)dash[1])) {
        return 0;
    }
    unsigned long value = strtoul(dash + 1, &end, 10);
    *prefix_size_out = (size_t)(dash - number) + 1;
    return *end == '\0' && value <= COUNTER_MAX ? value : 0;
}

static struct counter *
counter_for(struct names *names, const char *prefix, size_t prefix_size)
{
    for (size_t n = 0; n < names->counter_count; n++) {
        if (strlen(names->counters[n].prefix) == prefix_size &&
            memcmp(names->counters[n].prefix, prefix, prefix_size) == 0) {
            return &names->counters[n];
        }
    }
    struct counter *grown = realloc(names->counters, (names->counter_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    names->counters = grown;
    struct counter *counter = &grown[names->counter_count];
    names->counter_count++;
    memset(counter, 0, sizeof *counter);
    memcpy(counter->prefix, prefix, prefix_size);
    return counter;
}

static enum err
count_number(struct names *names, const char *number)
{
    size_t prefix_size = 0;
    unsigned long value = counter_of(number, &prefix_size);

    if (value == 0) {
        return ERR_OK;
    }
    struct counter *counter = counter_for(names, number, prefix_size);
    if (counter == NULL) {
        return ERR_MEMORY;
    }
    if (value > counter->highest) {
        counter->highest = value;
    }
    return ERR_OK;
}

static enum err
append(struct names *names, const struct named *named, bool bare)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 64 : 2 * names->capacity;
        struct name_entry *all = realloc(names->all, capacity * sizeof *all);

        if (all == NULL) {
            return ERR_MEMORY;
        }
        names->all = all;
        names->capacity = capacity;
    }
    names->all[names->count] = (struct name_entry){ *named, bare };
    names->count++;
    return count_number(names, named->number);
}

/* In meta: the highest number of an office and year that was given here, u64. What is erased leaves no number behind, and yet
 * letters and reports may name it. */
static const char number_row[] = "number:";

enum { NUMBER_ROW_BYTES = sizeof number_row - 1 + NAMES_NUMBER_BYTES };

static struct span
number_row_key(char key[NUMBER_ROW_BYTES], const char *prefix, size_t prefix_size)
{
    memcpy(key, number_row, sizeof number_row - 1);
    memcpy(key + sizeof number_row - 1, prefix, prefix_size);
    return span_of(key, sizeof number_row - 1 + prefix_size);
}

static enum err
read_given(struct counter *counter, struct table_txn *txn)
{
    char key[NUMBER_ROW_BYTES];
    struct buf value = { 0 };

    if (counter->given_known) {
        return ERR_OK;
    }
    enum err err =
        table_read(txn, TABLE_META, number_row_key(key, counter->prefix, strlen(counter->prefix)), &value);
    counter->given = err == ERR_OK && value.size == 8 ? (unsigned long)bytes_read_u64(value.data) : 0;
    buf_free(&value);
    /* A damaged row is written anew with the next number. */
    err = err == ERR_ABSENT || err == ERR_CORRUPT ? ERR_OK : err;
    counter->given_known = err == ERR_OK;
    return err;
}

static void
keep_given(struct names *names, struct table_txn *txn, const char *number)
{
    char key[NUMBER_ROW_BYTES];
    uint8_t value[8];
    size_t prefix_size = 0;
    unsigned long given = counter_of(number, &prefix_size);
    struct counter *counter = given == 0 ? NULL : counter_for(names, number, prefix_size);

    if (counter != NULL && read_given(counter, txn) == ERR_OK && given > counter->given) {
        bytes_write_u64(value, given);
        table_put(txn, TABLE_META, number_row_key(key, number, prefix_size), span_of(value, sizeof value));
        counter->given = given;
    }
}

void
names_add(struct names *names, const struct names_source *source, const struct named *named)
{
    keep_given(names, source->txn, named->number);
    if (append(names, named, false) == ERR_OK) {
        names->fresh++;
    }
}

void
names_turn_ended(struct names *names)
{
    names->count -= names->fresh;
    names->fresh = 0;
    names->looked = false;
}

/* The number that the record's summary shows; "" if none. ERR_ABSENT: there is no summary. */
static enum err
read_number(const struct names_source *source, uint32_t record_no, char number[NAMES_NUMBER_BYTES])
{
    struct arena arena = { 0 };
    struct record_summary summary;
    enum err err = record_summary_read(source->txn, source->codebook, record_no, &arena, &summary);

    number[0] = '\0';
    for (size_t n = 0; err == ERR_OK && n < summary.item_count; n++) {
        const struct record_item *item = &summary.items[n];

        if (item->field == NULL || item->field->collection != 0 || strcmp(item->field->name, "number") != 0 ||
            item->shown_count == 0) {
            continue;
        }
        struct cbor_reader in = cbor_reader_of(item->shown[0]);
        struct span text = cbor_read_text(&in);
        if (cbor_done(&in) && text.size < NAMES_NUMBER_BYTES) {
            memcpy(number, text.data, text.size);
            number[text.size] = '\0';
        }
    }
    arena_free(&arena);
    return err;
}

/* Take in the records that were met since the last time. Those of this turn stand at the end meanwhile. */
static enum err
catch_up(struct names *names, const struct names_source *source)
{
    uint32_t last = record_last(source->txn);

    for (; names->next_no <= last && names->next_no < UINT32_MAX; names->next_no++) {
        struct named named = { .record_no = names->next_no };
        enum err err = record_name(source->txn, named.record_no, &named.compartment, &named.record_id);

        if (err == ERR_ABSENT || err == ERR_CORRUPT) {
            continue; /* erased; or counted by table, and without a name */
        }
        if (err != ERR_OK) {
            return err;
        }
        const struct roster_compartment *compartment = roster_compartment(source->roster, &named.compartment);
        if (compartment != NULL && compartment->role == COMPARTMENT_PROTECTED) {
            continue;
        }
        err = read_number(source, named.record_no, named.number);
        if (err != ERR_OK && err != ERR_CORRUPT && err != ERR_ABSENT) {
            return err;
        }
        err = append(names, &named, err == ERR_ABSENT);
        if (err != ERR_OK) {
            return err;
        }
        if (names->fresh > 0) {
            /* Those of this turn stay last, in whatever order. */
            struct name_entry *first = &names->all[names->count - 1 - names->fresh];
            struct name_entry added = names->all[names->count - 1];

            names->all[names->count - 1] = *first;
            *first = added;
        }
    }
    return ERR_OK;
}

/* Read the numbers of those that had none: they may have one now. Only of those of which nothing was merged, or of all. */
static enum err
read_missing_numbers(struct names *names, const struct names_source *source, bool all)
{
    for (size_t n = 0; n < names->count - names->fresh && (all || !names->looked); n++) {
        struct name_entry *entry = &names->all[n];

        if (entry->named.number[0] != '\0' || (!entry->bare && !all)) {
            continue;
        }
        enum err err = read_number(source, entry->named.record_no, entry->named.number);
        entry->bare = err == ERR_ABSENT;
        if (err == ERR_OK) {
            err = count_number(names, entry->named.number);
        }
        if (err != ERR_OK && err != ERR_CORRUPT && err != ERR_ABSENT) {
            return err;
        }
    }
    names->looked = true;
    return ERR_OK;
}

/* True if `text` is hex digits and nothing else. */
static bool
is_digits(const char *text)
{
    return text[strspn(text, "0123456789abcdefABCDEF")] == '\0';
}

static bool
id_begins(const struct ident *id, const char *digits)
{
    char hex[ID_DIGITS + 1];

    bytes_hex(hex, ident_span(id));
    return strncasecmp(hex, digits, strlen(digits)) == 0;
}

static enum err
look(const struct names *names, const char *text, bool by_id, struct named *named_out)
{
    bool found = false;

    for (size_t n = 0; n < names->count; n++) {
        const struct named *named = &names->all[n].named;

        if (by_id ? !id_begins(&named->record_id, text) : strcasecmp(named->number, text) != 0) {
            continue;
        }
        if (found && !ident_equal(&named_out->record_id, &named->record_id)) {
            return ERR_CONFLICT;
        }
        *named_out = *named;
        found = true;
    }
    return found ? ERR_OK : ERR_ABSENT;
}

enum err
names_find(struct names *names, const struct names_source *source, const char *text, struct named *named_out)
{
    size_t size = strlen(text);
    bool by_id = is_digits(text);

    memset(named_out, 0, sizeof *named_out);
    if (by_id ? size < ID_DIGITS_MIN || size > ID_DIGITS
              : size >= NAMES_NUMBER_BYTES || strchr(text, '-') == NULL) {
        return ERR_INVALID;
    }
    enum err err = catch_up(names, source);
    if (err != ERR_OK) {
        return err;
    }
    err = look(names, text, by_id, named_out);
    if (err == ERR_ABSENT && !by_id) {
        err = read_missing_numbers(names, source, true);
        if (err == ERR_OK) {
            err = look(names, text, by_id, named_out);
        }
    }
    return err;
}

enum err
names_next_number(struct names *names, const struct names_source *source, const char *office, unsigned year,
                  char number_out[NAMES_NUMBER_BYTES])
{
    char prefix[NAMES_NUMBER_BYTES];
    enum err err = catch_up(names, source);

    if (err == ERR_OK) {
        err = read_missing_numbers(names, source, false);
    }
    if (err != ERR_OK) {
        return err;
    }
    int size = snprintf(prefix, sizeof prefix, "%s-%u-", office, year);
    if (size < 0 || size > NAMES_NUMBER_BYTES - 12) {
        return ERR_INVALID;
    }
    struct counter *counter = counter_for(names, prefix, (size_t)size);
    if (counter == NULL) {
        return ERR_MEMORY;
    }
    err = read_given(counter, source->txn);
    if (err != ERR_OK) {
        return err;
    }
    size = snprintf(number_out, NAMES_NUMBER_BYTES, "%s%04lu", prefix,
                    (counter->given > counter->highest ? counter->given : counter->highest) + 1);
    return size < NAMES_NUMBER_BYTES ? ERR_OK : ERR_INVALID;
}
