#include "tests/bench/bench.h"

#include "store/search.h"
#include "tests/support/chance.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Text of a length and spread of words as narratives have: a few words are in every text, most in hardly any. */
enum { WORDS_A_TEXT = 100, VOCABULARY = 30000, HITS = 10000, ROUNDS = 5 };

/* Word `n` of one of three scripts, always the same. */
static void
put_word(struct buf *text, uint32_t n)
{
    static const char *const syllables[3][16] = {
        { "me", "na", "cer", "ta", "dor", "li", "mos", "ter", "vi", "sa", "ron", "pe", "gal", "tu", "ne",
          "co" },
        { "по", "ли", "на", "те", "вы", "ро", "ка", "сти", "ми", "да", "ле", "го", "ре", "зу", "нов", "та" },
        { "ال", "مد", "را", "سي", "نا", "حق", "تو", "بي", "كا", "لم", "شه", "عد", "وق", "فر", "يد", "جم" },
    };
    const char *const *script = syllables[n % 3];

    for (uint32_t rest = n / 3 + 16; rest > 0; rest /= 16) {
        buf_put_text(text, script[rest % 16]);
    }
    buf_put_u8(text, ' ');
}

/* Small numbers come often: the cube of an even draw. */
static void
make_text(struct buf *text, struct chance *chance)
{
    buf_clear(text);
    for (int n = 0; n < WORDS_A_TEXT; n++) {
        double even = (double)(chance_next(chance) >> 11) / (double)(UINT64_C(1) << 53);

        put_word(text, (uint32_t)(even * even * even * VOCABULARY));
    }
}

/* What people look for: a word that is rare, one that is not, several, a beginning, a phrase. */
static void
make_query(struct buf *query, int n)
{
    static const uint32_t words[] = { 25000, 9000, 1200, 150, 12 };

    buf_clear(query);
    switch (n) {
    case 5:
        put_word(query, 12);
        put_word(query, 1200);
        break;
    case 6:
        put_word(query, 1200);
        query->size--;
        buf_put_text(query, "*");
        break;
    case 7:
        buf_put_text(query, "\"");
        put_word(query, 12);
        put_word(query, 13);
        buf_put_text(query, "\"");
        break;
    default:
        put_word(query, words[n]);
        break;
    }
}

/* What a node that starts does in place of reading every record: its image is in memory already, opening it comes on top. */
static void
restore_measure(struct bench *bench, struct search *search)
{
    struct search_image image;
    struct search *again = NULL;
    double start = bench_now();

    if (search_image(search, &image) != ERR_OK) {
        bench_fail(bench, "no image was made");
        search_image_free(&image);
        return;
    }
    double made = bench_now() - start;
    double size = (double)image.size;
    start = bench_now();
    bool good = search_restore(&again, span_of(image.bytes, image.size)) == ERR_OK;
    double restored = bench_now() - start;
    search_image_free(&image);
    if (!good || search_count(again) != search_count(search)) {
        bench_fail(bench, "an image does not give the index again");
    }
    search_close(&again);
    bench_report(&(struct figure){ .what = "the index restored from an image, in place of that",
                                   .measured = (double)bench->cases / restored,
                                   .unit = "/s" });
    bench_note("%.0f ms for %.0f MiB; %.0f ms to make the image, which is written 1 MiB at a time",
               restored * 1000, size / (1 << 20), made * 1000);
}

enum { QUERIES = 8 };

void
find_measure(struct bench *bench)
{
    static struct search_hit hits[HITS];
    static const char *const names[QUERIES] = { "a rare word",        "a word of some", "a word of many",
                                                "a common word",      "a word of most", "two words",
                                                "a word's beginning", "a phrase" };
    struct search *search = NULL;
    struct buf text = { 0 };
    struct chance chance = { 42 };
    uint64_t bytes = 0;
    char what[96];

    if (search_open(&search) != ERR_OK) {
        bench_fail(bench, "there is no index: is libicu installed whole?");
        return;
    }
    uint64_t memory = bench_anonymous_bytes();
    double processor = bench_processor();
    double start = bench_now();
    for (uint64_t n = 0; n < bench->cases; n++) {
        make_text(&text, &chance);
        bytes += text.size;
        if (search_put(search, (uint32_t)n + 1, buf_span(&text), span_of(NULL, 0)) != ERR_OK) {
            bench_fail(bench, "a text was refused");
            break;
        }
    }
    if (search_settle(search) != ERR_OK) {
        bench_fail(bench, "the texts were not taken in");
    }
    double seconds = bench_now() - start;
    processor = bench_processor() - processor;
    (void)snprintf(what, sizeof what, "texts of %d words put into the index", WORDS_A_TEXT);
    bench_report(&(struct figure){ .what = what,
                                   .measured = (double)bench->cases / seconds,
                                   .unit = "/s",
                                   .bound = AT_LEAST,
                                   .limit = 5000 });
    bench_note("%.1f us of processor time, of %.1f processors, and %.0f B of memory for %.0f B, a text",
               processor * 1e6 / (double)bench->cases, processor / seconds,
               (double)(bench_anonymous_bytes() - memory) / (double)bench->cases,
               (double)bytes / (double)bench->cases);
    restore_measure(bench, search);
    for (int n = 0; n < QUERIES; n++) {
        double slowest = 0;
        size_t count = 0;

        make_query(&text, n);
        for (int round = 0; round < ROUNDS; round++) {
            start = bench_now();
            if (search_find(search, buf_span(&text), hits, HITS, &count) != ERR_OK) {
                bench_fail(bench, "a query was refused");
            }
            seconds = bench_now() - start;
            slowest = seconds > slowest ? seconds : slowest;
        }
        (void)snprintf(what, sizeof what, "%s, in %zu%s of %" PRIu64 " texts", names[n], count,
                       count == HITS ? " and more" : "", bench->cases);
        bench_report(&(struct figure){
            .what = what, .measured = slowest * 1000, .unit = "ms", .bound = AT_MOST, .limit = 50 });
    }
    buf_free(&text);
    search_close(&search);
}
