/* vectors.c - the formats, held to tests/data/vectors.
 *
 * Each file is made again from what it states as given, and compared line by line. What a compressor
 * writes may change with its version, so a compressed payload is taken from the file and must open.
 * `unit-vectors FILE` prints what the file should hold.
 */
#include "tests/support/check.h"
#include "tests/support/entries.h"

#include "store/base/cbor.h"
#include "store/base/pack.h"
#include "store/base/world.h"
#include "store/change.h"
#include "sync/backup.h"
#include "sync/bundle.h"
#include "sync/envelope.h"
#include "store/blob.h"
#include "store/codebook.h"
#include "sync/frontier.h"
#include "sync/keyring.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 96, NAME_BYTES_MAX = 64, FILE_BYTES_MAX = 1 << 16 };

/* A vector file in memory: named values, in order. */
struct vectors {
    size_t count;
    struct {
        char name[NAME_BYTES_MAX];
        struct buf value;
    } lines[LINES_MAX];
};

static void
add(struct vectors *vectors, const char *name, struct span value)
{
    assert(vectors->count < LINES_MAX);
    (void)snprintf(vectors->lines[vectors->count].name, NAME_BYTES_MAX, "%s", name);
    buf_put_span(&vectors->lines[vectors->count].value, value);
    vectors->count++;
}

static struct span
value_of(const struct vectors *vectors, const char *name)
{
    for (size_t n = 0; n < vectors->count; n++) {
        if (strcmp(vectors->lines[n].name, name) == 0) {
            return buf_span(&vectors->lines[n].value);
        }
    }
    return (struct span){ 0 };
}

static void
vectors_free(struct vectors *vectors)
{
    for (size_t n = 0; n < vectors->count; n++) {
        buf_free(&vectors->lines[n].value);
    }
    vectors->count = 0;
}

/* Read the file `name`.hex: lines of "name: hex", comments after '#', empty lines. False: there is none. */
static bool
vectors_read(struct vectors *vectors, const char *name)
{
    static char text[FILE_BYTES_MAX];
    const char *source = getenv("VIGIL_SOURCE");
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/tests/data/vectors/%s.hex", source == NULL ? "." : source, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    while (fgets(text, sizeof text, file) != NULL) {
        char *colon = strstr(text, ": ");
        text[strcspn(text, "\n")] = '\0';
        if (text[0] == '#' || text[0] == '\0') {
            continue;
        }
        assert(colon != NULL);
        *colon = '\0';
        static uint8_t value[FILE_BYTES_MAX / 2];
        size_t size = strlen(colon + 2) / 2;
        assert(bytes_from_hex(value, size, colon + 2));
        add(vectors, text, span_of(value, size));
    }
    assert(fclose(file) == 0);
    return true;
}

/* --- what is given --- */

/* `size` bytes that count up from `first`. */
static void
count_up(uint8_t *out, size_t size, uint8_t first)
{
    for (size_t n = 0; n < size; n++) {
        out[n] = (uint8_t)(first + n);
    }
}

/* The author of all vectors. */
static void
author_init(struct test_author *author)
{
    uint8_t seed[32];
    struct key epoch_key;
    struct key protected_key;

    assert(crypto_start() == ERR_OK);
    *author = (struct test_author){ 0 };
    count_up(seed, sizeof seed, 0x00);
    crypto_sign_pair_from_seed(&author->sign, seed);
    memcpy(author->descriptor.sign_pk, author->sign.public_key, SIGN_PK_BYTES);
    count_up(author->descriptor.incarnation, 8, 0xa0);
    count_up(author->descriptor.compartment.bytes, IDENT_BYTES, 0xb0);
    author->descriptor.lane = LANE_NORMAL;
    descriptor_log_id(&author->descriptor, &author->log_id);
    count_up(epoch_key.bytes, KEY_BYTES, 0x40);
    epoch_keys_of(&author->epoch, &epoch_key);
    count_up(protected_key.bytes, KEY_BYTES, 0x60);
    record_key_case(&author->record_key, &protected_key);
    record_key_id(&author->record_id, &author->record_key);
    record_key_erase(&author->erase_key, &author->record_key);
}

static void
entry_init(struct entry *entry, const struct test_author *author, uint64_t seq, const struct hash *prev)
{
    *entry = (struct entry){ .kind = ENTRY_DATA, .lane = LANE_NORMAL, .seq = seq };
    if (prev != NULL) {
        entry->prev = *prev;
    }
    count_up(entry->epoch, sizeof entry->epoch, 0xc0);
    count_up(entry->salt, sizeof entry->salt, (uint8_t)(0xd0 + 8 * seq));
    entry_reference_make(entry, &author->log_id, &author->epoch, &author->record_id, &author->erase_key);
}

/* A title, and a status that replaces two others. */
static void
put_payload(struct buf *out)
{
    uint8_t prefix[6];
    uint8_t tag[4];

    count_up(prefix, sizeof prefix, 0x10);
    count_up(tag, sizeof tag, 0x20);
    cbor_put_map(out, 4);
    cbor_put_uint(out, 0);
    cbor_put_uint(out, SCHEMA);
    cbor_put_uint(out, 1);
    cbor_put_uint(out, UINT64_C(1774000000000) << 16 | 5);
    cbor_put_uint(out, 3);
    cbor_put_array(out, 2);
    cbor_put_array(out, 4);
    cbor_put_uint(out, 1);
    cbor_put_uint(out, 101);
    cbor_put_array(out, 0);
    cbor_put_text(out, span_text("The family left home after the police visit."));
    cbor_put_array(out, 4);
    cbor_put_uint(out, 1);
    cbor_put_uint(out, 118);
    cbor_put_array(out, 2);
    cbor_put_array(out, 2);
    cbor_put_uint(out, 3);
    cbor_put_uint(out, 0);
    cbor_put_array(out, 4);
    cbor_put_bytes(out, span_of(prefix, sizeof prefix));
    cbor_put_uint(out, 700);
    cbor_put_uint(out, 1);
    cbor_put_bytes(out, span_of(tag, sizeof tag));
    cbor_put_uint(out, 4);
    cbor_put_uint(out, 4);
    cbor_put_uint(out, 7);
}

/* --- the files --- */

static void
make_contexts(struct vectors *out, const struct vectors *stated)
{
    static const char *const contexts[] = {
        "vigil.stm.v1",     "vigil.dev.v1",     "vigil.log.v1",     "vigil.hdr.v1",     "vigil.pay.v1",
        "vigil.pky.v1",     "vigil.eky.v1",     "vigil.rky.v1",     "vigil.nonce.v1",   "vigil.ref.v1",
        "vigil.kcs.v1",     "vigil.rid.v1",     "vigil.era.v1",     "vigil.mem.v1",     "vigil.ekc.v1",
        "vigil.lnk.v1",     "vigil.front.v1",   "vigil.list.v1",    "vigil.bak.key.v1", "vigil.bak.com.v1",
        "vigil.bak.sum.v1", "vigil.bak.pas.v1", "vigil.cbk.v1",     "vigil.req.v1",     "vigil.wel.v1",
        "vigil.view.v1",    "vigil.dic.v1",     "vigil.pop.v1",     "vigil.fro.v1",     "vigil.frs.v1",
        "vigil.prt.v1",     "vigil.ptl.v1",     "vigil.imp.key.v1", "vigil.imp.row.v1", "vigil.imp.elt.v1",
        "vigil.ver.v1",     "vigil.vpg.v1",     "vigil.snp.v1",     "vigil.bdl.hed.v1", "vigil.bdl.key.v1",
        "vigil.bdl.man.v1", "vigil.bdl.tip.v1", "vigil.blk.v1",     "vigil.blc.v1",     "vigil.blp.v1",
        "vigil.blb.v1",
    };
    static const char *const prefixes[] = { "VIGIL1STMT",   "VIGIL1ENTRY",    "VIGIL1REQUEST",
                                            "VIGIL1DEVICE", "VIGIL1FRONTIER", "VIGIL1BUNDLE" };
    struct test_author author;
    uint8_t input[3];
    uint8_t seed[32];
    uint8_t signature[SIGNATURE_BYTES];
    struct hash hash;

    (void)stated;
    author_init(&author);
    count_up(input, sizeof input, 0);
    count_up(seed, sizeof seed, 0);
    add(out, "input", span_of(input, sizeof input));
    for (size_t n = 0; n < sizeof contexts / sizeof contexts[0]; n++) {
        CRYPTO_HASH(&hash, contexts[n], span_of(input, sizeof input));
        add(out, contexts[n], hash_span(&hash));
    }
    CRYPTO_HASH(&hash, "vigil.hdr.v1", span_of(input, sizeof input));
    add(out, "sign seed", span_of(seed, sizeof seed));
    add(out, "sign_pk", span_of(author.sign.public_key, SIGN_PK_BYTES));
    add(out, "signed id", hash_span(&hash));
    for (size_t n = 0; n < sizeof prefixes / sizeof prefixes[0]; n++) {
        crypto_sign_id(signature, &author.sign, prefixes[n], &hash);
        add(out, prefixes[n], span_of(signature, sizeof signature));
    }
}

static void
make_descriptor(struct vectors *out, const struct vectors *stated)
{
    struct test_author author;
    uint8_t descriptor[DESCRIPTOR_BYTES];
    struct hash device_id;

    (void)stated;
    author_init(&author);
    descriptor_write(descriptor, &author.descriptor);
    device_id_of(author.descriptor.sign_pk, &device_id);
    add(out, "sign_pk", span_of(author.descriptor.sign_pk, SIGN_PK_BYTES));
    add(out, "incarnation", span_of(author.descriptor.incarnation, 8));
    add(out, "compartment_id", ident_span(&author.descriptor.compartment));
    add(out, "lane", span_of(&author.descriptor.lane, 1));
    add(out, "descriptor", span_of(descriptor, sizeof descriptor));
    add(out, "log_id", hash_span(&author.log_id));
    add(out, "device_id", hash_span(&device_id));
}

static void
make_record_keys(struct vectors *out, const struct vectors *stated)
{
    struct test_author author;
    struct key protected_key;
    struct key protected_erase_key;
    struct key payload_key;
    struct entry entry;
    uint8_t place[32 + 40 + 8];
    struct hash nonce;

    (void)stated;
    author_init(&author);
    count_up(protected_key.bytes, KEY_BYTES, 0x60);
    record_key_erase(&protected_erase_key, &protected_key);
    const struct span parts[] = { span_of(author.epoch.epoch.bytes, KEY_BYTES),
                                  span_of(author.record_key.bytes, KEY_BYTES) };
    crypto_derive(&payload_key, "vigil.pky.v1", parts, 2);
    entry_init(&entry, &author, 0, NULL);
    memset(place, 0, sizeof place);
    memcpy(place, author.log_id.bytes, HASH_BYTES);
    memcpy(place + 72, entry.salt, 8);
    add(out, "R_protected", span_of(protected_key.bytes, KEY_BYTES));
    add(out, "R_case", span_of(author.record_key.bytes, KEY_BYTES));
    add(out, "record_id", ident_span(&author.record_id));
    add(out, "erase_key of R_protected", span_of(protected_erase_key.bytes, KEY_BYTES));
    add(out, "erase_key of R_case", span_of(author.erase_key.bytes, KEY_BYTES));
    add(out, "E", span_of(author.epoch.epoch.bytes, KEY_BYTES));
    add(out, "reference key of E", span_of(author.epoch.reference.bytes, KEY_BYTES));
    add(out, "other key of E", span_of(author.epoch.other.bytes, KEY_BYTES));
    add(out, "payload key of E and R_case", span_of(payload_key.bytes, KEY_BYTES));
    add(out, "log_id, seq 0, prev, salt", span_of(place, sizeof place));
    CRYPTO_HASH(&nonce, "vigil.nonce.v1", span_of(place, sizeof place));
    add(out, "payload nonce", span_of(nonce.bytes, NONCE_BYTES));
    CRYPTO_HASH(&nonce, "vigil.ref.v1", span_of(place, sizeof place));
    add(out, "reference nonce", span_of(nonce.bytes, NONCE_BYTES));
    add(out, "record reference", span_of(entry.reference, 8));
    add(out, "membership tag", span_of(entry.reference + 8, 8));
}

/* Seal `plain` as entry 0, and put down all that comes of it. */
static void
add_sealed(struct vectors *out, const char *form, unsigned flags, struct span plain, struct span payload)
{
    struct test_author author;
    struct entry entry;
    struct buf sealed = { 0 };
    struct buf opened = { 0 };
    char name[NAME_BYTES_MAX];
    uint8_t header[HEADER_BYTES];

    author_init(&author);
    entry_init(&entry, &author, 0, NULL);
    /* Each form has a salt, and so a nonce, of its own. */
    count_up(entry.salt, sizeof entry.salt, (uint8_t)(0x30 + 0x10 * flags));
    entry_reference_make(&entry, &author.log_id, &author.epoch, &author.record_id, &author.erase_key);
    entry.flags = (uint8_t)flags;
    test_seal_raw(&entry, &author, plain, &sealed);
    assert(entry_open(&entry, &author.log_id, &author.epoch, &author.record_key, &opened) == FAULT_NONE);
    assert(span_equal(buf_span(&opened), payload));
    entry_header_write(header, &entry);
    (void)snprintf(name, sizeof name, "%s plaintext", form);
    add(out, name, plain);
    (void)snprintf(name, sizeof name, "%s ciphertext", form);
    add(out, name, entry.payload);
    (void)snprintf(name, sizeof name, "%s header", form);
    add(out, name, span_of(header, sizeof header));
    (void)snprintf(name, sizeof name, "%s entry_id", form);
    add(out, name, hash_span(&entry.id));
    buf_free(&sealed);
    buf_free(&opened);
}

static void
make_payload(struct vectors *out, const struct vectors *stated)
{
    struct buf payload = { 0 };
    struct buf packed = { 0 };
    struct hash dictionary;
    uint8_t padded[128] = { 0 };

    put_payload(&payload);
    buf_put_span(&packed, value_of(stated, "compressed plaintext"));
    if (packed.size == 0) {
        buf_put_varint(&packed, PACK_MAJOR);
        pack_compress(buf_span(&payload), &packed);
    }
    assert(packed.size < payload.size);
    assert(packed.size < sizeof padded);
    memcpy(padded, packed.data, packed.size);
    padded[packed.size] = 0x80;
    CRYPTO_HASH(&dictionary, "vigil.dic.v1", pack_dictionary());
    add(out, "dictionary of major 1", hash_span(&dictionary));
    add_sealed(out, "plain", 0, buf_span(&payload), buf_span(&payload));
    add_sealed(out, "compressed", ENTRY_COMPRESSED, buf_span(&packed), buf_span(&payload));
    add_sealed(out, "padded", ENTRY_COMPRESSED | ENTRY_PADDED, span_of(padded, sizeof padded),
               buf_span(&payload));
    struct change_receipt receipt = {
        .hlc = UINT64_C(0x019d0aa3cc000005), .stage = RECEIPT_DONE, .erased = 300, .unread = 1, .late = 2
    };
    count_up(receipt.order.bytes, IDENT_BYTES, 0x10);
    buf_clear(&payload);
    assert(change_encode_receipt(&receipt, &payload) == ERR_OK);
    add(out, "receipt plaintext", buf_span(&payload));
    buf_free(&payload);
    buf_free(&packed);
}

static void
make_entry(struct vectors *out, const struct vectors *stated)
{
    struct test_author author;
    struct entry entry;
    struct hash prev;
    uint8_t header[HEADER_BYTES];
    uint8_t signature[SIGNATURE_BYTES];

    (void)stated;
    author_init(&author);
    count_up(prev.bytes, HASH_BYTES, 0x80);
    entry_init(&entry, &author, UINT64_C(0x0102030405060708), &prev);
    entry.kind = ENTRY_RECEIPT;
    entry.flags = ENTRY_NAMES_BLOBS | ENTRY_URGENT_HINT;
    entry.payload_size = 0x4567;
    entry_hash_payload(&entry.payload_hash, span_text("ciphertext"));
    entry_identify(&entry, &author.log_id);
    entry_header_write(header, &entry);
    entry_sign(signature, &entry.id, &author.sign);
    add(out, "log_id", hash_span(&author.log_id));
    add(out, "hashed in place of a payload", span_text("ciphertext"));
    add(out, "header", span_of(header, sizeof header));
    add(out, "entry_id", hash_span(&entry.id));
    add(out, "sign_pk", span_of(author.sign.public_key, SIGN_PK_BYTES));
    add(out, "signature", span_of(signature, sizeof signature));
}

static void
make_chunk(struct vectors *out, const struct vectors *stated)
{
    static struct chunk chunk;
    static const struct hash nothing;
    struct test_author author;
    struct entry entries[3];
    struct buf sealed[3] = { { 0 } };
    struct buf bytes = { 0 };
    uint8_t plain[3] = { 0xa1, 0x00, 0x01 };

    (void)stated;
    author_init(&author);
    for (size_t n = 0; n < 3; n++) {
        entry_init(&entries[n], &author, n, n == 0 ? NULL : &entries[n - 1].id);
        if (n == 2) {
            count_up(entries[n].epoch, sizeof entries[n].epoch, 0xe0);
        }
        plain[2] = (uint8_t)n;
        test_seal_raw(&entries[n], &author, span_of(plain, sizeof plain), &sealed[n]);
        add(out, n == 0 ? "entry_id 0" : n == 1 ? "entry_id 1" : "entry_id 2", hash_span(&entries[n].id));
    }
    entries[1].payload = (struct span){ 0 };
    test_author_chunk(&author, entries, 3, &bytes);
    add(out, "chunk", buf_span(&bytes));
    assert(test_receive(&author.descriptor, &nothing, buf_span(&bytes), &chunk) == CHUNK_OK);
    assert(hash_equal(&chunk.entries[2].id, &entries[2].id));
    buf_clear(&bytes);
    test_author_chunk(&author, entries + 1, 2, &bytes);
    add(out, "chunk without its first", buf_span(&bytes));
    for (size_t n = 0; n < 3; n++) {
        buf_free(&sealed[n]);
    }
    buf_free(&bytes);
}

/* The worked example of the formats page, and the id of what is embedded. */
static void
make_codebook(struct vectors *out, const struct vectors *before)
{
    static const struct codebook_kind kinds[] = { { 1, "case", "Case" } };
    static const struct codebook_collection collections[] = { { 6, "act", "Acts", 2, 0, LEVEL_L1 } };
    static const struct codebook_value values[] = { { 1, 0, "red", "Red", 0 } };
    static const struct codebook_vocabulary vocabularies[] = { { 1, "colour", "Colour", values, 1, 0, NULL,
                                                                 0 } };
    static const struct codebook_field fields[] = {
        { 1, "record_kind", "Kind", 0, 2, TYPE_CODE, 1, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
        { 2, "act.date", "Date", 6, 2, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, FIELD_INDEXED, 0, 0 }
    };
    const struct codebook small = { 1, "small", kinds, 1, fields, 2, collections, 1, vocabularies, 1 };
    struct buf bytes = { 0 };
    struct hash id;

    (void)before;
    codebook_encode(&small, &bytes);
    add(out, "codebook", buf_span(&bytes));
    CRYPTO_HASH(&id, "vigil.cbk.v1", buf_span(&bytes));
    add(out, "codebook id", hash_span(&id));
    buf_clear(&bytes);
    codebook_encode(codebook_reprisals(), &bytes);
    CRYPTO_HASH(&id, "vigil.cbk.v1", buf_span(&bytes));
    add(out, "reprisals codebook id", hash_span(&id));
    buf_free(&bytes);
}

/* Three tips: of one log the only one, of another two that part at seq 4. */
static void
make_frontier(struct vectors *out, const struct vectors *before)
{
    struct frontier frontier = { 0 };
    struct tip one = { .seq = 300 };
    struct tip two[2] = { { .seq = 9, .branch_first = 4 }, { .seq = 5, .branch_first = 4 } };
    uint8_t slices[SLICE_COUNT * SHORT_BYTES];

    (void)before;
    count_up(one.log_id.bytes, HASH_BYTES, 0x20);
    count_up(one.entry_id.bytes, HASH_BYTES, 0x80);
    for (uint8_t n = 0; n < 2; n++) {
        count_up(two[n].log_id.bytes, HASH_BYTES, 0x00);
        count_up(two[n].entry_id.bytes, HASH_BYTES, (uint8_t)(0xa0 + 0x10 * n));
        count_up(two[n].branch_id, SHORT_BYTES, (uint8_t)(0xc0 + 0x10 * n));
    }
    assert(frontier_set(&frontier, &one) == ERR_OK);
    add(out, "digest of one tip", span_of(frontier_digest(&frontier), DIGEST_BYTES));
    add(out, "list id of one tip", span_of(frontier_list_id(&frontier), SHORT_BYTES));
    assert(frontier_set_log(&frontier, &two[0].log_id, two, 2) == ERR_OK);
    add(out, "digest", span_of(frontier_digest(&frontier), DIGEST_BYTES));
    add(out, "list id", span_of(frontier_list_id(&frontier), SHORT_BYTES));
    frontier_slices(&frontier, slices);
    add(out, "slices", span_of(slices, sizeof slices));
    frontier_free(&frontier);
}

/* What an epoch says of its key, and its parent's key as a link seals it: from the definition. */
static void
make_epoch(struct vectors *out, const struct vectors *before)
{
    struct ident compartment;
    struct hash parent_id;
    struct hash commits[2];
    struct key keys[2];
    struct hash hash;
    struct nonce nonce;
    uint8_t link[KEY_BYTES + SEAL_BYTES];
    struct buf associated = { 0 };

    (void)before;
    count_up(compartment.bytes, IDENT_BYTES, 0xb0);
    count_up(parent_id.bytes, HASH_BYTES, 0xc0);
    for (uint8_t n = 0; n < 2; n++) {
        count_up(keys[n].bytes, KEY_BYTES, (uint8_t)(0x40 + 0x20 * n));
        epoch_commit(&commits[n], &compartment, n + 1, &keys[n]);
        add(out, n == 0 ? "commit of number 1" : "commit of number 2", hash_span(&commits[n]));
    }
    buf_put_span(&associated, ident_span(&compartment));
    buf_put_span(&associated, hash_span(&parent_id));
    buf_put_span(&associated, hash_span(&commits[1]));
    CRYPTO_HASH(&hash, "vigil.lnk.v1", buf_span(&associated));
    memcpy(nonce.bytes, hash.bytes, sizeof nonce.bytes);
    crypto_seal(link, &keys[1], &nonce, buf_span(&associated), span_of(keys[0].bytes, KEY_BYTES));
    add(out, "link", span_of(link, sizeof link));
    buf_free(&associated);
}

/* Randomness that counts up from where it ended. */
static void
draw_count(void *self, void *out, size_t size)
{
    uint8_t *next = self;

    count_up(out, size, *next);
    *next = (uint8_t)(*next + size);
}

static enum err
append(void *self, struct span bytes)
{
    buf_put_span(self, bytes);
    return ERR_OK;
}

static void
make_backup(struct vectors *out, const struct vectors *stated)
{
    static const struct vault_work work = { .passes = 1, .memory_bytes = 64 << 20 };
    uint8_t next = 0x01;
    const struct world world = { .self = &next, .random = draw_count };
    struct test_author author;
    struct stream_recipient recipients[2];
    struct stream_header header;
    struct stream_writer *writer = NULL;
    struct key file_key;
    struct key_pair box;
    struct ident pair_id;
    struct buf file = { 0 };
    struct buf key_file = { 0 };
    struct buf key = { 0 };
    enum err err;

    (void)stated;
    author_init(&author);
    count_up(file_key.bytes, KEY_BYTES, 0x50);
    count_up(pair_id.bytes, IDENT_BYTES, 0xf0);
    crypto_box_pair_of_sign_pair(&box, &author.sign);
    err = stream_recipient_of_passphrase(&recipients[0], span_text("the kettle sings"), &work, &world);
    assert(err == ERR_OK);
    stream_recipient_of_key(&recipients[1], box.public_key);
    err = stream_header_make(&header, STREAM_KEYS, &pair_id, &file_key, recipients, 2, &world);
    assert(err == ERR_OK);
    err = stream_writer_open(&writer, &header, &file_key, (struct stream_output){ &file, append });
    assert(err == ERR_OK);
    size_t header_size = file.size;
    err = stream_write(writer, span_text("what it holds"));
    assert(err == ERR_OK);
    err = stream_writer_end(writer);
    assert(err == ERR_OK);
    stream_writer_close(&writer);
    err = backup_key_write(&key_file, &pair_id, &file_key, box.public_key, &world);
    assert(err == ERR_OK);
    bool read = armour_read(buf_span(&key_file), "VIGIL BACKUP KEY 1", &key);
    assert(read);
    add(out, "file key", span_of(file_key.bytes, KEY_BYTES));
    add(out, "pair_id", ident_span(&pair_id));
    add(out, "passphrase", span_text("the kettle sings"));
    add(out, "public key of the passphrase", span_of(recipients[0].public_key, 32));
    add(out, "office_pk", span_of(author.sign.public_key, SIGN_PK_BYTES));
    add(out, "its X25519 form", span_of(box.public_key, 32));
    add(out, "header", span_of(file.data, header_size));
    add(out, "text", span_text("what it holds"));
    add(out, "last block", span_of(file.data + header_size, file.size - header_size));
    add(out, "key file in its armour", buf_span(&key));
    buf_free(&file);
    buf_free(&key_file);
    buf_free(&key);
}

/* A volume for one device, of nothing but what it says of itself. */
static void
make_bundle(struct vectors *out, const struct vectors *stated)
{
    uint8_t next = 0x01;
    const struct world world = { .self = &next, .random = draw_count };
    static struct bundle_head head;
    static struct bundle_manifest manifest;
    struct heads_tip tip = { .seq = 300 };
    struct test_author author;
    struct key_pair box;
    struct key file_key;
    struct key volume_key;
    struct buf volume = { 0 };
    struct buf text = { 0 };
    struct buf frame = { 0 };
    uint8_t secret[32];

    (void)stated;
    author_init(&author);
    count_up(secret, sizeof secret, 0x30);
    crypto_box_pair_from_secret(&box, secret);
    count_up(file_key.bytes, KEY_BYTES, 0x50);
    count_up(manifest.bundle_id.bytes, IDENT_BYTES, 0xf0);
    enum err err = bundle_head_make(&head, &manifest.bundle_id, &file_key,
                                    (const uint8_t(*)[32])box.public_key, 1, &world);
    assert(err == ERR_OK);
    head.volume = 2;
    bundle_volume_key(&volume_key, &file_key, &manifest.bundle_id, 2);
    count_up(manifest.org.bytes, HASH_BYTES, 0x20);
    manifest.volume = 2;
    memcpy(manifest.sign_pk, author.sign.public_key, SIGN_PK_BYTES);
    manifest.made_ms = 1700000000000;
    manifest.content = BUNDLE_LACKING;
    manifest.destination_count = 1;
    count_up(manifest.destinations[0].bytes, HASH_BYTES, 0x80);
    manifest.compartment_count = 1;
    manifest.compartments[0].id = author.descriptor.compartment;
    count_up(manifest.compartments[0].digest, DIGEST_BYTES, 0x90);
    manifest.compartments[0].flags = DIGEST_WORKING;

    add(out, "box secret", span_of(secret, sizeof secret));
    add(out, "file key", span_of(file_key.bytes, KEY_BYTES));
    add(out, "volume key", span_of(volume_key.bytes, KEY_BYTES));
    bundle_head_write(&volume, &head);
    add(out, "head", buf_span(&volume));
    bundle_manifest_write(&text, &manifest, &author.sign);
    add(out, "manifest", buf_span(&text));
    bundle_part_write(&volume, &volume_key, 0, buf_span(&text));
    buf_clear(&text);
    memcpy(tip.log_short, author.log_id.bytes, SHORT_BYTES);
    count_up(tip.entry_short, SHORT_BYTES, 0xe0);
    heads_write(&frame, author.descriptor.compartment.bytes, UINT16_MAX);
    heads_tip_write(&frame, &tip);
    bundle_heads_write(&text, &manifest.bundle_id, buf_span(&frame), &author.sign);
    add(out, "heads", buf_span(&text));
    bundle_part_write(&volume, &volume_key, 1, buf_span(&text));
    buf_clear(&text);
    buf_put_u8(&text, BUNDLE_END);
    buf_put_u32(&text, 2);
    buf_put_u8(&text, 1);
    add(out, "end", buf_span(&text));
    bundle_part_write(&volume, &volume_key, 2, buf_span(&text));
    bundle_head_write(&volume, &head);
    add(out, "volume", buf_span(&volume));
    buf_free(&frame);
    buf_free(&text);
    buf_free(&volume);
}

/* A blob of two chunks: what is sealed is long, so its hash stands for it. */
static void
make_blob(struct vectors *out, const struct vectors *before)
{
    static uint8_t content[BLOB_CHUNK_BYTES + 5];
    uint8_t sealed[BLOB_SEALED_BYTES];
    uint8_t key_bytes[BLOB_KEY_BYTES];
    uint8_t page[2 * HASH_BYTES];
    struct crypto_sha256 sum;
    struct blob_key key;
    struct hash hash;

    (void)before;
    count_up(key.key.bytes, KEY_BYTES, 0x01);
    count_up(content, sizeof content, 0x00);
    crypto_sha256_begin(&sum);
    crypto_sha256_add(&sum, span_of(content, sizeof content));
    crypto_sha256_end(&sum, &key.content_hash);
    blob_key_write(key_bytes, &key);
    add(out, "blob key", span_of(key_bytes, sizeof key_bytes));
    for (uint32_t index = 0; index < 2; index++) {
        blob_seal_chunk(sealed, &key.key, 2, index,
                        index == 0 ? span_of(content, BLOB_CHUNK_BYTES)
                                   : span_of(content + BLOB_CHUNK_BYTES, 5));
        blob_hash_chunk(&hash, sealed);
        memcpy(page + (size_t)index * HASH_BYTES, hash.bytes, HASH_BYTES);
        add(out, index == 0 ? "chunk 0 begins" : "chunk 1 begins", span_of(sealed, 32));
    }
    add(out, "page", span_of(page, sizeof page));
    blob_hash_page(&hash, span_of(page, sizeof page));
    add(out, "head", hash_span(&hash));
    blob_address(&hash, 2, hash_span(&hash));
    add(out, "address", hash_span(&hash));
}

/* Three frames cut into two envelopes, and an empty one. */
static void
make_envelope(struct vectors *out, const struct vectors *stated)
{
    static const struct envelope_schedule schedule = { .beat_s = 30, .bytes = 256 };
    struct envelope_out queue = { .at = 0 };
    uint8_t bytes[256];
    char name[NAME_BYTES_MAX];

    for (int n = 1; n <= 3; n++) {
        (void)snprintf(name, sizeof name, "frame %d", n);
        struct span frame = value_of(stated, name);
        add(out, name, frame);
        assert(envelope_put(&queue, frame));
    }
    for (int n = 1; n <= 3; n++) {
        (void)snprintf(name, sizeof name, "envelope %d", n);
        envelope_pack(&queue, &schedule, 1, bytes);
        envelope_sent(&queue);
        add(out, name, span_of(bytes, sizeof bytes));
    }
    envelope_out_clear(&queue);
}

static const struct {
    const char *name;
    void (*make)(struct vectors *out, const struct vectors *stated);
} files[] = {
    { "contexts", make_contexts }, { "descriptor", make_descriptor }, { "record-keys", make_record_keys },
    { "payload", make_payload },   { "entry", make_entry },           { "chunk", make_chunk },
    { "codebook", make_codebook }, { "frontier", make_frontier },     { "epoch", make_epoch },
    { "backup", make_backup },     { "bundle", make_bundle },         { "blob", make_blob },
    { "envelope", make_envelope },
};

static struct vectors stated;
static struct vectors made;

static void
check_file(const char *name)
{
    for (size_t n = 0; n < sizeof files / sizeof files[0]; n++) {
        if (strcmp(files[n].name, name) != 0) {
            continue;
        }
        ck_assert_msg(vectors_read(&stated, name), "there is no %s.hex", name);
        files[n].make(&made, &stated);
        ck_assert_uint_eq(stated.count, made.count);
        for (size_t line = 0; line < made.count; line++) {
            ck_assert_str_eq(stated.lines[line].name, made.lines[line].name);
            ck_assert_msg(span_equal(buf_span(&stated.lines[line].value), buf_span(&made.lines[line].value)),
                          "%s.hex: %s", name, made.lines[line].name);
        }
        ck_assert_uint_gt(made.count, 0);
        vectors_free(&stated);
        vectors_free(&made);
        return;
    }
    ck_abort_msg("no vectors are called %s", name);
}

START_TEST(contexts_are_those_of_the_vectors)
{
    check_file("contexts");
}
END_TEST

START_TEST(descriptor_and_log_id_are_those_of_the_vectors)
{
    check_file("descriptor");
}
END_TEST

START_TEST(keys_reference_and_membership_tag_are_those_of_the_vectors)
{
    check_file("record-keys");
}
END_TEST

START_TEST(payloads_plain_compressed_and_padded_are_those_of_the_vectors)
{
    check_file("payload");
}
END_TEST

START_TEST(header_entry_id_and_signature_are_those_of_the_vectors)
{
    check_file("entry");
}
END_TEST

START_TEST(chunks_are_those_of_the_vectors)
{
    check_file("chunk");
}
END_TEST

START_TEST(codebooks_and_their_ids_are_those_of_the_vectors)
{
    check_file("codebook");
}
END_TEST

START_TEST(digests_lists_and_slices_of_a_frontier_are_those_of_the_vectors)
{
    check_file("frontier");
}
END_TEST

START_TEST(commitment_and_link_of_an_epoch_are_those_of_the_vectors)
{
    check_file("epoch");
}
END_TEST

START_TEST(a_blob_is_sealed_and_addressed_as_the_vectors_say)
{
    check_file("blob");
}
END_TEST

START_TEST(envelopes_are_packed_as_the_vectors_say)
{
    check_file("envelope");
}
END_TEST

START_TEST(a_backup_is_sealed_as_the_vectors_say)
{
    check_file("backup");
}
END_TEST

START_TEST(a_volume_of_a_bundle_is_sealed_as_the_vectors_say)
{
    check_file("bundle");
}
END_TEST

static int
print_file(const char *name)
{
    for (size_t n = 0; n < sizeof files / sizeof files[0]; n++) {
        if (strcmp(files[n].name, name) != 0) {
            continue;
        }
        /* What is there already keeps its compressed payload. */
        (void)vectors_read(&stated, name);
        files[n].make(&made, &stated);
        for (size_t line = 0; line < made.count; line++) {
            static char hex[FILE_BYTES_MAX];
            bytes_hex(hex, buf_span(&made.lines[line].value));
            (void)printf("%s: %s\n", made.lines[line].name, hex);
        }
        return EXIT_SUCCESS;
    }
    return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
    const TTest *const tests[] = {
        contexts_are_those_of_the_vectors,
        descriptor_and_log_id_are_those_of_the_vectors,
        keys_reference_and_membership_tag_are_those_of_the_vectors,
        payloads_plain_compressed_and_padded_are_those_of_the_vectors,
        header_entry_id_and_signature_are_those_of_the_vectors,
        chunks_are_those_of_the_vectors,
        codebooks_and_their_ids_are_those_of_the_vectors,
        digests_lists_and_slices_of_a_frontier_are_those_of_the_vectors,
        commitment_and_link_of_an_epoch_are_those_of_the_vectors,
        a_backup_is_sealed_as_the_vectors_say,
        a_volume_of_a_bundle_is_sealed_as_the_vectors_say,
        a_blob_is_sealed_and_addressed_as_the_vectors_say,
        envelopes_are_packed_as_the_vectors_say,
    };

    if (argc == 2) {
        return print_file(argv[1]);
    }
    return check_suite("vectors", NULL, NULL, tests, (int)(sizeof tests / sizeof tests[0]));
}
