/* train.c - makes the samples that the dictionary of payloads is trained on.
 *
 *     xx.txt: lines of "kind template"  -->  text  -->  payload (CBOR)  -->  FOLDER/n.cbor
 *
 * All of it is synthetic: short casework sentences of our own in six languages, with
 * {one|or|another} choices, set into payloads as sync/FORMATS.md has them. Kinds of line: t title,
 * p place, c contact, n note, s summary. The draw is seeded, so the samples are always the same.
 */
#include "store/base/cbor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 256, LINE_BYTES_MAX = 1024, LANGUAGES = 6, ACTORS = 40 };

#define MS_2025 UINT64_C(1735689600000)
#define THREE_YEARS_MS UINT64_C(94608000000)

struct language {
    const char *name;
    unsigned weight; /* of 100: how much is written in it */
    const char *stop;
    size_t line_count;
    char lines[LINES_MAX][LINE_BYTES_MAX];
};

static struct language languages[LANGUAGES] = {
    { .name = "en", .weight = 50, .stop = " " }, { .name = "fr", .weight = 16, .stop = " " },
    { .name = "es", .weight = 16, .stop = " " }, { .name = "ar", .weight = 7, .stop = " " },
    { .name = "ru", .weight = 6, .stop = " " },  { .name = "zh", .weight = 5, .stop = "" },
};

static uint64_t state = 20250501;

/* SplitMix64. */
static uint64_t
draw64(void)
{
    uint64_t x = state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static size_t
draw(size_t below)
{
    return (size_t)(draw64() % below);
}

static void
put_random(struct buf *buf, size_t size)
{
    uint8_t bytes[16];

    for (size_t n = 0; n < size; n++) {
        bytes[n] = (uint8_t)draw64();
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

static void
put_text(struct buf *payload, const struct language *language, char kind, size_t lines)
{
    struct buf text = { 0 };

    for (size_t n = 0; n < lines; n++) {
        if (n > 0) {
            buf_put_text(&text, language->stop);
        }
        say(&text, language, kind);
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
        bytes_write_u64(element, draw64());
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
    uint64_t ms = MS_2025 + draw64() % THREE_YEARS_MS;
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

int
main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s TEXT-FOLDER SAMPLE-FOLDER COUNT\n", argv[0]);
        return 2;
    }
    for (size_t n = 0; n < LANGUAGES; n++) {
        if (load(&languages[n], argv[1]) != 0) {
            (void)fprintf(stderr, "%s/%s.txt: cannot be read\n", argv[1], languages[n].name);
            return 1;
        }
    }
    unsigned long count = strtoul(argv[3], NULL, 10);
    struct buf payload = { 0 };
    int failed = 0;
    for (unsigned long n = 0; n < count && failed == 0; n++) {
        char path[4096];
        buf_clear(&payload);
        put_payload(&payload);
        (void)snprintf(path, sizeof path, "%s/%06lu.cbor", argv[2], n);
        FILE *file = fopen(path, "wb");
        failed = file == NULL || payload.failed || !cbor_valid(buf_span(&payload)) ||
                 fwrite(payload.data, 1, payload.size, file) != payload.size;
        failed |= file != NULL && fclose(file) != 0;
    }
    buf_free(&payload);
    if (failed) {
        (void)fprintf(stderr, "%s: cannot be written\n", argv[2]);
    }
    return failed;
}
