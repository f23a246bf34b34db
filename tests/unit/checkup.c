/* What the doctor says: each code comes of what it is for and of nothing else, a healthy node has none, and the manual lists them. */
#include "node/checkup.h"
#include "tests/support/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_MAX = 64, MANUAL_BYTES_MAX = 1 << 20 };

static const uint64_t day_ms = UINT64_C(24) * 3600 * 1000;

static struct {
    struct checkup_line lines[LINES_MAX];
    size_t count;
} told;

static void
take_line(void *self, const struct checkup_line *line)
{
    (void)self;
    ck_assert_uint_lt(told.count, LINES_MAX);
    told.lines[told.count++] = *line;
}

static const struct checkup_sink sink = { NULL, take_line };

/* A node of which everything is well. */
static struct checkup_facts
healthy(void)
{
    static const struct checkup_epoch epoch = { .compartment = "KEN cases", .known = true, .age_ms = 5 };
    static const struct checkup_peer peer = { .name = "hq", .up = true, .why = "" };

    return (struct checkup_facts){
        .now_ms = 400 * day_ms,
        .verified = true,
        .verified_ms = 399 * day_ms,
        .map_bytes = 1 << 30,
        .readers_known = true,
        .memory_locks = true,
        .confinement = { .known = true, .seccomp = 2, .no_new_privs = true },
        .certified = true,
        .until_s = 500 * day_ms / 1000,
        .apart_most = "",
        .epochs = &epoch,
        .epoch_count = 1,
        .net = { .runs = true },
        .peers = &peer,
        .peer_count = 1,
        .search_known = true,
    };
}

static struct surroundings
quiet(void)
{
    return (struct surroundings){ .seen = ERR_OK,
                                  .looked = 20,
                                  .volume = { VOLUME_ENCRYPTED, "ext4 on /dev/dm-0, under dm-crypt" },
                                  .room_known = true,
                                  .room_bytes = 65 << 20,
                                  .reserve_bytes = 64 << 20,
                                  .reserve_there = true };
}

static void
judge(const struct checkup_facts *facts, const struct surroundings *here)
{
    told.count = 0;
    if (here != NULL) {
        checkup_surroundings(&sink, here);
    }
    if (facts != NULL) {
        checkup_node(&sink, facts);
    }
}

static bool seen[CODE_COUNT];

/* Just this was found, and said of its own check. */
static void
only(enum checkup_code code)
{
    size_t found = 0;

    for (size_t n = 0; n < told.count; n++) {
        const struct checkup_line *line = &told.lines[n];

        if (line->state != CHECKUP_FOUND) {
            ck_assert_ptr_null(line->kind);
            continue;
        }
        found++;
        ck_assert_msg(line->kind == checkup_kind(code), "%s instead of %s", line->kind->code,
                      checkup_kind(code)->code);
        ck_assert_int_eq(line->check, line->kind->check);
        ck_assert_str_ne(line->what, "");
    }
    ck_assert_msg(found == 1, "%zu times %s", found, checkup_kind(code)->code);
    seen[code] = true;
}

#define FACT(code, ...)                                                                                      \
    do {                                                                                                     \
        struct checkup_facts facts = healthy();                                                              \
        __VA_ARGS__;                                                                                         \
        judge(&facts, NULL);                                                                                 \
        only(code);                                                                                          \
    } while (0)

#define PLACE(code, ...)                                                                                     \
    do {                                                                                                     \
        struct surroundings here = quiet();                                                                  \
        __VA_ARGS__;                                                                                         \
        judge(NULL, &here);                                                                                  \
        only(code);                                                                                          \
    } while (0)

/* One peer that is as this says. */
#define PEER(code, ...)                                                                                      \
    do {                                                                                                     \
        const struct checkup_peer peer = { .name = "hq", __VA_ARGS__ };                                      \
        FACT(code, facts.peers = &peer);                                                                     \
    } while (0)

static const char *
line_of(enum checkup_check check)
{
    for (size_t n = 0; n < told.count; n++) {
        if (told.lines[n].check == check) {
            return told.lines[n].what;
        }
    }
    ck_abort_msg("nothing is said of %s", checkup_check_name(check));
    return "";
}

START_TEST(of_a_healthy_node_nothing_is_found_and_every_check_is_told)
{
    const struct checkup_facts facts = healthy();
    const struct surroundings here = quiet();
    bool said[CHECK_COUNT] = { false };

    judge(&facts, &here);
    for (size_t n = 0; n < told.count; n++) {
        ck_assert_msg(told.lines[n].state == CHECKUP_WELL, "%s: %s", checkup_check_name(told.lines[n].check),
                      told.lines[n].what);
        said[told.lines[n].check] = true;
    }
    for (int check = 0; check < CHECK_COUNT; check++) {
        /* These two are the caller's to look at. */
        ck_assert_msg(said[check] != (check == CHECK_NODE || check == CHECK_CONFIGURATION), "%s",
                      checkup_check_name((enum checkup_check)check));
    }
}
END_TEST

START_TEST(a_budget_that_carries_its_schedule_is_well)
{
    const struct checkup_peer peer = {
        .name = "hq", .up = true, .schedule_day_bytes = 1000, .day_bytes = 1000, .month_bytes = 30000
    };
    struct checkup_facts facts = healthy();

    facts.peers = &peer;
    judge(&facts, NULL);
    for (size_t n = 0; n < told.count; n++) {
        ck_assert_int_eq(told.lines[n].state, CHECKUP_WELL);
    }
}
END_TEST

START_TEST(o2_each_code_comes_of_what_it_is_for_and_alone)
{
    static const struct checkup_fork own = {
        .device = "x", .compartment = "KEN cases", .seq = 4, .own = true
    };
    static const struct checkup_fork other = { .device = "x", .compartment = "KEN cases", .seq = 4 };
    static const struct checkup_epoch none = { .compartment = "KEN cases", .none = true };
    static const struct checkup_epoch old = { .compartment = "KEN cases",
                                              .known = true,
                                              .age_ms = 90 * UINT64_C(86400000) + 1 };

    PLACE(CODE_MODE_OPEN, here.open = ((struct surroundings_open){ 1, { "lock" } }));
    PLACE(CODE_OWNER_FOREIGN, here.foreign = ((struct surroundings_open){ 1, { "wrap" } }));
    PLACE(CODE_VOLUME_PLAIN, here.volume.state = VOLUME_PLAIN);
    PLACE(CODE_DISK_LOW, here.room_bytes = here.reserve_bytes - 1);
    PLACE(CODE_RESERVE_SPENT, here.reserve_there = false);

    FACT(CODE_ROWS_DAMAGED, facts.corrupt_rows = 1);
    FACT(CODE_LOG_DAMAGED, facts.damaged_logs = 1);
    FACT(CODE_DAMAGE_NOTED, facts.damage_noted = 2);
    FACT(CODE_RESTORED, facts.restored = true);
    FACT(CODE_REBUILDING, facts.rebuilding = true);
    FACT(CODE_VERIFY_NEVER, facts.verified = false);
    FACT(CODE_VERIFY_FINDINGS, facts.verify_findings = 3);
    FACT(CODE_SCRUB_FINDINGS, facts.scrub_found = 2);
    FACT(CODE_SCRUB_FINDINGS, facts.scrub_findings = 2);
    FACT(CODE_MAP_FULL, facts.map_full = true);
    FACT(CODE_READER_DEAD, facts.readers_dead = 1);
    FACT(CODE_READER_BEHIND, facts.readers_behind = 1);
    FACT(CODE_SANDBOX_OFF, facts.confinement.seccomp = 0);
    FACT(CODE_SANDBOX_OFF, facts.confinement.no_new_privs = false);
    FACT(CODE_SANDBOX_OFF, facts.sandbox_missing = "Landlock: Function not implemented");
    FACT(CODE_CORE_DUMPS, facts.confinement.dumpable = true);
    FACT(CODE_MEMORY_UNLOCKED, facts.memory_locks = false);
    FACT(CODE_CLOCK_CERTIFICATE, facts.until_s = facts.now_ms / 1000 - 1);
    FACT(CODE_CLOCK_APART, facts.clocks_apart = 1);
    FACT(CODE_CERTIFICATE_NONE, facts.certified = false);
    FACT(CODE_DEVICE_REVOKED, (facts.certified = false, facts.revoked = true));
    FACT(CODE_CERTIFICATE_ENDING, facts.until_s = (facts.now_ms + 30 * day_ms) / 1000 - 1);
    FACT(CODE_EPOCH_OLD, facts.epochs = &old);
    FACT(CODE_EPOCH_NONE, facts.epochs = &none);
    FACT(CODE_SANDBOX_OFF, facts.net.sandbox_in_part = true);
    FACT(CODE_MEMORY_UNLOCKED, facts.net.memory_unlocked = true);
    FACT(CODE_NET_DOWN, facts.net.runs = false);
    FACT(CODE_NET_SANDBOX, (facts.net.runs = false, facts.net.no_sandbox = true));
    FACT(CODE_NET_DOOR_OPEN, facts.net.doors_open = 1);
    FACT(CODE_NET_FORBIDDEN, facts.net.forbidden = 1);
    FACT(CODE_NET_MALFORMED, facts.net.malformed = 1);
    FACT(CODE_NET_STARTER_GONE, (facts.net.runs = false, facts.net.starter_gone = true));
    FACT(CODE_LISTEN_FAILED, facts.net.cannot_listen = true);
    FACT(CODE_FILES_SPENT, facts.net.files_spent = 1);
    FACT(CODE_DOOR_CROWDED, (facts.net.crowded = 5, facts.net.refused = 5));
    FACT(CODE_DOOR_REFUSED, (facts.net.strangers = 1, facts.net.refused = 4));
    FACT(CODE_PEERS_TOO_MANY, facts.net.peers_too_many = 1);
    FACT(CODE_CALL_IMPOSSIBLE, facts.net.calls_impossible = 1);
    FACT(CODE_MESSAGES_DROPPED, facts.net.messages_dropped = 1);
    FACT(CODE_METRICS_UNSERVED, facts.net.metrics_unserved = true);
    PEER(CODE_PEER_UNREACHABLE, .why = "nobody listens there");
    PEER(CODE_PEER_UNREACHABLE, .why = "", .unanswered = true);
    PEER(CODE_PROXY_FAILED, .why = "the proxy hung up", .proxy_failed = true);
    PEER(CODE_PEER_REFUSED, .up = true, .refused = true, .why = "its version is too old");
    PEER(CODE_SCHEDULE_ALONE, .up = true, .schedule_alone = true);
    PEER(CODE_SCHEDULE_BUDGET, .up = true, .schedule_day_bytes = 1000, .day_bytes = 999, .month_bytes = 1);
    PEER(CODE_SCHEDULE_BUDGET, .up = true, .schedule_day_bytes = 1000, .month_bytes = 29999);
    FACT(CODE_PEER_NONE, facts.peer_count = 0);
    FACT(CODE_FORK_OWN, (facts.forks = &own, facts.fork_count = 1));
    FACT(CODE_FORK, (facts.forks = &other, facts.fork_count = 1));
    FACT(CODE_SET_BACK, facts.lost_tails = 1);
    FACT(CODE_SET_BACK, facts.incarnations = 1);
    FACT(CODE_SET_BACK, facts.set_back_peers = 1);
    FACT(CODE_HELD_OWN, (facts.held = 2, facts.held_own = 2));
    FACT(CODE_HELD, facts.held = 2);
    FACT(CODE_QUARANTINE_FULL, facts.limits = 1);
    FACT(CODE_UPGRADE_NEEDED, facts.wait_schema = 1);
    FACT(CODE_UPGRADE_NEEDED, facts.newer_statements = 1);
    FACT(CODE_KEYS_MISSING, facts.wait_key = 1);
    FACT(CODE_TEXTS_MISSING, facts.wait_text = 1);
    FACT(CODE_ERASE_NEEDS_DISK, facts.erase_needs = 1);
    FACT(CODE_ERASE_SECOND, facts.erase_waiting = 1);
    FACT(CODE_FILES_REFUSED, facts.files_refused = 1);
    FACT(CODE_FILES_MISSING, facts.files_wanted = 1);
    FACT(CODE_INDEX_BEHIND, facts.search_left = 1);

    /* Whoever asks finds these three. */
    static const enum checkup_code callers[] = { CODE_NODE_STOPPED, CODE_NODE_SILENT, CODE_CONFIG_WRONG };
    for (size_t n = 0; n < sizeof callers / sizeof callers[0]; n++) {
        told.count = 0;
        checkup_found(&sink, callers[n], "%s", "so it is");
        only(callers[n]);
    }
    for (int code = 0; code < CODE_COUNT; code++) {
        ck_assert_msg(seen[code], "%s comes of nothing", checkup_kind((enum checkup_code)code)->code);
    }
}
END_TEST

START_TEST(just_before_a_bound_nothing_is_found)
{
    static const struct checkup_epoch young = { .compartment = "KEN cases",
                                                .known = true,
                                                .age_ms = 90 * UINT64_C(86400000) };
    static const struct checkup_peer calm[] = {
        { .name = "a laptop that calls us", .calls_us = true, .why = "it hung up" },
        { .name = "a metered line", .rests = true, .why = "it hung up" },
        { .name = "one that is being called", .why = "" },
    };
    struct checkup_facts facts = healthy();
    struct surroundings here = quiet();

    facts.epochs = &young;
    facts.until_s = (facts.now_ms + 30 * day_ms) / 1000;
    facts.peers = calm;
    facts.peer_count = 3;
    here.room_bytes = here.reserve_bytes;
    judge(&facts, &here);
    for (size_t n = 0; n < told.count; n++) {
        ck_assert_msg(told.lines[n].state == CHECKUP_WELL, "%s", told.lines[n].what);
    }
}
END_TEST

START_TEST(what_cannot_be_seen_is_neither_well_nor_found)
{
    struct checkup_facts facts = healthy();
    struct surroundings here = quiet();

    facts.readers_known = false;
    facts.confinement.known = false;
    facts.search_known = false;
    here.seen = ERR_DENIED;
    here.room_known = false;
    here.volume = (struct surroundings_volume){ VOLUME_UNKNOWN, "overlay" };
    judge(&facts, &here);
    size_t unknown = 0;
    for (size_t n = 0; n < told.count; n++) {
        ck_assert_int_ne(told.lines[n].state, CHECKUP_FOUND);
        unknown += told.lines[n].state == CHECKUP_UNKNOWN;
    }
    ck_assert_uint_eq(unknown, 6);
}
END_TEST

START_TEST(a_finding_says_whom_how_much_and_since_when)
{
    static const struct checkup_peer peer = { .name = "hq",
                                              .why = "nobody listens there",
                                              .heard_ms = 397 * UINT64_C(86400000),
                                              .waiting_in = 7,
                                              .waiting_out = 2 };
    struct checkup_facts facts = healthy();
    struct surroundings here = quiet();

    facts.peers = &peer;
    facts.verify_findings = 1;
    here.open = (struct surroundings_open){ 6, { "lock", ".", "main/data.mdb", "wrap" } };
    judge(&facts, &here);
    ck_assert_str_eq(line_of(CHECK_PEERS),
                     "hq: nobody listens there; last contact 3 days ago; 7 to come, 2 to send");
    ck_assert_str_eq(line_of(CHECK_VERIFY), "1 finding 24 hours ago");
    ck_assert_str_eq(
        line_of(CHECK_MODES),
        "lock, DIR itself, main/data.mdb, wrap and 2 more can be used by others than their owner");
}
END_TEST

START_TEST(o1_codes_are_words_that_differ_and_each_says_why_and_what_to_do)
{
    for (int code = 0; code < CODE_COUNT; code++) {
        const struct checkup_kind *kind = checkup_kind((enum checkup_code)code);

        ck_assert_uint_eq(strspn(kind->code, "abcdefghijklmnopqrstuvwxyz-"), strlen(kind->code));
        ck_assert_uint_gt(strlen(kind->cause), 20);
        ck_assert_uint_gt(strlen(kind->next), 10);
        for (int other = 0; other < code; other++) {
            ck_assert_str_ne(kind->code, checkup_kind((enum checkup_code)other)->code);
        }
    }
}
END_TEST

/* The section of vigil(1) is a list of "*code* (severity)", in the order of the table, and has no other. */
START_TEST(o1_the_manual_lists_every_code_with_its_severity_and_no_other)
{
    char path[512];
    const char *source = getenv("VIGIL_SOURCE");
    static char manual[MANUAL_BYTES_MAX];
    int code = 0;

    ck_assert_ptr_nonnull(source);
    (void)snprintf(path, sizeof path, "%s/tools/man/vigil.1.scd", source);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(manual, 1, sizeof manual - 1, file);
    (void)fclose(file);
    manual[size] = '\0';
    char *section = strstr(manual, "\n# WHAT THE DOCTOR FINDS\n");
    ck_assert_ptr_nonnull(section);
    char *end = strstr(section + 2, "\n# ");
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    char *saved = NULL;
    for (char *line = strtok_r(section, "\n", &saved); line != NULL; line = strtok_r(NULL, "\n", &saved)) {
        char name[64];
        char severity[16];

        if (sscanf(line, "*%63[a-z-]* (%15[a-z])", name, severity) != 2) {
            continue;
        }
        ck_assert_msg(code < CODE_COUNT, "the manual has %s too", name);
        const struct checkup_kind *kind = checkup_kind((enum checkup_code)code);
        ck_assert_str_eq(name, kind->code);
        ck_assert_str_eq(severity, checkup_severity_name(kind->severity));
        code++;
    }
    ck_assert_msg(code == CODE_COUNT, "the manual lacks %s",
                  code < CODE_COUNT ? checkup_kind((enum checkup_code)code)->code : "");
}
END_TEST

/* --- the process -------------------------------------------------------------- */

START_TEST(this_process_is_seen)
{
    struct confinement held;

    confinement_read(&held);
    ck_assert(held.known);
}
END_TEST

/* --- the volume --------------------------------------------------------------- */

static char root[64];

static void
put_file(const char *path, const char *text)
{
    char whole[512];

    (void)snprintf(whole, sizeof whole, "%s/%s", root, path);
    for (char *at = strchr(whole + strlen(root) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(whole, 0700);
        *at = '/';
    }
    FILE *file = fopen(whole, "we");
    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void
make_root(void)
{
    (void)snprintf(root, sizeof root, "/tmp/vigil-checkup-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void
drop_root(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

static const char mounts[] = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
                             "not a line\n"
                             "28 27 254:1 / /srv rw - xfs /dev/mapper/srv rw\n"
                             "29 28 0:40 / /srv/data\\040two rw - tmpfs tmpfs rw\n"
                             "30 27 254:2 / /var rw - ext4 /dev/dm-2 rw\n"
                             "31 27 254:3 / /var rw - ext4 /dev/dm-3 rw\n"
                             "32 27 7:0 / /loop rw - ext4 /dev/loop0 rw\n"
                             "33 27 9:0 / /raid rw - ext4 /dev/md0 rw\n"
                             "34 27 99:9 / /gone rw - ext4 /dev/gone rw\n";

START_TEST(a_path_lies_in_the_longest_mount_that_leads_to_it_and_the_last)
{
    static const struct {
        const char *path;
        unsigned minor;
        const char *type;
    } cases[] = {
        { "/home/x", 0, "ext4" },           { "/srv", 1, "xfs" },   { "/srv/y", 1, "xfs" },
        { "/srv/data two/z", 40, "tmpfs" }, { "/srvy", 0, "ext4" }, { "/var/lib/vigil", 3, "ext4" }
    };
    struct surroundings_mount mount;

    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        ck_assert(surroundings_find_mount(mounts, cases[n].path, &mount));
        ck_assert_msg(mount.minor == cases[n].minor, "%s", cases[n].path);
        ck_assert_str_eq(mount.type, cases[n].type);
    }
    ck_assert(!surroundings_find_mount("", "/", &mount));
    ck_assert(!surroundings_find_mount("27 1 x / / rw - ext4 /dev/vda rw\n", "/", &mount));
    ck_assert(!surroundings_find_mount("27 1 254:0 /\n - ext4", "/", &mount));
}
END_TEST

static enum volume_state
volume_of(const char *path)
{
    struct surroundings_volume volume;

    surroundings_find_volume(root, path, &volume);
    ck_assert_str_ne(volume.words, "");
    return volume.state;
}

START_TEST(a_volume_is_encrypted_only_if_all_that_it_lies_on_is)
{
    make_root();
    ck_assert_int_eq(volume_of("/"), VOLUME_UNKNOWN); /* no table */
    put_file("proc/self/mountinfo", mounts);
    put_file("sys/dev/block/254:0/size", "1");            /* a plain disk */
    put_file("sys/dev/block/254:1/dm/uuid", "LVM-abc\n"); /* LVM ... */
    put_file("sys/dev/block/254:1/slaves/dm-9/x", "");    /* ... on */
    put_file("sys/class/block/dm-9/dev", "254:9\n");      /* ... LUKS */
    put_file("sys/dev/block/254:9/dm/uuid", "CRYPT-LUKS2-abc-luks\n");
    put_file("sys/dev/block/254:3/dm/uuid", "NOT-CRYPT-LUKS2\n");
    put_file("sys/dev/block/7:0/loop/backing_file", "/somewhere\n");
    put_file("sys/dev/block/9:0/slaves/dm-9/x", ""); /* half of it in the clear */
    put_file("sys/dev/block/9:0/slaves/vda/x", "");
    put_file("sys/class/block/vda/dev", "254:0\n");
    ck_assert_int_eq(volume_of("/home"), VOLUME_PLAIN);
    ck_assert_int_eq(volume_of("/srv/x"), VOLUME_ENCRYPTED);
    ck_assert_int_eq(volume_of("/srv/data two"), VOLUME_UNKNOWN);
    ck_assert_int_eq(volume_of("/var"), VOLUME_PLAIN);
    ck_assert_int_eq(volume_of("/loop"), VOLUME_UNKNOWN);
    ck_assert_int_eq(volume_of("/raid"), VOLUME_PLAIN);
    ck_assert_int_eq(volume_of("/gone"), VOLUME_UNKNOWN);
    drop_root();
    ck_assert_int_eq(surroundings_both(VOLUME_ENCRYPTED, VOLUME_ENCRYPTED), VOLUME_ENCRYPTED);
    ck_assert_int_eq(surroundings_both(VOLUME_ENCRYPTED, VOLUME_PLAIN), VOLUME_PLAIN);
    ck_assert_int_eq(surroundings_both(VOLUME_PLAIN, VOLUME_ENCRYPTED), VOLUME_PLAIN);
    ck_assert_int_eq(surroundings_both(VOLUME_UNKNOWN, VOLUME_PLAIN), VOLUME_PLAIN);
    ck_assert_int_eq(surroundings_both(VOLUME_ENCRYPTED, VOLUME_UNKNOWN), VOLUME_UNKNOWN);
    ck_assert_int_eq(surroundings_both(VOLUME_UNKNOWN, VOLUME_ENCRYPTED), VOLUME_UNKNOWN);
}
END_TEST

/* --- the directory ------------------------------------------------------------ */

static void
set_mode(const char *path, mode_t mode)
{
    char whole[512];

    (void)snprintf(whole, sizeof whole, "%s/%s", root, path);
    ck_assert_int_eq(chmod(whole, mode), 0);
}

START_TEST(what_others_can_use_is_named_and_what_is_made_for_them_is_not)
{
    struct surroundings here;

    (void)umask(077);
    make_root();
    put_file("lock", "x");
    put_file("main/data.mdb", "x");
    put_file("ken.request", "x");
    surroundings_read(root, &here);
    ck_assert_int_eq(here.seen, ERR_OK);
    ck_assert_uint_eq(here.looked, 5);
    ck_assert_uint_eq(here.open.count + here.foreign.count, 0);
    ck_assert(here.room_known);
    ck_assert(!here.reserve_there);
    put_file("reserve", "x");
    set_mode("main/data.mdb", 0640);
    set_mode("ken.request", 0644);
    set_mode("", 0701);
    ck_assert_int_eq(symlinkat("/etc/passwd", AT_FDCWD, strcat(root, "/wrap")), 0);
    *strrchr(root, '/') = '\0';
    surroundings_read(root, &here);
    ck_assert_uint_eq(here.open.count, 2);
    ck_assert_str_eq(here.open.names[0], ".");
    ck_assert_str_eq(here.open.names[1], "main/data.mdb");
    ck_assert_uint_eq(here.foreign.count, 1);
    ck_assert_str_eq(here.foreign.names[0], "wrap");
    ck_assert(here.reserve_there);
    drop_root();
    surroundings_read(root, &here);
    ck_assert_int_eq(here.seen, ERR_ABSENT);
}
END_TEST

SUITE_MAIN("checkup", of_a_healthy_node_nothing_is_found_and_every_check_is_told,
           a_budget_that_carries_its_schedule_is_well, o2_each_code_comes_of_what_it_is_for_and_alone,
           just_before_a_bound_nothing_is_found, what_cannot_be_seen_is_neither_well_nor_found,
           a_finding_says_whom_how_much_and_since_when,
           o1_codes_are_words_that_differ_and_each_says_why_and_what_to_do,
           o1_the_manual_lists_every_code_with_its_severity_and_no_other, this_process_is_seen,
           a_path_lies_in_the_longest_mount_that_leads_to_it_and_the_last,
           a_volume_is_encrypted_only_if_all_that_it_lies_on_is,
           what_others_can_use_is_named_and_what_is_made_for_them_is_not)
