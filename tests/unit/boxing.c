/* Boxes: of many admins one makes each, and nobody has to be there. */

#include "sync/boxing.h"
#include "store/base/log.h"
#include "sync/keyring.h"
#include "tests/support/check.h"
#include "tests/support/org.h"
#include "tests/support/organisation.h"
#include "tests/support/silent.h"

#include <string.h>

enum { ADMINS = 31, EPOCHS = OWN_COUNT + 1, MINUTE_MS = 60 * 1000 };

static struct test_organisation org;
static struct test_node *admins[ADMINS]; /* the first of them made the epochs */
static struct test_node
    *clerk; /* no admin: who brings certificates, where it is to be nobody who could box */
static struct test_node *newcomer;

/* --- an office with so many admins, who have all heard of everything --- */

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 31);
    test_organisation_office(&org, "KEN", false);
}

static void
teardown(void)
{
    test_organisation_free(&org);
}

static void
begin(size_t admin_count)
{
    for (size_t n = 0; n < admin_count; n++) {
        admins[n] = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
        admins[n]->map_bytes = 4 << 20;
    }
    clerk = test_organisation_enrol(&org, "KEN", LEVEL_WRITE, NULL, 0);
    test_node_join(&org, admins[0]);
    for (size_t n = 1; n < admin_count; n++) {
        test_node_found(&org, admins[n]);
        test_node_give(admins[0], admins[n], false);
    }
    test_node_found(&org, clerk);
    test_node_give(admins[0], clerk, false);
    newcomer = test_organisation_enrol(&org, "KEN", LEVEL_WRITE, NULL, 0);
}

static void
count_one(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    (void)id;
    (void)type;
    (void)stmt;
    ++*(size_t *)self;
}

static size_t
count_of(struct test_node *node, uint32_t type)
{
    size_t count = 0;

    roster_each(replica_roster(node->replica), type, count_one, &count);
    return count;
}

static size_t
box_count(struct test_node *node)
{
    return count_of(node, STATEMENT_BOX);
}

/* True if every epoch that `node` knows of boxes the newcomer so often. */
static bool
each_boxed(struct test_node *node, size_t times)
{
    const struct roster *roster = replica_roster(node->replica);
    const uint8_t *sealed[4];

    ck_assert_uint_eq(roster_epoch_count(roster), EPOCHS);
    for (size_t n = 0; n < EPOCHS; n++) {
        if (roster_boxes(roster, &roster_epoch_at(roster, n)->epoch_id, &newcomer->identity.device_id, sealed,
                         4) != times) {
            return false;
        }
    }
    return true;
}

static void
pass(size_t from, size_t to, uint64_t ms)
{
    for (size_t n = from; n < to; n++) {
        test_world_pass(&admins[n]->world, ms);
    }
}

/* Let everybody do what is due by now, before anybody hears of it. Gives how many boxes were made. */
static size_t
look(size_t from, size_t to)
{
    size_t made = 0;

    for (size_t n = from; n < to; n++) {
        size_t before = box_count(admins[n]);

        if (replica_tend_is_due(admins[n]->replica)) {
            test_node_tend(admins[n]);
        }
        made += box_count(admins[n]) - before;
    }
    return made;
}

/* Let all of them hear of everything that any of them holds. */
static void
hear(size_t from, size_t to)
{
    for (size_t n = from + 1; n < to; n++) {
        test_node_give(admins[n], admins[from], false);
    }
    for (size_t n = from + 1; n < to; n++) {
        test_node_give(admins[from], admins[n], false);
    }
}

static void
clerk_brings_it(size_t from, size_t to)
{
    test_node_import(&org, clerk);
    for (size_t n = from; n < to; n++) {
        test_node_give(clerk, admins[n], false);
    }
}

/* True if what `node` holds lets the newcomer open all that is written with. */
static bool
opens_after(struct test_node *node)
{
    const struct roster *roster = replica_roster(node->replica);
    struct keyring *ring = keyring_new(&newcomer->identity.device_id, &newcomer->identity.box);
    bool opens = true;

    ck_assert_ptr_nonnull(ring);
    (void)keyring_learn(ring, roster, NULL, NULL);
    for (size_t n = 0; n < EPOCHS; n++) {
        const struct roster_epoch *epoch = roster_epoch_at(roster, n);

        opens = opens && keyring_get(ring, &epoch->compartment, &epoch->epoch_id) != NULL;
    }
    keyring_free(&ring);
    return opens;
}

/* --- tests --- */

START_TEST(of_31_admins_the_one_who_brings_the_newcomer_boxes_at_once_and_nobody_else)
{
    begin(ADMINS);
    ck_assert_uint_eq(box_count(admins[0]), 0);
    test_node_import(&org, admins[7]);
    ck_assert(each_boxed(admins[7], 1));
    ck_assert(opens_after(admins[7]));
    hear(0, ADMINS);
    for (int n = 0; n < 30; n++) {
        pass(0, ADMINS, 10 * MINUTE_MS);
        ck_assert_uint_eq(look(0, ADMINS), 0);
    }
    hear(0, ADMINS);
    ck_assert_uint_eq(box_count(admins[0]), EPOCHS);
    ck_assert_uint_eq(count_of(admins[0], STATEMENT_EPOCH), EPOCHS);
}
END_TEST

START_TEST(of_31_admins_the_maker_boxes_at_once_and_nobody_else)
{
    begin(ADMINS);
    clerk_brings_it(1, ADMINS);
    ck_assert_uint_eq(look(1, ADMINS), 0);
    test_node_give(clerk, admins[0], false);
    ck_assert(each_boxed(admins[0], 1));
    ck_assert(opens_after(admins[0]));
    pass(0, ADMINS, 10 * MINUTE_MS - 1);
    ck_assert_uint_eq(look(0, ADMINS), 0);
    hear(0, ADMINS);
    pass(0, ADMINS, 300 * MINUTE_MS);
    ck_assert_uint_eq(look(0, ADMINS), 0);
    ck_assert_uint_eq(box_count(admins[ADMINS - 1]), EPOCHS);
}
END_TEST

/* The maker is dead. Of each epoch another admin may be the next. */
START_TEST(of_31_admins_the_next_boxes_after_the_hold)
{
    begin(ADMINS);
    clerk_brings_it(1, ADMINS);
    pass(1, ADMINS, 10 * MINUTE_MS - 1);
    ck_assert_uint_eq(look(1, ADMINS), 0);
    pass(1, ADMINS, 1);
    ck_assert_uint_eq(look(1, ADMINS), EPOCHS);
    hear(1, ADMINS);
    ck_assert(each_boxed(admins[1], 1));
    ck_assert(opens_after(admins[1]));
    pass(1, ADMINS, 300 * MINUTE_MS);
    ck_assert_uint_eq(look(1, ADMINS), 0);
    ck_assert_uint_eq(box_count(admins[1]), EPOCHS);
}
END_TEST

/* As many as there are ranks: each one in its turn, and the last of them with all who come after. */
START_TEST(of_31_admins_who_hear_nothing_each_boxes_in_its_turn)
{
    begin(ADMINS);
    clerk_brings_it(1, ADMINS);
    for (int n = 1; n < BOXING_RANKS_MAX; n++) {
        pass(1, ADMINS, 10 * MINUTE_MS);
        ck_assert_uint_eq(look(1, ADMINS), EPOCHS);
    }
    pass(1, ADMINS, 10 * MINUTE_MS);
    ck_assert_uint_eq(look(1, ADMINS), (size_t)EPOCHS * (ADMINS - BOXING_RANKS_MAX));
    pass(1, ADMINS, 300 * MINUTE_MS);
    ck_assert_uint_eq(look(1, ADMINS), 0);
}
END_TEST

START_TEST(a_newcomer_is_boxed_at_once_by_the_admin_that_it_talks_to)
{
    begin(4);
    clerk_brings_it(1, 4);
    const struct gossip_store *store = replica_gossip_store(admins[2]->replica);

    ck_assert(!replica_tend_is_due(admins[2]->replica));
    /* One who is no newcomer changes nothing. */
    store->agreed(store->self, &clerk->identity.device_id);
    ck_assert(!replica_tend_is_due(admins[2]->replica));
    store->agreed(store->self, &newcomer->identity.device_id);
    ck_assert(replica_tend_is_due(admins[2]->replica));
    ck_assert_uint_eq(look(1, 4), EPOCHS);
    ck_assert(each_boxed(admins[2], 1));
    ck_assert(opens_after(admins[2]));
    /* Who has a key there waits for the turn of somebody: it talks to many. */
    ck_assert_int_eq(replica_begin(admins[0]->replica), ERR_OK);
    ck_assert_int_eq(replica_rotate(admins[0]->replica, roster_shared_id(replica_roster(admins[0]->replica))),
                     ERR_OK);
    ck_assert_int_eq(replica_commit(admins[0]->replica), ERR_OK);
    test_node_give(admins[0], admins[2], false);
    store->agreed(store->self, &newcomer->identity.device_id);
    ck_assert(!replica_tend_is_due(admins[2]->replica));
    ck_assert_uint_eq(box_count(admins[2]), EPOCHS);
}
END_TEST

/* The roster learned of the newcomer in this very turn, and was not looked at yet. */
START_TEST(a_newcomer_who_is_met_before_the_look_is_boxed_by_it)
{
    begin(3);
    test_node_import(&org, clerk);
    const struct gossip_store *store = replica_gossip_store(admins[1]->replica);

    ck_assert_int_eq(replica_begin(admins[1]->replica), ERR_OK);
    test_node_give_lane(clerk, admins[1], roster_control(replica_roster(clerk->replica)), LANE_CONTROL);
    ck_assert_int_eq(replica_commit(admins[1]->replica), ERR_OK);
    store->agreed(store->self, &newcomer->identity.device_id);
    test_node_tend(admins[1]);
    ck_assert(each_boxed(admins[1], 1));
}
END_TEST

START_TEST(two_who_are_apart_make_two_boxes_and_nothing_breaks)
{
    begin(4);
    test_node_import(&org, admins[3]);
    clerk_brings_it(0, 1);
    ck_assert(each_boxed(admins[3], 1));
    ck_assert(each_boxed(admins[0], 1));
    hear(0, 4);
    for (size_t n = 0; n < 4; n++) {
        ck_assert(each_boxed(admins[n], 2));
    }
    ck_assert(opens_after(admins[1]));
    pass(0, 4, 300 * MINUTE_MS);
    ck_assert_uint_eq(look(0, 4), 0);
    ck_assert_uint_eq(box_count(admins[0]), 2 * EPOCHS);
}
END_TEST

START_TEST(after_a_restart_the_waiting_begins_anew)
{
    begin(2);
    clerk_brings_it(1, 2);
    pass(1, 2, 9 * MINUTE_MS);
    ck_assert_uint_eq(look(1, 2), 0);
    test_node_close(admins[1]);
    test_node_open(admins[1]);
    test_node_tend(admins[1]);
    pass(1, 2, 9 * MINUTE_MS);
    ck_assert_uint_eq(look(1, 2), 0);
    pass(1, 2, MINUTE_MS);
    ck_assert_uint_eq(look(1, 2), EPOCHS);
    ck_assert(opens_after(admins[1]));
}
END_TEST

/* Whose turn never comes, because somebody else was there before. */
START_TEST(who_waited_and_hears_of_a_box_makes_none)
{
    begin(2);
    clerk_brings_it(1, 2);
    pass(1, 2, 9 * MINUTE_MS);
    test_node_give(clerk, admins[0], false);
    test_node_give(admins[0], admins[1], false);
    pass(1, 2, 300 * MINUTE_MS);
    ck_assert_uint_eq(look(1, 2), 0);
    ck_assert(each_boxed(admins[1], 1));
}
END_TEST

/* Nobody talks to a device whose certificate ran out: nobody waits for it. */
START_TEST(nobody_waits_for_a_maker_whose_certificate_ran_out)
{
    const uint64_t half_ms = UINT64_C(183) * 24 * 60 * MINUTE_MS;

    begin(1);
    test_world_pass(&org.world, half_ms);
    struct test_node *late = admins[1] = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_world_pass(&late->world, 2 * half_ms + half_ms / 2);
    test_node_import(&org, admins[0]);
    test_node_found(&org, late);
    test_node_give(admins[0], late, false);
    const struct roster *roster = replica_roster(late->replica);
    uint64_t now_s = world_wall_ms(&late->world.world) / 1000;
    ck_assert_uint_gt(now_s, roster_device(roster, &admins[0]->identity.device_id)->until);
    ck_assert_uint_lt(now_s, roster_device(roster, &late->identity.device_id)->until);
    newcomer = test_organisation_enrol(&org, "KEN", LEVEL_WRITE, NULL, 0);
    clerk_brings_it(1, 2);
    ck_assert(each_boxed(late, 1));
    /* By its own clock the maker is as good as ever. */
    test_node_give(clerk, admins[0], false);
    ck_assert(each_boxed(admins[0], 1));
}
END_TEST

/* --- the order --- */

static struct roster_device devices[ADMINS];
static const struct roster_device *pointers[ADMINS];

static void
draw_devices(void)
{
    struct test_world world;

    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 5);
    for (size_t n = 0; n < ADMINS; n++) {
        world_random(&world.world, devices[n].device_id.bytes, HASH_BYTES);
        pointers[n] = &devices[n];
    }
}

START_TEST(each_admin_has_a_rank_of_its_own_and_the_maker_the_first)
{
    struct roster_epoch epoch = { .epoch_id = { { 1 } } };
    struct hash device = { { 2 } };

    draw_devices();
    for (size_t maker = 0; maker <= ADMINS; maker++) {
        uint32_t taken = 0;

        epoch.maker = maker == ADMINS ? NULL : &devices[maker];
        for (size_t n = 0; n < ADMINS; n++) {
            size_t rank = boxing_rank(&epoch, &device, &devices[n].device_id, pointers, ADMINS);

            ck_assert_uint_lt(rank, ADMINS);
            ck_assert_uint_eq(taken >> rank & 1, 0);
            taken |= UINT32_C(1) << rank;
            ck_assert(maker != n || rank == 0);
        }
    }
}
END_TEST

START_TEST(the_order_is_another_one_for_each_box_and_keeps_when_somebody_leaves)
{
    struct roster_epoch epoch = { .epoch_id = { { 1 } } };
    size_t first[ADMINS] = { 0 };

    draw_devices();
    for (uint8_t n = 0; n < 200; n++) {
        struct hash device = { { n } };
        size_t rank[ADMINS];
        size_t last = 0;

        for (size_t m = 0; m < ADMINS; m++) {
            rank[m] = boxing_rank(&epoch, &device, &devices[m].device_id, pointers, ADMINS);
            first[m] += rank[m] == 0;
            last = m < ADMINS - 1 ? last : rank[m];
        }
        for (size_t m = 0; m < ADMINS - 1; m++) {
            ck_assert_uint_eq(boxing_rank(&epoch, &device, &devices[m].device_id, pointers, ADMINS - 1),
                              rank[m] - (rank[m] > last));
        }
    }
    for (size_t m = 0; m < ADMINS; m++) {
        ck_assert_uint_lt(first[m], 25); /* 200 / 31 is about 6 */
    }
}
END_TEST

/* --- the first epoch of `shared` --- */

/* So many admins, certified a minute after each other, who know of each other and have heard nothing. */
static void
begin_apart(size_t count)
{
    for (size_t n = 0; n < count; n++) {
        admins[n] = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
        admins[n]->map_bytes = 4 << 20;
        test_world_pass(&org.world, MINUTE_MS);
    }
    for (size_t n = 0; n < count; n++) {
        test_node_found(&org, admins[n]);
    }
}

static size_t
shared_epochs(struct test_node *node)
{
    const struct roster *roster = replica_roster(node->replica);
    size_t count = 0;

    (void)roster_epochs_of(roster, roster_shared_id(roster), &count);
    return count;
}

static bool
writes_in_shared(struct test_node *node)
{
    const struct ident *shared = roster_shared_id(replica_roster(node->replica));
    const struct save save = { .compartment = *shared, .create = true, .actor = 1 };
    struct saved saved;
    size_t op;

    ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
    enum err err = replica_save(node->replica, &save, &saved, &op);
    ck_assert(err == ERR_OK || err == ERR_LOCKED);
    ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
    return err == ERR_OK;
}

START_TEST(of_many_admins_that_join_apart_one_makes_the_epoch_of_shared_and_boxes_it_for_all)
{
    begin_apart(12);
    for (size_t n = 12; n > 0; n--) {
        test_node_tend(admins[n - 1]);
        ck_assert_uint_eq(shared_epochs(admins[n - 1]), n == 1);
    }
    hear(0, 12);
    hear(0, 12);
    for (size_t n = 0; n < 12; n++) {
        ck_assert_uint_eq(shared_epochs(admins[n]), 1);
        ck_assert(writes_in_shared(admins[n]));
        pass(n, n + 1, 300 * MINUTE_MS);
        test_node_tend(admins[n]);
        ck_assert_uint_eq(shared_epochs(admins[n]), 1);
    }
}
END_TEST

START_TEST(nobody_waits_for_ever_for_who_was_certified_first)
{
    begin_apart(3);
    test_node_tend(admins[2]);
    ck_assert(!replica_tend_is_due(admins[2]->replica));
    pass(2, 3, 3 * BOXING_HOLD_MS - 1);
    test_node_tend(admins[2]);
    ck_assert_uint_eq(shared_epochs(admins[2]), 0);
    pass(2, 3, 1);
    ck_assert(replica_tend_is_due(admins[2]->replica));
    test_node_tend(admins[2]);
    ck_assert_uint_eq(shared_epochs(admins[2]), 1);
}
END_TEST

START_TEST(who_holds_the_same_of_control_as_somebody_else_waits_a_hold_less)
{
    begin_apart(2);
    const struct gossip_store *store = replica_gossip_store(admins[1]->replica);
    test_node_tend(admins[1]);
    pass(1, 2, BOXING_HOLD_MS);
    test_node_tend(admins[1]);
    ck_assert_uint_eq(shared_epochs(admins[1]), 0);
    store->agreed(store->self, &admins[0]->identity.device_id);
    ck_assert(replica_tend_is_due(admins[1]->replica));
    test_node_tend(admins[1]);
    ck_assert_uint_eq(shared_epochs(admins[1]), 1);
}
END_TEST

START_TEST(where_somebody_is_to_write_in_shared_nobody_waits)
{
    begin_apart(3);
    test_node_tend(admins[2]);
    ck_assert(!writes_in_shared(admins[2]));
    ck_assert(replica_tend_is_due(admins[2]->replica));
    test_node_tend(admins[2]);
    ck_assert(writes_in_shared(admins[2]));
    /* Two that were made apart open what they sealed, and the next one follows upon both. */
    test_node_tend(admins[0]);
    hear(0, 3);
    hear(0, 3);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_uint_eq(shared_epochs(admins[n]), 2);
        ck_assert(writes_in_shared(admins[n]));
    }
}
END_TEST

START_TEST(nobody_waits_for_an_admin_that_was_revoked)
{
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf revocation = { 0 };

    begin_apart(2);
    test_node_tend(admins[1]);
    ck_assert_uint_eq(shared_epochs(admins[1]), 0);
    memcpy(statement.revoke.key, admins[0]->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = 1;
    (void)test_organisation_sign(&org, &statement, "office-KEN", &revocation);
    test_node_state(admins[1], buf_span(&revocation));
    ck_assert_uint_eq(shared_epochs(admins[1]), 1);
    buf_free(&revocation);
}
END_TEST

/* How many epochs of KEN's case compartment a node knows of. */
static size_t
epochs_of_cases(struct test_node *node)
{
    const struct roster *roster = replica_roster(node->replica);
    size_t epochs = 0;

    for (size_t n = 0; n < roster_compartment_count(roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(roster, n);

        if (compartment->role == COMPARTMENT_CASES && strcmp(compartment->owner->code, "KEN") == 0) {
            (void)roster_epochs_of(roster, &compartment->id, &epochs);
        }
    }
    return epochs;
}

/* Let so much time pass for each of them, and let each do what is due, with nobody heard. Gives how many have made the second epoch. */
static size_t
have_made_another(struct test_node *const *nodes, size_t count, uint64_t ms)
{
    size_t made = 0;

    for (size_t n = 0; n < count; n++) {
        test_world_pass(&nodes[n]->world, ms);
        test_node_tend(nodes[n]);
        made += epochs_of_cases(nodes[n]) == 2;
    }
    return made;
}

START_TEST(an_old_epoch_is_made_anew_by_one_of_its_office_and_a_day_later_by_the_next)
{
    enum { OFFICE = 3 };
    const uint64_t day_ms = UINT64_C(24) * 60 * MINUTE_MS;
    struct test_node *hq;

    test_organisation_office(&org, "HQ", true);
    begin(OFFICE);
    hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_found(&org, hq);
    test_node_give(admins[0], hq, false);
    ck_assert_uint_eq(have_made_another(admins, OFFICE, 0), 0);
    ck_assert_uint_eq(have_made_another(&hq, 1, 0), 0);
    ck_assert_uint_eq(have_made_another(admins, OFFICE, 90 * day_ms - 1), 0);
    ck_assert_uint_eq(have_made_another(admins, OFFICE, 60 * MINUTE_MS), 1);
    for (size_t n = 0; n < OFFICE; n++) {
        const struct roster *roster = replica_roster(admins[n]->replica);

        ck_assert_uint_eq(
            epochs_of_cases(admins[n]),
            roster_device_at(roster, 0) == roster_device(roster, &admins[n]->identity.device_id) ? 2 : 1);
    }
    ck_assert_uint_eq(have_made_another(admins, OFFICE, day_ms), 2);
    ck_assert_uint_eq(have_made_another(admins, OFFICE, day_ms), 3);
    /* Headquarters may, and leaves it to the office as long as somebody is there. */
    ck_assert_uint_eq(have_made_another(&hq, 1, 120 * day_ms), 0);
}
END_TEST

SUITE_MAIN_WITH("boxing", setup, teardown,
                of_31_admins_the_one_who_brings_the_newcomer_boxes_at_once_and_nobody_else,
                of_31_admins_the_maker_boxes_at_once_and_nobody_else,
                of_31_admins_the_next_boxes_after_the_hold,
                of_31_admins_who_hear_nothing_each_boxes_in_its_turn,
                a_newcomer_is_boxed_at_once_by_the_admin_that_it_talks_to,
                a_newcomer_who_is_met_before_the_look_is_boxed_by_it,
                two_who_are_apart_make_two_boxes_and_nothing_breaks, after_a_restart_the_waiting_begins_anew,
                who_waited_and_hears_of_a_box_makes_none, nobody_waits_for_a_maker_whose_certificate_ran_out,
                each_admin_has_a_rank_of_its_own_and_the_maker_the_first,
                the_order_is_another_one_for_each_box_and_keeps_when_somebody_leaves,
                of_many_admins_that_join_apart_one_makes_the_epoch_of_shared_and_boxes_it_for_all,
                nobody_waits_for_ever_for_who_was_certified_first,
                who_holds_the_same_of_control_as_somebody_else_waits_a_hold_less,
                where_somebody_is_to_write_in_shared_nobody_waits, nobody_waits_for_an_admin_that_was_revoked,
                an_old_epoch_is_made_anew_by_one_of_its_office_and_a_day_later_by_the_next)
