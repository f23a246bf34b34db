/* device.c - a device with neither daemon nor disk, for scripts: writes a request, opens a welcome.
 *
 *     e2e-device request NAME FILE
 *     e2e-device welcome NAME FILE [NEWS]
 *     e2e-device frontier NAME WELCOME FILE OF COUNT
 *
 * Its keys follow from its name. A welcome is printed as one line for each device and compartment that
 * the statements in it, and in NEWS, let stand: "ken-1 KEN cases admin". A frontier file is what a
 * node would write that holds COUNT logs of the device OF, always the same ones.
 */
#include "store/vault.h"
#include "sync/frontier_file.h"
#include "sync/roster.h"
#include "tests/support/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct device {
    struct key_pair sign;
    struct key_pair box;
    struct key_pair transport;
};

static void
device_of(struct device *device, const char *name)
{
    struct test_world world;
    struct hash hash;

    CRYPTO_HASH(&hash, "vigil.test.dev", span_text(name));
    test_world_init(&world, bytes_read_u64(hash.bytes));
    crypto_sign_pair(&device->sign, &world.world);
    crypto_box_pair(&device->box, &world.world);
    crypto_box_pair(&device->transport, &world.world);
}

static int
write_request(const char *name, const char *path)
{
    struct request request = { .incarnation = { 1 } };
    struct device device;
    struct buf file = { 0 };

    device_of(&device, name);
    (void)snprintf(request.name, sizeof request.name, "%s", name);
    memcpy(request.sign_pk, device.sign.public_key, 32);
    memcpy(request.box_pk, device.box.public_key, 32);
    memcpy(request.transport_pk, device.transport.public_key, 32);
    request_write(&file, &request, &device.sign);
    enum err err = file.failed ? ERR_MEMORY : vault_write_plain(path, buf_span(&file));
    buf_free(&file);
    return err == ERR_OK ? 0 : 1;
}

static void
take(void *self, struct span statement)
{
    enum roster_news news = roster_add(self, statement, NULL);

    if (news != ROSTER_NEW && news != ROSTER_KNOWN) {
        (void)fprintf(stderr, "a statement was refused: %d\n", (int)news);
    }
}

static void
print_roster(const struct roster *roster)
{
    static const char *const levels[] = { "none", "carry", "read", "write", "admin" };

    for (size_t n = 0; n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);
        for (size_t at = 0; at < roster_compartment_count(roster); at++) {
            const struct roster_compartment *compartment = roster_compartment_at(roster, at);
            enum level level = roster_level(roster, device, &compartment->id);
            if (level != LEVEL_NONE) {
                (void)printf("%s %s %s\n", device->name, compartment->name, levels[level]);
            }
        }
    }
}

/* Read the file at `path` and take the news in it. */
static enum err
take_news(struct roster *roster, const char *path, const struct key *control_key)
{
    struct buf file = { 0 };
    struct buf statements = { 0 };

    enum err err = vault_read_plain(path, JOINING_FILE_BYTES_MAX, &file);
    if (err == ERR_OK) {
        err = statements_read(buf_span(&file), control_key, &statements, NULL);
    }
    if (err == ERR_OK && !joining_each(buf_span(&statements), take, roster)) {
        err = ERR_INVALID;
    }
    buf_free(&file);
    buf_free(&statements);
    return err;
}

static int
open_welcome(const char *name, const char *path, const char *news)
{
    struct joining_fault fault = { "the file cannot be read", "", "" };
    struct welcome welcome = { 0 };
    struct device device;
    struct buf file = { 0 };

    device_of(&device, name);
    enum err err = vault_read_plain(path, JOINING_FILE_BYTES_MAX, &file);
    if (err == ERR_OK) {
        err = welcome_read(buf_span(&file), &device.box, &welcome, &fault);
    }
    buf_free(&file);
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", path, fault.what);
        return 1;
    }
    struct roster *roster = roster_new(&welcome.org);
    bool good = roster != NULL && joining_each(buf_span(&welcome.statements), take, roster);
    good = good && (news == NULL || take_news(roster, news, &welcome.control_key) == ERR_OK);
    good = good && roster_settle(roster) == ERR_OK;
    if (good) {
        print_roster(roster);
    }
    roster_free(&roster);
    welcome_free(&welcome);
    return good ? 0 : 1;
}

/* Add log n of a device. */
static enum err
add_log(struct frontier_file *file, const struct device *of, uint64_t n)
{
    struct descriptor descriptor = { .lane = LANE_NORMAL };
    struct frontier_file_tip tip = { .seq = 100 + n };

    memcpy(descriptor.sign_pk, of->sign.public_key, SIGN_PK_BYTES);
    bytes_write_u64(descriptor.compartment.bytes, n);
    CRYPTO_HASH(&tip.entry_id, "vigil.test.tip", ident_span(&descriptor.compartment));
    return frontier_file_add(file, &descriptor, &tip, 1);
}

static int
write_frontier(const char *name, const char *welcome_path, const char *path, const char *of_name,
               unsigned count)
{
    struct frontier_file frontier = { .made = 1760000000 };
    struct joining_fault fault = { "the file cannot be read", "", "" };
    struct welcome welcome = { 0 };
    struct test_world world;
    struct device device;
    struct device of;
    struct buf file = { 0 };

    test_world_init(&world, 1);
    device_of(&device, name);
    device_of(&of, of_name);
    enum err err = vault_read_plain(welcome_path, JOINING_FILE_BYTES_MAX, &file);
    if (err == ERR_OK) {
        err = welcome_read(buf_span(&file), &device.box, &welcome, &fault);
    }
    frontier.org = welcome.org;
    for (uint64_t n = 0; n < count && err == ERR_OK; n++) {
        err = add_log(&frontier, &of, n);
    }
    buf_clear(&file);
    if (err == ERR_OK) {
        err = frontier_file_write(&file, &frontier, &device.sign, &welcome.control_key, &world.world);
    }
    if (err == ERR_OK) {
        err = vault_write_plain(path, buf_span(&file));
    }
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", welcome_path, fault.what);
    }
    buf_free(&file);
    welcome_free(&welcome);
    frontier_file_free(&frontier);
    return err == ERR_OK ? 0 : 1;
}

int
main(int argc, char **argv)
{
    if (crypto_start() != ERR_OK) {
        return 1;
    }
    if (argc == 4 && strcmp(argv[1], "request") == 0) {
        return write_request(argv[2], argv[3]);
    }
    if ((argc == 4 || argc == 5) && strcmp(argv[1], "welcome") == 0) {
        return open_welcome(argv[2], argv[3], argc == 5 ? argv[4] : NULL);
    }
    if (argc == 7 && strcmp(argv[1], "frontier") == 0) {
        return write_frontier(argv[2], argv[3], argv[4], argv[5], (unsigned)strtoul(argv[6], NULL, 10));
    }
    (void)fprintf(stderr, "usage: %s request|welcome|frontier NAME FILE ...\n", argv[0]);
    return 2;
}
