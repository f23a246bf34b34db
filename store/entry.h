/* entry.h - one step of a log: its header, its ids, its sealed payload.
 *
 *     log_id ---- H(descriptor)
 *       |
 *     entry 0 <--prev-- entry 1 <--prev-- entry 2        entry_id = H(log_id | header)
 *                            \--prev-- entry 2'          (a fork is a second child)
 *
 * An entry is a header of 108 bytes and a payload that only readers can open. All
 * of this is arithmetic on bytes; where entries are kept is journal.h, how they
 * travel is sync/update.h. Source: DESIGN section 3 and sync/FORMATS.md.
 */
#pragma once

#include "store/base/crypto.h"

enum {
    HEADER_BYTES = 108,
    DESCRIPTOR_BYTES = 57,
    PAYLOAD_BYTES_MAX = 32768,         /* sealed, as in payload_len */
    PAYLOAD_PLAIN_BYTES_MAX = 1 << 20, /* after decompression */
    RUN_ENTRIES_MAX = 64,
    RUN_PAYLOAD_BYTES_MAX = 12288,
    ENTRY_LONG_BYTES = 4096, /* of a sealed payload: a longer one may come after its header */
    SCHEMA = 256,            /* major 1, minor 0 */
};

enum entry_kind { ENTRY_DATA = 0, ENTRY_CONTROL = 1, ENTRY_KEY = 2, ENTRY_RECEIPT = 5, ENTRY_SEAL = 6 };
enum entry_flag { ENTRY_COMPRESSED = 1, ENTRY_PADDED = 2, ENTRY_NAMES_BLOBS = 4, ENTRY_URGENT_HINT = 8 };
enum lane { LANE_CONTROL = 0, LANE_URGENT = 1, LANE_NORMAL = 2, LANE_BULK = 3, LANE_COUNT = 4 };

/* Who writes a log, and where. */
struct descriptor {
    uint8_t sign_pk[SIGN_PK_BYTES];
    uint8_t incarnation[8];
    struct ident compartment;
    uint8_t lane;
};

/* A header in words, with its payload when that is at hand. */
struct entry {
    uint8_t kind;
    uint8_t lane;
    uint8_t flags;
    uint64_t seq;
    struct hash prev; /* zero at seq 0 */
    struct hash payload_hash;
    uint32_t payload_size; /* of the sealed payload, whether it is at hand or not */
    uint8_t epoch[4];
    uint8_t salt[8];
    uint8_t reference[16];
    struct hash id;      /* entry_id: set by entry_identify */
    struct span payload; /* sealed; data is NULL when only the hash is at hand. Lent */
};

void descriptor_write(uint8_t out[DESCRIPTOR_BYTES], const struct descriptor *descriptor);
/* False: not 57 bytes, or no such lane. */
MUST_CHECK bool descriptor_read(struct span bytes, struct descriptor *descriptor_out);
void descriptor_log_id(const struct descriptor *descriptor, struct hash *log_id_out);
void device_id_of(const uint8_t sign_pk[SIGN_PK_BYTES], struct hash *device_id_out);

void entry_header_write(uint8_t out[HEADER_BYTES], const struct entry *entry);
/* Read a header; `id` and `payload` are left empty. False: version, kind, lane, flags or size that no
 * entry has, or a prev at seq 0. */
MUST_CHECK bool entry_header_read(struct span bytes, struct entry *entry_out);
/* True if kind, lane, flags and payload_size (16, the seal alone, to 32,768) are ones that an entry may have. */
bool entry_plausible(const struct entry *entry);

/* True if this is data of lane 2 or 3 with a payload of more than ENTRY_LONG_BYTES: on a line that is dear its header comes first, and
 * its payload when somebody asks for it. */
bool entry_is_long(const struct entry *entry);

/* H("vigil.pay.v1", payload). */
void entry_hash_payload(struct hash *out, struct span payload);

/* Set `id` from log_id and the header; payload_hash must be set. */
void entry_identify(struct entry *entry, const struct hash *log_id);

/* --- record references and keys --- */

/* What is derived once from an epoch key E. */
struct epoch_keys {
    struct key epoch;     /* E */
    struct key reference; /* H("vigil.rky.v1", E) */
    struct key other;     /* H("vigil.eky.v1", E): for kinds other than data */
};

void epoch_keys_of(struct epoch_keys *out, const struct key *epoch_key);

/* R_case of R_protected, the record_id of R_case, and the erase key of either R. */
void record_key_case(struct key *out, const struct key *protected_key);
void record_key_id(struct ident *record_id_out, const struct key *case_key);
void record_key_erase(struct key *out, const struct key *record_key);

/* Fill `reference` of an entry of this record; seq, prev and salt must be set. */
void entry_reference_make(struct entry *entry, const struct hash *log_id, const struct epoch_keys *keys,
                          const struct ident *record_id, const struct key *erase_key);
/* The first 8 bytes of the record_id that the reference names, if it names one. */
void entry_reference_prefix(uint8_t prefix_out[8], const struct entry *entry, const struct hash *log_id,
                            const struct epoch_keys *keys);
/* True if the membership tag is that of this record's erase key. */
MUST_CHECK bool entry_is_member(const struct entry *entry, const struct hash *log_id,
                                const struct key *erase_key);

/* --- payloads --- */

enum entry_fault {
    FAULT_NONE = 0,
    FAULT_DOES_NOT_OPEN, /* the AEAD refuses */
    FAULT_PADDING,
    FAULT_COMPRESSION,
    FAULT_TOO_LARGE,
    FAULT_SCHEMA, /* its major is unknown here: it waits for an upgrade */
    FAULT_MEMORY, /* this machine has none left: no fault of the entry, try again */
};

/* Compress if smaller (a key entry: never), pad if asked, seal: sets flags (COMPRESSED and PADDED only), payload_size,
 * payload_hash, payload (lent from `sealed_out`) and id. All else of `entry` must be set.
 * `record_key` is NULL for kinds other than data. ERR_FULL: larger than an entry may be. ERR_MEMORY. */
MUST_CHECK enum err entry_seal(struct entry *entry, const struct hash *log_id, const struct epoch_keys *keys,
                               const struct key *record_key, struct span payload, bool pad,
                               struct buf *sealed_out);

/* True if a payload, compressed and padded, is not larger than an entry may be. */
bool entry_fits(struct span payload);

/* Open, unpad, decompress: the payload's CBOR replaces the content of `payload_out`, which the
 * caller wipes. The sealed payload must be at hand; `record_key` as above. On a fault `payload_out`
 * is empty. */
MUST_CHECK enum entry_fault entry_open(const struct entry *entry, const struct hash *log_id,
                                       const struct epoch_keys *keys, const struct key *record_key,
                                       struct buf *payload_out);

/* --- runs --- */

/* Where in a run the next entry of a branch falls. Zeroed at seq 0. */
struct run {
    uint32_t count;
    uint32_t payload_bytes;
};

/* True if an entry with this payload begins a new run; the entry before it then is a run's end. */
bool run_breaks(const struct run *run, uint32_t payload_size);

/* Count one entry in, starting a new run where run_breaks says so. */
void run_step(struct run *run, uint32_t payload_size);

/* True if the run is at its end whatever comes next: 64 entries. */
bool run_is_full(const struct run *run);
