/* exchange.c - how long a save takes from one node to another, for n6_flood.test and by hand.
 *
 *     exchange FROM TO COUNT EVERY_MS
 *
 * Saves COUNT cases at the node of the folder FROM, one each EVERY_MS, and waits after each until the journal of TO says that it
 * counts there. Prints "count 60", and of the time from asking until then "p50_us 8000", "p95_us" and
 * "max_us". Ends with 1 where one does not come within two minutes.
 */
#include "node/client.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 120 * 1000, COUNT_MAX = 10000 };

static uint64_t
now_us(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
sleep_until_us(uint64_t until_us)
{
    struct timespec until = { .tv_sec = (time_t)(until_us / 1000000),
                              .tv_nsec = (long)(until_us % 1000000 * 1000) };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {
    }
}

/* Wait until `to` says that `record` counts there. */
static bool
arrives(struct client *to, const char *record, struct client_fault *fault_out)
{
    uint64_t until_us = now_us() + (uint64_t)WAIT_MS * 1000;
    bool here = false;

    while (!here && now_us() < until_us) {
        struct client_answer answer = { 0 };

        if (client_receive(to, WAIT_MS, &answer, fault_out) != ERR_OK) {
            return false;
        }
        const char *of = json_string_value(json_object_get(answer.event, "record"));
        here = of != NULL && strcmp(of, record) == 0;
        client_answer_free(&answer);
    }
    return here;
}

/* One save, from asking until it counts at the other node. */
static bool
exchange(struct client *from, struct client *to, uint64_t *took_us_out, struct client_fault *fault_out)
{
    uint64_t begun_us = now_us();
    json_t *ok = NULL;

    json_t *save =
        json_pack("{s:s,s:s,s:{s:s,s:s},s:[{s:s,s:s}]}", "do", "record.save", "kind", "case", "set", "title",
                  "An exchange", "status", "draft", "add", "to", "country_of_act", "value", "KEN");
    if (client_call(from, save, WAIT_MS, &ok, fault_out) != ERR_OK) {
        return false;
    }
    const char *record = json_string_value(json_object_get(ok, "record"));
    bool arrived = record != NULL && arrives(to, record, fault_out);
    *took_us_out = now_us() - begun_us;
    json_decref(ok);
    return arrived;
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The smallest that so many hundredths of all do not pass. */
static uint64_t
percentile(const uint64_t *sorted, size_t count, size_t hundredths)
{
    return sorted[(count * hundredths + 99) / 100 - 1];
}

int
main(int argc, char **argv)
{
    static uint64_t took_us[COUNT_MAX];
    struct client_fault fault = { .message = "it did not come" };
    struct client *from = NULL;
    struct client *to = NULL;
    int64_t id;
    size_t count = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;

    if (count == 0 || count > COUNT_MAX) {
        (void)fputs("usage: exchange FROM TO COUNT EVERY_MS\n", stderr);
        return 2;
    }
    uint64_t every_us = strtoul(argv[4], NULL, 10) * 1000;
    bool good = client_open(&from, argv[1], &fault) == ERR_OK &&
                client_open(&to, argv[2], &fault) == ERR_OK &&
                client_send(to, json_pack("{s:s,s:I}", "do", "journal.watch", "after", (json_int_t)0),
                            WAIT_MS, &id, &fault) == ERR_OK;
    /* The first also waits for what was in the journal before. */
    good = good && exchange(from, to, &took_us[0], &fault);
    uint64_t next_us = now_us();
    for (size_t n = 0; good && n < count; n++) {
        next_us += every_us;
        sleep_until_us(next_us);
        good = exchange(from, to, &took_us[n], &fault);
    }
    if (good) {
        qsort(took_us, count, sizeof took_us[0], compare);
        (void)printf("count %zu\np50_us %" PRIu64 "\np95_us %" PRIu64 "\nmax_us %" PRIu64 "\n", count,
                     percentile(took_us, count, 50), percentile(took_us, count, 95), took_us[count - 1]);
    } else {
        (void)fprintf(stderr, "exchange: %s\n", fault.message);
    }
    client_close(&from);
    client_close(&to);
    return good ? 0 : 1;
}
