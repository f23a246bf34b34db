#include "node/casework/duplicate.h"

#include "node/casework/buckets.h"
#include "node/casework/following.h"
#include "store/base/log.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE_COMPARED = 4000, /* pairs, in one slice */
    SLICE_RECORDS = 512,
    CASES_MAX = 16, /* of one person that are looked at */
};

enum said { SAID_SAME = 1, SAID_NOT_SAME = 2 };

/* The other record of a pair. */
struct near {
    uint32_t record_no;
    uint8_t points;
    uint8_t said; /* by either */
};

struct item {
    struct ident record_id;
    uint64_t named_key; /* of the cases that name it */
    struct duplicate_facts *facts;
    uint64_t *keys; /* as they are in the buckets, each once */
    struct near *near;
    uint32_t key_count;
    uint32_t near_count;
    uint32_t near_room;
    bool waits; /* to be compared with the others */
};

/* Numbers of records that wait. */
struct queue {
    uint32_t *numbers;
    size_t count;
    size_t room;
};

/* Records to compare one with, while they are gathered. */
struct found {
    uint32_t record_no;
    enum duplicate_persons persons; /* of cases */
};

struct duplicate {
    struct following *following;
    struct duplicate_maker *maker; /* NULL: not begun */
    bool unable;                   /* and it never will be */
    uint8_t hash_key[16];
    struct buckets *buckets;
    struct item **items; /* by record_no; NULL: no person and no case */
    uint32_t *found_at;  /* by record_no: its place in `found` and one */
    size_t item_room;
    size_t item_count;
    struct queue persons;
    struct queue cases;
    struct found *found;
    size_t found_count;
    size_t found_room;
    uint64_t *new_keys;
    size_t new_key_count;
    size_t new_key_room;
    uint64_t pair_count;
    uint64_t pair_max;
    uint64_t pairs_of[DUPLICATE_POINTS_MAX + 1]; /* by their points; of which nobody has said anything */
    int floor;
    uint32_t *
        groups; /* by record_no: another of its group, itself at the end; NULL: not made since something changed */
    bool failed; /* no memory: what was under way is not whole */
};

/* --- life --- */

struct duplicate *
duplicate_new(const struct world *world)
{
    struct duplicate *duplicate = calloc(1, sizeof *duplicate);

    if (duplicate == NULL) {
        return NULL;
    }
    duplicate->pair_max = DUPLICATE_PAIRS_MAX;
    world_random(world, duplicate->hash_key, sizeof duplicate->hash_key);
    duplicate->following = following_new();
    if (duplicate->following == NULL) {
        duplicate_free(&duplicate);
    }
    return duplicate;
}

static void
item_free(struct item **item_in)
{
    struct item *item = *item_in;

    if (item != NULL) {
        duplicate_facts_free(&item->facts);
        free(item->keys);
        free(item->near);
        explicit_bzero(item, sizeof *item);
        free(item);
        *item_in = NULL;
    }
}

/* As it was before the first record, under the same key. */
static void
empty(struct duplicate *duplicate)
{
    for (size_t n = 0; n < duplicate->item_room; n++) {
        item_free(&duplicate->items[n]);
    }
    free(duplicate->items);
    free(duplicate->found_at);
    free(duplicate->persons.numbers);
    free(duplicate->cases.numbers);
    free(duplicate->found);
    free(duplicate->new_keys);
    free(duplicate->groups);
    buckets_free(&duplicate->buckets);
    duplicate_maker_free(&duplicate->maker);
    uint8_t hash_key[sizeof duplicate->hash_key];
    memcpy(hash_key, duplicate->hash_key, sizeof hash_key);
    *duplicate = (struct duplicate){ .following = duplicate->following,
                                     .floor = DUPLICATE_THRESHOLD,
                                     .pair_max = duplicate->pair_max };
    memcpy(duplicate->hash_key, hash_key, sizeof hash_key);
    explicit_bzero(hash_key, sizeof hash_key);
}

void
duplicate_free(struct duplicate **duplicate_in)
{
    struct duplicate *duplicate = *duplicate_in;

    if (duplicate == NULL) {
        return;
    }
    empty(duplicate);
    following_free(&duplicate->following);
    explicit_bzero(duplicate, sizeof *duplicate);
    free(duplicate);
    *duplicate_in = NULL;
}

static enum err
begin_index(struct duplicate *duplicate)
{
    empty(duplicate);
    duplicate->buckets = buckets_new();
    enum err err =
        duplicate->buckets == NULL ? ERR_MEMORY : duplicate_maker_new(&duplicate->maker, duplicate->hash_key);
    if (err == ERR_INVALID) {
        duplicate->unable = true;
        log_event("duplicates-unavailable", "reason=%s", "no data of ICU or of a stemmer");
    }
    return err;
}

struct duplicate_maker *
duplicate_maker_of(struct duplicate *duplicate)
{
    if (duplicate->maker == NULL && !duplicate->unable && begin_index(duplicate) != ERR_OK) {
        return NULL;
    }
    return duplicate->maker;
}

/* --- memory --- */

/* Room for one more. `size` of an element. */
static bool
grow(struct duplicate *duplicate, void **array, size_t *room, size_t count, size_t size)
{
    if (count < *room) {
        return true;
    }
    size_t wanted = *room == 0 ? 64 : 2 * *room;
    void *grown = realloc(*array, wanted * size);
    if (grown == NULL) {
        duplicate->failed = true;
        return false;
    }
    *array = grown;
    *room = wanted;
    return true;
}

static bool
make_room(struct duplicate *duplicate, uint32_t record_no)
{
    size_t room = duplicate->item_room == 0 ? 1024 : duplicate->item_room;

    if (record_no < duplicate->item_room) {
        return true;
    }
    while (room <= record_no) {
        room *= 2;
    }
    struct item **items = realloc(duplicate->items, room * sizeof *items);
    duplicate->items = items == NULL ? duplicate->items : items;
    uint32_t *found_at = realloc(duplicate->found_at, room * sizeof *found_at);
    duplicate->found_at = found_at == NULL ? duplicate->found_at : found_at;
    if (items == NULL || found_at == NULL) {
        return false;
    }
    for (size_t n = duplicate->item_room; n < room; n++) {
        items[n] = NULL;
        found_at[n] = 0;
    }
    duplicate->item_room = room;
    return true;
}

static struct item *
item_of(const struct duplicate *duplicate, uint32_t record_no)
{
    return record_no < duplicate->item_room ? duplicate->items[record_no] : NULL;
}

/* --- what a record is found by --- */

/* Keys that are no blocks: a record itself, the cases that name a person, the records that say something of another. */
enum { KEY_RECORD = 'I', KEY_NAMED = 'P', KEY_SAID = 'S' };

static uint64_t
ident_key(const struct duplicate *duplicate, char what, const struct ident *ident)
{
    return duplicate_hash(duplicate->maker, what, ident_span(ident));
}

/* The next of a bucket that is really about `ident`, which two may share by chance; BUCKETS_END: none. */
static uint32_t
record_of(const struct duplicate *duplicate, const struct ident *ident)
{
    uint32_t at = buckets_first(duplicate->buckets, ident_key(duplicate, KEY_RECORD, ident));

    while (at != BUCKETS_END) {
        uint32_t record_no = buckets_number(duplicate->buckets, at);

        if (ident_equal(&duplicate->items[record_no]->record_id, ident)) {
            return record_no;
        }
        at = buckets_next(duplicate->buckets, at);
    }
    return BUCKETS_END;
}

static void
enqueue(struct duplicate *duplicate, uint32_t record_no)
{
    struct item *item = item_of(duplicate, record_no);

    if (item == NULL || item->waits) {
        return;
    }
    struct queue *queue = item->facts->person ? &duplicate->persons : &duplicate->cases;
    if (grow(duplicate, (void **)&queue->numbers, &queue->room, queue->count, sizeof *queue->numbers)) {
        queue->numbers[queue->count] = record_no;
        queue->count++;
        item->waits = true;
    }
}

static void
enqueue_bucket(struct duplicate *duplicate, uint64_t key)
{
    for (uint32_t at = buckets_first(duplicate->buckets, key); at != BUCKETS_END;
         at = buckets_next(duplicate->buckets, at)) {
        enqueue(duplicate, buckets_number(duplicate->buckets, at));
    }
}

/* The persons that a case names are compared by it too. */
static void
enqueue_persons(struct duplicate *duplicate, const struct duplicate_facts *facts)
{
    for (size_t n = 0; n < facts->person_count; n++) {
        enqueue(duplicate, record_of(duplicate, &facts->persons[n]));
    }
}

/* Which of what a record says of others is said by it: enum said. */
static unsigned
said_of(const struct duplicate_facts *facts, const struct ident *other)
{
    unsigned said = 0;

    for (size_t n = 0; n < facts->said_count; n++) {
        if (ident_equal(&facts->said[n].record_id, other)) {
            said |= facts->said[n].same ? SAID_SAME : SAID_NOT_SAME;
        }
    }
    return said;
}

/* --- pairs --- */

static void
forget_groups(struct duplicate *duplicate)
{
    free(duplicate->groups);
    duplicate->groups = NULL;
}

static void
count_pair(struct duplicate *duplicate, const struct near *near, bool there)
{
    duplicate->pair_count = there ? duplicate->pair_count + 1 : duplicate->pair_count - 1;
    if (near->said == 0) {
        uint64_t *count = &duplicate->pairs_of[near->points];

        *count = there ? *count + 1 : *count - 1;
    } else {
        forget_groups(duplicate);
    }
}

static void
drop_near(struct item *item, uint32_t record_no)
{
    for (uint32_t n = 0; n < item->near_count; n++) {
        if (item->near[n].record_no == record_no) {
            item->near_count--;
            item->near[n] = item->near[item->near_count];
            return;
        }
    }
}

static void
drop_pairs(struct duplicate *duplicate, uint32_t record_no)
{
    struct item *item = duplicate->items[record_no];

    for (uint32_t n = 0; n < item->near_count; n++) {
        count_pair(duplicate, &item->near[n], false);
        drop_near(duplicate->items[item->near[n].record_no], record_no);
    }
    item->near_count = 0;
}

static bool
reserve_near(struct duplicate *duplicate, struct item *item)
{
    size_t wanted = item->near_room == 0 ? 4 : 2 * (size_t)item->near_room;

    if (item->near_count < item->near_room) {
        return true;
    }
    struct near *near = realloc(item->near, wanted * sizeof *near);
    if (near == NULL) {
        duplicate->failed = true;
        return false;
    }
    item->near = near;
    item->near_room = (uint32_t)wanted;
    return true;
}

/* Too many pairs: those with fewest points go, of which nobody has said anything. */
static void
raise_floor(struct duplicate *duplicate)
{
    while (duplicate->pair_count > duplicate->pair_max && duplicate->floor < DUPLICATE_POINTS_MAX) {
        bool any = duplicate->pairs_of[duplicate->floor] > 0;

        for (size_t n = 0; any && n < duplicate->item_room; n++) {
            struct item *item = duplicate->items[n];
            uint32_t kept = 0;

            for (uint32_t m = 0; item != NULL && m < item->near_count; m++) {
                const struct near near = item->near[m];

                if (near.said != 0 || near.points > duplicate->floor) {
                    item->near[kept] = near;
                    kept++;
                } else if (near.record_no > n) {
                    count_pair(duplicate, &near, false);
                }
            }
            if (item != NULL) {
                item->near_count = kept;
            }
        }
        duplicate->floor++;
    }
}

static void
add_pair(struct duplicate *duplicate, uint32_t a, const struct near *near)
{
    struct item *one = duplicate->items[a];
    struct item *other = duplicate->items[near->record_no];

    /* Both or neither. */
    if (reserve_near(duplicate, one) && reserve_near(duplicate, other)) {
        one->near[one->near_count] = *near;
        one->near_count++;
        other->near[other->near_count] = (struct near){ a, near->points, near->said };
        other->near_count++;
        count_pair(duplicate, near, true);
    }
}

/* --- comparing --- */

/* Add it to those to compare with; one that was found keeps what says most of persons. A number is of a record that is there, or
 * BUCKETS_END. */
static void
find(struct duplicate *duplicate, uint32_t self, uint32_t record_no, enum duplicate_persons persons)
{
    if (record_no >= duplicate->item_room || record_no == self) {
        return;
    }
    if (duplicate->found_at[record_no] != 0) {
        struct found *found = &duplicate->found[duplicate->found_at[record_no] - 1];

        found->persons = persons > found->persons ? persons : found->persons;
        return;
    }
    if (grow(duplicate, (void **)&duplicate->found, &duplicate->found_room, duplicate->found_count,
             sizeof *duplicate->found)) {
        duplicate->found[duplicate->found_count] = (struct found){ record_no, persons };
        duplicate->found_count++;
        duplicate->found_at[record_no] = (uint32_t)duplicate->found_count;
    }
}

static void
find_bucket(struct duplicate *duplicate, uint32_t self, uint64_t key, enum duplicate_persons persons)
{
    for (uint32_t at = buckets_first(duplicate->buckets, key); at != BUCKETS_END;
         at = buckets_next(duplicate->buckets, at)) {
        find(duplicate, self, buckets_number(duplicate->buckets, at), persons);
    }
}

/* Who says something of it, and of whom it does. */
static void
find_said(struct duplicate *duplicate, uint32_t self)
{
    const struct item *item = duplicate->items[self];

    for (size_t n = 0; n < item->facts->said_count; n++) {
        find(duplicate, self, record_of(duplicate, &item->facts->said[n].record_id), PERSONS_UNKNOWN);
    }
    find_bucket(duplicate, self, ident_key(duplicate, KEY_SAID, &item->record_id), PERSONS_UNKNOWN);
}

/* Cases that name a person of this one, or somebody who may be that person. */
static void
find_by_persons(struct duplicate *duplicate, uint32_t self)
{
    const struct duplicate_facts *facts = duplicate->items[self]->facts;

    for (size_t n = 0; n < facts->person_count; n++) {
        const struct item *person = item_of(duplicate, record_of(duplicate, &facts->persons[n]));

        find_bucket(duplicate, self, ident_key(duplicate, KEY_NAMED, &facts->persons[n]), PERSONS_ONE);
        for (uint32_t m = 0; person != NULL && m < person->near_count; m++) {
            const struct near *near = &person->near[m];
            const struct item *other = duplicate->items[near->record_no];

            if ((near->said & SAID_NOT_SAME) == 0) {
                find_bucket(duplicate, self, other->named_key, near->said != 0 ? PERSONS_ONE : PERSONS_ALIKE);
            }
        }
    }
}

/* The cases that name a person, as its side of a comparison. */
struct side {
    struct duplicate_side side;
    const struct duplicate_facts *cases[CASES_MAX];
};

static void
take_side(const struct duplicate *duplicate, uint32_t record_no, struct side *out)
{
    const struct item *item = duplicate->items[record_no];

    out->side = (struct duplicate_side){ item->facts, out->cases, 0 };
    if (!item->facts->person) {
        return;
    }
    uint32_t at = buckets_first(duplicate->buckets, item->named_key);
    for (; at != BUCKETS_END && out->side.case_count < CASES_MAX; at = buckets_next(duplicate->buckets, at)) {
        out->cases[out->side.case_count] = duplicate->items[buckets_number(duplicate->buckets, at)]->facts;
        out->side.case_count++;
    }
}

static enum duplicate_persons
persons_of(const struct item *a, const struct item *b, enum duplicate_persons found)
{
    bool both = a->facts->person_count > 0 && b->facts->person_count > 0;

    return found == PERSONS_UNKNOWN && both ? PERSONS_OTHER : found;
}

/* Cases are looked at only where `least` points, or any at all, may yet be reached by them. */
static void
compare(const struct duplicate *duplicate, const struct side *side, uint32_t self, const struct found *found,
        int least, struct duplicate_score *out)
{
    const struct item *one = duplicate->items[self];
    const struct item *other = duplicate->items[found->record_no];
    struct side theirs;

    if (!one->facts->person) {
        duplicate_score_cases(one->facts, other->facts, persons_of(one, other, found->persons), out);
        return;
    }
    duplicate_score_alone(one->facts, other->facts, out);
    if (out->points + DUPLICATE_CASES_POINTS >= least) {
        theirs.side = (struct duplicate_side){ other->facts, theirs.cases, 0 };
        if (side->side.case_count > 0) {
            take_side(duplicate, found->record_no, &theirs);
        }
        duplicate_score_with_cases(&side->side, &theirs.side, out);
    }
}

/* All records that may reach the threshold with this one, and those that something was said of. Some may be of another kind. */
static void
gather(struct duplicate *duplicate, uint32_t self)
{
    const struct item *item = duplicate->items[self];

    duplicate->found_count = 0;
    for (uint32_t n = 0; n < item->key_count; n++) {
        find_bucket(duplicate, self, item->keys[n], PERSONS_UNKNOWN);
    }
    if (!item->facts->person) {
        find_by_persons(duplicate, self);
    }
    find_said(duplicate, self);
    for (size_t n = 0; n < duplicate->found_count; n++) {
        duplicate->found_at[duplicate->found[n].record_no] = 0;
    }
}

static unsigned
said_between(const struct item *a, const struct item *b)
{
    return said_of(a->facts, &b->record_id) | said_of(b->facts, &a->record_id);
}

static int
key_order(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;

    return (*left > *right) - (*left < *right);
}

static void
put_key(void *self, uint64_t key)
{
    struct duplicate *duplicate = self;

    if (grow(duplicate, (void **)&duplicate->new_keys, &duplicate->new_key_room, duplicate->new_key_count,
             sizeof key)) {
        duplicate->new_keys[duplicate->new_key_count] = key;
        duplicate->new_key_count++;
    }
}

static void
drop_keys(struct duplicate *duplicate, uint32_t record_no)
{
    struct item *item = duplicate->items[record_no];

    for (uint32_t n = 0; n < item->key_count; n++) {
        buckets_remove(duplicate->buckets, item->keys[n], record_no);
    }
    free(item->keys);
    item->keys = NULL;
    item->key_count = 0;
}

/* The keys of a person follow from its cases too, so they are made anew. */
static void
make_keys(struct duplicate *duplicate, uint32_t record_no, const struct side *side)
{
    struct item *item = duplicate->items[record_no];
    size_t count = 0;

    drop_keys(duplicate, record_no);
    duplicate->new_key_count = 0;
    duplicate_keys(duplicate->maker, &side->side, put_key, duplicate);
    if (duplicate->failed || duplicate->new_key_count == 0) {
        return;
    }
    qsort(duplicate->new_keys, duplicate->new_key_count, sizeof *duplicate->new_keys, key_order);
    for (size_t n = 0; n < duplicate->new_key_count; n++) {
        if (n == 0 || duplicate->new_keys[n] != duplicate->new_keys[n - 1]) {
            duplicate->new_keys[count] = duplicate->new_keys[n];
            count++;
        }
    }
    item->keys = malloc(count * sizeof *item->keys);
    if (item->keys == NULL) {
        duplicate->failed = true;
        return;
    }
    for (size_t n = 0; n < count; n++) {
        if (!buckets_add(duplicate->buckets, duplicate->new_keys[n], record_no)) {
            duplicate->failed = true;
            return;
        }
        item->keys[n] = duplicate->new_keys[n];
        item->key_count++;
    }
}

/* Compare a record with all others. What waits too will be compared with it in its turn. Gives how many. */
static size_t
compare_one(struct duplicate *duplicate, uint32_t self)
{
    struct item *item = duplicate->items[self];
    struct duplicate_score score;
    struct side side;

    item->waits = false;
    drop_pairs(duplicate, self);
    take_side(duplicate, self, &side);
    make_keys(duplicate, self, &side);
    gather(duplicate, self);
    for (size_t n = 0; n < duplicate->found_count; n++) {
        const struct found *found = &duplicate->found[n];
        const struct item *other = duplicate->items[found->record_no];

        if (other->waits || other->facts->person != item->facts->person) {
            continue;
        }
        unsigned said = said_between(item, other);
        compare(duplicate, &side, self, found, said != 0 ? INT_MIN : duplicate->floor, &score);
        if (score.points >= duplicate->floor || said != 0) {
            add_pair(duplicate, self,
                     &(struct near){ found->record_no, (uint8_t)score.points, (uint8_t)said });
        }
    }
    if (item->facts->person) {
        enqueue_bucket(duplicate, item->named_key);
    }
    raise_floor(duplicate);
    return duplicate->found_count;
}

/* The next that waits, persons before cases, which are compared by them; 0: none does. */
static uint32_t
dequeue(struct duplicate *duplicate)
{
    struct queue *queue = duplicate->persons.count > 0 ? &duplicate->persons : &duplicate->cases;

    while (queue->count > 0) {
        queue->count--;
        uint32_t record_no = queue->numbers[queue->count];
        const struct item *item = item_of(duplicate, record_no);

        /* It may have gone since, or another have come in its place. */
        if (item != NULL && item->waits) {
            return record_no;
        }
    }
    return 0;
}

static bool
has_waiting(const struct duplicate *duplicate)
{
    return duplicate->persons.count > 0 || duplicate->cases.count > 0;
}

enum err
duplicate_compare(struct duplicate *duplicate, bool *more_out)
{
    size_t compared = 0;

    for (int n = 0; n < SLICE_RECORDS && compared < SLICE_COMPARED && has_waiting(duplicate); n++) {
        uint32_t record_no = dequeue(duplicate);

        compared += record_no == 0 ? 0 : compare_one(duplicate, record_no);
        if (duplicate->failed) {
            return ERR_MEMORY;
        }
    }
    *more_out = has_waiting(duplicate);
    return ERR_OK;
}

/* --- records --- */

/* Take out all that is there of a record. */
static void
drop_item(struct duplicate *duplicate, uint32_t record_no)
{
    struct item *item = duplicate->items[record_no];
    struct duplicate_facts *facts = item->facts;

    drop_pairs(duplicate, record_no);
    drop_keys(duplicate, record_no);
    buckets_remove(duplicate->buckets, ident_key(duplicate, KEY_RECORD, &item->record_id), record_no);
    for (size_t n = 0; n < facts->said_count; n++) {
        buckets_remove(duplicate->buckets, ident_key(duplicate, KEY_SAID, &facts->said[n].record_id),
                       record_no);
    }
    for (size_t n = 0; n < facts->person_count; n++) {
        buckets_remove(duplicate->buckets, ident_key(duplicate, KEY_NAMED, &facts->persons[n]), record_no);
    }
    if (facts->person) {
        enqueue_bucket(duplicate, item->named_key);
    } else {
        enqueue_persons(duplicate, facts);
    }
    item_free(&duplicate->items[record_no]);
    duplicate->item_count--;
}

static void
add_item(struct duplicate *duplicate, uint32_t record_no)
{
    const struct item *item = duplicate->items[record_no];
    const struct duplicate_facts *facts = item->facts;
    bool good =
        buckets_add(duplicate->buckets, ident_key(duplicate, KEY_RECORD, &item->record_id), record_no);

    for (size_t n = 0; n < facts->said_count && good; n++) {
        good = buckets_add(duplicate->buckets, ident_key(duplicate, KEY_SAID, &facts->said[n].record_id),
                           record_no);
    }
    for (size_t n = 0; n < facts->person_count && good; n++) {
        good =
            buckets_add(duplicate->buckets, ident_key(duplicate, KEY_NAMED, &facts->persons[n]), record_no);
    }
    duplicate->failed = duplicate->failed || !good;
    enqueue(duplicate, record_no);
    if (!facts->person) {
        enqueue_persons(duplicate, facts);
    }
}

enum err
duplicate_put(struct duplicate *duplicate, uint32_t record_no, const struct ident *record_id,
              struct duplicate_facts *facts)
{
    assert(duplicate->maker != NULL);
    if (item_of(duplicate, record_no) != NULL) {
        drop_item(duplicate, record_no);
    }
    if (facts != NULL) {
        struct item *item = make_room(duplicate, record_no) ? calloc(1, sizeof *item) : NULL;

        if (item == NULL) {
            duplicate_facts_free(&facts);
            duplicate->failed = true;
            return ERR_MEMORY;
        }
        item->record_id = *record_id;
        item->named_key = ident_key(duplicate, KEY_NAMED, record_id);
        item->facts = facts;
        duplicate->items[record_no] = item;
        duplicate->item_count++;
        add_item(duplicate, record_no);
    }
    forget_groups(duplicate);
    return duplicate->failed ? ERR_MEMORY : ERR_OK;
}

/* Whom records are read for. */
struct reading_for {
    struct duplicate *duplicate;
    const struct codebook *codebook;
};

static enum err
begin(void *self)
{
    struct reading_for *reading = self;

    return begin_index(reading->duplicate);
}

static enum err
take(void *self, uint32_t record_no, const struct replica_view *view, bool gone, size_t *bytes_out)
{
    struct reading_for *reading = self;
    struct duplicate *duplicate = reading->duplicate;
    struct duplicate_facts *facts = NULL;
    struct ident record_id = { { 0 } };
    enum err err = ERR_OK;

    (void)gone;
    if (view != NULL) {
        const struct record_view *half = view->open != NULL ? view->open : view->protected_half;

        record_id = half->record_id;
        err = duplicate_facts_read(duplicate->maker, reading->codebook, view, &facts);
    }
    *bytes_out = facts == NULL ? 0 : duplicate_facts_bytes(facts);
    return err == ERR_OK ? duplicate_put(duplicate, record_no, &record_id, facts) : err;
}

/* --- following the journal --- */

enum err
duplicate_read(struct duplicate *duplicate, struct replica *replica, uint64_t now_ms)
{
    struct reading_for reading = { duplicate, replica_codebook(replica) };
    const struct following_reader reader = { &reading, begin, take };
    bool more = false;

    if (duplicate->unable) {
        return ERR_INVALID;
    }
    if (!following_is_behind(duplicate->following, replica) && !has_waiting(duplicate)) {
        return ERR_ABSENT;
    }
    enum err err = following_read(duplicate->following, replica, &reader, now_ms);
    if (err == ERR_ABSENT) {
        err = duplicate_compare(duplicate, &more);
    }
    if (duplicate->failed) {
        /* What was under way is not whole: all of it is made anew. */
        following_restart(duplicate->following);
        following_retry(duplicate->following, now_ms);
        empty(duplicate);
        err = ERR_MEMORY;
    }
    return err;
}

uint64_t
duplicate_left(const struct duplicate *duplicate, struct replica *replica)
{
    return duplicate->unable ? 0
                             : following_left(duplicate->following, replica) + duplicate->persons.count +
                                   duplicate->cases.count;
}

uint64_t
duplicate_due_ms(struct duplicate *duplicate, struct replica *replica, uint64_t now_ms)
{
    return duplicate->unable
               ? UINT64_MAX
               : following_due_ms(duplicate->following, replica, has_waiting(duplicate), now_ms);
}

/* --- what people said --- */

static uint32_t
group_end(uint32_t *groups, uint32_t record_no)
{
    while (groups[record_no] != record_no) {
        groups[record_no] = groups[groups[record_no]];
        record_no = groups[record_no];
    }
    return record_no;
}

static bool
make_groups(struct duplicate *duplicate)
{
    if (duplicate->groups != NULL) {
        return true;
    }
    duplicate->groups = malloc((duplicate->item_room + 1) * sizeof *duplicate->groups);
    if (duplicate->groups == NULL) {
        return false;
    }
    for (size_t n = 0; n < duplicate->item_room; n++) {
        duplicate->groups[n] = (uint32_t)n;
    }
    for (size_t n = 0; n < duplicate->item_room; n++) {
        const struct item *item = duplicate->items[n];

        for (uint32_t m = 0; item != NULL && m < item->near_count; m++) {
            if (item->near[m].said == SAID_SAME) {
                uint32_t end = group_end(duplicate->groups, (uint32_t)n);

                duplicate->groups[end] = group_end(duplicate->groups, item->near[m].record_no);
            }
        }
    }
    return true;
}

static enum duplicate_state
state_of(const struct duplicate *duplicate, uint32_t a, uint32_t b, unsigned said)
{
    bool same = (said & SAID_SAME) != 0 || group_end(duplicate->groups, a) == group_end(duplicate->groups, b);

    if ((said & SAID_NOT_SAME) != 0) {
        return same ? DUPLICATE_DISPUTED : DUPLICATE_REJECTED;
    }
    return same ? DUPLICATE_LINKED : DUPLICATE_CANDIDATE;
}

/* --- lists --- */

/* Most points first, and then by number, so that a page follows upon another. */
static int
pair_order(const struct duplicate_pair *a, const struct duplicate_pair *b)
{
    if (a->points != b->points) {
        return a->points > b->points ? -1 : 1;
    }
    if (a->a != b->a) {
        return a->a < b->a ? -1 : 1;
    }
    return (a->b > b->b) - (a->b < b->b);
}

/* The best pairs so far. */
struct page {
    const struct duplicate_query *query;
    struct duplicate_pair *pairs;
    size_t room;
    size_t count;
    uint64_t all;
};

static void
offer(const struct duplicate *duplicate, struct page *page, uint32_t one, const struct near *near)
{
    uint32_t other = near->record_no;
    struct duplicate_pair pair = { .a = one < other ? one : other,
                                   .b = one < other ? other : one,
                                   .points = near->points };

    enum duplicate_kind kind = duplicate->items[one]->facts->person ? DUPLICATE_PERSONS : DUPLICATE_CASES;
    pair.state = state_of(duplicate, one, other, near->said);
    if ((page->query->kind != DUPLICATE_BOTH && page->query->kind != kind) ||
        (!page->query->all && pair.state != DUPLICATE_CANDIDATE && pair.state != DUPLICATE_DISPUTED) ||
        (page->query->begun && pair_order(&pair, &page->query->after) <= 0)) {
        return;
    }
    page->all++;
    if (page->room == 0 ||
        (page->count == page->room && pair_order(&pair, &page->pairs[page->count - 1]) >= 0)) {
        return;
    }
    size_t at = page->count < page->room ? page->count : page->room - 1;
    for (; at > 0 && pair_order(&pair, &page->pairs[at - 1]) < 0; at--) {
        page->pairs[at] = page->pairs[at - 1];
    }
    page->pairs[at] = pair;
    page->count += page->count < page->room;
}

/* Of one record all pairs are looked for, those below the floor too. */
static void
offer_record(struct duplicate *duplicate, struct page *page, uint32_t self)
{
    struct duplicate_score score;
    struct side side;

    take_side(duplicate, self, &side);
    gather(duplicate, self);
    for (size_t n = 0; n < duplicate->found_count && !duplicate->failed; n++) {
        const struct found *found = &duplicate->found[n];
        const struct item *other = duplicate->items[found->record_no];
        unsigned said = said_between(duplicate->items[self], other);

        if (other->facts->person != duplicate->items[self]->facts->person) {
            continue;
        }
        compare(duplicate, &side, self, found, said != 0 ? INT_MIN : DUPLICATE_THRESHOLD, &score);
        if (score.points >= DUPLICATE_THRESHOLD || said != 0) {
            const struct near near = { found->record_no, (uint8_t)score.points, (uint8_t)said };

            offer(duplicate, page, self, &near);
        }
    }
}

enum err
duplicate_list(struct duplicate *duplicate, const struct duplicate_query *query,
               struct duplicate_pair *pairs_out, size_t room, size_t *count_out, uint64_t *left_out)
{
    struct page page = { .query = query, .pairs = pairs_out, .room = room };

    *count_out = 0;
    *left_out = 0;
    if (duplicate->maker == NULL) {
        return ERR_INVALID;
    }
    if (!make_groups(duplicate)) {
        return ERR_MEMORY;
    }
    if (query->record_no != 0) {
        if (item_of(duplicate, query->record_no) != NULL) {
            offer_record(duplicate, &page, query->record_no);
        }
    } else {
        for (size_t n = 0; n < duplicate->item_room; n++) {
            const struct item *item = duplicate->items[n];

            for (uint32_t m = 0; item != NULL && m < item->near_count; m++) {
                if (item->near[m].record_no > n) {
                    offer(duplicate, &page, (uint32_t)n, &item->near[m]);
                }
            }
        }
    }
    *count_out = page.count;
    *left_out = page.all - page.count;
    return duplicate->failed ? ERR_MEMORY : ERR_OK;
}

bool
duplicate_explain(struct duplicate *duplicate, uint32_t a, uint32_t b, struct duplicate_score *score_out)
{
    const struct item *one = item_of(duplicate, a);
    const struct item *other = item_of(duplicate, b);
    struct found found = { b, PERSONS_UNKNOWN };
    struct side side;

    if (one == NULL || other == NULL || one->facts->person != other->facts->person) {
        return false;
    }
    gather(duplicate, a);
    for (size_t n = 0; n < duplicate->found_count; n++) {
        if (duplicate->found[n].record_no == b) {
            found = duplicate->found[n];
        }
    }
    take_side(duplicate, a, &side);
    compare(duplicate, &side, a, &found, INT_MIN, score_out);
    return true;
}

bool
duplicate_record(const struct duplicate *duplicate, uint32_t record_no, struct ident *record_id_out)
{
    const struct item *item = item_of(duplicate, record_no);

    if (item != NULL) {
        *record_id_out = item->record_id;
    }
    return item != NULL;
}

void
duplicate_limit(struct duplicate *duplicate, uint64_t pairs)
{
    duplicate->pair_max = pairs;
}

int
duplicate_floor(const struct duplicate *duplicate)
{
    return duplicate->floor;
}

size_t
duplicate_count(const struct duplicate *duplicate)
{
    return duplicate->item_count;
}

size_t
duplicate_bytes(const struct duplicate *duplicate)
{
    size_t bytes = sizeof *duplicate;

    if (duplicate->buckets != NULL) {
        bytes += buckets_bytes(duplicate->buckets);
    }
    bytes += duplicate->item_room * (sizeof *duplicate->items + sizeof *duplicate->found_at) +
             duplicate->found_room * sizeof *duplicate->found +
             duplicate->new_key_room * sizeof *duplicate->new_keys +
             (duplicate->groups == NULL ? 0 : (duplicate->item_room + 1) * sizeof *duplicate->groups) +
             (duplicate->persons.room + duplicate->cases.room) * sizeof(uint32_t);
    for (size_t n = 0; n < duplicate->item_room; n++) {
        const struct item *item = duplicate->items[n];

        if (item != NULL) {
            bytes += sizeof *item + duplicate_facts_bytes(item->facts) +
                     item->key_count * sizeof *item->keys + item->near_room * sizeof *item->near;
        }
    }
    return bytes;
}
