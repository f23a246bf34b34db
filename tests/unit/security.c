/* What the node refuses or notices is gathered for the audit log: the first at once, the rest as numbers, and no flood fills it. */
#include "tests/support/check.h"
#include "tests/support/world.h"

#include "node/security.h"
#include "store/base/log.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_world world;
static struct security *security;

static void
setup(void)
{
    test_world_init(&world, 1);
    security = security_new(&world.world, "");
    ck_assert_ptr_nonnull(security);
}

static void
teardown(void)
{
    security_free(&security);
    ck_assert_ptr_null(security);
}

/* Write what is due, in a turn that ends so; gives how many notes there were, and the last of them. */
static size_t
write_due(bool all, bool good, struct security_note *last)
{
    const struct security_note *note;
    size_t place = 0;
    size_t count = 0;

    while ((note = security_take(security, all, &place)) != NULL) {
        *last = *note;
        count++;
    }
    security_turn_ended(security, good);
    return count;
}

static void
hear(const char *line)
{
    security_hear(security, line);
}

static const char knock[] = "event=door-refused count=3 reason=\"a transport key that is not on the roster\"";

START_TEST(k10_the_first_is_noted_at_once_and_what_follows_as_a_number_an_hour_later)
{
    struct security_note note;

    ck_assert(!security_is_due(security, true));
    hear(knock);
    ck_assert(security_is_due(security, false));
    ck_assert_uint_eq(write_due(false, true, &note), 1);
    ck_assert_str_eq(note.event->event, "door-refused");
    ck_assert_str_eq(note.reason, "a transport key that is not on the roster");
    ck_assert_str_eq(note.device, "");
    ck_assert_uint_eq(note.count, 3);
    ck_assert(!note.again);

    test_world_pass(&world, 60 * 1000);
    uint64_t first_ms = world_wall_ms(&world.world);
    for (int n = 0; n < 500; n++) {
        hear(knock);
        test_world_pass(&world, 1000);
        ck_assert(!security_is_due(security, false));
    }
    uint64_t last_ms = world_wall_ms(&world.world) - 1000;
    test_world_pass(&world, SECURITY_HOUR_MS - 560 * 1000 - 1);
    ck_assert(!security_is_due(security, false));
    test_world_pass(&world, 1);
    ck_assert_uint_eq(write_due(false, true, &note), 1);
    ck_assert_uint_eq(note.count, 1500);
    ck_assert(note.again);
    ck_assert_uint_eq(note.first_ms, first_ms);
    ck_assert_uint_eq(note.last_ms, last_ms);
    ck_assert(!security_is_due(security, true));

    /* After an hour without any it is news again. */
    test_world_pass(&world, SECURITY_HOUR_MS);
    hear(knock);
    ck_assert_uint_eq(write_due(false, true, &note), 1);
    ck_assert_uint_eq(note.count, 3);
    ck_assert(!note.again);
}
END_TEST

START_TEST(k10_what_was_counted_is_noted_when_the_node_ends)
{
    struct security_note note;

    hear(knock);
    ck_assert_uint_eq(write_due(false, true, &note), 1);
    hear(knock);
    hear(knock);
    ck_assert(!security_is_due(security, false));
    ck_assert(security_is_due(security, true));
    ck_assert_uint_eq(write_due(true, true, &note), 1);
    ck_assert_uint_eq(note.count, 6);
}
END_TEST

/* Nothing is lost in it, and it is not tried over and over. */
START_TEST(k10_a_turn_that_fails_leaves_everything_to_be_noted)
{
    struct security_note note;

    hear(knock);
    ck_assert_uint_eq(write_due(false, false, &note), 1);
    ck_assert(!security_is_due(security, false));
    hear(knock);
    test_world_pass(&world, SECURITY_RETRY_MS);
    ck_assert_uint_eq(write_due(false, true, &note), 1);
    ck_assert_uint_eq(note.count, 6);
    ck_assert(!note.again);
}
END_TEST

/* What comes while the turn is open is not in it. */
START_TEST(k10_what_is_heard_while_a_note_is_written_is_counted_after_it)
{
    struct security_note note;
    size_t place = 0;

    hear(knock);
    ck_assert_uint_eq(security_take(security, false, &place)->count, 3);
    hear(knock);
    security_turn_ended(security, true);
    ck_assert(!security_is_due(security, false));
    ck_assert_uint_eq(write_due(true, true, &note), 1);
    ck_assert_uint_eq(note.count, 3);
    ck_assert(note.again);
}
END_TEST

START_TEST(k10_devices_and_reasons_are_told_apart)
{
    struct security_note note;

    hear("event=update-refused peer=3f09a1c2d4e5f607 log=0011223344556677 verdict=forged");
    hear("event=update-refused peer=3f09a1c2d4e5f607 log=8899aabbccddeeff verdict=forged");
    hear("event=update-refused peer=3f09a1c2d4e5f607 log=0011223344556677 verdict=malformed");
    hear("event=update-refused peer=aa09a1c2d4e5f607 log=0011223344556677 verdict=malformed");
    ck_assert_uint_eq(write_due(false, true, &note), 3);
    ck_assert_str_eq(note.device, "aa09a1c2d4e5f607");
    ck_assert_str_eq(note.reason, "malformed");
    ck_assert_uint_eq(note.count, 1);
}
END_TEST

/* However many kinds somebody thinks of: the notes of an hour have a number, and every event is counted in one of them. */
START_TEST(k10_a_flood_of_kinds_makes_no_more_notes_than_there_are_places)
{
    enum { KINDS = 1000, HOURS = 3 };
    const struct security_note *note;
    char line[120];
    uint64_t counted = 0;

    for (int hour = 0; hour < HOURS; hour++) {
        size_t notes = 0;
        uint64_t before = counted;

        for (int n = 0; n < KINDS; n++) {
            (void)snprintf(line, sizeof line, "event=peer-malformed peer=%08x00000000 what=\"a frame\"",
                           (unsigned)(hour * KINDS + n));
            hear(line);
            size_t place = 0;
            while ((note = security_take(security, false, &place)) != NULL) {
                counted += note->count;
                notes++;
            }
            security_turn_ended(security, true);
        }
        ck_assert_uint_eq(notes, SECURITY_PLACES + 1);
        ck_assert_uint_gt(counted, before);
        test_world_pass(&world, SECURITY_HOUR_MS);
    }
    size_t place = 0;
    while ((note = security_take(security, true, &place)) != NULL) {
        ck_assert_str_eq(note->event->event, "others");
        counted += note->count;
    }
    ck_assert_uint_eq(counted, HOURS * KINDS);
}
END_TEST

/* A line may have what only who tends the machine is to see. */
START_TEST(k10_a_note_has_no_more_than_a_device_a_reason_a_number_and_who_asked)
{
    struct security_note note;

    hear("event=peer-settings peer=3f09a1c2d4e5f607 what=set actor=7 endpoint=tcp://secret.example:7700 "
         "text=ZQMARKER why=ZQMARKER file=ZQMARKER log=ZQMARKER missing=ZQMARKER listen=ZQMARKER");
    ck_assert_uint_eq(write_due(false, true, &note), 1);
    ck_assert_str_eq(note.device, "3f09a1c2d4e5f607");
    ck_assert_str_eq(note.reason, "set");
    ck_assert_uint_eq(note.actor, 7);
    ck_assert_uint_eq(note.count, 1);
    /* What is no number counts once, and nothing is not noted. */
    hear("event=backup-made count=seven");
    ck_assert_uint_eq(write_due(false, true, &note), 1);
    ck_assert_uint_eq(note.count, 1);
    hear("event=entry-mended count=0");
    ck_assert(!security_is_due(security, true));
    /* A reason that is too long is cut. */
    char line[600] = "event=config-read changed=\"";
    memset(line + strlen(line), 'k', 500);
    hear(line);
    ck_assert_uint_eq(write_due(false, true, &note), 1);
    ck_assert_uint_eq(strlen(note.reason), SECURITY_REASON_BYTES - 1);
}
END_TEST

/* The events of the log that are of no matter for security, or stand in a signed chain of their own. Whoever logs something new decides
 * here or in the table of security.c. */
static const char *const no_matter[] = {
    "address-unstated",
    "anchor-failed",
    "backup-begun",
    "backup-failed",
    "backup-lacks",
    "box-made",
    "bundle-begun",
    "bundle-failed",
    "bundle-imported",
    "bundle-lacks",
    "bundle-written",
    "compacted",
    "counting-behind",
    "duplicates-behind",
    "duplicates-unavailable",
    "epoch-key-left-out",
    "epoch-made",
    "erasure-begins",
    "erasure-receipt",
    "erasure-scanned",
    "export-given-up",
    "file-added",
    "file-put-away",
    "files-not-listed",
    "files-removed",
    "files-restored",
    "files-unnamed",
    "import-abandoned",
    "import-decided",
    "import-done",
    "import-dropped",
    "import-stopped",
    "import-swept",
    "keys-swept",
    "net-door-open",
    "net-order-unusable",
    "net-ready",
    "net-roster-unusable",
    "net-sandbox-refused",
    "net-schedules-unusable",
    "net-start-failed",
    "net-warning",
    "peer-down",
    "peer-unreachable",
    "peer-up",
    "peers-unread",
    "ready",
    "request-done",
    "reserve-released",
    "restored",
    "salvage-mended", /* by vigild verify, which notes verify-repaired */
    "schedules-untold",
    "scrub-cannot-ask",
    "scrub-cannot-reopen",
    "scrub-ended",
    "search-behind",
    "search-image-failed",
    "search-image-kept",
    "search-image-refused",
    "search-image-stays",
    "search-lost",
    "search-resumed",
    "search-unavailable",
    "session-ended",
    "stopped",
    "table-commit-failed",
    "table-compacted",
    "table-failed",
    "table-grown",
    "table-salvaged", /* likewise */
    "turn-done",
    "turn-failed",
    "turn-slow",
};

START_TEST(k10_every_event_of_the_log_was_judged_and_every_one_of_the_table_is_logged)
{
    size_t of_security = 0;
    size_t others = 0;

    for (size_t n = 0; log_kind_at(n) != NULL; n++) {
        const char *event = log_kind_at(n)->event;
        bool is_no_matter = false;

        for (size_t k = 0; k < sizeof no_matter / sizeof no_matter[0]; k++) {
            is_no_matter = is_no_matter || strcmp(no_matter[k], event) == 0;
        }
        ck_assert_msg(is_no_matter != security_wants(event), "is %s of security?", event);
        of_security += security_wants(event);
        others += is_no_matter;
    }
    ck_assert_uint_eq(others, sizeof no_matter / sizeof no_matter[0]);
    size_t rows = 0;
    while (security_event_at(rows) != NULL) {
        ck_assert(rows == 0 ||
                  strcmp(security_event_at(rows - 1)->event, security_event_at(rows)->event) < 0);
        rows++;
    }
    /* One is the place of all that find none, and no event of the log. */
    ck_assert_uint_eq(rows, of_security + 1);
    ck_assert(!security_wants("others"));
}
END_TEST

START_TEST(k10_the_manual_lists_every_event_with_its_meaning)
{
    static char page[1 << 18];
    char path[4096];
    char entry[400];

    (void)snprintf(path, sizeof path, "%s/tools/man/vigil.1.scd", getenv("VIGIL_SOURCE"));
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(page, 1, sizeof page - 1, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_uint_lt(size, sizeof page - 1);
    for (size_t n = 0; security_event_at(n) != NULL; n++) {
        const struct security_event *event = security_event_at(n);

        (void)snprintf(entry, sizeof entry, "\n*%s*\n\t%c%s.\n", event->event, toupper(event->meaning[0]),
                       event->meaning + 1);
        ck_assert_msg(strstr(page, entry) != NULL, "vigil(1) does not have: %s", entry);
    }
}
END_TEST

/* It hears what an operator does not want to see in the log. */
START_TEST(k10_an_event_is_noted_whatever_the_level_of_the_log)
{
    struct security_note note;

    log_witness(security_wants, security_hear, security);
    log_limit(LOG_AT_ERROR);
    log_event("door-refused", "count=%d reason=%s", 2, "stranger");
    log_event("peer-up", "peer=%s", "3f09a1c2d4e5f607");
    log_limit(LOG_AT_INFO);
    log_witness(NULL, NULL, NULL);
    log_event("door-refused", "count=%d reason=%s", 2, "stranger");
    ck_assert_uint_eq(write_due(false, true, &note), 1);
    ck_assert_str_eq(note.event->event, "door-refused");
    ck_assert_uint_eq(note.count, 2);
}
END_TEST

SUITE_MAIN_WITH(
    "security", setup, teardown, k10_the_first_is_noted_at_once_and_what_follows_as_a_number_an_hour_later,
    k10_what_was_counted_is_noted_when_the_node_ends, k10_a_turn_that_fails_leaves_everything_to_be_noted,
    k10_what_is_heard_while_a_note_is_written_is_counted_after_it, k10_devices_and_reasons_are_told_apart,
    k10_a_flood_of_kinds_makes_no_more_notes_than_there_are_places,
    k10_a_note_has_no_more_than_a_device_a_reason_a_number_and_who_asked,
    k10_every_event_of_the_log_was_judged_and_every_one_of_the_table_is_logged,
    k10_the_manual_lists_every_event_with_its_meaning, k10_an_event_is_noted_whatever_the_level_of_the_log)
