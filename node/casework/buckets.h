/* buckets.h - which records have a key: 64 bits that are a hash already, to the numbers of records.
 *
 *     3f09a1c2...  -->  17, 4, 91
 *
 * In memory; for indexes of casework. A key that has lost its last record keeps its slot until the table grows.
 */
#pragma once

#include "store/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buckets;

#define BUCKETS_END UINT32_MAX

/* NULL: no memory. */
struct buckets *buckets_new(void);
void buckets_free(struct buckets **buckets);

/* Put a number under a key, once more if it is there. False: no memory, and nothing changed. */
MUST_CHECK bool buckets_add(struct buckets *buckets, uint64_t key, uint32_t number);

/* Take it away, once; if it is not there nothing happens. */
void buckets_remove(struct buckets *buckets, uint64_t key, uint32_t number);

/* The numbers under a key, in no order: a place, which is good until something is added or removed. BUCKETS_END: no more. */
uint32_t buckets_first(const struct buckets *buckets, uint64_t key);
uint32_t buckets_next(const struct buckets *buckets, uint32_t place);
uint32_t buckets_number(const struct buckets *buckets, uint32_t place);

/* Bytes that it takes. */
size_t buckets_bytes(const struct buckets *buckets);
