/* node.conf: what an operator may write, and how a slip is told with its file and line. */

#include "node/config.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static struct config config;
static struct config_fault fault;

static void
setup(void)
{
    (void)snprintf(path, sizeof path, "/tmp/vigil-config-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

static void
teardown(void)
{
    (void)unlink(path);
}

static enum err
read_text(const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    return config_read(path, &config, &fault);
}

static void
check_refused(const char *text, int line, const char *words)
{
    char where[80];

    ck_assert_int_eq(read_text(text), ERR_INVALID);
    (void)snprintf(where, sizeof where, "%s:%d: ", path, line);
    ck_assert_msg(strncmp(fault.text, where, strlen(where)) == 0, "'%s' does not begin with %s", fault.text,
                  where);
    ck_assert_msg(strstr(fault.text, words) != NULL, "'%s' does not say %s", fault.text, words);
}

START_TEST(no_file_is_all_defaults)
{
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(config_read(path, &config, &fault), ERR_OK);
    ck_assert_int_eq(config.line.profile, PROFILE_LAN);
    ck_assert_str_eq(config.listen, "");
    ck_assert_uint_eq(config.peer_count, 0);
    config_free(&config);
}
END_TEST

START_TEST(every_option_is_taken)
{
    ck_assert_int_eq(
        read_text("name = \"KEN\"\nlisten = \"tcp://[::1]:7700\"\nprofile = wan\nhandshake_ms = 9000\n"
                  "peer \"hq\" {\n device = \"12345\"\n endpoint = \"tcp://hq:7700\"\n}\n"),
        ERR_OK);
    ck_assert_str_eq(config.name, "KEN");
    ck_assert_int_eq(config.line.profile, PROFILE_WAN);
    ck_assert_int_eq(config.handshake_ms, 9000);
    ck_assert_uint_eq(config.peer_count, 1);
    ck_assert_str_eq(config.peers[0].name, "hq");
    ck_assert_str_eq(config.peers[0].endpoint, "tcp://hq:7700");
    config_free(&config);
}
END_TEST

START_TEST(the_sandbox_is_on_and_reaches_what_is_named)
{
    ck_assert_int_eq(read_text(""), ERR_OK);
    ck_assert_int_eq(config.sandbox, SANDBOX_ON);
    ck_assert_uint_eq(config.folder_count, 2);
    ck_assert_str_eq(config.folders[0], "/media");
    ck_assert_str_eq(config.folders[1], "/mnt");
    config_free(&config);
    ck_assert_int_eq(read_text("sandbox = best-effort\nfolders = {\"/srv/backup\"}\n"), ERR_OK);
    ck_assert_int_eq(config.sandbox, SANDBOX_BEST_EFFORT);
    ck_assert_uint_eq(config.folder_count, 1);
    ck_assert_str_eq(config.folders[0], "/srv/backup");
    config_free(&config);
    ck_assert_int_eq(read_text("sandbox = off\nfolders = {}\n"), ERR_OK);
    ck_assert_int_eq(config.sandbox, SANDBOX_OFF);
    ck_assert_uint_eq(config.folder_count, 0);
    config_free(&config);
    check_refused("\nsandbox = maybe\n", 2, "none of on, best-effort, off");
    check_refused("log_level = loud\n", 1, "none of error, warning, notice, info, debug");
    check_refused("folders = {\"/srv\", \"srv\"}\n", 1, "'srv' is no absolute path");
}
END_TEST

static void
check_changed(const char *before, const char *after, const char *keys, bool net, bool restart)
{
    struct config first;
    struct config_changes changes;

    ck_assert_int_eq(read_text(before), ERR_OK);
    first = config;
    ck_assert_int_eq(read_text(after), ERR_OK);
    config_compare(&first, &config, &changes);
    ck_assert_str_eq(changes.keys, keys);
    ck_assert_int_eq(changes.net, net);
    ck_assert_int_eq(changes.restart, restart);
    config_free(&first);
    config_free(&config);
}

START_TEST(what_changed_is_named_and_whether_it_takes_a_new_start)
{
    static const char one[] = "peer \"a\" {\n device = \"1\"\n endpoint = \"tcp://a:1\"\n}\n";
    static const char other[] = "peer \"a\" {\n device = \"1\"\n endpoint = \"tcp://a:2\"\n}\n";
    static const char metered[] =
        "peer \"a\" {\n device = \"1\"\n endpoint = \"tcp://a:1\"\n interval_minutes = 7\n}\n";

    check_changed("", "", "", false, false);
    check_changed(one, one, "", false, false);
    check_changed("", one, "peer", false, false);
    check_changed(one, other, "peer", false, false);
    check_changed(one, metered, "peer", false, false);
    check_changed("",
                  "name = \"x\"\nprofile = wan\nproxy = \"socks5://127.0.0.1:1\"\nannounce = \"tcp://a:1\"\n",
                  "name announce profile proxy", false, false);
    check_changed(
        "", "interval_minutes = 7\nquiet_hours = \"22:00-06:00\"\nday_bytes = \"1M\"\nmonth_bytes = \"9M\"\n",
        "interval_minutes quiet_hours day_bytes month_bytes", false, false);
    check_changed("", "listen = \"tcp://0.0.0.0:1\"\n", "listen", true, false);
    check_changed("", "handshake_ms = 9000\nheartbeat_ms = 0\n", "handshake_ms heartbeat_ms", true, false);
    check_changed("", "map_mib = 64\n", "map_mib", false, true);
    check_changed("", "log_level = debug\n", "log_level", false, false);
    check_changed("", "sandbox = off\nfolders = {\"/media\"}\n", "sandbox folders", false, true);
    check_changed("", "folders = {\"/media\", \"/srv\"}\n", "folders", false, true);
}
END_TEST

START_TEST(a_line_that_stands_keeps_a_schedule_its_own_or_that_of_all)
{
    ck_assert_int_eq(read_text("envelope = 512\n"), ERR_OK);
    ck_assert_uint_eq(config.line.schedule.beat_s, 0);
    ck_assert_uint_eq(config.line.schedule.bytes, 0);
    ck_assert_int_eq(config.envelope, 512);
    config_free(&config);
    ck_assert_int_eq(
        read_text("schedule = 30\nprofile = wan\n"
                  "peer \"a\" {\n device = \"1\"\n endpoint = \"tcp://a:1\"\n}\n"
                  "peer \"b\" {\n device = \"2\"\n endpoint = \"tcp://b:1\"\n schedule = 0\n"
                  " profile = metered\n}\n"
                  "peer \"c\" {\n device = \"3\"\n endpoint = \"tcp://c:1\"\n envelope = 65536\n}\n"
                  "peer \"d\" {\n device = \"4\"\n endpoint = \"tcp://d:1\"\n schedule = 3600\n"
                  " envelope = 256\n}\n"),
        ERR_OK);
    static const struct envelope_schedule schedules[] = {
        { 30, 2048 }, { 0, 0 }, { 30, 65536 }, { 3600, 256 }
    };
    ck_assert(envelope_schedule_equal(&config.line.schedule, &schedules[0]));
    for (size_t n = 0; n < 4; n++) {
        ck_assert(envelope_schedule_equal(&config.peers[n].line.schedule, &schedules[n]));
        ck_assert(line_settings_valid(&config.peers[n].line));
    }
    config_free(&config);
    check_refused("\nschedule = 3601\n", 2, "schedule = 3601 is not between 0 and 3600");
    check_refused("schedule = -1\n", 1, "schedule = -1 is not between 0 and 3600");
    check_refused("envelope = 255\n", 1, "envelope = 255 is not between 256 and 65536");
    check_refused("envelope = 65537\n", 1, "envelope = 65537 is not between 256 and 65536");
    check_refused(
        "peer \"a\" {\n device = \"1\"\n endpoint = \"tcp://a:1\"\n schedule = 1\n profile = metered\n}\n", 6,
        "peer 'a' has a schedule and profile = metered");
    ck_assert_int_eq(read_text("schedule = 1\nprofile = oneway\n"), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(fault.text, ": schedule and profile = oneway"));
    check_changed("", "schedule = 30\nenvelope = 512\n", "schedule envelope", false, false);
    check_changed("", "peer \"a\" {\n device = \"1\"\n endpoint = \"tcp://a:1\"\n schedule = 9\n}\n", "peer",
                  false, false);
    check_changed("peer \"a\" {\n device = \"1\"\n endpoint = \"tcp://a:1\"\n schedule = 8\n}\n",
                  "peer \"a\" {\n device = \"1\"\n endpoint = \"tcp://a:1\"\n schedule = 9\n}\n", "peer",
                  false, false);
}
END_TEST

START_TEST(a_peer_has_its_own_proxy_or_that_of_all)
{
    ck_assert_int_eq(
        read_text("proxy = \"socks5://127.0.0.1:9050\"\n"
                  "peer \"hq\" {\n device = \"1\"\n endpoint = \"tcp://vigil-hq.onion:1\"\n}\n"
                  "peer \"lan\" {\n device = \"2\"\n endpoint = \"tcp://b:1\"\n proxy = none\n}\n"
                  "peer \"far\" {\n device = \"3\"\n endpoint = \"tcp://c:1\"\n"
                  " proxy = \"socks5://tor.lan:9150\"\n}\n"),
        ERR_OK);
    ck_assert_str_eq(config.proxy, "socks5://127.0.0.1:9050");
    ck_assert_str_eq(config.peers[0].proxy, "socks5://127.0.0.1:9050");
    ck_assert_str_eq(config.peers[1].proxy, "");
    ck_assert_str_eq(config.peers[2].proxy, "socks5://tor.lan:9150");
    config_free(&config);
    ck_assert_int_eq(
        read_text("proxy = none\npeer \"hq\" {\n device = \"1\"\n endpoint = \"tcp://a:1\"\n}\n"), ERR_OK);
    ck_assert_str_eq(config.proxy, "");
    ck_assert_str_eq(config.peers[0].proxy, "");
    config_free(&config);
    check_refused("proxy = \"127.0.0.1:9050\"\n", 1, "socks5://host:port");
    check_refused("peer \"a\" {\n proxy = \"socks5://user:secret@127.0.0.1:9050\"\n}\n", 2,
                  "without a login");
    ck_assert_ptr_null(strstr(fault.text, "secret"));
}
END_TEST

START_TEST(a_slip_is_told_with_file_and_line)
{
    check_refused("name = \"KEN\"\nlisen = \"tcp://a:1\"\n", 2, "lisen");
    check_refused("profile = lna\n", 1, "lan, wan, metered, oneway");
    check_refused("\n\nlisten = \"udp://a:1\"\n", 3, "tcp://host:port");
    check_refused("handshake_ms = 1\n", 1, "between 100 and 30000");
    check_refused("peer \"a\" {\n endpoint = \"tcp://a\"\n}\n", 2, "tcp://host:port");
    /* Comments of every kind, and what only looks like one. */
    check_refused("# a\n# b\nlisen = 1\n", 3, "lisen");
    check_refused("name = \"KEN\" # a\n\n// b\n/* c\n d */ lisen = 1\n", 5, "lisen");
    check_refused("name = \"a # \\\" b\"\nannounce = 'tcp://a:1'\n#\n lisen = 1\n", 4, "lisen");
}
END_TEST

START_TEST(a_file_that_ends_too_soon_is_told_so)
{
    ck_assert_int_eq(read_text("peer \"a\" {\n device = \"1\"\n"), ERR_INVALID);
    ck_assert_msg(strstr(fault.text, path) == fault.text && strlen(fault.text) > strlen(path) + 2, "%s",
                  fault.text);
}
END_TEST

START_TEST(the_example_is_a_configuration)
{
    struct buf text = { 0 };

    config_write_example("a \"quoted\" name", "tcp://127.0.0.1:7700", &text);
    buf_put_u8(&text, 0);
    ck_assert(!text.failed);
    ck_assert_msg(read_text((const char *)text.data) == ERR_OK, "%s", fault.text);
    ck_assert_str_eq(config.name, "a \"quoted\" name");
    ck_assert_str_eq(config.listen, "tcp://127.0.0.1:7700");
    config_free(&config);
    buf_free(&text);
}
END_TEST

SUITE_MAIN_WITH("config", setup, teardown, no_file_is_all_defaults, every_option_is_taken,
                what_changed_is_named_and_whether_it_takes_a_new_start,
                the_sandbox_is_on_and_reaches_what_is_named,
                a_line_that_stands_keeps_a_schedule_its_own_or_that_of_all,
                a_peer_has_its_own_proxy_or_that_of_all, a_slip_is_told_with_file_and_line,
                a_file_that_ends_too_soon_is_told_so, the_example_is_a_configuration)
