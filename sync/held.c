#include "sync/held.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool
held_ended(const struct journal *journal, const struct held_place *place)
{
    return place->log_no > journal_branch_count(journal);
}

static bool
is_wanted(const struct log_branch *branch, const struct held_filter *filter)
{
    return branch->held_count > 0 &&
           (filter->device_id == NULL || hash_equal(filter->device_id, &branch->device_id));
}

/* Where the held entries of a branch begin, as far as that is known without looking: behind its limit if all that are held
 * lie there. */
static uint64_t
first_held(const struct log_branch *branch)
{
    uint64_t limit = branch->limit_next > branch->branch_first ? branch->limit_next : branch->branch_first;

    return limit < branch->next_seq && branch->next_seq - limit == branch->held_count ? limit
                                                                                      : branch->branch_first;
}

/* Read one entry. *held_out is false if it is not held; then it is read only if `any` will do. */
static enum err
look_at(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq, bool any,
        struct held_entry *out, bool *held_out)
{
    struct journal_entry stored;
    enum entry_state state;
    enum err err = journal_state(journal, txn, log_no, seq, &state);

    *held_out = err == ERR_OK && state == STATE_HELD;
    if (err != ERR_OK || !(*held_out || any)) {
        return err;
    }
    err = journal_read(journal, txn, log_no, seq, &stored);
    if (err == ERR_OK) {
        *out = (struct held_entry){ .log_no = stored.log_no,
                                    .seq = seq,
                                    .entry_id = stored.entry.id,
                                    .kind = stored.entry.kind,
                                    .reason = (enum held_reason)stored.detail,
                                    .payload_bytes = stored.entry.payload_size };
    }
    return err;
}

enum err
held_next(struct journal *journal, struct table_txn *txn, const struct held_filter *filter,
          struct held_place *place, struct held_entry *out, size_t room, size_t *count_out)
{
    enum err err = ERR_OK;
    size_t looked = 0;

    *count_out = 0;
    if (place->log_no == LOG_NONE) {
        place->log_no = 1;
        place->seq = 0;
    }
    while (err == ERR_OK && looked < HELD_SLICE && *count_out < room && !held_ended(journal, place)) {
        const struct log_branch *branch = journal_branch(journal, place->log_no);
        bool held = false;

        if (!is_wanted(branch, filter) || place->seq >= branch->next_seq) {
            place->log_no++;
            place->seq = 0;
            continue;
        }
        if (place->seq < first_held(branch)) {
            place->seq = first_held(branch);
        }
        err = look_at(journal, txn, place->log_no, place->seq, false, &out[*count_out], &held);
        *count_out += held;
        place->seq++;
        looked++;
    }
    return err;
}

/* --- names --- */

struct typed {
    char log[2 * HASH_BYTES + 1];
    char entry[2 * HASH_BYTES + 1]; /* "": any */
    uint64_t seq;
};

/* Copy the hex digits at *at; false: fewer than `least`, or more than an id has. */
static bool
take_digits(const char **at, size_t least, char out[2 * HASH_BYTES + 1])
{
    size_t size = strspn(*at, "0123456789abcdefABCDEF");

    if (size < least || size > (size_t)2 * HASH_BYTES) {
        return false;
    }
    memcpy(out, *at, size);
    out[size] = '\0';
    *at += size;
    return true;
}

static bool
take_seq(const char **at, uint64_t *seq_out)
{
    const char *start = *at;

    *seq_out = 0;
    for (; isdigit((unsigned char)**at) && *at - start < 19; ++*at) {
        *seq_out = *seq_out * 10 + (uint64_t)(**at - '0');
    }
    return *at > start;
}

static bool
take_name(const char *name, struct typed *out)
{
    out->entry[0] = '\0';
    if (!take_digits(&name, HELD_DIGITS_MIN, out->log) || *name != ':') {
        return false;
    }
    name++;
    if (!take_seq(&name, &out->seq)) {
        return false;
    }
    if (*name == ':') {
        name++;
        if (!take_digits(&name, 1, out->entry)) {
            return false;
        }
    }
    return *name == '\0';
}

static bool
begins(const struct hash *id, const char *digits)
{
    char hex[2 * HASH_BYTES + 1];

    bytes_hex(hex, hash_span(id));
    return strncasecmp(hex, digits, strlen(digits)) == 0;
}

static enum err
find(struct journal *journal, struct table_txn *txn, const char *name, bool any, struct held_entry *out)
{
    enum err found = ERR_ABSENT;
    struct typed typed;

    if (!take_name(name, &typed)) {
        return ERR_INVALID;
    }
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);
        struct held_entry entry;
        bool held = false;

        if ((branch->held_count == 0 && !any) || typed.seq < branch->branch_first ||
            typed.seq >= branch->next_seq || !begins(&branch->log_id, typed.log)) {
            continue;
        }
        enum err err = look_at(journal, txn, no, typed.seq, any, &entry, &held);
        if (err != ERR_OK) {
            return err;
        }
        if ((held || any) && begins(&entry.entry_id, typed.entry)) {
            if (found == ERR_OK) {
                return ERR_CONFLICT;
            }
            *out = entry;
            found = ERR_OK;
        }
    }
    return found;
}

enum err
held_find(struct journal *journal, struct table_txn *txn, const char *name, struct held_entry *out)
{
    return find(journal, txn, name, false, out);
}

enum err
held_find_any(struct journal *journal, struct table_txn *txn, const char *name, struct held_entry *out)
{
    return find(journal, txn, name, true, out);
}

/* True if another branch of its log has an entry of the same seq. */
static bool
is_doubled(const struct journal *journal, const struct held_entry *entry)
{
    const struct log_branch *own = journal_branch(journal, entry->log_no);
    const struct log_branch *branch = journal_log(journal, &own->log_id);

    while (branch != NULL &&
           (branch == own || entry->seq < branch->branch_first || entry->seq >= branch->next_seq)) {
        branch = branch->sibling == LOG_NONE ? NULL : journal_branch(journal, branch->sibling);
    }
    return branch != NULL;
}

struct held_name
held_name(const struct journal *journal, const struct held_entry *entry)
{
    char log[2 * HASH_BYTES + 1];
    char id[2 * HASH_BYTES + 1];
    struct held_name name;

    bytes_hex(log, hash_span(&journal_branch(journal, entry->log_no)->log_id));
    bytes_hex(id, hash_span(&entry->entry_id));
    (void)snprintf(name.text, sizeof name.text, "%.*s:%llu%s%.8s", HELD_DIGITS_SHOWN, log,
                   (unsigned long long)entry->seq, is_doubled(journal, entry) ? ":" : "",
                   is_doubled(journal, entry) ? id : "");
    return name;
}

uint64_t
held_count(const struct journal *journal, const struct hash *device_id)
{
    const struct held_filter filter = { device_id };
    uint64_t count = 0;

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        count += is_wanted(branch, &filter) ? branch->held_count : 0;
    }
    return count;
}
