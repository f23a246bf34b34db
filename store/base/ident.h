/* ident.h - the names of things: 32-byte hashes and 16-byte random ids.
 *
 * One struct for each size keeps copies and comparisons plain; the name of the
 * variable says what it names (device_id, log_id, entry_id, stmt_id are hashes;
 * compartment_id and record_id are idents).
 */
#pragma once

#include "store/base/bytes.h"

enum { HASH_BYTES = 32, IDENT_BYTES = 16, SIGN_PK_BYTES = 32, SIGNATURE_BYTES = 64 };

struct hash {
    uint8_t bytes[HASH_BYTES];
};

struct ident {
    uint8_t bytes[IDENT_BYTES];
};

/* Text of an id for a log line or a table: its first 8 bytes in hex. */
struct short_id {
    char text[17];
};

/* The number people compare: 12 groups of 5 digits, group i = the u16 at byte 2i. */
struct fingerprint {
    char text[12 * 6];
};

static inline struct span
hash_span(const struct hash *hash)
{
    return (struct span){ hash->bytes, HASH_BYTES };
}

static inline struct span
ident_span(const struct ident *ident)
{
    return (struct span){ ident->bytes, IDENT_BYTES };
}

bool hash_equal(const struct hash *a, const struct hash *b);
int hash_compare(const struct hash *a, const struct hash *b);
bool hash_is_zero(const struct hash *hash);
bool ident_equal(const struct ident *a, const struct ident *b);
int ident_compare(const struct ident *a, const struct ident *b);
bool ident_is_zero(const struct ident *ident);
struct short_id hash_short(const struct hash *hash);
struct short_id ident_short(const struct ident *ident);

/* Groups are separated by one space. */
struct fingerprint hash_fingerprint(const struct hash *hash);
