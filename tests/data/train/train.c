/* train.c - trains the dictionary of payloads.
 *
 *     xx.txt: lines of "kind template" --> text --> payloads --> phrases and tables --+
 *                                           |                                        +--> dictionary
 *                                           +--> words, the commonest last ----------+
 *
 * All of it is synthetic: short casework sentences of our own in six languages, with
 * {one|or|another} choices, set into payloads as sync/FORMATS.md has them. Kinds of line: t title,
 * p place, c contact, n note, s summary. Half of the notes have their words in any order: people write
 * sentences that we have not foreseen, with words that we have. The draw is seeded, so the dictionary
 * is the same for one version of the library; what is in the tree is the truth.
 */
#include "store/base/cbor.h"
#include "tests/support/chance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define ZDICT_STATIC_LINKING_ONLY
#include <zdict.h>

enum { LINES_MAX = 256, LINE_BYTES_MAX = 1024, LANGUAGES = 6, ACTORS = 40 };
enum { WORDS_MAX = 1024, WORD_BYTES_MAX = 48, READINGS = 20000, LOOSE_PERCENT = 50 };
enum { SAMPLES = 20000, LEVEL = 19, DICTIONARY_ID = 1 };

#define MS_2025 UINT64_C(1735689600000)
#define THREE_YEARS_MS UINT64_C(94608000000)

struct word {
    char text[WORD_BYTES_MAX];
    size_t count;
};

struct language {
    const char *name;
    unsigned weight; /* of 100: how much is written in it */
    const char *stop;
    size_t line_count;
    char lines[LINES_MAX][LINE_BYTES_MAX];
    size_t word_count;
    size_t reading_count;         /* of all words together */
    struct word words[WORDS_MAX]; /* ascending by count */
};

static struct language languages[LANGUAGES] = {
    { .name = "en", .weight = 50, .stop = " " }, { .name = "fr", .weight = 16, .stop = " " },
    { .name = "es", .weight = 16, .stop = " " }, { .name = "ar", .weight = 7, .stop = " " },
    { .name = "ru", .weight = 6, .stop = " " },  { .name = "zh", .weight = 5, .stop = "" },
};

static struct chance chance = { 20250501 };

static size_t
draw(size_t below)
{
    return (size_t)chance_below(&chance, below);
}

static void
put_random(struct buf *buf, size_t size)
{
    uint8_t bytes[16];

    for (size_t n = 0; n < size; n++) {
        bytes[n] = (uint8_t)chance_next(&chance);
    }
    cbor_put_bytes(buf, span_of(bytes, size));
}

/* Append `template` with one of each {a|b} taken. */
static void
expand(struct buf *out, const char *template)
{
    for (const char *at = template; *at != '\0'; at++) {
        if (*at != '{') {
            buf_put_u8(out, (uint8_t)*at);
            continue;
        }
        const char *end = strchr(at, '}');
        size_t choices = 1;
        for (const char *c = at; c < end; c++) {
            choices += *c == '|';
        }
        const char *from = at + 1;
        for (size_t skip = draw(choices); skip > 0; skip--) {
            from = strchr(from, '|') + 1;
        }
        buf_put(out, from, strcspn(from, "|}"));
        at = end;
    }
}

/* Append a line of this kind. */
static void
say(struct buf *out, const struct language *language, char kind)
{
    const char *line = NULL;

    while (line == NULL || line[0] != kind) {
        line = language->lines[draw(language->line_count)];
    }
    expand(out, line + 2);
}

/* Append a word, a common one more often. */
static void
say_word(struct buf *out, const struct language *language)
{
    size_t at = draw(language->reading_count);
    const struct word *word = language->words;

    while (at >= word->count) {
        at -= word->count;
        word++;
    }
    buf_put_text(out, word->text);
}

static void
put_text(struct buf *payload, const struct language *language, char kind, size_t lines)
{
    struct buf text = { 0 };
    bool loose = language->reading_count > 0 && draw(100) < LOOSE_PERCENT;

    for (size_t n = 0; n < lines; n++) {
        if (n > 0) {
            buf_put_text(&text, language->stop);
        }
        if (!loose) {
            say(&text, language, kind);
            continue;
        }
        for (size_t words = 4 + draw(9); words > 0; words--) {
            say_word(&text, language);
            buf_put_text(&text, words > 1 ? language->stop : ".");
        }
    }
    cbor_put_text(payload, buf_span(&text));
    buf_free(&text);
}

static void
put_preds(struct buf *payload, size_t count)
{
    cbor_put_array(payload, count);
    for (size_t n = 0; n < count; n++) {
        if (draw(3) == 0) {
            cbor_put_array(payload, 2);
            cbor_put_uint(payload, 1 + draw(200));
            cbor_put_uint(payload, draw(6));
        } else {
            cbor_put_array(payload, 4);
            put_random(payload, 6);
            cbor_put_uint(payload, draw(20000));
            cbor_put_uint(payload, draw(6));
            put_random(payload, 4);
        }
    }
}

/* [1, field, preds, ...]; the value follows. */
static void
put_set(struct buf *payload, uint64_t field, size_t pred_count)
{
    cbor_put_array(payload, 4);
    cbor_put_uint(payload, 1);
    cbor_put_uint(payload, field);
    put_preds(payload, pred_count);
}

static void
put_date(struct buf *payload)
{
    char date[32];
    int size = snprintf(date, sizeof date, "202%zu-%02zu-%02zu", 4 + draw(4), 1 + draw(12), 1 + draw(28));

    cbor_put_text(payload, span_of(date, (size_t)size));
}

/* A field number: of the casework codebook, or a small one. */
static uint64_t
field(uint64_t n, bool small)
{
    return small ? n : 100 + n;
}

static void
put_ops(struct buf *payload, const struct language *language)
{
    size_t what = draw(10);
    bool small = draw(2) == 0;
    size_t preds = draw(8) == 0 ? 2 : 1;

    if (what == 0) { /* a new case */
        cbor_put_array(payload, 6);
        put_set(payload, 1, 0);
        cbor_put_uint(payload, 1);
        put_set(payload, field(2, small), 0);
        put_text(payload, language, 't', 1);
        put_set(payload, field(3, small), 0);
        cbor_put_uint(payload, 1 + draw(8));
        put_set(payload, field(4, small), 0);
        cbor_put_uint(payload, 1 + draw(60));
        put_set(payload, field(7, small), 0);
        put_date(payload);
        put_set(payload, field(8, small), 0);
        put_text(payload, language, 'p', 1);
    } else if (what < 3) { /* a step with a note */
        cbor_put_array(payload, 3);
        put_set(payload, field(3, small), preds);
        cbor_put_uint(payload, 1 + draw(8));
        put_set(payload, field(6, small), preds);
        cbor_put_uint(payload, 1 + draw(60));
        put_set(payload, field(9, small), preds);
        put_text(payload, language, 'n', 1 + draw(3));
    } else if (what < 6) { /* a note alone */
        cbor_put_array(payload, 1);
        put_set(payload, field(9, small), preds);
        put_text(payload, language, 'n', 1 + draw(4));
    } else if (what < 7) { /* a note as an element */
        uint8_t element[8];
        bytes_write_u64(element, chance_next(&chance));
        cbor_put_array(payload, 2);
        cbor_put_array(payload, 3);
        cbor_put_uint(payload, 2);
        cbor_put_array(payload, 2);
        cbor_put_uint(payload, 1);
        cbor_put_bytes(payload, span_of(element, sizeof element));
        cbor_put_array(payload, 0);
        cbor_put_array(payload, 4);
        cbor_put_uint(payload, 1);
        cbor_put_array(payload, 3);
        cbor_put_uint(payload, 1);
        cbor_put_bytes(payload, span_of(element, sizeof element));
        cbor_put_uint(payload, 11);
        cbor_put_array(payload, 0);
        put_text(payload, language, 'n', 1 + draw(4));
    } else if (what < 8) { /* what comes next */
        cbor_put_array(payload, 4);
        put_set(payload, field(4, small), preds);
        cbor_put_uint(payload, 1 + draw(5));
        put_set(payload, field(8, small), preds);
        put_text(payload, language, 'p', 1);
        put_set(payload, field(10, small), preds);
        put_date(payload);
        put_set(payload, field(11, small), preds);
        put_text(payload, language, 'c', 1);
    } else { /* a summary */
        cbor_put_array(payload, 1);
        put_set(payload, field(12, small), preds);
        put_text(payload, language, 's', 1 + draw(3));
    }
}

static void
put_payload(struct buf *payload)
{
    size_t at = draw(100);
    const struct language *language = languages;

    while (at >= language->weight) {
        at -= language->weight;
        language++;
    }
    uint64_t ms = MS_2025 + chance_next(&chance) % THREE_YEARS_MS;
    cbor_put_map(payload, 4);
    cbor_put_uint(payload, 0);
    cbor_put_uint(payload, 256);
    cbor_put_uint(payload, 1);
    cbor_put_uint(payload, ms << 16);
    cbor_put_uint(payload, 3);
    put_ops(payload, language);
    cbor_put_uint(payload, 4);
    cbor_put_uint(payload, 1 + draw(ACTORS));
}

static int
load(struct language *language, const char *folder)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s.txt", folder, language->name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return -1;
    }
    while (language->line_count < LINES_MAX &&
           fgets(language->lines[language->line_count], LINE_BYTES_MAX, file) != NULL) {
        char *line = language->lines[language->line_count++];
        line[strcspn(line, "\n")] = '\0';
    }
    return fclose(file);
}

static void
count_word(struct language *language, const char *text, size_t size)
{
    size_t n = 0;

    if (size == 0 || size >= WORD_BYTES_MAX) {
        return;
    }
    while (n < language->word_count &&
           (strlen(language->words[n].text) != size || memcmp(language->words[n].text, text, size) != 0)) {
        n++;
    }
    if (n == WORDS_MAX) {
        return;
    }
    if (n == language->word_count) {
        memcpy(language->words[n].text, text, size);
        language->word_count++;
    }
    language->words[n].count++;
    language->reading_count++;
}

static int
by_count(const void *a, const void *b)
{
    const struct word *first = a;
    const struct word *second = b;

    if (first->count != second->count) {
        return first->count < second->count ? -1 : 1;
    }
    return strcmp(first->text, second->text);
}

/* Read many lines of a language and count its words. */
static void
count_words(struct language *language)
{
    static const char between[] = " .,;:()";
    struct buf text = { 0 };

    if (language->stop[0] == '\0') { /* written without spaces: no words to be found */
        return;
    }
    for (size_t n = 0; n < READINGS; n++) {
        buf_clear(&text);
        expand(&text, language->lines[draw(language->line_count)] + 2);
        buf_put_u8(&text, '\0');
        for (const char *at = (const char *)text.data; *at != '\0';) {
            size_t size = strcspn(at, between);
            count_word(language, at, size);
            at += size;
            at += strspn(at, between);
        }
    }
    buf_free(&text);
    qsort(language->words, language->word_count, sizeof language->words[0], by_count);
}

/* Append the words of a language, the commonest last: what is near the end is cheap to name. */
static void
put_words(struct buf *out, const struct language *language)
{
    size_t floor = language->reading_count / 1000;

    for (size_t n = 0; n < language->word_count; n++) {
        if (language->words[n].count > floor) {
            buf_put_text(out, language->words[n].text);
            buf_put_text(out, language->stop);
        }
    }
}

static bool
write_file(const char *path, struct span bytes)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL) {
        return false;
    }
    bool whole = fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
    return (fclose(file) == 0) && whole;
}

int
main(int argc, char **argv)
{
    static size_t sizes[SAMPLES];
    static uint8_t phrases[1 << 17];
    static uint8_t dictionary[1 << 17];
    struct buf samples = { 0 };
    struct buf content = { 0 };

    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s TEXT-FOLDER PHRASE-BYTES DICTIONARY\n", argv[0]);
        return 2;
    }
    for (size_t n = 0; n < LANGUAGES; n++) {
        if (load(&languages[n], argv[1]) != 0) {
            (void)fprintf(stderr, "%s/%s.txt: cannot be read\n", argv[1], languages[n].name);
            return 1;
        }
        count_words(&languages[n]);
    }
    for (size_t n = 0; n < SAMPLES; n++) {
        struct buf payload = { 0 };
        put_payload(&payload);
        if (!cbor_valid(buf_span(&payload))) {
            (void)fprintf(stderr, "sample %zu is no payload\n", n);
            return 1;
        }
        sizes[n] = payload.size;
        buf_put_span(&samples, buf_span(&payload));
        buf_free(&payload);
    }
    ZDICT_cover_params_t cover = { .k = 256, .d = 8, .zParams = { .compressionLevel = LEVEL } };
    size_t phrase_bytes =
        ZDICT_trainFromBuffer_cover(phrases, strtoul(argv[2], NULL, 10), samples.data, sizes, SAMPLES, cover);
    if (ZDICT_isError(phrase_bytes)) {
        (void)fprintf(stderr, "%s\n", ZDICT_getErrorName(phrase_bytes));
        return 1;
    }
    size_t tables = ZDICT_getDictHeaderSize(phrases, phrase_bytes);
    buf_put(&content, phrases + tables, phrase_bytes - tables);
    for (size_t n = LANGUAGES; n > 0; n--) {
        put_words(&content, &languages[n - 1]);
    }
    ZDICT_params_t params = { .compressionLevel = LEVEL, .dictID = DICTIONARY_ID };
    size_t size = ZDICT_finalizeDictionary(dictionary, sizeof dictionary, content.data, content.size,
                                           samples.data, sizes, SAMPLES, params);
    if (ZDICT_isError(size)) {
        (void)fprintf(stderr, "%s\n", ZDICT_getErrorName(size));
        return 1;
    }
    (void)printf("%zu bytes: %zu of phrases, %zu of words\n", size, phrase_bytes - tables,
                 content.size - (phrase_bytes - tables));
    if (!write_file(argv[3], span_of(dictionary, size))) {
        (void)fprintf(stderr, "%s: cannot be written\n", argv[3]);
        return 1;
    }
    buf_free(&samples);
    buf_free(&content);
    return 0;
}
