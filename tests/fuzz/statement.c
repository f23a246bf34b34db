/* What is read as a statement is written again as the same bytes, and its lists lie within it. */
#include "sync/statement.h"

#include <stdlib.h>
#include <string.h>

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
walk_cuts(struct statement_list cuts)
{
    struct statement_cut before;
    struct statement_cut cut;
    size_t count = 0;

    for (struct statement_list left = cuts; statement_cut_next(&left, &cut); count++) {
        require(count == 0 || statement_cut_compare(&before, &cut) < 0);
        before = cut;
    }
    require(count == cuts.count);
}

static void
walk_fork(const struct fork_body *fork)
{
    struct entry entry;

    for (int branch = 0; branch < 2; branch++) {
        struct hash before = { { 0 } };
        for (size_t n = 0; n < fork->branches[branch].count; n++) {
            struct hash id = statement_fork_entry(fork, branch, n, &entry);
            require(entry.seq == fork->first + n && (n == 0 || hash_equal(&entry.prev, &before)));
            before = id;
        }
    }
}

static void
walk_lists(const struct statement *statement)
{
    if (statement->newer) {
        return;
    }
    if (statement->type == STATEMENT_OFFICE) {
        for (size_t n = 0; n < statement->office.grants.count; n++) {
            struct statement_grant grant = statement_grant_at(&statement->office.grants, n);
            require(statement_grant_find(&statement->office.grants, &grant.compartment) == grant.level);
        }
    } else if (statement->type == STATEMENT_EPOCH) {
        for (size_t n = 0; n < statement->epoch.boxes.count; n++) {
            struct statement_box box = statement_box_at(&statement->epoch.boxes, n);
            require(statement_box_find(&statement->epoch.boxes, &box.device_id) == box.sealed);
        }
    } else if (statement->type == STATEMENT_ROOTS) {
        for (size_t n = 0; n < statement->roots.keep.count; n++) {
            require(statement_key_find(&statement->roots.keep, statement_key_at(&statement->roots.keep, n)));
        }
    } else if (statement->type == STATEMENT_REVOKE) {
        walk_cuts(statement->revoke.cuts);
    } else if (statement->type == STATEMENT_EXTEND) {
        walk_cuts(statement->extend.cuts);
    } else if (statement->type == STATEMENT_ERASE) {
        for (size_t n = 1; n < statement->erase.keys.count; n++) {
            struct statement_erase before = statement_erase_at(&statement->erase.keys, n - 1);
            struct statement_erase erase = statement_erase_at(&statement->erase.keys, n);
            require(memcmp(&before, &erase, sizeof erase) < 0);
        }
    } else if (statement->type == STATEMENT_FORK_PROOF) {
        walk_fork(&statement->fork);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct statement_signature signatures[STATEMENT_SIGNERS_MAX];
    struct statement statement;
    struct buf stmt = { 0 };
    struct buf again = { 0 };

    /* Without the checks of keys: no input would get past them by chance. */
    if (!statement_read_stored(span_of(data, size), &statement)) {
        struct statement whole;
        require(!statement_read(span_of(data, size), &whole));
        return 0;
    }
    walk_lists(&statement);
    for (size_t n = 0; n < statement.signers.count; n++) {
        signatures[n] = statement_signature_at(&statement.signers, n);
    }
    statement_write(&again, statement.bytes, signatures, statement.signers.count);
    require(span_equal(buf_span(&again), span_of(data, size)));
    struct statement checked;
    if (!statement.newer && statement_read_bare(statement.bytes, &checked)) {
        require(statement_encode(&stmt, &checked) == ERR_OK);
        require(span_equal(buf_span(&stmt), statement.bytes));
    }
    buf_free(&stmt);
    buf_free(&again);
    return 0;
}
