#include "sync/statement.h"
#include "store/base/cbor.h"
#include "store/base/sorted.h"
#include "sync/update.h"

#include <assert.h>
#include <string.h>

#define SIGN_CONTEXT "VIGIL1STMT"
#define POSSESSION_CONTEXT "VIGIL1DEVICE"

/* Sizes of list items in their one encoding, and where their parts lie. */
enum {
    KEY_AT = 2, /* after the head of a byte string of 32 */
    KEY_ITEM_BYTES = KEY_AT + 32,
    GRANT_COMPARTMENT_AT = 2,
    GRANT_LEVEL_AT = GRANT_COMPARTMENT_AT + IDENT_BYTES,
    GRANT_ITEM_BYTES = GRANT_LEVEL_AT + 1,
    PAIR_ID_AT = 3, /* a pair's first part, 32 bytes */
    PAIR_SECOND_AT = PAIR_ID_AT + 32 + 2,
    PARENT_ITEM_BYTES = PAIR_SECOND_AT + EPOCH_LINK_BYTES,
    BOX_ITEM_BYTES = PAIR_SECOND_AT + EPOCH_BOX_BYTES,
    SIGNATURE_ITEM_BYTES = PAIR_SECOND_AT + SIGNATURE_BYTES,
    ERASE_COMPARTMENT_AT = 2,
    ERASE_KEY_AT = ERASE_COMPARTMENT_AT + IDENT_BYTES + 2,
    ERASE_ITEM_BYTES = ERASE_KEY_AT + KEY_BYTES,
};

_Static_assert(SIGNATURE_ITEM_BYTES == 101, "STATEMENT_SIGNED_BYTES_MAX counts with it");

/* --- lists --- */

const uint8_t *
statement_key_at(const struct statement_list *keys, size_t n)
{
    assert(n < keys->count);

    return keys->items + n * KEY_ITEM_BYTES + KEY_AT;
}

struct hash
statement_id_at(const struct statement_list *ids, size_t n)
{
    struct hash id;

    memcpy(id.bytes, statement_key_at(ids, n), HASH_BYTES);
    return id;
}

struct statement_grant
statement_grant_at(const struct statement_list *grants, size_t n)
{
    struct statement_grant grant;

    assert(n < grants->count);
    const uint8_t *item = grants->items + n * GRANT_ITEM_BYTES;
    memcpy(grant.compartment.bytes, item + GRANT_COMPARTMENT_AT, IDENT_BYTES);
    grant.level = (enum level)item[GRANT_LEVEL_AT];
    return grant;
}

struct statement_parent
statement_parent_at(const struct statement_list *parents, size_t n)
{
    struct statement_parent parent;

    assert(n < parents->count);
    const uint8_t *item = parents->items + n * PARENT_ITEM_BYTES;
    memcpy(parent.epoch_id.bytes, item + PAIR_ID_AT, HASH_BYTES);
    parent.link = item + PAIR_SECOND_AT;
    return parent;
}

struct statement_box
statement_box_at(const struct statement_list *boxes, size_t n)
{
    struct statement_box box;

    assert(n < boxes->count);
    const uint8_t *item = boxes->items + n * BOX_ITEM_BYTES;
    memcpy(box.device_id.bytes, item + PAIR_ID_AT, HASH_BYTES);
    box.sealed = item + PAIR_SECOND_AT;
    return box;
}

struct statement_erase
statement_erase_at(const struct statement_list *keys, size_t n)
{
    struct statement_erase erase;

    assert(n < keys->count);
    const uint8_t *item = keys->items + n * ERASE_ITEM_BYTES;
    memcpy(erase.compartment.bytes, item + ERASE_COMPARTMENT_AT, IDENT_BYTES);
    memcpy(erase.erase_key.bytes, item + ERASE_KEY_AT, KEY_BYTES);
    return erase;
}

struct statement_signature
statement_signature_at(const struct statement_list *signers, size_t n)
{
    struct statement_signature signature;

    assert(n < signers->count);
    const uint8_t *item = signers->items + n * SIGNATURE_ITEM_BYTES;
    memcpy(signature.sign_pk, item + PAIR_ID_AT, SIGN_PK_BYTES);
    memcpy(signature.signature, item + PAIR_SECOND_AT, SIGNATURE_BYTES);
    return signature;
}

/* Read one cut; `*at` moves behind it. Its encoding was checked when the list was read. */
static struct statement_cut
cut_step(const uint8_t **at)
{
    static const uint8_t size_of_head[] = { 1, 2, 4, 8 };
    struct statement_cut cut = { .seq = 0 };
    const uint8_t *seq = *at + PAIR_ID_AT + HASH_BYTES;
    size_t more = *seq < 24 ? 0 : size_of_head[*seq - 24];

    memcpy(cut.log_id.bytes, *at + PAIR_ID_AT, HASH_BYTES);
    cut.seq = more == 0 ? *seq : 0;
    for (size_t n = 1; n <= more; n++) {
        cut.seq = cut.seq << 8 | seq[n];
    }
    const uint8_t *entry_id = seq + 1 + more + 2;
    memcpy(cut.entry_id.bytes, entry_id, HASH_BYTES);
    *at = entry_id + HASH_BYTES;
    return cut;
}

bool
statement_cut_next(struct statement_list *cuts, struct statement_cut *cut_out)
{
    if (cuts->count == 0) {
        return false;
    }
    *cut_out = cut_step(&cuts->items);
    cuts->count--;
    return true;
}

int
statement_cut_compare(const struct statement_cut *a, const struct statement_cut *b)
{
    int order = hash_compare(&a->log_id, &b->log_id);

    if (order == 0) {
        order = a->seq < b->seq ? -1 : a->seq > b->seq;
    }
    return order != 0 ? order : hash_compare(&a->entry_id, &b->entry_id);
}

/* Where in an ascending list the item with this first part lies; NULL if nowhere. */
static const uint8_t *
list_find(const struct statement_list *list, size_t item_bytes, size_t first_at, const uint8_t *first,
          size_t first_bytes)
{
    return sorted_find((struct sorted){ list->items, list->count, item_bytes, first_at, NULL },
                       span_of(first, first_bytes));
}

enum level
statement_grant_find(const struct statement_list *grants, const struct ident *compartment)
{
    const uint8_t *item =
        list_find(grants, GRANT_ITEM_BYTES, GRANT_COMPARTMENT_AT, compartment->bytes, IDENT_BYTES);

    return item == NULL ? LEVEL_NONE : (enum level)item[GRANT_LEVEL_AT];
}

bool
statement_key_find(const struct statement_list *keys, const uint8_t key[32])
{
    return list_find(keys, KEY_ITEM_BYTES, KEY_AT, key, 32) != NULL;
}

const uint8_t *
statement_box_find(const struct statement_list *boxes, const struct hash *device_id)
{
    const uint8_t *item = list_find(boxes, BOX_ITEM_BYTES, PAIR_ID_AT, device_id->bytes, HASH_BYTES);

    return item == NULL ? NULL : item + PAIR_SECOND_AT;
}

void
statement_put_key(struct buf *items, const uint8_t key[32])
{
    cbor_put_bytes(items, span_of(key, 32));
}

void
statement_put_grant(struct buf *items, const struct ident *compartment, enum level level)
{
    assert(level >= LEVEL_CARRY && level <= LEVEL_ADMIN);

    cbor_put_array(items, 2);
    cbor_put_bytes(items, ident_span(compartment));
    cbor_put_uint(items, level);
}

static void
put_pair(struct buf *items, const uint8_t first[32], const void *second, size_t second_bytes)
{
    cbor_put_array(items, 2);
    cbor_put_bytes(items, span_of(first, 32));
    cbor_put_bytes(items, span_of(second, second_bytes));
}

void
statement_put_parent(struct buf *items, const struct hash *epoch_id, const uint8_t link[EPOCH_LINK_BYTES])
{
    put_pair(items, epoch_id->bytes, link, EPOCH_LINK_BYTES);
}

void
statement_put_box(struct buf *items, const struct hash *device_id, const uint8_t sealed[EPOCH_BOX_BYTES])
{
    put_pair(items, device_id->bytes, sealed, EPOCH_BOX_BYTES);
}

void
statement_put_cut(struct buf *items, const struct statement_cut *cut)
{
    cbor_put_array(items, 3);
    cbor_put_bytes(items, hash_span(&cut->log_id));
    cbor_put_uint(items, cut->seq);
    cbor_put_bytes(items, hash_span(&cut->entry_id));
}

void
statement_put_erase(struct buf *items, const struct ident *compartment, const struct key *erase_key)
{
    cbor_put_array(items, 2);
    cbor_put_bytes(items, ident_span(compartment));
    cbor_put_bytes(items, span_of(erase_key->bytes, KEY_BYTES));
}

struct statement_list
statement_list_of(const struct buf *items, size_t count)
{
    return (struct statement_list){ items->data, count };
}

/* --- reading --- */

/* Consume the next key of a map, which must be `key`. */
static void
expect_key(struct cbor_reader *reader, uint64_t key)
{
    if (cbor_read_uint(reader) != key) {
        cbor_fail(reader);
    }
}

/* Step over the pairs that a later version added. True if there were any. */
static bool
skip_unknown(struct cbor_reader *reader, size_t pairs_left)
{
    for (size_t n = 0; n < pairs_left && !reader->in.failed; n++) {
        (void)cbor_read_uint(reader);
        (void)cbor_read_any(reader);
    }
    return pairs_left > 0;
}

/* How many pairs a map holds beyond the `known` that it must. */
static size_t
read_map_of(struct cbor_reader *reader, size_t known)
{
    size_t pairs = cbor_read_map(reader);

    if (pairs < known) {
        cbor_fail(reader);
        return 0;
    }
    return pairs - known;
}

static uint32_t
read_u32(struct cbor_reader *reader)
{
    uint64_t value = cbor_read_uint(reader);

    if (value > UINT32_MAX) {
        cbor_fail(reader);
        return 0;
    }
    return (uint32_t)value;
}

bool
statement_name_plain(struct span name)
{
    for (size_t n = 0; n < name.size; n++) {
        bool c1 = name.data[n] == 0xc2 && n + 1 < name.size && name.data[n + 1] < 0xa0;
        if (name.data[n] < 0x20 || name.data[n] == 0x7f || c1) {
            return false;
        }
    }
    return true;
}

static struct span
read_name(struct cbor_reader *reader, size_t bytes_max)
{
    struct span name = cbor_read_text(reader);

    if (name.size < 1 || name.size > bytes_max || !statement_name_plain(name)) {
        cbor_fail(reader);
    }
    return name;
}

static struct span
read_code(struct cbor_reader *reader)
{
    struct span code = cbor_read_text(reader);

    if (code.size < 1 || code.size > OFFICE_CODE_BYTES_MAX) {
        cbor_fail(reader);
        return code;
    }
    for (size_t n = 0; n < code.size; n++) {
        uint8_t c = code.data[n];
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-')) {
            cbor_fail(reader);
        }
    }
    return code;
}

static enum level
read_level(struct cbor_reader *reader, enum level least)
{
    uint64_t level = cbor_read_uint(reader);

    if (level < least || level > LEVEL_ADMIN) {
        cbor_fail(reader);
        return LEVEL_NONE;
    }
    return (enum level)level;
}

/* Read a list whose items take `item_bytes`, ascending by the part of `first_bytes` at `first_at`.
 * `item` consumes one. */
static struct statement_list
read_list(struct cbor_reader *reader, size_t item_bytes, size_t first_at, size_t first_bytes,
          void (*item)(struct cbor_reader *reader))
{
    size_t count = cbor_read_array(reader);
    const uint8_t *items = reader->in.at;
    const uint8_t *before = NULL;

    for (size_t n = 0; n < count && !reader->in.failed; n++) {
        const uint8_t *at = reader->in.at;
        item(reader);
        if (reader->in.failed) {
            break;
        }
        /* One value has one encoding: what was read as such an item has its size. */
        assert(reader->in.at == at + item_bytes);
        if (before != NULL && memcmp(before + first_at, at + first_at, first_bytes) >= 0) {
            cbor_fail(reader);
        }
        before = at;
    }
    return reader->in.failed ? (struct statement_list){ 0 } : (struct statement_list){ items, count };
}

static void
key_item(struct cbor_reader *reader)
{
    uint8_t key[32];

    cbor_read_exact(reader, key, sizeof key);
}

static struct statement_list
read_keys(struct cbor_reader *reader)
{
    return read_list(reader, KEY_ITEM_BYTES, KEY_AT, 32, key_item);
}

static void
grant_item(struct cbor_reader *reader)
{
    struct ident compartment;

    if (cbor_read_array(reader) != 2) {
        cbor_fail(reader);
    }
    cbor_read_exact(reader, compartment.bytes, IDENT_BYTES);
    (void)read_level(reader, LEVEL_CARRY);
}

static struct statement_list
read_grants(struct cbor_reader *reader)
{
    return read_list(reader, GRANT_ITEM_BYTES, GRANT_COMPARTMENT_AT, IDENT_BYTES, grant_item);
}

static void
pair_item(struct cbor_reader *reader, size_t second_bytes)
{
    uint8_t first[32];

    if (cbor_read_array(reader) != 2) {
        cbor_fail(reader);
    }
    cbor_read_exact(reader, first, sizeof first);
    if (cbor_read_bytes(reader).size != second_bytes) {
        cbor_fail(reader);
    }
}

static void
parent_item(struct cbor_reader *reader)
{
    pair_item(reader, EPOCH_LINK_BYTES);
}

static void
box_item(struct cbor_reader *reader)
{
    pair_item(reader, EPOCH_BOX_BYTES);
}

static void
signature_item(struct cbor_reader *reader)
{
    pair_item(reader, SIGNATURE_BYTES);
}

static void
erase_item(struct cbor_reader *reader)
{
    struct statement_erase erase;

    if (cbor_read_array(reader) != 2) {
        cbor_fail(reader);
    }
    cbor_read_exact(reader, erase.compartment.bytes, IDENT_BYTES);
    cbor_read_exact(reader, erase.erase_key.bytes, KEY_BYTES);
}

/* Cuts ascend by log, place and entry: a tree may be cut in several branches. */
static struct statement_list
read_cuts(struct cbor_reader *reader)
{
    size_t count = cbor_read_array(reader);
    const uint8_t *items = reader->in.at;
    struct statement_cut before = { .seq = 0 };

    for (size_t n = 0; n < count && !reader->in.failed; n++) {
        struct statement_cut cut;
        if (cbor_read_array(reader) != 3) {
            cbor_fail(reader);
        }
        cbor_read_exact(reader, cut.log_id.bytes, HASH_BYTES);
        cut.seq = cbor_read_uint(reader);
        cbor_read_exact(reader, cut.entry_id.bytes, HASH_BYTES);
        if (!reader->in.failed && n > 0 && statement_cut_compare(&before, &cut) >= 0) {
            cbor_fail(reader);
        }
        before = cut;
    }
    return reader->in.failed ? (struct statement_list){ 0 } : (struct statement_list){ items, count };
}

/* Root keys and how many of them are needed. */
static void
read_roots(struct cbor_reader *reader, struct statement_list *roots, uint32_t *needed, bool check_keys)
{
    *roots = read_keys(reader);
    expect_key(reader, 2);
    *needed = read_u32(reader);
    if (reader->in.failed || roots->count < 1 || roots->count > STATEMENT_SIGNERS_MAX || *needed < 1 ||
        *needed > roots->count) {
        cbor_fail(reader);
        return;
    }
    for (size_t n = 0; check_keys && n < roots->count; n++) {
        if (!crypto_sign_key_valid(statement_key_at(roots, n))) {
            cbor_fail(reader);
            return;
        }
    }
}

static void
read_organisation(struct cbor_reader *reader, struct statement *statement, bool check_keys)
{
    struct organisation_body *body = &statement->organisation;
    size_t more = read_map_of(reader, 7);

    expect_key(reader, 0);
    body->name = read_name(reader, STATEMENT_NAME_BYTES_MAX);
    expect_key(reader, 1);
    read_roots(reader, &body->roots, &body->needed, check_keys);
    expect_key(reader, 3);
    cbor_read_exact(reader, body->control.bytes, IDENT_BYTES);
    expect_key(reader, 4);
    cbor_read_exact(reader, body->shared.bytes, IDENT_BYTES);
    expect_key(reader, 5);
    body->erasure_signatures = read_u32(reader);
    expect_key(reader, 6);
    cbor_read_exact(reader, body->codebook_id.bytes, HASH_BYTES);
    if (body->erasure_signatures < 1 || body->erasure_signatures > 2 ||
        ident_equal(&body->control, &body->shared)) {
        cbor_fail(reader);
    }
    statement->newer |= skip_unknown(reader, more);
}

static void
read_successor(struct cbor_reader *reader, struct statement *statement, bool check_keys)
{
    struct roots_body *body = &statement->roots;
    size_t more = read_map_of(reader, 4);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->before.bytes, HASH_BYTES);
    expect_key(reader, 1);
    read_roots(reader, &body->roots, &body->needed, check_keys);
    expect_key(reader, 3);
    body->keep = read_keys(reader);
    statement->newer |= skip_unknown(reader, more);
}

static void
read_office(struct cbor_reader *reader, struct statement *statement, bool check_keys)
{
    struct office_body *body = &statement->office;
    size_t more = read_map_of(reader, 6);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->office_pk, SIGN_PK_BYTES);
    expect_key(reader, 1);
    body->code = read_code(reader);
    expect_key(reader, 2);
    body->name = read_name(reader, STATEMENT_NAME_BYTES_MAX);
    expect_key(reader, 3);
    if (cbor_read_array(reader) != OWN_COUNT) {
        cbor_fail(reader);
    }
    for (size_t n = 0; n < OWN_COUNT; n++) {
        cbor_read_exact(reader, body->own[n].bytes, IDENT_BYTES);
    }
    expect_key(reader, 4);
    body->grants = read_grants(reader);
    expect_key(reader, 5);
    body->until = cbor_read_uint(reader);
    if (ident_equal(&body->own[0], &body->own[1]) || ident_equal(&body->own[0], &body->own[2]) ||
        ident_equal(&body->own[1], &body->own[2])) {
        cbor_fail(reader);
    }
    if (check_keys && !reader->in.failed && !crypto_sign_key_valid(body->office_pk)) {
        cbor_fail(reader);
    }
    statement->newer |= skip_unknown(reader, more);
}

/* True if the bytes are a u-coordinate below 2^255 - 19: a key has one form, so two certificates
 * that share it are seen to. */
static bool
box_key_is_canonical(const uint8_t key[32])
{
    if ((key[31] & 0x80) != 0) {
        return false;
    }
    if (key[31] != 0x7f || key[0] < 0xed) {
        return true;
    }
    for (size_t n = 1; n < 31; n++) {
        if (key[n] != 0xff) {
            return true;
        }
    }
    return false;
}

static bool
device_keys_are_good(const struct device_body *body)
{
    return crypto_sign_key_valid(body->sign_pk) && crypto_box_key_valid(body->box_pk) &&
           crypto_box_key_valid(body->transport_pk) &&
           (body->possession == NULL ||
            statement_possession_valid(body->possession, body->sign_pk, body->box_pk, body->transport_pk));
}

static void
read_device(struct cbor_reader *reader, struct statement *statement, bool check_keys)
{
    struct device_body *body = &statement->device;
    size_t more = read_map_of(reader, 9);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->sign_pk, SIGN_PK_BYTES);
    expect_key(reader, 1);
    cbor_read_exact(reader, body->box_pk, sizeof body->box_pk);
    expect_key(reader, 2);
    cbor_read_exact(reader, body->transport_pk, sizeof body->transport_pk);
    expect_key(reader, 3);
    cbor_read_exact(reader, body->office_pk, SIGN_PK_BYTES);
    expect_key(reader, 4);
    body->grants = read_grants(reader);
    expect_key(reader, 5);
    body->any = read_level(reader, LEVEL_NONE);
    expect_key(reader, 6);
    body->roles = read_u32(reader);
    expect_key(reader, 7);
    body->name = read_name(reader, STATEMENT_NAME_BYTES_MAX);
    expect_key(reader, 8);
    body->until = cbor_read_uint(reader);
    if (more > 0) {
        struct cbor_reader ahead = *reader;
        if (cbor_read_uint(&ahead) == 9) {
            expect_key(reader, 9);
            struct span possession = cbor_read_bytes(reader);
            if (possession.size != SIGNATURE_BYTES) {
                cbor_fail(reader);
            }
            body->possession = possession.data;
            more--;
        }
    }
    /* Each key has one use: a signature of the office is none of the device. */
    if (memcmp(body->sign_pk, body->office_pk, 32) == 0 || memcmp(body->sign_pk, body->box_pk, 32) == 0 ||
        memcmp(body->sign_pk, body->transport_pk, 32) == 0 ||
        memcmp(body->box_pk, body->transport_pk, 32) == 0 || !box_key_is_canonical(body->box_pk) ||
        !box_key_is_canonical(body->transport_pk)) {
        cbor_fail(reader);
    }
    if (check_keys && !reader->in.failed && !device_keys_are_good(body)) {
        cbor_fail(reader);
    }
    statement->newer |= skip_unknown(reader, more);
}

static void
read_revoke(struct cbor_reader *reader, struct statement *statement, bool check_keys)
{
    struct revoke_body *body = &statement->revoke;
    size_t more = read_map_of(reader, 4);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->key, SIGN_PK_BYTES);
    expect_key(reader, 1);
    body->reason = read_u32(reader);
    expect_key(reader, 2);
    body->cuts = read_cuts(reader);
    expect_key(reader, 3);
    body->keep = read_keys(reader);
    if (check_keys && !reader->in.failed && !crypto_sign_key_valid(body->key)) {
        cbor_fail(reader);
    }
    statement->newer |= skip_unknown(reader, more);
}

static void
read_extend(struct cbor_reader *reader, struct statement *statement)
{
    struct extend_body *body = &statement->extend;
    size_t more = read_map_of(reader, 3);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->revoke.bytes, HASH_BYTES);
    expect_key(reader, 1);
    body->cuts = read_cuts(reader);
    expect_key(reader, 2);
    body->keep = read_keys(reader);
    statement->newer |= skip_unknown(reader, more);
}

static void
read_erase(struct cbor_reader *reader, struct statement *statement)
{
    struct erase_body *body = &statement->erase;
    size_t more = read_map_of(reader, 2);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->order.bytes, IDENT_BYTES);
    expect_key(reader, 1);
    body->keys = read_list(reader, ERASE_ITEM_BYTES, 0, ERASE_ITEM_BYTES, erase_item);
    if (body->keys.count == 0) {
        cbor_fail(reader);
    }
    statement->newer |= skip_unknown(reader, more);
}

static void
read_branch(struct cbor_reader *reader, struct fork_branch *branch)
{
    if (cbor_read_array(reader) != 2) {
        cbor_fail(reader);
    }
    struct span headers = cbor_read_bytes(reader);
    struct span signature = cbor_read_bytes(reader);
    branch->headers = headers.data;
    branch->count = headers.size / HEADER_BYTES;
    branch->signature = signature.data;
    if (headers.size % HEADER_BYTES != 0 || branch->count < 1 || branch->count > FORK_HEADERS_MAX ||
        signature.size != SIGNATURE_BYTES) {
        cbor_fail(reader);
    }
}

/* True if a branch is a chain of entries of this log from `first` on. Gives its first and last entry. */
static bool
branch_is_chain(const struct fork_body *fork, int which, struct entry *first_out, struct entry *last_out)
{
    const struct fork_branch *branch = &fork->branches[which];
    struct hash log_id;

    descriptor_log_id(&fork->descriptor, &log_id);
    for (size_t n = 0; n < branch->count; n++) {
        struct entry entry;
        if (!entry_header_read(span_of(branch->headers + n * HEADER_BYTES, HEADER_BYTES), &entry) ||
            entry.seq != fork->first + n || entry.lane != fork->descriptor.lane ||
            (n > 0 && !hash_equal(&entry.prev, &last_out->id))) {
            return false;
        }
        entry_identify(&entry, &log_id);
        if (n == 0) {
            *first_out = entry;
        }
        *last_out = entry;
    }
    return true;
}

/* True if the two branches prove what they say: one author signed two children of one entry. */
static bool
fork_is_proven(const struct fork_body *fork, bool check_keys)
{
    struct entry first[2];
    struct entry last[2];

    for (int which = 0; which < 2; which++) {
        if (!branch_is_chain(fork, which, &first[which], &last[which])) {
            return false;
        }
    }
    if (!hash_equal(&first[0].prev, &first[1].prev) || hash_compare(&first[0].id, &first[1].id) >= 0) {
        return false;
    }
    for (int which = 0; check_keys && which < 2; which++) {
        if (!entry_signature_valid(fork->branches[which].signature, fork->descriptor.sign_pk,
                                   &last[which].id)) {
            return false;
        }
    }
    return true;
}

static void
read_fork(struct cbor_reader *reader, struct statement *statement, bool check_keys)
{
    static const uint8_t zero[sizeof statement->random];
    struct fork_body *body = &statement->fork;
    size_t more = read_map_of(reader, 4);

    expect_key(reader, 0);
    struct span descriptor = cbor_read_bytes(reader);
    expect_key(reader, 1);
    body->first = cbor_read_uint(reader);
    expect_key(reader, 2);
    read_branch(reader, &body->branches[0]);
    expect_key(reader, 3);
    read_branch(reader, &body->branches[1]);
    /* One fork has one id: nothing in it is chosen. */
    if (reader->in.failed || memcmp(statement->random, zero, sizeof zero) != 0 ||
        !descriptor_read(descriptor, &body->descriptor) || !fork_is_proven(body, check_keys)) {
        cbor_fail(reader);
    }
    statement->newer |= skip_unknown(reader, more);
}

static void
read_epoch(struct cbor_reader *reader, struct statement *statement)
{
    struct epoch_body *body = &statement->epoch;
    size_t more = read_map_of(reader, 5);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->compartment.bytes, IDENT_BYTES);
    expect_key(reader, 1);
    body->number = cbor_read_uint(reader);
    expect_key(reader, 2);
    body->parents = read_list(reader, PARENT_ITEM_BYTES, PAIR_ID_AT, HASH_BYTES, parent_item);
    expect_key(reader, 3);
    cbor_read_exact(reader, body->commit.bytes, HASH_BYTES);
    expect_key(reader, 4);
    body->boxes = read_list(reader, BOX_ITEM_BYTES, PAIR_ID_AT, HASH_BYTES, box_item);
    /* The first epoch of a compartment has the number 1, and a later one has parents. */
    if (body->number < 1 || (body->parents.count == 0) != (body->number == 1)) {
        cbor_fail(reader);
    }
    statement->newer |= skip_unknown(reader, more);
}

static void
read_box(struct cbor_reader *reader, struct statement *statement)
{
    struct box_body *body = &statement->box;
    size_t more = read_map_of(reader, 3);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->epoch_id.bytes, HASH_BYTES);
    expect_key(reader, 1);
    cbor_read_exact(reader, body->device_id.bytes, HASH_BYTES);
    expect_key(reader, 2);
    struct span sealed = cbor_read_bytes(reader);
    if (sealed.size != EPOCH_BOX_BYTES) {
        cbor_fail(reader);
    }
    body->sealed = sealed.data;
    statement->newer |= skip_unknown(reader, more);
}

static void
read_address(struct cbor_reader *reader, struct statement *statement)
{
    struct address_body *body = &statement->address;
    size_t more = read_map_of(reader, 3);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->device_id.bytes, HASH_BYTES);
    expect_key(reader, 1);
    body->endpoint = read_name(reader, STATEMENT_ENDPOINT_BYTES_MAX);
    expect_key(reader, 2);
    body->until = cbor_read_uint(reader);
    statement->newer |= skip_unknown(reader, more);
}

static void
read_actor(struct cbor_reader *reader, struct statement *statement)
{
    struct actor_body *body = &statement->actor;
    size_t more = read_map_of(reader, 5);

    expect_key(reader, 0);
    cbor_read_exact(reader, body->office_pk, SIGN_PK_BYTES);
    expect_key(reader, 1);
    body->number = read_u32(reader);
    expect_key(reader, 2);
    body->name = read_name(reader, STATEMENT_NAME_BYTES_MAX);
    expect_key(reader, 3);
    body->role = read_u32(reader);
    expect_key(reader, 4);
    body->active = cbor_read_bool(reader);
    statement->newer |= skip_unknown(reader, more);
}

/* Take the body apart by its type. */
static bool
read_body(struct statement *statement, bool check_keys)
{
    struct cbor_reader reader = cbor_reader_of(statement->body);

    switch (statement->type) {
    case STATEMENT_ORGANISATION:
        read_organisation(&reader, statement, check_keys);
        break;
    case STATEMENT_ROOTS:
        read_successor(&reader, statement, check_keys);
        break;
    case STATEMENT_OFFICE:
        read_office(&reader, statement, check_keys);
        break;
    case STATEMENT_DEVICE:
        read_device(&reader, statement, check_keys);
        break;
    case STATEMENT_REVOKE:
        read_revoke(&reader, statement, check_keys);
        break;
    case STATEMENT_EXTEND:
        read_extend(&reader, statement);
        break;
    case STATEMENT_EPOCH:
        read_epoch(&reader, statement);
        break;
    case STATEMENT_BOX:
        read_box(&reader, statement);
        break;
    case STATEMENT_ERASE:
        read_erase(&reader, statement);
        break;
    case STATEMENT_FORK_PROOF:
        read_fork(&reader, statement, check_keys);
        break;
    case STATEMENT_ADDRESS:
        read_address(&reader, statement);
        break;
    case STATEMENT_ACTOR:
        read_actor(&reader, statement);
        break;
    case STATEMENT_CODEBOOK:
        /* Its own reader knows it: store/codebook.h. */
        return true;
    default:
        statement->newer = true;
        return true;
    }
    return cbor_done(&reader);
}

static size_t
bytes_max(uint32_t type)
{
    return type == STATEMENT_CODEBOOK ? STATEMENT_CODEBOOK_BYTES_MAX : STATEMENT_BYTES_MAX;
}

static bool
read_stmt(struct span stmt, struct statement *statement, bool check_keys)
{
    struct cbor_reader reader = cbor_reader_of(stmt);

    *statement = (struct statement){ .bytes = stmt };
    if (stmt.size > STATEMENT_CODEBOOK_BYTES_MAX) {
        return false;
    }
    size_t pairs = cbor_read_map(&reader);
    expect_key(&reader, 0);
    statement->type = read_u32(&reader);
    bool founding = statement->type == STATEMENT_ORGANISATION;
    if (!founding) {
        expect_key(&reader, 1);
        cbor_read_exact(&reader, statement->org.bytes, HASH_BYTES);
    }
    expect_key(&reader, 2);
    statement->body = cbor_read_any(&reader);
    expect_key(&reader, 3);
    cbor_read_exact(&reader, statement->random, sizeof statement->random);
    size_t known = founding ? 3 : 4;
    if (reader.in.failed || pairs < known || stmt.size > bytes_max(statement->type)) {
        return false;
    }
    statement->newer = skip_unknown(&reader, pairs - known);
    if (!cbor_done(&reader) || !read_body(statement, check_keys)) {
        return false;
    }
    statement_id(&statement->id, stmt);
    if (founding) {
        statement->org = statement->id;
    }
    return true;
}

bool
statement_read_bare(struct span stmt, struct statement *statement_out)
{
    return read_stmt(stmt, statement_out, true);
}

bool
statement_read_again(struct span stmt, struct statement *statement_out)
{
    return read_stmt(stmt, statement_out, false);
}

static bool
read_signed(struct span bytes, struct statement *statement_out, bool check_keys)
{
    struct cbor_reader reader = cbor_reader_of(bytes);

    if (bytes.size > STATEMENT_SIGNED_BYTES_MAX || cbor_read_array(&reader) != 2) {
        return false;
    }
    struct span stmt = cbor_read_bytes(&reader);
    struct statement_list signers =
        read_list(&reader, SIGNATURE_ITEM_BYTES, PAIR_ID_AT, SIGN_PK_BYTES, signature_item);
    if (!cbor_done(&reader) || signers.count > STATEMENT_SIGNERS_MAX ||
        !read_stmt(stmt, statement_out, check_keys)) {
        return false;
    }
    /* A fork proof proves itself: nobody signs it. */
    if (statement_out->type == STATEMENT_FORK_PROOF && signers.count > 0) {
        return false;
    }
    statement_out->signers = signers;
    return true;
}

bool
statement_read(struct span bytes, struct statement *statement_out)
{
    return read_signed(bytes, statement_out, true);
}

bool
statement_read_stored(struct span bytes, struct statement *statement_out)
{
    return read_signed(bytes, statement_out, false);
}

/* --- writing --- */

static void
put_exact(struct buf *buf, uint64_t key, const void *data, size_t size)
{
    cbor_put_uint(buf, key);
    cbor_put_bytes(buf, span_of(data, size));
}

static void
put_text(struct buf *buf, uint64_t key, struct span text)
{
    cbor_put_uint(buf, key);
    cbor_put_text(buf, text);
}

static void
put_number(struct buf *buf, uint64_t key, uint64_t value)
{
    cbor_put_uint(buf, key);
    cbor_put_uint(buf, value);
}

static void
put_list(struct buf *buf, uint64_t key, const struct statement_list *list, size_t item_bytes)
{
    cbor_put_uint(buf, key);
    cbor_put_array(buf, list->count);
    buf_put(buf, list->items, list->count * item_bytes);
}

static void
put_organisation(struct buf *buf, const struct organisation_body *body)
{
    cbor_put_map(buf, 7);
    put_text(buf, 0, body->name);
    put_list(buf, 1, &body->roots, KEY_ITEM_BYTES);
    put_number(buf, 2, body->needed);
    put_exact(buf, 3, body->control.bytes, IDENT_BYTES);
    put_exact(buf, 4, body->shared.bytes, IDENT_BYTES);
    put_number(buf, 5, body->erasure_signatures);
    put_exact(buf, 6, body->codebook_id.bytes, HASH_BYTES);
}

static void
put_successor(struct buf *buf, const struct roots_body *body)
{
    cbor_put_map(buf, 4);
    put_exact(buf, 0, body->before.bytes, HASH_BYTES);
    put_list(buf, 1, &body->roots, KEY_ITEM_BYTES);
    put_number(buf, 2, body->needed);
    put_list(buf, 3, &body->keep, KEY_ITEM_BYTES);
}

static void
put_office(struct buf *buf, const struct office_body *body)
{
    cbor_put_map(buf, 6);
    put_exact(buf, 0, body->office_pk, SIGN_PK_BYTES);
    put_text(buf, 1, body->code);
    put_text(buf, 2, body->name);
    cbor_put_uint(buf, 3);
    cbor_put_array(buf, OWN_COUNT);
    for (size_t n = 0; n < OWN_COUNT; n++) {
        cbor_put_bytes(buf, ident_span(&body->own[n]));
    }
    put_list(buf, 4, &body->grants, GRANT_ITEM_BYTES);
    put_number(buf, 5, body->until);
}

static void
put_device(struct buf *buf, const struct device_body *body)
{
    cbor_put_map(buf, body->possession == NULL ? 9 : 10);
    put_exact(buf, 0, body->sign_pk, SIGN_PK_BYTES);
    put_exact(buf, 1, body->box_pk, 32);
    put_exact(buf, 2, body->transport_pk, 32);
    put_exact(buf, 3, body->office_pk, SIGN_PK_BYTES);
    put_list(buf, 4, &body->grants, GRANT_ITEM_BYTES);
    put_number(buf, 5, body->any);
    put_number(buf, 6, body->roles);
    put_text(buf, 7, body->name);
    put_number(buf, 8, body->until);
    if (body->possession != NULL) {
        put_exact(buf, 9, body->possession, SIGNATURE_BYTES);
    }
}

static void
put_cuts(struct buf *buf, uint64_t key, const struct statement_list *cuts)
{
    const uint8_t *end = cuts->items;

    for (size_t n = 0; n < cuts->count; n++) {
        (void)cut_step(&end);
    }
    cbor_put_uint(buf, key);
    cbor_put_array(buf, cuts->count);
    buf_put(buf, cuts->items, (size_t)(end - cuts->items));
}

static void
put_revoke(struct buf *buf, const struct revoke_body *body)
{
    cbor_put_map(buf, 4);
    put_exact(buf, 0, body->key, SIGN_PK_BYTES);
    put_number(buf, 1, body->reason);
    put_cuts(buf, 2, &body->cuts);
    put_list(buf, 3, &body->keep, KEY_ITEM_BYTES);
}

static void
put_extend(struct buf *buf, const struct extend_body *body)
{
    cbor_put_map(buf, 3);
    put_exact(buf, 0, body->revoke.bytes, HASH_BYTES);
    put_cuts(buf, 1, &body->cuts);
    put_list(buf, 2, &body->keep, KEY_ITEM_BYTES);
}

static void
put_erase(struct buf *buf, const struct erase_body *body)
{
    cbor_put_map(buf, 2);
    put_exact(buf, 0, body->order.bytes, IDENT_BYTES);
    put_list(buf, 1, &body->keys, ERASE_ITEM_BYTES);
}

static void
put_fork(struct buf *buf, const struct fork_body *body)
{
    uint8_t descriptor[DESCRIPTOR_BYTES];

    descriptor_write(descriptor, &body->descriptor);
    cbor_put_map(buf, 4);
    put_exact(buf, 0, descriptor, sizeof descriptor);
    put_number(buf, 1, body->first);
    for (size_t n = 0; n < 2; n++) {
        const struct fork_branch *branch = &body->branches[n];
        cbor_put_uint(buf, 2 + n);
        cbor_put_array(buf, 2);
        cbor_put_bytes(buf, span_of(branch->headers, branch->count * HEADER_BYTES));
        cbor_put_bytes(buf, span_of(branch->signature, SIGNATURE_BYTES));
    }
}

static void
put_epoch(struct buf *buf, const struct epoch_body *body)
{
    cbor_put_map(buf, 5);
    put_exact(buf, 0, body->compartment.bytes, IDENT_BYTES);
    put_number(buf, 1, body->number);
    put_list(buf, 2, &body->parents, PARENT_ITEM_BYTES);
    put_exact(buf, 3, body->commit.bytes, HASH_BYTES);
    put_list(buf, 4, &body->boxes, BOX_ITEM_BYTES);
}

static void
put_box(struct buf *buf, const struct box_body *body)
{
    cbor_put_map(buf, 3);
    put_exact(buf, 0, body->epoch_id.bytes, HASH_BYTES);
    put_exact(buf, 1, body->device_id.bytes, HASH_BYTES);
    put_exact(buf, 2, body->sealed, EPOCH_BOX_BYTES);
}

static void
put_address(struct buf *buf, const struct address_body *body)
{
    cbor_put_map(buf, 3);
    put_exact(buf, 0, body->device_id.bytes, HASH_BYTES);
    put_text(buf, 1, body->endpoint);
    put_number(buf, 2, body->until);
}

static void
put_actor(struct buf *buf, const struct actor_body *body)
{
    cbor_put_map(buf, 5);
    put_exact(buf, 0, body->office_pk, SIGN_PK_BYTES);
    put_number(buf, 1, body->number);
    put_text(buf, 2, body->name);
    put_number(buf, 3, body->role);
    cbor_put_uint(buf, 4);
    cbor_put_bool(buf, body->active);
}

static void
put_body(struct buf *buf, const struct statement *statement)
{
    switch (statement->type) {
    case STATEMENT_ORGANISATION:
        put_organisation(buf, &statement->organisation);
        break;
    case STATEMENT_ROOTS:
        put_successor(buf, &statement->roots);
        break;
    case STATEMENT_OFFICE:
        put_office(buf, &statement->office);
        break;
    case STATEMENT_DEVICE:
        put_device(buf, &statement->device);
        break;
    case STATEMENT_REVOKE:
        put_revoke(buf, &statement->revoke);
        break;
    case STATEMENT_EXTEND:
        put_extend(buf, &statement->extend);
        break;
    case STATEMENT_ERASE:
        put_erase(buf, &statement->erase);
        break;
    case STATEMENT_FORK_PROOF:
        put_fork(buf, &statement->fork);
        break;
    case STATEMENT_EPOCH:
        put_epoch(buf, &statement->epoch);
        break;
    case STATEMENT_BOX:
        put_box(buf, &statement->box);
        break;
    case STATEMENT_ADDRESS:
        put_address(buf, &statement->address);
        break;
    case STATEMENT_ACTOR:
        put_actor(buf, &statement->actor);
        break;
    default:
        buf_put_span(buf, statement->body);
        break;
    }
}

enum err
statement_encode(struct buf *stmt_out, const struct statement *statement)
{
    struct buf stmt = { 0 };
    bool founding = statement->type == STATEMENT_ORGANISATION;
    enum err err = ERR_OK;

    cbor_put_map(&stmt, founding ? 3 : 4);
    put_number(&stmt, 0, statement->type);
    if (!founding) {
        put_exact(&stmt, 1, statement->org.bytes, HASH_BYTES);
    }
    cbor_put_uint(&stmt, 2);
    put_body(&stmt, statement);
    put_exact(&stmt, 3, statement->random, sizeof statement->random);
    if (stmt.failed) {
        err = ERR_MEMORY;
    } else if (stmt.size > bytes_max(statement->type)) {
        err = ERR_FULL;
    } else {
        struct statement again;
        bool good = statement_read_bare(buf_span(&stmt), &again);
        assert(good);
        buf_put_span(stmt_out, buf_span(&stmt));
        err = stmt_out->failed ? ERR_MEMORY : ERR_OK;
    }
    buf_free(&stmt);
    return err;
}

void
statement_id(struct hash *id_out, struct span stmt)
{
    CRYPTO_HASH(id_out, "vigil.stm.v1", stmt);
}

void
statement_signature_make(struct statement_signature *out, const struct hash *id,
                         const struct key_pair *signer)
{
    memcpy(out->sign_pk, signer->public_key, SIGN_PK_BYTES);
    crypto_sign_id(out->signature, signer, SIGN_CONTEXT, id);
}

bool
statement_signature_valid(const struct statement_signature *signature, const struct hash *id)
{
    return crypto_verify(signature->signature, signature->sign_pk, SIGN_CONTEXT, id);
}

void
statement_write(struct buf *out, struct span stmt, const struct statement_signature *signatures,
                size_t signature_count)
{
    assert(signature_count <= STATEMENT_SIGNERS_MAX);

    cbor_put_array(out, 2);
    cbor_put_bytes(out, stmt);
    cbor_put_array(out, signature_count);
    for (size_t n = 0; n < signature_count; n++) {
        assert(n == 0 || memcmp(signatures[n - 1].sign_pk, signatures[n].sign_pk, SIGN_PK_BYTES) < 0);
        put_pair(out, signatures[n].sign_pk, signatures[n].signature, SIGNATURE_BYTES);
    }
}

enum err
statement_sign(struct buf *out, const struct statement *statement, const struct key_pair *const *signers,
               size_t signer_count, struct hash *id_out)
{
    struct statement_signature signatures[STATEMENT_SIGNERS_MAX];
    struct buf stmt = { 0 };
    struct hash id;

    assert(signer_count <= STATEMENT_SIGNERS_MAX);
    enum err err = statement_encode(&stmt, statement);
    if (err != ERR_OK) {
        buf_free(&stmt);
        return err;
    }
    statement_id(&id, buf_span(&stmt));
    for (size_t n = 0; n < signer_count; n++) {
        struct statement_signature signature;
        statement_signature_make(&signature, &id, signers[n]);
        size_t at = n;
        while (at > 0 && memcmp(signatures[at - 1].sign_pk, signature.sign_pk, SIGN_PK_BYTES) > 0) {
            signatures[at] = signatures[at - 1];
            at--;
        }
        signatures[at] = signature;
    }
    statement_write(out, buf_span(&stmt), signatures, signer_count);
    buf_free(&stmt);
    if (id_out != NULL) {
        *id_out = id;
    }
    return out->failed ? ERR_MEMORY : ERR_OK;
}

/* --- fork proofs --- */

enum err
statement_fork_make(struct buf *out, const struct hash *org, const struct descriptor *descriptor,
                    const struct fork_branch branches[2], struct hash *id_out)
{
    struct statement statement = { .type = STATEMENT_FORK_PROOF, .org = *org };
    struct fork_body *fork = &statement.fork;
    struct entry first;

    fork->descriptor = *descriptor;
    for (size_t n = 0; n < 2; n++) {
        if (branches[n].count < 1 || branches[n].count > FORK_HEADERS_MAX) {
            return ERR_INVALID;
        }
    }
    if (!entry_header_read(span_of(branches[0].headers, HEADER_BYTES), &first)) {
        return ERR_INVALID;
    }
    fork->first = first.seq;
    for (size_t lower = 0; lower < 2; lower++) {
        fork->branches[0] = branches[lower];
        fork->branches[1] = branches[1 - lower];
        if (fork_is_proven(fork, true)) {
            return statement_sign(out, &statement, NULL, 0, id_out);
        }
    }
    return ERR_INVALID;
}

struct hash
statement_fork_entry(const struct fork_body *fork, int branch, size_t n, struct entry *entry_out)
{
    const struct fork_branch *run = &fork->branches[branch];
    struct entry entry;
    struct hash log_id;

    assert(branch >= 0 && branch < 2 && n < run->count);
    bool readable = entry_header_read(span_of(run->headers + n * HEADER_BYTES, HEADER_BYTES), &entry);
    assert(readable);
    descriptor_log_id(&fork->descriptor, &log_id);
    entry_identify(&entry, &log_id);
    if (entry_out != NULL) {
        *entry_out = entry;
    }
    return entry.id;
}

/* --- proof of possession --- */

static void
possession_id(struct hash *out, const uint8_t sign_pk[SIGN_PK_BYTES], const uint8_t box_pk[32],
              const uint8_t transport_pk[32])
{
    CRYPTO_HASH(out, "vigil.pop.v1", span_of(sign_pk, SIGN_PK_BYTES), span_of(box_pk, 32),
                span_of(transport_pk, 32));
}

void
statement_possession_make(uint8_t out[SIGNATURE_BYTES], const struct key_pair *sign_pair,
                          const uint8_t box_pk[32], const uint8_t transport_pk[32])
{
    struct hash id;

    possession_id(&id, sign_pair->public_key, box_pk, transport_pk);
    crypto_sign_id(out, sign_pair, POSSESSION_CONTEXT, &id);
}

bool
statement_possession_valid(const uint8_t possession[SIGNATURE_BYTES], const uint8_t sign_pk[SIGN_PK_BYTES],
                           const uint8_t box_pk[32], const uint8_t transport_pk[32])
{
    struct hash id;

    possession_id(&id, sign_pk, box_pk, transport_pk);
    return crypto_verify(possession, sign_pk, POSSESSION_CONTEXT, &id);
}

const char *
statement_type_name(uint32_t type)
{
    static const char *const names[] = {
        [STATEMENT_ORGANISATION] = "organisation",
        [STATEMENT_ROOTS] = "roots",
        [STATEMENT_OFFICE] = "office",
        [STATEMENT_DEVICE] = "device",
        [STATEMENT_REVOKE] = "revoke",
        [STATEMENT_EXTEND] = "extend",
        [STATEMENT_EPOCH] = "epoch",
        [STATEMENT_BOX] = "box",
        [STATEMENT_CODEBOOK] = "codebook",
        [STATEMENT_ERASE] = "erase",
        [STATEMENT_FORK_PROOF] = "fork-proof",
        [STATEMENT_ADDRESS] = "address",
        [STATEMENT_ACTOR] = "actor",
    };

    return type >= STATEMENT_ORGANISATION && type <= STATEMENT_ACTOR ? names[type] : "newer";
}
