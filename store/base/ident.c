#include "store/base/ident.h"

#include <string.h>

enum { FINGERPRINT_GROUPS = 12 };

bool
hash_equal(const struct hash *a, const struct hash *b)
{
    return memcmp(a->bytes, b->bytes, HASH_BYTES) == 0;
}

int
hash_compare(const struct hash *a, const struct hash *b)
{
    return memcmp(a->bytes, b->bytes, HASH_BYTES);
}

bool
hash_is_zero(const struct hash *hash)
{
    static const struct hash zero;

    return hash_equal(hash, &zero);
}

bool
ident_equal(const struct ident *a, const struct ident *b)
{
    return memcmp(a->bytes, b->bytes, IDENT_BYTES) == 0;
}

int
ident_compare(const struct ident *a, const struct ident *b)
{
    return memcmp(a->bytes, b->bytes, IDENT_BYTES);
}

bool
ident_is_zero(const struct ident *ident)
{
    static const struct ident zero;

    return ident_equal(ident, &zero);
}

struct short_id
hash_short(const struct hash *hash)
{
    struct short_id out;

    bytes_hex(out.text, span_of(hash->bytes, 8));
    return out;
}

struct short_id
ident_short(const struct ident *ident)
{
    struct short_id out;

    bytes_hex(out.text, span_of(ident->bytes, 8));
    return out;
}

struct fingerprint
hash_fingerprint(const struct hash *hash)
{
    struct fingerprint out;

    for (size_t group = 0; group < FINGERPRINT_GROUPS; group++) {
        unsigned value = bytes_read_u16(hash->bytes + 2 * group);
        char *at = out.text + 6 * group;
        for (size_t digit = 5; digit-- > 0; value /= 10) {
            at[digit] = (char)('0' + value % 10);
        }
        at[5] = ' ';
    }
    out.text[sizeof out.text - 1] = '\0';
    return out;
}
