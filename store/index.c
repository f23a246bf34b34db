#include "store/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A row of `token`: varint count | token. */
enum { TERM_KEY_BYTES = 4 + 8, IDX_KEY_BYTES = TERM_KEY_BYTES + 4, CROSS_CELLS_MAX = 1 << 22 };

/* A change of one count. */
struct index_change {
    uint8_t key[TERM_KEY_BYTES];
    struct span token;
    int64_t change;
    bool set; /* `change` is what it comes to */
};

struct index_batch {
    struct table_txn *txn;
    uint8_t hash_key[16];
    struct arena arena; /* tokens and slots of this turn */
    struct index_change **slots;
    size_t slot_count; /* a power of two */
    size_t count;
    bool mend;
    bool failed; /* memory ran out */
};

static void
hash_key_of(const struct table_txn *txn, uint8_t out[16])
{
    table_hash(table_txn_env(txn), out, "vigil.index.v1", NULL, 0);
}

static void
term_key(uint8_t out[TERM_KEY_BYTES], const uint8_t hash_key[16], const struct index_term *term)
{
    bytes_write_u32(out, term->index_no);
    crypto_short_hash(out + 4, hash_key, term->token);
}

/* Newest first: LMDB's keys ascend, so numbers are stored upside down. */
static void
idx_key(uint8_t out[IDX_KEY_BYTES], const uint8_t term[TERM_KEY_BYTES], uint32_t record_no)
{
    memcpy(out, term, TERM_KEY_BYTES);
    bytes_write_u32(out + TERM_KEY_BYTES, ~record_no);
}

static bool
idx_read(struct span key, uint32_t *record_no_out)
{
    if (key.size != IDX_KEY_BYTES) {
        return false;
    }
    *record_no_out = ~bytes_read_u32(key.data + TERM_KEY_BYTES);
    return true;
}

static bool
token_row_read(struct span row, uint64_t *count_out, struct span *token_out)
{
    struct reader in = reader_of(row);

    *count_out = reader_varint(&in);
    *token_out = reader_span(&in, reader_left(&in));
    return reader_done(&in);
}

int
index_term_compare(const struct index_term *a, const struct index_term *b)
{
    if (a->index_no != b->index_no) {
        return a->index_no < b->index_no ? -1 : 1;
    }
    return span_compare(a->token, b->token);
}

/* --- changing ----------------------------------------------------------------- */

struct index_batch *
index_batch_new(void)
{
    return calloc(1, sizeof(struct index_batch));
}

void
index_batch_free(struct index_batch **batch_inout)
{
    struct index_batch *batch = *batch_inout;

    *batch_inout = NULL;
    if (batch != NULL) {
        arena_free(&batch->arena);
        free(batch);
    }
}

void
index_batch_begin(struct index_batch *batch, struct table_txn *txn)
{
    batch->txn = txn;
    batch->slots = NULL;
    batch->slot_count = 0;
    batch->count = 0;
    batch->mend = false;
    batch->failed = false;
    arena_reset(&batch->arena);
    hash_key_of(txn, batch->hash_key);
}

/* The slot of a key: it, or the empty one where it belongs. */
static struct index_change **
slot_find(struct index_change **slots, size_t slot_count, const uint8_t key[TERM_KEY_BYTES])
{
    /* The last 8 bytes are a keyed hash. */
    size_t slot = (size_t)(bytes_read_u64(key + 4) ^ bytes_read_u32(key)) & (slot_count - 1);

    while (slots[slot] != NULL && memcmp(slots[slot]->key, key, TERM_KEY_BYTES) != 0) {
        slot = (slot + 1) & (slot_count - 1);
    }
    return &slots[slot];
}

static bool
slots_grow(struct index_batch *batch)
{
    size_t slot_count = batch->slot_count == 0 ? 256 : batch->slot_count * 2;
    struct index_change **slots = arena_take_array(&batch->arena, slot_count, sizeof(struct index_change *));

    if (slots == NULL) {
        return false;
    }
    for (size_t n = 0; n < batch->slot_count; n++) {
        if (batch->slots[n] != NULL) {
            *slot_find(slots, slot_count, batch->slots[n]->key) = batch->slots[n];
        }
    }
    batch->slots = slots;
    batch->slot_count = slot_count;
    return true;
}

/* The change of a term's count, made if need be; NULL: no memory. */
static struct index_change *
change_of(struct index_batch *batch, const uint8_t key[TERM_KEY_BYTES], struct span token)
{
    if (batch->count * 2 >= batch->slot_count && !slots_grow(batch)) {
        batch->failed = true;
        return NULL;
    }
    struct index_change **slot = slot_find(batch->slots, batch->slot_count, key);
    if (*slot == NULL) {
        struct index_change *made = arena_take(&batch->arena, sizeof *made);
        struct span copy = arena_copy(&batch->arena, token);
        if (batch->arena.failed) {
            batch->failed = true;
            return NULL;
        }
        *made = (struct index_change){ .token = copy };
        memcpy(made->key, key, TERM_KEY_BYTES);
        *slot = made;
        batch->count++;
    }
    return *slot;
}

static void
add_change(struct index_batch *batch, const uint8_t key[TERM_KEY_BYTES], struct span token, int64_t change)
{
    struct index_change *of = change_of(batch, key, token);

    if (of != NULL) {
        of->change += change;
    }
}

void
index_add(struct index_batch *batch, const struct index_term *term, int64_t change)
{
    uint8_t key[TERM_KEY_BYTES];

    term_key(key, batch->hash_key, term);
    add_change(batch, key, term->token, change);
}

void
index_set(struct index_batch *batch, const struct index_term *term, uint64_t count)
{
    uint8_t key[TERM_KEY_BYTES];

    term_key(key, batch->hash_key, term);
    struct index_change *of = change_of(batch, key, term->token);
    if (of != NULL) {
        of->change = (int64_t)count;
        of->set = true;
    }
}

void
index_mend(struct index_batch *batch)
{
    batch->mend = true;
}

/* Put the record under a term, or take it away; the count follows what was really so. */
static void
set_row(struct index_batch *batch, uint32_t record_no, const struct index_term *term, bool present)
{
    uint8_t key[IDX_KEY_BYTES];
    uint8_t prefix[TERM_KEY_BYTES];

    term_key(prefix, batch->hash_key, term);
    idx_key(key, prefix, record_no);
    if (present) {
        table_put(batch->txn, TABLE_IDX, span_of(key, sizeof key), span_of(NULL, 0));
    } else {
        table_delete(batch->txn, TABLE_IDX, span_of(key, sizeof key));
    }
    add_change(batch, prefix, term->token, present ? 1 : -1);
}

void
index_apply(struct index_batch *batch, uint32_t record_no, const struct index_term *before,
            size_t before_count, const struct index_term *after, size_t after_count)
{
    size_t old = 0;
    size_t new = 0;

    while (old < before_count || new < after_count) {
        int order = old == before_count  ? 1
                    : new == after_count ? -1
                                         : index_term_compare(&before[old], &after[new]);
        if (order < 0) {
            set_row(batch, record_no, &before[old], false);
        } else if (order > 0) {
            set_row(batch, record_no, &after[new], true);
        }
        old += order <= 0;
        new += order >= 0;
    }
}

void
index_forget(struct index_batch *batch, uint32_t record_no)
{
    struct table_cursor cursor;
    struct buf row = { 0 };
    struct span key;
    struct span value;

    table_cursor_init(&cursor, batch->txn, TABLE_IDX, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        uint8_t term[TERM_KEY_BYTES];
        uint64_t count;
        uint32_t found;
        struct span token;

        if (!idx_read(key, &found) || found != record_no) {
            continue;
        }
        memcpy(term, key.data, TERM_KEY_BYTES);
        table_delete(batch->txn, TABLE_IDX, key);
        /* Without its token's row a term has no count to be changed. */
        if (table_read(batch->txn, TABLE_TOKEN, span_of(term, sizeof term), &row) == ERR_OK &&
            token_row_read(buf_span(&row), &count, &token)) {
            add_change(batch, term, token, -1);
        }
    }
    table_cursor_end(&cursor);
    buf_wipe(&row);
}

/* How many records stand under a term, by their rows. */
static uint64_t
count_rows(struct table_txn *txn, struct span term)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint64_t count = 0;

    table_cursor_init(&cursor, txn, TABLE_IDX, term);
    while (table_cursor_next(&cursor, &key, &value)) {
        count++;
    }
    table_cursor_end(&cursor);
    return count;
}

static int
change_order(const void *a, const void *b)
{
    return memcmp((*(struct index_change *const *)a)->key, (*(struct index_change *const *)b)->key,
                  TERM_KEY_BYTES);
}

/* What a count comes to. */
static enum err
changed_count(struct table_txn *txn, const struct index_change *change, bool mend, struct buf *row,
              uint64_t *count_out)
{
    struct span key = span_of(change->key, sizeof change->key);
    struct span token;

    *count_out = (uint64_t)change->change;
    if (change->set) {
        return ERR_OK;
    }
    uint64_t count = 0;
    enum err err = table_read(txn, TABLE_TOKEN, key, row);
    if (err == ERR_OK && !token_row_read(buf_span(row), &count, &token)) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_CORRUPT && mend && bytes_read_u32(change->key) != INDEX_CONFLICTS) {
        *count_out = count_rows(txn, key);
        return ERR_OK;
    }
    if (err != ERR_OK && err != ERR_ABSENT) {
        return err;
    }
    if (change->change < 0 && (uint64_t)-change->change > count) {
        return ERR_CORRUPT;
    }
    *count_out += count;
    return ERR_OK;
}

static enum err
write_change(struct table_txn *txn, const struct index_change *change, bool mend, struct buf *row)
{
    struct span key = span_of(change->key, sizeof change->key);
    uint64_t count;
    enum err err = changed_count(txn, change, mend, row, &count);

    if (err != ERR_OK) {
        return err;
    }
    if (count == 0) {
        table_delete(txn, TABLE_TOKEN, key);
        return table_error(txn);
    }
    buf_clear(row);
    buf_put_varint(row, count);
    buf_put_span(row, change->token);
    if (row->failed) {
        return ERR_MEMORY;
    }
    table_put(txn, TABLE_TOKEN, key, buf_span(row));
    return table_error(txn);
}

enum err
index_batch_end(struct index_batch *batch)
{
    struct buf row = { 0 };
    size_t count = 0;
    enum err err = ERR_OK;

    /* The slots are done with: sorted in place, rows lie beside each other. */
    for (size_t n = 0; n < batch->slot_count; n++) {
        if (batch->slots[n] != NULL && (batch->slots[n]->set || batch->slots[n]->change != 0)) {
            batch->slots[count++] = batch->slots[n];
        }
    }
    if (count > 1) {
        qsort(batch->slots, count, sizeof(struct index_change *), change_order);
    }
    for (size_t n = 0; err == ERR_OK && n < count; n++) {
        err = write_change(batch->txn, batch->slots[n], batch->mend, &row);
    }
    buf_wipe(&row);
    return batch->failed ? ERR_MEMORY : err;
}

/* --- counts ------------------------------------------------------------------- */

enum err
index_count_of(struct table_txn *txn, const struct index_term *term, uint64_t *count_out)
{
    uint8_t hash_key[16];
    uint8_t key[TERM_KEY_BYTES];
    struct buf row = { 0 };
    struct span token;

    *count_out = 0;
    hash_key_of(txn, hash_key);
    term_key(key, hash_key, term);
    enum err err = table_read(txn, TABLE_TOKEN, span_of(key, sizeof key), &row);
    if (err == ERR_OK && !token_row_read(buf_span(&row), count_out, &token)) {
        err = ERR_CORRUPT;
    }
    buf_wipe(&row);
    return err == ERR_ABSENT ? ERR_OK : err;
}

/* A token of an index, with the hash that its rows begin with. */
struct hashed_token {
    struct index_count count;
    uint8_t hash[8];
};

/* Every token of an index, in the order of their rows. */
static enum err
load_tokens(struct table_txn *txn, uint32_t index_no, struct arena *arena, struct hashed_token **tokens_out,
            size_t *count_out)
{
    struct hashed_token *tokens = NULL;
    struct table_cursor cursor;
    uint8_t prefix[4];
    struct span key;
    struct span value;
    size_t capacity = 0;
    size_t count = 0;
    enum err err = ERR_OK;

    bytes_write_u32(prefix, index_no);
    table_cursor_init(&cursor, txn, TABLE_TOKEN, span_of(prefix, sizeof prefix));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        if (count == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            struct hashed_token *grown = arena_take_array(arena, capacity, sizeof *grown);
            if (grown == NULL) {
                err = ERR_MEMORY;
                break;
            }
            if (count > 0) {
                memcpy(grown, tokens, count * sizeof *grown);
            }
            tokens = grown;
        }
        struct hashed_token *token = &tokens[count++];
        if (value.data == NULL || key.size != TERM_KEY_BYTES ||
            !token_row_read(value, &token->count.count, &token->count.token)) {
            err = ERR_CORRUPT;
            break;
        }
        memcpy(token->hash, key.data + 4, sizeof token->hash);
        token->count.token = arena_copy(arena, token->count.token);
        err = arena->failed ? ERR_MEMORY : ERR_OK;
    }
    table_cursor_end(&cursor);
    *tokens_out = tokens;
    *count_out = count;
    return err != ERR_OK ? err : table_error(txn);
}

static int
count_order(const void *a, const void *b)
{
    return span_compare(((const struct index_count *)a)->token, ((const struct index_count *)b)->token);
}

enum err
index_counts(struct table_txn *txn, uint32_t index_no, struct arena *arena,
             const struct index_count **counts_out, size_t *count_out)
{
    struct hashed_token *tokens;
    size_t count;

    *counts_out = NULL;
    *count_out = 0;
    enum err err = load_tokens(txn, index_no, arena, &tokens, &count);
    if (err != ERR_OK) {
        return err;
    }
    struct index_count *counts = arena_take_array(arena, count, sizeof *counts);
    if (counts == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < count; n++) {
        counts[n] = tokens[n].count;
    }
    if (count > 1) {
        qsort(counts, count, sizeof *counts, count_order);
    }
    *counts_out = counts;
    *count_out = count;
    return ERR_OK;
}

/* --- tables ------------------------------------------------------------------- */

/* A table in the making: for each record which tokens of the first index it has. */
struct cross {
    struct table_txn *txn;
    struct arena *arena;
    uint8_t *allowed; /* a bit a record; NULL: all are */
    uint32_t record_max;
    struct hashed_token *a;
    size_t a_count;
    struct hashed_token *b;
    size_t b_count;
    uint32_t *head;  /* by record_no: 1 + place in `links`, 0: none */
    uint32_t *links; /* token of `a`, then 1 + place of the next link */
    size_t link_count;
    size_t link_max; /* as many rows as the counts say */
    uint64_t *cells; /* a_count x b_count */
};

/* Call `step` for each row of an index with the place of its token. ERR_CORRUPT if it gives false, or if a row
 * has no token. */
static enum err
each_row(struct cross *cross, uint32_t index_no, const struct hashed_token *tokens, size_t count,
         bool (*step)(struct cross *cross, uint32_t token, uint32_t record_no))
{
    struct table_cursor cursor;
    uint8_t prefix[4];
    struct span key;
    struct span value;
    size_t at = 0;
    enum err err = ERR_OK;

    bytes_write_u32(prefix, index_no);
    table_cursor_init(&cursor, cross->txn, TABLE_IDX, span_of(prefix, sizeof prefix));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        uint32_t record_no;
        /* Tokens and rows are in one order. */
        while (key.size == IDX_KEY_BYTES && at < count && memcmp(tokens[at].hash, key.data + 4, 8) != 0) {
            at++;
        }
        if (value.data == NULL || !idx_read(key, &record_no) || at == count) {
            err = ERR_CORRUPT;
        } else if (record_no <= cross->record_max &&
                   (cross->allowed == NULL || (cross->allowed[record_no / 8] >> record_no % 8 & 1) != 0)) {
            err = step(cross, (uint32_t)at, record_no) ? ERR_OK : ERR_CORRUPT;
        }
    }
    table_cursor_end(&cursor);
    return err != ERR_OK ? err : table_error(cross->txn);
}

/* False: there are more rows than the counts say. */
static bool
link_token(struct cross *cross, uint32_t token, uint32_t record_no)
{
    if (cross->link_count == cross->link_max) {
        return false;
    }
    uint32_t *link = &cross->links[2 * cross->link_count++];
    link[0] = token;
    link[1] = cross->head[record_no];
    cross->head[record_no] = (uint32_t)cross->link_count;
    return true;
}

static bool
count_token(struct cross *cross, uint32_t token, uint32_t record_no)
{
    for (uint32_t at = cross->head[record_no]; at != 0; at = cross->links[2 * (at - 1) + 1]) {
        cross->cells[cross->links[2 * (at - 1)] * cross->b_count + token]++;
    }
    return true;
}

static enum err
allow(struct cross *cross, const struct index_term *terms, size_t term_count)
{
    struct index_walk walk;
    uint32_t record_no;

    if (term_count == 0) {
        return ERR_OK;
    }
    cross->allowed = arena_take_array(cross->arena, cross->record_max / 8 + 1, 1);
    if (cross->allowed == NULL) {
        return ERR_MEMORY;
    }
    index_walk_init(&walk, cross->txn, terms, term_count, UINT32_MAX);
    while (index_walk_next(&walk, &record_no)) {
        if (record_no <= cross->record_max) {
            cross->allowed[record_no / 8] |= (uint8_t)(1 << record_no % 8);
        }
    }
    index_walk_end(&walk);
    return table_error(cross->txn);
}

static uint32_t
record_max_of(struct table_txn *txn)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    table_cursor_init(&cursor, txn, TABLE_RECNO, span_of(NULL, 0));
    bool found = table_cursor_last(&cursor, &key, &value) && key.size == 4;
    uint32_t record_max = found ? bytes_read_u32(key.data) : 0;
    table_cursor_end(&cursor);
    return record_max;
}

static int
pair_order(const void *a, const void *b)
{
    const struct index_pair *one = a;
    const struct index_pair *other = b;
    int order = span_compare(one->a, other->a);

    return order != 0 ? order : span_compare(one->b, other->b);
}

static enum err
make_pairs(const struct cross *cross, const struct index_pair **pairs_out, size_t *count_out)
{
    size_t cell_count = cross->a_count * cross->b_count;
    size_t count = 0;

    for (size_t n = 0; n < cell_count; n++) {
        count += cross->cells[n] > 0;
    }
    struct index_pair *pairs = arena_take_array(cross->arena, count, sizeof *pairs);
    if (pairs == NULL) {
        return ERR_MEMORY;
    }
    count = 0;
    for (size_t n = 0; n < cell_count; n++) {
        if (cross->cells[n] > 0) {
            pairs[count++] = (struct index_pair){ cross->a[n / cross->b_count].count.token,
                                                  cross->b[n % cross->b_count].count.token, cross->cells[n] };
        }
    }
    if (count > 1) {
        qsort(pairs, count, sizeof *pairs, pair_order);
    }
    *pairs_out = pairs;
    *count_out = count;
    return ERR_OK;
}

enum err
index_cross(struct table_txn *txn, uint32_t index_a, uint32_t index_b, const struct index_term *terms,
            size_t term_count, struct arena *arena, const struct index_pair **pairs_out, size_t *count_out)
{
    struct cross cross = { .txn = txn, .arena = arena, .record_max = record_max_of(txn) };
    uint64_t rows = 0;

    *pairs_out = NULL;
    *count_out = 0;
    enum err err = allow(&cross, terms, term_count);
    if (err == ERR_OK) {
        err = load_tokens(txn, index_a, arena, &cross.a, &cross.a_count);
    }
    if (err == ERR_OK) {
        err = load_tokens(txn, index_b, arena, &cross.b, &cross.b_count);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (cross.b_count > 0 && cross.a_count > CROSS_CELLS_MAX / cross.b_count) {
        return ERR_FULL;
    }
    for (size_t n = 0; n < cross.a_count; n++) {
        rows += cross.a[n].count.count;
    }
    if (rows >= UINT32_MAX) {
        return ERR_FULL;
    }
    cross.head = arena_take_array(arena, (size_t)cross.record_max + 1, sizeof *cross.head);
    cross.links = arena_take_array(arena, (size_t)rows, 2 * sizeof *cross.links);
    cross.cells = arena_take_array(arena, cross.a_count * cross.b_count, sizeof *cross.cells);
    if (arena->failed) {
        return ERR_MEMORY;
    }
    cross.link_max = (size_t)rows;
    err = each_row(&cross, index_a, cross.a, cross.a_count, link_token);
    if (err == ERR_OK) {
        err = each_row(&cross, index_b, cross.b, cross.b_count, count_token);
    }
    return err != ERR_OK ? err : make_pairs(&cross, pairs_out, count_out);
}

/* --- walks -------------------------------------------------------------------- */

void
index_walk_init(struct index_walk *walk, struct table_txn *txn, const struct index_term *terms,
                size_t term_count, uint32_t below)
{
    uint8_t hash_key[16];
    uint8_t key[TERM_KEY_BYTES];

    assert(term_count > 0 && term_count <= INDEX_TERMS_MAX);
    hash_key_of(txn, hash_key);
    walk->count = term_count;
    walk->txn = txn;
    walk->below = below;
    walk->ended = below == 0;
    for (size_t n = 0; n < term_count; n++) {
        term_key(key, hash_key, &terms[n]);
        table_cursor_init(&walk->cursors[n], txn, TABLE_IDX, span_of(key, sizeof key));
        walk->at[n] = UINT32_MAX;
    }
}

/* Move one cursor to its first record that is no higher than `target`. */
static bool
walk_to(struct index_walk *walk, size_t n, uint32_t target)
{
    struct table_cursor *cursor = &walk->cursors[n];
    uint8_t from[IDX_KEY_BYTES];
    struct span key;
    struct span value;

    /* Often the next row is the one: a step costs less than a search. */
    bool found = walk->at[n] != UINT32_MAX && table_cursor_next(cursor, &key, &value);
    if (found && idx_read(key, &walk->at[n]) && walk->at[n] <= target && value.data != NULL) {
        return true;
    }
    if (walk->at[n] != UINT32_MAX && !found) {
        return false;
    }
    idx_key(from, cursor->prefix, target);
    found = table_cursor_seek(cursor, span_of(from, sizeof from), &key, &value);
    while (found && (value.data == NULL || !idx_read(key, &walk->at[n]))) {
        found = table_cursor_next(cursor, &key, &value);
    }
    return found;
}

bool
index_walk_next(struct index_walk *walk, uint32_t *record_no_out)
{
    uint32_t target = walk->below - 1;
    size_t agreed = 0;

    for (size_t n = 0; !walk->ended && agreed < walk->count; n = (n + 1) % walk->count) {
        if ((walk->at[n] == UINT32_MAX || walk->at[n] > target) && !walk_to(walk, n, target)) {
            walk->ended = true;
            break;
        }
        if (walk->at[n] < target) {
            target = walk->at[n];
            agreed = 0;
        }
        agreed++;
    }
    if (walk->ended) {
        return false;
    }
    walk->below = target;
    walk->ended = target == 0;
    *record_no_out = target;
    return true;
}

void
index_walk_end(struct index_walk *walk)
{
    for (size_t n = 0; n < walk->count; n++) {
        table_cursor_end(&walk->cursors[n]);
    }
    walk->ended = true;
}
