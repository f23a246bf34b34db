#include "store/base/nearest.h"

#include <string.h>

/* How many letters must be added, left out, changed or swapped to make `b` of `a`; long names are cut. */
static size_t
distance(const char *a, const char *b)
{
    enum { LENGTH_MAX = 32 };
    size_t row[3][LENGTH_MAX + 1];
    size_t a_length = strnlen(a, LENGTH_MAX);
    size_t b_length = strnlen(b, LENGTH_MAX);

    for (size_t m = 0; m <= b_length; m++) {
        row[0][m] = m;
        row[2][m] = 0;
    }
    for (size_t n = 1; n <= a_length; n++) {
        size_t *here = row[n % 3];
        const size_t *last = row[(n + 2) % 3];
        const size_t *before = row[(n + 1) % 3];
        here[0] = n;
        for (size_t m = 1; m <= b_length; m++) {
            size_t least = last[m - 1] + (a[n - 1] != b[m - 1]);
            least = last[m] + 1 < least ? last[m] + 1 : least;
            least = here[m - 1] + 1 < least ? here[m - 1] + 1 : least;
            if (n > 1 && m > 1 && a[n - 1] == b[m - 2] && a[n - 2] == b[m - 1] && before[m - 2] + 1 < least) {
                least = before[m - 2] + 1;
            }
            here[m] = least;
        }
    }
    return row[a_length % 3][b_length];
}

struct nearest
nearest_to(const char *typed)
{
    /* As many mistakes as this make another word. */
    return (struct nearest){ .typed = typed, .mistakes = strlen(typed) <= 3 ? 2 : 3 };
}

void
nearest_see(struct nearest *nearest, const char *name)
{
    size_t here = distance(nearest->typed, name);

    if (here < nearest->mistakes) {
        nearest->mistakes = here;
        nearest->name = name;
    }
}

const char *
nearest_name(const char *typed, const char *const *names, size_t count)
{
    struct nearest nearest = nearest_to(typed);

    for (size_t n = 0; n < count; n++) {
        nearest_see(&nearest, names[n]);
    }
    return nearest.name;
}
