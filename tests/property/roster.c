/* Random organisations, good and bad, against the naive roster: what stands is a function of the set of
 * statements, whatever the order in which they and their signatures came. */
#include "sync/roster.h"
#include "sync/update.h"
#include "tests/support/check.h"
#include "tests/support/naive_roster.h"
#include "tests/support/org.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORLDS = 100,
    ORDERS = 3,
    FACTS = 56,
    ROOTS = 5,
    BOX_KEYS = 7,
    SIGNERS = ROOTS + NAIVE_OFFICES + NAIVE_DEVICES,
    CUTS = 6,
};

static struct test_world world;
static struct key_pair signers[SIGNERS]; /* roots, offices, devices */
static uint8_t box_keys[BOX_KEYS][32];
static struct ident compartments[NAIVE_COMPARTMENTS];
static struct hash device_ids[NAIVE_DEVICES];
static uint32_t device_bits[NAIVE_DEVICES];
static uint32_t office_bits[NAIVE_OFFICES];
static struct hash org_id;

static struct naive_fact facts[NAIVE_FACTS_MAX];
static struct buf stmts[NAIVE_FACTS_MAX];
static uint32_t bad_signers[NAIVE_FACTS_MAX]; /* whose signatures are there and do not verify */
static int fact_count;
static struct naive_roster expected;

static uint32_t
below(uint32_t bound)
{
    uint8_t bytes[4];

    world_random(&world.world, bytes, sizeof bytes);
    return bytes_read_u32(bytes) % bound;
}

static bool
chance(uint32_t percent)
{
    return below(100) < percent;
}

static const struct key_pair *
device_pair(int device)
{
    return &signers[ROOTS + NAIVE_OFFICES + device];
}

static void
make_keys(uint64_t seed)
{
    test_world_init(&world, seed);
    for (size_t n = 0; n < SIGNERS; n++) {
        crypto_sign_pair(&signers[n], &world.world);
    }
    for (size_t n = 0; n < BOX_KEYS; n++) {
        struct key_pair pair;
        crypto_box_pair(&pair, &world.world);
        memcpy(box_keys[n], pair.public_key, 32);
    }
    for (size_t n = 0; n < NAIVE_COMPARTMENTS; n++) {
        world_random(&world.world, compartments[n].bytes, IDENT_BYTES);
    }
    for (int n = 0; n < NAIVE_OFFICES; n++) {
        office_bits[n] = 1u << (ROOTS + n);
    }
    for (int n = 0; n < NAIVE_DEVICES; n++) {
        device_id_of(device_pair(n)->public_key, &device_ids[n]);
        device_bits[n] = 1u << (ROOTS + NAIVE_OFFICES + n);
    }
}

/* --- lists --- */

static size_t item_size;

static int
item_order(const void *a, const void *b)
{
    return memcmp(a, b, item_size);
}

/* Put the items of a list, all of one size, into ascending order. */
static struct statement_list
sorted_list(struct buf *items, size_t count)
{
    item_size = count == 0 ? 0 : items->size / count;
    if (count > 0) {
        qsort(items->data, count, item_size, item_order);
    }
    return statement_list_of(items, count);
}

static struct statement_list
root_list(struct buf *items, uint32_t roots)
{
    size_t count = 0;

    for (size_t n = 0; n < ROOTS; n++) {
        if ((roots >> n & 1) != 0) {
            statement_put_key(items, signers[n].public_key);
            count++;
        }
    }
    return sorted_list(items, count);
}

static struct statement_list
fact_list(struct buf *items, uint64_t set, bool parents)
{
    static const uint8_t link[EPOCH_LINK_BYTES];
    size_t count = 0;

    for (int n = 0; n < fact_count; n++) {
        struct hash id;
        if ((set >> n & 1) == 0) {
            continue;
        }
        memcpy(id.bytes, facts[n].id, HASH_BYTES);
        if (parents) {
            statement_put_parent(items, &id, link);
        } else {
            statement_put_key(items, id.bytes);
        }
        count++;
    }
    return sorted_list(items, count);
}

static struct statement_list
box_list(struct buf *items, uint32_t boxed)
{
    static const uint8_t sealed[EPOCH_BOX_BYTES];
    size_t count = 0;

    for (int n = 0; n < NAIVE_DEVICES; n++) {
        if ((boxed >> n & 1) != 0) {
            statement_put_box(items, &device_ids[n], sealed);
            count++;
        }
    }
    return sorted_list(items, count);
}

static struct statement_cut
cut_number(int n)
{
    return (struct statement_cut){ { { (uint8_t)(1 + n / 2) } }, (uint64_t)(n * 100), { { (uint8_t)n } } };
}

static struct statement_list
cut_list(struct buf *items, uint32_t cuts)
{
    size_t count = 0;

    for (int n = 0; n < CUTS; n++) {
        if ((cuts >> n & 1) != 0) {
            struct statement_cut cut = cut_number(n);
            statement_put_cut(items, &cut);
            count++;
        }
    }
    return statement_list_of(items, count);
}

static struct statement_list
grant_list(struct buf *items, const int grants[NAIVE_COMPARTMENTS])
{
    size_t count = 0;

    for (size_t n = 0; n < NAIVE_COMPARTMENTS; n++) {
        if (grants[n] > 0) {
            statement_put_grant(items, &compartments[n], (enum level)grants[n]);
            count++;
        }
    }
    return sorted_list(items, count);
}

static void
draw_grants(struct naive_fact *fact)
{
    for (int n = 2; n < NAIVE_COMPARTMENTS; n++) {
        fact->grants[n] = chance(50) ? 0 : chance(40) ? 4 : 1 + (int)below(4);
    }
}

/* --- what each type says, at random, in numbers and in bytes; false: nothing to say yet --- */

/* A fact of this type that is there, or -1. */
static int
some_fact(uint32_t type)
{
    int found = -1;

    for (int n = 0, seen = 0; n < fact_count; n++) {
        if (facts[n].type == type && below((uint32_t)++seen) == 0) {
            found = n;
        }
    }
    return found;
}

static bool
draw_founding(struct naive_fact *fact, struct statement *statement, struct buf *list)
{
    fact->roots = (1u << ROOTS) - 1;
    fact->needed = 2;
    statement->organisation.name = span_text("Random");
    statement->organisation.roots = root_list(list, fact->roots);
    statement->organisation.needed = 2;
    statement->organisation.control = compartments[0];
    statement->organisation.shared = compartments[1];
    fact->number = chance(80) ? 2 : 1;
    statement->organisation.erasure_signatures = (uint32_t)fact->number;
    return true;
}

static bool
draw_roots(struct naive_fact *fact, struct statement *statement, struct buf *list, struct buf *more)
{
    fact->before = chance(70) ? 0 : some_fact(STATEMENT_ROOTS);
    if (fact->before < 0) {
        return false;
    }
    fact->roots = 1 + below((1u << ROOTS) - 1);
    fact->needed = 1;
    fact->needed += (fact->roots & (fact->roots - 1)) != 0 && chance(60);
    for (int n = 0; n < fact_count; n++) {
        fact->keep |= (uint64_t)chance(80) << n;
    }
    memcpy(statement->roots.before.bytes, facts[fact->before].id, HASH_BYTES);
    statement->roots.roots = root_list(list, fact->roots);
    statement->roots.needed = (uint32_t)fact->needed;
    statement->roots.keep = fact_list(more, fact->keep, false);
    return true;
}

static bool
draw_office(struct naive_fact *fact, struct statement *statement, struct buf *list)
{
    for (int n = 0; n < 3; n++) {
        /* Mostly threes of their own, sometimes a muddle. */
        fact->own[n] = chance(80) ? 2 + 3 * (fact->office % 2) + n : (int)below(NAIVE_COMPARTMENTS);
    }
    if (fact->own[0] == fact->own[1] || fact->own[0] == fact->own[2] || fact->own[1] == fact->own[2]) {
        return false;
    }
    draw_grants(fact);
    memcpy(statement->office.office_pk, signers[ROOTS + fact->office].public_key, SIGN_PK_BYTES);
    statement->office.code = span_text("X");
    statement->office.name = span_text("X");
    statement->office.until = (uint64_t)fact->until;
    for (int n = 0; n < 3; n++) {
        statement->office.own[n] = compartments[fact->own[n]];
    }
    statement->office.grants = grant_list(list, fact->grants);
    return true;
}

static bool
draw_device(struct naive_fact *fact, struct statement *statement, struct buf *list, struct buf *more)
{
    struct device_body *body = &statement->device;

    fact->box_key = chance(85) ? fact->device : (int)below(BOX_KEYS);
    fact->transport_key = chance(85) ? (fact->device + 1) % BOX_KEYS : (int)below(BOX_KEYS);
    if (chance(60)) {
        /* Devices whose keys are all their own. */
        fact->device = 2 * (fact->device / 2);
        fact->device_bit = device_bits[fact->device];
        fact->box_key = fact->device;
        fact->transport_key = fact->device + 1;
    }
    if (fact->box_key == fact->transport_key) {
        return false;
    }
    fact->any = chance(40) ? 4 : (int)below(5);
    if (chance(60)) {
        draw_grants(fact);
    }
    memcpy(body->sign_pk, device_pair(fact->device)->public_key, SIGN_PK_BYTES);
    memcpy(body->box_pk, box_keys[fact->box_key], 32);
    memcpy(body->transport_pk, box_keys[fact->transport_key], 32);
    memcpy(body->office_pk, signers[ROOTS + fact->office].public_key, SIGN_PK_BYTES);
    body->grants = grant_list(list, fact->grants);
    body->any = (enum level)fact->any;
    body->name = span_text("d");
    body->until = (uint64_t)fact->until;
    fact->possession = chance(40);
    if (fact->possession) {
        uint8_t *proof = buf_extend(more, SIGNATURE_BYTES);
        statement_possession_make(proof, device_pair(fact->device), body->box_pk, body->transport_pk);
        body->possession = proof;
    }
    return true;
}

static bool
draw_epoch(struct naive_fact *fact, struct statement *statement, struct buf *list, struct buf *more)
{
    fact->compartment = chance(60) ? 2 : (int)below(NAIVE_COMPARTMENTS);
    fact->number = 1;
    for (int n = 0; n < fact_count; n++) {
        bool parent = facts[n].type == STATEMENT_EPOCH && chance(30) &&
                      (facts[n].compartment == fact->compartment || chance(10));
        fact->parents |= (uint64_t)parent << n;
        fact->number = parent && facts[n].number >= fact->number ? facts[n].number + 1 : fact->number;
    }
    if (fact->parents != 0 && chance(15)) {
        fact->number++;
    }
    for (int n = 0; n < NAIVE_DEVICES; n++) {
        fact->boxed |= chance(20) ? 1u << n : 0;
    }
    statement->epoch.parents = fact_list(list, fact->parents, true);
    statement->epoch.boxes = box_list(more, fact->boxed);
    statement->epoch.compartment = compartments[fact->compartment];
    statement->epoch.number = (uint64_t)fact->number;
    return true;
}

static bool
draw_box(struct naive_fact *fact, struct statement *statement)
{
    static const uint8_t sealed[EPOCH_BOX_BYTES];

    fact->epoch = some_fact(STATEMENT_EPOCH);
    if (fact->epoch < 0) {
        return false;
    }
    memcpy(statement->box.epoch_id.bytes, facts[fact->epoch].id, HASH_BYTES);
    statement->box.device_id = device_ids[fact->device];
    statement->box.sealed = sealed;
    return true;
}

static bool
draw_address(struct naive_fact *fact, struct statement *statement, struct buf *list)
{
    buf_printf(list, "tcp://%d", fact_count);
    statement->address.device_id = device_ids[fact->device];
    statement->address.endpoint = buf_span(list);
    statement->address.until = (uint64_t)fact->until;
    return true;
}

/* What a revocation or an extension lets pass. */
static void
draw_let_pass(struct naive_fact *fact)
{
    uint32_t percent = below(3) * 40;

    fact->cuts = below(1u << CUTS);
    for (int n = 0; n < fact_count; n++) {
        fact->keep |= (uint64_t)chance(percent) << n;
    }
}

static bool
draw_revoke(struct naive_fact *fact, struct statement *statement, struct buf *list, struct buf *more)
{
    int certificate = some_fact(STATEMENT_DEVICE);

    fact->of_office = certificate < 0 || chance(20);
    if (!fact->of_office) {
        fact->device = facts[certificate].device;
        fact->office = chance(80) ? facts[certificate].office : fact->office;
    }
    draw_let_pass(fact);
    memcpy(statement->revoke.key,
           fact->of_office ? signers[ROOTS + fact->office].public_key : device_pair(fact->device)->public_key,
           SIGN_PK_BYTES);
    statement->revoke.reason = below(8);
    statement->revoke.cuts = cut_list(list, fact->cuts);
    statement->revoke.keep = fact_list(more, fact->keep, false);
    return true;
}

static bool
draw_extend(struct naive_fact *fact, struct statement *statement, struct buf *list, struct buf *more)
{
    fact->revoke = some_fact(STATEMENT_REVOKE);
    if (fact->revoke < 0) {
        return false;
    }
    draw_let_pass(fact);
    fact->office = facts[fact->revoke].office;
    memcpy(statement->extend.revoke.bytes, facts[fact->revoke].id, HASH_BYTES);
    statement->extend.cuts = cut_list(list, fact->cuts);
    statement->extend.keep = fact_list(more, fact->keep, false);
    return true;
}

static bool
draw_erase(struct naive_fact *fact, struct statement *statement, struct buf *list)
{
    size_t count = 0;

    for (int n = 2; n < NAIVE_COMPARTMENTS; n++) {
        if (chance(n == 2 ? 70 : 15)) {
            struct key erase_key = { { (uint8_t)below(3) } };
            fact->named |= 1u << n;
            statement_put_erase(list, &compartments[n], &erase_key);
            count++;
        }
    }
    statement->erase.keys = sorted_list(list, count);
    statement->erase.order.bytes[0] = (uint8_t)below(3);
    return count > 0;
}

/* Two first entries of one log, each signed by the device. */
static bool
draw_fork(const struct naive_fact *fact, struct statement *statement, struct buf *list)
{
    struct descriptor descriptor = { .compartment = compartments[2], .lane = LANE_NORMAL };
    uint8_t headers[2][HEADER_BYTES];
    uint8_t signatures[2][SIGNATURE_BYTES];
    struct fork_branch branches[2];
    struct statement_list none = { 0 };
    struct buf whole = { 0 };
    struct hash log_id;

    memcpy(descriptor.sign_pk, device_pair(fact->device)->public_key, SIGN_PK_BYTES);
    descriptor_log_id(&descriptor, &log_id);
    for (int n = 0; n < 2; n++) {
        struct entry entry = { .lane = LANE_NORMAL, .payload_size = 16 };
        world_random(&world.world, entry.salt, sizeof entry.salt);
        entry_identify(&entry, &log_id);
        entry_header_write(headers[n], &entry);
        entry_sign(signatures[n], &entry.id, device_pair(fact->device));
        branches[n] = (struct fork_branch){ headers[n], 1, signatures[n] };
    }
    ck_assert_int_eq(statement_fork_make(&whole, &org_id, &descriptor, branches, NULL), ERR_OK);
    ck_assert(statement_read(buf_span(&whole), statement));
    /* What was read lends from what is freed here. */
    buf_put_span(list, statement->bytes);
    buf_free(&whole);
    statement->signers = none;
    return statement_read_bare(buf_span(list), statement);
}

static bool
draw_fact(struct naive_fact *fact, struct statement *statement, struct buf *list, struct buf *more)
{
    static const uint32_t types[] = {
        STATEMENT_ROOTS,  STATEMENT_OFFICE,  STATEMENT_OFFICE, STATEMENT_OFFICE, STATEMENT_DEVICE,
        STATEMENT_DEVICE, STATEMENT_DEVICE,  STATEMENT_DEVICE, STATEMENT_EPOCH,  STATEMENT_EPOCH,
        STATEMENT_BOX,    STATEMENT_ADDRESS, STATEMENT_EPOCH,  STATEMENT_REVOKE, STATEMENT_REVOKE,
        STATEMENT_EXTEND, STATEMENT_ERASE,   STATEMENT_ERASE,  STATEMENT_DEVICE, STATEMENT_FORK_PROOF,
    };

    fact->type = fact_count == 0 ? STATEMENT_ORGANISATION : types[below(sizeof types / sizeof types[0])];
    fact->office = (int)below(NAIVE_OFFICES);
    fact->office_bit = 1u << (ROOTS + fact->office);
    fact->device = (int)below(NAIVE_DEVICES);
    fact->device_bit = device_bits[fact->device];
    fact->until = (int)below(3);
    statement->type = fact->type;
    statement->org = org_id;
    switch (fact->type) {
    case STATEMENT_ORGANISATION:
        return draw_founding(fact, statement, list);
    case STATEMENT_ROOTS:
        return draw_roots(fact, statement, list, more);
    case STATEMENT_OFFICE:
        return draw_office(fact, statement, list);
    case STATEMENT_DEVICE:
        return draw_device(fact, statement, list, more);
    case STATEMENT_EPOCH:
        return draw_epoch(fact, statement, list, more);
    case STATEMENT_BOX:
        return draw_box(fact, statement);
    case STATEMENT_REVOKE:
        return draw_revoke(fact, statement, list, more);
    case STATEMENT_EXTEND:
        return draw_extend(fact, statement, list, more);
    case STATEMENT_ERASE:
        return draw_erase(fact, statement, list);
    case STATEMENT_FORK_PROOF:
        return draw_fork(fact, statement, list);
    default:
        return draw_address(fact, statement, list);
    }
}

/* Who signs: mostly those who should, and now and then somebody else; never nobody. */
static uint32_t
draw_signers(const struct naive_fact *fact)
{
    uint32_t roots = below(1u << ROOTS) | (chance(60) ? below(1u << ROOTS) : 0);
    uint32_t devices = device_bits[below(NAIVE_DEVICES)];

    for (int n = 0; n < NAIVE_DEVICES; n++) {
        devices |= chance(25) ? device_bits[n] : 0;
    }
    switch (fact->type) {
    case STATEMENT_ORGANISATION:
        return roots | 3;
    case STATEMENT_ROOTS:
    case STATEMENT_OFFICE:
        return roots | (roots == 0 || chance(10) ? devices : 0);
    case STATEMENT_DEVICE:
        return (chance(90) ? fact->office_bit : devices) | (chance(70) ? fact->device_bit : 0) |
               (chance(10) ? devices : 0);
    case STATEMENT_ADDRESS:
        return chance(80) ? fact->device_bit : devices;
    case STATEMENT_REVOKE:
    case STATEMENT_EXTEND: {
        /* Those above; and those who may not: an equal, another office, the device itself. */
        uint32_t office = chance(85) ? office_bits[fact->office] : office_bits[below(NAIVE_OFFICES)];
        return (chance(65) ? office : 0) | (chance(35) ? roots : 0) | (chance(15) ? devices : 0);
    }
    case STATEMENT_FORK_PROOF:
        return 0;
    default:
        return devices;
    }
}

static void
make_facts(void)
{
    memset(facts, 0, sizeof facts);
    memset(bad_signers, 0, sizeof bad_signers);
    fact_count = 0;
    while (fact_count < FACTS) {
        struct naive_fact *fact = &facts[fact_count];
        struct statement statement = { 0 };
        struct buf list = { 0 };
        struct buf more = { 0 };
        struct hash id;
        memset(fact, 0, sizeof *fact);
        world_random(&world.world, statement.random, sizeof statement.random);
        buf_clear(&stmts[fact_count]);
        if (draw_fact(fact, &statement, &list, &more)) {
            ck_assert_int_eq(statement_encode(&stmts[fact_count], &statement), ERR_OK);
            statement_id(&id, buf_span(&stmts[fact_count]));
            memcpy(fact->id, id.bytes, HASH_BYTES);
            do {
                fact->signers = draw_signers(fact);
            } while (fact->signers == 0 && fact->type != STATEMENT_FORK_PROOF);
            uint32_t bad = chance(20) && fact->type != STATEMENT_FORK_PROOF ? 1u << below(SIGNERS) : 0;
            bad_signers[fact_count] = (fact->signers & ~bad) == 0 ? 0 : bad;
            fact->signers &= ~bad_signers[fact_count];
            org_id = fact_count == 0 ? id : org_id;
            fact_count++;
        }
        buf_free(&list);
        buf_free(&more);
    }
    naive_settle(&expected, facts, fact_count, office_bits, device_bits);
}

/* --- arrival --- */

static int
signature_order(const void *a, const void *b)
{
    return memcmp(a, b, SIGN_PK_BYTES);
}

/* Give a copy of the statement with these of its signatures. */
static void
give_copy(struct roster *roster, int n, uint32_t who)
{
    struct statement_signature signatures[SIGNERS];
    struct buf out = { 0 };
    struct hash id;
    size_t count = 0;

    memcpy(id.bytes, facts[n].id, HASH_BYTES);
    for (size_t at = 0; at < SIGNERS; at++) {
        if ((who >> at & 1) == 0) {
            continue;
        }
        statement_signature_make(&signatures[count], &id, &signers[at]);
        if ((bad_signers[n] >> at & 1) != 0) {
            signatures[count].signature[below(SIGNATURE_BYTES)] ^= (uint8_t)(1u << below(8));
        }
        count++;
    }
    if (count > 0) {
        qsort(signatures, count, sizeof *signatures, signature_order);
    }
    statement_write(&out, buf_span(&stmts[n]), signatures, count);
    enum roster_news news = roster_add(roster, buf_span(&out), NULL);
    ck_assert(news == ROSTER_NEW || news == ROSTER_KNOWN || news == ROSTER_UNSIGNED);
    if (facts[n].type != STATEMENT_FORK_PROOF) {
        ck_assert(news != ROSTER_UNSIGNED || (who & facts[n].signers) == 0);
        ck_assert(news != ROSTER_NEW || (who & facts[n].signers) != 0);
    }
    buf_free(&out);
}

/* All statements in a random order, first with some of their signatures, then with all; settled now and then. */
static struct roster *
arrive(void)
{
    struct roster *roster = roster_new(&org_id);
    int order[NAIVE_FACTS_MAX];

    ck_assert_ptr_nonnull(roster);
    for (int n = 0; n < fact_count; n++) {
        int at = (int)below((uint32_t)n + 1);
        order[n] = order[at];
        order[at] = n;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int n = 0; n < fact_count; n++) {
            uint32_t who = facts[order[n]].signers | bad_signers[order[n]];
            give_copy(roster, order[n], pass == 0 ? who & below(1u << SIGNERS) : who);
            if (chance(10)) {
                ck_assert_int_eq(roster_settle(roster), ERR_OK);
            }
        }
    }
    ck_assert_int_eq(roster_settle(roster), ERR_OK);
    return roster;
}

/* --- comparing --- */

static int
compartment_number(const struct roster_compartment *compartment)
{
    for (int n = 0; compartment != NULL && n < NAIVE_COMPARTMENTS; n++) {
        if (ident_equal(&compartment->id, &compartments[n])) {
            return n;
        }
    }
    return -1;
}

static void
compare_compartment(const struct roster *roster, int c)
{
    const struct roster_compartment *compartment = roster_compartment(roster, &compartments[c]);
    int owner = -1;

    ck_assert_int_eq(compartment == NULL ? -1 : (int)compartment->role, expected.role[c]);
    if (compartment == NULL) {
        ck_assert_int_eq(expected.current[c], -1);
        return;
    }
    for (int n = 0; compartment->owner != NULL && n < NAIVE_OFFICES; n++) {
        owner = memcmp(compartment->owner->office_pk, signers[ROOTS + n].public_key, 32) == 0 ? n : owner;
    }
    ck_assert_int_eq(owner, expected.owner[c]);
    ck_assert_int_eq(compartment_number(compartment->twin), expected.twin[c]);
    ck_assert_int_eq(compartment->current != NULL, expected.current[c] >= 0);
    if (compartment->current != NULL) {
        ck_assert_mem_eq(compartment->current->epoch_id.bytes, facts[expected.current[c]].id, 32);
    }
}

static void
compare_device(const struct roster *roster, int n)
{
    const struct roster_device *device = roster_device(roster, &device_ids[n]);
    const struct roster_device *author = roster_author(roster, &device_ids[n]);
    const uint8_t *sign_pk = device_pair(n)->public_key;
    char endpoint[32] = "";

    ck_assert_int_eq(device != NULL, expected.present[n]);
    ck_assert_int_eq(author != NULL, expected.author[n]);
    ck_assert(device == NULL || (device == author && roster_device_at(roster, device->index) == device));
    ck_assert(author == NULL || author->revoked == (device == NULL));
    ck_assert_ptr_eq(roster_author_by_sign_pk(roster, sign_pk), author);
    ck_assert_int_eq(roster_ever_certified(roster, sign_pk), expected.ever[n]);
    for (int c = 0; c < NAIVE_COMPARTMENTS; c++) {
        ck_assert_int_eq((int)roster_level(roster, author, &compartments[c]), expected.level[n][c]);
        ck_assert_int_eq((int)roster_author_level(roster, author, &compartments[c]),
                         expected.author_level[n][c]);
        ck_assert_int_eq((int)roster_ever_level(roster, sign_pk, &compartments[c]),
                         expected.ever_level[n][c]);
    }
    if (expected.address[n] >= 0) {
        (void)snprintf(endpoint, sizeof endpoint, "tcp://%d", expected.address[n]);
    }
    if (device != NULL) {
        ck_assert_str_eq(device->endpoint, endpoint);
        ck_assert_ptr_eq(roster_device_by_transport_pk(roster, device->transport_pk), device);
        ck_assert_ptr_eq(roster_device_by_certificate(roster, device->certificate.bytes), device);
    }
}

/* The revocation of fact `n` by this one, among those of its key; NULL: it is not there. */
static const struct roster_revocation *
find_revocation(const struct roster *roster, int n, int by)
{
    const uint8_t *key = facts[n].of_office ? signers[ROOTS + facts[n].office].public_key
                                            : device_pair(facts[n].device)->public_key;
    size_t count = 0;
    const struct roster_revocation *of = roster_revocations_of(roster, key, &count);

    for (size_t at = 0; at < count; at++) {
        ck_assert_mem_eq(of[at].key, key, SIGN_PK_BYTES);
        ck_assert_int_eq(of[at].by_roots, of[at].office == NULL);
        if (memcmp(of[at].stmt_id.bytes, facts[n].id, HASH_BYTES) == 0 &&
            (by == NAIVE_BY_ROOTS ? of[at].by_roots
                                  : !of[at].by_roots && memcmp(of[at].office->office_pk,
                                                               signers[ROOTS + by].public_key, 32) == 0)) {
            return &of[at];
        }
    }
    return NULL;
}

static void
compare_revocation(const struct roster *roster, int n, int by)
{
    const struct roster_revocation *revocation = find_revocation(roster, n, by);
    size_t count = 0;

    ck_assert_int_eq(revocation != NULL, naive_revokes(&expected, n, by));
    if (revocation == NULL) {
        return;
    }
    for (int cut = 0; cut < CUTS; cut++) {
        struct statement_cut wanted = cut_number(cut);
        if ((naive_cuts(&expected, n, by) >> cut & 1) != 0) {
            ck_assert_uint_lt(count, revocation->cut_count);
            ck_assert_int_eq(statement_cut_compare(&revocation->cuts[count], &wanted), 0);
            count++;
        }
    }
    ck_assert_uint_eq(count, revocation->cut_count);
    count = 0;
    for (int kept = 0; kept < fact_count; kept++) {
        bool found = false;
        for (size_t at = 0; at < revocation->keep_count; at++) {
            found |= memcmp(revocation->keep[at].bytes, facts[kept].id, HASH_BYTES) == 0;
        }
        ck_assert_int_eq(found, naive_keeps(&expected, n, by, kept));
        count += found;
    }
    ck_assert_uint_eq(count, revocation->keep_count);
    for (int c = 0; c < NAIVE_COMPARTMENTS && !facts[n].of_office; c++) {
        ck_assert_int_eq(roster_revocation_reaches(roster, revocation, &compartments[c]),
                         by == NAIVE_BY_ROOTS || expected.level[facts[n].device][c] < 3);
    }
}

static void
compare_erasures(const struct roster *roster)
{
    size_t keys = 0;
    size_t expected_keys = 0;

    for (size_t at = 0; at < roster_erasure_count(roster); at++) {
        const struct roster_erasure *erasure = roster_erasure_at(roster, at);
        int n = 0;
        while (memcmp(facts[n].id, erasure->stmt_id.bytes, HASH_BYTES) != 0) {
            n++;
        }
        ck_assert_int_eq((int)erasure->signed_count, expected.together[n]);
        ck_assert_int_eq(erasure->stands, expected.stands[n]);
        ck_assert_int_eq(erasure->signer_count > 0, erasure->signed_count > 0);
        ck_assert_uint_ge(erasure->signer_count, erasure->signed_count);
        for (size_t key = 0; erasure->stands && key < erasure->keys.count; key++) {
            struct statement_erase named = statement_erase_at(&erasure->keys, key);
            size_t count = 0;
            const struct roster_erase_key *of = roster_erase_keys_of(roster, &named.compartment, &count);
            size_t found = 0;
            for (size_t k = 0; k < count; k++) {
                found += memcmp(&of[k].erase_key, &named.erase_key, sizeof named.erase_key) == 0 &&
                         ident_equal(&of[k].order, &erasure->order);
            }
            ck_assert_uint_eq(found, 1);
            expected_keys++;
        }
    }
    for (int c = 0; c < NAIVE_COMPARTMENTS; c++) {
        size_t count = 0;
        (void)roster_erase_keys_of(roster, &compartments[c], &count);
        keys += count;
    }
    ck_assert_uint_le(keys, expected_keys);
}

static void
compare_forks(const struct roster *roster)
{
    size_t count = 0;

    for (int n = 0; n < fact_count; n++) {
        count += facts[n].type == STATEMENT_FORK_PROOF && expected.stands[n];
    }
    ck_assert_uint_eq(roster_fork_count(roster), count);
    for (size_t n = 0; n < count; n++) {
        const struct roster_fork *fork = roster_fork_at(roster, n);
        ck_assert(roster_stands(roster, &fork->stmt_id));
        ck_assert_uint_eq(fork->first, 0);
        ck_assert_uint_eq(fork->last_seq[0] + fork->last_seq[1], 0);
        ck_assert_int_lt(hash_compare(&fork->branch[0], &fork->branch[1]), 0);
    }
}

static void
compare(const struct roster *roster)
{
    ck_assert_int_eq(roster_founded(roster), expected.chain_count > 0);
    if (expected.chain_count == 0) {
        ck_assert_uint_eq(
            roster_author_count(roster) + roster_office_count(roster) + roster_epoch_count(roster), 0);
        return;
    }
    ck_assert_mem_eq(roster_roots_id(roster)->bytes, facts[expected.chain[expected.chain_count - 1]].id, 32);
    for (int n = 0; n < fact_count; n++) {
        struct hash id;
        memcpy(id.bytes, facts[n].id, HASH_BYTES);
        ck_assert_msg(roster_stands(roster, &id) == expected.stands[n], "fact %d of type %u: expected %d", n,
                      (unsigned)facts[n].type, expected.stands[n]);
        if (facts[n].type == STATEMENT_EPOCH) {
            ck_assert_int_eq(roster_epoch(roster, &id)->whole, expected.whole[n]);
        }
        for (int by = NAIVE_BY_ROOTS; facts[n].type == STATEMENT_REVOKE && by < NAIVE_OFFICES; by++) {
            compare_revocation(roster, n, by);
        }
    }
    compare_erasures(roster);
    compare_forks(roster);
    for (int n = 0; n < NAIVE_OFFICES; n++) {
        const struct roster_office *office = roster_office(roster, signers[ROOTS + n].public_key);
        size_t count = 0;
        (void)roster_revocations_of(roster, signers[ROOTS + n].public_key, &count);
        ck_assert(office == NULL || office->revoked == (count > 0));
    }
    for (int c = 0; c < NAIVE_COMPARTMENTS; c++) {
        compare_compartment(roster, c);
    }
    for (int n = 0; n < NAIVE_DEVICES; n++) {
        compare_device(roster, n);
    }
}

/* What the random organisations went through: a test that meets nothing has shown nothing. */
static int seen_roles[6];
static int seen_successors;
static int seen_twins;
static int seen_clashes;
static int seen_epochs;
static int seen_boxes;
static int seen_addresses;
static int seen_erasures[3];
static int seen_forks;
static int seen_by_roots;
static int seen_by_office;
static int seen_refused; /* revocations that nobody above signed */
static int seen_of_office;
static int seen_extended; /* extensions that add something */
static int seen_two;      /* devices that are revoked twice */
static int seen_kept;     /* epochs that stand though none who signed them lives */
static int seen_partly;   /* devices of two offices, one of which took back its own */
static int seen_lost;     /* devices that were certified once, and no certificate of them counts */
static int seen_rotated;  /* epochs that stand, are the highest, and are not written with */

static void
count_seen_over_time(void)
{
    int revoked[NAIVE_DEVICES] = { 0 };

    for (int n = 0; n < fact_count; n++) {
        const struct naive_fact *fact = &facts[n];
        bool by_roots = fact->type == STATEMENT_REVOKE && naive_revokes(&expected, n, NAIVE_BY_ROOTS);
        if (fact->type == STATEMENT_REVOKE) {
            seen_by_roots += by_roots;
            seen_by_office += expected.stands[n] && !by_roots;
            seen_refused += !expected.stands[n];
            seen_of_office += by_roots && fact->of_office;
            if (expected.stands[n] && !fact->of_office) {
                revoked[fact->device]++;
            }
        }
        seen_extended += fact->type == STATEMENT_EXTEND && expected.stands[n] &&
                         (fact->cuts & ~facts[fact->revoke].cuts) != 0;
        seen_forks += fact->type == STATEMENT_FORK_PROOF && expected.stands[n];
        seen_erasures[expected.together[n]] += fact->type == STATEMENT_ERASE;
        if (fact->type == STATEMENT_EPOCH && expected.stands[n] && expected.whole[n]) {
            bool lives = false;
            for (int device = 0; device < NAIVE_DEVICES; device++) {
                lives |= (fact->signers & device_bits[device]) != 0 && expected.present[device];
            }
            seen_kept += !lives;
            int current = expected.current[fact->compartment];
            seen_rotated += current < 0 || facts[current].number < fact->number;
        }
    }
    for (int n = 0; n < NAIVE_DEVICES; n++) {
        seen_two += revoked[n] > 1;
        seen_partly += revoked[n] > 0 && expected.present[n];
        seen_lost += expected.ever[n] && !expected.author[n];
    }
}

static void
count_seen(void)
{
    seen_successors += expected.chain_count > 1;
    for (int c = 0; c < NAIVE_COMPARTMENTS; c++) {
        seen_twins += expected.twin[c] >= 0;
        seen_epochs += expected.current[c] >= 0 && facts[expected.current[c]].number > 1;
        if (expected.role[c] >= 0) {
            seen_roles[expected.role[c]]++;
        }
    }
    for (int n = 0; n < fact_count; n++) {
        seen_clashes += facts[n].type == STATEMENT_DEVICE && !expected.stands[n];
        seen_boxes += facts[n].type == STATEMENT_BOX && expected.stands[n];
        seen_addresses += facts[n].type == STATEMENT_ADDRESS && expected.stands[n];
    }
}

START_TEST(u1_a_roster_is_what_the_rules_say_in_every_order)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        make_keys(seed);
        make_facts();
        count_seen();
        count_seen_over_time();
        for (int order = 0; order < ORDERS; order++) {
            struct roster *roster = arrive();
            compare(roster);
            roster_free(&roster);
        }
    }
    for (size_t n = 0; n < NAIVE_FACTS_MAX; n++) {
        buf_free(&stmts[n]);
    }
    for (int role = 0; role < 6; role++) {
        ck_assert_int_gt(seen_roles[role], 0);
    }
    ck_assert_int_gt(seen_successors, 0);
    ck_assert_int_gt(seen_twins, 0);
    ck_assert_int_gt(seen_clashes, 0);
    ck_assert_int_gt(seen_epochs, 0);
    ck_assert_int_gt(seen_boxes, 0);
    ck_assert_int_gt(seen_addresses, 0);
    const int over_time[] = { seen_erasures[0], seen_erasures[1], seen_erasures[2], seen_forks,
                              seen_by_roots,    seen_by_office,   seen_refused,     seen_of_office,
                              seen_extended,    seen_two,         seen_kept,        seen_partly,
                              seen_lost,        seen_rotated };
    for (size_t n = 0; n < sizeof over_time / sizeof over_time[0]; n++) {
        ck_assert_msg(over_time[n] > 0, "number %zu was never seen", n);
    }
}
END_TEST

SUITE_MAIN("roster against the naive roster", u1_a_roster_is_what_the_rules_say_in_every_order)
