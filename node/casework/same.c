#include "node/casework/same.h"

#include <stdlib.h>

static uint32_t
root_of(uint32_t *same, uint32_t name)
{
    while (same[name] != name) {
        same[name] = same[same[name]];
        name = same[name];
    }
    return name;
}

static bool
says(const struct fact_record *record, enum fact_what what, uint32_t other)
{
    for (uint32_t n = 0; record != NULL && n < record->fact_count; n++) {
        if (record->facts[n].what == what && record->facts[n].value == other) {
            return true;
        }
    }
    return false;
}

/* Under the lower of their record ids, whatever was linked first. */
static void
unite(const struct facts *facts, uint32_t *same, uint32_t a, uint32_t b)
{
    a = root_of(same, a);
    b = root_of(same, b);
    if (a != b && ident_compare(facts_id(facts, a), facts_id(facts, b)) < 0) {
        same[b] = a;
    } else {
        same[a] = b;
    }
}

enum err
same_persons(const struct facts *facts, uint32_t **same_out)
{
    uint32_t count = facts_name_count(facts) + 1;
    uint32_t *same = calloc(count, sizeof *same);

    *same_out = same;
    if (same == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t name = 0; name < count; name++) {
        same[name] = name;
    }
    for (uint32_t n = 0; n < facts_end(facts); n++) {
        const struct fact_record *record = facts_at(facts, n);

        if (record == NULL || record->kind != FACTS_PERSON || record->name == 0) {
            continue;
        }
        for (uint32_t at = 0; at < record->fact_count; at++) {
            uint32_t other = record->facts[at].value;
            const struct fact_record *named =
                record->facts[at].what == FACT_SAME_AS ? facts_named(facts, other) : NULL;

            if (named != NULL && named->kind == FACTS_PERSON && !says(record, FACT_NOT_SAME_AS, other) &&
                !says(named, FACT_NOT_SAME_AS, record->name)) {
                unite(facts, same, record->name, other);
            }
        }
    }
    for (uint32_t name = 0; name < count; name++) {
        same[name] = root_of(same, name);
    }
    return ERR_OK;
}
