#include "sync/paper.h"

#include <assert.h>
#include <string.h>

enum {
    LINE_LETTERS = PAPER_LINE_BYTES * 8 / 5 + 2, /* its check included */
    GROUP_LETTERS = 6,
    CHECK_LETTERS = PAPER_CHECK_BYTES * 8 / 5,
    TITLE_BYTES_MAX = 64,
    /* What comes before the bytes of the content: how it stands for the file. */
    FORM_PLAIN = 0,
    FORM_ARMOUR = 1, /* title, newline, bytes: base64 would cost a third more */
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void
paper_free(struct paper *paper)
{
    buf_free(&paper->content);
    *paper = (struct paper){ 0 };
}

/* --- letters --- */

/* Append the base32 letters of `bytes`, without padding. */
static void
put_letters(struct buf *out, struct span bytes)
{
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t n = 0; n < bytes.size; n++) {
        bits = bits << 8 | bytes.data[n];
        count += 8;
        while (count >= 5) {
            count -= 5;
            buf_put_u8(out, (uint8_t)alphabet[bits >> count & 31]);
        }
    }
    if (count > 0) {
        buf_put_u8(out, (uint8_t)alphabet[bits << (5 - count) & 31]);
    }
}

static uint8_t
capital(uint8_t letter)
{
    return letter >= 'a' && letter <= 'z' ? (uint8_t)(letter - 'a' + 'A') : letter;
}

/* The value of a letter as people type it: case and the digits that look like letters do not matter. -1: none. */
static int
letter_value(uint8_t letter)
{
    letter = capital(letter);
    letter = letter == '0' ? 'O' : letter == '1' ? 'I' : letter == '8' ? 'B' : letter;
    const char *at = letter == '\0' ? NULL : strchr(alphabet, letter);
    return at == NULL ? -1 : (int)(at - alphabet);
}

/* The bytes that values of letters stand for. False: stray bits, or a number of letters that no bytes have. */
static bool
read_letters(const uint8_t *values, size_t count, uint8_t *out)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t size = count * 5 / 8;

    if ((size * 8 + 4) / 5 != count) {
        return false;
    }
    for (size_t n = 0; n < count; n++) {
        bits = bits << 5 | values[n];
        bit_count += 5;
        if (bit_count >= 8) {
            bit_count -= 8;
            *out++ = (uint8_t)(bits >> bit_count);
        }
    }
    return (bits & ((1u << bit_count) - 1)) == 0;
}

/* The two letters that end a line, as values. They hold for this file, part and line. */
static void
line_check(uint8_t values_out[2], const uint8_t check[PAPER_CHECK_BYTES], uint32_t n, uint32_t part_count,
           uint32_t line, struct span data)
{
    uint8_t place[5];
    struct hash hash;

    bytes_write_u16(place, (uint16_t)(n + 1));
    bytes_write_u16(place + 2, (uint16_t)part_count);
    place[4] = (uint8_t)(line + 1);
    CRYPTO_HASH(&hash, "vigil.ptl.v1", span_of(check, PAPER_CHECK_BYTES), span_of(place, sizeof place), data);
    values_out[0] = hash.bytes[0] >> 3;
    values_out[1] = (uint8_t)((hash.bytes[0] << 2 | hash.bytes[1] >> 6) & 31);
}

static void
content_check(uint8_t out[PAPER_CHECK_BYTES], struct span content)
{
    struct hash hash;

    CRYPTO_HASH(&hash, "vigil.prt.v1", content);
    memcpy(out, hash.bytes, PAPER_CHECK_BYTES);
}

/* --- writing --- */

/* The content that stands for a file. */
static void
put_content(struct buf *out, struct span file)
{
    const uint8_t *end = file.size == 0 ? NULL : memchr(file.data, '\n', file.size);
    char title[TITLE_BYTES_MAX];
    struct buf bytes = { 0 };
    struct buf again = { 0 };
    bool same = false;

    if (end != NULL && end - file.data < TITLE_BYTES_MAX &&
        memchr(file.data, '\0', (size_t)(end - file.data)) == NULL) {
        size_t size = (size_t)(end - file.data);
        memcpy(title, file.data, size);
        title[size] = '\0';
        if (armour_read(file, title, &bytes)) {
            armour_write(&again, title, buf_span(&bytes));
            same = !again.failed && span_equal(buf_span(&again), file);
        }
    }
    buf_put_u8(out, same ? FORM_ARMOUR : FORM_PLAIN);
    if (same) {
        buf_put_text(out, title);
        buf_put_u8(out, '\n');
    }
    buf_put_span(out, same ? buf_span(&bytes) : file);
    out->failed |= bytes.failed || again.failed;
    buf_free(&bytes);
    buf_free(&again);
}

enum err
paper_split(struct paper *paper_out, struct span file)
{
    *paper_out = (struct paper){ 0 };
    if (file.size == 0) {
        return ERR_INVALID;
    }
    if (file.size > 2 * PAPER_PARTS_MAX * PAPER_PART_BYTES) {
        return ERR_FULL;
    }
    put_content(&paper_out->content, file);
    if (paper_out->content.failed) {
        paper_free(paper_out);
        return ERR_MEMORY;
    }
    size_t size = paper_out->content.size;
    size_t count = (size + PAPER_PART_BYTES - 1) / PAPER_PART_BYTES;
    if (count > PAPER_PARTS_MAX) {
        paper_free(paper_out);
        return ERR_FULL;
    }
    content_check(paper_out->check, buf_span(&paper_out->content));
    paper_out->part_count = (uint32_t)count;
    paper_out->last_bytes = size - (count - 1) * PAPER_PART_BYTES;
    memset(paper_out->here, true, count);
    return ERR_OK;
}

static struct span
part_span(const struct paper *paper, uint32_t n)
{
    assert(n < paper->part_count && paper->here[n]);

    return span_of(paper->content.data + (size_t)n * PAPER_PART_BYTES,
                   n + 1 == paper->part_count ? paper->last_bytes : PAPER_PART_BYTES);
}

static void
put_header(const struct paper *paper, uint32_t n, struct buf *out)
{
    buf_printf(out, "VIGIL PART 1 %u/%u ", (unsigned)(n + 1), (unsigned)paper->part_count);
    put_letters(out, span_of(paper->check, PAPER_CHECK_BYTES));
}

/* Append one line: the letters of its bytes, and its check. */
static void
put_line(const struct paper *paper, uint32_t n, uint32_t line, struct span data, struct buf *out)
{
    uint8_t check[2];

    put_letters(out, data);
    line_check(check, paper->check, n, paper->part_count, line, data);
    buf_put_u8(out, (uint8_t)alphabet[check[0]]);
    buf_put_u8(out, (uint8_t)alphabet[check[1]]);
}

static struct span
line_span(struct span part, uint32_t line)
{
    size_t from = (size_t)line * PAPER_LINE_BYTES;
    size_t left = part.size - from;

    return span_of(part.data + from, left < PAPER_LINE_BYTES ? left : PAPER_LINE_BYTES);
}

void
paper_text(const struct paper *paper, uint32_t n, struct buf *out)
{
    struct span part = part_span(paper, n);

    put_header(paper, n, out);
    buf_put_u8(out, '\n');
    for (uint32_t line = 0; (size_t)line * PAPER_LINE_BYTES < part.size; line++) {
        struct buf letters = { 0 };
        put_line(paper, n, line, line_span(part, line), &letters);
        for (size_t at = 0; at < letters.size; at++) {
            if (at > 0 && at % GROUP_LETTERS == 0) {
                buf_put_u8(out, ' ');
            }
            buf_put_u8(out, letters.data[at]);
        }
        buf_put_u8(out, '\n');
        out->failed |= letters.failed;
        buf_free(&letters);
    }
}

void
paper_code(const struct paper *paper, uint32_t n, struct buf *out)
{
    struct span part = part_span(paper, n);

    put_header(paper, n, out);
    buf_put_u8(out, ' ');
    for (uint32_t line = 0; (size_t)line * PAPER_LINE_BYTES < part.size; line++) {
        put_line(paper, n, line, line_span(part, line), out);
    }
}

/* --- reading --- */

static bool
is_space(uint8_t byte)
{
    return byte <= ' ' || byte == '#' || byte >= 127;
}

/* The next word; empty at the end. */
static struct span
next_word(struct span *rest)
{
    size_t from = 0;

    while (from < rest->size && is_space(rest->data[from])) {
        from++;
    }
    size_t to = from;
    while (to < rest->size && !is_space(rest->data[to])) {
        to++;
    }
    struct span word = span_of(rest->data + from, to - from);
    rest->data += to;
    rest->size -= to;
    return word;
}

/* True if the word is this, in either case. `text` is in capitals. */
static bool
word_is(struct span word, const char *text)
{
    size_t size = strlen(text);

    for (size_t n = 0; n < size && word.size == size; n++) {
        if (capital(word.data[n]) != (uint8_t)text[n]) {
            return false;
        }
    }
    return word.size == size;
}

/* True if a part begins here: two words, since letters of a part may happen to spell the first. */
static bool
begins_part(struct span rest)
{
    struct span first = next_word(&rest);

    return word_is(first, "VIGIL") && word_is(next_word(&rest), "PART");
}

/* A number from 1 to PAPER_PARTS_MAX in front of `word`, which it is taken off; 0: none. */
static uint32_t
take_number(struct span *word)
{
    uint32_t number = 0;

    while (word->size > 0 && word->data[0] >= '0' && word->data[0] <= '9' && number <= PAPER_PARTS_MAX) {
        number = 10 * number + (uint32_t)(word->data[0] - '0');
        word->data++;
        word->size--;
    }
    return number <= PAPER_PARTS_MAX ? number : 0;
}

static enum err
fault(struct joining_fault *out, enum err err, const char *what, const char *why, const char *todo)
{
    *out = (struct joining_fault){ what, why, todo };
    return err;
}

static enum err
mistyped(struct joining_fault *out, const char *why)
{
    return fault(out, ERR_INVALID, "it is mistyped", why, "compare it with the paper, letter by letter");
}

/* A part while it is read. */
struct part {
    uint32_t n; /* from 0 */
    uint32_t count;
    uint8_t check[PAPER_CHECK_BYTES];
    size_t size;
    uint8_t bytes[PAPER_PART_BYTES];
};

/* Read what follows the words that begin a part: "1 2/3 K4QZ2M7A". */
static enum err
read_header(struct span *rest, struct part *part, struct joining_fault *fault_out)
{
    uint8_t values[CHECK_LETTERS];
    struct span version = next_word(rest);
    struct span numbers = next_word(rest);
    struct span check = next_word(rest);

    if (!word_is(version, "1")) {
        return take_number(&version) > 0 && version.size == 0
                   ? fault(fault_out, ERR_NEWER, "it cannot be read", "it was printed by a newer program",
                           "upgrade this program")
                   : mistyped(fault_out, "its first line is not VIGIL PART 1 and two numbers");
    }
    uint32_t number = take_number(&numbers);
    bool slash = numbers.size > 0 && numbers.data[0] == '/';
    struct span after = slash ? span_of(numbers.data + 1, numbers.size - 1) : numbers;
    part->count = take_number(&after);
    if (!slash || number == 0 || part->count < number || after.size > 0) {
        return mistyped(fault_out, "its first line does not say which part of how many it is, as in 2/7");
    }
    part->n = number - 1;
    bool good = check.size == CHECK_LETTERS;
    for (size_t n = 0; n < CHECK_LETTERS && good; n++) {
        int value = letter_value(check.data[n]);
        good = value >= 0;
        values[n] = (uint8_t)value;
    }
    return good && read_letters(values, CHECK_LETTERS, part->check)
               ? ERR_OK
               : mistyped(fault_out, "its first line does not end in the eight letters of its file");
}

/* Read a line of letters, its check included, into the part. */
static bool
read_line(struct part *part, uint32_t line, const uint8_t *values, size_t count)
{
    uint8_t check[2];

    if (count < 4 || part->size + (count - 2) * 5 / 8 > PAPER_PART_BYTES) {
        return false;
    }
    uint8_t *at = part->bytes + part->size;
    if (!read_letters(values, count - 2, at)) {
        return false;
    }
    size_t size = (count - 2) * 5 / 8;
    line_check(check, part->check, part->n, part->count, line, span_of(at, size));
    part->size += size;
    return check[0] == values[count - 2] && check[1] == values[count - 1];
}

static enum err
read_part(struct span *rest, struct part *part, struct paper_place *place, struct joining_fault *fault_out)
{
    uint8_t values[LINE_LETTERS];
    size_t count = 0;
    uint32_t line = 0;

    enum err err = read_header(rest, part, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    place->part = part->n + 1;
    for (;;) {
        struct span word = { 0 };
        if (!begins_part(*rest)) {
            word = next_word(rest);
        }
        for (size_t n = 0; n < word.size; n++) {
            int value = letter_value(word.data[n]);
            place->line = line + 1;
            if (value < 0) {
                return mistyped(fault_out, "a letter in it is none of A to Z and 2 to 7");
            }
            values[count++] = (uint8_t)value;
            if (count == LINE_LETTERS) {
                if (!read_line(part, line, values, count)) {
                    return mistyped(fault_out, "its letters do not fit its last two");
                }
                line++;
                count = 0;
            }
        }
        if (word.size == 0) {
            break;
        }
    }
    place->line = line + 1;
    if (count > 0 && !read_line(part, line, values, count)) {
        return mistyped(fault_out, "its letters do not fit its last two");
    }
    if (part->size == 0 || (part->n + 1 < part->count && part->size != PAPER_PART_BYTES)) {
        return mistyped(fault_out, "a line is missing");
    }
    return ERR_OK;
}

static enum err
keep_part(struct paper *paper, const struct part *part, struct joining_fault *fault_out)
{
    if (paper->part_count == 0) {
        size_t size = (size_t)part->count * PAPER_PART_BYTES;
        uint8_t *room = buf_extend(&paper->content, size);
        if (room == NULL) {
            return fault(fault_out, ERR_MEMORY, "it cannot be read", "the machine has no memory left",
                         "close other programs and try again");
        }
        memset(room, 0, size);
        paper->part_count = part->count;
        memcpy(paper->check, part->check, PAPER_CHECK_BYTES);
    }
    if (paper->part_count != part->count || memcmp(paper->check, part->check, PAPER_CHECK_BYTES) != 0) {
        return fault(fault_out, ERR_CONFLICT, "it is a part of another file",
                     "the end of its first line is not that of the parts before",
                     "put the parts of each file together by themselves");
    }
    memcpy(paper->content.data + (size_t)part->n * PAPER_PART_BYTES, part->bytes, part->size);
    paper->here[part->n] = true;
    if (part->n + 1 == part->count) {
        paper->last_bytes = part->size;
    }
    return ERR_OK;
}

enum err
paper_add(struct paper *paper, struct span text, struct paper_place *place_out,
          struct joining_fault *fault_out)
{
    struct span rest = text;

    *place_out = (struct paper_place){ 0 };
    do {
        struct part part = { 0 };
        *place_out = (struct paper_place){ 0 };
        if (!begins_part(rest)) {
            return fault(fault_out, ERR_INVALID, "these are no parts of a file",
                         "the first words are not VIGIL PART", "begin with the first line of a part");
        }
        (void)next_word(&rest);
        (void)next_word(&rest);
        enum err err = read_part(&rest, &part, place_out, fault_out);
        if (err == ERR_OK) {
            err = keep_part(paper, &part, fault_out);
        }
        if (err != ERR_OK) {
            return err;
        }
    } while (begins_part(rest));
    return ERR_OK;
}

uint32_t
paper_missing(const struct paper *paper)
{
    for (uint32_t n = 0; n < paper->part_count; n++) {
        if (!paper->here[n]) {
            return n + 1;
        }
    }
    return paper->part_count == 0 ? 1 : 0;
}

enum err
paper_join(const struct paper *paper, struct buf *file_out)
{
    uint8_t check[PAPER_CHECK_BYTES];

    assert(paper_missing(paper) == 0);
    struct span content =
        span_of(paper->content.data, (size_t)(paper->part_count - 1) * PAPER_PART_BYTES + paper->last_bytes);
    content_check(check, content);
    if (memcmp(check, paper->check, PAPER_CHECK_BYTES) != 0 || content.size < 2) {
        return ERR_CORRUPT;
    }
    struct span rest = span_of(content.data + 1, content.size - 1);
    if (content.data[0] == FORM_PLAIN) {
        buf_put_span(file_out, rest);
        return file_out->failed ? ERR_MEMORY : ERR_OK;
    }
    const uint8_t *end = rest.size == 0 ? NULL : memchr(rest.data, '\n', rest.size);
    char title[TITLE_BYTES_MAX];
    size_t size = end == NULL ? TITLE_BYTES_MAX : (size_t)(end - rest.data);
    if (content.data[0] != FORM_ARMOUR || size >= TITLE_BYTES_MAX || memchr(rest.data, '\0', size) != NULL) {
        return ERR_CORRUPT;
    }
    memcpy(title, rest.data, size);
    title[size] = '\0';
    armour_write(file_out, title, span_of(end + 1, rest.size - size - 1));
    return file_out->failed ? ERR_MEMORY : ERR_OK;
}
