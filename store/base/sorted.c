#include "store/base/sorted.h"

#include <string.h>

static const void *
row_at(const struct sorted *sorted, size_t n)
{
    size_t place = sorted->places == NULL ? n : sorted->places[n];

    return (const uint8_t *)sorted->rows + place * sorted->row_bytes;
}

static int
order(const struct sorted *sorted, size_t n, struct span key)
{
    return memcmp((const uint8_t *)row_at(sorted, n) + sorted->key_at, key.data, key.size);
}

size_t
sorted_from(struct sorted sorted, struct span key)
{
    size_t low = 0;
    size_t high = sorted.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order(&sorted, middle, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t
sorted_run(struct sorted sorted, struct span key, size_t *first_out)
{
    size_t first = sorted_from(sorted, key);
    size_t end = first;

    while (end < sorted.count && order(&sorted, end, key) == 0) {
        end++;
    }
    *first_out = first;
    return end - first;
}

const void *
sorted_find(struct sorted sorted, struct span key)
{
    size_t at = sorted_from(sorted, key);

    return at < sorted.count && order(&sorted, at, key) == 0 ? row_at(&sorted, at) : NULL;
}
