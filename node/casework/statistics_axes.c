#include "node/casework/statistics_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
axis_add(struct axis *axis, const char *list, const char *name, const char *label, uint32_t value,
         uint16_t parent, uint8_t level, bool *failed)
{
    if (axis->count == axis->room) {
        uint32_t room = axis->room == 0 ? 32 : 2 * axis->room;
        struct statistics_slot *slots = realloc(axis->slots, room * sizeof *slots);

        if (slots == NULL) {
            *failed = true;
            return;
        }
        axis->slots = slots;
        axis->room = room;
    }
    struct statistics_slot *slot = &axis->slots[axis->count];
    *slot = (struct statistics_slot){ .list = list, .value = value, .parent = parent, .level = level };
    (void)snprintf(slot->name, sizeof slot->name, "%s", name);
    (void)snprintf(slot->label, sizeof slot->label, "%s", label);
    axis->count++;
    for (int n = level; n <= LEVELS_MAX; n++) {
        axis->ends[n] = axis->count;
    }
}

static void
axis_add_unsaid(struct axis *axis, bool *failed)
{
    axis->unsaid = (uint16_t)axis->count;
    axis_add(axis, "", "not_recorded", "Not recorded", 0, 0, 1, failed);
}

/* Values of the lowest level are found by their number, up to `most`. */
static void
axis_make_lookup(struct axis *axis, uint32_t most, bool *failed)
{
    axis->lookup = calloc((size_t)most + 1, sizeof *axis->lookup);
    if (axis->lookup == NULL || *failed) {
        *failed = true;
        return;
    }
    axis->lookup_count = most + 1;
    for (uint32_t n = 1; n < axis->count; n++) {
        const struct statistics_slot *slot = &axis->slots[n];
        bool lowest = slot->level == axis->slots[axis->count - 1].level;

        if (lowest && n != axis->unsaid && slot->value <= most) {
            axis->lookup[slot->value] = (uint16_t)n;
        }
    }
}

uint16_t
statistics_axis_find(const struct axis *axis, uint32_t value)
{
    uint16_t slot = value < axis->lookup_count ? axis->lookup[value] : 0;

    return slot == 0 ? axis->unsaid : slot;
}

uint16_t
statistics_axis_find_group(const struct axis *axis, uint32_t value)
{
    for (uint32_t n = 1; n < axis->ends[1]; n++) {
        if (axis->slots[n].value == value && n != axis->unsaid) {
            return (uint16_t)n;
        }
    }
    return axis->unsaid;
}

static uint32_t
greatest_value(const struct codebook_vocabulary *vocabulary)
{
    return vocabulary->value_count == 0 ? 0 : vocabulary->values[vocabulary->value_count - 1].number;
}

static void
add_vocabulary(struct axis *axis, const struct codebook_vocabulary *vocabulary, uint8_t level, bool *failed)
{
    for (size_t n = 0; n < vocabulary->value_count && axis->count < SLOTS_MAX; n++) {
        const struct codebook_value *value = &vocabulary->values[n];
        uint16_t parent = 0;

        for (uint32_t at = 1; level > 1 && at < axis->ends[level - 1]; at++) {
            if (axis->slots[at].value == value->group && at != axis->unsaid) {
                parent = (uint16_t)at;
            }
        }
        if (level > 1 && parent == 0) {
            parent = axis->unsaid;
        }
        axis_add(axis, vocabulary->name, value->name, value->label, value->number, parent, level, failed);
    }
}

/* The values of the field's vocabulary, under those that it rolls up into. */
static void
make_code_axis(struct axis *axis, const struct facts *facts, const struct codebook *codebook,
               enum fact_what what, bool *failed)
{
    const struct codebook_vocabulary *vocabulary =
        facts_has(facts, what) ? codebook_vocabulary(codebook, facts_vocabulary(facts, what)) : NULL;
    const struct codebook_vocabulary *groups = vocabulary == NULL || vocabulary->groups == 0
                                                   ? NULL
                                                   : codebook_vocabulary(codebook, vocabulary->groups);

    if (groups != NULL) {
        add_vocabulary(axis, groups, 1, failed);
    } else if (vocabulary != NULL) {
        add_vocabulary(axis, vocabulary, 1, failed);
    }
    axis_add_unsaid(axis, failed);
    if (groups != NULL) {
        add_vocabulary(axis, vocabulary, 2, failed);
    }
    axis_make_lookup(axis, vocabulary == NULL ? 0 : greatest_value(vocabulary), failed);
}

static void
add_region(struct axis *axis, uint16_t number, uint16_t parent, uint8_t level, bool *failed)
{
    char name[8];
    char label[REGION_NAME_BYTES];

    (void)snprintf(name, sizeof name, "%03u", number % 1000u);
    region_name(number, label);
    axis_add(axis, "regions", name, label, number, parent, level, failed);
}

static uint16_t
find_region(const struct axis *axis, uint16_t number, uint8_t level)
{
    for (uint32_t n = 1; n < axis->count; n++) {
        if (axis->slots[n].level == level && axis->slots[n].value == number && n != axis->unsaid) {
            return (uint16_t)n;
        }
    }
    return 0;
}

static void
add_country(struct axis *axis, uint32_t country, uint16_t parent, uint8_t level, bool *failed)
{
    char code[4];
    char label[REGION_NAME_BYTES];

    fact_country_text(country, code);
    region_country_name(code, label);
    axis_add(axis, "countries", code, label, country, parent, level, failed);
}

/* The countries that were met, ascending, and what they lie in. `met` is by country. */
static void
make_place_axis(struct axis *axis, const bool *met, bool *failed)
{
    enum { REGIONS = 1000 };
    struct region regions[REGIONS] = { { 0 } }; /* by subregion: itself, and its region */
    bool is_region[REGIONS] = { false };
    char code[4];

    for (uint32_t n = 1; n <= FACT_COUNTRIES; n++) {
        if (met[n]) {
            fact_country_text(n, code);
            struct region region = region_of(code);
            regions[region.subregion % REGIONS] = region;
            is_region[region.region % REGIONS] = true;
        }
    }
    for (uint16_t n = 1; n < REGIONS; n++) {
        if (is_region[n]) {
            add_region(axis, n, 0, 1, failed);
        }
    }
    axis_add_unsaid(axis, failed);
    for (uint16_t n = 1; n < REGIONS; n++) {
        if (regions[n].subregion != 0) {
            add_region(axis, n, find_region(axis, regions[n].region, 1), 2, failed);
        }
    }
    for (uint32_t n = 1; n <= FACT_COUNTRIES && axis->count < SLOTS_MAX; n++) {
        if (met[n]) {
            fact_country_text(n, code);
            uint16_t parent = find_region(axis, region_of(code).subregion, 2);
            add_country(axis, n, parent == 0 ? axis->unsaid : parent, 3, failed);
        }
    }
    axis_make_lookup(axis, FACT_COUNTRIES, failed);
}

static void
make_country_axis(struct axis *axis, const bool *met, bool *failed)
{
    for (uint32_t n = 1; n <= FACT_COUNTRIES && axis->count < SLOTS_MAX; n++) {
        if (met[n]) {
            add_country(axis, n, 0, 1, failed);
        }
    }
    axis_add_unsaid(axis, failed);
    axis_make_lookup(axis, FACT_COUNTRIES, failed);
}

/* Gives how many values the list has. */
static uint32_t
add_list(struct axis *axis, const struct axis_text *text, bool *failed)
{
    uint32_t count = 0;

    while (count < sizeof text->values / sizeof text->values[0] && text->values[count][0] != NULL) {
        axis_add(axis, "", text->values[count][0], text->values[count][1], count + 1, 0, 1, failed);
        count++;
    }
    if (!text->whole) {
        axis_add_unsaid(axis, failed);
    }
    return count;
}

static void
make_listed_axis(struct axis *axis, const struct axis_text *text, bool *failed)
{
    axis_make_lookup(axis, add_list(axis, text, failed), failed);
}

/* The groups of the United Nations, found by country. */
static void
make_group_axis(struct axis *axis, const struct axis_text *text, const bool *met, bool *failed)
{
    (void)add_list(axis, text, failed);
    axis->lookup = calloc(FACT_COUNTRIES + 1, sizeof *axis->lookup);
    if (axis->lookup == NULL || *failed) {
        *failed = true;
        return;
    }
    axis->lookup_count = FACT_COUNTRIES + 1;
    for (uint32_t n = 1; n <= FACT_COUNTRIES; n++) {
        if (met[n]) {
            char code[4];

            fact_country_text(n, code);
            enum region_group group = region_group_of(code);
            axis->lookup[n] = (uint16_t)(group == REGION_GROUP_NONE ? UN_GROUP_NONE : (int)group);
        }
    }
}

/* --- all of them --- */

static void
find_countries(const struct facts *facts, bool *states, bool *hosts)
{
    for (uint32_t n = 0; n < facts_end(facts); n++) {
        const struct fact_record *record = facts_at(facts, n);

        if (record == NULL || (record->kind != FACTS_CASE && record->kind != FACTS_STUB)) {
            continue;
        }
        for (uint32_t f = 0; f < record->fact_count; f++) {
            const struct fact *fact = &record->facts[f];

            if (fact->what == FACT_STATE || fact->what == FACT_STUB_STATE) {
                states[fact->value] = true;
            } else if (fact->what == FACT_HOST) {
                hosts[fact->value] = true;
            }
        }
    }
}

bool
statistics_make_axes(struct axis axes[AXIS_COUNT], const struct facts *facts, const struct codebook *codebook)
{
    bool *met = calloc(2 * (FACT_COUNTRIES + 1), sizeof *met);
    bool failed = met == NULL;

    if (!failed) {
        find_countries(facts, met, met + FACT_COUNTRIES + 1);
    }
    for (int n = AXIS_NONE + 1; n < AXIS_COUNT && !failed; n++) {
        const struct axis_text *text = statistics_axis_text((enum statistics_axis)n);
        struct axis *axis = &axes[n];

        axis_add(axis, "", "all", "All", 0, 0, 0, &failed);
        if (failed) {
            break;
        }
        if (n == AXIS_PLACE) {
            make_place_axis(axis, met, &failed);
        } else if (n == AXIS_UN_GROUP) {
            make_group_axis(axis, text, met, &failed);
        } else if (n == AXIS_STATE) {
            make_country_axis(axis, met, &failed);
        } else if (n == AXIS_HOST) {
            make_country_axis(axis, met + FACT_COUNTRIES + 1, &failed);
        } else if (text->what != FACT_NONE) {
            make_code_axis(axis, facts, codebook, text->what, &failed);
        } else {
            make_listed_axis(axis, text, &failed);
        }
    }
    free(met);
    return !failed;
}
