#include "sync/policy.h"
#include "tests/support/check.h"
#include "tests/support/org.h"

#include <string.h>

static struct test_world world;
static struct test_org org;
static struct test_office ken;
static struct test_office guest;
static struct test_device own;
static struct ident other; /* granted to guest, owned by nobody */
static struct roster *roster;
static struct buf out;

static void
found(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 4);
    test_org_init(&org, &world, 1, 1, 1);
    roster = test_roster(&org);
    test_enrol_office(roster, &org, &ken, "KEN");
    test_enrol_device(roster, &org, &ken, &own, LEVEL_ADMIN);
    memset(other.bytes, 0x77, IDENT_BYTES);
    out = (struct buf){ 0 };
}

static void
dissolve(void)
{
    buf_free(&out);
    roster_free(&roster);
    test_org_free(&org);
}

/* The compartments of the matrix, by role. */
static struct ident
compartment_of(enum compartment_role role)
{
    switch (role) {
    case COMPARTMENT_CONTROL:
        return org.control;
    case COMPARTMENT_SHARED:
        return org.shared;
    case COMPARTMENT_CASES:
        return ken.own[OWN_CASES];
    case COMPARTMENT_PROTECTED:
        return ken.own[OWN_PROTECTED];
    case COMPARTMENT_AUDIT:
        return ken.own[OWN_AUDIT];
    case COMPARTMENT_OTHER:
        break;
    }
    return other;
}

/* A device of a guest office with exactly this level in all of KEN's and in `other`. */
static struct test_device
guest_with(enum level level)
{
    struct test_device device;

    test_office_init(&guest, &org, "GUEST");
    guest.grant_count = 0;
    for (size_t n = 0; n < OWN_COUNT; n++) {
        test_office_grant(&guest, &ken.own[n], LEVEL_ADMIN);
    }
    test_office_grant(&guest, &other, LEVEL_ADMIN);
    (void)test_office_statement(&out, &org, &guest, 1);
    expect_given(roster, &out, ROSTER_NEW);
    test_enrol_device(roster, &org, &guest, &device, level);
    return device;
}

/* Every level, operation and kind of compartment. Rows are operations, columns compartments
 * (control, shared, cases, protected, audit, other); the letter is the level that is needed: c r w a,
 * and - for nobody. */
static const char *const needed[OPERATION_COUNT] = {
    [OPERATION_CARRY] = "cccccc",         [OPERATION_READ] = "rrrrrr",  [OPERATION_WRITE_DATA] = "-wwwww",
    [OPERATION_WRITE_KEY] = "-wwwww",     [OPERATION_EPOCH] = "-aaaaa", [OPERATION_ACTOR] = "--a---",
    [OPERATION_WRITE_CONTROL] = "w-----",
};

START_TEST(u13_nobody_exceeds_the_level_that_certificates_give)
{
    size_t allowed = 0;

    for (enum level level = LEVEL_NONE; level <= LEVEL_ADMIN; level++) {
        struct test_device device = guest_with(level);
        for (int role = COMPARTMENT_CONTROL; role <= COMPARTMENT_OTHER; role++) {
            struct ident compartment = compartment_of((enum compartment_role)role);
            /* In control everybody writes, and an admin of some office's cases is admin. */
            enum level has = role == COMPARTMENT_CONTROL && level != LEVEL_ADMIN ? LEVEL_WRITE : level;
            for (int operation = 0; operation < OPERATION_COUNT; operation++) {
                const char *at = strchr("-crwa", needed[operation][role]);
                int least = (int)(at - "-crwa");
                bool may = *at != '-' && (int)has >= least;
                const struct roster_device *here = roster_device(roster, &device.id);
                ck_assert_int_eq(policy_may(roster, here, (enum operation)operation, &compartment), may);
                ck_assert(!policy_may(roster, NULL, (enum operation)operation, &compartment));
                allowed += may;
            }
        }
    }
    ck_assert_uint_gt(allowed, 0);
}
END_TEST

START_TEST(an_unknown_compartment_allows_nothing)
{
    struct ident nowhere = { { 1, 2, 3 } };

    for (int operation = 0; operation < OPERATION_COUNT; operation++) {
        ck_assert(!policy_may(roster, roster_device(roster, &own.id), (enum operation)operation, &nowhere));
    }
}
END_TEST

START_TEST(an_entry_whose_author_may_not_write_comes_later)
{
    const struct roster_device *here = roster_device(roster, &own.id);

    for (enum level level = LEVEL_NONE; level <= LEVEL_ADMIN; level++) {
        struct test_device device = guest_with(level);
        struct descriptor descriptor = { .compartment = ken.own[0], .lane = LANE_NORMAL };
        here = roster_device(roster, &own.id);
        memcpy(descriptor.sign_pk, device.sign.public_key, SIGN_PK_BYTES);
        ck_assert_int_eq(policy_admit(roster, here, &descriptor),
                         level >= LEVEL_WRITE ? ADMIT : LATER_NO_WRITE);
        /* And one that this node has no part in. */
        descriptor.compartment = other;
        ck_assert_int_eq(policy_admit(roster, here, &descriptor),
                         level >= LEVEL_WRITE ? LATER_NOT_OURS : LATER_NO_WRITE);
    }
    struct descriptor unknown = { .compartment = ken.own[0], .lane = LANE_NORMAL };
    ck_assert_int_eq(policy_admit(roster, here, &unknown), LATER_UNKNOWN_AUTHOR);
}
END_TEST

/* Every kind, lane and compartment, for an author who may write there and a reader who may read. */
START_TEST(an_entry_counts_where_its_kind_belongs)
{
    static const uint8_t kinds[] = { ENTRY_DATA, ENTRY_CONTROL, ENTRY_KEY, ENTRY_RECEIPT, ENTRY_SEAL, 3 };
    struct test_device device = guest_with(LEVEL_WRITE);
    const struct roster_device *author = roster_device(roster, &device.id);

    for (size_t kind = 0; kind < sizeof kinds; kind++) {
        for (uint8_t lane = 0; lane < LANE_COUNT; lane++) {
            for (int role = COMPARTMENT_CONTROL; role <= COMPARTMENT_OTHER; role++) {
                struct descriptor descriptor = { .lane = lane };
                struct entry entry = { .kind = kinds[kind], .lane = lane, .flags = ENTRY_PADDED };
                enum held_reason reason = HELD_COUNT;
                enum held_reason expected = HELD_NOT;
                bool control = role == COMPARTMENT_CONTROL;
                descriptor.compartment = compartment_of((enum compartment_role)role);
                memcpy(descriptor.sign_pk, device.sign.public_key, SIGN_PK_BYTES);
                bool data = kinds[kind] == ENTRY_DATA;
                if (kinds[kind] == 3 || (data ? lane == 0 : lane != 0)) {
                    expected = HELD_WRONG_LANE;
                } else if ((data || kinds[kind] == ENTRY_KEY) == control) {
                    expected = HELD_WRONG_COMPARTMENT;
                }
                enum standing standing = policy_judge(roster, author, &descriptor, &entry, &reason);
                ck_assert_int_eq(reason, expected);
                ck_assert_int_eq(standing, expected == HELD_NOT ? STANDING_MERGED : STANDING_HELD);
            }
        }
    }
}
END_TEST

START_TEST(c11_data_is_padded_in_protected_and_audit)
{
    struct test_device device = guest_with(LEVEL_WRITE);

    for (int role = COMPARTMENT_SHARED; role <= COMPARTMENT_OTHER; role++) {
        struct descriptor descriptor = { .lane = LANE_NORMAL };
        struct entry entry = { .kind = ENTRY_DATA, .lane = LANE_NORMAL };
        enum held_reason reason = HELD_COUNT;
        bool padded = role == COMPARTMENT_PROTECTED || role == COMPARTMENT_AUDIT;
        descriptor.compartment = compartment_of((enum compartment_role)role);
        memcpy(descriptor.sign_pk, device.sign.public_key, SIGN_PK_BYTES);
        (void)policy_judge(roster, roster_device(roster, &device.id), &descriptor, &entry, &reason);
        ck_assert_int_eq(reason, padded ? HELD_NOT_PADDED : HELD_NOT);
    }
}
END_TEST

START_TEST(who_may_not_read_carries_and_held_goes_before_carried)
{
    struct descriptor descriptor = { .compartment = ken.own[0], .lane = LANE_NORMAL };
    struct entry entry = { .kind = ENTRY_DATA, .lane = LANE_NORMAL };

    for (enum level level = LEVEL_NONE; level <= LEVEL_ADMIN; level++) {
        struct test_device device = guest_with(level);
        const struct roster_device *reader = roster_device(roster, &device.id);
        memcpy(descriptor.sign_pk, own.sign.public_key, SIGN_PK_BYTES);
        ck_assert_int_eq(policy_judge(roster, reader, &descriptor, &entry, NULL),
                         level < LEVEL_READ ? STANDING_CARRIED : STANDING_MERGED);
        entry.kind = ENTRY_KEY;
        ck_assert_int_eq(policy_judge(roster, reader, &descriptor, &entry, NULL), STANDING_HELD);
        entry.kind = ENTRY_DATA;
        /* An author who may not write there. */
        memset(descriptor.sign_pk, 1, SIGN_PK_BYTES);
        enum held_reason reason = HELD_NOT;
        ck_assert_int_eq(policy_judge(roster, reader, &descriptor, &entry, &reason), STANDING_HELD);
        ck_assert_int_eq(reason, HELD_NO_RIGHT);
    }
}
END_TEST

START_TEST(standing_has_one_precedence)
{
    for (int a = 0; a < STANDING_COUNT; a++) {
        for (int b = 0; b < STANDING_COUNT; b++) {
            enum standing worse = policy_worse((enum standing)a, (enum standing)b);
            ck_assert_int_eq(worse, policy_worse((enum standing)b, (enum standing)a));
            ck_assert_int_eq(worse, a > b ? a : b);
        }
    }
    ck_assert_int_lt(STANDING_MERGED, STANDING_CARRIED);
    ck_assert_int_lt(STANDING_CARRIED, STANDING_HELD);
    ck_assert_int_lt(STANDING_HELD, STANDING_ERASED);
    for (int a = 0; a < HELD_COUNT; a++) {
        for (int b = 0; b < HELD_COUNT; b++) {
            enum held_reason shown = policy_reason_shown((enum held_reason)a, (enum held_reason)b);
            ck_assert_int_eq(shown, policy_reason_shown((enum held_reason)b, (enum held_reason)a));
            ck_assert(shown == (enum held_reason)a || shown == (enum held_reason)b);
            ck_assert(shown != HELD_NOT || (a == HELD_NOT && b == HELD_NOT));
        }
    }
}
END_TEST

START_TEST(n11_a_compartment_is_spoken_of_only_if_both_carry_it)
{
    for (enum level level = LEVEL_NONE; level <= LEVEL_ADMIN; level++) {
        struct test_device device = guest_with(level);
        const struct roster_device *here = roster_device(roster, &own.id);
        const struct roster_device *peer = roster_device(roster, &device.id);
        ck_assert_int_eq(policy_may_speak(roster, here, peer, &ken.own[0]), level >= LEVEL_CARRY);
        ck_assert_int_eq(policy_may_speak(roster, peer, here, &ken.own[0]), level >= LEVEL_CARRY);
        ck_assert(!policy_may_speak(roster, here, peer, &other));
        ck_assert(policy_may_speak(roster, here, peer, &org.control));
        ck_assert(!policy_may_speak(roster, here, NULL, &org.control));
    }
}
END_TEST

START_TEST(fields_that_identify_belong_in_the_protected_twin_only)
{
    for (int role = COMPARTMENT_CONTROL; role <= COMPARTMENT_AUDIT; role++) {
        struct ident id = compartment_of((enum compartment_role)role);
        const struct roster_compartment *compartment = roster_compartment(roster, &id);
        for (int level = LEVEL_L0; level <= LEVEL_L3; level++) {
            bool belongs = role == COMPARTMENT_AUDIT ||
                           (role == COMPARTMENT_PROTECTED && level == LEVEL_L3) ||
                           ((role == COMPARTMENT_CASES || role == COMPARTMENT_SHARED) && level != LEVEL_L3);
            ck_assert_int_eq(policy_field_belongs(compartment, (enum sensitivity)level), belongs);
        }
    }
}
END_TEST

START_TEST(every_standing_and_reason_has_a_name_of_its_own)
{
    for (int a = 0; a < HELD_COUNT; a++) {
        ck_assert_ptr_nonnull(held_reason_name((enum held_reason)a));
        ck_assert_ptr_nonnull(held_reason_text((enum held_reason)a));
        for (int b = 0; b < a; b++) {
            ck_assert_str_ne(held_reason_name((enum held_reason)a), held_reason_name((enum held_reason)b));
        }
    }
    ck_assert_str_eq(held_reason_name(HELD_COUNT), "unknown");
    ck_assert_str_eq(standing_name(STANDING_HELD), "held");
    ck_assert_str_eq(standing_name(STANDING_COUNT), "unknown");
    ck_assert_int_eq(policy_reason_of_fault(FAULT_SCHEMA), HELD_NOT);
    ck_assert_int_eq(policy_reason_of_fault(FAULT_DOES_NOT_OPEN), HELD_DOES_NOT_OPEN);
}
END_TEST

SUITE_MAIN_WITH("policy", found, dissolve, u13_nobody_exceeds_the_level_that_certificates_give,
                an_unknown_compartment_allows_nothing, an_entry_whose_author_may_not_write_comes_later,
                an_entry_counts_where_its_kind_belongs, c11_data_is_padded_in_protected_and_audit,
                who_may_not_read_carries_and_held_goes_before_carried, standing_has_one_precedence,
                n11_a_compartment_is_spoken_of_only_if_both_carry_it,
                fields_that_identify_belong_in_the_protected_twin_only,
                every_standing_and_reason_has_a_name_of_its_own)
