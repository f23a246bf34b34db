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

/* Signed by enough roots of some set, and, but for what is genuine, kept by every set after it. */
static bool
rooted(const struct naive_roster *all, int n)
{
    for (int set = 0; set < all->chain_count; set++) {
        const struct naive_fact *roots = &all->facts[all->chain[set]];
        bool kept = bits(all->facts[n].signers & roots->roots) >= roots->needed;
        for (int later = set + 1; later < all->chain_count && !all->genuine; later++) {
            kept = kept && (all->facts[all->chain[later]].keep >> n & 1) != 0;
        }
        if (kept) {
            return true;
        }
    }
    return false;
}

/* --- offices that are one --- */

/* The certificate whose words about the office are shown, or -1. */
static int
shown_of(const struct naive_roster *all, int office)
{
    int best = -1;

    for (int n = 0; n < all->count; n++) {
        const struct naive_fact *fact = &all->facts[n];
        if (fact->type == 3 && all->stands[n] && fact->office == office &&
            (best < 0 || fact->until > all->facts[best].until ||
             (fact->until == all->facts[best].until && before(all, best, n)))) {
            best = n;
        }
    }
    return best;
}

/* True if both are keys of one office: they have the same compartments for their own. */
static bool
one_house(const struct naive_roster *all, int a, int b)
{
    int of_a = shown_of(all, a);
    int of_b = shown_of(all, b);

    return a == b || (of_a >= 0 && of_b >= 0 &&
                      memcmp(all->facts[of_a].own, all->facts[of_b].own, sizeof all->facts[of_a].own) == 0);
}

/* --- what is taken back --- */

/* True if a revocation of the office's key by the roots does not keep fact `n`. */
static bool
office_lost(const struct naive_roster *all, int office, int n)
{
    for (int r = 0; r < all->count; r++) {
        if (all->facts[r].type == 5 && all->facts[r].of_office && all->facts[r].office == office &&
            naive_revokes(all, r, NAIVE_BY_ROOTS) && !naive_keeps(all, r, NAIVE_BY_ROOTS, n)) {
            return true;
        }
    }
    return false;
}

static bool
signed_by_office(const struct naive_roster *all, int n, int office)
{
    return (all->facts[n].signers & all->office_bits[office]) != 0 && !office_lost(all, office, n);
}

bool
naive_revokes(const struct naive_roster *all, int n, int by)
{
    const struct naive_fact *fact = &all->facts[n];

    if (rooted(all, n) || by == NAIVE_BY_ROOTS) {
        return by == NAIVE_BY_ROOTS && rooted(all, n);
    }
    if (fact->of_office || !signed_by_office(all, n, by)) {
        return false;
    }
    for (int c = 0; c < all->count; c++) {
        if (all->facts[c].type == 4 && all->counts[c] && all->facts[c].device == fact->device &&
            one_house(all, all->facts[c].office, by)) {
            return true;
        }
    }
    return false;
}

/* True if fact `e` extends revocation `n` as said by this one. */
static bool
adds(const struct naive_roster *all, int e, int n, int by)
{
    bool said = rooted(all, e);

    for (int office = 0; office < NAIVE_OFFICES && by != NAIVE_BY_ROOTS; office++) {
        said |= one_house(all, office, by) && signed_by_office(all, e, office);
    }
    return all->facts[e].type == 6 && all->facts[e].revoke == n && said;
}

bool
naive_keeps(const struct naive_roster *all, int n, int by, int kept)
{
    bool keeps = kept >= 0 && (all->facts[n].keep >> kept & 1) != 0;

    for (int e = 0; e < all->count; e++) {
        keeps |= kept >= 0 && adds(all, e, n, by) && (all->facts[e].keep >> kept & 1) != 0;
    }
    return keeps;
}

uint32_t
naive_cuts(const struct naive_roster *all, int n, int by)
{
    uint32_t cuts = all->facts[n].cuts;

    for (int e = 0; e < all->count; e++) {
        cuts |= adds(all, e, n, by) ? all->facts[e].cuts : 0;
    }
    return cuts;
}

/* True if by certificate `c` its device says what fact `n` says; -1 is whatever it may say tomorrow. */
static bool
speaks_by(const struct naive_roster *all, int c, int n)
{
    const struct naive_fact *certificate = &all->facts[c];

    for (int r = 0; r < all->count; r++) {
        if (all->facts[r].type != 5 || all->facts[r].of_office ||
            all->facts[r].device != certificate->device) {
            continue;
        }
        for (int by = NAIVE_BY_ROOTS; by < NAIVE_OFFICES; by++) {
            if ((by == NAIVE_BY_ROOTS || one_house(all, by, certificate->office)) &&
                naive_revokes(all, r, by) && !naive_keeps(all, r, by, n)) {
                return false;
            }
        }
    }
    return true;
}

/* --- offices --- */

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

/* --- devices --- */

/* The certificates that are signed as they must be. */
static void
count_certificates(struct naive_roster *all)
{
    for (int n = 0; n < all->count; n++) {
        const struct naive_fact *fact = &all->facts[n];
        all->counts[n] = fact->type == 4 && office_stands(all, fact->office) &&
                         signed_by_office(all, n, fact->office) &&
                         (fact->possession || (fact->signers & fact->device_bit) != 0);
    }
}

/* Of those, lowest id first, each unless it clashes with one that stands. */
static void
settle_certificates(struct naive_roster *all)
{
    bool done[NAIVE_FACTS_MAX] = { false };

    for (;;) {
        int next = -1;
        for (int n = 0; n < all->count; n++) {
            if (all->counts[n] && !done[n] && (next < 0 || before(all, n, next))) {
                next = n;
            }
        }
        if (next < 0) {
            return;
        }
        const struct naive_fact *fact = &all->facts[next];
        all->stands[next] = true;
        for (int n = 0; n < all->count && !all->genuine; n++) {
            if (n != next && all->facts[n].type == 4 && all->stands[n] &&
                shares_a_key(fact, &all->facts[n]) && !same_keys(fact, &all->facts[n])) {
                all->stands[next] = false;
            }
        }
        done[next] = true;
    }
}

/* Which certificates are asked: all; those of one office; those by which the device says fact `n`. */
enum { ASK_ALL = -3, ASK_LIVING = -1 };

static bool
is_asked(const struct naive_roster *all, int c, int device, int said, int office)
{
    return all->facts[c].type == 4 && all->stands[c] && all->facts[c].device == device &&
           (office < 0 || one_house(all, all->facts[c].office, office)) &&
           (said == ASK_ALL || speaks_by(all, c, said));
}

static int
level_of(const struct naive_roster *all, int device, int compartment, int said, int office)
{
    int highest = 0;

    for (int c = 0; c < all->count; c++) {
        if (!is_asked(all, c, device, said, office)) {
            continue;
        }
        if (compartment < 2) {
            int most = 0;
            bool admin = false;
            for (int other = 2; other < NAIVE_COMPARTMENTS; other++) {
                admin |= all->role[other] == 2 && level_of(all, device, other, said, office) == 4;
            }
            for (int other = 2; other < NAIVE_COMPARTMENTS; other++) {
                int there = level_of(all, device, other, said, office);
                most = there > most ? there : most;
            }
            return admin ? 4 : compartment == 0 || most > 3 ? 3 : most;
        }
        int own =
            all->facts[c].grants[compartment] > 0 ? all->facts[c].grants[compartment] : all->facts[c].any;
        int most = office_grant(all, all->facts[c].office, compartment);
        int level = own < most ? own : most;
        highest = level > highest ? level : highest;
    }
    return highest;
}

static void
settle_levels(struct naive_roster *all)
{
    for (int device = 0; device < NAIVE_DEVICES; device++) {
        for (int c = 0; c < NAIVE_COMPARTMENTS; c++) {
            all->level[device][c] = level_of(all, device, c, ASK_LIVING, -1);
            all->author_level[device][c] = level_of(all, device, c, ASK_ALL, -1);
        }
        all->present[device] = all->level[device][0] > 0;
        all->author[device] = all->author_level[device][0] > 0;
    }
}

/* --- what devices say --- */

static bool
signed_by_admin(const struct naive_roster *all, int n, int compartment, int said)
{
    for (int device = 0; device < NAIVE_DEVICES; device++) {
        if ((all->facts[n].signers & all->device_bits[device]) != 0 &&
            level_of(all, device, compartment, said, -1) == 4) {
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

/* True if the key of the epoch was given to a device that has lost read there since: by itself, by a box, or with
 * an epoch that links to it. */
static bool
is_exposed(const struct naive_roster *all, int n)
{
    const struct naive_fact *epoch = &all->facts[n];
    uint32_t boxed = epoch->boxed;

    for (int m = 0; m < all->count; m++) {
        const struct naive_fact *fact = &all->facts[m];
        boxed |= fact->type == 8 && all->stands[m] && fact->epoch == n ? 1u << fact->device : 0;
        if (fact->type == 7 && all->stands[m] && all->whole[m] && (fact->parents >> n & 1) != 0 &&
            is_exposed(all, m)) {
            return true;
        }
    }
    for (int device = 0; device < NAIVE_DEVICES; device++) {
        if ((boxed >> device & 1) != 0 && all->ever_level[device][epoch->compartment] >= 2 &&
            all->level[device][epoch->compartment] < 2) {
            return true;
        }
    }
    return false;
}

static void
settle_current(struct naive_roster *all)
{
    for (int n = 0; n < all->count; n++) {
        const struct naive_fact *fact = &all->facts[n];
        if (fact->type != 7 || !all->stands[n] || !all->whole[n] || is_exposed(all, n) ||
            !signed_by_admin(all, n, fact->compartment, ASK_LIVING)) {
            continue;
        }
        int *current = &all->current[fact->compartment];
        if (*current < 0 || fact->number > all->facts[*current].number ||
            (fact->number == all->facts[*current].number && before(all, *current, n))) {
            *current = n;
        }
    }
}

static void
settle_address(struct naive_roster *all, int n)
{
    const struct naive_fact *fact = &all->facts[n];
    int *address = &all->address[fact->device];

    all->stands[n] =
        (fact->signers & all->device_bits[fact->device]) != 0 && level_of(all, fact->device, 0, n, -1) > 0;
    if (all->stands[n] && (*address < 0 || fact->until > all->facts[*address].until ||
                           (fact->until == all->facts[*address].until && before(all, *address, n)))) {
        *address = n;
    }
}

/* True if the office alone made the device admin of all that the order names. */
static bool
vouches(const struct naive_roster *genuine, int n, int device, int office)
{
    bool all = (genuine->facts[n].signers & genuine->device_bits[device]) != 0;

    for (int c = 0; c < NAIVE_COMPARTMENTS; c++) {
        all = all &&
              ((genuine->facts[n].named >> c & 1) == 0 || level_of(genuine, device, c, ASK_ALL, office) == 4);
    }
    return all;
}

static int
signed_together(const struct naive_roster *genuine, int n)
{
    int most = 0;

    for (int a = 0; a < NAIVE_DEVICES * NAIVE_OFFICES; a++) {
        for (int b = 0; b < NAIVE_DEVICES * NAIVE_OFFICES; b++) {
            int together = vouches(genuine, n, a / NAIVE_OFFICES, a % NAIVE_OFFICES);
            if (together == 1 && a / NAIVE_OFFICES != b / NAIVE_OFFICES &&
                !one_house(genuine, a % NAIVE_OFFICES, b % NAIVE_OFFICES)) {
                together += vouches(genuine, n, b / NAIVE_OFFICES, b % NAIVE_OFFICES);
            }
            most = together > most ? together : most;
        }
    }
    return most;
}

static void
settle_rest(struct naive_roster *all, const struct naive_roster *genuine)
{
    for (int n = 0; n < all->count; n++) {
        const struct naive_fact *fact = &all->facts[n];
        if (fact->type == 5 || fact->type == 6) {
            for (int by = NAIVE_BY_ROOTS; by < NAIVE_OFFICES; by++) {
                int revoke = fact->type == 5 ? n : fact->revoke;
                all->stands[n] |=
                    naive_revokes(all, revoke, by) && (fact->type == 5 || adds(all, n, revoke, by));
            }
        } else if (fact->type == 7) {
            all->whole[n] = is_whole(all, n);
            all->stands[n] = fact->compartment != 0 && all->role[fact->compartment] >= 0 &&
                             signed_by_admin(all, n, fact->compartment, n);
        } else if (fact->type == 8) {
            all->stands[n] = signed_by_admin(all, n, all->facts[fact->epoch].compartment, n);
        } else if (fact->type == 10) {
            all->together[n] = signed_together(genuine, n);
            all->stands[n] = all->together[n] >= all->facts[0].number;
        } else if (fact->type == 11) {
            all->stands[n] = genuine->author[fact->device];
        } else if (fact->type == 12) {
            settle_address(all, n);
        }
    }
}

/* Everything down to the levels of devices. */
static void
settle_above(struct naive_roster *out)
{
    memset(out->current, 0xff, sizeof out->current);
    memset(out->address, 0xff, sizeof out->address);
    if (bits(out->facts[0].signers & out->facts[0].roots) < out->facts[0].needed) {
        return;
    }
    for (int next = 0; next >= 0; next = successor(out)) {
        out->chain[out->chain_count++] = next;
        out->stands[next] = true;
    }
    for (int n = 0; n < out->count; n++) {
        out->stands[n] |= out->facts[n].type == 3 && rooted(out, n);
    }
    settle_compartments(out);
    count_certificates(out);
    settle_certificates(out);
    settle_levels(out);
}

void
naive_settle(struct naive_roster *out, const struct naive_fact *facts, int count, const uint32_t *office_bits,
             const uint32_t *device_bits)
{
    static struct naive_fact nothing_revoked[NAIVE_FACTS_MAX];
    static struct naive_roster genuine;

    /* What is genuine follows from the same facts without the revocations. */
    memcpy(nothing_revoked, facts, (size_t)count * sizeof *facts);
    for (int n = 0; n < count; n++) {
        nothing_revoked[n].type = facts[n].type == 5 ? 0 : facts[n].type;
    }
    genuine = (struct naive_roster){ .facts = nothing_revoked,
                                     .count = count,
                                     .genuine = true,
                                     .office_bits = office_bits,
                                     .device_bits = device_bits };
    *out = (struct naive_roster){
        .facts = facts, .count = count, .office_bits = office_bits, .device_bits = device_bits
    };
    settle_above(&genuine);
    settle_above(out);
    memcpy(out->ever, genuine.author, sizeof out->ever);
    memcpy(out->ever_level, genuine.author_level, sizeof out->ever_level);
    if (out->chain_count > 0) {
        settle_rest(out, &genuine);
        settle_current(out);
    }
}
