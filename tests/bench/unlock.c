#include "tests/bench/bench.h"

#include "store/vault.h"
#include "tests/support/world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The least work that a lock may have: what is beside it weighs most. */
static const struct vault_work LEAST = { 1, UINT64_C(64) << 20 };

enum { PASSPHRASES = 2, DIFFERENCE_MAX = 10 };

static const char *const passphrases[PASSPHRASES] = { "the passphrase of this lock", "another passphrase" };
static const enum err answers[PASSPHRASES] = { ERR_OK, ERR_PASSPHRASE };

static int
by_number(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double
median(double *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, by_number);
    return numbers[count / 2];
}

/* Try the right passphrase and a wrong one in turn, so that both meet the same machine. */
static bool
try_all(const char *directory, size_t tries, double *seconds[PASSPHRASES])
{
    struct key *storage_key = crypto_secret_new(sizeof *storage_key);
    bool good = storage_key != NULL;

    for (size_t n = 0; good && n < PASSPHRASES * tries; n++) {
        size_t which = n % PASSPHRASES;
        double begun = bench_processor();

        good = vault_open(directory, span_text(passphrases[which]), storage_key) == answers[which];
        seconds[which][n / PASSPHRASES] = bench_processor() - begun;
    }
    crypto_secret_free(storage_key);
    return good;
}

void
unlock_measure(struct bench *bench)
{
    size_t tries = bench->unlocks;
    double *seconds[PASSPHRASES] = { calloc(tries, sizeof(double)), calloc(tries, sizeof(double)) };
    struct test_world chance;
    char directory[sizeof bench->directory + 32];
    char path[sizeof directory + 16];

    test_world_init(&chance, 1);
    (void)snprintf(directory, sizeof directory, "%s/vigil-bench-XXXXXX", bench->directory);
    if (seconds[0] == NULL || seconds[1] == NULL || mkdtemp(directory) == NULL) {
        bench_fail(bench, "no lock could be made");
        free(seconds[0]);
        free(seconds[1]);
        return;
    }
    if (vault_make(directory, span_text(passphrases[0]), &LEAST, &chance.world) != ERR_OK ||
        !try_all(directory, tries, seconds)) {
        bench_fail(bench, "a lock did not answer as it must");
    } else {
        double right = median(seconds[0], tries);
        double wrong = median(seconds[1], tries);

        bench_report(&(struct figure){ .what = "a wrong passphrase takes another time than the right one, by",
                                       .measured = fabs(wrong / right - 1) * 100,
                                       .unit = "%",
                                       .bound = AT_MOST,
                                       .limit = DIFFERENCE_MAX });
        bench_note("the middle of %zu each, in turn: %.2f ms of one processor if right, %.2f ms if wrong",
                   tries, right * 1000, wrong * 1000);
    }
    (void)snprintf(path, sizeof path, "%s/lock", directory);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/wrap", directory);
    (void)unlink(path);
    (void)rmdir(directory);
    free(seconds[0]);
    free(seconds[1]);
}
