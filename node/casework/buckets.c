#include "node/casework/buckets.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 1024, ROOM_FIRST = 1024 };

struct slot {
    uint64_t key;
    uint32_t first; /* BUCKETS_END: it has none */
    bool used;
};

struct place {
    uint32_t number;
    uint32_t next;
};

struct buckets {
    struct slot *slots; /* a power of two, probed one by one */
    size_t slot_count;
    size_t used; /* slots, those that have lost all */
    struct place *places;
    uint32_t place_count; /* given out ever */
    uint32_t room;
    uint32_t free; /* the first that was given back */
};

struct buckets *
buckets_new(void)
{
    struct buckets *buckets = calloc(1, sizeof *buckets);

    if (buckets == NULL) {
        return NULL;
    }
    buckets->free = BUCKETS_END;
    buckets->slot_count = SLOTS_FIRST;
    buckets->room = ROOM_FIRST;
    buckets->slots = calloc(buckets->slot_count, sizeof *buckets->slots);
    buckets->places = malloc(buckets->room * sizeof *buckets->places);
    if (buckets->slots == NULL || buckets->places == NULL) {
        buckets_free(&buckets);
    }
    return buckets;
}

void
buckets_free(struct buckets **buckets)
{
    if (*buckets != NULL) {
        free((*buckets)->slots);
        free((*buckets)->places);
        free(*buckets);
        *buckets = NULL;
    }
}

/* The slot of the key, or the free one where it would be. */
static struct slot *
slot_of(struct slot *slots, size_t count, uint64_t key)
{
    size_t at = (size_t)key & (count - 1);

    while (slots[at].used && slots[at].key != key) {
        at = (at + 1) & (count - 1);
    }
    return &slots[at];
}

/* At most three quarters are used. Keys that have lost all are left behind. */
static bool
make_slots(struct buckets *buckets)
{
    size_t live = 0;

    if (4 * (buckets->used + 1) <= 3 * buckets->slot_count) {
        return true;
    }
    for (size_t n = 0; n < buckets->slot_count; n++) {
        live += buckets->slots[n].used && buckets->slots[n].first != BUCKETS_END;
    }
    size_t count = 2 * live >= buckets->slot_count ? 2 * buckets->slot_count : buckets->slot_count;
    struct slot *slots = calloc(count, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t n = 0; n < buckets->slot_count; n++) {
        if (buckets->slots[n].used && buckets->slots[n].first != BUCKETS_END) {
            *slot_of(slots, count, buckets->slots[n].key) = buckets->slots[n];
        }
    }
    free(buckets->slots);
    buckets->slots = slots;
    buckets->slot_count = count;
    buckets->used = live;
    return true;
}

static bool
make_place(struct buckets *buckets)
{
    if (buckets->free != BUCKETS_END || buckets->place_count < buckets->room) {
        return true;
    }
    if (buckets->room > UINT32_MAX / 4) {
        return false;
    }
    struct place *places = realloc(buckets->places, 2 * (size_t)buckets->room * sizeof *places);
    if (places == NULL) {
        return false;
    }
    buckets->places = places;
    buckets->room *= 2;
    return true;
}

bool
buckets_add(struct buckets *buckets, uint64_t key, uint32_t number)
{
    if (!make_slots(buckets) || !make_place(buckets)) {
        return false;
    }
    struct slot *slot = slot_of(buckets->slots, buckets->slot_count, key);
    uint32_t at = buckets->free;
    if (at != BUCKETS_END) {
        buckets->free = buckets->places[at].next;
    } else {
        at = buckets->place_count;
        buckets->place_count++;
    }
    if (!slot->used) {
        *slot = (struct slot){ .key = key, .first = BUCKETS_END, .used = true };
        buckets->used++;
    }
    buckets->places[at] = (struct place){ number, slot->first };
    slot->first = at;
    return true;
}

void
buckets_remove(struct buckets *buckets, uint64_t key, uint32_t number)
{
    struct slot *slot = slot_of(buckets->slots, buckets->slot_count, key);

    if (!slot->used) {
        return;
    }
    for (uint32_t *at = &slot->first; *at != BUCKETS_END; at = &buckets->places[*at].next) {
        uint32_t found = *at;

        if (buckets->places[found].number == number) {
            *at = buckets->places[found].next;
            buckets->places[found].next = buckets->free;
            buckets->free = found;
            return;
        }
    }
}

uint32_t
buckets_first(const struct buckets *buckets, uint64_t key)
{
    const struct slot *slot = slot_of(buckets->slots, buckets->slot_count, key);

    return slot->used ? slot->first : BUCKETS_END;
}

uint32_t
buckets_next(const struct buckets *buckets, uint32_t place)
{
    return buckets->places[place].next;
}

uint32_t
buckets_number(const struct buckets *buckets, uint32_t place)
{
    return buckets->places[place].number;
}

size_t
buckets_bytes(const struct buckets *buckets)
{
    return sizeof *buckets + buckets->slot_count * sizeof *buckets->slots +
           buckets->room * sizeof *buckets->places;
}
