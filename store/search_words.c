#include "store/search_words.h"

#include <libstemmer.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>
#include <unicode/utext.h>
#include <unicode/utrans.h>

/* A longer run without a break is cut: no language has such words. */
enum { WORD_BYTES_MAX = 256, WORD_UNITS_MAX = WORD_BYTES_MAX, FORMS_MAX = 12 };

enum { TATWEEL = 0x640 };

/* Most words of a text were in another before: the forms of those are kept, two words where their hashes meet. */
enum { KNOWN_SETS = 32768, KNOWN_WAYS = 2, KNOWN_FORMS_MAX = 7, KNOWN_BYTES = 118 };

/* A word in one of its forms. */
struct form {
    char bytes[4 * WORD_UNITS_MAX];
    size_t size;
};

/* A word as it stood in a text, and its forms behind it. Empty if size is 0. Two lines of a processor's cache. */
struct known {
    uint8_t size;
    uint8_t form_count;
    uint8_t sizes[KNOWN_FORMS_MAX];
    uint8_t older; /* of the first of a set: which of them to forget next */
    char bytes[KNOWN_BYTES];
};

struct language {
    UScriptCode script;
    const char *name; /* as Snowball calls it */
};

/* The languages of the UN that have stems; Chinese has none. */
static const struct language languages[] = {
    { USCRIPT_ARABIC, "arabic" }, { USCRIPT_CYRILLIC, "russian" }, { USCRIPT_LATIN, "english" },
    { USCRIPT_LATIN, "french" },  { USCRIPT_LATIN, "spanish" },
};

enum { LANGUAGES = sizeof languages / sizeof languages[0] };

struct search_words {
    UBreakIterator *breaks;
    const UNormalizer2 *decompose;
    const UNormalizer2 *compose;
    UTransliterator *latin;
    struct sb_stemmer *stemmers[LANGUAGES];
    struct form forms[FORMS_MAX]; /* of the word under work, each once */
    size_t form_count;
    struct known (*known)[KNOWN_WAYS];
};

/* ICU's own, but for what it writes otherwise than names are written: ts and j for one letter and two, and a word's first ayn
 * and last teh marbuta, which are heard as vowels. A word is given at a time. */
static const UChar to_latin_id[] = u"Vigil-Latin";
static const UChar to_latin[] =
    u"^ { \u0639 > a; \u0629 > a; \u0446 > ts; \u0426 > ts; \u0434\u0436 > j; \u0414\u0436 > j; "
    u":: Any-Latin; :: Latin-ASCII; :: Lower;";

enum err
search_words_open(struct search_words **words_out)
{
    struct search_words *words = calloc(1, sizeof *words);
    UErrorCode status = U_ZERO_ERROR;

    *words_out = NULL;
    if (words == NULL) {
        return ERR_MEMORY;
    }
    words->known = calloc(KNOWN_SETS, sizeof *words->known);
    words->breaks = ubrk_open(UBRK_WORD, "", NULL, 0, &status);
    words->decompose = unorm2_getNFKDInstance(&status);
    words->compose = unorm2_getNFKCInstance(&status);
    words->latin = utrans_openU(to_latin_id, -1, UTRANS_FORWARD, to_latin, -1, NULL, &status);
    bool good = U_SUCCESS(status) && words->known != NULL;
    for (size_t n = 0; n < LANGUAGES; n++) {
        words->stemmers[n] = sb_stemmer_new(languages[n].name, "UTF_8");
        good = good && words->stemmers[n] != NULL;
    }
    if (!good) {
        bool memory = status == U_MEMORY_ALLOCATION_ERROR || words->known == NULL;
        search_words_close(&words);
        return memory ? ERR_MEMORY : ERR_INVALID;
    }
    *words_out = words;
    return ERR_OK;
}

void
search_words_close(struct search_words **words_in)
{
    struct search_words *words = *words_in;

    if (words == NULL) {
        return;
    }
    if (words->breaks != NULL) {
        ubrk_close(words->breaks);
    }
    if (words->latin != NULL) {
        utrans_close(words->latin);
    }
    for (size_t n = 0; n < LANGUAGES; n++) {
        sb_stemmer_delete(words->stemmers[n]);
    }
    if (words->known != NULL) {
        explicit_bzero(words->known, KNOWN_SETS * sizeof *words->known);
    }
    free(words->known);
    explicit_bzero(words, sizeof *words);
    free(words);
    *words_in = NULL;
}

/* --- forms of one word --- */

/* Add a form, unless it is there or empty. */
static void
add_form(struct search_words *words, const char *bytes, size_t size)
{
    struct form *form = &words->forms[words->form_count];

    if (size == 0 || size > sizeof form->bytes || words->form_count == FORMS_MAX) {
        return;
    }
    for (size_t n = 0; n < words->form_count; n++) {
        if (words->forms[n].size == size && memcmp(words->forms[n].bytes, bytes, size) == 0) {
            return;
        }
    }
    memcpy(form->bytes, bytes, size);
    form->size = size;
    words->form_count++;
}

/* Take apart, fold, and leave out marks and the line that only stretches a word. Gives the number of units. */
static int32_t
strip(const struct search_words *words, const UChar *from, int32_t size, UChar out[2 * WORD_UNITS_MAX])
{
    UChar apart[2 * WORD_UNITS_MAX];
    UChar32 points[2 * WORD_UNITS_MAX];
    UErrorCode status = U_ZERO_ERROR;
    int32_t kept = 0;
    int32_t count = unorm2_normalize(words->decompose, from, size, apart, 2 * WORD_UNITS_MAX, &status);

    (void)u_strToUTF32(points, 2 * WORD_UNITS_MAX, &count, apart, count, &status);
    for (int32_t n = 0; U_SUCCESS(status) && n < count; n++) {
        if (u_charType(points[n]) != U_NON_SPACING_MARK && points[n] != TATWEEL) {
            points[kept] = points[n];
            kept++;
        }
    }
    (void)u_strFromUTF32(apart, 2 * WORD_UNITS_MAX, &count, points, kept, &status);
    count = u_strFoldCase(out, 2 * WORD_UNITS_MAX, apart, count, U_FOLD_CASE_DEFAULT, &status);
    return U_SUCCESS(status) ? count : 0;
}

/* Units as UTF-8. Gives the number of bytes; 0: they do not fit. */
static size_t
to_bytes(const UChar *units, int32_t count, char out[4 * WORD_UNITS_MAX])
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t size = 0;

    (void)u_strToUTF8(out, 4 * WORD_UNITS_MAX, &size, units, count, &status);
    return U_SUCCESS(status) && size > 0 ? (size_t)size : 0;
}

static bool
is_ascii(const sb_symbol *bytes, size_t size)
{
    for (size_t n = 0; n < size; n++) {
        if (bytes[n] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* The stem of a word, without its marks: a stemmer goes by marks, a person who searches may leave them out. */
static void
add_stem(struct search_words *words, struct sb_stemmer *stemmer, const char *bytes, size_t size)
{
    UChar units[WORD_UNITS_MAX];
    UChar bare[2 * WORD_UNITS_MAX];
    char text[4 * WORD_UNITS_MAX];
    int32_t count = 0;
    UErrorCode status = U_ZERO_ERROR;
    const sb_symbol *stem = sb_stemmer_stem(stemmer, (const sb_symbol *)bytes, (int)size);

    if (stem == NULL) {
        return;
    }
    /* Without a mark there is none to be taken off, and what is given to a stemmer is folded. */
    if (is_ascii(stem, (size_t)sb_stemmer_length(stemmer))) {
        add_form(words, (const char *)stem, (size_t)sb_stemmer_length(stemmer));
        return;
    }
    (void)u_strFromUTF8(units, WORD_UNITS_MAX, &count, (const char *)stem, sb_stemmer_length(stemmer),
                        &status);
    if (U_SUCCESS(status)) {
        count = strip(words, units, count, bare);
        add_form(words, text, to_bytes(bare, count, text));
    }
}

/* Of the first letter. */
static UScriptCode
script_of(const UChar *units, UErrorCode *status)
{
    UChar32 first = U16_IS_LEAD(units[0]) ? U16_GET_SUPPLEMENTARY(units[0], units[1]) : units[0];

    return uscript_getScript(first, status);
}

/* All forms of the word; none: nothing is left of it. */
static void
make_forms(struct search_words *words, struct span word)
{
    UChar units[WORD_UNITS_MAX];
    UChar folded[2 * WORD_UNITS_MAX];
    UChar whole[2 * WORD_UNITS_MAX];
    UChar bare[2 * WORD_UNITS_MAX];
    char marked[4 * WORD_UNITS_MAX];
    char plain[4 * WORD_UNITS_MAX];
    UErrorCode status = U_ZERO_ERROR;
    int32_t count = 0;

    words->form_count = 0;
    (void)u_strFromUTF8WithSub(units, WORD_UNITS_MAX, &count, (const char *)word.data, (int32_t)word.size,
                               0xfffd, NULL, &status);
    if (U_FAILURE(status) || count == 0) {
        return;
    }
    size_t plain_size = to_bytes(bare, strip(words, units, count, bare), plain);
    add_form(words, plain, plain_size);
    /* With its marks, for the stemmers. */
    count = u_strFoldCase(folded, 2 * WORD_UNITS_MAX, units, count, U_FOLD_CASE_DEFAULT, &status);
    count = unorm2_normalize(words->compose, folded, count, whole, 2 * WORD_UNITS_MAX, &status);
    size_t marked_size = U_SUCCESS(status) ? to_bytes(whole, count, marked) : 0;
    UScriptCode script = script_of(units, &status);
    for (size_t n = 0; n < LANGUAGES && U_SUCCESS(status) && words->form_count > 0; n++) {
        if (languages[n].script == script) {
            add_stem(words, words->stemmers[n], marked, marked_size);
            if (plain_size != marked_size || memcmp(plain, marked, plain_size) != 0) {
                add_stem(words, words->stemmers[n], plain, plain_size);
            }
        }
    }
}

/* --- names --- */

static bool
is_vowel(char letter)
{
    return letter != '\0' && strchr("aeiou", letter) != NULL;
}

/* Two letters that stand for one sound, and that sound; "" beside one that is not heard. */
static const char sounds[][2][4] = {
    { "kh", "h" }, { "gh", "g" }, { "dh", "d" }, { "th", "t" }, { "ph", "f" }, { "sh", "s" },
    { "ch", "s" }, { "zh", "s" }, { "ts", "s" }, { "tz", "s" }, { "dj", "j" }, { "ck", "k" },
};

/* The sound at `at`, and how many letters stand for it. What a language may leave out or write otherwise within a word, vowels and y
 * and w, is no sound; before the word's end or a consonant a j after a vowel is none either: Sergej, Sergey; nor is an h after the last vowel: Sarah,
 * Sara. */
static const char *
sound_at(const char *latin, size_t at, size_t *letters_out)
{
    static const char same[] = "b\0d\0f\0g\0h\0j\0k\0l\0m\0n\0p\0r\0s\0t\0v";
    char letter = latin[at];

    *letters_out = 2;
    for (size_t n = 0; n < sizeof sounds / sizeof sounds[0]; n++) {
        if (strncmp(latin + at, sounds[n][0], 2) == 0) {
            return sounds[n][1];
        }
    }
    *letters_out = 1;
    if (is_vowel(letter) || letter == 'y') {
        return at == 0 ? "a" : "";
    }
    if (letter == 'w') {
        return at == 0 ? "v" : "";
    }
    if (letter == 'j' && at > 0 && is_vowel(latin[at - 1]) && !is_vowel(latin[at + 1])) {
        return "";
    }
    if (letter == 'h' && at > 0 && is_vowel(latin[at - 1]) && latin[at + 1] == '\0') {
        return "";
    }
    if (letter == 'c' || letter == 'q') {
        return "k";
    }
    if (letter == 'x') {
        return "ks";
    }
    if (letter == 'z') {
        return "s";
    }
    for (size_t n = 0; n < sizeof same; n += 2) {
        if (same[n] == letter) {
            return same + n;
        }
    }
    return "";
}

static void
make_skeleton(const char *latin, struct search_name *name)
{
    enum { CONSONANTS_MIN = 3 };
    char *out = name->consonants;
    size_t size = 0;
    size_t letters = 0;

    for (size_t at = 0; latin[at] != '\0'; at += letters) {
        for (const char *sound = sound_at(latin, at, &letters); *sound != '\0'; sound++) {
            /* A doubled consonant is one. */
            if (size < SEARCH_NAME_BYTES - 1 && (size == 0 || out[size - 1] != *sound)) {
                out[size] = *sound;
                size++;
            }
        }
    }
    out[size] = '\0';
    memcpy(name->skeleton, out, size < CONSONANTS_MIN ? 0 : size);
    name->skeleton[size < CONSONANTS_MIN ? 0 : size] = '\0';
}

/* Gives the number of bytes; 0: it cannot be written so. */
static size_t
to_latin_letters(const struct search_words *words, struct span word, char out[4 * WORD_UNITS_MAX])
{
    UChar units[4 * WORD_UNITS_MAX];
    UErrorCode status = U_ZERO_ERROR;
    int32_t count = 0;
    size_t size = word.size < WORD_BYTES_MAX ? word.size : WORD_BYTES_MAX;

    /* Most are, and ICU takes its time. */
    if (is_ascii(word.data, size)) {
        for (size_t n = 0; n < size; n++) {
            bool capital = word.data[n] >= 'A' && word.data[n] <= 'Z';

            out[n] = (char)(capital ? word.data[n] - 'A' + 'a' : word.data[n]);
        }
        return size;
    }
    (void)u_strFromUTF8WithSub(units, WORD_UNITS_MAX, &count, (const char *)word.data, (int32_t)size, 0xfffd,
                               NULL, &status);
    int32_t limit = count;
    utrans_transUChars(words->latin, units, &count, 4 * WORD_UNITS_MAX, 0, &limit, &status);
    return U_FAILURE(status) ? 0 : to_bytes(units, count, out);
}

void
search_words_name(struct search_words *words, struct span word, struct search_name *out)
{
    char text[4 * WORD_UNITS_MAX];
    size_t size = 0;

    *out = (struct search_name){ { '\0' }, { '\0' }, { '\0' } };
    size_t bytes = to_latin_letters(words, word, text);
    for (size_t n = 0; n < bytes && size < SEARCH_NAME_BYTES - 1; n++) {
        /* A letter that is written as an apostrophe carries a vowel where it begins a word. */
        if (n == 0 && (text[n] == '\'' || text[n] == '`')) {
            out->latin[size++] = 'a';
        } else if (text[n] >= 'a' && text[n] <= 'z') {
            out->latin[size++] = text[n];
        }
    }
    out->latin[size] = '\0';
    make_skeleton(out->latin, out);
}

/* --- the parts of a name --- */

/* More words make a sentence, and more characters without a space the name of an organisation. */
enum { PARTS_MAX = 16, RUN_CHARACTERS_MAX = 4 };

/* A word of a name, or a run of characters each of which may be a part. */
struct piece {
    size_t from;
    size_t to;
    size_t characters; /* of a run; 0: a word */
    bool filler;       /* anybody may be called so: "bin", "de" */
};

static bool
is_filler(struct span word)
{
    static const char *const particles[] = { "al",  "el",  "ul", "bin", "ibn", "bint", "ben", "ould",
                                             "de",  "da",  "do", "dos", "du",  "la",   "le",  "van",
                                             "von", "der", "of", "and", "بن",  "ابن",  "بنت", "ال" };

    for (size_t n = 0; n < sizeof particles / sizeof particles[0]; n++) {
        if (word.size == strlen(particles[n]) &&
            strncasecmp((const char *)word.data, particles[n], word.size) == 0) {
            return true;
        }
    }
    return false;
}

/* Han and Hangul: a character is a syllable. 0: the word is of another script; else how many there are. */
static size_t
count_syllables(struct span word)
{
    size_t count = 0;

    for (int32_t at = 0; at < (int32_t)word.size;) {
        UErrorCode status = U_ZERO_ERROR;
        UChar32 point;

        U8_NEXT(word.data, at, (int32_t)word.size, point);
        UScriptCode script = point < 0 ? USCRIPT_INVALID_CODE : uscript_getScript(point, &status);
        if (U_FAILURE(status) || (script != USCRIPT_HAN && script != USCRIPT_HANGUL)) {
            return 0;
        }
        count++;
    }
    return count;
}

static size_t
cut_pieces(struct search_words *words, struct span name, struct piece pieces[PARTS_MAX])
{
    UErrorCode status = U_ZERO_ERROR;
    size_t count = 0;
    UText *utf8 =
        utext_openUTF8(NULL, name.size == 0 ? "" : (const char *)name.data, (int64_t)name.size, &status);

    ubrk_setUText(words->breaks, utf8, &status);
    if (U_FAILURE(status)) {
        utext_close(utf8);
        return 0;
    }
    int32_t from = ubrk_first(words->breaks);
    for (int32_t to = ubrk_next(words->breaks); to != UBRK_DONE && count < PARTS_MAX;
         from = to, to = ubrk_next(words->breaks)) {
        struct span word = span_of(name.data + from, (size_t)(to - from));
        struct piece *last = count == 0 ? NULL : &pieces[count - 1];

        if (ubrk_getRuleStatus(words->breaks) < UBRK_WORD_NONE_LIMIT) {
            continue;
        }
        size_t characters = count_syllables(word);
        /* Where the dictionary finds a word means nothing within a name. */
        if (last != NULL && last->to == (size_t)from && last->characters > 0 && characters > 0 &&
            last->characters + characters <= RUN_CHARACTERS_MAX) {
            last->to = (size_t)to;
            last->characters += characters;
            continue;
        }
        pieces[count] = (struct piece){ (size_t)from, (size_t)to,
                                        characters <= RUN_CHARACTERS_MAX ? characters : 0, is_filler(word) };
        count++;
    }
    utext_close(utf8);
    return count;
}

/* Without the Arabic article, which Latin letters write apart. */
static struct span
without_article(struct span word)
{
    static const char article[] = "ال";
    enum { REST_BYTES_MIN = 6 };

    if (word.size >= sizeof article - 1 + REST_BYTES_MIN &&
        memcmp(word.data, article, sizeof article - 1) == 0) {
        return span_of(word.data + sizeof article - 1, word.size - (sizeof article - 1));
    }
    return word;
}

/* A run, cut before each character, or only after the first `reading` ones. */
static void
give_run(struct span name, const struct piece *piece, unsigned reading, search_name_part *each, void *self)
{
    int32_t at = (int32_t)piece->from;
    int32_t from = at;

    for (size_t n = 1; n <= piece->characters; n++) {
        U8_FWD_1(name.data, at, (int32_t)piece->to);
        if (reading == 0 || n == reading || n == piece->characters) {
            each(self, span_of(name.data + from, (size_t)(at - from)), reading);
            from = at;
        }
    }
}

void
search_words_parts(struct search_words *words, struct span name, search_name_part *each, void *self)
{
    struct piece pieces[PARTS_MAX];
    size_t count = cut_pieces(words, name, pieces);
    unsigned readings = 1;
    bool whole = true; /* nothing but words that say nothing */

    for (size_t n = 0; n < count; n++) {
        readings = pieces[n].characters > 2 ? SEARCH_READINGS_MAX : readings;
        whole = whole && pieces[n].filler;
    }
    for (unsigned reading = 0; reading < readings; reading++) {
        for (size_t n = 0; n < count; n++) {
            const struct piece *piece = &pieces[n];

            if (piece->characters > 1) {
                give_run(name, piece, reading, each, self);
            } else if (whole || !piece->filler) {
                each(self, without_article(span_of(name.data + piece->from, piece->to - piece->from)),
                     reading);
            }
        }
    }
}

/* --- words known before --- */

static struct known *
known_set(const struct search_words *words, struct span word)
{
    uint32_t mix = 2166136261U; /* FNV-1a: whoever makes words meet here makes them slower, and no more */

    for (size_t n = 0; n < word.size; n++) {
        mix = (mix ^ word.data[n]) * 16777619U;
    }
    return words->known[mix % KNOWN_SETS];
}

/* NULL: its forms are not known. */
static const struct known *
find_known(struct known *set, struct span word)
{
    for (uint8_t way = 0; way < KNOWN_WAYS; way++) {
        if (set[way].size == word.size && memcmp(set[way].bytes, word.data, word.size) == 0) {
            set->older = (uint8_t)(1 - way);
            return &set[way];
        }
    }
    return NULL;
}

/* In place of the one that was not asked for last. Words that are too long are made anew each time. */
static void
remember(const struct search_words *words, struct span word, struct known *set)
{
    size_t used = word.size;

    for (size_t n = 0; n < words->form_count; n++) {
        used += words->forms[n].size;
    }
    if (used > KNOWN_BYTES || words->form_count > KNOWN_FORMS_MAX) {
        return;
    }
    struct known *known = &set[set->older];
    set->older = (uint8_t)(1 - set->older);
    known->size = (uint8_t)word.size;
    known->form_count = (uint8_t)words->form_count;
    memcpy(known->bytes, word.data, word.size);
    used = word.size;
    for (size_t n = 0; n < words->form_count; n++) {
        known->sizes[n] = (uint8_t)words->forms[n].size;
        memcpy(known->bytes + used, words->forms[n].bytes, words->forms[n].size);
        used += words->forms[n].size;
    }
}

/* Give every form of one word. */
static int
give_forms(struct search_words *words, struct span word, size_t from, size_t to, search_word *each,
           void *self)
{
    struct known *set = known_set(words, word);
    const struct known *known = find_known(set, word);
    int stopped = 0;

    if (known != NULL) {
        const char *form = known->bytes + known->size;

        for (size_t n = 0; n < known->form_count && stopped == 0; n++) {
            stopped = each(self, span_of(form, known->sizes[n]), from, to, n > 0);
            form += known->sizes[n];
        }
        return stopped;
    }
    make_forms(words, word);
    remember(words, word, set);
    for (size_t n = 0; n < words->form_count && stopped == 0; n++) {
        stopped = each(self, span_of(words->forms[n].bytes, words->forms[n].size), from, to, n > 0);
    }
    return stopped;
}

int
search_words_each(struct search_words *words, struct span text, search_word *each, void *self)
{
    UErrorCode status = U_ZERO_ERROR;
    int stopped = 0;
    UText *utf8 =
        utext_openUTF8(NULL, text.size == 0 ? "" : (const char *)text.data, (int64_t)text.size, &status);

    ubrk_setUText(words->breaks, utf8, &status);
    if (U_FAILURE(status)) {
        utext_close(utf8);
        return -1;
    }
    int32_t from = ubrk_first(words->breaks);
    for (int32_t to = ubrk_next(words->breaks); to != UBRK_DONE && stopped == 0;
         to = ubrk_next(words->breaks)) {
        size_t size = (size_t)(to - from);

        if (ubrk_getRuleStatus(words->breaks) >= UBRK_WORD_NONE_LIMIT) {
            stopped =
                give_forms(words, span_of(text.data + from, size < WORD_BYTES_MAX ? size : WORD_BYTES_MAX),
                           (size_t)from, (size_t)to, each, self);
        }
        from = to;
    }
    explicit_bzero(words->forms, sizeof words->forms);
    words->form_count = 0;
    utext_close(utf8);
    return stopped;
}

/* --- what it depends on --- */

static int
put_form(void *self, struct span word, size_t from, size_t to, bool again)
{
    struct buf *out = self;

    (void)from;
    (void)to;
    buf_put_u8(out, again);
    buf_put_u32(out, (uint32_t)word.size);
    buf_put_span(out, word);
    return 0;
}

static void
put_name(struct search_words *words, struct buf *out, const char *name)
{
    struct search_name heard;

    search_words_name(words, span_text(name), &heard);
    buf_put_text(out, heard.latin);
    buf_put_u8(out, ' ');
    buf_put_text(out, heard.skeleton);
    buf_put_u8(out, ' ');
}

void
search_words_fingerprint(struct search_words *words, struct hash *out)
{
    static const char sample[] = "Les témoins menacés were threatened; los abogados detenidos, "
                                 "свидетелям угрожали, هُدِّدَ الشهود والمحامون, 他受到了威胁";
    static const char *const names[] = { "Мухаммед", "محمد", "Mohamed", "王小明" };
    UVersionInfo icu;
    UVersionInfo unicode;
    struct buf all = { 0 };

    u_getVersion(icu);
    u_getUnicodeVersion(unicode);
    buf_put(&all, icu, sizeof icu);
    buf_put(&all, unicode, sizeof unicode);
    (void)search_words_each(words, span_text(sample), put_form, &all);
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        put_name(words, &all, names[n]);
    }
    CRYPTO_HASH(out, "vigil.fts.wrd.v1", buf_span(&all));
    buf_free(&all);
}
