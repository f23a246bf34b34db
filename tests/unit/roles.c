/* Who may ask what: the table, cell by cell, against one that was written for this test from the words of the design. */
#include "node/casework/roles.h"
#include "tests/support/check.h"

#include <string.h>

enum { ROLES = 6 };

static const uint32_t roles[ROLES] = { ROLE_CASE_WORK, ROLE_REVIEW,  ROLE_HEADQUARTERS,
                                       ROLE_OPERATOR,  ROLE_AUDITOR, ROLE_RELAY };

/* One letter for each role that may, "-" for each that may not: case work, review, headquarters, operator, auditor, relay. */
static const struct {
    const char *call;
    const char *may;
} wanted[] = {
    { "status", "crhoay" },           { "digest", "crhoay" },           { "sync.status", "crhoay" },
    { "sync.now", "crhoay" },         { "sync.watch", "crhoay" },       { "peer.list", "crhoay" },
    { "peer.add", "c-ho-y" },         { "peer.remove", "c-ho-y" },      { "peer.set", "c-ho-y" },
    { "sync.budget", "crhoay" },      { "inspect.entry", "crhoay" },    { "inspect.log", "crhoay" },
    { "inspect.record", "crhoay" },   { "inspect.peer", "crhoay" },     { "inspect.statement", "crhoay" },
    { "device.list", "crhoay" },      { "device.show", "crhoay" },      { "codebook.show", "crhoay" },
    { "actor.list", "crhoay" },       { "actor.add", "-rho--" },        { "actor.change", "-rho--" },
    { "record.save", "crh---" },      { "record.show", "crh---" },      { "record.list", "crh---" },
    { "record.history", "crh---" },   { "record.why", "crh---" },       { "record.count", "crh---" },
    { "record.search", "crh---" },    { "conflict.list", "crh---" },    { "conflict.show", "crh---" },
    { "conflict.resolve", "crh---" }, { "journal.watch", "crh---" },    { "erase.plan", "crh---" },
    { "erase.order", "crh---" },      { "erase.list", "crhoay" },       { "erase.report", "crhoa-" },
    { "held.list", "crhoa-" },        { "held.show", "crh---" },        { "held.fetch", "crho--" },
    { "frontier.cut", "crho--" },     { "frontier.write", "crho-y" },   { "epoch.list", "crhoa-" },
    { "epoch.rotate", "c-ho--" },     { "backup.make", "c-ho-y" },      { "backup.accept", "c-ho-y" },
    { "audit.list", "-rh-a-" },       { "audit.verify", "-rhoa-" },     { "consent.show", "crh---" },
    { "consent.withheld", "crh---" }, { "duplicate.list", "crh---" },   { "duplicate.link", "crh---" },
    { "duplicate.unlink", "crh---" }, { "duplicate.reject", "crh---" }, { "import.begin", "crh---" },
    { "import.rows", "crh---" },      { "import.check", "crh---" },     { "import.commit", "crh---" },
    { "import.status", "crho--" },    { "import.resume", "crho--" },    { "import.abandon", "crho--" },
    { "bundle.export", "c-ho-y" },    { "bundle.inspect", "c-ho-y" },   { "bundle.import", "c-ho-y" },
    { "record.export", "crh---" },    { "stats.tables", "crh---" },     { "stats.table", "crh---" },
    { "snapshot.draft", "-rh---" },   { "snapshot.make", "-rh---" },    { "snapshot.list", "crh-a-" },
    { "snapshot.show", "crh-a-" },    { "snapshot.verify", "crh-a-" },  { "doctor", "crhoay" },
    { "offices", "crhoa-" },          { "sync.lines", "crhoay" },       { "log.list", "--ho-y" },
    { "log.watch", "--ho-y" },        { "metrics", "crhoay" },
};

START_TEST(every_cell_of_the_table_is_as_it_should_be)
{
    for (size_t n = 0; n < sizeof wanted / sizeof wanted[0]; n++) {
        ck_assert_uint_eq(strlen(wanted[n].may), ROLES);
        for (size_t role = 0; role < ROLES; role++) {
            ck_assert_msg(roles_allow(wanted[n].call, roles[role]) == (wanted[n].may[role] != '-'),
                          "%s by %s", wanted[n].call, role_name(roles[role]));
        }
        ck_assert(!roles_allow(wanted[n].call, 0));
    }
    ck_assert(!roles_allow("record.sho", ROLE_HEADQUARTERS));
    ck_assert_uint_eq(roles_of_call(""), 0);
}
END_TEST

START_TEST(who_has_several_roles_may_what_any_of_them_may)
{
    ck_assert(roles_allow("record.show", ROLE_OPERATOR | ROLE_CASE_WORK));
    ck_assert(!roles_allow("record.show", ROLE_OPERATOR | ROLE_AUDITOR | ROLE_RELAY));
    ck_assert(!roles_allow("record.show", UINT32_C(1) << 20));
}
END_TEST

START_TEST(roles_are_named_both_ways)
{
    for (size_t n = 0; n < ROLES; n++) {
        ck_assert_uint_eq(role_by_name(role_name(roles[n])), roles[n]);
    }
    ck_assert_uint_eq(role_by_name("chief"), 0);
    ck_assert_str_eq(role_name(0), "");
    ck_assert_str_eq(roles_words(ROLE_AUDITOR).text, "auditor");
    ck_assert_str_eq(roles_words(ROLE_CASE_WORK | ROLE_REVIEW | ROLE_HEADQUARTERS).text,
                     "case-work, review or headquarters");
    ck_assert_str_eq(roles_words(0).text, "");
}
END_TEST

SUITE_MAIN("roles", every_cell_of_the_table_is_as_it_should_be,
           who_has_several_roles_may_what_any_of_them_may, roles_are_named_both_ways)
