/* The built program against a node that follows a script: what it asks, prints and ends with. */
#include "tests/support/check.h"
#include "tests/support/fake_api.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUT_BYTES = 64 << 10, WORDS_MAX = 32 };

#define STEPS(...)                                                                                           \
    (const struct fake_step[]){ __VA_ARGS__ },                                                               \
        sizeof((const struct fake_step[]){ __VA_ARGS__ }) / sizeof(struct fake_step)

static struct fake_api api;
static char out[OUT_BYTES];
static char err[OUT_BYTES];

static void
read_back(FILE *file, char *text)
{
    rewind(file);
    size_t size = fread(text, 1, OUT_BYTES - 1, file);
    text[size] = '\0';
    (void)fclose(file);
}

/* Run vigil with `words` and `input`; gives its exit status, with what it printed in `out` and `err`. */
static int
run_words(const char *input, char *const *words)
{
    char program[512];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 8);
    FILE *in = tmpfile();
    FILE *to = tmpfile();
    FILE *to_err = tmpfile();
    int status = 0;

    ck_assert_int_gt(length, 0);
    program[length] = '\0';
    ck_assert(in != NULL && to != NULL && to_err != NULL);
    /* It stands beside this test. */
    (void)memcpy(strrchr(program, '/') + 1, "vigil", 6);
    (void)fputs(input, in);
    rewind(in);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)setenv("VIGIL_NODE", api.dir, 1);
        (void)setenv("LC_ALL", "C.UTF-8", 1);
        (void)unsetenv("ARGP_HELP_FMT");
        (void)dup2(fileno(in), STDIN_FILENO);
        (void)dup2(fileno(to), STDOUT_FILENO);
        (void)dup2(fileno(to_err), STDERR_FILENO);
        (void)execv(program, words);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    read_back(to, out);
    read_back(to_err, err);
    (void)fclose(in);
    ck_assert_msg(WIFEXITED(status), "ended by a signal: %s", err);
    return WEXITSTATUS(status);
}

#define RUN_WITH(input, ...) run_words((input), (char *[]){ "vigil", __VA_ARGS__, NULL })
#define RUN(...) RUN_WITH("", __VA_ARGS__)

/* What the program looks levels and labels up in, before it takes a value from the command line. */
#define CODEBOOK                                                                                             \
    {                                                                                                        \
        "{\"do\":\"codebook.show\"}",                                                                        \
            "{\"id\":$ID,\"ok\":{\"fields\":["                                                               \
            "{\"name\":\"title\",\"label\":\"Title\",\"collection\":\"\",\"level\":\"L2\"},"                 \
            "{\"name\":\"status\",\"label\":\"Status\",\"collection\":\"\",\"level\":\"L1\"},"               \
            "{\"name\":\"birth_date\",\"label\":\"Born\",\"collection\":\"\",\"level\":\"L3\"},"             \
            "{\"name\":\"name.text\",\"label\":\"Name\",\"collection\":\"name\",\"level\":\"L3\"},"          \
            "{\"name\":\"papers\",\"label\":\"Papers\",\"collection\":\"papers\",\"level\":\"L3\"}"          \
            "],\"collections\":[{\"name\":\"name\",\"label\":\"Names\",\"level\":\"L3\"},"                   \
            "{\"name\":\"papers\",\"label\":\"Papers\",\"level\":\"L3\",\"set\":true}]}}"                    \
    }

static void
answer(const struct fake_step *steps, size_t count)
{
    fake_api_start(&api, steps, count);
}

START_TEST(o1_each_exit_status_is_reached)
{
    static const struct {
        const char *code;
        int status;
    } codes[] = {
        { "memory", 1 },   { "io", 1 },         { "full", 1 },    { "busy", 75 },
        { "absent", 4 },   { "exists", 1 },     { "corrupt", 5 }, { "invalid", 5 },
        { "denied", 3 },   { "passphrase", 3 }, { "locked", 3 },  { "newer", 3 },
        { "conflict", 1 }, { "usage", 2 },      { "unknown", 3 }, { "of-2031", 1 },
    };
    char line[256];

    for (size_t n = 0; n < sizeof codes / sizeof codes[0]; n++) {
        (void)snprintf(
            line, sizeof line,
            "{\"id\":$ID,\"error\":{\"code\":\"%s\",\"message\":\"it is so\",\"hint\":\"do this\"}}",
            codes[n].code);
        answer(STEPS({ NULL, line }));
        ck_assert_msg(RUN("case", "show", "KEN-2026-0042") == codes[n].status, "%s", codes[n].code);
        ck_assert_str_eq(err, "vigil: cannot show KEN-2026-0042\n  why: it is so\n  do:  do this\n");
        ck_assert_str_eq(out, "");
        ck_assert_uint_eq(fake_api_end(&api), 1);
    }
    answer(STEPS({ NULL, "{\"id\":$ID,\"ok\":{\"compartments\":[]}}" }));
    ck_assert_int_eq(RUN("digest"), 0);
    ck_assert_uint_eq(fake_api_end(&api), 1);
    fake_api_nobody(&api);
    ck_assert_int_eq(RUN("digest"), 3);
    ck_assert_ptr_nonnull(strstr(err, "no node is running"));
    ck_assert_int_eq(RUN("digest", "--frontier"), 2);
    ck_assert_uint_eq(fake_api_end(&api), 0);
}
END_TEST

#define LINE(in, out)                                                                                        \
    "{\"id\":$ID,\"ok\":{\"lines\":[{\"name\":\"hq\",\"device\":{\"id\":\"ab\"},\"state\":\"up\","           \
    "\"session\":"                                                                                           \
    "\"sending\",\"profile\":\"wan\",\"lanes\":[1,2,3,4],\"to_come\":5,\"bytes_in\":" in                     \
    ",\"bytes_out\":" out                                                                                    \
    ",\"on_way\":77,\"limit\":8192,\"round_trip_ms\":310,\"last_ending\":\"complete\","                      \
    "\"error\":\"\"}]}}"

START_TEST(top_shows_lanes_and_from_the_second_page_on_what_passed_meanwhile)
{
    static const struct fake_step steps[] = { { "{\"do\":\"sync.lines\"}", LINE("1000", "9000000") },
                                              { "{\"do\":\"sync.lines\"}", LINE("8001000", "10") } };

    answer(steps, 2);
    ck_assert_int_eq(RUN("--json", "top", "--rounds", "2", "--interval", "1"), 0);
    ck_assert_uint_eq(fake_api_end(&api), 2);
    char *second = strchr(out, '\n');
    ck_assert_ptr_nonnull(second);
    *second++ = '\0';
    ck_assert_ptr_nonnull(strstr(out, "\"control\":1,\"urgent\":2,\"normal\":3,\"bulk\":4"));
    ck_assert_ptr_nonnull(strstr(out, "\"in_per_s\":null,\"out_per_s\":null"));
    ck_assert_ptr_nonnull(strstr(out, "\"round_trip_ms\":310"));
    ck_assert_ptr_nonnull(strstr(out, "\"last\":\"complete\""));
    /* Of a second or more, however slow the machine; and what is less than before is of another start. */
    const char *rate = strstr(second, "\"in_per_s\":");
    ck_assert_ptr_nonnull(rate);
    long per_s = strtol(rate + strlen("\"in_per_s\":"), NULL, 10);
    ck_assert_int_gt(per_s, 0);
    ck_assert_int_le(per_s, 8000000);
    ck_assert_ptr_nonnull(strstr(second, "\"out_per_s\":null"));

    answer(steps, 1);
    ck_assert_int_eq(RUN("top", "--rounds", "1"), 0);
    ck_assert_uint_eq(fake_api_end(&api), 1);
    ck_assert_ptr_null(strchr(out, '\033'));
    ck_assert_ptr_nonnull(strstr(out, "IN_PER_S"));
}
END_TEST

START_TEST(a_watch_of_the_status_shows_page_after_page)
{
    static const struct fake_step status = {
        "{\"do\":\"status\"}", "{\"id\":$ID,\"ok\":{\"state\":\"running\",\"conflicts\":0,\"warnings\":[]}}"
    };

    answer(STEPS(status, status));
    ck_assert_int_eq(RUN("status", "--watch", "--rounds", "2", "--interval", "1"), 0);
    ck_assert_uint_eq(fake_api_end(&api), 2);
    char *second = strstr(out, "\n\n");
    ck_assert_ptr_nonnull(second);
    *second = '\0';
    ck_assert_int_eq(strncmp(out, "State          running\n", 23), 0);
    ck_assert_int_eq(strncmp(second + 2, out, strlen(out)), 0);
    ck_assert_str_eq(second + 2 + strlen(out), "\n");
    ck_assert_ptr_null(strchr(out, '\033'));
    fake_api_nobody(&api);
    ck_assert_int_eq(RUN("status", "--interval", "1"), 2);
    ck_assert_ptr_nonnull(strstr(err, "--watch"));
    ck_assert_int_eq(RUN("status", "--watch", "--interval", "0"), 2);
    ck_assert_int_eq(RUN("status", "--watch", "--rounds", "1"), 3);
    ck_assert_uint_eq(fake_api_end(&api), 0);
}
END_TEST

START_TEST(findings_end_with_six_only_where_they_are_asked_for)
{
    static const struct fake_step digest = {
        NULL, "{\"id\":$ID,\"ok\":{\"compartments\":[{\"name\":\"KEN\",\"state\":\"pending\"}]}}"
    };
    static const struct fake_step conflicts = { NULL, "{\"id\":$ID,\"ok\":{\"conflicts\":[{\"number\":\"KEN-"
                                                      "2026-0042\",\"target\":\"status\"}],\"next\":null}}" };
    static const struct fake_step sync = {
        NULL, "{\"id\":$ID,\"ok\":{\"peers\":[{\"name\":\"hq\",\"state\":\"up\",\"complete\":false}]}}"
    };
    static const struct fake_step status = {
        NULL, "{\"id\":$ID,\"ok\":{\"state\":\"running\",\"conflicts\":0,\"warnings\":[\"look\"]}}"
    };

    answer(STEPS(digest, digest, conflicts, conflicts, sync, sync, status, status));
    ck_assert_int_eq(RUN("digest"), 0);
    ck_assert_int_eq(RUN("digest", "--check"), 6);
    ck_assert_int_eq(RUN("conflict", "list"), 0);
    ck_assert_int_eq(RUN("conflict", "list", "--check"), 6);
    ck_assert_int_eq(RUN("sync", "status"), 0);
    ck_assert_int_eq(RUN("sync", "status", "--check"), 6);
    ck_assert_int_eq(RUN("status"), 0);
    ck_assert_int_eq(RUN("status", "--check"), 6);
    ck_assert_uint_eq(fake_api_end(&api), 8);
}
END_TEST

START_TEST(what_arrives_is_shown_as_stored_and_as_visible)
{
    static const struct fake_step status = {
        NULL,
        "{\"id\":$ID,\"ok\":{\"state\":\"running\",\"arriving\":["
        "{\"name\":\"KEN cases\",\"stored\":0.7503,\"visible\":0.2999,\"entries\":7503,\"to_receive\":2497,"
        "\"bytes_to_receive\":1258291,\"connected\":true},"
        "{\"name\":\"COL cases\",\"stored\":0.5,\"visible\":null,\"entries\":2,\"to_receive\":2,"
        "\"bytes_to_receive\":0,\"connected\":false},"
        "{\"name\":\"shared\",\"stored\":1.0,\"visible\":0.99999,\"entries\":3,\"to_receive\":0,"
        "\"bytes_to_receive\":0}]}}"
    };
    static const struct fake_step none = { NULL,
                                           "{\"id\":$ID,\"ok\":{\"state\":\"running\",\"arriving\":[]}}" };

    answer(STEPS(status, none));
    ck_assert_int_eq(RUN("status"), 0);
    ck_assert_ptr_nonnull(strstr(out,
                                 "Arriving       [#####++++++++++.....] KEN cases: 75.0 % stored, 29.9 % "
                                 "visible, 2497 entries to come (about 1.2 MiB)\n"));
    ck_assert_ptr_nonnull(strstr(out,
                                 "               [++++++++++..........] COL cases: 50.0 % stored, carried "
                                 "for others, 2 entries to come, as a peer said before it went\n"));
    ck_assert_ptr_nonnull(
        strstr(out, "               [###################+] shared: 100.0 % stored, 99.9 % visible\n"));
    ck_assert_int_eq(RUN("status"), 0);
    ck_assert_ptr_null(strstr(out, "Arriving"));
    ck_assert_uint_eq(fake_api_end(&api), 2);
}
END_TEST

START_TEST(a_fault_is_one_object_with_json)
{
    answer(STEPS(
        { NULL,
          "{\"id\":$ID,\"error\":{\"code\":\"absent\",\"message\":\"no record\",\"hint\":\"look\"}}" }));
    ck_assert_int_eq(RUN("--json", "case", "show", "X"), 4);
    ck_assert_str_eq(err,
                     "{\"code\":\"absent\",\"message\":\"cannot show X: no record\",\"hint\":\"look\"}\n");
    ck_assert_int_eq(RUN("case", "shwo", "X", "--json"), 2);
    ck_assert_str_eq(err, "{\"code\":\"usage\",\"message\":\"nothing was done: case has no verb 'shwo'\","
                          "\"hint\":\"perhaps vigil case show is meant\"}\n");
    ck_assert_uint_eq(fake_api_end(&api), 1);
}
END_TEST

START_TEST(a_typo_is_met_with_what_was_probably_meant)
{
    fake_api_nobody(&api);
    ck_assert_int_eq(RUN("csae", "list"), 2);
    ck_assert_ptr_nonnull(strstr(err, "perhaps vigil case is meant"));
    ck_assert_int_eq(RUN("sync", "stauts"), 2);
    ck_assert_ptr_nonnull(strstr(err, "perhaps vigil sync status is meant"));
    ck_assert_int_eq(RUN("case", "list", "--were", "a=b"), 2);
    ck_assert_ptr_nonnull(strstr(err, "perhaps --where is meant"));
    ck_assert_int_eq(RUN("elephant"), 2);
    ck_assert_ptr_nonnull(strstr(err, "vigil help lists all nouns"));
    ck_assert_int_eq(RUN("case", "show", "a", "b"), 2);
    ck_assert_ptr_nonnull(strstr(err, "'b' is one word too many"));
    ck_assert_int_eq(RUN("case", "show"), 2);
    ck_assert_ptr_nonnull(strstr(err, "write vigil case show ID"));
    ck_assert_int_eq(RUN("case", "list", "--limit", "many"), 2);
    ck_assert_int_eq(RUN("case", "list", "--conflict=yes"), 2);
    ck_assert_int_eq(RUN("case", "list", "--limit"), 2);
    ck_assert_int_eq(RUN("record", "list"), 2);
    ck_assert_ptr_nonnull(strstr(err, "--kind"));
    ck_assert_uint_eq(fake_api_end(&api), 0);
}
END_TEST

START_TEST(what_is_typed_becomes_the_request_of_the_api)
{
    answer(
        STEPS(CODEBOOK,
              { "{\"do\":\"record.save\",\"kind\":\"case\",\"set\":{\"title\":\"T\",\"status\":\"draft\"},"
                "\"urgent\":true,"
                "\"actor\":3,\"office\":\"KEN\",\"add\":[{\"to\":\"country_of_act\",\"value\":\"KEN\"},"
                "{\"to\":\"act\",\"fields\":{\"type_of_act\":\"death_threat\"}}],\"note\":[\"from here\"]}",
                "{\"id\":$ID,\"ok\":{\"record\":\"aa\",\"number\":\"KEN-2026-0001\",\"place\":1}}" },
              CODEBOOK,
              { "{\"do\":\"record.save\",\"record\":\"KEN-2026-0001\",\"set\":{\"title\":\"U\"},\"resolve\":["
                "\"title\"],"
                "\"remove\":[\"act[12]\"]}",
                "{\"id\":$ID,\"ok\":{\"record\":\"aa\",\"number\":\"KEN-2026-0001\",\"place\":2}}" },
              CODEBOOK,
              { "{\"do\":\"record.list\",\"kind\":\"person\",\"where\":{\"gender\":\"woman\"},\"month\":{"
                "\"arrival\":"
                "\"1990-01\"},\"conflict\":true,\"limit\":2}",
                "{\"id\":$ID,\"ok\":{\"records\":[],\"next\":null,\"total\":0}}" },
              { "{\"do\":\"conflict.resolve\",\"record\":\"aa\",\"target\":\"status\",\"choose\":2}",
                "{\"id\":$ID,\"ok\":{\"record\":\"aa\",\"place\":3}}" },
              CODEBOOK,
              { "{\"do\":\"conflict.resolve\",\"record\":\"aa\",\"target\":\"title\",\"value\":\"V\"}",
                "{\"id\":$ID,\"ok\":{\"record\":\"aa\",\"place\":4}}" },
              { "{\"do\":\"conflict.resolve\",\"record\":\"aa\",\"target\":\"act[12]\",\"choose\":\"keep\"}",
                "{\"id\":$ID,\"ok\":{\"record\":\"aa\",\"place\":5}}" },
              { "{\"do\":\"peer.add\",\"endpoint\":\"tcp://"
                "a:7700\",\"device\":\"Geneva\",\"name\":\"hq\",\"statements\":"
                "\"news\\n\"}",
                "{\"id\":$ID,\"ok\":{\"peer\":{\"name\":\"hq\"},\"statements\":2}}" },
              { "{\"do\":\"peer.remove\",\"peer\":\"hq\"}", "{\"id\":$ID,\"ok\":{}}" },
              { "{\"do\":\"sync.now\",\"peer\":\"hq\"}", "{\"id\":$ID,\"ok\":{\"asked\":1}}" },
              { "{\"do\":\"sync.now\"}", "{\"id\":$ID,\"ok\":{\"asked\":0}}" }));
    ck_assert_int_eq(RUN_WITH("from here\n", "case", "new", "title=T", "--set", "status=draft", "--add",
                              "country_of_act=KEN", "--add", "act.type_of_act=death_threat", "--note", "-",
                              "--urgent", "--actor", "3", "--office", "KEN"),
                     0);
    ck_assert_str_eq(out, "KEN-2026-0001 aa made\n");
    ck_assert_int_eq(
        RUN("case", "set", "KEN-2026-0001", "title=U", "--resolve", "title", "--remove", "act[12]"), 0);
    ck_assert_str_eq(out, "KEN-2026-0001 aa changed\n");
    ck_assert_int_eq(RUN("record", "list", "--kind", "person", "--where", "gender=woman", "--month",
                         "arrival=1990-01", "--conflict", "--limit", "2"),
                     0);
    ck_assert_str_eq(err, "there is none\n");
    ck_assert_int_eq(RUN("conflict", "resolve", "aa", "status", "--choose", "2"), 0);
    ck_assert_int_eq(RUN("conflict", "resolve", "aa", "title", "--value", "V"), 0);
    ck_assert_int_eq(RUN("conflict", "resolve", "aa", "act[12]", "--choose", "keep", "--quiet"), 0);
    ck_assert_str_eq(out, "");
    ck_assert_int_eq(RUN_WITH("news\n", "peer", "add", "tcp://a:7700", "--device", "Geneva", "--name", "hq",
                              "--statements", "-"),
                     0);
    ck_assert_str_eq(out, "peer hq added\n2 new statements taken in\n");
    ck_assert_int_eq(RUN("peer", "remove", "hq"), 0);
    ck_assert_int_eq(RUN("sync", "now", "hq"), 0);
    ck_assert_int_eq(RUN("sync", "now"), 75);
    ck_assert_uint_eq(fake_api_end(&api), 14);
}
END_TEST

START_TEST(a_confidential_value_is_refused_on_the_command_line)
{
    static const char *const typed[] = { "birth_date=1990",          "papers=P1234567",
                                         "name[12ab34cd].text=Dove", "papers[12ab34cd].papers=P1",
                                         "name.text=Dove",           "name.script=Dove" };

    answer(STEPS(CODEBOOK));
    for (size_t n = 0; n < sizeof typed / sizeof typed[0]; n++) {
        char add[64];

        (void)snprintf(add, sizeof add, "--add=%s", typed[n]);
        ck_assert_int_eq(RUN("record", "new", "--kind", "person", add), 2);
        ck_assert_int_eq(RUN("record", "new", "--kind", "person", (char *)typed[n]), 2);
        ck_assert_int_eq(RUN("record", "set", "aa", (char *)typed[n]), 2);
        ck_assert_int_eq(RUN("record", "set", "aa", "--set", (char *)typed[n], "--dry-run"), 2);
        ck_assert_int_eq(RUN("record", "add", "aa", (char *)typed[n]), 2);
        ck_assert_int_eq(RUN("record", "list", "--kind", "person", "--where", (char *)typed[n]), 2);
        ck_assert_int_eq(RUN("record", "count", "--kind", "person", "--by", "a", "--where", (char *)typed[n]),
                         2);
        ck_assert_str_eq(out, "");
        ck_assert_ptr_null(strstr(err, "Dove"));
    }
    ck_assert_int_eq(RUN("record", "new", "--kind", "person", "name.text=Dove"), 2);
    ck_assert_str_eq(err,
                     "vigil: no record was made\n"
                     "  why: name.text is confidential, and a command line is seen by others and kept by "
                     "the shell\n"
                     "  do:  write - as the value, and give it when asked or on standard input\n");
    ck_assert_int_eq(RUN("conflict", "resolve", "aa", "name[12ab34cd].text", "--value", "Dove"), 2);
    /* Nothing but the codebook was asked for. */
    ck_assert_uint_eq(fake_api_end(&api), 7 * sizeof typed / sizeof typed[0] + 2);
}
END_TEST

START_TEST(a_dash_takes_a_line_of_standard_input)
{
    answer(STEPS(CODEBOOK,
                 { "{\"do\":\"record.save\",\"kind\":\"person\",\"set\":{\"birth_date\":\"1990\","
                   "\"status\":\"draft\"},\"add\":[{\"to\":\"name\",\"fields\":{\"text\":\"Jane = Dove\"}}],"
                   "\"note\":[\"the\\nrest\"]}",
                   "{\"id\":$ID,\"ok\":{\"record\":\"aa\",\"number\":\"\",\"place\":1}}" },
                 CODEBOOK,
                 { "{\"do\":\"conflict.resolve\",\"record\":\"aa\",\"target\":\"name[12].text\","
                   "\"value\":\"Dove\"}",
                   "{\"id\":$ID,\"ok\":{\"record\":\"aa\",\"place\":4}}" },
                 CODEBOOK));
    ck_assert_int_eq(RUN_WITH("Jane = Dove\r\n1990\nthe\nrest\n", "record", "new", "--kind", "person",
                              "--note", "-", "--add", "name.text=-", "birth_date=-", "status=draft"),
                     0);
    ck_assert_int_eq(RUN_WITH("Dove", "conflict", "resolve", "aa", "name[12].text", "--value", "-"), 0);
    ck_assert_int_eq(RUN_WITH("Dove\n", "record", "set", "aa", "name[12].text=-", "birth_date=-"), 2);
    ck_assert_ptr_nonnull(strstr(err, "standard input ended before the value of birth_date"));
    ck_assert_int_eq(RUN_WITH("\n", "record", "set", "aa", "birth_date=-"), 2);
    ck_assert_ptr_nonnull(strstr(err, "the value of birth_date is empty"));
    ck_assert_int_eq(RUN_WITH("\xff\n", "record", "set", "aa", "birth_date=-"), 2);
    ck_assert_uint_eq(fake_api_end(&api), 7);
}
END_TEST

START_TEST(a_count_shows_what_is_most_first)
{
    static const struct fake_step counts = {
        "{\"do\":\"record.count\",\"kind\":\"case\"}",
        "{\"id\":$ID,\"ok\":{\"rows\":[{\"values\":[\"b\"],\"labels\":[\"Beta\"],\"count\":2},"
        "{\"values\":[\"c\"],\"labels\":[\"Charlie\"],\"count\":40},"
        "{\"values\":[\"a\"],\"labels\":[\"Alpha\"],\"count\":2}]}}"
    };

    answer(STEPS(counts, CODEBOOK, counts, CODEBOOK, counts));
    ck_assert_int_eq(RUN("case", "count", "--by", "name.text"), 0);
    ck_assert_str_eq(out, "NAME    COUNT\nCharlie    40\nBeta        2\nAlpha       2\n");
    ck_assert_int_eq(RUN("case", "count", "--by", "name.text", "--by-name"), 0);
    ck_assert_str_eq(out, "NAME    COUNT\nAlpha       2\nBeta        2\nCharlie    40\n");
    ck_assert_int_eq(RUN("--json", "case", "count", "--by", "status"), 0);
    ck_assert_ptr_eq(strstr(out, "{\"status\":\"c\",\"labels\":[\"Charlie\"],\"count\":40}\n"), out);
    ck_assert_uint_eq(fake_api_end(&api), 5);
}
END_TEST

START_TEST(a_dry_run_shows_the_request_and_changes_nothing)
{
    answer(STEPS(CODEBOOK));
    ck_assert_int_eq(RUN("case", "set", "X", "status=draft", "--dry-run"), 0);
    ck_assert_str_eq(out, "{\"do\":\"record.save\",\"record\":\"X\",\"set\":{\"status\":\"draft\"}}\n");
    ck_assert_int_eq(RUN("conflict", "resolve", "X", "title", "--choose", "1", "--dry-run"), 0);
    ck_assert_int_eq(RUN("peer", "remove", "X", "--dry-run"), 0);
    ck_assert_str_eq(out, "{\"do\":\"peer.remove\",\"peer\":\"X\"}\n");
    ck_assert_int_eq(RUN("peer", "add", "tcp://a:1", "--device", "d", "--dry-run"), 0);
    ck_assert_int_eq(RUN_WITH("{\"kind\":\"person\",\"ref\":\"p\",\"fields\":{\"a\":1}}\n"
                              "{\"kind\":\"case\",\"fields\":{\"b\":\"ref:p\"}}\n",
                              "case", "new", "--file", "-", "--dry-run"),
                     0);
    ck_assert_str_eq(out, "{\"do\":\"record.save\",\"kind\":\"person\",\"set\":{\"a\":1}}\n"
                          "{\"do\":\"record.save\",\"kind\":\"case\",\"set\":{\"b\":\"ref:p\"}}\n");
    ck_assert_uint_eq(fake_api_end(&api), 1);
}
END_TEST

START_TEST(pages_are_fetched_until_there_are_no_more)
{
    answer(STEPS(
        { "{\"do\":\"record.list\",\"kind\":\"case\"}",
          "{\"id\":$ID,\"ok\":{\"records\":[{\"number\":\"A\",\"id\":\"1\"},{\"number\":\"B\",\"id\":\"2\"}],"
          "\"next\":\"B\",\"total\":3}}" },
        { "{\"do\":\"record.list\",\"after\":\"B\"}",
          "{\"id\":$ID,\"ok\":{\"records\":[{\"number\":\"\",\"id\":\"3\"}],\"next\":null,\"total\":1}}" },
        { "{\"do\":\"record.list\",\"limit\":1}", "{\"id\":$ID,\"ok\":{\"records\":[{\"number\":\"A\",\"id\":"
                                                  "\"1\"}],\"next\":\"A\",\"total\":3}}" }));
    ck_assert_int_eq(RUN("case", "list"), 0);
    ck_assert_str_eq(out, "NUMBER\nA\nB\n3\n");
    ck_assert_int_eq(RUN("case", "list", "--limit", "1", "--json"), 0);
    ck_assert_str_eq(out, "{\"number\":\"A\",\"id\":\"1\"}\n");
    ck_assert_uint_eq(fake_api_end(&api), 3);
}
END_TEST

START_TEST(how_many_there_are_in_all_is_told_on_the_last_page_as_on_the_first)
{
    answer(STEPS(
        { "{\"do\":\"record.list\",\"kind\":\"case\",\"limit\":3}",
          "{\"id\":$ID,\"ok\":{\"records\":[{\"number\":\"A\",\"id\":\"1\"},{\"number\":\"B\",\"id\":\"2\"}],"
          "\"next\":\"B\",\"total\":5}}" },
        { "{\"do\":\"record.list\",\"kind\":\"case\",\"limit\":1,\"after\":\"B\"}",
          "{\"id\":$ID,\"ok\":{\"records\":[{\"number\":\"C\",\"id\":\"3\"}],\"next\":\"C\",\"total\":3}"
          "}" }));
    ck_assert_int_eq(RUN("case", "list", "--limit", "3"), 0);
    ck_assert_ptr_nonnull(strstr(err, "3 of 5 shown"));
    ck_assert_uint_eq(fake_api_end(&api), 2);
}
END_TEST

START_TEST(a_column_that_no_row_has_is_refused_before_anything_is_listed)
{
    static const struct fake_step codebook = {
        "{\"do\":\"codebook.show\"}",
        "{\"id\":$ID,\"ok\":{\"fields\":["
        "{\"name\":\"title\",\"kinds\":[\"case\"],\"listed\":true},"
        "{\"name\":\"kind\",\"kinds\":[\"case\"],\"listed\":true},"
        "{\"name\":\"narrative.text\",\"kinds\":[\"case\"],\"listed\":false},"
        "{\"name\":\"pseudonym\",\"kinds\":[\"person\"],\"listed\":true}],\"collections\":[]}}"
    };

    answer(STEPS(codebook,
                 { "{\"do\":\"record.list\",\"kind\":\"case\"}",
                   "{\"id\":$ID,\"ok\":{\"records\":[{\"number\":\"A\",\"id\":\"1\",\"title\":\"T\"}],"
                   "\"next\":null,\"total\":1}}" },
                 codebook, codebook, codebook));
    ck_assert_int_eq(RUN("case", "list", "--columns", "number,title,case_kind", "--json"), 0);
    ck_assert_str_eq(out, "{\"number\":\"A\",\"title\":\"T\",\"case_kind\":null}\n");
    ck_assert_int_eq(RUN("case", "list", "--columns", "number,titel"), 2);
    ck_assert_str_eq(
        err, "vigil: cannot list\n  why: there is no column 'titel': did you mean title?\n"
             "  do:  there are id, kind, office, conflict, restricted, created, updated, number, title, "
             "case_kind\n");
    ck_assert_int_eq(RUN("case", "list", "--columns", "narrative.text"), 2);
    ck_assert_int_eq(RUN("case", "list", "--columns", "pseudonym"), 2);
    ck_assert_uint_eq(fake_api_end(&api), 5);
}
END_TEST

START_TEST(records_of_a_file_name_each_other)
{
    answer(STEPS(
        { "{\"kind\":\"person\",\"set\":{\"pseudonym\":\"Dove\"}}",
          "{\"id\":$ID,\"ok\":{\"record\":\"aa\",\"number\":\"\",\"place\":1}}" },
        /* The one that waits for it is overtaken. */
        { "{\"kind\":\"source\"}", "{\"id\":$ID,\"ok\":{\"record\":\"bb\",\"number\":\"S-1\",\"place\":2}}" },
        { "{\"kind\":\"case\",\"add\":[{\"to\":\"victim\",\"fields\":{\"person\":\"aa\"}}]}",
          "{\"id\":$ID,\"ok\":{\"record\":\"cc\",\"number\":\"KEN-1\",\"place\":3}}" }));
    ck_assert_int_eq(RUN_WITH("{\"kind\":\"person\",\"ref\":\"p1\",\"fields\":{\"pseudonym\":\"Dove\"}}\n"
                              "{\"kind\":\"case\",\"elements\":{\"victim\":[{\"person\":\"ref:p1\"}]}}\n"
                              "{\"kind\":\"source\",\"fields\":{\"a\":1}}\n",
                              "--json", "case", "new", "--file", "-"),
                     0);
    ck_assert_str_eq(out, "{\"line\":1,\"ref\":\"p1\",\"record\":\"aa\",\"number\":\"\"}\n"
                          "{\"line\":3,\"ref\":null,\"record\":\"bb\",\"number\":\"S-1\"}\n"
                          "{\"line\":2,\"ref\":null,\"record\":\"cc\",\"number\":\"KEN-1\"}\n");
    ck_assert_uint_eq(fake_api_end(&api), 3);
}
END_TEST

START_TEST(after_a_refused_record_the_rest_waits_unless_told_otherwise)
{
    static const char file[] = "{\"kind\":\"person\",\"ref\":\"p1\",\"fields\":{\"x\":1}}\n"
                               "{\"kind\":\"case\",\"fields\":{\"y\":\"ref:p1\"}}\n"
                               "{\"kind\":\"case\",\"fields\":{\"y\":\"ref:never\"}}\n"
                               "{\"kind\":\"case\",\"fields\":{\"z\":1}}\n";
    static const struct fake_step refusal = {
        "{\"kind\":\"person\"}",
        "{\"id\":$ID,\"error\":{\"code\":\"invalid\",\"message\":\"no field x\",\"hint\":\"look\"}}"
    };

    answer(STEPS(refusal,
                 { "{\"set\":{\"z\":1}}", "{\"id\":$ID,\"ok\":{\"record\":\"cc\",\"number\":\"KEN-1\"}}" }));
    ck_assert_int_eq(RUN_WITH(file, "case", "new", "--file", "-", "--keep-going"), 5);
    ck_assert_str_eq(out, "KEN-1 cc\n");
    ck_assert_ptr_nonnull(
        strstr(err, "line 1 of standard input was refused\n  why: no field x\n  do:  look\n"));
    ck_assert_ptr_nonnull(
        strstr(err, "line 2 of standard input was refused\n  why: the record 'p1' was not made"));
    ck_assert_ptr_nonnull(
        strstr(err, "line 3 of standard input was refused\n  why: no earlier object has the ref"));
    ck_assert_ptr_nonnull(strstr(err, "1 saved, 3 refused"));
    ck_assert_uint_eq(fake_api_end(&api), 2);

    answer(STEPS(refusal));
    ck_assert_int_eq(
        RUN_WITH("{\"kind\":\"person\",\"fields\":{\"x\":1}}\nnonsense\n", "case", "new", "--file", "-"), 5);
    ck_assert_ptr_nonnull(strstr(err, "line 2"));
    ck_assert_uint_le(fake_api_end(&api), 1);
}
END_TEST

START_TEST(a_node_that_goes_away_during_a_file_is_told)
{
    answer(STEPS({ NULL, NULL }));
    ck_assert_int_eq(RUN_WITH("{\"kind\":\"case\",\"fields\":{\"a\":1}}\n", "case", "new", "--file", "-"), 1);
    ck_assert_ptr_nonnull(strstr(err, "the node went away"));
    ck_assert_ptr_nonnull(strstr(err, "0 saved, 0 refused, 1 sent without an answer"));
    ck_assert_uint_eq(fake_api_end(&api), 1);
}
END_TEST

static const char record[] =
    "{\"id\":$ID,\"ok\":{\"id\":\"3f09\",\"number\":\"KEN-2026-0042\",\"kind\":\"case\",\"office\":\"KEN\","
    "\"conflict\":true,"
    "\"withheld\":true,\"created\":\"2026-03-01T10:00:00.000Z\",\"updated\":\"2026-03-05T10:13:00.000Z\","
    "\"fields\":["
    "{\"target\":\"title\",\"name\":\"title\",\"label\":\"Title\",\"conflict\":false,\"values\":[{\"value\":"
    "\"A \\u001b]0;evil\\u0007\\u202etitle\",\"pick\":true}]},"
    "{\"target\":\"status\",\"name\":\"status\",\"label\":\"Status\",\"conflict\":true,\"values\":["
    "{\"value\":\"triage\",\"label\":\"Triage\",\"device\":{\"id\":\"aa\",\"name\":\"Nairobi "
    "laptop\"},\"actor\":{\"number\":1,"
    "\"name\":\"Amina\"},\"at\":\"2026-03-05T10:12:00.000Z\",\"pick\":false},"
    "{\"value\":\"assessment\",\"label\":\"Assessment\",\"device\":{\"id\":\"bb\",\"name\":\"Geneva\"},"
    "\"actor\":null,"
    "\"at\":\"2030-03-05T10:13:00.000Z\",\"pick\":true,\"suspect_time\":true}]},"
    "{\"target\":\"case_officer\",\"label\":\"Case officer\",\"level\":\"L3\",\"withheld\":true}],"
    "\"elements\":[{\"collection\":\"country_of_act\",\"element\":\"9b\",\"state\":\"present\",\"conflict\":"
    "false,\"fields\":["
    "{\"target\":\"country_of_act[9b]\",\"name\":\"country_of_act\",\"label\":\"Country\",\"conflict\":false,"
    "\"values\":["
    "{\"value\":\"KEN\",\"label\":\"Kenya\",\"pick\":true}]}]},"
    "{\"collection\":\"country_of_act\",\"element\":\"9c\",\"state\":\"present\",\"conflict\":false,"
    "\"fields\":["
    "{\"target\":\"country_of_act[9c]\",\"name\":\"country_of_act\",\"label\":\"Country\",\"conflict\":false,"
    "\"values\":["
    "{\"value\":\"UGA\",\"label\":\"Uganda\",\"pick\":true}]}]},"
    "{\"collection\":\"act\",\"element\":\"3f09a1c2\",\"state\":\"edited while "
    "removed\",\"conflict\":true,\"fields\":["
    "{\"target\":\"act[3f09a1c2].type_of_act\",\"name\":\"type_of_act\",\"label\":\"Type of "
    "act\",\"conflict\":false,"
    "\"values\":[{\"value\":\"death_threat\",\"label\":\"Death threat\",\"pick\":true}]}]}],"
    "\"notes\":[{\"text\":\"Called\\nback.\",\"device\":{\"name\":\"Nairobi "
    "laptop\"},\"at\":\"2026-03-02T09:00:00.000Z\"}]}}";

START_TEST(a_record_is_shown_whole_with_every_sibling)
{
    answer(STEPS({ "{\"do\":\"record.show\",\"record\":\"KEN-2026-0042\"}", record }));
    ck_assert_int_eq(RUN("case", "show", "KEN-2026-0042"), 0);
    ck_assert_str_eq(
        out,
        "KEN-2026-0042, case of KEN, in conflict\n"
        "id 3f09, made 2026-03-01 10:00 UTC, changed 2026-03-05 10:13 UTC\n"
        "Part of it is withheld: this node may not read the protected half.\n"
        "\n"
        "  Title         A ]0;eviltitle\n"
        "! Status          Triage\n"
        "                    by Nairobi laptop, Amina, 2026-03-05 10:12 UTC\n"
        "                * Assessment\n"
        "                    by Geneva, 2030-03-05 10:13 UTC, a clock far ahead\n"
        "  Case officer  withheld\n"
        "  Country       Kenya, Uganda\n"
        "\n"
        "Act 3f09a1c2\n"
        "  ! edited while removed: keep it or remove it with vigil conflict resolve\n"
        "    Type of act   Death threat\n"
        "\n"
        "Notes\n"
        "  Nairobi laptop, 2026-03-02 09:00 UTC\n"
        "    Called\n"
        "    back.\n"
        "\n"
        "! marks a conflict, * the value that lists show. To decide: vigil conflict show KEN-2026-0042\n");
    ck_assert_int_eq(RUN("case", "show", "KEN-2026-0042", "--ids"), 0);
    ck_assert_ptr_nonnull(strstr(out, "  country_of_act[9c]  Uganda\n"));
    ck_assert_ptr_nonnull(strstr(out, "    act[3f09a1c2].type_of_act  Death threat\n"));
    ck_assert_int_eq(RUN("--json", "case", "show", "KEN-2026-0042"), 0);
    ck_assert_ptr_nonnull(strstr(out, "\"conflict\":true"));
    ck_assert_ptr_nonnull(strstr(out, "\"pick\":true"));
    ck_assert_ptr_null(strchr(out, '\033'));
    ck_assert_ptr_null(strstr(out, "\xe2\x80\xae"));
    ck_assert_uint_eq(fake_api_end(&api), 3);
}
END_TEST

/* True if nothing in it is obeyed by a terminal but the end of a line. */
static bool
steers_nothing(const char *text)
{
    static const char *const marks[] = { "\xc2\x9b",     "\xe2\x80\x8e", "\xe2\x80\x8f",    "\xe2\x80\xae",
                                         "\xe2\x81\xa6", "\xd8\x9c",     "\xf3\xa0\x81\x81" };

    for (const char *at = text; *at != '\0'; at++) {
        if ((*at > 0 && *at < ' ' && *at != '\n') || *at == 0x7f) {
            return false;
        }
    }
    for (size_t n = 0; n < sizeof marks / sizeof marks[0]; n++) {
        if (strstr(text, marks[n]) != NULL) {
            return false;
        }
    }
    return true;
}

/* An escape that colours, a bell, a backspace, a C1 control, marks of direction and a tag, in whatever a node may say. */
#define EVIL                                                                                                 \
    "\"ZQ\\u001b[31m\\u0007\\u0008\\u009b2J\\u200e\\u200f\\u202e\\u2066\\u061c\\udb40\\udc41\\u007fend\""

START_TEST(c12_nothing_that_a_node_says_steers_a_terminal)
{
    static const struct {
        char *words[4];
        const char *answer;
        int status;
    } calls[] = {
        { { "vigil", "case", "list" },
          "{\"id\":$ID,\"ok\":{\"records\":[{\"number\":" EVIL ",\"id\":" EVIL ",\"title\":" EVIL
          ",\"status\":" EVIL ",\"office\":" EVIL "}],\"next\":null,\"total\":1}}",
          0 },
        { { "vigil", "conflict", "list" },
          "{\"id\":$ID,\"ok\":{\"conflicts\":[{\"record\":" EVIL ",\"number\":" EVIL ",\"kind\":\"case\","
          "\"target\":" EVIL ",\"label\":" EVIL ",\"how\":" EVIL ",\"since\":" EVIL "}],\"next\":null}}",
          0 },
        { { "vigil", "peer", "list" },
          "{\"id\":$ID,\"ok\":{\"peers\":[{\"name\":" EVIL ",\"device\":{\"id\":\"bb\",\"name\":" EVIL
          "},\"office\":" EVIL ",\"endpoint\":" EVIL ",\"proxy\":\"\",\"state\":\"down\",\"reason\":" EVIL
          "}]}}",
          0 },
        { { "vigil", "digest" },
          "{\"id\":$ID,\"ok\":{\"compartments\":[{\"name\":" EVIL ",\"id\":" EVIL ",\"frontier\":" EVIL
          ",\"state\":\"complete\",\"entries\":1,\"records\":1}]}}",
          0 },
        { { "vigil", "digest" },
          "{\"id\":$ID,\"error\":{\"code\":\"io\",\"message\":" EVIL ",\"hint\":" EVIL "}}",
          1 },
    };

    for (size_t n = 0; n < sizeof calls / sizeof calls[0]; n++) {
        answer(STEPS({ NULL, calls[n].answer }));
        ck_assert_msg(run_words("", calls[n].words) == calls[n].status, "call %zu: %s", n, err);
        const char *said = calls[n].status == 0 ? out : err;
        ck_assert_msg(strstr(said, "ZQ") != NULL && strstr(said, "end") != NULL, "call %zu: %s", n, said);
        ck_assert_msg(steers_nothing(out) && steers_nothing(err), "call %zu", n);
        ck_assert_uint_eq(fake_api_end(&api), 1);
    }
    ck_assert(!steers_nothing("\033[31m") && !steers_nothing("\xe2\x80\xae"));
}
END_TEST

START_TEST(the_digest_and_the_peers_are_lines_of_json)
{
    static const struct fake_step digest = { "{\"do\":\"digest\"}",
                                             "{\"id\":$ID,\"ok\":{\"compartments\":[{\"name\":\"KEN\",\"id\":"
                                             "\"ab\",\"frontier\":\"cd\",\"state\":\"complete\","
                                             "\"entries\":12,\"records\":5}]}}" };
    static const struct fake_step sync = { "{\"do\":\"sync.status\"}",
                                           "{\"id\":$ID,\"ok\":{\"peers\":[{\"name\":\"hq\",\"device\":{"
                                           "\"id\":\"bb\",\"name\":\"Geneva\"},\"state\":\"up\","
                                           "\"stored\":0.99999,\"visible\":1.0,\"complete\":false,\"last_"
                                           "contact\":\"2026-03-05T10:13:00.000Z\",\"error\":null,"
                                           "\"waiting_in\":3,\"waiting_out\":0,\"compartments\":[]}]}}" };

    answer(STEPS(digest, digest, sync, sync));
    ck_assert_int_eq(RUN("--json", "digest"), 0);
    ck_assert_str_eq(
        out, "{\"name\":\"KEN\",\"id\":\"ab\",\"frontier\":\"cd\",\"state\":\"complete\",\"entries\":12,"
             "\"records\":5}\n");
    ck_assert_int_eq(RUN("digest"), 0);
    ck_assert_str_eq(out, "NAME ID FRONTIER STATE    ENTRIES RECORDS\n"
                          "KEN  ab cd       complete      12       5\n");
    ck_assert_int_eq(RUN("--json", "sync", "status"), 0);
    ck_assert_str_eq(out,
                     "{\"name\":\"hq\",\"device\":\"bb\",\"state\":\"up\",\"stored\":0.99999,\"visible\":1.0,"
                     "\"complete\":false,\"last_contact\":\"2026-03-05T10:13:00.000Z\",\"error\":null,"
                     "\"waiting_in\":3,\"waiting_out\":0,\"compartments\":[]}\n");
    ck_assert_int_eq(RUN("sync", "status"), 0);
    /* Not all is not 100 %. */
    ck_assert_ptr_nonnull(strstr(out, " 99.9 % "));
    ck_assert_ptr_nonnull(strstr(out, "100.0 %"));
    ck_assert_uint_eq(fake_api_end(&api), 4);
}
END_TEST

#define PEER(complete)                                                                                       \
    "{\"name\":\"hq\",\"device\":{\"id\":\"bb\"},\"state\":\"up\",\"complete\":" complete "}"

START_TEST(a_watch_ends_when_every_peer_is_complete)
{
    answer(STEPS({ "{\"do\":\"sync.watch\"}", "{\"id\":$ID,\"event\":" PEER("true") "}" },
                 { "{\"do\":\"sync.status\"}", "{\"id\":$ID,\"ok\":{\"peers\":[" PEER(
                                                   "false") "]}}\n"
                                                            "{\"id\":1,\"event\":" PEER("true") "}\n" }));
    ck_assert_int_eq(RUN("--json", "sync", "watch", "--until-complete"), 0);
    /* The event before the answer is older than it. */
    const char *first = strstr(out, "\"complete\":false");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(strstr(first, "\"complete\":true"));
    ck_assert_ptr_null(strstr(strstr(first, "\"complete\":true") + 1, "\"complete\""));
    ck_assert_uint_eq(fake_api_end(&api), 2);
}
END_TEST

START_TEST(a_watch_that_takes_too_long_says_to_try_again)
{
    answer(STEPS({ NULL, "" }, { NULL, "{\"id\":$ID,\"ok\":{\"peers\":[" PEER("false") "]}}" }));
    ck_assert_int_eq(RUN("sync", "watch", "--until-complete", "--timeout", "1"), 75);
    ck_assert_ptr_nonnull(strstr(err, "not every peer was complete in time"));
    ck_assert_uint_eq(fake_api_end(&api), 2);

    answer(STEPS(
        { NULL, "{\"id\":$ID,\"error\":{\"code\":\"unknown\",\"message\":\"no such call\",\"hint\":\"\"}}" },
        { NULL, "{\"id\":$ID,\"ok\":{\"peers\":[]}}" }));
    ck_assert_int_eq(RUN("sync", "watch"), 3);
    ck_assert_uint_le(fake_api_end(&api), 2);
}
END_TEST

static const struct fake_step devices = {
    "{\"do\":\"device.list\"}",
    "{\"id\":$ID,\"ok\":{\"devices\":["
    "{\"id\":\"aa\",\"name\":\"KEN laptop\",\"office\":\"KEN\",\"fingerprint\":\"1 2\",\"state\":\"revoked\","
    "\"notes\":[\"revoked by KEN: stolen\"],\"roles\":[\"case-work\"],\"until\":\"2027-01-01T00:00:00.000Z\","
    "\"last_contact\":\"2026-03-05T10:13:00.000Z\",\"own\":false},"
    "{\"id\":\"bb\",\"name\":\"HQ\",\"office\":\"HQ\",\"state\":\"ok\",\"notes\":[],\"roles\":[],"
    "\"until\":\"2027-01-01T00:00:00.000Z\",\"last_contact\":null,\"own\":true}]}}"
};

START_TEST(devices_are_listed_with_what_became_of_them)
{
    static const struct fake_step forked = {
        NULL, "{\"id\":$ID,\"ok\":{\"devices\":[{\"name\":\"KEN\",\"state\":\"forked\"}]}}"
    };
    static const struct fake_step device = {
        "{\"do\":\"device.show\",\"device\":\"KEN laptop\"}",
        "{\"id\":$ID,\"ok\":{\"id\":\"aa\",\"name\":\"KEN laptop\",\"office\":\"KEN\",\"state\":\"revoked\","
        "\"notes\":[\"revoked by KEN: stolen\"],\"until\":\"2027-01-01T00:00:00.000Z\",\"levels\":["
        "{\"compartment\":\"KEN cases\",\"level\":\"admin\"}],\"revocations\":[{\"id\":\"3f09a1c2b1d4\","
        "\"reason\":\"stolen\",\"by\":\"KEN\",\"cuts\":2,\"keep\":0}],\"forks\":[],\"logs\":["
        "{\"log\":\"b1d4b1d4b1d4b1d4\",\"compartment\":\"KEN cases\",\"lane\":2,\"first\":0,\"next\":20,"
        "\"counts_to\":18,\"held\":2,\"cut\":true,\"cut_waits\":false},"
        "{\"log\":\"c1d4b1d4b1d4b1d4\",\"compartment\":\"KEN audit\",\"lane\":2,\"first\":0,\"next\":1,"
        "\"counts_to\":0,\"held\":1,\"cut\":true,\"cut_waits\":false},"
        "{\"log\":\"d1d4b1d4b1d4b1d4\",\"compartment\":\"control\",\"lane\":0,\"first\":0,\"next\":4,"
        "\"counts_to\":4,\"held\":0,\"cut\":true,\"cut_waits\":true}]}}"
    };

    answer(STEPS(devices, devices, devices, forked, device, device));
    ck_assert_int_eq(RUN("device", "list"), 0);
    ck_assert_ptr_nonnull(strstr(out, "KEN laptop"));
    ck_assert_ptr_nonnull(strstr(out, "revoked by KEN: stolen"));
    ck_assert_ptr_nonnull(strstr(out, "2026-03-05 10:13"));
    ck_assert_int_eq(RUN("--json", "device", "list"), 0);
    ck_assert_ptr_nonnull(strstr(out, "\"fingerprint\":\"1 2\""));
    /* What was revoked has been dealt with. */
    ck_assert_int_eq(RUN("device", "list", "--check"), 0);
    ck_assert_int_eq(RUN("device", "list", "--check"), 6);
    ck_assert_int_eq(RUN("device", "show", "KEN laptop"), 0);
    ck_assert_ptr_nonnull(strstr(out, "! revoked by KEN: stolen\n"));
    ck_assert_ptr_nonnull(strstr(out, "Rights        admin in KEN cases\n"));
    ck_assert_ptr_nonnull(strstr(out, "Revoked       by KEN: stolen (3f09a1c2, 2 cuts)\n"));
    ck_assert_ptr_nonnull(strstr(out, "after entry 17\n"));
    ck_assert_ptr_nonnull(strstr(out, "before its first entry\n"));
    ck_assert_ptr_nonnull(strstr(out, "at a cut whose entry has not arrived here\n"));
    ck_assert_int_eq(RUN("--json", "device", "show", "KEN laptop"), 0);
    ck_assert_uint_eq(fake_api_end(&api), 6);
}
END_TEST

START_TEST(what_is_held_is_fetched_until_there_is_no_more)
{
    answer(STEPS(
        { "{\"do\":\"held.list\",\"device\":\"KEN laptop\"}",
          "{\"id\":$ID,\"ok\":{\"entries\":[],\"next\":\"7:256\"}}" },
        { "{\"do\":\"held.list\",\"device\":\"KEN laptop\",\"after\":\"7:256\"}",
          "{\"id\":$ID,\"ok\":{\"entries\":[{\"id\":\"b1d4b1d4b1d4:17\",\"device\":{\"name\":\"KEN laptop\"},"
          "\"compartment\":\"KEN cases\",\"kind\":\"data\",\"bytes\":120,\"why\":\"beyond the cut\"},"
          "{\"id\":\"b1d4b1d4b1d4:18\"}],\"next\":\"7:258\"}}" },
        { "{\"do\":\"held.list\",\"own\":true}", "{\"id\":$ID,\"ok\":{\"entries\":[],\"next\":null}}" }));
    ck_assert_int_eq(RUN("held", "list", "--device", "KEN laptop", "--limit", "1"), 0);
    ck_assert_str_eq(out, "ID              DEVICE     COMPARTMENT KIND BYTES WHY\n"
                          "b1d4b1d4b1d4:17 KEN laptop KEN cases   data   120 beyond the cut\n");
    ck_assert_int_eq(RUN("held", "list", "--own"), 0);
    ck_assert_str_eq(err, "nothing is held\n");
    ck_assert_int_eq(RUN("held", "list", "--own", "--device", "x"), 2);
    ck_assert_uint_eq(fake_api_end(&api), 3);
}
END_TEST

START_TEST(why_prints_each_op_with_what_it_replaced)
{
    answer(STEPS(
        { "{\"do\":\"record.why\",\"record\":\"KEN-2026-0042\",\"target\":\"status\"}",
          "{\"id\":$ID,\"ok\":{\"number\":\"KEN-2026-0042\",\"target\":\"status\",\"label\":\"Status\","
          "\"because\":\"B\",\"unread\":1,\"ops\":[{\"n\":1,\"op\":\"set\",\"target\":\"status\",\"value\":"
          "\"draft\",\"label\":\"Draft\",\"fate\":\"replaced\",\"replaced_by\":[2,3],\"replaces\":[],"
          "\"missing\":0,\"log\":\"b1d4b1d4b1d4b1d4\",\"seq\":17},{\"n\":2,\"op\":\"set\",\"target\":"
          "\"status\","
          "\"value\":\"x\",\"label\":\"X\",\"fate\":\"stands, picked\",\"replaced_by\":[],\"replaces\":[1],"
          "\"missing\":2,\"log\":\"b1d4b1d4b1d4b1d4\",\"seq\":18}]}}" },
        { NULL, "{\"id\":$ID,\"ok\":{\"number\":\"\",\"target\":\"title\",\"label\":\"Title\",\"because\":"
                "\"nobody has set it\",\"unread\":0,\"ops\":[]}}" }));
    ck_assert_int_eq(RUN("why", "KEN-2026-0042", "status"), 0);
    ck_assert_ptr_nonnull(strstr(out, "KEN-2026-0042, Status (status): B\n\n"));
    ck_assert_ptr_nonnull(strstr(out, "Draft replaced by 2 and 3"));
    ck_assert_ptr_nonnull(strstr(out, "stands, picked; replaces 1; 2 that it names are not here"));
    ck_assert_ptr_nonnull(strstr(out, "b1d4b1d4b1d4:18"));
    ck_assert_ptr_nonnull(strstr(out, "1 entry of this record does not count here"));
    ck_assert_int_eq(RUN("why", "3f09a1c2", "title"), 0);
    ck_assert_str_eq(out, "3f09a1c2, Title (title): nobody has set it\n");
    ck_assert_int_eq(RUN("why", "3f09a1c2"), 2);
    ck_assert_uint_eq(fake_api_end(&api), 2);
}
END_TEST

START_TEST(what_an_entry_says_is_printed_only_if_the_node_opened_it)
{
    answer(STEPS(
        { "{\"do\":\"held.show\",\"entry\":\"b1d4b1:17\"}",
          "{\"id\":$ID,\"ok\":{\"id\":\"b1d4b1d4b1d4:17\",\"device\":{\"name\":\"KEN laptop\"},"
          "\"compartment\":\"KEN cases\",\"kind\":\"data\",\"bytes\":120,\"why\":\"beyond the cut of KEN "
          "laptop\","
          "\"opened\":true,\"at\":\"2026-03-05T10:13:00.000Z\",\"suspect_time\":true,\"actor\":null,"
          "\"record\":\"aa\",\"number\":\"KEN-2026-0042\",\"ops\":[{\"op\":\"set\",\"label\":\"Title\","
          "\"value\":\"T\",\"shown\":\"T\"},{\"op\":\"remove\",\"label\":\"Act\"}],\"statements\":[]}}" },
        { NULL, "{\"id\":$ID,\"ok\":{\"id\":\"b1d4b1d4b1d4:17\",\"why\":\"w\",\"opened\":false,"
                "\"closed\":\"only a device with admin in its compartment may read it\"}}" },
        { "{\"do\":\"held.fetch\",\"peer\":\"hq\"}",
          "{\"id\":$ID,\"ok\":{\"asked\":1,\"compartments\":[\"KEN cases\"]}}" },
        { "{\"do\":\"held.fetch\"}", "{\"id\":$ID,\"ok\":{\"asked\":0,\"compartments\":[\"KEN cases\"]}}" }));
    ck_assert_int_eq(RUN("held", "show", "b1d4b1:17"), 0);
    ck_assert_str_eq(out, "Entry        b1d4b1d4b1d4:17\n"
                          "Device       KEN laptop\n"
                          "Compartment  KEN cases\n"
                          "Kind         data\n"
                          "Bytes        120\n"
                          "Held         beyond the cut of KEN laptop\n"
                          "Claims       2026-03-05 10:13 UTC, a clock far ahead\n"
                          "Record       KEN-2026-0042\n"
                          "It says, and nothing of it counts:\n"
                          "  set    Title: T\n"
                          "  remove Act\n");
    ck_assert_int_eq(RUN("held", "show", "b1d4b1:17"), 0);
    ck_assert_ptr_nonnull(
        strstr(out, "Not shown    only a device with admin in its compartment may read it\n"));
    ck_assert_int_eq(RUN("held", "fetch", "hq"), 0);
    ck_assert_int_eq(RUN("held", "fetch"), 75);
    ck_assert_uint_eq(fake_api_end(&api), 4);
}
END_TEST

START_TEST(epochs_are_listed_and_made)
{
    answer(
        STEPS({ "{\"do\":\"epoch.list\",\"compartment\":\"KEN cases\"}",
                "{\"id\":$ID,\"ok\":{\"epochs\":[{\"compartment\":\"KEN cases\",\"number\":2,\"id\":\"cc\","
                "\"state\":\"in force\",\"age_s\":864000,\"by\":{\"name\":\"HQ\"},\"boxes\":3,\"without\":["
                "{\"name\":\"KEN two\"}]}],\"old_epoch\":4}}" },
              { "{\"do\":\"epoch.rotate\",\"compartment\":\"KEN cases\"}",
                "{\"id\":$ID,\"ok\":{\"compartment\":\"KEN cases\",\"was\":2}}" }));
    ck_assert_int_eq(RUN("epoch", "list", "KEN cases"), 0);
    ck_assert_str_eq(out, "COMPARTMENT NUMBER STATE    AGE     BY BOXES WITHOUT\n"
                          "KEN cases        2 in force 10 days HQ     3 KEN two\n");
    ck_assert_ptr_nonnull(strstr(err, "4 entries came under an older epoch"));
    ck_assert_int_eq(RUN("epoch", "rotate", "KEN cases", "--dry-run"), 0);
    ck_assert_str_eq(out, "{\"do\":\"epoch.rotate\",\"compartment\":\"KEN cases\"}\n");
    ck_assert_int_eq(RUN("epoch", "rotate", "KEN cases"), 0);
    ck_assert_ptr_nonnull(strstr(out, "a new epoch of KEN cases is made"));
    ck_assert_uint_eq(fake_api_end(&api), 2);
}
END_TEST

START_TEST(a_frontier_goes_to_a_new_file_for_its_owner_alone)
{
    static const struct fake_step cut = {
        "{\"do\":\"frontier.cut\",\"device\":\"KEN laptop\",\"before\":\"2026-03-01\"}",
        "{\"id\":$ID,\"ok\":{\"cuts\":[{\"log\":\"aa\",\"compartment\":\"KEN cases\",\"lane\":2,\"seq\":4,"
        "\"entry\":\"bb\",\"dropped\":3,\"closed\":0}],\"next\":\"2:0:0\"}}"
    };
    static const struct fake_step more = {
        "{\"do\":\"frontier.cut\",\"after\":\"2:0:0\"}",
        "{\"id\":$ID,\"ok\":{\"cuts\":[{\"log\":\"cc\",\"compartment\":\"KEN audit\",\"lane\":2,\"seq\":null,"
        "\"entry\":null,\"dropped\":1,\"closed\":2}],\"next\":null}}"
    };
    static const struct fake_step file = {
        "{\"do\":\"frontier.write\",\"device\":\"KEN laptop\",\"cuts\":[{\"log\":\"aa\",\"seq\":4,"
        "\"entry\":\"bb\"}]}",
        "{\"id\":$ID,\"ok\":{\"file\":\"VIGIL FRONTIER 1\\nabc\\n\",\"logs\":1}}"
    };
    char path[160];
    char line[64] = "";
    struct stat stat;

    answer(STEPS(cut, more, file, cut, more, file));
    (void)snprintf(path, sizeof path, "%s/ken.frontier", api.dir);
    ck_assert_int_eq(RUN("digest", "--frontier", path, "--device", "KEN laptop", "--before", "2026-03-01"),
                     0);
    ck_assert_ptr_nonnull(strstr(out, "KEN cases, lane 2: ends after entry 4; 3 left out\n"));
    ck_assert_ptr_nonnull(strstr(out, "KEN audit, lane 2: ends before its first entry; 1 left out\n"));
    ck_assert_ptr_nonnull(strstr(err, "the time of 2 entries could not be told here"));
    ck_assert_int_eq(lstat(path, &stat), 0);
    ck_assert_int_eq(stat.st_mode & 0777, 0600);
    FILE *written = fopen(path, "re");
    ck_assert_ptr_nonnull(written);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, written));
    ck_assert_str_eq(line, "VIGIL FRONTIER 1\n");
    (void)fclose(written);
    /* One that is there is somebody's, and stays. */
    ck_assert_int_eq(RUN("digest", "--frontier", path, "--device", "KEN laptop", "--before", "2026-03-01"),
                     1);
    ck_assert_ptr_nonnull(strstr(err, "no frontier file was written"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(RUN("digest", "--device", "KEN laptop"), 2);
    ck_assert_int_eq(RUN("digest", "--frontier", path, "--before", "2026-03-01"), 2);
    ck_assert_uint_eq(fake_api_end(&api), 6);
}
END_TEST

START_TEST(people_are_told_what_is_held_of_a_record_and_of_their_own)
{
    answer(STEPS(
        { NULL,
          "{\"id\":$ID,\"ok\":{\"id\":\"3f09\",\"number\":\"KEN-2026-0042\",\"kind\":\"case\","
          "\"office\":\"KEN\",\"held\":{\"count\":2,\"reason\":\"beyond-cut\",\"why\":\"beyond the cut of "
          "KEN laptop\"},\"fields\":[],\"elements\":[],\"notes\":[]}}" },
        { NULL,
          "{\"id\":$ID,\"ok\":{\"entries\":[{\"at\":null,\"device\":{\"name\":\"KEN laptop\"},\"state\":"
          "\"held\",\"ops\":[],\"held\":\"b1d4b1d4b1d4:17\",\"why\":\"beyond the cut of KEN laptop\"}]}}" },
        { NULL, "{\"id\":$ID,\"ok\":{\"state\":\"running\",\"held\":{\"beyond-cut\":3},\"own_held\":2,"
                "\"rebuilding\":true,\"warnings\":[\"2 entries of this device are held\"]}}" }));
    ck_assert_int_eq(RUN("case", "show", "KEN-2026-0042"), 0);
    ck_assert_ptr_nonnull(strstr(out, "2 entries are held and do not count: beyond the cut of KEN laptop. To "
                                      "see which: vigil case history KEN-2026-0042\n"));
    ck_assert_int_eq(RUN("case", "history", "KEN-2026-0042"), 0);
    ck_assert_ptr_nonnull(strstr(out, "b1d4b1d4b1d4:17"));
    ck_assert_ptr_nonnull(strstr(out, "beyond the cut of KEN laptop"));
    ck_assert_int_eq(RUN("status"), 0);
    ck_assert_ptr_nonnull(
        strstr(out, "Held           3 beyond-cut\n               2 of them by this very device\n"));
    ck_assert_ptr_nonnull(strstr(out, "records are being made anew"));
    ck_assert_ptr_nonnull(strstr(out, "! 2 entries of this device are held\n"));
    ck_assert_uint_eq(fake_api_end(&api), 3);
}
END_TEST

START_TEST(help_is_there_for_every_verb_and_fits_a_terminal)
{
    char listed[OUT_BYTES];
    char noun_help[OUT_BYTES];
    size_t verbs = 0;

    fake_api_nobody(&api);
    ck_assert_int_eq(RUN("help"), 0);
    (void)memcpy(listed, out, sizeof listed);
    ck_assert_int_eq(RUN("--help"), 0);
    ck_assert_str_eq(out, listed);
    char *noun_rest = listed;
    for (char *line = strsep(&noun_rest, "\n"); line != NULL; line = strsep(&noun_rest, "\n")) {
        char noun[32];
        if (strncmp(line, "  ", 2) != 0 || sscanf(line, "  %31[a-z] ", noun) != 1 ||
            strncmp(line + 2, "vigil", 5) == 0 || strncmp(line + 2, "man", 3) == 0) {
            continue;
        }
        ck_assert_int_eq(RUN("help", noun), 0);
        (void)memcpy(noun_help, out, sizeof noun_help);
        char *rest = noun_help;
        for (char *verb_line = strsep(&rest, "\n"); verb_line != NULL; verb_line = strsep(&rest, "\n")) {
            char verb[32];
            if (strncmp(verb_line, "  ", 2) == 0 && sscanf(verb_line, "  %31[a-z] ", verb) == 1 &&
                strncmp(verb_line, "  vigil", 7) != 0) {
                ck_assert_msg(RUN(noun, verb, "--help") == 0, "%s %s", noun, verb);
                ck_assert_str_eq(err, "");
                ck_assert_ptr_nonnull(strstr(out, "--json"));
                size_t width = 0;
                for (const char *at = out; *at != '\0'; at++) {
                    width = *at == '\n' ? 0 : width + 1;
                    ck_assert_msg(width < 80, "the help of %s %s is too wide", noun, verb);
                }
                verbs++;
            }
        }
    }
    ck_assert_uint_ge(verbs, 25);
    ck_assert_int_eq(RUN("--version"), 0);
    ck_assert_ptr_nonnull(strstr(out, "vigil "));
    ck_assert_uint_eq(fake_api_end(&api), 0);
}
END_TEST

/* Each line "'case list') offer='--a --b'" of the completion, against the help of that verb. */
START_TEST(the_completion_offers_what_the_help_lists)
{
    static char script[OUT_BYTES];
    size_t compared = 0;

    fake_api_nobody(&api);
    ck_assert_int_eq(RUN("completion", "bash"), 0);
    (void)memcpy(script, out, sizeof script);
    char *rest = script;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        char noun[32];
        char verb[32] = "";
        char *words = strstr(line, "offer='");
        if (words == NULL || sscanf(line, "    '%31[a-z] %31[a-z]')", noun, verb) < 1 ||
            strncmp(words, "offer=''", 8) == 0) {
            continue;
        }
        if (strcmp(noun, "help") == 0) {
            continue;
        }
        bool alone = verb[0] == '\0';
        ck_assert_int_eq(RUN("help", noun), 0);
        if (alone && strstr(out, " VERB ") != NULL) {
            continue; /* a noun's verbs */
        }
        ck_assert_int_eq(alone ? RUN(noun, "--help") : RUN(noun, verb, "--help"), 0);
        size_t in_help = 0;
        for (const char *at = out; (at = strstr(at, "\n      --")) != NULL; at += 8) {
            in_help++;
        }
        words += strlen("offer='");
        words[strcspn(words, "'")] = '\0';
        size_t offered = 0;
        for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
            ck_assert_msg(strstr(out, word) != NULL, "%s %s has no %s", noun, verb, word);
            offered++;
        }
        ck_assert_msg(offered == in_help, "%s %s: %zu offered, %zu in the help", noun, verb, offered,
                      in_help);
        compared++;
    }
    ck_assert_uint_ge(compared, 90);
    ck_assert_uint_eq(fake_api_end(&api), 0);
}
END_TEST

SUITE_MAIN("vigil", o1_each_exit_status_is_reached, findings_end_with_six_only_where_they_are_asked_for,
           top_shows_lanes_and_from_the_second_page_on_what_passed_meanwhile,
           a_watch_of_the_status_shows_page_after_page, what_arrives_is_shown_as_stored_and_as_visible,
           a_fault_is_one_object_with_json, a_typo_is_met_with_what_was_probably_meant,
           what_is_typed_becomes_the_request_of_the_api, a_confidential_value_is_refused_on_the_command_line,
           a_dash_takes_a_line_of_standard_input, a_count_shows_what_is_most_first,
           a_dry_run_shows_the_request_and_changes_nothing, pages_are_fetched_until_there_are_no_more,
           how_many_there_are_in_all_is_told_on_the_last_page_as_on_the_first,
           a_column_that_no_row_has_is_refused_before_anything_is_listed, records_of_a_file_name_each_other,
           after_a_refused_record_the_rest_waits_unless_told_otherwise,
           a_node_that_goes_away_during_a_file_is_told, a_record_is_shown_whole_with_every_sibling,
           c12_nothing_that_a_node_says_steers_a_terminal, the_digest_and_the_peers_are_lines_of_json,
           a_watch_ends_when_every_peer_is_complete, a_watch_that_takes_too_long_says_to_try_again,
           devices_are_listed_with_what_became_of_them, what_is_held_is_fetched_until_there_is_no_more,
           why_prints_each_op_with_what_it_replaced, what_an_entry_says_is_printed_only_if_the_node_opened_it,
           epochs_are_listed_and_made, a_frontier_goes_to_a_new_file_for_its_owner_alone,
           people_are_told_what_is_held_of_a_record_and_of_their_own,
           help_is_there_for_every_verb_and_fits_a_terminal, the_completion_offers_what_the_help_lists)
