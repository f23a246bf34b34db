#include "sync/limit.h"

/* What the author may write there by the certificates that count. */
static bool
may_write(const struct roster *roster, const struct roster_device *author, const struct ident *compartment)
{
    return author != NULL && roster_author_level(roster, author, compartment) >= LEVEL_WRITE;
}

bool
limit_applies(const struct roster *roster, const struct descriptor *descriptor)
{
    size_t count = 0;

    (void)roster_revocations_of(roster, descriptor->sign_pk, &count);
    return count > 0 || !may_write(roster, roster_author_by_sign_pk(roster, descriptor->sign_pk),
                                   &descriptor->compartment);
}

static struct log_branch *
next_branch(const struct journal *journal, const struct log_branch *branch)
{
    return branch->sibling == LOG_NONE ? NULL : journal_branch(journal, branch->sibling);
}

static uint64_t
lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Let pass what leads to the entry before `next` of a branch. */
static void
let_pass(const struct journal *journal, struct log_branch *branch, uint64_t next)
{
    for (;;) {
        if (branch->limit_work < next) {
            branch->limit_work = next;
        }
        if (branch->parent == LOG_NONE) {
            return;
        }
        next = branch->branch_first;
        branch = journal_branch(journal, branch->parent);
    }
}

/* What one revocation lets pass, in limit_work. */
static void
limit_by(const struct roster_revocation *revocation, struct journal *journal, struct table_txn *txn,
         struct log_branch *first)
{
    for (struct log_branch *at = first; at != NULL; at = next_branch(journal, at)) {
        at->limit_work = at->branch_first;
    }
    for (size_t n = 0; n < revocation->cut_count; n++) {
        const struct statement_cut *cut = &revocation->cuts[n];

        if (!hash_equal(&cut->log_id, &first->log_id)) {
            continue;
        }
        uint32_t log_no = journal_find(journal, txn, &cut->log_id, cut->seq, &cut->entry_id);
        if (log_no != LOG_NONE) {
            let_pass(journal, journal_branch(journal, log_no), cut->seq + 1);
        }
    }
}

void
limit_log(const struct roster *roster, struct journal *journal, struct table_txn *txn,
          struct log_branch *first, void (*each)(void *self, struct log_branch *branch, uint64_t before),
          void *self)
{
    const struct descriptor *descriptor = &first->descriptor;
    const struct roster_device *author = roster_author_by_sign_pk(roster, descriptor->sign_pk);
    bool writes = may_write(roster, author, &descriptor->compartment);
    size_t count = 0;
    const struct roster_revocation *revocations = roster_revocations_of(roster, descriptor->sign_pk, &count);

    if (writes && count == 0 && first->limit_next == UINT64_MAX && first->sibling == LOG_NONE) {
        return; /* nearly every log, nearly always */
    }
    for (struct log_branch *at = first; at != NULL; at = next_branch(journal, at)) {
        at->limit_was = at->limit_next;
        at->told_was = at->told_next;
        at->limit_next = writes ? UINT64_MAX : at->branch_first;
        at->told_next = at->branch_first;
    }
    bool limited = !writes;
    for (size_t n = 0; writes && n < count; n++) {
        if (!roster_revocation_reaches(roster, &revocations[n], &descriptor->compartment)) {
            continue;
        }
        limited = true;
        limit_by(&revocations[n], journal, txn, first);
        for (struct log_branch *at = first; at != NULL; at = next_branch(journal, at)) {
            at->limit_next = lower(at->limit_next, at->limit_work);
            at->told_next = higher(at->told_next, at->limit_work);
        }
    }
    for (struct log_branch *at = first; at != NULL; at = next_branch(journal, at)) {
        at->told_next = limited ? at->told_next : UINT64_MAX;
        if (at->limit_next != at->limit_was || at->told_next != at->told_was) {
            each(self, at, at->limit_was);
        }
    }
}

uint64_t
limit_beyond(const struct journal *journal, const struct log_branch *branch, uint64_t *bytes_out)
{
    uint64_t head_next = branch->next_seq;
    uint64_t from = branch->told_next;

    *bytes_out = branch->idle_bytes;
    while (from <= branch->branch_first && branch->parent != LOG_NONE) {
        const struct log_branch *parent = journal_branch(journal, branch->parent);

        from = lower(parent->told_next, branch->branch_first);
        if (from == branch->branch_first) {
            break;
        }
        branch = parent;
        *bytes_out += branch->idle_bytes;
    }
    return head_next > from ? head_next - from : 0;
}

uint64_t
limit_awaited(const struct roster *roster, struct journal *journal, struct table_txn *txn,
              const struct descriptor *descriptor, const struct hash *log_id)
{
    size_t count = 0;
    const struct roster_revocation *revocations = roster_revocations_of(roster, descriptor->sign_pk, &count);
    uint64_t next = 0;

    for (size_t n = 0; n < count; n++) {
        if (!roster_revocation_reaches(roster, &revocations[n], &descriptor->compartment)) {
            continue;
        }
        for (size_t m = 0; m < revocations[n].cut_count; m++) {
            const struct statement_cut *cut = &revocations[n].cuts[m];

            if (hash_equal(&cut->log_id, log_id) && cut->seq >= next &&
                journal_find(journal, txn, &cut->log_id, cut->seq, &cut->entry_id) == LOG_NONE) {
                next = cut->seq + 1;
            }
        }
    }
    return next;
}
