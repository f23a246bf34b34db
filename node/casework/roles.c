#include "node/casework/roles.h"

#include <stdio.h>
#include <string.h>

enum {
    /* Who works on cases, and whom a case is shown to. */
    PEOPLE = ROLE_CASE_WORK | ROLE_REVIEW | ROLE_HEADQUARTERS,
    /* Who looks after the node: no record is shown to them for that. */
    TENDING = ROLE_OPERATOR | ROLE_HEADQUARTERS,
    /* Who has to see that the others do as they may. */
    WATCHING = ROLE_AUDITOR | ROLE_REVIEW | ROLE_HEADQUARTERS,
    EVERYBODY = PEOPLE | TENDING | WATCHING | ROLE_RELAY,
};

static const struct {
    const char *call;
    uint32_t roles;
} table[] = {
    { "status", EVERYBODY },
    { "digest", EVERYBODY },
    { "doctor", EVERYBODY },
    { "offices", PEOPLE | TENDING | WATCHING },
    { "sync.status", EVERYBODY },
    { "sync.now", EVERYBODY },
    { "sync.lines", EVERYBODY },
    { "sync.fetch", EVERYBODY },
    { "sync.watch", EVERYBODY },
    { "peer.list", EVERYBODY },
    { "peer.add", TENDING | ROLE_CASE_WORK | ROLE_RELAY },
    { "peer.remove", TENDING | ROLE_CASE_WORK | ROLE_RELAY },
    { "peer.set", TENDING | ROLE_CASE_WORK | ROLE_RELAY },
    { "sync.budget", EVERYBODY },
    { "inspect.entry", EVERYBODY },
    { "inspect.log", EVERYBODY },
    { "inspect.record", EVERYBODY },
    { "inspect.peer", EVERYBODY },
    { "inspect.statement", EVERYBODY },
    { "device.list", EVERYBODY },
    { "device.show", EVERYBODY },
    { "codebook.show", EVERYBODY },
    { "actor.list", EVERYBODY },
    { "actor.add", TENDING | ROLE_REVIEW },
    { "actor.change", TENDING | ROLE_REVIEW },

    { "record.save", PEOPLE },
    { "record.show", PEOPLE },
    { "record.list", PEOPLE },
    { "record.history", PEOPLE },
    { "record.why", PEOPLE },
    { "record.count", PEOPLE },
    { "record.search", PEOPLE },
    { "urgent.list", PEOPLE },
    { "urgent.ack", PEOPLE },
    { "board", PEOPLE },
    { "record.export", PEOPLE },
    { "stats.tables", PEOPLE },
    { "stats.table", PEOPLE },
    { "snapshot.draft", ROLE_REVIEW | ROLE_HEADQUARTERS },
    { "snapshot.make", ROLE_REVIEW | ROLE_HEADQUARTERS },
    { "snapshot.list", PEOPLE | WATCHING },
    { "snapshot.show", PEOPLE | WATCHING },
    { "snapshot.verify", PEOPLE | WATCHING },
    { "conflict.list", PEOPLE },
    { "conflict.show", PEOPLE },
    { "conflict.resolve", PEOPLE },
    { "journal.watch", PEOPLE },
    { "metrics", EVERYBODY },
    { "log.list", TENDING | ROLE_RELAY },
    { "log.watch", TENDING | ROLE_RELAY },
    { "duplicate.list", PEOPLE },
    { "duplicate.link", PEOPLE },
    { "duplicate.unlink", PEOPLE },
    { "duplicate.reject", PEOPLE },
    { "erase.plan", PEOPLE },
    { "erase.order", PEOPLE },
    { "erase.list", EVERYBODY },
    { "erase.report", PEOPLE | TENDING | WATCHING },

    { "held.list", PEOPLE | TENDING | WATCHING },
    { "held.show", PEOPLE },
    { "held.fetch", PEOPLE | TENDING },
    { "frontier.cut", PEOPLE | TENDING },
    { "frontier.write", PEOPLE | TENDING | ROLE_RELAY },
    { "epoch.list", PEOPLE | TENDING | WATCHING },
    { "epoch.rotate", TENDING | ROLE_CASE_WORK },
    { "backup.make", TENDING | ROLE_CASE_WORK | ROLE_RELAY },
    { "backup.accept", TENDING | ROLE_CASE_WORK | ROLE_RELAY },
    { "bundle.export", TENDING | ROLE_CASE_WORK | ROLE_RELAY },
    { "bundle.inspect", TENDING | ROLE_CASE_WORK | ROLE_RELAY },
    { "bundle.import", TENDING | ROLE_CASE_WORK | ROLE_RELAY },

    { "consent.show", PEOPLE },
    { "consent.withheld", PEOPLE },
    { "import.begin", PEOPLE },
    { "import.rows", PEOPLE },
    { "import.check", PEOPLE },
    { "import.commit", PEOPLE },
    { "import.status", PEOPLE | TENDING },
    { "import.resume", PEOPLE | TENDING },
    { "import.abandon", PEOPLE | TENDING },

    { "blob.add.begin", PEOPLE },
    { "blob.add.bytes", PEOPLE },
    { "blob.add.end", PEOPLE },
    { "blob.list", PEOPLE },
    { "blob.get.begin", PEOPLE },
    { "blob.get.bytes", PEOPLE },
    { "blob.want", PEOPLE | TENDING },
    { "blob.evict", PEOPLE | TENDING },
    { "blob.verify", PEOPLE | TENDING },
    { "blob.status", EVERYBODY },

    { "audit.list", WATCHING },
    { "audit.verify", WATCHING | ROLE_OPERATOR },
};

static const struct {
    uint32_t role;
    const char *name;
} names[] = {
    { ROLE_CASE_WORK, "case-work" }, { ROLE_REVIEW, "review" },   { ROLE_HEADQUARTERS, "headquarters" },
    { ROLE_OPERATOR, "operator" },   { ROLE_AUDITOR, "auditor" }, { ROLE_RELAY, "relay" },
};

enum { NAMES = sizeof names / sizeof names[0] };

uint32_t
roles_of_call(const char *call)
{
    for (size_t n = 0; n < sizeof table / sizeof table[0]; n++) {
        if (strcmp(table[n].call, call) == 0) {
            return table[n].roles;
        }
    }
    return 0;
}

bool
roles_allow(const char *call, uint32_t roles)
{
    return (roles_of_call(call) & roles) != 0;
}

struct roles_words
roles_words(uint32_t roles)
{
    struct roles_words words = { "" };
    uint32_t left = roles;

    for (size_t n = 0; n < NAMES; n++) {
        size_t size = strlen(words.text);

        if ((roles & names[n].role) != 0) {
            left &= ~names[n].role;
            (void)snprintf(words.text + size, sizeof words.text - size, "%s%s",
                           size == 0   ? ""
                           : left == 0 ? " or "
                                       : ", ",
                           names[n].name);
        }
    }
    return words;
}

const char *
role_name(uint32_t role)
{
    for (size_t n = 0; n < NAMES; n++) {
        if ((names[n].role & role) != 0) {
            return names[n].name;
        }
    }
    return "";
}

uint32_t
role_by_name(const char *name)
{
    for (size_t n = 0; n < NAMES; n++) {
        if (strcmp(names[n].name, name) == 0) {
            return names[n].role;
        }
    }
    return 0;
}
