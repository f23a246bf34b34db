/* What the journal of the system is sent: a stand-in of libsystemd's sd_journal_sendv keeps it. */
#include "tests/support/check.h"

#include "node/system_log.h"
#include "store/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static char sent[8192]; /* fields of the last line, each on a line of its own */
static int refuses;

int __wrap_sd_journal_sendv(const struct iovec *fields, int count);

int
__wrap_sd_journal_sendv(const struct iovec *fields, int count)
{
    size_t used = 0;

    for (int n = 0; refuses == 0 && n < count; n++) {
        ck_assert_uint_lt(used + fields[n].iov_len + 2, sizeof sent);
        memcpy(sent + used, fields[n].iov_base, fields[n].iov_len);
        used += fields[n].iov_len;
        sent[used++] = '\n';
        sent[used] = '\0';
    }
    return refuses;
}

static void
claim_stderr(void)
{
    char text[64];
    struct stat info;

    ck_assert_int_eq(fstat(STDERR_FILENO, &info), 0);
    (void)snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)info.st_dev,
                   (unsigned long long)info.st_ino);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", text, 1), 0);
}

START_TEST(a_stream_is_the_journals_if_it_is_the_one_that_is_named)
{
    char text[64];
    struct stat info;
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(fstat(ends[0], &info), 0);
    (void)snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)info.st_dev,
                   (unsigned long long)info.st_ino);
    ck_assert(system_log_takes(text, ends[0]));
    ck_assert(!system_log_takes(text, ends[1]));
    ck_assert(!system_log_takes(NULL, ends[0]));
    ck_assert(!system_log_takes("", ends[0]));
    ck_assert(!system_log_takes("0:0", ends[0]));
    ck_assert(!system_log_takes("x", ends[0]));
    ck_assert(!system_log_takes(text, -1));
    (void)close(ends[0]);
    (void)close(ends[1]);
}
END_TEST

#ifdef VIGIL_SYSTEMD

START_TEST(a_line_goes_there_with_its_fields)
{
    claim_stderr();
    ck_assert(system_log_begin());
    log_event("peer-down", "peer=%s why=\"%s\"", "3f09a1c2", "a = b\nMESSAGE=forged");
    ck_assert_ptr_nonnull(
        strstr(sent, "MESSAGE=event=peer-down peer=3f09a1c2 why=\"a = b\\x0aMESSAGE=forged\"\n"));
    ck_assert_ptr_nonnull(strstr(sent, "\nPRIORITY=6\n"));
    ck_assert_ptr_nonnull(strstr(sent, "\nEVENT=peer-down\n"));
    ck_assert_ptr_nonnull(strstr(sent, "\nPEER=3f09a1c2\n"));
    ck_assert_ptr_nonnull(strstr(sent, "\nSYSLOG_IDENTIFIER=vigild\n"));
    char id[64];
    (void)snprintf(id, sizeof id, "\nMESSAGE_ID=%s\n", log_kind_of("peer-down")->message_id);
    ck_assert_ptr_nonnull(strstr(sent, id));
    ck_assert_ptr_null(strstr(sent, "DURATION_US"));
    log_event("turn-slow", "duration_us=%d", 2500000);
    ck_assert_ptr_nonnull(strstr(sent, "\nPRIORITY=4\n"));
    ck_assert_ptr_nonnull(strstr(sent, "\nDURATION_US=2500000\n"));
    ck_assert_ptr_null(strstr(sent, "PEER="));
    log_to(NULL, NULL);
}
END_TEST

START_TEST(what_the_journal_does_not_take_goes_to_stderr)
{
    char got[256];
    int ends[2];
    int saved = dup(STDERR_FILENO);

    ck_assert_int_ge(saved, 0);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    claim_stderr();
    ck_assert(system_log_begin());
    refuses = -EPERM;
    log_event("ready", "api=x");
    refuses = 0;
    ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
    (void)close(ends[1]);
    ssize_t size = read(ends[0], got, sizeof got - 1);
    ck_assert_int_gt(size, 0);
    got[size] = '\0';
    ck_assert_str_eq(got, "event=ready api=x\n");
    (void)close(ends[0]);
    (void)close(saved);
    log_to(NULL, NULL);
}
END_TEST

START_TEST(elsewhere_lines_stay_on_stderr)
{
    ck_assert_int_eq(unsetenv("JOURNAL_STREAM"), 0);
    sent[0] = '\0';
    ck_assert(!system_log_begin());
    log_event("ready", NULL);
    ck_assert_str_eq(sent, "");
}
END_TEST

SUITE_MAIN("system_log", a_stream_is_the_journals_if_it_is_the_one_that_is_named,
           a_line_goes_there_with_its_fields, what_the_journal_does_not_take_goes_to_stderr,
           elsewhere_lines_stay_on_stderr)

#else

START_TEST(a_build_without_it_sends_nothing)
{
    claim_stderr();
    ck_assert(!system_log_begin());
}
END_TEST

SUITE_MAIN("system_log", a_stream_is_the_journals_if_it_is_the_one_that_is_named,
           a_build_without_it_sends_nothing)

#endif
