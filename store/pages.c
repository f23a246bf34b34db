#include "store/pages.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of MDB_page, MDB_node, MDB_db and MDB_meta. */
enum {
    HEAD_BYTES = 16,
    NODE_BYTES = 8,
    TREE_BYTES = 48,
    META_BYTES = 136,
    META_TREES_AT = 24,
    META_LAST_AT = META_TREES_AT + 2 * TREE_BYTES,
    META_VERSION = 1,
    FIRST_PAGE = 2, /* behind the metas */
    FLAG_BRANCH = 1,
    FLAG_LEAF = 2,
    NODE_BIG = 1,
    NODE_TREE = 2,
    KEY_BYTES_MAX = 511,
    VALUE_BYTES_MAX = 17 << 20,
    DEPTH_MAX = 32,
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 32768,
    BIG_SHARE = 64, /* values on pages of their own may be tried for so many times the bytes of the file */
};

static const uint32_t meta_magic = 0xbeefc0de;
static const uint64_t no_page = UINT64_MAX;

struct head {
    uint64_t number;
    uint16_t flags;
    uint16_t lower;
    uint16_t upper;
};

struct tree {
    uint64_t entries;
    uint64_t root;
};

struct node {
    uint16_t flags;
    struct span key;
    struct span value; /* on the page; empty if it is big */
    uint64_t value_bytes;
    uint64_t big; /* its first page */
    size_t bytes; /* on the page */
};

struct pages {
    const struct pages_options *options;
    struct pages_sum *sum;
    size_t page_bytes;
    uint64_t count;
    uint64_t last; /* in use, as the meta says */
    struct tree free_tree;
    struct tree main_tree;
    uint8_t *seen;     /* a bit each: part of a tree, or of a value that was a row */
    uint8_t *free;     /* likewise: on the list of free pages */
    uint8_t *hurt;     /* likewise: in use, and to be searched */
    uint8_t *page;     /* that is searched */
    uint64_t big_left; /* bytes */
    struct buf big;
    enum err err;
};

static bool
bit_get(const uint8_t *bits, uint64_t n)
{
    return (bits[n / 8] >> n % 8 & 1) != 0;
}

static void
bit_set(uint8_t *bits, uint64_t n)
{
    bits[n / 8] |= (uint8_t)(1U << n % 8);
}

/* --- bytes --- */

static uint16_t
u16_at(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t
u32_at(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t
u64_at(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

/* What the disk does not give is zero: it may be a bad sector among good ones. */
static void
read_at(int file, uint64_t at, uint8_t *out, size_t size)
{
    enum { SECTOR_BYTES = 512 };
    size_t step = size;

    memset(out, 0, size);
    for (size_t done = 0; done < size;) {
        ssize_t some = pread(file, out + done, step < size - done ? step : size - done, (off_t)(at + done));

        if (some > 0) {
            done += (size_t)some;
        } else if (some < 0 && errno == EINTR) {
            continue;
        } else if (some < 0 && step > SECTOR_BYTES) {
            step = SECTOR_BYTES;
        } else if (some < 0) {
            memset(out + done, 0, step < size - done ? step : size - done);
            done += step;
        } else {
            break;
        }
    }
}

static void
read_page(const struct pages *pages, uint64_t number, uint8_t *out)
{
    read_at(pages->options->file, number * pages->page_bytes, out, pages->page_bytes);
}

static struct head
head_of(const uint8_t *page)
{
    return (struct head){ u64_at(page), u16_at(page + 10), u16_at(page + 12), u16_at(page + 14) };
}

static struct tree
tree_of(const uint8_t *at)
{
    return (struct tree){ .entries = u64_at(at + 32), .root = u64_at(at + 40) };
}

/* True if the head of a page is one that page `number` of this kind may have. */
static bool
head_is_sane(const struct pages *pages, const uint8_t *page, uint64_t number, unsigned flags)
{
    struct head head = head_of(page);

    return head.number == number && head.flags == flags && head.lower >= HEAD_BYTES && head.lower % 2 == 0 &&
           head.lower <= head.upper && head.upper % 2 == 0 && head.upper <= pages->page_bytes;
}

static size_t
place_count(const uint8_t *page)
{
    return ((size_t)head_of(page).lower - HEAD_BYTES) / 2;
}

static size_t
place_at(const uint8_t *page, size_t n)
{
    return u16_at(page + HEAD_BYTES + 2 * n);
}

/* A row of a leaf at this place of a page. False: none can lie there. */
static bool
node_read(const struct pages *pages, const uint8_t *page, size_t at, struct node *out)
{
    if (at % 2 != 0 || at < HEAD_BYTES || at > pages->page_bytes - NODE_BYTES) {
        return false;
    }
    size_t room = pages->page_bytes - at - NODE_BYTES;
    size_t key_bytes = u16_at(page + at + 6);
    const uint8_t *data = page + at + NODE_BYTES;

    out->flags = u16_at(page + at + 4);
    out->value_bytes = (uint64_t)u16_at(page + at) | (uint64_t)u16_at(page + at + 2) << 16;
    if (key_bytes == 0 || key_bytes > KEY_BYTES_MAX || key_bytes > room || out->flags > NODE_TREE ||
        (out->flags == NODE_TREE && out->value_bytes != TREE_BYTES) || out->value_bytes > VALUE_BYTES_MAX) {
        return false;
    }
    uint64_t here = out->flags == NODE_BIG ? sizeof out->big : out->value_bytes;
    if (here > room - key_bytes) {
        return false;
    }
    out->key = span_of(data, key_bytes);
    out->value = out->flags == NODE_BIG ? span_of(NULL, 0) : span_of(data + key_bytes, (size_t)here);
    out->big = out->flags == NODE_BIG ? u64_at(data + key_bytes) : no_page;
    out->bytes = NODE_BYTES + key_bytes + (size_t)here;
    out->bytes += out->bytes % 2;
    return true;
}

/* True if a leaf is as LMDB makes it: its rows fill it from `upper` to its end. */
static bool
leaf_is_whole(const struct pages *pages, const uint8_t *page, uint64_t number)
{
    size_t bytes = 0;
    struct node node;

    if (!head_is_sane(pages, page, number, FLAG_LEAF)) {
        return false;
    }
    for (size_t n = 0; n < place_count(page); n++) {
        if (place_at(page, n) < head_of(page).upper || !node_read(pages, page, place_at(page, n), &node)) {
            return false;
        }
        bytes += node.bytes;
    }
    return head_of(page).upper + bytes == pages->page_bytes;
}

/* --- values on pages of their own --- */

static uint64_t
big_pages(const struct pages *pages, const struct node *node)
{
    return (HEAD_BYTES + node->value_bytes - 1) / pages->page_bytes + 1;
}

/* Read the value of a row; lent until the next. False: it cannot lie in this file. */
static bool
value_read(struct pages *pages, const struct node *node, struct span *value_out)
{
    if (node->flags != NODE_BIG) {
        *value_out = node->value;
        return true;
    }
    if (node->big < FIRST_PAGE || node->big >= pages->count ||
        big_pages(pages, node) > pages->count - node->big || node->value_bytes > pages->big_left) {
        return false;
    }
    pages->big_left -= node->value_bytes;
    buf_clear(&pages->big);
    uint8_t *at = buf_extend(&pages->big, (size_t)node->value_bytes);
    if (at == NULL) {
        pages->err = ERR_MEMORY;
        return false;
    }
    read_at(pages->options->file, node->big * pages->page_bytes + HEAD_BYTES, at, (size_t)node->value_bytes);
    *value_out = buf_span(&pages->big);
    return true;
}

/* Give what may be a row. True if it is one. */
static bool
give(struct pages *pages, const struct node *node, size_t table, bool current)
{
    struct pages_row row = { .table = table, .current = current, .key = node->key };

    if (node->flags == NODE_TREE || !value_read(pages, node, &row.value) ||
        !pages->options->row(pages->options->self, &row)) {
        return false;
    }
    for (uint64_t n = 0; node->flags == NODE_BIG && n < big_pages(pages, node); n++) {
        bit_set(pages->seen, node->big + n);
    }
    pages->sum->rows++;
    return true;
}

/* The rows that a leaf points to. */
static void
give_leaf(struct pages *pages, const uint8_t *page, size_t table, bool current)
{
    struct node node;

    for (size_t n = 0; n < place_count(page); n++) {
        if (node_read(pages, page, place_at(page, n), &node) && node.flags != NODE_TREE) {
            pages->sum->places++;
            (void)give(pages, &node, table, current);
        }
    }
}

/* --- trees --- */

struct walk {
    size_t table;
    /* Of a leaf that is whole. */
    void (*leaf)(struct pages *pages, const uint8_t *page, size_t table);
    bool whole; /* all of it was as it must be */
};

static bool
take_page(struct pages *pages, uint64_t number)
{
    if (number < FIRST_PAGE || number >= pages->count || bit_get(pages->seen, number)) {
        return false;
    }
    if (bit_get(pages->free, number)) {
        pages->sum->free_known = false; /* one of the two is wrong, and nobody can tell which */
        return false;
    }
    return true;
}

static void
walk_page(struct pages *pages, struct walk *walk, uint64_t number, int depth)
{
    if (pages->err != ERR_OK || depth == 0 || !take_page(pages, number)) {
        walk->whole = false;
        return;
    }
    uint8_t *page = malloc(pages->page_bytes);
    if (page == NULL) {
        pages->err = ERR_MEMORY;
        return;
    }
    read_page(pages, number, page);
    if (leaf_is_whole(pages, page, number)) {
        bit_set(pages->seen, number);
        walk->leaf(pages, page, walk->table);
    } else if (head_is_sane(pages, page, number, FLAG_BRANCH)) {
        bool good = true;

        bit_set(pages->seen, number);
        for (size_t n = 0; n < place_count(page); n++) {
            size_t at = place_at(page, n);

            if (at % 2 != 0 || at < head_of(page).upper || at > pages->page_bytes - NODE_BYTES) {
                good = false;
                continue;
            }
            uint64_t child = (uint64_t)u16_at(page + at) | (uint64_t)u16_at(page + at + 2) << 16 |
                             (uint64_t)u16_at(page + at + 4) << 32;
            walk_page(pages, walk, child, depth - 1);
        }
        walk->whole = walk->whole && good;
        pages->sum->damaged += !good;
    } else {
        walk->whole = false; /* it is searched later */
    }
    free(page);
}

static bool
walk_tree(struct pages *pages, const struct tree *tree, size_t table,
          void (*leaf)(struct pages *pages, const uint8_t *page, size_t table))
{
    struct walk walk = { .table = table, .leaf = leaf, .whole = true };

    if (tree->root == no_page && tree->entries == 0) {
        return true;
    }
    walk_page(pages, &walk, tree->root, DEPTH_MAX);
    return walk.whole;
}

/* --- the list of free pages --- */

/* A row of it: the transaction that gave them up; their count, then their numbers. */
static void
note_free(struct pages *pages, const uint8_t *page, size_t table)
{
    struct node node;
    struct span list;

    (void)table;
    for (size_t n = 0; n < place_count(page); n++) {
        uint64_t before = no_page;
        bool good = node_read(pages, page, place_at(page, n), &node) && node.flags != NODE_TREE &&
                    node.key.size == sizeof(uint64_t) && value_read(pages, &node, &list) &&
                    list.size >= sizeof(uint64_t) && u64_at(list.data) <= list.size / sizeof(uint64_t) - 1;
        uint64_t count = good ? u64_at(list.data) : 0;

        for (uint64_t k = 1; good && k <= count; k++) {
            uint64_t number = u64_at(list.data + k * sizeof number);

            /* From the last to the first, each once. */
            good = number >= FIRST_PAGE && number <= pages->last && number < before &&
                   (number >= pages->count || !bit_get(pages->free, number));
            if (good && number < pages->count) {
                bit_set(pages->free, number);
            }
            before = number;
        }
        for (uint64_t k = 0; good && node.flags == NODE_BIG && k < big_pages(pages, &node); k++) {
            bit_set(pages->seen, node.big + k);
        }
        pages->free_tree.entries -= good;
        pages->sum->free_known = pages->sum->free_known && good;
    }
}

static void
read_free(struct pages *pages)
{
    if (pages->sum->free_known && !walk_tree(pages, &pages->free_tree, 0, note_free)) {
        pages->sum->free_known = false;
    }
    /* Each row of it was counted down. */
    pages->sum->free_known = pages->sum->free_known && pages->free_tree.entries == 0;
    for (uint64_t n = FIRST_PAGE; pages->sum->free_known && n < pages->count; n++) {
        pages->sum->free_known = !(bit_get(pages->free, n) && bit_get(pages->seen, n));
    }
    if (!pages->sum->free_known) {
        memset(pages->free, 0, (size_t)(pages->count / 8 + 1));
    }
}

/* --- the table of tables --- */

static void
give_reached(struct pages *pages, const uint8_t *page, size_t table)
{
    give_leaf(pages, page, table, true);
}

static void
read_table(struct pages *pages, const struct node *node)
{
    for (size_t table = 0; table < pages->options->table_count; table++) {
        if (span_equal(node->key, span_text(pages->options->tables[table]))) {
            struct tree tree = tree_of(node->value.data);

            if (!pages->sum->expected_known[table]) {
                pages->sum->expected_known[table] = true;
                pages->sum->expected[table] = tree.entries;
                (void)walk_tree(pages, &tree, table, give_reached);
            }
            return;
        }
    }
}

static void
read_tables(struct pages *pages, const uint8_t *page, size_t table)
{
    struct node node;

    (void)table;
    for (size_t n = 0; n < place_count(page); n++) {
        if (node_read(pages, page, place_at(page, n), &node) && node.flags == NODE_TREE) {
            read_table(pages, &node);
        }
    }
}

/* --- metas --- */

/* Read one of the two metas. False: it is none. */
static bool
meta_read(struct pages *pages, int file, uint64_t bytes, unsigned number, size_t page_bytes,
          uint64_t *txn_out)
{
    uint8_t page[HEAD_BYTES + META_BYTES];
    const uint8_t *meta = page + HEAD_BYTES;

    if ((number + 1) * page_bytes > bytes) {
        return false;
    }
    read_at(file, number * page_bytes, page, sizeof page);
    size_t said = u32_at(meta + META_TREES_AT);
    uint64_t txn = u64_at(meta + META_LAST_AT + 8);
    if (u32_at(meta) != meta_magic || u32_at(meta + 4) != META_VERSION || said < PAGE_BYTES_MIN ||
        said > PAGE_BYTES_MAX || (said & (said - 1)) != 0 || (number > 0 && said != page_bytes) ||
        (txn > 0 && txn % 2 != number)) {
        return false;
    }
    pages->page_bytes = said;
    pages->free_tree = tree_of(meta + META_TREES_AT);
    pages->main_tree = tree_of(meta + META_TREES_AT + TREE_BYTES);
    pages->last = u64_at(meta + META_LAST_AT);
    *txn_out = txn;
    return true;
}

/* The newer of the metas, as LMDB takes it. The second lies where the size of a page says, which the first may not tell any more. */
static void
read_metas(struct pages *pages, uint64_t bytes)
{
    struct pages first = *pages;
    uint64_t first_txn = 0;
    uint64_t txn = 0;
    size_t usual = (size_t)sysconf(_SC_PAGESIZE);
    bool first_known = meta_read(&first, pages->options->file, bytes, 0, PAGE_BYTES_MIN, &first_txn);
    bool known = false;

    for (size_t n = PAGE_BYTES_MIN; n <= PAGE_BYTES_MAX && !known; n *= 2) {
        if (!first_known || n == first.page_bytes) {
            known = meta_read(pages, pages->options->file, bytes, 1, n, &txn);
        }
    }
    if (first_known && (!known || first_txn > txn)) {
        *pages = first;
    } else if (!known) {
        pages->page_bytes = usual >= PAGE_BYTES_MIN && usual <= PAGE_BYTES_MAX ? usual : 4096;
        pages->last = no_page;
    }
    pages->sum->meta_known = first_known || known;
    /* The one that is lost may have been the newer. */
    pages->sum->free_known = first_known && known;
}

/* --- every other page --- */

static bool
is_in_use(const struct pages *pages, uint64_t number)
{
    return !pages->sum->free_known || (number <= pages->last && !bit_get(pages->free, number));
}

/* Pages that no way led to: those that are whole give their rows now, the others are searched later. */
static void
read_apart(struct pages *pages)
{
    for (uint64_t number = FIRST_PAGE; number < pages->count && pages->err == ERR_OK; number++) {
        bool used = is_in_use(pages, number);

        pages->sum->in_use += used;
        if (!used || bit_get(pages->seen, number)) {
            continue;
        }
        read_page(pages, number, pages->page);
        if (leaf_is_whole(pages, pages->page, number)) {
            pages->sum->apart++;
            give_leaf(pages, pages->page, pages->options->table_count, pages->sum->free_known);
        } else if (head_is_sane(pages, pages->page, number, FLAG_BRANCH)) {
            pages->sum->apart++;
        } else {
            bit_set(pages->hurt, number);
        }
    }
}

/* First where the page says that its rows are; then everywhere, from its end on: LMDB moves rows towards that, and what it leaves of them lies
 * before them. */
static void
search_page(struct pages *pages)
{
    struct node node;

    if (head_is_sane(pages, pages->page, head_of(pages->page).number, head_of(pages->page).flags)) {
        give_leaf(pages, pages->page, pages->options->table_count, false);
    }
    for (size_t at = pages->page_bytes - NODE_BYTES; at >= HEAD_BYTES && pages->err == ERR_OK; at -= 2) {
        if (node_read(pages, pages->page, at, &node)) {
            (void)give(pages, &node, pages->options->table_count, false);
        }
    }
}

/* A page may have become part of a value that was a row meanwhile. */
static void
search_hurt(struct pages *pages)
{
    for (uint64_t number = FIRST_PAGE; number < pages->count && pages->err == ERR_OK; number++) {
        if (bit_get(pages->hurt, number) && !bit_get(pages->seen, number)) {
            pages->sum->damaged++;
            read_page(pages, number, pages->page);
            search_page(pages);
        }
    }
}

static bool
make_room(struct pages *pages)
{
    size_t bytes = (size_t)(pages->count / 8 + 1);

    pages->seen = calloc(bytes, 1);
    pages->free = calloc(bytes, 1);
    pages->hurt = calloc(bytes, 1);
    pages->page = malloc(pages->page_bytes);
    return pages->seen != NULL && pages->free != NULL && pages->hurt != NULL && pages->page != NULL;
}

enum err
pages_read(const struct pages_options *options, struct pages_sum *sum_out)
{
    struct pages pages = { .options = options, .sum = sum_out, .err = ERR_OK };
    struct stat info;

    assert(options->table_count <= PAGES_TABLES_MAX);
    memset(sum_out, 0, sizeof *sum_out);
    if (fstat(options->file, &info) != 0) {
        return ERR_IO;
    }
    uint64_t bytes = (uint64_t)info.st_size;
    read_metas(&pages, bytes);
    /* A last page that was cut off is read as far as it goes. */
    pages.count = (bytes + pages.page_bytes - 1) / pages.page_bytes;
    sum_out->pages = pages.count;
    sum_out->cut_short = sum_out->meta_known && (pages.last >= pages.count || bytes % pages.page_bytes != 0);
    pages.big_left = bytes > UINT64_MAX / BIG_SHARE ? UINT64_MAX : bytes * BIG_SHARE;
    if (pages.count <= FIRST_PAGE) {
        return ERR_CORRUPT;
    }
    if (!make_room(&pages)) {
        pages.err = ERR_MEMORY;
    }
    if (pages.err == ERR_OK) {
        read_free(&pages);
    }
    if (pages.err == ERR_OK && sum_out->meta_known) {
        (void)walk_tree(&pages, &pages.main_tree, 0, read_tables);
    }
    if (pages.err == ERR_OK) {
        read_apart(&pages);
        search_hurt(&pages);
    }
    free(pages.seen);
    free(pages.free);
    free(pages.hurt);
    free(pages.page);
    buf_free(&pages.big);
    return pages.err;
}
