#include "node/peers.h"

#include "store/base/cbor.h"
#include "store/table.h"

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

struct peers {
    struct line_settings line; /* of node.conf, for all */
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
    memset(address, 0, sizeof *address);
}

static enum err
address_append(struct peers *peers, const char *device, const char *endpoint, const char *name, bool added,
               const struct line_settings *line)
{
    struct peer_address *grown = realloc(peers->addresses, (peers->address_count + 1) * sizeof *grown);

    peers->waiting_count = 0; /* they are lent by what may have moved */
    if (grown == NULL) {
        return ERR_MEMORY;
    }
    peers->addresses = grown;
    struct peer_address *address = &grown[peers->address_count];
    *address = (struct peer_address){ strdup(device), strdup(endpoint), strdup(name), added, *line };
    if (address->device == NULL || address->endpoint == NULL || address->name == NULL) {
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

struct peers *
peers_new(const struct config *config)
{
    struct peers *peers = calloc(1, sizeof *peers);

    if (peers != NULL) {
        peers->line = config->line;
        peers->line.profile = config->line.profile == 0 ? PROFILE_LAN : config->line.profile;
    }
    for (size_t n = 0; peers != NULL && n < config->peer_count; n++) {
        const struct config_peer *from = &config->peers[n];

        if (address_append(peers, from->device, from->endpoint, from->name, false, &from->line) != ERR_OK) {
            peers_free(&peers);
        }
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
    free(peers);
    *peers_in = NULL;
}

static void
row_key(struct table_txn *txn, const char *device, uint8_t key[16])
{
    const struct span part = span_text(device);

    table_hash(table_txn_env(txn), key, "vigil.row.addr", &part, 1);
}

/* A row of an address: its first byte, then device, endpoint and name, each after its length u16. */
static void
row_write(struct buf *out, const char *const parts[3])
{
    buf_put_u8(out, ADDRESS_ROW);
    for (int n = 0; n < 3; n++) {
        buf_put_u16(out, (uint16_t)strlen(parts[n]));
        buf_put_text(out, parts[n]);
    }
}

static enum err
row_read(struct peers *peers, struct span row)
{
    char parts[3][STATEMENT_ENDPOINT_BYTES_MAX + 1] = { "", "", "" };
    struct reader reader = reader_of(row);
    uint8_t version = reader_u8(&reader);

    if (version != ADDRESS_ROW) {
        return ERR_NEWER;
    }
    for (int n = 0; n < 3; n++) {
        uint16_t size = reader_u16(&reader);

        if (size >= sizeof parts[n]) {
            return ERR_CORRUPT;
        }
        reader_copy(&reader, parts[n], size);
    }
    if (!reader_done(&reader)) {
        return ERR_CORRUPT;
    }
    return address_append(peers, parts[0], parts[1], parts[2], true, &peers->line);
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

    (void)reader_u8(&in);
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
    uint8_t use[LINE_USE_BYTES];
    struct buf row = { 0 };
    uint8_t key[16];

    line_use_write(use, &line->use);
    buf_put_u8(&row, LINE_ROW);
    buf_put_span(&row, hash_span(&line->device_id));
    buf_put_u8(&row, line->set ? 1 : 0);
    buf_put_u8(&row, (uint8_t)line->settings.profile);
    buf_put_u32(&row, line->settings.interval_min);
    buf_put_u32(&row, line->settings.quiet_from);
    buf_put_u32(&row, line->settings.quiet_to);
    buf_put_u64(&row, line->settings.day_bytes);
    buf_put_u64(&row, line->settings.month_bytes);
    buf_put(&row, use, sizeof use);
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
    table_cursor_init(&cursor, txn, TABLE_PEER, span_of(NULL, 0));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        /* A row that does not verify is counted; its peer is added again by hand. */
        if (value.data != NULL && value.size > 0) {
            uint8_t kind = value.data[0];

            err = kind == CONTACT_ROW || kind == BUNDLE_ROW ? contact_read(peers, value)
                  : kind == LINE_ROW                        ? line_read(peers, value)
                                                            : row_read(peers, value);
        }
    }
    table_cursor_end(&cursor);
    return err;
}

enum err
peers_add(struct peers *peers, struct table_txn *txn, const char *device, const char *endpoint,
          const char *name)
{
    const char *const parts[3] = { device, endpoint, name };
    uint8_t key[16];
    struct buf row = { 0 };

    for (int n = 0; n < 3; n++) {
        if (strlen(parts[n]) > STATEMENT_ENDPOINT_BYTES_MAX) {
            return ERR_INVALID;
        }
    }
    for (size_t n = peers->address_count; n > 0; n--) {
        if (peers->addresses[n - 1].added && strcmp(peers->addresses[n - 1].device, device) == 0) {
            address_drop(peers, n - 1);
        }
    }
    row_write(&row, parts);
    row_key(txn, device, key);
    enum err err =
        row.failed ? ERR_MEMORY : address_append(peers, device, endpoint, name, true, &peers->line);
    if (err == ERR_OK) {
        table_put(txn, TABLE_PEER, span_of(key, sizeof key), buf_span(&row));
    }
    buf_free(&row);
    return err;
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

void
peers_pack(const struct peers *peers, struct buf *out)
{
    size_t count = 0;

    for (size_t n = 0; n < peers->address_count; n++) {
        count += peers->addresses[n].added;
    }
    cbor_put_array(out, count);
    for (size_t n = 0; n < peers->address_count; n++) {
        const struct peer_address *address = &peers->addresses[n];

        if (address->added) {
            cbor_put_array(out, 3);
            cbor_put_text(out, span_text(address->device));
            cbor_put_text(out, span_text(address->endpoint));
            cbor_put_text(out, span_text(address->name));
        }
    }
}

enum err
peers_unpack(struct peers *peers, struct table_txn *txn, struct span packed)
{
    struct cbor_reader reader = cbor_reader_of(packed);
    size_t count = cbor_read_array(&reader);
    enum err err = ERR_OK;

    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        char parts[3][STATEMENT_ENDPOINT_BYTES_MAX + 1] = { "", "", "" };

        if (cbor_read_array(&reader) != 3) {
            return ERR_CORRUPT;
        }
        for (int part = 0; part < 3; part++) {
            struct span text = cbor_read_text(&reader);

            if (text.size >= sizeof parts[part] ||
                (text.size > 0 && memchr(text.data, 0, text.size) != NULL)) {
                return ERR_CORRUPT;
            }
            if (text.size > 0) {
                memcpy(parts[part], text.data, text.size);
            }
        }
        err = peers_add(peers, txn, parts[0], parts[1], parts[2]);
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
        peer->dropped = !peer->due;
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
    peer->reason[0] = '\0';
    return peer->connection;
}

const char *
peer_state_name(enum peer_state state)
{
    static const char *const names[] = { "down", "connecting", "up" };
    size_t n = (size_t)state;

    return n < sizeof names / sizeof names[0] ? names[n] : "unknown";
}
