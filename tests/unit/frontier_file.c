#include "sync/frontier_file.h"
#include "store/base/cbor.h"
#include "tests/support/check.h"
#include "tests/support/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_world world;
static struct key_pair signer;
static struct key control_key;
static struct frontier_file frontier;
static struct frontier_file back;
static struct joining_fault fault;
static struct buf file;

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 8);
    crypto_sign_pair(&signer, &world.world);
    world_random(&world.world, control_key.bytes, KEY_BYTES);
    frontier = (struct frontier_file){ .made = 1750000000 };
    world_random(&world.world, frontier.org.bytes, HASH_BYTES);
    back = (struct frontier_file){ 0 };
    file = (struct buf){ 0 };
    fault = (struct joining_fault){ NULL, NULL, NULL };
}

static void
teardown(void)
{
    frontier_file_free(&frontier);
    frontier_file_free(&back);
    buf_free(&file);
}

/* A log with so many tips, of seqs that go down. */
static void
add_log(size_t tip_count)
{
    struct frontier_file_tip tips[8];
    struct descriptor descriptor = { .lane = LANE_NORMAL };

    world_random(&world.world, descriptor.sign_pk, SIGN_PK_BYTES);
    world_random(&world.world, descriptor.incarnation, 8);
    world_random(&world.world, descriptor.compartment.bytes, IDENT_BYTES);
    for (size_t n = 0; n < tip_count; n++) {
        tips[n].seq = 100 - n / 2;
        world_random(&world.world, tips[n].entry_id.bytes, HASH_BYTES);
    }
    ck_assert_int_eq(frontier_file_add(&frontier, &descriptor, tips, tip_count), ERR_OK);
}

static void
write_file(void)
{
    buf_clear(&file);
    ck_assert_int_eq(frontier_file_write(&file, &frontier, &signer, &control_key, &world.world), ERR_OK);
}

static enum err
read_file(void)
{
    frontier_file_free(&back);
    return frontier_file_read(buf_span(&file), &control_key, &back, &fault);
}

START_TEST(logs_and_all_their_tips_come_back_in_order)
{
    for (size_t n = 0; n < 200; n++) {
        add_log(1 + n % 8);
    }
    write_file();
    ck_assert_int_eq(read_file(), ERR_OK);
    ck_assert(hash_equal(&back.org, &frontier.org));
    ck_assert_mem_eq(back.sign_pk, signer.public_key, SIGN_PK_BYTES);
    ck_assert_uint_eq(back.made, 1750000000);
    ck_assert_uint_eq(back.log_count, 200);
    for (size_t n = 0; n < 200; n++) {
        const struct frontier_file_log *log = &back.logs[n];
        struct hash log_id;
        ck_assert(n == 0 || hash_compare(&back.logs[n - 1].log_id, &log->log_id) < 0);
        descriptor_log_id(&log->descriptor, &log_id);
        ck_assert(hash_equal(&log_id, &log->log_id));
        ck_assert(hash_equal(&frontier.logs[n].log_id, &log->log_id));
        ck_assert_uint_eq(log->tip_count, frontier.logs[n].tip_count);
        for (size_t tip = 0; tip < log->tip_count; tip++) {
            ck_assert_uint_eq(log->tips[tip].seq, frontier.logs[n].tips[tip].seq);
            ck_assert(hash_equal(&log->tips[tip].entry_id, &frontier.logs[n].tips[tip].entry_id));
            ck_assert(tip == 0 || log->tips[tip - 1].seq <= log->tips[tip].seq);
        }
    }
}
END_TEST

START_TEST(a_node_without_a_log_writes_a_file_too)
{
    write_file();
    ck_assert_int_eq(read_file(), ERR_OK);
    ck_assert_uint_eq(back.log_count, 0);
}
END_TEST

START_TEST(the_file_opens_for_the_organisation_alone)
{
    add_log(1);
    write_file();
    control_key.bytes[0] ^= 1;
    ck_assert_int_eq(read_file(), ERR_LOCKED);
    ck_assert_str_eq(fault.what, "the file does not open");
    control_key.bytes[0] ^= 1;
    ck_assert_int_eq(read_file(), ERR_OK);
    buf_clear(&file);
    ck_assert_int_eq(statements_write(&file, span_text("\x80"), &control_key, &world.world), ERR_OK);
    ck_assert_int_eq(read_file(), ERR_INVALID);
    ck_assert_str_eq(fault.what, "this is another kind of file");
}
END_TEST

/* Seal a content that another than `sign_with` may have signed. */
static void
seal(struct span content, const struct key_pair *sign_with)
{
    uint8_t signature[SIGNATURE_BYTES];
    struct buf bytes = { 0 };
    struct hash id;

    CRYPTO_HASH(&id, "vigil.frs.v1", content);
    crypto_sign_id(signature, sign_with, "VIGIL1FRONTIER", &id);
    cbor_put_array(&bytes, 2);
    cbor_put_bytes(&bytes, content);
    cbor_put_bytes(&bytes, span_of(signature, sizeof signature));
    buf_clear(&file);
    ck_assert_int_eq(
        joining_seal(&file, "VIGIL FRONTIER 1", "vigil.fro.v1", buf_span(&bytes), &control_key, &world.world),
        ERR_OK);
    buf_free(&bytes);
}

/* The content of the file as it is. */
static void
content_of(struct buf *out)
{
    struct buf bytes = { 0 };

    ck_assert_int_eq(
        joining_unseal(buf_span(&file), "VIGIL FRONTIER 1", "vigil.fro.v1", &control_key, &bytes, &fault),
        ERR_OK);
    struct cbor_reader reader = cbor_reader_of(buf_span(&bytes));
    ck_assert_uint_eq(cbor_read_array(&reader), 2);
    buf_put_span(out, cbor_read_bytes(&reader));
    buf_free(&bytes);
}

/* Every member can seal such a file: the thief of a laptop too. */
START_TEST(a_file_that_another_device_signed_is_refused)
{
    struct key_pair thief;
    struct buf content = { 0 };

    add_log(2);
    write_file();
    content_of(&content);
    seal(buf_span(&content), &signer);
    ck_assert_int_eq(read_file(), ERR_OK);
    crypto_sign_pair(&thief, &world.world);
    seal(buf_span(&content), &thief);
    ck_assert_int_eq(read_file(), ERR_INVALID);
    ck_assert_str_eq(fault.what, "the frontier file is not to be trusted");
    ck_assert_uint_eq(back.log_count, 0);
    buf_free(&content);
}
END_TEST

/* Every bit of the content, signed and sealed again: what still reads is another file, and never the same one. */
START_TEST(a_content_out_of_shape_is_refused)
{
    struct buf content = { 0 };
    size_t refused = 0;

    add_log(2);
    add_log(1);
    write_file();
    content_of(&content);
    for (size_t bit = 0; bit < 8 * content.size; bit++) {
        content.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        seal(buf_span(&content), &signer);
        enum err err = read_file();
        ck_assert(err == ERR_OK || err == ERR_INVALID);
        refused += err == ERR_INVALID;
        content.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_uint_gt(refused, 300);
    for (size_t size = 0; size < content.size; size++) {
        seal(span_of(content.data, size), &signer);
        ck_assert_int_eq(read_file(), ERR_INVALID);
    }
    buf_put_u8(&content, 0);
    seal(buf_span(&content), &signer);
    ck_assert_int_eq(read_file(), ERR_INVALID);
    buf_free(&content);
}
END_TEST

/* A tip twice, a log without a tip, no such lane, a log twice. */
START_TEST(lists_ascend_and_hold_each_item_once)
{
    struct frontier_file_tip tips[2] = { { .seq = 5 }, { .seq = 5 } };
    struct descriptor descriptor = { .lane = LANE_BULK };

    ck_assert_int_eq(frontier_file_add(&frontier, &descriptor, tips, 2), ERR_OK);
    write_file();
    ck_assert_int_eq(read_file(), ERR_INVALID);
    frontier.logs[0].tip_count = 0;
    write_file();
    ck_assert_int_eq(read_file(), ERR_INVALID);
    frontier.logs[0].tip_count = 1;
    frontier.logs[0].descriptor.lane = LANE_COUNT;
    write_file();
    ck_assert_int_eq(read_file(), ERR_INVALID);
    frontier.logs[0].descriptor.lane = LANE_BULK;
    write_file();
    ck_assert_int_eq(read_file(), ERR_OK);
    ck_assert_int_eq(frontier_file_add(&frontier, &descriptor, tips, 1), ERR_OK);
    write_file();
    ck_assert_int_eq(read_file(), ERR_INVALID);
}
END_TEST

/* --- the vector --- */

static uint8_t counter;

static void
draw(void *self, void *out, size_t size)
{
    uint8_t *at = out;

    (void)self;
    for (size_t n = 0; n < size; n++) {
        at[n] = counter++;
    }
}

static void
count_up(uint8_t *out, size_t size, uint8_t first)
{
    for (size_t n = 0; n < size; n++) {
        out[n] = (uint8_t)(first + n);
    }
}

static void
put_line(struct buf *text, const char *name, struct span value)
{
    static char hex[4096];

    ck_assert_uint_lt(2 * value.size, sizeof hex);
    bytes_hex(hex, value);
    buf_printf(text, "%s: %s\n", name, hex);
}

/* tests/data/vectors/frontier-file.hex, made again from what it states as given. */
START_TEST(a_frontier_file_is_that_of_the_vectors)
{
    static const struct world counting = { .random = draw };
    struct frontier_file_tip tips[2] = { { .seq = 7 }, { .seq = 300 } };
    struct descriptor descriptor = { .lane = LANE_NORMAL };
    const char *source = getenv("VIGIL_SOURCE");
    struct buf text = { 0 };
    struct buf bytes = { 0 };
    uint8_t seed[32];
    char path[4096];
    char *line = NULL;
    size_t room = 0;

    counter = 0;
    count_up(seed, sizeof seed, 0x00);
    crypto_sign_pair_from_seed(&signer, seed);
    count_up(control_key.bytes, KEY_BYTES, 0x10);
    count_up(frontier.org.bytes, HASH_BYTES, 0x20);
    frontier.made = 1800000000;
    for (uint8_t n = 0; n < 2; n++) {
        count_up(descriptor.sign_pk, SIGN_PK_BYTES, (uint8_t)(0x40 + n));
        count_up(descriptor.incarnation, 8, 0xa0);
        count_up(descriptor.compartment.bytes, IDENT_BYTES, 0xb0);
        count_up(tips[0].entry_id.bytes, HASH_BYTES, 0x60);
        count_up(tips[1].entry_id.bytes, HASH_BYTES, 0x80);
        ck_assert_int_eq(frontier_file_add(&frontier, &descriptor, tips, 1 + n), ERR_OK);
    }
    ck_assert_int_eq(frontier_file_write(&file, &frontier, &signer, &control_key, &counting), ERR_OK);
    put_line(&text, "sign seed", span_of(seed, sizeof seed));
    put_line(&text, "control key", span_of(control_key.bytes, KEY_BYTES));
    put_line(&text, "org", hash_span(&frontier.org));
    content_of(&bytes);
    put_line(&text, "content", buf_span(&bytes));
    buf_clear(&bytes);
    ck_assert(armour_read(buf_span(&file), "VIGIL FRONTIER 1", &bytes));
    put_line(&text, "inside the armour", buf_span(&bytes));
    buf_put_u8(&text, '\0');
    (void)snprintf(path, sizeof path, "%s/tests/data/vectors/frontier-file.hex",
                   source == NULL ? "." : source);
    FILE *vectors = fopen(path, "r");
    ck_assert_ptr_nonnull(vectors);
    size_t matched = 0;
    while (getline(&line, &room, vectors) > 0) {
        if (line[0] != '#' && line[0] != '\n') {
            ck_assert_msg(strstr((const char *)text.data, line) != NULL, "not made: %s\nmade:\n%s", line,
                          (const char *)text.data);
            matched++;
        }
    }
    ck_assert_uint_eq(matched, 5);
    (void)fclose(vectors);
    free(line);
    buf_free(&text);
    buf_free(&bytes);
}
END_TEST

SUITE_MAIN_WITH("frontier_file", setup, teardown, logs_and_all_their_tips_come_back_in_order,
                a_node_without_a_log_writes_a_file_too, the_file_opens_for_the_organisation_alone,
                a_file_that_another_device_signed_is_refused, a_content_out_of_shape_is_refused,
                lists_ascend_and_hold_each_item_once, a_frontier_file_is_that_of_the_vectors)
