/* Whatever a disk shows after a crash, the node starts, and all that it acknowledged is there.
 *
 * A node works; everything that it writes is recorded; then for every moment a few of the disks are made that a crash there may leave
 * (tests/support/disk/recorder.h), and a node is started on each. It must start, hold what was acknowledged by then, find itself neither
 * rolled back nor damaged, and go on working. VIGIL_IMAGES=N makes N of each moment, beside those that lose all or nothing.
 */
#include "tests/support/check.h"
#include "tests/support/disk/recorder.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include "node/probe.h"
#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FACTS_MAX = 64, CONSENT_WITHDRAWN = 1, PROVED_EACH = 4 };

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *gva;
static struct ident cases;
static struct ident person;
static struct test_world chance; /* what the disks are made with */
static char home[128];           /* where ken works; its images lie beside */
static char image[160];

/* Something that holds once it was acknowledged, and so after so many marks. */
static struct fact {
    size_t marks;
    struct ident record;
    const char *pseudonym; /* it has this one; NULL: it is erased */
} facts[FACTS_MAX];
static size_t fact_count;
static size_t mark_count;

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    log_to(silent, NULL);
    fact_count = 0;
    mark_count = 0;
    test_world_init(&chance, 4711);
    test_organisation_init(&org, 78);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "GVA", true);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    gva = test_organisation_enrol(&org, "GVA", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, gva);
    test_node_exchange(ken, gva);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    for (int n = 0; n < 6; n++) {
        person = saves_person(ken, &cases, "a name");
    }
    test_node_exchange(ken, gva);
    ck_assert_int_eq(replica_anchor(ken->replica), ERR_OK);
    (void)snprintf(home, sizeof home, "%s", ken->directory);
    (void)snprintf(image, sizeof image, "%s.image", home);
}

static void
teardown(void)
{
    recorder_free();
    saves_free();
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

/* --- what the node does --- */

static void
acknowledge(const struct ident *record, const char *pseudonym)
{
    recorder_mark();
    mark_count++;
    ck_assert_uint_lt(fact_count, FACTS_MAX);
    facts[fact_count++] = (struct fact){ mark_count, *record, pseudonym };
}

/* A turn with one save: a new person, or another pseudonym. It is acknowledged as the daemon does it, behind the anchor. */
static struct ident
save(const struct ident *record, const char *pseudonym)
{
    struct save_op ops[] = { saves_set("person", "pseudonym", pseudonym), saves_kind("person"),
                             saves_set("person", "name.text", "another name") };
    struct ident saved = { { 0 } };

    saves_begin(ken);
    if (record == NULL) {
        saved = saves_new(ken, &cases, ops, 3);
    } else {
        ops[0].resolve = true;
        ck_assert_int_eq(saves_change(ken, &cases, record, ops[0]), ERR_OK);
        saved = *record;
    }
    saves_commit(ken);
    ck_assert_int_eq(replica_anchor(ken->replica), ERR_OK);
    return saved;
}

static void
save_a_few(void)
{
    struct ident fresh = save(NULL, "P-20");

    acknowledge(&fresh, "P-20");
    (void)save(&person, "P-21");
    acknowledge(&person, "P-21");
    struct ident other = save(NULL, "P-22");
    acknowledge(&other, "P-22");
    (void)save(&other, "P-23");
    acknowledge(&other, "P-23");
}

static void
start_and_save(void)
{
    test_node_close(ken);
    test_node_open(ken);
    (void)save(&person, "P-24");
    acknowledge(&person, "P-24");
}

/* One turn of many, for which the map has to grow. */
static void
save_many_at_once(void)
{
    struct save_op ops[] = { saves_set("person", "pseudonym", "P-25"), saves_kind("person"),
                             saves_set("person", "name.text", "yet another name") };
    struct ident made[12];

    saves_begin(ken);
    for (size_t n = 0; n < 12; n++) {
        made[n] = saves_new(ken, &cases, ops, 3);
    }
    saves_commit(ken);
    ck_assert_int_eq(replica_anchor(ken->replica), ERR_OK);
    for (size_t n = 0; n < 12; n++) {
        acknowledge(&made[n], "P-25");
    }
}

/* A change by another node, which is told that it arrived; and one of its own upon it. */
static void
take_in_and_save(void)
{
    test_node_give(gva, ken, false);
    acknowledge(&person, "P-26");
    (void)save(&person, "P-27");
    acknowledge(&person, "P-27");
}

/* What a node does of itself. */
static void
go_on(void)
{
    for (bool more = true; more;) {
        saves_begin(ken);
        more = replica_tend(ken->replica);
        saves_commit(ken);
        if (replica_compact_is_due(ken->replica)) {
            ck_assert_int_eq(replica_compact(ken->replica), ERR_OK);
            more = true;
        }
    }
}

static void
order(void)
{
    struct replica_order given;

    saves_begin(ken);
    ck_assert_int_eq(replica_order_erasure(ken->replica, &cases, &person, CONSENT_WITHDRAWN, 1, &given),
                     ERR_OK);
    saves_commit(ken);
    go_on();
}

static void
erase(void)
{
    order();
    acknowledge(&person, NULL);
    struct ident after = save(NULL, "P-28");
    acknowledge(&after, "P-28");
}

/* --- what is to be there --- */

/* Was `fact` overtaken by a later one of the same record? Then either may show, for the later one may be there too. */
static bool
is_overtaken(size_t fact)
{
    for (size_t later = fact + 1; later < fact_count; later++) {
        if (ident_equal(&facts[later].record, &facts[fact].record)) {
            return true;
        }
    }
    return false;
}

static bool
shows(const struct ident *record, const char *pseudonym)
{
    return pseudonym == NULL ? saves_pseudonym_count(ken, &cases, record) == 0
                             : saves_has(ken, &cases, record, "pseudonym", pseudonym);
}

/* It shows, or something later of the same record does. */
static bool
holds(size_t fact)
{
    bool held = shows(&facts[fact].record, facts[fact].pseudonym);

    for (size_t later = fact + 1; !held && is_overtaken(fact) && later < fact_count; later++) {
        held = ident_equal(&facts[later].record, &facts[fact].record) &&
               shows(&facts[fact].record, facts[later].pseudonym);
    }
    return held;
}

/* Check writes a mark to a pipe for each assertion of its own, which is too much for so many. */
static void
expect(bool condition, const char *where, const char *what)
{
    if (!condition) {
        ck_abort_msg("%s: %s", where, what);
    }
}

static void
start_on(size_t moment, enum recorder_loss loss, bool proved)
{
    char where[80];
    size_t marks = recorder_marks(moment);

    (void)snprintf(where, sizeof where, "moment %zu of %zu, loss %d, %zu marks", moment, recorder_moments(),
                   (int)loss, marks);
    recorder_image(moment, loss, &chance.world, image);
    struct setup_fault fault;
    expect(probe_store(ken->directory, SANDBOX_OFF, &ken->world.world, &fault), where,
           "its pages are taken for damaged");
    enum err err = replica_open(&ken->replica, &(struct replica_options){ .directory = ken->directory,
                                                                          .world = &ken->world.world,
                                                                          .storage_key = &ken->storage_key,
                                                                          .codebook = ken->codebook,
                                                                          .map_bytes = ken->map_bytes });
    expect(err == ERR_OK, where, "it does not start");
    for (size_t n = 0; n < fact_count && facts[n].marks <= marks; n++) {
        expect(holds(n), where, "what was acknowledged is lost");
    }
    expect(replica_setbacks(ken->replica).incarnations == 0, where, "it takes itself for rolled back");
    go_on();
    if (proved) {
        ck_assert_uint_gt(test_node_prove(ken, where).checked[PROOF_RECORDS], 0);
    }
    struct ident made = save(NULL, "P-29");
    expect(shows(&made, "P-29"), where, "it does not go on");
    test_node_close(ken);
}

static size_t
images_of_each(void)
{
    const char *more = getenv("VIGIL_IMAGES");

    return more == NULL ? 1 : strtoul(more, NULL, 10);
}

/* Let ken do it, and start it on the disks that a crash may leave. */
static void
expect_nothing_lost(const char *what, void (*work)(void))
{
    size_t images = 0;

    recorder_start(home);
    work();
    test_node_close(ken);
    recorder_stop();
    (void)snprintf(ken->directory, sizeof ken->directory, "%.*s", (int)sizeof ken->directory - 1, image);
    for (size_t moment = 0; moment < recorder_moments(); moment++) {
        start_on(moment, LOSS_ALL, images++ % PROVED_EACH == 0);
        start_on(moment, LOSS_NONE, images++ % PROVED_EACH == 0);
        for (size_t n = 0; n < images_of_each(); n++) {
            start_on(moment, LOSS_SOME, images++ % PROVED_EACH == 0);
            start_on(moment, LOSS_SECTORS, images++ % PROVED_EACH == 0);
        }
    }
    printf("%s: %zu moments, %zu marks, %zu images\n", what, recorder_moments(), mark_count, images);
    ck_assert_uint_eq(recorder_marks(recorder_moments() - 1), mark_count);
    ck_assert_uint_gt(recorder_moments(), 10);
}

START_TEST(i3_what_was_saved_is_there_after_a_crash)
{
    expect_nothing_lost("saves", save_a_few);
}
END_TEST

START_TEST(i3_what_was_saved_after_a_start_is_there_after_a_crash)
{
    expect_nothing_lost("a start and a save", start_and_save);
}
END_TEST

START_TEST(i3_what_was_saved_at_once_is_there_after_a_crash)
{
    expect_nothing_lost("many in one turn", save_many_at_once);
}
END_TEST

START_TEST(i3_what_came_from_a_peer_is_there_after_a_crash)
{
    struct save_op op = saves_set("person", "pseudonym", "P-26");

    op.resolve = true;
    saves_begin(gva);
    ck_assert_int_eq(saves_change(gva, &cases, &person, op), ERR_OK);
    saves_commit(gva);
    expect_nothing_lost("from a peer", take_in_and_save);
}
END_TEST

START_TEST(w6_i3_an_erasure_is_whole_after_a_crash)
{
    expect_nothing_lost("an erasure", erase);
}
END_TEST

SUITE_MAIN_WITH("images", setup, teardown, i3_what_was_saved_is_there_after_a_crash,
                i3_what_was_saved_after_a_start_is_there_after_a_crash,
                i3_what_was_saved_at_once_is_there_after_a_crash,
                i3_what_came_from_a_peer_is_there_after_a_crash, w6_i3_an_erasure_is_whole_after_a_crash)
