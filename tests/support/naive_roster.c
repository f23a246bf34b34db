#include "tests/support/naive_roster.h"

#include <string.h>

static int
bits(uint32_t set)
{
    int count = 0;

    for (; set != 0; set &= set - 1) {
        count++;
    }
    return count;
}

static bool
before(const struct naive_roster *all, int a, int b)
{
    return memcmp(all->facts[a].id, all->facts[b].id, 32) < 0;
}

/* The successor of the last root set, or -1. */
static int
successor(const struct naive_roster *all)
{
    int last = all->chain[all->chain_count - 1];
    int best = -1;
    int best_signed = 0;

    for (int n = 0; n < all->count; n++) {
        const struct naive_fact *fact = &all->facts[n];
        int count = bits(fact->signers & all->facts[last].roots);
        if (fact->type != 2 || fact->before != last || count < all->facts[last].needed) {
            continue;
        }
        if (best < 0 || count > best_signed || (count == best_signed && before(all, n, best))) {
            best = n;
            best_signed = count;
        }
    }
    return best;
}

/* Signed by enough roots of some set, and kept by every set after it. */
static bool
rooted(const struct naive_roster *all, int n)
{
    for (int set = 0; set < all->chain_count; set++) {
        const struct naive_fact *roots = &all->facts[all->chain[set]];
        bool kept = bits(all->facts[n].signers & roots->roots) >= roots->needed;
        for (int later = set + 1; later < all->chain_count; later++) {
            kept = kept && (all->facts[all->chain[later]].keep >> n & 1) != 0;
        }
        if (kept) {
            return true;
        }
    }
    return false;
}

static int
office_grant(const struct naive_roster *all, int office, int compartment)
{
    int most = 0;

    for (int n = 0; n < all->count; n++) {
        const struct naive_fact *fact = &all->facts[n];
        if (fact->type == 3 && all->stands[n] && fact->office == office && fact->grants[compartment] > most) {
            most = fact->grants[compartment];
        }
    }
    return most;
}

static bool
office_stands(const struct naive_roster *all, int office)
{
    for (int n = 0; n < all->count; n++) {
        if (all->facts[n].type == 3 && all->stands[n] && all->facts[n].office == office) {
            return true;
        }
    }
    return false;
}

/* The certificate whose claim to the compartment counts, or -1; and in which of its three places. */
static int
claim_of(const struct naive_roster *all, int compartment, int *place)
{
    int best = -1;

    for (int n = 0; n < all->count; n++) {
        for (int own = 0; own < 3; own++) {
            if (all->facts[n].type == 3 && all->stands[n] && all->facts[n].own[own] == compartment &&
                (best < 0 || before(all, n, best))) {
                best = n;
                *place = own;
            }
        }
    }
    return best;
}

static void
settle_compartments(struct naive_roster *all)
{
    for (int c = 0; c < NAIVE_COMPARTMENTS; c++) {
        int place = 0;
        int claim = claim_of(all, c, &place);
        all->role[c] = -1;
        all->owner[c] = -1;
        all->twin[c] = -1;
        if (c < 2) {
            all->role[c] = c;
            continue;
        }
        for (int office = 0; office < NAIVE_OFFICES; office++) {
            all->role[c] = office_grant(all, office, c) > 0 ? 5 : all->role[c];
        }
        if (claim >= 0) {
            all->role[c] = 2 + place;
            all->owner[c] = all->facts[claim].office;
        }
        if (claim >= 0 && place < 2) {
            int other = all->facts[claim].own[1 - place];
            int other_place = 0;
            int other_claim = other < 2 ? -1 : claim_of(all, other, &other_place);
            if (other_claim >= 0 && other_place == 1 - place && all->facts[other_claim].own[place] == c &&
                all->facts[other_claim].office == all->facts[claim].office) {
                all->twin[c] = other;
            }
        }
    }
}

static bool
shares_a_key(const struct naive_fact *a, const struct naive_fact *b)
{
    return a->device == b->device || a->box_key == b->box_key || a->transport_key == b->transport_key ||
           a->box_key == b->transport_key || a->transport_key == b->box_key;
}

static bool
same_keys(const struct naive_fact *a, const struct naive_fact *b)
{
    return a->device == b->device && a->box_key == b->box_key && a->transport_key == b->transport_key;
}

/* The certificates, lowest id first, each unless it clashes with one that stands. */
static void
settle_certificates(struct naive_roster *all)
{
    bool done[NAIVE_FACTS_MAX] = { false };

    for (;;) {
        int next = -1;
        for (int n = 0; n < all->count; n++) {
            if (all->facts[n].type == 4 && !done[n] && (next < 0 || before(all, n, next))) {
                next = n;
            }
        }
        if (next < 0) {
            return;
        }
        const struct naive_fact *fact = &all->facts[next];
        bool good = office_stands(all, fact->office) && (fact->signers & fact->office_bit) != 0 &&
                    (fact->possession || (fact->signers & fact->device_bit) != 0);
        for (int n = 0; n < all->count; n++) {
            if (all->facts[n].type == 4 && all->stands[n] && shares_a_key(fact, &all->facts[n]) &&
                !same_keys(fact, &all->facts[n])) {
                good = false;
            }
        }
        done[next] = true;
        all->stands[next] = good;
        all->present[fact->device] |= good;
    }
}

static void
settle_levels(struct naive_roster *all)
{
    for (int n = 0; n < all->count; n++) {
        const struct naive_fact *fact = &all->facts[n];
        for (int c = 2; c < NAIVE_COMPARTMENTS && fact->type == 4 && all->stands[n]; c++) {
            int own = fact->grants[c] > 0 ? fact->grants[c] : fact->any;
            int most = office_grant(all, fact->office, c);
            int level = own < most ? own : most;
            if (level > all->level[fact->device][c]) {
                all->level[fact->device][c] = level;
            }
        }
    }
    for (int device = 0; device < NAIVE_DEVICES; device++) {
        bool admin = false;
        for (int c = 2; c < NAIVE_COMPARTMENTS; c++) {
            admin |= all->role[c] == 2 && all->level[device][c] == 4;
        }
        for (int c = 0; c < 2; c++) {
            all->level[device][c] = !all->present[device] ? 0 : admin ? 4 : 3;
        }
    }
}

static bool
signed_by_admin(const struct naive_roster *all, int n, int compartment, const uint32_t *device_bits)
{
    for (int device = 0; device < NAIVE_DEVICES; device++) {
        if ((all->facts[n].signers & device_bits[device]) != 0 && all->level[device][compartment] == 4) {
            return true;
        }
    }
    return false;
}

static bool
is_whole(const struct naive_roster *all, int n)
{
    const struct naive_fact *fact = &all->facts[n];
    int highest = 0;

    for (int parent = 0; parent < all->count; parent++) {
        if ((fact->parents >> parent & 1) == 0) {
            continue;
        }
        const struct naive_fact *named = &all->facts[parent];
        if (named->compartment != fact->compartment || !is_whole(all, parent)) {
            return false;
        }
        highest = named->number > highest ? named->number : highest;
    }
    return fact->number == highest + 1;
}

static void
settle_rest(struct naive_roster *all, const uint32_t *device_bits)
{
    for (int n = 0; n < all->count; n++) {
        const struct naive_fact *fact = &all->facts[n];
        if (fact->type == 7) {
            int *current = &all->current[fact->compartment];
            all->whole[n] = is_whole(all, n);
            all->stands[n] = fact->compartment != 0 && all->role[fact->compartment] >= 0 &&
                             signed_by_admin(all, n, fact->compartment, device_bits);
            if (all->stands[n] && all->whole[n] &&
                (*current < 0 || fact->number > all->facts[*current].number ||
                 (fact->number == all->facts[*current].number && before(all, *current, n)))) {
                *current = n;
            }
        } else if (fact->type == 8) {
            all->stands[n] = signed_by_admin(all, n, all->facts[fact->epoch].compartment, device_bits);
        } else if (fact->type == 12 && all->present[fact->device]) {
            int *address = &all->address[fact->device];
            all->stands[n] = (fact->signers & device_bits[fact->device]) != 0;
            if (all->stands[n] && (*address < 0 || fact->until > all->facts[*address].until ||
                                   (fact->until == all->facts[*address].until && before(all, *address, n)))) {
                *address = n;
            }
        }
    }
}

void
naive_settle(struct naive_roster *out, const struct naive_fact *facts, int count,
             const uint32_t device_bits[NAIVE_DEVICES])
{
    memset(out, 0, sizeof *out);
    memset(out->current, 0xff, sizeof out->current);
    memset(out->address, 0xff, sizeof out->address);
    out->facts = facts;
    out->count = count;
    if (bits(facts[0].signers & facts[0].roots) < facts[0].needed) {
        return;
    }
    for (int next = 0; next >= 0; next = successor(out)) {
        out->chain[out->chain_count++] = next;
        out->stands[next] = true;
    }
    for (int n = 0; n < count; n++) {
        out->stands[n] |= facts[n].type == 3 && rooted(out, n);
    }
    settle_compartments(out);
    settle_certificates(out);
    settle_levels(out);
    settle_rest(out, device_bits);
}
