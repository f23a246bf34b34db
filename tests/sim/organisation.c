#include "tests/sim/sim.h"

#include "sync/ceremony.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A world that only gives chance: ceremonies are held by people, far from any network. */
static uint64_t
wall_ms(void *self)
{
    (void)self;
    return UINT64_C(1767225600000); /* 2026-01-01 */
}

static uint64_t
steady_ms(void *self)
{
    (void)self;
    return 0;
}

static void
draw(void *self, void *out, size_t size)
{
    chance_fill(self, out, size);
}

static bool
send_nothing(void *self, uint32_t peer, struct span frame)
{
    (void)self;
    (void)peer;
    (void)frame;
    return false;
}

static enum err
disk_works(void *self, enum world_disk step)
{
    (void)self;
    (void)step;
    return ERR_OK;
}

static enum err
ask(void *self, const char *key_name, bool fresh, struct buf *passphrase_out)
{
    (void)self;
    (void)key_name;
    (void)fresh;
    buf_put_text(passphrase_out, "simulated");
    return ERR_OK;
}

static void
must(enum err err, const char *what, const ceremony_fault *fault)
{
    if (err != ERR_OK) {
        (void)fprintf(stderr, "ceremony: %s: %s: %s\n", what, err_code(err),
                      fault->what == NULL ? "" : fault->what);
        abort();
    }
}

static struct shape_device *
add_device(struct shape *shape, const char *name, int office, enum level own_level)
{
    struct shape_device *device = &shape->devices[shape->device_count++];

    assert(shape->device_count <= shape->device_max);
    (void)snprintf(device->name, sizeof device->name, "%s", name);
    device->office = office;
    device->own_level = own_level;
    device->reads_office = -1;
    return device;
}

/* Offices: HQ, NET (relays), OHC (readers), and two to four that work on cases. */
enum { HQ = 0, NET = 1, OHC = 2, KEN = 3, COL = 4, LBN = 5 };

static void
plan(struct shape *shape)
{
    static const char *const codes[SMALL_OFFICES] = { "HQ", "NET", "OHC", "KEN", "COL", "LBN" };
    struct shape_device *device;

    shape->office_count = shape->number % 2 == 0 ? 5 : 6;
    memcpy(shape->offices, codes, sizeof codes);
    device = add_device(shape, "HQ-1", HQ, LEVEL_ADMIN);
    device->everywhere = true;
    (void)add_device(shape, "KEN-1", KEN, LEVEL_ADMIN);
    (void)add_device(shape, "COL-1", COL, LEVEL_ADMIN);
    device = add_device(shape, "HUB-1", NET, LEVEL_CARRY);
    device->everywhere = true;
    /* One that reads cases but nothing protected: it carries the rest, or may not even do that. */
    device = add_device(shape, "EYE-1", OHC, LEVEL_WRITE);
    device->reads_office = KEN;
    device->other = LEVEL_NONE;
    device = add_device(shape, "KEN-2", KEN, LEVEL_WRITE);
    device->joins = 1;
    if (shape->number % 4 < 2) {
        device = add_device(shape, "WID-1", COL, LEVEL_CARRY);
        device->later = LEVEL_READ;
    }
    if (shape->office_count > LBN) {
        (void)add_device(shape, "LBN-1", LBN, LEVEL_ADMIN);
    }
    device = add_device(shape, "MAL-1", NET, LEVEL_CARRY);
    device->everywhere = true;
    device->hostile = true;
    /* An insider of KEN, who may write there and signs what nobody should. */
    device = add_device(shape, "FOR-1", KEN, LEVEL_WRITE);
    device->hostile = true;
    device->forger = true;
}

/* One of headquarters, the hubs, then the offices in turn. */
static void
plan_large(struct shape *shape, size_t device_count)
{
    static char codes[OFFICES_MAX][8];
    size_t hubs = 1 + device_count / GROWN_HUB_DEVICES;
    size_t offices = (device_count - 1 - hubs + GROWN_OFFICE_DEVICES - 1) / GROWN_OFFICE_DEVICES;
    char name[16];

    assert(2 + offices <= OFFICES_MAX);
    shape->large = true;
    shape->office_count = 2 + offices;
    for (size_t office = 0; office < shape->office_count; office++) {
        (void)snprintf(codes[office], sizeof codes[office], "O-%u", (unsigned)office % OFFICES_MAX);
        shape->offices[office] = codes[office];
    }
    for (size_t n = 0; n < device_count; n++) {
        struct shape_device *device;

        (void)snprintf(name, sizeof name, "DEV-%u", (unsigned)n);
        if (n == 0) {
            device = add_device(shape, name, HQ, LEVEL_ADMIN);
        } else if (n <= hubs) {
            device = add_device(shape, name, NET, LEVEL_CARRY);
        } else {
            size_t office = (n - 1 - hubs) / GROWN_OFFICE_DEVICES;
            bool first = (n - 1 - hubs) % GROWN_OFFICE_DEVICES == 0;
            device = add_device(shape, name, (int)(2 + office), first ? LEVEL_ADMIN : LEVEL_WRITE);
        }
        device->everywhere = n <= hubs;
    }
}

enum level
shape_level(const struct shape *shape, size_t device_index, const struct shape_compartment *compartment,
            int step)
{
    const struct shape_device *device = &shape->devices[device_index];
    enum level level = device->own_level;

    if (compartment->office < 0) {
        return LEVEL_CARRY; /* at least: nobody is kept out of these */
    }
    if (step >= STEPS - 1 && device->later != LEVEL_NONE) {
        level = device->later;
    }
    if (device->everywhere || compartment->office == device->office) {
        return level;
    }
    if (compartment->office == device->reads_office && compartment->own == OWN_CASES) {
        return LEVEL_READ;
    }
    return device->other;
}

const struct shape_compartment *
shape_compartment(const struct shape *shape, const struct ident *id)
{
    for (size_t n = 0; n < shape->compartment_count; n++) {
        if (ident_equal(&shape->compartments[n].id, id)) {
            return &shape->compartments[n];
        }
    }
    return NULL;
}

const struct shape_compartment *
shape_compartment_of(const struct shape *shape, int office, int own)
{
    for (size_t n = 0; n < shape->compartment_count; n++) {
        if (shape->compartments[n].office == office && shape->compartments[n].own == own) {
            return &shape->compartments[n];
        }
    }
    return NULL;
}

static void
add_compartment(struct shape *shape, const struct ident *id, int office, int own)
{
    assert(shape->compartment_count < COMPARTMENTS_MAX);
    shape->compartments[shape->compartment_count++] =
        (struct shape_compartment){ .id = *id, .office = office, .own = own };
}

static void
make_keys(struct shape_device *device, const struct world *world)
{
    struct buf file = { 0 };

    world_random(world, device->storage_key.bytes, KEY_BYTES);
    replica_identity_make(&device->identity, world);
    memcpy(device->request.sign_pk, device->identity.sign.public_key, SIGN_PK_BYTES);
    memcpy(device->request.box_pk, device->identity.box.public_key, 32);
    memcpy(device->request.transport_pk, device->identity.transport_public, 32);
    memcpy(device->request.incarnation, device->identity.incarnation, 8);
    (void)snprintf(device->request.name, sizeof device->request.name, "%s", device->name);
    request_write(&file, &device->request, &device->identity.sign);
    assert(!file.failed);
    buf_free(&file);
}

static void
certify(struct shape *shape, struct ceremony *ceremony, struct shape_device *device, enum level level)
{
    ceremony_fault fault = { NULL, NULL, NULL };
    uint32_t roles = device->own_level == LEVEL_CARRY ? ROLE_RELAY : ROLE_CASE_WORK;

    must(ceremony_device(ceremony, shape->offices[device->office], &device->request, level, roles, NULL, 0,
                         &fault),
         device->name, &fault);
}

static void
welcome(struct shape *shape, struct shape_device *device, const struct ceremony *ceremony)
{
    struct buf file = { 0 };
    struct welcome content;
    ceremony_fault fault = { NULL, NULL, NULL };

    must(ceremony_welcome(ceremony, &device->request, &file, &fault), "welcome", &fault);
    must(welcome_read(buf_span(&file), &device->identity.box, &content, &fault), "reading it", &fault);
    device->identity.org = content.org;
    device->identity.control_key = content.control_key;
    if (!shape->large) {
        buf_put_span(&device->welcome, buf_span(&content.statements));
    } else if (shape->founding.size == 0) {
        buf_put_span(&shape->founding, buf_span(&content.statements));
    }
    memcpy(device->certificate, content.certificate.bytes, sizeof device->certificate);
    welcome_free(&content);
    buf_free(&file);
}

static void
news(struct shape *shape, const struct ceremony *ceremony, int step)
{
    struct buf file = { 0 };
    ceremony_fault fault = { NULL, NULL, NULL };

    must(ceremony_news(ceremony, &file), "news", &fault);
    must(
        statements_read(buf_span(&file), &shape->devices[0].identity.control_key, &shape->news[step], &fault),
        "reading news", &fault);
    buf_free(&file);
}

static void
learn_compartments(struct shape *shape, const struct roster *roster)
{
    add_compartment(shape, roster_control(roster), -1, 0);
    add_compartment(shape, roster_shared_id(roster), -1, 1);
    for (size_t office = 0; office < shape->office_count; office++) {
        const struct roster_office *known = roster_office_by_code(roster, shape->offices[office]);

        assert(known != NULL);
        for (int own = 0; own < OWN_COUNT; own++) {
            add_compartment(shape, &known->own[own], (int)office, own);
        }
    }
}

static void
hold(struct shape *shape, const struct ceremony_options *options)
{
    struct ceremony *ceremony = NULL;
    struct ceremony_grant cases[OWN_COUNT];
    size_t grant_count = 0;
    ceremony_fault fault = { NULL, NULL, NULL };

    must(ceremony_found(&ceremony, options, "Simulated organisation", 1, 1, &fault), "founding", &fault);
    for (size_t office = shape->office_count; office-- > 0;) {
        if (office == OHC && !shape->large) {
            must(ceremony_read_grant(ceremony, "KEN:cases=read", cases, &grant_count), "grant", &fault);
        }
        must(ceremony_office(ceremony, shape->offices[office], shape->offices[office],
                             office == HQ || office == NET, cases, grant_count, &fault),
             shape->offices[office], &fault);
        grant_count = 0;
    }
    must(ceremony_office(ceremony, shape->offices[NET], NULL, true, NULL, 0, &fault), "widening NET", &fault);
    learn_compartments(shape, ceremony_roster(ceremony));
    shape->org = *roster_org(ceremony_roster(ceremony));
    shape->root = *ceremony_key(ceremony, "root-1");
    for (size_t office = 0; office < shape->office_count; office++) {
        char name[CEREMONY_KEY_NAME_BYTES_MAX];

        (void)snprintf(name, sizeof name, "office-%s", shape->offices[office]);
        shape->office_keys[office] = *ceremony_key(ceremony, name);
    }
    for (int step = 0; step < (shape->large ? 1 : STEPS); step++) {
        for (size_t n = 0; n < shape->device_count; n++) {
            struct shape_device *device = &shape->devices[n];

            if (device->joins == step) {
                certify(shape, ceremony, device, device->own_level);
            } else if (step == STEPS - 1 && device->later != LEVEL_NONE) {
                certify(shape, ceremony, device, device->later);
            }
        }
        must(ceremony_save(ceremony, &fault), "saving", &fault);
        for (size_t n = 0; n < shape->device_count; n++) {
            if (shape->devices[n].joins == step) {
                welcome(shape, &shape->devices[n], ceremony);
            }
        }
        news(shape, ceremony, step);
    }
    ceremony_close(&ceremony);
}

static void
make(struct shape *shape, uint64_t number, size_t large, const char *directory)
{
    struct chance chance = { UINT64_C(0x5ab1e) * (number + 1) };
    const struct world world = { .self = &chance,
                                 .wall_ms = wall_ms,
                                 .steady_ms = steady_ms,
                                 .random = draw,
                                 .send = send_nothing,
                                 .disk = disk_works };
    const struct vault_work work = { .passes = 1, .memory_bytes = 64 << 20 };

    memset(shape, 0, sizeof *shape);
    shape->number = number;
    shape->device_max = large > 0 ? large : NODES_MAX;
    shape->devices = calloc(shape->device_max, sizeof *shape->devices);
    assert(shape->devices != NULL);
    if (large > 0) {
        plan_large(shape, large);
    } else {
        plan(shape);
    }
    for (size_t n = 0; n < shape->device_count; n++) {
        make_keys(&shape->devices[n], &world);
    }
    if (mkdir(directory, 0700) != 0) {
        perror(directory);
        abort();
    }
    hold(shape,
         &(struct ceremony_options){ .directory = directory, .world = &world, .work = &work, .ask = ask });
    remove_tree(directory);
}

void
shape_make(struct shape *shape, uint64_t number, const char *directory)
{
    make(shape, number, 0, directory);
}

void
shape_make_large(struct shape *shape, size_t device_count, const char *directory)
{
    make(shape, 0, device_count, directory);
}

void
shape_free(struct shape *shape)
{
    for (size_t n = 0; n < shape->device_count; n++) {
        buf_free(&shape->devices[n].welcome);
    }
    for (int step = 0; step < STEPS; step++) {
        buf_free(&shape->news[step]);
    }
    buf_free(&shape->founding);
    free(shape->devices);
}
