#include "store/base/cbor.h"
#include "sync/update.h"
#include "sync/statement.h"
#include "tests/support/check.h"
#include "tests/support/org.h"

#include <stdlib.h>
#include <string.h>

static struct test_world world;
static struct test_org org;
static struct test_office office;
static struct test_device device;
static struct buf out;

static void
found(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 1);
    test_org_init(&org, &world, 3, 2, 2);
    test_office_init(&office, &org, "KEN");
    test_device_init(&device, &org, LEVEL_WRITE);
    out = (struct buf){ 0 };
}

static void
dissolve(void)
{
    buf_free(&out);
    test_org_free(&org);
}

/* A run of `count` entries of the device's log from `seq` on, behind `prev`, as a fork proof holds it. */
struct run_made {
    uint8_t headers[FORK_HEADERS_MAX * HEADER_BYTES];
    uint8_t signature[SIGNATURE_BYTES];
    struct hash last;
    size_t count;
};

static struct descriptor
log_of_device(void)
{
    struct descriptor descriptor = { .incarnation = { 7 },
                                     .compartment = office.own[0],
                                     .lane = LANE_NORMAL };

    memcpy(descriptor.sign_pk, device.sign.public_key, SIGN_PK_BYTES);
    return descriptor;
}

static void
make_run(struct run_made *run, uint64_t seq, const struct hash *prev, size_t count, uint8_t salt)
{
    struct descriptor descriptor = log_of_device();
    struct entry entry = { .lane = descriptor.lane, .seq = seq, .prev = *prev, .payload_size = 16 };
    struct hash log_id;

    descriptor_log_id(&descriptor, &log_id);
    entry.salt[0] = salt;
    run->count = count;
    for (size_t n = 0; n < count; n++) {
        entry_header_write(run->headers + n * HEADER_BYTES, &entry);
        entry_identify(&entry, &log_id);
        entry.prev = entry.id;
        entry.seq++;
    }
    entry_sign(run->signature, &entry.id, &device.sign);
    run->last = entry.id;
}

static enum err
make_fork(struct buf *to, const struct run_made *a, const struct run_made *b, struct hash *id_out)
{
    struct descriptor descriptor = log_of_device();
    struct fork_branch branches[2] = { { a->headers, a->count, a->signature },
                                       { b->headers, b->count, b->signature } };

    return statement_fork_make(to, &org.id, &descriptor, branches, id_out);
}

/* Cuts whose place takes one byte and nine. */
static struct statement_cut
cut_of(uint8_t log, uint64_t seq, uint8_t entry)
{
    return (struct statement_cut){ { { log } }, seq, { { entry } } };
}

static const uint64_t cut_places[] = {
    0, 23, 24, 255, 256, 65535, 1 << 16, UINT32_MAX, 1ULL << 32, UINT64_MAX
};
enum { CUT_COUNT = sizeof cut_places / sizeof cut_places[0] };

static struct statement_list
put_cuts(struct buf *items)
{
    for (size_t n = 0; n < CUT_COUNT; n++) {
        struct statement_cut cut = cut_of(9, cut_places[n], (uint8_t)n);
        statement_put_cut(items, &cut);
    }
    return statement_list_of(items, CUT_COUNT);
}

/* One statement of each type, and one of a type from a later version; all fields set. */
enum { SAMPLE_COUNT = 15, SAMPLE_REVOKE = 10, SAMPLE_EXTEND, SAMPLE_ERASE, SAMPLE_FORK, SAMPLE_NEWER };

static struct hash
sample(struct buf *to, int which)
{
    const struct key_pair *root[] = { &org.roots[0], &org.roots[1] };
    const struct key_pair *own[] = { &device.sign };
    struct statement statement = { .type = STATEMENT_ORGANISATION };
    struct buf list = { 0 };
    struct buf more = { 0 };
    uint8_t link[EPOCH_LINK_BYTES] = { 7 };
    uint8_t sealed[EPOCH_BOX_BYTES] = { 9 };
    struct hash id;

    switch (which) {
    case 0:
        buf_put_span(to, buf_span(&org.founding));
        return org.id;
    case 1:
        statement.type = STATEMENT_ROOTS;
        statement.roots.before = org.id;
        statement_put_key(&list, org.roots[0].public_key);
        statement.roots.roots = statement_list_of(&list, 1);
        statement.roots.needed = 1;
        statement_put_key(&more, org.id.bytes);
        statement.roots.keep = statement_list_of(&more, 1);
        break;
    case 2:
        return test_office_statement(to, &org, &office, 2);
    case 3:
        test_device_grant(&device, &office.own[0], LEVEL_READ);
        device.possession = false;
        return test_device_statement(to, &org, &office, &device);
    case 4:
        device.possession = true;
        return test_device_statement(to, &org, &office, &device);
    case 5:
        statement.type = STATEMENT_EPOCH;
        statement.epoch.compartment = office.own[0];
        statement.epoch.number = 2;
        statement_put_parent(&list, &org.id, link);
        statement.epoch.parents = statement_list_of(&list, 1);
        statement_put_box(&more, &device.id, sealed);
        statement.epoch.boxes = statement_list_of(&more, 1);
        break;
    case 6:
        statement.type = STATEMENT_BOX;
        statement.box.epoch_id = org.id;
        statement.box.device_id = device.id;
        statement.box.sealed = sealed;
        break;
    case 7:
        statement.type = STATEMENT_ADDRESS;
        statement.address.device_id = device.id;
        statement.address.endpoint = span_text("tcp://192.0.2.1:7777");
        statement.address.until = TEST_UNTIL;
        break;
    case 8:
        statement.type = STATEMENT_ACTOR;
        memcpy(statement.actor.office_pk, office.pair.public_key, 32);
        statement.actor.number = 4;
        statement.actor.name = span_text("Wanjiru");
        statement.actor.role = 2;
        statement.actor.active = true;
        break;
    case 9:
        statement.type = STATEMENT_CODEBOOK;
        cbor_put_map(&list, 0);
        statement.body = buf_span(&list);
        break;
    case SAMPLE_REVOKE:
        statement.type = STATEMENT_REVOKE;
        memcpy(statement.revoke.key, device.sign.public_key, SIGN_PK_BYTES);
        statement.revoke.reason = REVOKE_STOLEN;
        statement.revoke.cuts = put_cuts(&list);
        statement_put_key(&more, org.id.bytes);
        statement.revoke.keep = statement_list_of(&more, 1);
        break;
    case SAMPLE_EXTEND:
        statement.type = STATEMENT_EXTEND;
        statement.extend.revoke = org.id;
        statement.extend.cuts = put_cuts(&list);
        statement_put_key(&more, org.id.bytes);
        statement.extend.keep = statement_list_of(&more, 1);
        break;
    case SAMPLE_ERASE:
        statement.type = STATEMENT_ERASE;
        statement.erase.order = office.own[2];
        statement_put_erase(&list, &(struct ident){ { 1 } }, &(struct key){ { 8 } });
        statement_put_erase(&list, &(struct ident){ { 1 } }, &(struct key){ { 9 } });
        statement_put_erase(&list, &(struct ident){ { 2 } }, &(struct key){ { 3 } });
        statement.erase.keys = statement_list_of(&list, 3);
        break;
    case SAMPLE_FORK: {
        static struct run_made runs[2];
        make_run(&runs[0], 4, &org.id, 3, 1);
        make_run(&runs[1], 4, &org.id, FORK_HEADERS_MAX, 2);
        ck_assert_int_eq(make_fork(to, &runs[0], &runs[1], &id), ERR_OK);
        return id;
    }
    default:
        statement.type = 99;
        cbor_put_array(&list, 1);
        cbor_put_uint(&list, 5);
        statement.body = buf_span(&list);
        break;
    }
    bool rooted = which == 1 || which >= 9;
    id = test_sign(to, &org, &statement, rooted ? root : own, rooted ? 2 : 1);
    buf_free(&list);
    buf_free(&more);
    return id;
}

START_TEST(every_type_comes_back_as_it_was_written)
{
    struct statement statement;

    for (int which = 0; which < SAMPLE_COUNT; which++) {
        struct buf again = { 0 };
        buf_clear(&out);
        struct hash id = sample(&out, which);
        ck_assert(statement_read(buf_span(&out), &statement));
        ck_assert(hash_equal(&statement.id, &id));
        ck_assert(hash_equal(&statement.org, &org.id));
        ck_assert_int_eq(statement_encode(&again, &statement), ERR_OK);
        ck_assert(span_equal(buf_span(&again), statement.bytes));
        for (size_t n = 0; n < statement.signers.count; n++) {
            struct statement_signature signature = statement_signature_at(&statement.signers, n);
            ck_assert(statement_signature_valid(&signature, &id));
        }
        ck_assert_int_eq(statement.signers.count == 0, which == SAMPLE_FORK);
        ck_assert_int_eq(statement.newer, which == SAMPLE_NEWER);
        buf_free(&again);
    }
}
END_TEST

START_TEST(fields_are_read_where_they_stand)
{
    struct statement statement;

    (void)sample(&out, 5);
    ck_assert(statement_read(buf_span(&out), &statement));
    ck_assert_uint_eq(statement.epoch.number, 2);
    ck_assert(ident_equal(&statement.epoch.compartment, &office.own[0]));
    struct statement_parent parent = statement_parent_at(&statement.epoch.parents, 0);
    ck_assert(hash_equal(&parent.epoch_id, &org.id));
    ck_assert_int_eq(parent.link[0], 7);
    ck_assert_ptr_nonnull(statement_box_find(&statement.epoch.boxes, &device.id));
    ck_assert_int_eq(statement_box_find(&statement.epoch.boxes, &device.id)[0], 9);
    ck_assert_ptr_null(statement_box_find(&statement.epoch.boxes, &org.id));
    buf_clear(&out);
    (void)sample(&out, 3);
    ck_assert(statement_read(buf_span(&out), &statement));
    ck_assert_int_eq(statement_grant_find(&statement.device.grants, &office.own[0]), LEVEL_READ);
    ck_assert_int_eq(statement_grant_find(&statement.device.grants, &office.own[1]), LEVEL_NONE);
    ck_assert_ptr_null(statement.device.possession);
}
END_TEST

START_TEST(cuts_come_back_in_order_whatever_their_size)
{
    struct statement statement;
    struct statement_cut cut;
    size_t count = 0;

    (void)sample(&out, SAMPLE_REVOKE);
    ck_assert(statement_read(buf_span(&out), &statement));
    ck_assert_mem_eq(statement.revoke.key, device.sign.public_key, SIGN_PK_BYTES);
    ck_assert_uint_eq(statement.revoke.reason, REVOKE_STOLEN);
    ck_assert(statement_key_find(&statement.revoke.keep, org.id.bytes));
    struct statement_list left = statement.revoke.cuts;
    while (statement_cut_next(&left, &cut)) {
        struct statement_cut expected = cut_of(9, cut_places[count], (uint8_t)count);
        ck_assert_int_eq(statement_cut_compare(&cut, &expected), 0);
        count++;
    }
    ck_assert_uint_eq(count, CUT_COUNT);
    ck_assert_uint_eq(statement.revoke.cuts.count, CUT_COUNT);
    buf_clear(&out);
    (void)sample(&out, SAMPLE_EXTEND);
    ck_assert(statement_read(buf_span(&out), &statement));
    ck_assert(hash_equal(&statement.extend.revoke, &org.id));
    ck_assert_uint_eq(statement.extend.cuts.count, CUT_COUNT);
    ck_assert_uint_eq(statement.extend.keep.count, 1);
}
END_TEST

/* The bare statement with these cuts: true if it is read. */
static bool
cuts_are_read(const struct statement_cut *cuts, size_t count)
{
    struct statement statement;
    struct buf items = { 0 };

    for (size_t n = 0; n < count; n++) {
        statement_put_cut(&items, &cuts[n]);
    }
    buf_clear(&out);
    cbor_put_map(&out, 4);
    cbor_put_uint(&out, 0);
    cbor_put_uint(&out, STATEMENT_EXTEND);
    cbor_put_uint(&out, 1);
    cbor_put_bytes(&out, hash_span(&org.id));
    cbor_put_uint(&out, 2);
    cbor_put_map(&out, 3);
    cbor_put_uint(&out, 0);
    cbor_put_bytes(&out, hash_span(&org.id));
    cbor_put_uint(&out, 1);
    cbor_put_array(&out, count);
    buf_put_span(&out, buf_span(&items));
    cbor_put_uint(&out, 2);
    cbor_put_array(&out, 0);
    cbor_put_uint(&out, 3);
    cbor_put_bytes(&out, span_of("12345678", 8));
    buf_free(&items);
    return statement_read_bare(buf_span(&out), &statement);
}

START_TEST(cuts_ascend_by_log_place_and_entry_each_once)
{
    const struct statement_cut low = cut_of(1, 300, 5);
    const struct statement_cut others[] = { cut_of(2, 0, 0), cut_of(1, 1000, 0), cut_of(1, 300, 6) };

    ck_assert(cuts_are_read(&low, 0));
    ck_assert(cuts_are_read(&low, 1));
    for (size_t n = 0; n < 3; n++) {
        ck_assert(cuts_are_read((struct statement_cut[]){ low, others[n] }, 2));
        ck_assert(!cuts_are_read((struct statement_cut[]){ others[n], low }, 2));
    }
    ck_assert(!cuts_are_read((struct statement_cut[]){ low, low }, 2));
    /* By number, not by encoding: 24 takes more bytes than 23, and 256 more than 255. */
    ck_assert(cuts_are_read((struct statement_cut[]){ cut_of(1, 255, 9), cut_of(1, 256, 0) }, 2));
}
END_TEST

START_TEST(a_reason_from_a_later_version_revokes_all_the_same)
{
    struct statement statement = { .type = STATEMENT_REVOKE };

    memcpy(statement.revoke.key, device.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = 4711;
    ck_assert_int_eq(statement_encode(&out, &statement), ERR_OK);
    ck_assert(statement_read_bare(buf_span(&out), &statement));
    ck_assert(!statement.newer);
    ck_assert_uint_eq(statement.revoke.reason, 4711);
}
END_TEST

START_TEST(an_erasure_names_keys_by_compartment_each_once_and_at_least_one)
{
    struct statement statement;

    (void)sample(&out, SAMPLE_ERASE);
    ck_assert(statement_read(buf_span(&out), &statement));
    ck_assert(ident_equal(&statement.erase.order, &office.own[2]));
    ck_assert_uint_eq(statement.erase.keys.count, 3);
    struct statement_erase erase = statement_erase_at(&statement.erase.keys, 1);
    ck_assert_int_eq(erase.compartment.bytes[0], 1);
    ck_assert_int_eq(erase.erase_key.bytes[0], 9);
    /* The second key becomes the first: named twice. */
    uint8_t nine[KEY_BYTES] = { 9 };
    uint8_t eight[KEY_BYTES] = { 8 };
    uint8_t *at = memmem(out.data, out.size, nine, sizeof nine);
    ck_assert_ptr_nonnull(at);
    memcpy(at, eight, sizeof eight);
    ck_assert(!statement_read(buf_span(&out), &statement));
    buf_clear(&out);
    static const char none[] = "\xa4\x00\x0a\x01\x58\x20"
                               "0123456789abcdef0123456789abcdef"
                               "\x02\xa2\x00\x50"
                               "0123456789abcdef"
                               "\x01\x80\x03\x48"
                               "01234567";
    buf_put(&out, none, sizeof none - 1);
    ck_assert(cbor_valid(buf_span(&out)));
    ck_assert(!statement_read_bare(buf_span(&out), &statement));
}
END_TEST

START_TEST(one_fork_has_one_proof_whichever_branch_is_named_first)
{
    struct statement statement;
    static struct run_made a;
    static struct run_made b;
    struct buf other = { 0 };
    struct hash id;
    struct hash other_id;
    struct entry entry;

    make_run(&a, 0, &(struct hash){ { 0 } }, 2, 1);
    make_run(&b, 0, &(struct hash){ { 0 } }, 5, 2);
    ck_assert_int_eq(make_fork(&out, &a, &b, &id), ERR_OK);
    ck_assert_int_eq(make_fork(&other, &b, &a, &other_id), ERR_OK);
    ck_assert(span_equal(buf_span(&out), buf_span(&other)));
    ck_assert(hash_equal(&id, &other_id));
    ck_assert(statement_read(buf_span(&out), &statement));
    ck_assert_uint_eq(statement.fork.first, 0);
    ck_assert_uint_eq(statement.fork.branches[0].count + statement.fork.branches[1].count, 7);
    struct hash first[2];
    for (int n = 0; n < 2; n++) {
        size_t count = statement.fork.branches[n].count;
        first[n] = statement_fork_entry(&statement.fork, n, 0, NULL);
        struct hash last = statement_fork_entry(&statement.fork, n, count - 1, &entry);
        ck_assert(hash_equal(&last, count == 2 ? &a.last : &b.last));
        ck_assert_uint_eq(entry.seq, count - 1);
    }
    ck_assert_int_lt(hash_compare(&first[0], &first[1]), 0);
    buf_free(&other);
}
END_TEST

START_TEST(what_proves_no_fork_is_no_fork_proof)
{
    static struct run_made a;
    static struct run_made b;

    make_run(&a, 4, &org.id, 3, 1);
    make_run(&b, 4, &org.id, 3, 1); /* the same run */
    ck_assert_int_eq(make_fork(&out, &a, &b, NULL), ERR_INVALID);
    make_run(&b, 4, &org.id, 5, 1); /* one branch goes on */
    ck_assert_int_eq(make_fork(&out, &a, &b, NULL), ERR_INVALID);
    make_run(&b, 5, &org.id, 3, 2); /* another place */
    ck_assert_int_eq(make_fork(&out, &a, &b, NULL), ERR_INVALID);
    make_run(&b, 4, &device.id, 3, 2); /* another entry before */
    ck_assert_int_eq(make_fork(&out, &a, &b, NULL), ERR_INVALID);
    make_run(&b, 4, &org.id, 3, 2);
    b.signature[9] ^= 1; /* not signed */
    ck_assert_int_eq(make_fork(&out, &a, &b, NULL), ERR_INVALID);
    make_run(&b, 4, &org.id, 3, 2);
    b.headers[HEADER_BYTES + 90] ^= 1; /* not a chain */
    ck_assert_int_eq(make_fork(&out, &a, &b, NULL), ERR_INVALID);
    make_run(&b, 4, &org.id, 3, 2);
    b.count = 2; /* the signature is of an entry that is not there */
    ck_assert_int_eq(make_fork(&out, &a, &b, NULL), ERR_INVALID);
    b.count = 0;
    ck_assert_int_eq(make_fork(&out, &a, &b, NULL), ERR_INVALID);
    ck_assert_uint_eq(out.size, 0);
    make_run(&b, 4, &org.id, 3, 2);
    ck_assert_int_eq(make_fork(&out, &a, &b, NULL), ERR_OK);
}
END_TEST

/* A fork proof has one form: anybody who changes what is free in other statements has made none. */
START_TEST(a_fork_proof_is_signed_by_nobody_and_chooses_nothing)
{
    struct statement statement;
    struct statement_signature signature;
    struct buf signed_too = { 0 };

    struct hash id = sample(&out, SAMPLE_FORK);
    ck_assert(statement_read(buf_span(&out), &statement));
    statement_signature_make(&signature, &id, &device.sign);
    statement_write(&signed_too, statement.bytes, &signature, 1);
    struct statement again;
    ck_assert(!statement_read(buf_span(&signed_too), &again));
    for (size_t bit = 0; bit < 8 * out.size; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        /* What is still a fork proof is one of another organisation. */
        if (statement_read(buf_span(&out), &again) && again.type == STATEMENT_FORK_PROOF) {
            ck_assert(!hash_equal(&again.org, &org.id));
        }
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_free(&signed_too);
}
END_TEST

/* Whatever bit is turned, the statement is malformed, or its id is another and no signature holds;
 * or the bit was in a signature, which then does not hold. */
START_TEST(a_turned_bit_leaves_fewer_good_signatures)
{
    struct statement statement;

    for (int which = 3; which < 9; which += 5) {
        buf_clear(&out);
        (void)sample(&out, which);
        ck_assert(statement_read(buf_span(&out), &statement));
        size_t count = statement.signers.count;
        for (size_t bit = 0; bit < 8 * out.size; bit++) {
            size_t good = 0;
            out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (statement_read(buf_span(&out), &statement)) {
                for (size_t n = 0; n < statement.signers.count; n++) {
                    struct statement_signature signature = statement_signature_at(&statement.signers, n);
                    good += statement_signature_valid(&signature, &statement.id);
                }
            }
            ck_assert_uint_lt(good, count);
            out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}
END_TEST

START_TEST(a_statement_that_is_cut_or_has_more_after_it_is_malformed)
{
    struct statement statement;

    for (int which = 0; which < SAMPLE_COUNT; which++) {
        buf_clear(&out);
        (void)sample(&out, which);
        for (size_t size = 0; size < out.size; size++) {
            ck_assert(!statement_read(span_of(out.data, size), &statement));
        }
        buf_put_u8(&out, 0);
        ck_assert(!statement_read(buf_span(&out), &statement));
    }
}
END_TEST

/* The same bytes signed for another purpose are worth nothing here, and the reverse. */
START_TEST(u4_a_signature_of_another_context_is_not_good)
{
    static const char *const contexts[] = { "VIGIL1ENTRY", "VIGIL1REQUEST", "VIGIL1DEVICE", "VIGIL1STM",
                                            "VIGIL1STMT\n" };
    struct statement_signature signature;

    for (size_t n = 0; n < sizeof contexts / sizeof contexts[0]; n++) {
        statement_signature_make(&signature, &org.id, &device.sign);
        ck_assert(statement_signature_valid(&signature, &org.id));
        ck_assert(!crypto_verify(signature.signature, signature.sign_pk, contexts[n], &org.id));
        crypto_sign_id(signature.signature, &device.sign, contexts[n], &org.id);
        ck_assert(!statement_signature_valid(&signature, &org.id));
    }
}
END_TEST

/* With another type or another organisation the id is another, so no signature holds. */
START_TEST(u4_a_signature_does_not_hold_for_another_type_or_organisation)
{
    struct statement statement;
    struct statement swapped;
    struct buf other = { 0 };

    (void)sample(&out, SAMPLE_NEWER);
    ck_assert(statement_read(buf_span(&out), &statement));
    struct statement_signature signature = statement_signature_at(&statement.signers, 0);
    for (uint32_t type = 90; type <= 110; type++) {
        swapped = statement;
        swapped.type = type;
        buf_clear(&other);
        ck_assert_int_eq(statement_encode(&other, &swapped), ERR_OK);
        ck_assert(statement_read_bare(buf_span(&other), &swapped));
        ck_assert_int_eq(statement_signature_valid(&signature, &swapped.id), type == 99);
    }
    swapped = statement;
    swapped.org.bytes[0] ^= 1;
    buf_clear(&other);
    ck_assert_int_eq(statement_encode(&other, &swapped), ERR_OK);
    ck_assert(statement_read_bare(buf_span(&other), &swapped));
    ck_assert(!statement_signature_valid(&signature, &swapped.id));
    buf_free(&other);
}
END_TEST

/* Replace the first place of `from` in `out` by as many other bytes. */
static void
patch(const void *from, const void *to, size_t size)
{
    uint8_t *at = memmem(out.data, out.size, from, size);

    ck_assert_ptr_nonnull(at);
    memcpy(at, to, size);
}

START_TEST(keys_of_low_order_or_with_two_forms_are_malformed)
{
    static const uint8_t zero[32];
    static const uint8_t one[32] = { 1 };
    struct statement statement;
    uint8_t high[32];

    memcpy(high, device.box.public_key, 32);
    high[31] |= 0x80;
    const uint8_t *const old[] = { device.box.public_key, device.transport.public_key, device.sign.public_key,
                                   device.box.public_key };
    const uint8_t *const new[] = { zero, zero, one, high };
    for (size_t n = 0; n < 4; n++) {
        buf_clear(&out);
        (void)sample(&out, 3);
        patch(old[n], new[n], 32);
        ck_assert(!statement_read(buf_span(&out), &statement));
    }
    buf_clear(&out);
    (void)sample(&out, 2);
    patch(office.pair.public_key, one, 32);
    ck_assert(!statement_read(buf_span(&out), &statement));
}
END_TEST

START_TEST(a_key_has_one_use_in_a_certificate)
{
    struct statement statement;

    (void)sample(&out, 3);
    patch(device.transport.public_key, device.box.public_key, 32);
    ck_assert(!statement_read(buf_span(&out), &statement));
    buf_clear(&out);
    (void)sample(&out, 3);
    patch(office.pair.public_key, device.sign.public_key, 32);
    ck_assert(!statement_read(buf_span(&out), &statement));
}
END_TEST

START_TEST(a_proof_of_possession_is_of_exactly_these_keys)
{
    uint8_t proof[SIGNATURE_BYTES];
    struct statement statement;

    (void)sample(&out, 4);
    ck_assert(statement_read(buf_span(&out), &statement));
    ck_assert_ptr_nonnull(statement.device.possession);
    memcpy(proof, statement.device.possession, sizeof proof);
    ck_assert(statement_possession_valid(proof, device.sign.public_key, device.box.public_key,
                                         device.transport.public_key));
    ck_assert(!statement_possession_valid(proof, device.sign.public_key, device.transport.public_key,
                                          device.box.public_key));
    ck_assert(!statement_possession_valid(proof, office.pair.public_key, device.box.public_key,
                                          device.transport.public_key));
    uint8_t turned[SIGNATURE_BYTES];
    memcpy(turned, proof, sizeof proof);
    turned[5] ^= 1;
    patch(proof, turned, sizeof proof);
    ck_assert(!statement_read(buf_span(&out), &statement));
}
END_TEST

/* Two items of a list in the wrong order, or one twice. */
START_TEST(lists_ascend_and_hold_each_item_once)
{
    struct ident low = { { 1 } };
    struct ident high = { { 2 } };
    struct statement statement;
    struct ident swap = { { 0xfe } };

    office.grant_count = 0;
    test_office_grant(&office, &low, LEVEL_READ);
    test_office_grant(&office, &high, LEVEL_READ);
    (void)test_office_statement(&out, &org, &office, 2);
    ck_assert(statement_read(buf_span(&out), &statement));
    patch(low.bytes, swap.bytes, IDENT_BYTES);
    ck_assert(!statement_read(buf_span(&out), &statement));
    patch(swap.bytes, high.bytes, IDENT_BYTES);
    ck_assert(!statement_read(buf_span(&out), &statement));
}
END_TEST

START_TEST(signers_ascend_and_sign_once)
{
    struct statement statement;
    struct buf bad = { 0 };

    buf_put_span(&out, buf_span(&org.founding));
    ck_assert(statement_read(buf_span(&out), &statement));
    ck_assert_uint_eq(statement.signers.count, 2);
    struct statement_signature a = statement_signature_at(&statement.signers, 0);
    struct statement_signature b = statement_signature_at(&statement.signers, 1);
    const struct statement_signature *const orders[][2] = { { &a, &b }, { &b, &a }, { &a, &a } };
    for (size_t n = 0; n < 3; n++) {
        buf_clear(&bad);
        cbor_put_array(&bad, 2);
        cbor_put_bytes(&bad, statement.bytes);
        cbor_put_array(&bad, 2);
        for (size_t at = 0; at < 2; at++) {
            cbor_put_array(&bad, 2);
            cbor_put_bytes(&bad, span_of(orders[n][at]->sign_pk, SIGN_PK_BYTES));
            cbor_put_bytes(&bad, span_of(orders[n][at]->signature, SIGNATURE_BYTES));
        }
        struct statement again;
        ck_assert_int_eq(statement_read(buf_span(&bad), &again), n == 0);
    }
    buf_free(&bad);
}
END_TEST

/* A stmt of an address, made by hand, with this endpoint, this key of the body's last pair, and
 * perhaps one pair more in the body and in the statement. */
static bool
hand_made(const char *endpoint, uint64_t last_key, bool more_in_body, bool more_outside,
          struct statement *statement)
{
    buf_clear(&out);
    cbor_put_map(&out, more_outside ? 5 : 4);
    cbor_put_uint(&out, 0);
    cbor_put_uint(&out, STATEMENT_ADDRESS);
    cbor_put_uint(&out, 1);
    cbor_put_bytes(&out, hash_span(&org.id));
    cbor_put_uint(&out, 2);
    cbor_put_map(&out, more_in_body ? 4 : 3);
    cbor_put_uint(&out, 0);
    cbor_put_bytes(&out, hash_span(&device.id));
    cbor_put_uint(&out, 1);
    cbor_put_text(&out, span_text(endpoint));
    cbor_put_uint(&out, last_key);
    cbor_put_uint(&out, 99);
    if (more_in_body) {
        cbor_put_uint(&out, 7);
        cbor_put_null(&out);
    }
    cbor_put_uint(&out, 3);
    cbor_put_bytes(&out, span_of("12345678", 8));
    if (more_outside) {
        cbor_put_uint(&out, 4);
        cbor_put_null(&out);
    }
    return statement_read_bare(buf_span(&out), statement);
}

START_TEST(an_unknown_key_makes_a_statement_newer_and_not_malformed)
{
    struct statement statement;

    ck_assert(hand_made("tcp://a:1", 2, false, false, &statement));
    ck_assert(!statement.newer);
    ck_assert(hand_made("tcp://a:1", 2, true, false, &statement));
    ck_assert(statement.newer);
    ck_assert(hand_made("tcp://a:1", 2, false, true, &statement));
    ck_assert(statement.newer);
    ck_assert(!hand_made("tcp://a:1", 3, false, false, &statement));
}
END_TEST

START_TEST(names_cannot_steer_a_terminal)
{
    struct statement statement;

    ck_assert(hand_made("tcp://\xc3\xa9:1", 2, false, false, &statement));
    ck_assert(!hand_made("", 2, false, false, &statement));
    ck_assert(!hand_made("a\x1b[2J", 2, false, false, &statement));
    ck_assert(!hand_made("a\nb", 2, false, false, &statement));
    ck_assert(!hand_made("a\x7f", 2, false, false, &statement));
    ck_assert(!hand_made("a\xc2\x9b"
                         "2J",
                         2, false, false, &statement));
}
END_TEST

START_TEST(a_statement_that_would_be_too_long_is_not_written)
{
    struct statement statement = { .type = 4711 };
    struct buf body = { 0 };

    uint8_t *zeros = calloc(1, STATEMENT_BYTES_MAX);
    ck_assert_ptr_nonnull(zeros);
    cbor_put_bytes(&body, span_of(zeros, STATEMENT_BYTES_MAX));
    statement.body = buf_span(&body);
    ck_assert_int_eq(statement_encode(&out, &statement), ERR_FULL);
    ck_assert_uint_eq(out.size, 0);
    buf_free(&body);
    free(zeros);
}
END_TEST

START_TEST(an_office_code_is_capitals_digits_and_dashes)
{
    static const char *const good[] = { "KEN", "HQ-2", "0", "ABCDEFGHIJKL" };
    static const char *const bad[] = { "ken", "KE N", "K\xc3\x8aN", "K:" };
    struct statement statement;

    for (size_t n = 0; n < 4; n++) {
        buf_clear(&out);
        office.code = good[n];
        (void)test_office_statement(&out, &org, &office, 2);
        ck_assert(statement_read(buf_span(&out), &statement));
        office.code = "ABCD";
        buf_clear(&out);
        (void)test_office_statement(&out, &org, &office, 2);
        patch("ABCD", "ABCD", 4);
        uint8_t four[4] = { 'A', 'A', 'A', 'A' };
        memcpy(four, bad[n], strlen(bad[n]) < 4 ? strlen(bad[n]) : 4);
        patch("ABCD", four, 4);
        ck_assert(!statement_read(buf_span(&out), &statement));
    }
}
END_TEST

SUITE_MAIN_WITH("statement", found, dissolve, every_type_comes_back_as_it_was_written,
                fields_are_read_where_they_stand, cuts_come_back_in_order_whatever_their_size,
                cuts_ascend_by_log_place_and_entry_each_once,
                a_reason_from_a_later_version_revokes_all_the_same,
                an_erasure_names_keys_by_compartment_each_once_and_at_least_one,
                one_fork_has_one_proof_whichever_branch_is_named_first, what_proves_no_fork_is_no_fork_proof,
                a_fork_proof_is_signed_by_nobody_and_chooses_nothing,
                a_turned_bit_leaves_fewer_good_signatures,
                a_statement_that_is_cut_or_has_more_after_it_is_malformed,
                u4_a_signature_of_another_context_is_not_good,
                u4_a_signature_does_not_hold_for_another_type_or_organisation,
                keys_of_low_order_or_with_two_forms_are_malformed, a_key_has_one_use_in_a_certificate,
                a_proof_of_possession_is_of_exactly_these_keys, lists_ascend_and_hold_each_item_once,
                signers_ascend_and_sign_once, an_unknown_key_makes_a_statement_newer_and_not_malformed,
                names_cannot_steer_a_terminal, a_statement_that_would_be_too_long_is_not_written,
                an_office_code_is_capitals_digits_and_dashes)
