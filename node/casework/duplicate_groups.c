#include "node/casework/duplicate.h"

#include "node/casework/buckets.h"
#include "store/base/cbor.h"

#include <stdlib.h>
#include <string.h>

struct member {
    uint32_t record_no;
    uint32_t group; /* the record_no that it is counted under */
    struct ident record_id;
};

struct duplicate_groups {
    const struct duplicate_source *source; /* while it is read */
    struct buckets *places;                /* record_no to place in `members`, while it is read */
    struct member *members;
    size_t count;
    size_t room;
    struct arena arena;
    struct arena other; /* of the record that a link leads to */
};

void
duplicate_groups_free(struct duplicate_groups **groups_in)
{
    struct duplicate_groups *groups = *groups_in;

    if (groups != NULL) {
        buckets_free(&groups->places);
        arena_free(&groups->arena);
        arena_free(&groups->other);
        free(groups->members);
        free(groups);
        *groups_in = NULL;
    }
}

/* --- links --- */

static bool
ident_of(struct span cbor, struct ident *out)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    cbor_read_exact(&in, out->bytes, sizeof out->bytes);
    return cbor_done(&in);
}

/* Does the record say so of the other? */
static bool
says(const struct record_summary *summary, uint32_t field, const struct ident *other)
{
    struct ident said;

    for (size_t n = 0; n < summary->item_count; n++) {
        const struct record_item *item = &summary->items[n];

        for (size_t m = 0; item->target.field == field && m < item->shown_count; m++) {
            if (ident_of(item->shown[m], &said) && ident_equal(&said, other)) {
                return true;
            }
        }
    }
    return false;
}

/* The record of this id, in whatever office. ERR_ABSENT: none that can be read. */
static enum err
find_record(const struct duplicate_source *source, const struct ident *record_id, uint32_t *record_no_out)
{
    enum err err = ERR_ABSENT;

    for (size_t n = 0; err == ERR_ABSENT && n < roster_compartment_count(source->roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(source->roster, n);

        if (compartment->role == COMPARTMENT_CASES) {
            err = record_find(source->txn, &compartment->id, record_id, record_no_out);
        }
    }
    return err;
}

static bool
is_member(const struct duplicate_groups *groups, uint32_t record_no)
{
    return buckets_first(groups->places, record_no) != BUCKETS_END;
}

static enum err
add_member(struct duplicate_groups *groups, uint32_t record_no, const struct ident *record_id)
{
    if (groups->count == groups->room) {
        size_t room = groups->room == 0 ? 16 : 2 * groups->room;
        struct member *members = realloc(groups->members, room * sizeof *members);

        if (members == NULL) {
            return ERR_MEMORY;
        }
        groups->members = members;
        groups->room = room;
    }
    if (!buckets_add(groups->places, record_no, (uint32_t)groups->count)) {
        return ERR_MEMORY;
    }
    groups->members[groups->count] = (struct member){ .record_no = record_no, .record_id = *record_id };
    groups->count++;
    return ERR_OK;
}

/* One says that it is the same as the other: if both can be seen, and neither says that they are two, both are members. */
static enum err
follow_link(struct duplicate_groups *groups, const struct record_summary *from, uint32_t record_no)
{
    const struct duplicate_source *source = groups->source;
    struct record_summary to;

    if (is_member(groups, record_no)) {
        return ERR_OK;
    }
    arena_reset(&groups->other);
    enum err err = record_summary_read(source->txn, source->codebook, record_no, &groups->other, &to);
    if (err == ERR_ABSENT || err == ERR_CORRUPT) {
        return ERR_OK; /* it was erased, or is counted by table */
    }
    if (err != ERR_OK || to.restricted || to.kind != from->kind ||
        says(from, FIELD_NOT_SAME_AS, &to.record_id) || says(&to, FIELD_NOT_SAME_AS, &from->record_id)) {
        return err;
    }
    return add_member(groups, record_no, &to.record_id);
}

/* The links that the record has. */
static enum err
follow_own(struct duplicate_groups *groups, const struct record_summary *from)
{
    enum err err = ERR_OK;

    for (size_t n = 0; n < from->item_count && err == ERR_OK; n++) {
        const struct record_item *item = &from->items[n];

        for (size_t m = 0; item->target.field == FIELD_SAME_AS && m < item->shown_count && err == ERR_OK;
             m++) {
            struct ident other;
            uint32_t record_no = 0;

            err = ident_of(item->shown[m], &other) ? find_record(groups->source, &other, &record_no)
                                                   : ERR_ABSENT;
            if (err == ERR_OK) {
                err = follow_link(groups, from, record_no);
            } else if (err == ERR_ABSENT || err == ERR_CORRUPT) {
                err = ERR_OK;
            }
        }
    }
    return err;
}

/* The links that others have to it. */
static enum err
follow_theirs(struct duplicate_groups *groups, const struct record_summary *from)
{
    struct buf token = { 0 };
    struct index_walk walk;
    uint32_t record_no = 0;
    enum err err = ERR_OK;

    cbor_put_bytes(&token, ident_span(&from->record_id));
    if (token.failed) {
        buf_free(&token);
        return ERR_MEMORY;
    }
    const struct index_term term = { FIELD_SAME_AS, buf_span(&token) };
    index_walk_init(&walk, groups->source->txn, &term, 1, UINT32_MAX);
    while (err == ERR_OK && index_walk_next(&walk, &record_no)) {
        err = follow_link(groups, from, record_no);
    }
    index_walk_end(&walk);
    buf_free(&token);
    return err;
}

static int
member_order(const void *a, const void *b)
{
    const struct member *left = a;
    const struct member *right = b;

    return ident_compare(&left->record_id, &right->record_id);
}

/* Where its members begin: they follow one another. */
static void
end_group(struct duplicate_groups *groups, size_t first)
{
    size_t count = groups->count - first;

    if (count < 2) {
        groups->count = first; /* it is alone */
        return;
    }
    qsort(&groups->members[first], count, sizeof *groups->members, member_order);
    for (size_t n = first; n < groups->count; n++) {
        groups->members[n].group = groups->members[first].record_no;
    }
}

/* The group of one record, unless it is known. */
static enum err
explore(struct duplicate_groups *groups, uint32_t record_no)
{
    const struct duplicate_source *source = groups->source;
    size_t first = groups->count;
    enum err err = ERR_OK;

    if (is_member(groups, record_no)) {
        return ERR_OK;
    }
    for (size_t at = first; err == ERR_OK && (at == first || at < groups->count); at++) {
        struct record_summary summary;
        uint32_t from = at == first && groups->count == first ? record_no : groups->members[at].record_no;

        arena_reset(&groups->arena);
        err = record_summary_read(source->txn, source->codebook, from, &groups->arena, &summary);
        if (err == ERR_ABSENT || err == ERR_CORRUPT || (err == ERR_OK && summary.restricted)) {
            err = ERR_OK;
            break;
        }
        if (err == ERR_OK && at == first) {
            err = add_member(groups, record_no, &summary.record_id);
        }
        if (err == ERR_OK) {
            err = follow_own(groups, &summary);
        }
        if (err == ERR_OK) {
            err = follow_theirs(groups, &summary);
        }
    }
    end_group(groups, first);
    return err;
}

/* Every record that has a link. */
static enum err
explore_all(struct duplicate_groups *groups)
{
    const struct duplicate_source *source = groups->source;
    const struct index_count *counts = NULL;
    struct arena arena = { 0 };
    size_t count = 0;
    enum err err = index_counts(source->txn, FIELD_SAME_AS, &arena, &counts, &count);

    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        const struct index_term term = { FIELD_SAME_AS, counts[n].token };
        struct index_walk walk;
        uint32_t record_no = 0;

        index_walk_init(&walk, source->txn, &term, 1, UINT32_MAX);
        while (err == ERR_OK && index_walk_next(&walk, &record_no)) {
            err = explore(groups, record_no);
        }
        index_walk_end(&walk);
    }
    arena_free(&arena);
    return err;
}

static int
number_order(const void *a, const void *b)
{
    const struct member *left = a;
    const struct member *right = b;

    return (left->record_no > right->record_no) - (left->record_no < right->record_no);
}

enum err
duplicate_groups_read(const struct duplicate_source *source, uint32_t record_no,
                      struct duplicate_groups **groups_out)
{
    struct duplicate_groups *groups = calloc(1, sizeof *groups);

    *groups_out = NULL;
    if (groups == NULL) {
        return ERR_MEMORY;
    }
    groups->source = source;
    groups->places = buckets_new();
    enum err err = groups->places == NULL ? ERR_MEMORY
                   : record_no != 0       ? explore(groups, record_no)
                                          : explore_all(groups);
    groups->source = NULL;
    buckets_free(&groups->places);
    arena_free(&groups->arena);
    arena_free(&groups->other);
    if (err != ERR_OK) {
        duplicate_groups_free(&groups);
    } else if (groups->count > 0) {
        qsort(groups->members, groups->count, sizeof *groups->members, number_order);
    }
    *groups_out = groups;
    return err;
}

/* --- asking --- */

static const struct member *
member_of(const struct duplicate_groups *groups, uint32_t record_no)
{
    const struct member key = { .record_no = record_no };

    return groups->count == 0
               ? NULL
               : bsearch(&key, groups->members, groups->count, sizeof *groups->members, number_order);
}

uint32_t
duplicate_group_of(const struct duplicate_groups *groups, uint32_t record_no)
{
    const struct member *member = member_of(groups, record_no);

    return member == NULL ? record_no : member->group;
}

bool
duplicate_is_grouped(const struct duplicate_groups *groups, uint32_t record_no)
{
    return member_of(groups, record_no) != NULL;
}

size_t
duplicate_member_count(const struct duplicate_groups *groups)
{
    return groups->count;
}

uint32_t
duplicate_member(const struct duplicate_groups *groups, size_t n)
{
    return groups->members[n].record_no;
}
