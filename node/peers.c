#include "node/peers.h"

#include "store/base/cbor.h"
#include "store/table.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The first byte of a row of `peer`: an address, or the last contact with a device: its id, then the wall clock u64. */
enum { ADDRESS_ROW = 1, CONTACT_ROW = 2, CONTACT_ROW_BYTES = 1 + HASH_BYTES + 8, DIGITS_MIN = 6 };

/* Or when it made the latest bundle that came from it: likewise. */
enum { BUNDLE_ROW = 4 };

/* Or the line to a device: its id, 1 if peer.set said how it is to be used, then that (profile u8, three u32, two u64) and what passed. */
enum { LINE_ROW = 3 };

/* Or that with the schedule that it keeps, two u32, behind. A program that does not know it stops, rather than send to such a device by
 * none. */
enum { SCHEDULED_LINE_ROW = 7 };

/* Or an address with a proxy behind the name, or the proxy of a device by peer.set: its id, then the proxy. A program that knows
 * neither stops, rather than call such a device directly. */
enum { PROXIED_ADDRESS_ROW = 5, PROXY_ROW = 6, ADDRESS_PARTS_MAX = 4 };

enum {
    PART_BYTES =
        STATEMENT_ENDPOINT_BYTES_MAX + 1 > ENDPOINT_BYTES ? STATEMENT_ENDPOINT_BYTES_MAX + 1 : ENDPOINT_BYTES
};

struct contact {
    struct hash device_id;
    uint64_t wall_ms; /* over a line, as it is kept */
    uint64_t made_ms; /* by bundle; 0: none came */
};

/* What is kept of the line to a device. */
struct kept_line {
    struct hash device_id;
    bool set;
    struct line_settings settings;
    struct line_use use; /* as it is kept */
};

struct kept_proxy {
    struct hash device_id;
    char text[ENDPOINT_BYTES]; /* of a proxy, or PROXY_NONE; "": as node.conf says */
};

struct peers {
    struct line_settings line;  /* of node.conf, for all */
    char proxy[ENDPOINT_BYTES]; /* of node.conf, for all; "": none */
    struct kept_proxy *proxies;
    size_t proxy_count;
    struct kept_line *lines;
    size_t line_count;
    struct peer **all; /* each stays where it is */
    size_t count;
    struct peer_address *addresses;
    size_t address_count;
    const struct peer_address **waiting; /* lent by `addresses` */
    size_t waiting_count;
    uint32_t last_connection;
    struct contact *contacts;
    size_t contact_count;
};

/* --- addresses --- */

static void
address_free(struct peer_address *address)
{
    free(address->device);
    free(address->endpoint);
    free(address->name);
    free(address->proxy);
    memset(address, 0, sizeof *address);
}

static enum err
address_append(struct peers *peers, const char *const parts[ADDRESS_PARTS_MAX], bool added,
               const struct line_settings *line)
{
    struct peer_address *grown = realloc(peers->addresses, (peers->address_count + 1) * sizeof *grown);

    peers->waiting_count = 0; /* they are lent by what may have moved */
    if (grown == NULL) {
        return ERR_MEMORY;
    }
    peers->addresses = grown;
    struct peer_address *address = &grown[peers->address_count];
    *address = (struct peer_address){ .device = strdup(parts[0]),
                                      .endpoint = strdup(parts[1]),
                                      .name = strdup(parts[2]),
                                      .proxy = strdup(parts[3]),
                                      .added = added,
                                      .line = *line };
    if (address->device == NULL || address->endpoint == NULL || address->name == NULL ||
        address->proxy == NULL) {
        address_free(address);
        return ERR_MEMORY;
    }
    peers->address_count++;
    return ERR_OK;
}

static void
address_drop(struct peers *peers, size_t n)
{
    peers->waiting_count = 0;
    address_free(&peers->addresses[n]);
    peers->address_count--;
    memmove(&peers->addresses[n], &peers->addresses[n + 1],
            (peers->address_count - n) * sizeof peers->addresses[0]);
}

enum err
peers_configure(struct peers *peers, const struct config *config)
{
    enum err err = ERR_OK;

    for (size_t n = peers->address_count; n > 0; n--) {
        if (!peers->addresses[n - 1].added) {
            address_drop(peers, n - 1);
        }
    }
    peers->line = config->line;
    peers->line.profile = config->line.profile == 0 ? PROFILE_LAN : config->line.profile;
    (void)snprintf(peers->proxy, sizeof peers->proxy, "%s", config->proxy == NULL ? "" : config->proxy);
    for (size_t n = 0; err == ERR_OK && n < config->peer_count; n++) {
        const struct config_peer *from = &config->peers[n];
        const char *const parts[] = { from->device, from->endpoint, from->name,
                                      from->proxy == NULL ? "" : from->proxy };

        err = address_append(peers, parts, false, &from->line);
    }
    return err;
}

struct peers *
peers_new(const struct config *config)
{
    struct peers *peers = calloc(1, sizeof *peers);

    if (peers != NULL && peers_configure(peers, config) != ERR_OK) {
        peers_free(&peers);
    }
    return peers;
}

void
peers_free(struct peers **peers_in)
{
    struct peers *peers = *peers_in;

    if (peers == NULL) {
        return;
    }
    for (size_t n = 0; n < peers->count; n++) {
        free(peers->all[n]);
    }
    for (size_t n = 0; n < peers->address_count; n++) {
        address_free(&peers->addresses[n]);
    }
    free(peers->all);
    free(peers->addresses);
    free(peers->waiting);
    free(peers->contacts);
    free(peers->lines);
    free(peers->proxies);
    free(peers);
    *peers_in = NULL;
}

static void
row_key(struct table_txn *txn, const char *device, uint8_t key[16])
{
    const struct span part = span_text(device);

    table_hash(table_txn_env(txn), key, "vigil.row.addr", &part, 1);
}

/* A row of an address: its first byte, then device, endpoint, name and a proxy if there is one, each after its length u16. */
static void
row_write(struct buf *out, const char *const parts[ADDRESS_PARTS_MAX])
{
    bool proxied = parts[3][0] != '\0';

    buf_put_u8(out, proxied ? PROXIED_ADDRESS_ROW : ADDRESS_ROW);
    for (int n = 0; n < (proxied ? 4 : 3); n++) {
        buf_put_u16(out, (uint16_t)strlen(parts[n]));
        buf_put_text(out, parts[n]);
    }
}

static enum err
row_read(struct peers *peers, struct span row)
{
    char parts[ADDRESS_PARTS_MAX][PART_BYTES] = { "", "", "", "" };
    struct reader reader = reader_of(row);
    uint8_t version = reader_u8(&reader);

    if (version != ADDRESS_ROW && version != PROXIED_ADDRESS_ROW) {
        return ERR_NEWER;
    }
    for (int n = 0; n < (version == ADDRESS_ROW ? 3 : 4); n++) {
        uint16_t size = reader_u16(&reader);

        if (size >= sizeof parts[n]) {
            return ERR_CORRUPT;
        }
        reader_copy(&reader, parts[n], size);
    }
    if (!reader_done(&reader) || (parts[3][0] != '\0' && !endpoint_proxy_valid(parts[3]))) {
        return ERR_CORRUPT;
    }
    return address_append(peers, (const char *const[]){ parts[0], parts[1], parts[2], parts[3] }, true,
                          &peers->line);
}

static struct contact *
contact_of(const struct peers *peers, const struct hash *device_id)
{
    for (size_t n = 0; n < peers->contact_count; n++) {
        if (hash_equal(&peers->contacts[n].device_id, device_id)) {
            return &peers->contacts[n];
        }
    }
    return NULL;
}

/* The place where the contact with a device is remembered; NULL: no memory. */
static struct contact *
contact_for(struct peers *peers, const struct hash *device_id)
{
    struct contact *contact = contact_of(peers, device_id);

    if (contact != NULL) {
        return contact;
    }
    struct contact *grown = realloc(peers->contacts, (peers->contact_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    peers->contacts = grown;
    contact = &grown[peers->contact_count];
    peers->contact_count++;
    *contact = (struct contact){ .device_id = *device_id };
    return contact;
}

static enum err
contact_read(struct peers *peers, struct span row)
{
    struct hash device_id;

    if (row.size != CONTACT_ROW_BYTES) {
        return ERR_CORRUPT;
    }
    memcpy(device_id.bytes, row.data + 1, HASH_BYTES);
    struct contact *contact = contact_for(peers, &device_id);
    if (contact == NULL) {
        return ERR_MEMORY;
    }
    uint64_t *at_ms = row.data[0] == BUNDLE_ROW ? &contact->made_ms : &contact->wall_ms;
    *at_ms = bytes_read_u64(row.data + 1 + HASH_BYTES);
    return ERR_OK;
}

static void
contact_write(struct table_txn *txn, const struct contact *contact, uint8_t row_kind)
{
    bool by_bundle = row_kind == BUNDLE_ROW;
    const struct span part = hash_span(&contact->device_id);
    uint8_t row[CONTACT_ROW_BYTES] = { row_kind };
    uint8_t key[16];

    memcpy(row + 1, contact->device_id.bytes, HASH_BYTES);
    bytes_write_u64(row + 1 + HASH_BYTES, by_bundle ? contact->made_ms : contact->wall_ms);
    table_hash(table_txn_env(txn), key, by_bundle ? "vigil.row.stick" : "vigil.row.seen", &part, 1);
    table_put(txn, TABLE_PEER, span_of(key, sizeof key), span_of(row, sizeof row));
}

void
peers_keep_contacts(struct peers *peers, struct table_txn *txn, bool all)
{
    for (size_t n = 0; n < peers->count; n++) {
        const struct peer *peer = peers->all[n];
        struct contact *contact = peer->contact_ms == 0 ? NULL : contact_for(peers, &peer->device_id);

        /* What memory ran out for is written the next time. A clock that was set back is believed. */
        if (contact != NULL && contact->wall_ms != peer->contact_ms &&
            (all || peer->contact_ms < contact->wall_ms ||
             peer->contact_ms - contact->wall_ms >= PEER_CONTACT_MS)) {
            contact->wall_ms = peer->contact_ms;
            contact_write(txn, contact, CONTACT_ROW);
        }
    }
}

enum err
peers_heard_by_bundle(struct peers *peers, struct table_txn *txn, const struct hash *device_id,
                      uint64_t made_ms)
{
    struct contact *contact = contact_for(peers, device_id);

    if (contact == NULL) {
        return ERR_MEMORY;
    }
    /* The same again: the turn that wrote it may have come to nothing. */
    if (made_ms >= contact->made_ms) {
        contact->made_ms = made_ms;
        contact_write(txn, contact, BUNDLE_ROW);
    }
    return ERR_OK;
}

uint64_t
peers_last_contact(const struct peers *peers, const struct hash *device_id)
{
    const struct contact *contact = contact_of(peers, device_id);

    for (size_t n = 0; n < peers->count; n++) {
        if (hash_equal(&peers->all[n]->device_id, device_id) && peers->all[n]->contact_ms != 0) {
            return peers->all[n]->contact_ms;
        }
    }
    return contact == NULL ? 0 : contact->wall_ms;
}

struct peer_heard
peers_last_heard(const struct peers *peers, const struct hash *device_id)
{
    const struct contact *contact = contact_of(peers, device_id);
    uint64_t line_ms = peers_last_contact(peers, device_id);

    if (contact != NULL && contact->made_ms > line_ms) {
        return (struct peer_heard){ contact->made_ms, true };
    }
    return (struct peer_heard){ line_ms, false };
}

/* --- lines --- */

static struct kept_line *
line_of(const struct peers *peers, const struct hash *device_id)
{
    for (size_t n = 0; n < peers->line_count; n++) {
        if (hash_equal(&peers->lines[n].device_id, device_id)) {
            return &peers->lines[n];
        }
    }
    return NULL;
}

/* The place where the line to a device is remembered; NULL: no memory. */
static struct kept_line *
line_for(struct peers *peers, const struct hash *device_id)
{
    struct kept_line *line = line_of(peers, device_id);

    if (line != NULL) {
        return line;
    }
    struct kept_line *grown = realloc(peers->lines, (peers->line_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    peers->lines = grown;
    line = &grown[peers->line_count];
    peers->line_count++;
    *line = (struct kept_line){ .device_id = *device_id };
    return line;
}

static enum err
line_read(struct peers *peers, struct span row)
{
    struct kept_line read = { .set = false };
    struct reader in = reader_of(row);

    bool scheduled = reader_u8(&in) == SCHEDULED_LINE_ROW;
    reader_copy(&in, read.device_id.bytes, HASH_BYTES);
    uint8_t set = reader_u8(&in);
    read.set = set == 1;
    read.settings.profile = (enum link_profile)reader_u8(&in);
    read.settings.interval_min = reader_u32(&in);
    read.settings.quiet_from = reader_u32(&in);
    read.settings.quiet_to = reader_u32(&in);
    read.settings.day_bytes = reader_u64(&in);
    read.settings.month_bytes = reader_u64(&in);
    struct span use = reader_span(&in, LINE_USE_BYTES);
    read.settings.schedule.beat_s = scheduled ? reader_u32(&in) : 0;
    read.settings.schedule.bytes = scheduled ? reader_u32(&in) : 0;
    if (!reader_done(&in) || set > 1 || !line_use_read(use, &read.use) ||
        (read.set && !line_settings_valid(&read.settings))) {
        return ERR_CORRUPT;
    }
    struct kept_line *line = line_for(peers, &read.device_id);
    if (line == NULL) {
        return ERR_MEMORY;
    }
    *line = read;
    return ERR_OK;
}

static void
line_write(struct table_txn *txn, const struct kept_line *line)
{
    const struct span part = hash_span(&line->device_id);
    const struct envelope_schedule *schedule = &line->settings.schedule;
    uint8_t use[LINE_USE_BYTES];
    struct buf row = { 0 };
    uint8_t key[16];

    line_use_write(use, &line->use);
    buf_put_u8(&row, schedule->bytes > 0 ? SCHEDULED_LINE_ROW : LINE_ROW);
    buf_put_span(&row, hash_span(&line->device_id));
    buf_put_u8(&row, line->set ? 1 : 0);
    buf_put_u8(&row, (uint8_t)line->settings.profile);
    buf_put_u32(&row, line->settings.interval_min);
    buf_put_u32(&row, line->settings.quiet_from);
    buf_put_u32(&row, line->settings.quiet_to);
    buf_put_u64(&row, line->settings.day_bytes);
    buf_put_u64(&row, line->settings.month_bytes);
    buf_put(&row, use, sizeof use);
    if (schedule->bytes > 0) {
        buf_put_u32(&row, schedule->beat_s);
        buf_put_u32(&row, schedule->bytes);
    }
    table_hash(table_txn_env(txn), key, "vigil.row.line", &part, 1);
    if (!row.failed) {
        table_put(txn, TABLE_PEER, span_of(key, sizeof key), buf_span(&row));
    }
    buf_free(&row);
}

enum err
peers_set_line(struct peers *peers, struct table_txn *txn, const struct hash *device_id,
               const struct line_settings *settings)
{
    struct peer *peer = peers_by_device(peers, device_id);
    struct kept_line *line = line_for(peers, device_id);

    if (line == NULL) {
        return ERR_MEMORY;
    }
    line->set = settings != NULL;
    line->settings = settings != NULL ? *settings : (struct line_settings){ .profile = PROFILE_LAN };
    if (peer != NULL) {
        line->use = peer->use;
    }
    line_write(txn, line);
    return ERR_OK;
}

/* --- proxies --- */

static struct kept_proxy *
kept_proxy_of(const struct peers *peers, const struct hash *device_id)
{
    for (size_t n = 0; n < peers->proxy_count; n++) {
        if (hash_equal(&peers->proxies[n].device_id, device_id)) {
            return &peers->proxies[n];
        }
    }
    return NULL;
}

/* Remember that. False: no memory. */
static bool
remember_proxy(struct peers *peers, const struct hash *device_id, struct span text)
{
    struct kept_proxy *kept = kept_proxy_of(peers, device_id);

    if (kept == NULL) {
        struct kept_proxy *grown = realloc(peers->proxies, (peers->proxy_count + 1) * sizeof *grown);

        if (grown == NULL) {
            return false;
        }
        peers->proxies = grown;
        kept = &grown[peers->proxy_count];
        kept->device_id = *device_id;
        peers->proxy_count++;
    }
    memset(kept->text, 0, sizeof kept->text);
    memcpy(kept->text, text.data, text.size);
    return true;
}

static enum err
proxy_read(struct peers *peers, struct span row)
{
    char text[ENDPOINT_BYTES] = "";
    struct hash device_id;
    struct reader in = reader_of(row);

    (void)reader_u8(&in);
    reader_copy(&in, device_id.bytes, HASH_BYTES);
    size_t size = reader_left(&in);
    if (in.failed || size >= sizeof text) {
        return ERR_CORRUPT;
    }
    reader_copy(&in, text, size);
    if (strlen(text) != size || !endpoint_proxy_valid(text)) {
        return ERR_CORRUPT;
    }
    return remember_proxy(peers, &device_id, span_text(text)) ? ERR_OK : ERR_MEMORY;
}

enum err
peers_set_proxy(struct peers *peers, struct table_txn *txn, const struct hash *device_id, const char *proxy)
{
    const struct span part = hash_span(device_id);
    struct buf row = { 0 };
    uint8_t key[16];

    assert(proxy == NULL || endpoint_proxy_valid(proxy));
    table_hash(table_txn_env(txn), key, "vigil.row.prox", &part, 1);
    if (proxy == NULL) {
        (void)table_delete(txn, TABLE_PEER, span_of(key, sizeof key));
        return remember_proxy(peers, device_id, span_text("")) ? ERR_OK : ERR_MEMORY;
    }
    buf_put_u8(&row, PROXY_ROW);
    buf_put_span(&row, part);
    buf_put_text(&row, proxy);
    enum err err = row.failed || !remember_proxy(peers, device_id, span_text(proxy)) ? ERR_MEMORY : ERR_OK;
    if (err == ERR_OK) {
        table_put(txn, TABLE_PEER, span_of(key, sizeof key), buf_span(&row));
    }
    buf_free(&row);
    return err;
}

/* What an address says of a proxy, with what node.conf says where that is nothing; "": none. NULL: an address of nobody's. */
static const char *
proxy_of_address(const struct peers *peers, const struct peer_address *address)
{
    if (address == NULL || (address->added && address->proxy[0] == '\0')) {
        return peers->proxy;
    }
    return strcmp(address->proxy, PROXY_NONE) == 0 ? "" : address->proxy;
}

/* Through what a peer is called: as peer.set says, else as its address does, else as node.conf does of all. */
static void
set_proxy(struct peers *peers, struct peer *peer, const struct peer_address *address)
{
    const struct kept_proxy *kept = kept_proxy_of(peers, &peer->device_id);
    const char *proxy = proxy_of_address(peers, address);

    if (kept != NULL && kept->text[0] != '\0') {
        proxy = strcmp(kept->text, PROXY_NONE) == 0 ? "" : kept->text;
    }
    if (strcmp(peer->proxy, proxy) != 0) {
        (void)snprintf(peer->proxy, sizeof peer->proxy, "%s", proxy);
        /* Net may be on the way to it by the old one, and goes on so by itself. */
        peer->dropped = peer->dropped || peer->state != PEER_DOWN;
        peer->due = peer->endpoint[0] != '\0';
        peer->dial_ms = 0;
    }
}

/* How far what is kept of what passed is behind. */
static uint64_t
use_behind(const struct peers *peers, const struct peer *peer)
{
    const struct kept_line *line = line_of(peers, &peer->device_id);

    if (line == NULL || line->use.month != peer->use.month || line->use.day != peer->use.day) {
        return peer->use.month_bytes;
    }
    return peer->use.month_bytes - line->use.month_bytes;
}

void
peers_keep_uses(struct peers *peers, struct table_txn *txn, bool all)
{
    for (size_t n = 0; n < peers->count; n++) {
        const struct peer *peer = peers->all[n];
        uint64_t behind = use_behind(peers, peer);

        if (behind == 0 || (!all && behind < PEER_USE_BYTES)) {
            continue;
        }
        struct kept_line *line = line_for(peers, &peer->device_id);
        /* What memory ran out for is written the next time. */
        if (line != NULL) {
            line->use = peer->use;
            line_write(txn, line);
        }
    }
}

/* How the line to a peer is to be used: as peer.set says, else node.conf of this address, else node.conf of all. */
static void
set_line(struct peers *peers, struct peer *peer, const struct peer_address *address)
{
    const struct kept_line *line = line_of(peers, &peer->device_id);

    peer->line_set = line != NULL && line->set;
    const struct line_settings settings = peer->line_set    ? line->settings
                                          : address != NULL ? address->line
                                                            : peers->line;
    /* What was arranged for another line does not hold. */
    if (memcmp(&settings, &peer->line, sizeof settings) != 0) {
        peer->due = peer->endpoint[0] != '\0';
        peer->dial_ms = 0;
    }
    peer->line = settings;
    /* What was kept of before this start. */
    if (line != NULL && peer->use.month_bytes == 0 && peer->use.day == 0) {
        peer->use = line->use;
    }
}

enum err
peers_load(struct peers *peers, struct table_txn *txn)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    enum err err = ERR_OK;

    for (size_t n = peers->address_count; n > 0; n--) {
        if (peers->addresses[n - 1].added) {
            address_drop(peers, n - 1);
        }
    }
    peers->contact_count = 0;
    peers->line_count = 0;
    peers->proxy_count = 0;
    table_cursor_init(&cursor, txn, TABLE_PEER, span_of(NULL, 0));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        /* A row that does not verify is counted; its peer is added again by hand. */
        if (value.data != NULL && value.size > 0) {
            uint8_t kind = value.data[0];

            err = kind == CONTACT_ROW || kind == BUNDLE_ROW        ? contact_read(peers, value)
                  : kind == LINE_ROW || kind == SCHEDULED_LINE_ROW ? line_read(peers, value)
                  : kind == PROXY_ROW                              ? proxy_read(peers, value)
                                                                   : row_read(peers, value);
        }
    }
    table_cursor_end(&cursor);
    return err;
}

enum err
peers_add(struct peers *peers, struct table_txn *txn, const char *device, const char *endpoint,
          const char *name, const char *proxy)
{
    char kept[ENDPOINT_BYTES] = "";
    const char *const parts[ADDRESS_PARTS_MAX] = { device, endpoint, name, proxy[0] == '\0' ? kept : proxy };
    uint8_t key[16];
    struct buf row = { 0 };

    assert(proxy[0] == '\0' || endpoint_proxy_valid(proxy));
    for (int n = 0; n < ADDRESS_PARTS_MAX; n++) {
        if (strlen(parts[n]) > (n < 3 ? STATEMENT_ENDPOINT_BYTES_MAX : ENDPOINT_BYTES - 1)) {
            return ERR_INVALID;
        }
    }
    for (size_t n = peers->address_count; n > 0; n--) {
        if (peers->addresses[n - 1].added && strcmp(peers->addresses[n - 1].device, device) == 0) {
            (void)snprintf(kept, sizeof kept, "%s", peers->addresses[n - 1].proxy);
            address_drop(peers, n - 1);
        }
    }
    row_write(&row, parts);
    row_key(txn, device, key);
    enum err err = row.failed ? ERR_MEMORY : address_append(peers, parts, true, &peers->line);
    if (err == ERR_OK) {
        table_put(txn, TABLE_PEER, span_of(key, sizeof key), buf_span(&row));
    }
    buf_free(&row);
    return err;
}

enum err
peers_adopt_proxy(struct peers *peers, struct table_txn *txn, const struct roster *roster,
                  const struct roster_device *device)
{
    const struct kept_proxy *kept = kept_proxy_of(peers, &device->device_id);

    for (size_t n = peers->address_count; n > 0 && (kept == NULL || kept->text[0] == '\0'); n--) {
        const struct peer_address *address = &peers->addresses[n - 1];

        if (address->added && address->proxy[0] != '\0' &&
            peers_find_device(roster, address->device) == device) {
            return peers_set_proxy(peers, txn, &device->device_id, address->proxy);
        }
    }
    return ERR_OK;
}

bool
peers_remove(struct peers *peers, struct table_txn *txn, const struct roster *roster, const char *device)
{
    const struct roster_device *meant = peers_find_device(roster, device);
    bool removed = false;

    for (size_t n = peers->address_count; n > 0; n--) {
        const struct peer_address *address = &peers->addresses[n - 1];
        const struct roster_device *other = peers_find_device(roster, address->device);
        uint8_t key[16];

        if (!address->added || (strcmp(address->device, device) != 0 && strcmp(address->name, device) != 0 &&
                                (meant == NULL || meant != other))) {
            continue;
        }
        row_key(txn, address->device, key);
        removed = table_delete(txn, TABLE_PEER, span_of(key, sizeof key)) || removed;
        address_drop(peers, n - 1);
    }
    return removed;
}

/* --- backups --- */

/* The nth line that is kept, or peer that has one of node.conf, if it keeps a schedule; NULL: it keeps none. */
static const struct line_settings *
scheduled_line(const struct peers *peers, size_t n, const struct hash **device_out)
{
    const struct line_settings *line = NULL;

    if (n < peers->line_count) {
        *device_out = &peers->lines[n].device_id;
        line = peers->lines[n].set ? &peers->lines[n].settings : NULL;
    } else {
        const struct peer *peer = peers->all[n - peers->line_count];
        *device_out = &peer->device_id;
        line = peer->line_set ? NULL : &peer->line;
    }
    return line != NULL && line->schedule.bytes > 0 ? line : NULL;
}

void
peers_pack(const struct peers *peers, struct buf *out)
{
    size_t line_count = peers->line_count + peers->count;
    const struct hash *device_id;
    size_t count = 0;

    for (size_t n = 0; n < peers->address_count; n++) {
        count += peers->addresses[n].added;
    }
    for (size_t n = 0; n < peers->proxy_count; n++) {
        count += peers->proxies[n].text[0] != '\0';
    }
    for (size_t n = 0; n < line_count; n++) {
        count += scheduled_line(peers, n, &device_id) != NULL;
    }
    cbor_put_array(out, count);
    for (size_t n = 0; n < peers->address_count; n++) {
        const struct peer_address *address = &peers->addresses[n];
        const char *effective = proxy_of_address(peers, address);
        const char *proxy = effective[0] == '\0' ? address->proxy : effective;

        if (address->added) {
            cbor_put_array(out, proxy[0] == '\0' ? 3 : 4);
            cbor_put_text(out, span_text(address->device));
            cbor_put_text(out, span_text(address->endpoint));
            cbor_put_text(out, span_text(address->name));
            if (proxy[0] != '\0') {
                cbor_put_text(out, span_text(proxy));
            }
        }
    }
    for (size_t n = 0; n < peers->proxy_count; n++) {
        if (peers->proxies[n].text[0] != '\0') {
            cbor_put_array(out, 2);
            cbor_put_bytes(out, hash_span(&peers->proxies[n].device_id));
            cbor_put_text(out, span_text(peers->proxies[n].text));
        }
    }
    for (size_t n = 0; n < line_count; n++) {
        const struct line_settings *line = scheduled_line(peers, n, &device_id);

        if (line != NULL) {
            cbor_put_array(out, 4);
            cbor_put_bytes(out, hash_span(device_id));
            cbor_put_uint(out, line->profile);
            cbor_put_uint(out, line->schedule.beat_s);
            cbor_put_uint(out, line->schedule.bytes);
        }
    }
}

/* A text without a NUL, copied. False: it is none, or too long. */
static bool
unpack_text(struct cbor_reader *reader, char *out, size_t room)
{
    struct span text = cbor_read_text(reader);

    if (text.size >= room || (text.size > 0 && memchr(text.data, 0, text.size) != NULL)) {
        return false;
    }
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
    return true;
}

/* False: it is none. */
static bool
unpack_device(struct cbor_reader *reader, struct hash *device_out)
{
    struct span id = cbor_read_bytes(reader);

    if (id.size != HASH_BYTES) {
        return false;
    }
    memcpy(device_out->bytes, id.data, HASH_BYTES);
    return true;
}

static enum err
unpack_schedule(struct peers *peers, struct table_txn *txn, struct cbor_reader *reader)
{
    struct line_settings line = { .profile = PROFILE_LAN };
    struct hash device_id;
    uint64_t numbers[3] = { 0 };

    bool good = unpack_device(reader, &device_id);
    for (size_t n = 0; n < 3; n++) {
        numbers[n] = cbor_read_uint(reader);
        good = good && numbers[n] > 0 && numbers[n] <= ENVELOPE_BYTES_MAX;
    }
    if (!good) {
        return ERR_CORRUPT;
    }
    line.profile = (enum link_profile)numbers[0];
    line.schedule.beat_s = (uint32_t)numbers[1];
    line.schedule.bytes = (uint32_t)numbers[2];
    return line_settings_valid(&line) ? peers_set_line(peers, txn, &device_id, &line) : ERR_CORRUPT;
}

static enum err
unpack_proxy(struct peers *peers, struct table_txn *txn, struct cbor_reader *reader)
{
    char text[ENDPOINT_BYTES];
    struct hash device_id;

    if (!unpack_device(reader, &device_id) || !unpack_text(reader, text, sizeof text) ||
        !endpoint_proxy_valid(text)) {
        return ERR_CORRUPT;
    }
    return peers_set_proxy(peers, txn, &device_id, text);
}

static enum err
unpack_address(struct peers *peers, struct table_txn *txn, struct cbor_reader *reader, size_t part_count)
{
    char parts[ADDRESS_PARTS_MAX][PART_BYTES] = { "", "", "", "" };

    for (size_t part = 0; part < part_count; part++) {
        if (!unpack_text(reader, parts[part], part < 3 ? STATEMENT_ENDPOINT_BYTES_MAX + 1 : ENDPOINT_BYTES)) {
            return ERR_CORRUPT;
        }
    }
    if (part_count == ADDRESS_PARTS_MAX && !endpoint_proxy_valid(parts[3])) {
        return ERR_CORRUPT;
    }
    return peers_add(peers, txn, parts[0], parts[1], parts[2], parts[3]);
}

enum err
peers_unpack(struct peers *peers, struct table_txn *txn, struct span packed)
{
    struct cbor_reader reader = cbor_reader_of(packed);
    size_t count = cbor_read_array(&reader);
    enum err err = ERR_OK;

    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        size_t part_count = cbor_read_array(&reader);

        if (part_count < 2 || part_count > ADDRESS_PARTS_MAX) {
            return ERR_CORRUPT;
        }
        bool of_schedule = part_count == 4 && cbor_peek(&reader) == CBOR_BYTES;
        err = part_count == 2 ? unpack_proxy(peers, txn, &reader)
              : of_schedule   ? unpack_schedule(peers, txn, &reader)
                              : unpack_address(peers, txn, &reader, part_count);
    }
    return err == ERR_OK && !cbor_done(&reader) ? ERR_CORRUPT : err;
}

/* --- the roster --- */

/* The digits of a fingerprint as they are compared, without what separates them. False: not 60 digits. */
static bool
fingerprint_digits(const char *text, char digits[61])
{
    size_t count = 0;

    for (; *text != '\0'; text++) {
        if (isdigit((unsigned char)*text)) {
            if (count == 60) {
                return false;
            }
            digits[count] = *text;
            count++;
        } else if (*text != ' ' && *text != '-') {
            return false;
        }
    }
    digits[count] = '\0';
    return count == 60;
}

bool
peers_is_called(const struct roster_device *device, const char *text)
{
    char hex[2 * HASH_BYTES + 1];
    char typed[61];
    char own[61];
    size_t size = strlen(text);

    if (strcasecmp(device->name, text) == 0) {
        return true;
    }
    if (fingerprint_digits(text, typed) &&
        fingerprint_digits(hash_fingerprint(&device->device_id).text, own) && strcmp(typed, own) == 0) {
        return true;
    }
    bytes_hex(hex, hash_span(&device->device_id));
    return size >= DIGITS_MIN && size <= sizeof hex - 1 && strncasecmp(hex, text, size) == 0;
}

const struct roster_device *
peers_find_device(const struct roster *roster, const char *text)
{
    const struct roster_device *found = NULL;

    for (size_t n = 0; n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);

        if (!peers_is_called(device, text)) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = device;
    }
    return found;
}

const struct roster_device *
peers_find(const struct peers *peers, const struct roster *roster, const char *text)
{
    const struct roster_device *found = peers_find_device(roster, text);
    size_t count = 0;

    for (size_t n = 0; found == NULL && n < peers->count; n++) {
        count += strcasecmp(peers->all[n]->name, text) == 0;
    }
    for (size_t n = 0; count == 1 && found == NULL && n < peers->count; n++) {
        if (strcasecmp(peers->all[n]->name, text) == 0) {
            found = roster_device(roster, &peers->all[n]->device_id);
        }
    }
    return found;
}

static struct peer *
peer_for(struct peers *peers, const struct hash *device_id)
{
    struct peer *peer = peers_by_device(peers, device_id);

    if (peer != NULL) {
        return peer;
    }
    struct peer **all = realloc(peers->all, (peers->count + 1) * sizeof *all);
    if (all == NULL) {
        return NULL;
    }
    peers->all = all;
    peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        return NULL;
    }
    peer->device_id = *device_id;
    peer->has_room = true;
    all[peers->count] = peer;
    peers->count++;
    return peer;
}

static void
set_endpoint(struct peer *peer, const char *endpoint)
{
    if (strcmp(peer->endpoint, endpoint) != 0) {
        (void)snprintf(peer->endpoint, sizeof peer->endpoint, "%s", endpoint);
        peer->due = peer->endpoint[0] != '\0';
        peer->dropped = peer->dropped || !peer->due;
        peer->dial_ms = 0;
    }
}

/* Where it says itself that it is; what an operator wrote comes later and wins. */
static enum err
take_members(struct peers *peers, const struct roster *roster, const struct roster_device *own)
{
    for (size_t n = 0; own != NULL && n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);
        const struct roster_compartment *shared[1];

        if (device == own || roster_compartments_shared(roster, own, device, shared, 1) == 0) {
            continue;
        }
        struct peer *peer = peer_for(peers, &device->device_id);
        if (peer == NULL) {
            return ERR_MEMORY;
        }
        peer->member = true;
        (void)snprintf(peer->name, sizeof peer->name, "%s", device->name);
    }
    return ERR_OK;
}

/* The address that counts for a device: of peer.add, else of node.conf. NULL: neither has one. */
static const struct peer_address *
address_of(const struct peers *peers, const struct roster *roster, const struct roster_device *device)
{
    const struct peer_address *found = NULL;

    for (size_t n = 0; n < peers->address_count; n++) {
        const struct peer_address *address = &peers->addresses[n];

        if (peers_find_device(roster, address->device) == device &&
            (found == NULL || address->added || !found->added)) {
            found = address;
        }
    }
    return found;
}

/* Where it is called, and how: by the address that an operator gave, else by what it says itself. */
static void
set_address(struct peers *peers, struct peer *peer, const struct roster *roster)
{
    const struct roster_device *device = peer->member ? roster_device(roster, &peer->device_id) : NULL;
    const struct peer_address *address = device == NULL ? NULL : address_of(peers, roster, device);

    set_line(peers, peer, address);
    set_proxy(peers, peer, address);
    set_endpoint(peer, address != NULL ? address->endpoint : device != NULL ? device->endpoint : "");
    if (address != NULL && address->name[0] != '\0' && strlen(address->name) < sizeof peer->name &&
        utf8_valid(span_text(address->name))) {
        (void)snprintf(peer->name, sizeof peer->name, "%s", address->name);
    }
}

enum err
peers_update(struct peers *peers, const struct roster *roster, const struct hash *own_device)
{
    const struct roster_device *own = roster_device(roster, own_device);

    for (size_t n = 0; n < peers->count; n++) {
        peers->all[n]->member = false;
    }
    enum err err = take_members(peers, roster, own);
    for (size_t n = 0; err == ERR_OK && n < peers->count; n++) {
        set_address(peers, peers->all[n], roster);
    }
    const struct peer_address **waiting =
        realloc(peers->waiting, (peers->address_count + 1) * sizeof *waiting);
    if (err != ERR_OK || waiting == NULL) {
        return ERR_MEMORY;
    }
    peers->waiting = waiting;
    peers->waiting_count = 0;
    for (size_t n = 0; n < peers->address_count; n++) {
        const struct roster_device *device = peers_find_device(roster, peers->addresses[n].device);

        if (device == NULL) {
            waiting[peers->waiting_count] = &peers->addresses[n];
            peers->waiting_count++;
        }
    }
    return ERR_OK;
}

/* --- connections --- */

size_t
peers_count(const struct peers *peers)
{
    return peers->count;
}

struct peer *
peers_at(struct peers *peers, size_t n)
{
    return peers->all[n];
}

struct peer *
peers_by_device(struct peers *peers, const struct hash *device_id)
{
    for (size_t n = 0; n < peers->count; n++) {
        if (hash_equal(&peers->all[n]->device_id, device_id)) {
            return peers->all[n];
        }
    }
    return NULL;
}

struct peer *
peers_by_connection(struct peers *peers, uint32_t connection)
{
    for (size_t n = 0; n < peers->count; n++) {
        if (peers->all[n]->state == PEER_UP && peers->all[n]->connection == connection) {
            return peers->all[n];
        }
    }
    return NULL;
}

size_t
peers_waiting_count(const struct peers *peers)
{
    return peers->waiting_count;
}

const struct peer_address *
peers_waiting_at(const struct peers *peers, size_t n)
{
    return peers->waiting[n];
}

uint32_t
peers_up(struct peers *peers, const struct hash *device_id)
{
    struct peer *peer = peers_by_device(peers, device_id);

    if (peer == NULL || !peer->member) {
        return 0;
    }
    /* Numbers come round after years, and 0 is none. */
    do {
        peers->last_connection++;
    } while (peers->last_connection == 0 || peers_by_connection(peers, peers->last_connection) != NULL);
    peer->state = PEER_UP;
    peer->connection = peers->last_connection;
    peer->has_room = true;
    peer->theirs = (struct envelope_schedule){ .beat_s = 0 };
    peer->frames_came = false;
    peer->reason[0] = '\0';
    peer->proxy_failed = false;
    return peer->connection;
}

bool
peer_lacks_schedule(const struct peer *peer)
{
    return peer->state == PEER_UP && peer->line.schedule.bytes > 0 && peer->frames_came;
}

const char *
peer_state_name(enum peer_state state)
{
    static const char *const names[] = { "down", "connecting", "up" };
    size_t n = (size_t)state;

    return n < sizeof names / sizeof names[0] ? names[n] : "unknown";
}
