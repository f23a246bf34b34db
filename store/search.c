#include "store/search.h"

#include "store/base/cbor.h"
#include "store/search_words.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUERY_BYTES_MAX = 4096 };

struct search {
    sqlite3 *database;
    struct search_words *words;
    sqlite3_stmt *put;
    sqlite3_stmt *drop;
    sqlite3_stmt *find;
    uint64_t *has; /* bit record_no: it has a text */
    size_t has_words;
    uint64_t count;
    bool in_batch; /* texts are put in a transaction that the next query ends: FTS5 makes a segment of each */
};

/* --- the tokenizer, as FTS5 wants one --- */

struct giving {
    struct search_words *words;
    void *context;
    int (*give)(void *context, int flags, const char *token, int size, int from, int to);
};

static int
give_word(void *self, struct span word, size_t from, size_t to, bool again)
{
    struct giving *giving = self;

    return giving->give(giving->context, again ? FTS5_TOKEN_COLOCATED : 0, (const char *)word.data,
                        (int)word.size, (int)from, (int)to);
}

/* How a name sounds stands in the index as a word of its own that no language has. */
static const char latin_mark[] = "zzl";
static const char skeleton_mark[] = "zzq";

enum { SOUND_BYTES = SEARCH_NAME_BYTES + 4 };

static struct span
sound_of(char out[SOUND_BYTES], const char *mark, const char *form)
{
    return span_of(out, (size_t)snprintf(out, SOUND_BYTES, "%s%s", mark, form));
}

/* A word that somebody looks for may be a name: it stands for all that sound like it, too. */
static int
give_asked(void *self, struct span word, size_t from, size_t to, bool again)
{
    struct giving *giving = self;
    struct search_name name;
    char sound[SOUND_BYTES];
    int status = give_word(self, word, from, to, again);

    if (status != SQLITE_OK || again) {
        return status;
    }
    search_words_name(giving->words, word, &name);
    if (name.latin[0] != '\0') {
        status = give_word(self, sound_of(sound, latin_mark, name.latin), from, to, true);
    }
    if (status == SQLITE_OK && name.skeleton[0] != '\0') {
        status = give_word(self, sound_of(sound, skeleton_mark, name.skeleton), from, to, true);
    }
    return status;
}

static int
tokenize(Fts5Tokenizer *tokenizer, void *context, int flags, const char *text, int size,
         int (*give)(void *context, int flags, const char *token, int size, int from, int to))
{
    struct giving giving = { (struct search_words *)tokenizer, context, give };
    int status = search_words_each(giving.words, span_of(text, size < 0 ? 0 : (size_t)size),
                                   (flags & FTS5_TOKENIZE_QUERY) != 0 ? give_asked : give_word, &giving);

    return status == -1 ? SQLITE_NOMEM : status;
}

/* There is one, and it lives as long as the index. */
static int
tokenizer_make(void *context, const char **arguments, int argument_count, Fts5Tokenizer **out)
{
    (void)arguments;
    (void)argument_count;
    *out = context;
    return SQLITE_OK;
}

static void
tokenizer_end(Fts5Tokenizer *tokenizer)
{
    (void)tokenizer;
}

static bool
add_tokenizer(struct search *search)
{
    fts5_tokenizer tokenizer = { tokenizer_make, tokenizer_end, tokenize };
    sqlite3_stmt *statement = NULL;
    fts5_api *fts5 = NULL;

    bool good = sqlite3_prepare_v2(search->database, "SELECT fts5(?1)", -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_bind_pointer(statement, 1, &fts5, "fts5_api_ptr", NULL) == SQLITE_OK;
    if (good) {
        (void)sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    return good && fts5 != NULL &&
           fts5->xCreateTokenizer(fts5, "words", search->words, &tokenizer, NULL) == SQLITE_OK;
}

/* --- opening --- */

static bool
prepare(struct search *search, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v3(search->database, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK;
}

/* FTS5 gathers so many bytes of words before it writes them into a segment, and merges fewer of these. */
static const char make_table[] = "CREATE VIRTUAL TABLE text USING fts5(body, sounds, tokenize = 'words');"
                                 "INSERT INTO text(text, rank) VALUES ('hashsize', 8388608)";

/* Make the table, or take over the one of an image. */
static enum err
fill(struct search *search, const struct span *image)
{
    sqlite3 *from = NULL;
    sqlite3_backup *copy = NULL;

    if (image == NULL) {
        return sqlite3_exec(search->database, make_table, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK
                                                                                         : ERR_MEMORY;
    }
    /* Read only, it writes nothing into what was lent. */
    int status = sqlite3_open_v2(":memory:", &from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (status == SQLITE_OK) {
        status = sqlite3_deserialize(from, "main", (unsigned char *)image->data, (sqlite3_int64)image->size,
                                     (sqlite3_int64)image->size, SQLITE_DESERIALIZE_READONLY);
    }
    if (status == SQLITE_OK) {
        copy = sqlite3_backup_init(search->database, "main", from, "main");
        status = copy == NULL ? SQLITE_NOMEM : sqlite3_backup_step(copy, -1);
        int finished = copy == NULL ? SQLITE_OK : sqlite3_backup_finish(copy);
        status = status == SQLITE_DONE ? finished : status;
    }
    (void)sqlite3_close_v2(from);
    return status == SQLITE_OK ? ERR_OK : status == SQLITE_NOMEM ? ERR_MEMORY : ERR_CORRUPT;
}

static enum err
open_index(struct search **search_out, const struct span *image)
{
    static const char setup[] =
        "PRAGMA journal_mode = OFF; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON";
    struct search *search = calloc(1, sizeof *search);

    *search_out = NULL;
    if (search == NULL) {
        return ERR_MEMORY;
    }
    enum err err = search_words_open(&search->words);
    if (err == ERR_OK &&
        (sqlite3_open_v2(":memory:", &search->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
             SQLITE_OK ||
         !add_tokenizer(search) || sqlite3_exec(search->database, setup, NULL, NULL, NULL) != SQLITE_OK)) {
        err = ERR_MEMORY;
    }
    if (err == ERR_OK) {
        err = fill(search, image);
    }
    if (err == ERR_OK &&
        (!prepare(search, "INSERT INTO text(rowid, body, sounds) VALUES (?1, ?2, ?3)", &search->put) ||
         !prepare(search, "DELETE FROM text WHERE rowid = ?1", &search->drop) ||
         !prepare(search,
                  "SELECT rowid, rank FROM text WHERE text MATCH ?1 ORDER BY rank, rowid "
                  "LIMIT ?2",
                  &search->find))) {
        err = image == NULL ? ERR_MEMORY : ERR_CORRUPT;
    }
    if (err != ERR_OK) {
        search_close(&search);
        return err;
    }
    *search_out = search;
    return ERR_OK;
}

enum err
search_open(struct search **search_out)
{
    return open_index(search_out, NULL);
}

void
search_close(struct search **search_in)
{
    struct search *search = *search_in;

    if (search == NULL) {
        return;
    }
    (void)sqlite3_finalize(search->put);
    (void)sqlite3_finalize(search->drop);
    (void)sqlite3_finalize(search->find);
    (void)sqlite3_close(search->database);
    search_words_close(&search->words);
    free(search->has);
    free(search);
    *search_in = NULL;
}

/* --- texts --- */

static bool
batch(struct search *search, bool begins)
{
    if (search->in_batch != begins) {
        const char *sql = begins ? "BEGIN" : "COMMIT";

        if (sqlite3_exec(search->database, sql, NULL, NULL, NULL) != SQLITE_OK) {
            return false;
        }
        search->in_batch = begins;
    }
    return true;
}

static bool
has_text(const struct search *search, uint32_t record_no)
{
    return record_no / 64 < search->has_words && (search->has[record_no / 64] >> record_no % 64 & 1) != 0;
}

/* Note that the record has a text, or has none any more. False: no memory. */
static bool
note_text(struct search *search, uint32_t record_no, bool has)
{
    size_t word = record_no / 64;

    if (word >= search->has_words) {
        size_t count = search->has_words == 0 ? 1024 : search->has_words;

        while (count <= word) {
            count *= 2;
        }
        uint64_t *grown = realloc(search->has, count * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        memset(grown + search->has_words, 0, (count - search->has_words) * sizeof *grown);
        search->has = grown;
        search->has_words = count;
    }
    search->count += has;
    search->count -= has_text(search, record_no);
    search->has[word] &= ~(UINT64_C(1) << record_no % 64);
    search->has[word] |= (uint64_t)has << record_no % 64;
    return true;
}

/* Run a statement on a record to its end. */
static int
run(sqlite3_stmt *statement, uint32_t record_no)
{
    (void)sqlite3_bind_int64(statement, 1, record_no);
    int status = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    return status;
}

/* What is gathered of the names of a record. */
struct sounding {
    struct search_words *words;
    struct buf *out;
    struct span text;
};

static int
put_sounds(void *self, struct span word, size_t from, size_t to, bool again)
{
    struct sounding *sounding = self;
    struct search_name name;
    char sound[SOUND_BYTES];

    (void)word;
    if (again) {
        return 0;
    }
    search_words_name(sounding->words, span_of(sounding->text.data + from, to - from), &name);
    if (name.latin[0] != '\0') {
        buf_put_span(sounding->out, sound_of(sound, latin_mark, name.latin));
        buf_put_u8(sounding->out, ' ');
    }
    if (name.skeleton[0] != '\0') {
        buf_put_span(sounding->out, sound_of(sound, skeleton_mark, name.skeleton));
        buf_put_u8(sounding->out, ' ');
    }
    return 0;
}

static void
bind_text(sqlite3_stmt *statement, int place, struct span text)
{
    (void)sqlite3_bind_text64(statement, place, text.size == 0 ? "" : (const char *)text.data, text.size,
                              SQLITE_STATIC, SQLITE_UTF8);
}

enum err
search_put(struct search *search, uint32_t record_no, struct span text, struct span names)
{
    struct buf whole = { 0 };
    struct buf sounds = { 0 };
    struct sounding sounding = { search->words, &sounds, names };

    if (!batch(search, true)) {
        return ERR_MEMORY;
    }
    if (has_text(search, record_no) &&
        (run(search->drop, record_no) != SQLITE_DONE || !note_text(search, record_no, false))) {
        return ERR_MEMORY;
    }
    if (text.size + names.size == 0) {
        return ERR_OK;
    }
    if (names.size > 0) {
        (void)search_words_each(search->words, names, put_sounds, &sounding);
        buf_put_span(&whole, text);
        buf_put_u8(&whole, '\n');
        buf_put_span(&whole, names);
        text = buf_span(&whole);
    }
    int status = SQLITE_NOMEM;
    if (!whole.failed && !sounds.failed) {
        bind_text(search->put, 2, text);
        bind_text(search->put, 3, buf_span(&sounds));
        status = run(search->put, record_no);
        (void)sqlite3_bind_null(search->put, 2);
        (void)sqlite3_bind_null(search->put, 3);
    }
    buf_wipe(&whole);
    buf_wipe(&sounds);
    return status == SQLITE_DONE && note_text(search, record_no, true) ? ERR_OK : ERR_MEMORY;
}

enum err
search_settle(struct search *search)
{
    return batch(search, false) ? ERR_OK : ERR_MEMORY;
}

enum err
search_purge(struct search *search)
{
    /* What was deleted stays in a segment until that is merged with another; secure_delete wipes pages that are given up. */
    return batch(search, false) &&
                   sqlite3_exec(search->database, "INSERT INTO text(text) VALUES ('optimize')", NULL, NULL,
                                NULL) == SQLITE_OK
               ? ERR_OK
               : ERR_MEMORY;
}

uint64_t
search_count(const struct search *search)
{
    return search->count;
}

/* --- queries --- */

static bool
is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static int
stop_at_word(void *self, struct span word, size_t from, size_t to, bool again)
{
    (void)self;
    (void)word;
    (void)from;
    (void)to;
    (void)again;
    return 1;
}

/* One phrase of FTS5's language: between quotes nothing means anything. Without a word in it, it is left out. */
static void
put_phrase(struct search *search, struct buf *out, struct span words, bool begins)
{
    if (search_words_each(search->words, words, stop_at_word, NULL) != 1) {
        return;
    }
    buf_put_text(out, out->size > 0 ? " AND \"" : "\"");
    for (size_t n = 0; n < words.size; n++) {
        if (words.data[n] == '"') {
            buf_put_u8(out, '"');
        }
        buf_put_u8(out, words.data[n] == '\0' ? ' ' : words.data[n]); /* where FTS5 would end */
    }
    buf_put_text(out, begins ? "\" *" : "\"");
}

/* What a person typed in FTS5's language; empty: there is no word in it. */
static void
put_query(struct search *search, struct buf *out, struct span query)
{
    size_t at = 0;

    while (at < query.size) {
        bool quoted = query.data[at] == '"';
        size_t from = at + (quoted ? 1 : 0);
        size_t to = from;

        if (is_space(query.data[at])) {
            at++;
            continue;
        }
        while (to < query.size && (quoted ? query.data[to] != '"' : !is_space(query.data[to]))) {
            to++;
        }
        at = to + (quoted && to < query.size ? 1 : 0);
        bool begins = !quoted && query.data[to - 1] == '*';
        put_phrase(search, out, span_of(query.data + from, to - from - (begins ? 1 : 0)), begins);
    }
}

enum err
search_find(struct search *search, struct span query, struct search_hit *hits_out, size_t room,
            size_t *count_out)
{
    struct buf wanted = { 0 };
    int status = SQLITE_DONE;

    *count_out = 0;
    if (query.size > QUERY_BYTES_MAX || !utf8_valid(query)) {
        return ERR_INVALID;
    }
    put_query(search, &wanted, query);
    enum err err = wanted.failed ? ERR_MEMORY : wanted.size == 0 ? ERR_INVALID : ERR_OK;
    if (err == ERR_OK && !batch(search, false)) {
        err = ERR_MEMORY;
    }
    if (err == ERR_OK) {
        (void)sqlite3_bind_text64(search->find, 1, (const char *)wanted.data, wanted.size, SQLITE_STATIC,
                                  SQLITE_UTF8);
        (void)sqlite3_bind_int64(search->find, 2, (sqlite3_int64)room);
        while ((status = sqlite3_step(search->find)) == SQLITE_ROW && *count_out < room) {
            hits_out[*count_out] =
                (struct search_hit){ .record_no = (uint32_t)sqlite3_column_int64(search->find, 0),
                                     .rank = sqlite3_column_double(search->find, 1) };
            ++*count_out;
        }
        (void)sqlite3_reset(search->find);
        (void)sqlite3_bind_null(search->find, 1);
        err = status == SQLITE_DONE || status == SQLITE_ROW ? ERR_OK : ERR_MEMORY;
    }
    /* What somebody looks for is as secret as what is found. */
    buf_wipe(&wanted);
    return err;
}

/* --- as bytes --- */

enum err
search_fingerprint(struct hash *out)
{
    struct search_words *words = NULL;
    struct hash forms;
    enum err err = search_words_open(&words);

    if (err == ERR_OK) {
        search_words_fingerprint(words, &forms);
        CRYPTO_HASH(out, "vigil.fts.idx.v1", span_of(forms.bytes, sizeof forms.bytes),
                    span_text(sqlite3_libversion()), span_text(make_table));
    }
    search_words_close(&words);
    return err;
}

enum err
search_image(struct search *search, struct search_image *image_out)
{
    sqlite3_int64 size = 0;

    *image_out = (struct search_image){ NULL, 0 };
    if (!batch(search, false)) {
        return ERR_MEMORY;
    }
    image_out->bytes = sqlite3_serialize(search->database, "main", &size, 0);
    image_out->size = image_out->bytes == NULL ? 0 : (size_t)size;
    return image_out->bytes == NULL ? ERR_MEMORY : ERR_OK;
}

enum err
search_image_new(struct search_image *image_out, size_t size)
{
    image_out->bytes = sqlite3_malloc64(size);
    image_out->size = image_out->bytes == NULL ? 0 : size;
    return image_out->bytes == NULL ? ERR_MEMORY : ERR_OK;
}

void
search_image_free(struct search_image *image)
{
    if (image->bytes != NULL) {
        crypto_wipe(image->bytes, image->size);
    }
    sqlite3_free(image->bytes);
    *image = (struct search_image){ NULL, 0 };
}

/* Which records have a text. */
static enum err
note_texts(struct search *search)
{
    sqlite3_stmt *each = NULL;
    int status = sqlite3_prepare_v2(search->database, "SELECT id FROM text_docsize", -1, &each, NULL);
    enum err err = ERR_OK;

    while (status == SQLITE_OK || status == SQLITE_ROW) {
        status = sqlite3_step(each);
        if (status == SQLITE_ROW) {
            sqlite3_int64 record_no = sqlite3_column_int64(each, 0);

            if (record_no < 0 || record_no > UINT32_MAX) {
                status = SQLITE_CORRUPT;
            } else if (!note_text(search, (uint32_t)record_no, true)) {
                status = SQLITE_NOMEM;
            }
        }
    }
    (void)sqlite3_finalize(each);
    if (status != SQLITE_DONE) {
        err = status == SQLITE_NOMEM ? ERR_MEMORY : ERR_CORRUPT;
    }
    return err;
}

enum err
search_restore(struct search **search_out, struct span image)
{
    enum err err = open_index(search_out, &image);

    if (err == ERR_OK) {
        err = note_texts(*search_out);
        if (err != ERR_OK) {
            search_close(search_out);
        }
    }
    return err;
}
