/* statement_vectors.c - statements, request, welcome and news, held to tests/data/vectors/statements.hex.
 *
 * Everything is made again from what is given: keys and ids that count up, and a world whose chance
 * counts up too. `unit-statement_vectors print` prints what the file should hold.
 */
#include "store/base/cbor.h"
#include "store/base/world.h"
#include "sync/joining.h"
#include "sync/keyring.h"
#include "sync/update.h"
#include "tests/support/check.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 1 << 14 };

#define UNTIL UINT64_C(1800000000)

/* Chance that counts up, byte by byte. */
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

static const struct world counting = { .random = draw };

static void
count_up(uint8_t *out, size_t size, uint8_t first)
{
    for (size_t n = 0; n < size; n++) {
        out[n] = (uint8_t)(first + n);
    }
}

static struct key_pair root;
static struct key_pair office;
static struct key_pair sign;
static struct key_pair box;
static struct key_pair transport;
static struct ident own[OWN_COUNT];
static struct hash org;
static struct hash device_id;
static struct key control_key;
static struct buf text; /* the lines */

static void
give(void)
{
    uint8_t seed[32];

    assert(crypto_start() == ERR_OK);
    count_up(seed, sizeof seed, 0x00);
    crypto_sign_pair_from_seed(&root, seed);
    count_up(seed, sizeof seed, 0x20);
    crypto_sign_pair_from_seed(&office, seed);
    count_up(seed, sizeof seed, 0x40);
    crypto_sign_pair_from_seed(&sign, seed);
    count_up(seed, sizeof seed, 0x60);
    crypto_box_pair_from_secret(&box, seed);
    count_up(seed, sizeof seed, 0x80);
    crypto_box_pair_from_secret(&transport, seed);
    for (size_t n = 0; n < OWN_COUNT; n++) {
        count_up(own[n].bytes, IDENT_BYTES, (uint8_t)(0xc0 + 16 * n));
    }
    count_up(control_key.bytes, KEY_BYTES, 0x10);
    device_id_of(sign.public_key, &device_id);
    counter = 0;
}

static void
line(const char *name, struct span value)
{
    static char hex[LINE_BYTES_MAX];

    assert(2 * value.size < sizeof hex);
    bytes_hex(hex, value);
    buf_printf(&text, "%s: %s\n", name, hex);
}

/* Sign a statement and write its line; its id stands in a line of its own. */
static struct hash
put(const char *name, struct statement *statement, const struct key_pair *const *signers, size_t signer_count,
    struct buf *array)
{
    char id_name[64];
    struct buf out = { 0 };
    struct hash id;

    statement->org = org;
    count_up(statement->random, sizeof statement->random, 0xf0);
    assert(statement_sign(&out, statement, signers, signer_count, &id) == ERR_OK);
    line(name, buf_span(&out));
    (void)snprintf(id_name, sizeof id_name, "%s id", name);
    line(id_name, hash_span(&id));
    if (array != NULL) {
        cbor_put_bytes(array, buf_span(&out));
    }
    buf_free(&out);
    return id;
}

static const struct key_pair *const by_root[] = { &root };
static const struct key_pair *const by_office[] = { &office };
static const struct key_pair *const by_device[] = { &sign };
static const struct key_pair *const by_both[] = { &office, &sign };

static void
put_from_roots(struct buf *array)
{
    struct statement founding = { .type = STATEMENT_ORGANISATION };
    struct statement roots = { .type = STATEMENT_ROOTS };
    struct statement certificate = { .type = STATEMENT_OFFICE };
    struct statement codebook = { .type = STATEMENT_CODEBOOK };
    struct buf keys = { 0 };
    struct buf keep = { 0 };
    struct buf grants = { 0 };
    struct buf body = { 0 };

    statement_put_key(&keys, root.public_key);
    founding.organisation.name = span_text("Defenders");
    founding.organisation.roots = statement_list_of(&keys, 1);
    founding.organisation.needed = 1;
    count_up(founding.organisation.control.bytes, IDENT_BYTES, 0xa0);
    count_up(founding.organisation.shared.bytes, IDENT_BYTES, 0xb0);
    founding.organisation.erasure_signatures = 1;
    count_up(founding.organisation.codebook_id.bytes, HASH_BYTES, 0x50);
    org = put("organisation", &founding, by_root, 1, array);

    statement_put_key(&keep, org.bytes);
    roots.roots.before = org;
    roots.roots.roots = statement_list_of(&keys, 1);
    roots.roots.needed = 1;
    roots.roots.keep = statement_list_of(&keep, 1);
    (void)put("roots", &roots, by_root, 1, NULL);

    memcpy(certificate.office.office_pk, office.public_key, SIGN_PK_BYTES);
    certificate.office.code = span_text("KEN");
    certificate.office.name = span_text("Kenya office");
    memcpy(certificate.office.own, own, sizeof own);
    for (size_t n = 0; n < OWN_COUNT; n++) {
        statement_put_grant(&grants, &own[n], LEVEL_ADMIN);
    }
    certificate.office.grants = statement_list_of(&grants, OWN_COUNT);
    certificate.office.until = UNTIL;
    (void)put("office", &certificate, by_root, 1, array);

    cbor_put_map(&body, 0);
    codebook.body = buf_span(&body);
    (void)put("codebook", &codebook, by_root, 1, NULL);
    buf_free(&keys);
    buf_free(&keep);
    buf_free(&grants);
    buf_free(&body);
}

static struct hash
put_devices(const struct request *request, struct buf *array)
{
    struct statement certificate = { .type = STATEMENT_DEVICE };
    struct buf grants = { 0 };

    memcpy(certificate.device.sign_pk, sign.public_key, SIGN_PK_BYTES);
    memcpy(certificate.device.box_pk, box.public_key, 32);
    memcpy(certificate.device.transport_pk, transport.public_key, 32);
    memcpy(certificate.device.office_pk, office.public_key, SIGN_PK_BYTES);
    statement_put_grant(&grants, &own[OWN_PROTECTED], LEVEL_READ);
    certificate.device.grants = statement_list_of(&grants, 1);
    certificate.device.any = LEVEL_WRITE;
    certificate.device.roles = ROLE_CASE_WORK | ROLE_REVIEW;
    certificate.device.name = span_text("ken-1");
    certificate.device.until = UNTIL;
    (void)put("device signed by itself", &certificate, by_both, 2, NULL);
    certificate.device.possession = request->possession;
    struct hash id = put("device with possession", &certificate, by_office, 1, array);
    buf_free(&grants);
    return id;
}

static void
put_from_devices(void)
{
    struct statement epoch = { .type = STATEMENT_EPOCH };
    struct statement boxed = { .type = STATEMENT_BOX };
    struct statement address = { .type = STATEMENT_ADDRESS };
    struct statement actor = { .type = STATEMENT_ACTOR };
    struct statement newer = { .type = 99 };
    uint8_t sealed[EPOCH_BOX_BYTES];
    struct buf boxes = { 0 };
    struct key key;

    count_up(key.bytes, KEY_BYTES, 0x70);
    assert(crypto_box_seal_to(sealed, box.public_key, span_of(key.bytes, KEY_BYTES), &counting));
    statement_put_box(&boxes, &device_id, sealed);
    epoch.epoch.compartment = own[OWN_CASES];
    epoch.epoch.number = 1;
    epoch_commit(&epoch.epoch.commit, &own[OWN_CASES], 1, &key);
    epoch.epoch.boxes = statement_list_of(&boxes, 1);
    boxed.box.epoch_id = put("epoch", &epoch, by_device, 1, NULL);
    boxed.box.device_id = device_id;
    boxed.box.sealed = sealed;
    (void)put("box", &boxed, by_device, 1, NULL);
    address.address.device_id = device_id;
    address.address.endpoint = span_text("tcp://192.0.2.1:7777");
    address.address.until = UNTIL;
    (void)put("address", &address, by_device, 1, NULL);
    memcpy(actor.actor.office_pk, office.public_key, SIGN_PK_BYTES);
    actor.actor.number = 1;
    actor.actor.name = span_text("Amina");
    actor.actor.role = 1;
    actor.actor.active = true;
    (void)put("actor", &actor, by_office, 1, NULL);
    newer.body = span_of("\xf6", 1);
    (void)put("newer", &newer, by_device, 1, NULL);
    buf_free(&boxes);
}

/* Revocation, extension, erasure and fork proof of the device's log in its office's cases. Each log is of two
 * entries; the second of the other branch is the cut. */
static void
put_over_time(void)
{
    struct statement revoke = { .type = STATEMENT_REVOKE };
    struct statement extend = { .type = STATEMENT_EXTEND };
    struct statement erase = { .type = STATEMENT_ERASE };
    struct descriptor descriptor = { .compartment = own[OWN_CASES], .lane = LANE_NORMAL };
    uint8_t headers[2][2 * HEADER_BYTES];
    uint8_t signatures[2][SIGNATURE_BYTES];
    struct fork_branch branches[2];
    struct statement_cut cut = { .seq = 1 };
    struct buf cuts = { 0 };
    struct buf keep = { 0 };
    struct buf keys = { 0 };
    struct buf fork = { 0 };
    struct key erase_key;
    struct hash id;

    memcpy(descriptor.sign_pk, sign.public_key, SIGN_PK_BYTES);
    count_up(descriptor.incarnation, sizeof descriptor.incarnation, 0x90);
    descriptor_log_id(&descriptor, &cut.log_id);
    for (uint8_t which = 0; which < 2; which++) {
        struct entry entry = { .lane = LANE_NORMAL, .payload_size = 16 };
        count_up(entry.payload_hash.bytes, HASH_BYTES, 0x30);
        count_up(entry.epoch, sizeof entry.epoch, 0x33);
        count_up(entry.salt, sizeof entry.salt, (uint8_t)(0xd0 + 8 * which));
        count_up(entry.reference, sizeof entry.reference, 0x28);
        for (entry.seq = 0; entry.seq < 2; entry.seq++) {
            entry_header_write(headers[which] + entry.seq * HEADER_BYTES, &entry);
            entry_identify(&entry, &cut.log_id);
            entry.prev = entry.id;
        }
        entry_sign(signatures[which], &entry.id, &sign);
        branches[which] = (struct fork_branch){ headers[which], 2, signatures[which] };
        cut.entry_id = entry.id;
    }
    statement_put_cut(&cuts, &cut);
    statement_put_key(&keep, org.bytes);
    memcpy(revoke.revoke.key, sign.public_key, SIGN_PK_BYTES);
    revoke.revoke.reason = REVOKE_STOLEN;
    revoke.revoke.cuts = statement_list_of(&cuts, 1);
    revoke.revoke.keep = statement_list_of(&keep, 1);
    extend.extend.revoke = put("revoke", &revoke, by_office, 1, NULL);
    extend.extend.cuts = statement_list_of(&cuts, 1);
    (void)put("extend", &extend, by_office, 1, NULL);
    count_up(erase.erase.order.bytes, IDENT_BYTES, 0x38);
    for (uint8_t n = OWN_CASES; n <= OWN_PROTECTED; n++) {
        count_up(erase_key.bytes, KEY_BYTES, (uint8_t)(0x48 + n));
        statement_put_erase(&keys, &own[n], &erase_key);
    }
    erase.erase.keys = statement_list_of(&keys, 2);
    (void)put("erase", &erase, by_device, 1, NULL);
    assert(statement_fork_make(&fork, &org, &descriptor, branches, &id) == ERR_OK);
    line("fork proof", buf_span(&fork));
    line("fork proof id", hash_span(&id));
    buf_free(&cuts);
    buf_free(&keep);
    buf_free(&keys);
    buf_free(&fork);
}

/* What the armour of a file holds. */
static void
line_of_file(const char *name, const char *title, const struct buf *file)
{
    struct buf bytes = { 0 };

    assert(armour_read(buf_span(file), title, &bytes));
    line(name, buf_span(&bytes));
    buf_free(&bytes);
}

static void
make(void)
{
    struct request request = { .name = "ken-1", .endpoint = "tcp://192.0.2.1:7777" };
    struct welcome welcome = { .control_key = control_key };
    struct buf items = { 0 };
    struct buf file = { 0 };

    give();
    welcome.control_key = control_key;
    memcpy(request.sign_pk, sign.public_key, 32);
    memcpy(request.box_pk, box.public_key, 32);
    memcpy(request.transport_pk, transport.public_key, 32);
    count_up(request.incarnation, sizeof request.incarnation, 0x90);
    request_write(&file, &request, &sign);
    line("possession", span_of(request.possession, SIGNATURE_BYTES));
    line_of_file("request", "VIGIL REQUEST 1", &file);
    put_from_roots(&items);
    welcome.certificate = put_devices(&request, &items);
    put_from_devices();
    put_over_time();
    welcome.org = org;
    cbor_put_array(&welcome.statements, 3);
    buf_put_span(&welcome.statements, buf_span(&items));
    buf_clear(&file);
    assert(welcome_write(&file, &welcome, box.public_key, &counting) == ERR_OK);
    line_of_file("welcome", "VIGIL WELCOME 1", &file);
    buf_clear(&file);
    assert(statements_write(&file, buf_span(&welcome.statements), &control_key, &counting) == ERR_OK);
    line_of_file("statements", "VIGIL STATEMENTS 1", &file);
    buf_free(&items);
    buf_free(&file);
    welcome_free(&welcome);
}

START_TEST(statements_and_files_are_those_of_the_vectors)
{
    static char read_line[2 * LINE_BYTES_MAX];
    const char *source = getenv("VIGIL_SOURCE");
    char path[4096];
    struct buf held = { 0 };

    make();
    (void)snprintf(path, sizeof path, "%s/tests/data/vectors/statements.hex", source == NULL ? "." : source);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(read_line, sizeof read_line, file) != NULL) {
        if (read_line[0] != '#' && read_line[0] != '\n') {
            buf_put_text(&held, read_line);
        }
    }
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_uint_eq(held.size, text.size);
    ck_assert_mem_eq(held.data, text.data, text.size);
    buf_free(&held);
    buf_free(&text);
}
END_TEST

int
main(int argc, char **argv)
{
    const TTest *const tests[] = { statements_and_files_are_those_of_the_vectors };

    if (argc == 2 && strcmp(argv[1], "print") == 0) {
        make();
        (void)fwrite(text.data, 1, text.size, stdout);
        buf_free(&text);
        return 0;
    }
    return check_suite("statement vectors", NULL, NULL, tests, 1);
}
