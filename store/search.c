#include "store/search.h"

#include "store/base/cbor.h"
#include "store/search_ahead.h"
#include "store/search_words.h"

#include <math.h>
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
    struct search_ahead *ahead;      /* texts that were put and are not taken in yet */
    const struct search_text *taken; /* the one that is being taken in; else NULL */
    uint64_t *has;                   /* bit record_no: it has a text, taken in or not */
    size_t has_words;
    uint64_t count;
    bool in_batch; /* a transaction is open, which the next query ends: FTS5 makes a segment of each */
    bool lost;     /* something was written by half: without a journal SQLite takes nothing back */
};

/* How a name sounds stands in the index as a word of its own that no language has. */
static const char latin_mark[] = "zzl";
static const char skeleton_mark[] = "zzq";

enum { SOUND_BYTES = SEARCH_NAME_BYTES + 4 };

static struct span
sound_of(char out[SOUND_BYTES], const char *mark, const char *form)
{
    return span_of(out, (size_t)snprintf(out, SOUND_BYTES, "%s%s", mark, form));
}

/* --- taking a text apart before it is taken in --- */

/* Before the bytes of each word. */
struct word_head {
    uint32_t from;
    uint32_t to;
    uint32_t size;
    bool again;
};

static int
note_word(void *self, struct span word, size_t from, size_t to, bool again)
{
    struct buf *out = self;
    struct word_head head = { (uint32_t)from, (uint32_t)to, (uint32_t)word.size, again };

    buf_put(out, &head, sizeof head);
    buf_put_span(out, word);
    return out->failed ? -1 : 0;
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

/* False: no memory. */
static bool
find_sounds(struct search_words *words, struct search_text *text)
{
    size_t size = text->text.size;
    struct span names = span_of(text->text.data + (size - text->names_bytes), text->names_bytes);
    struct sounding sounding = { words, &text->sounds, names };

    return names.size == 0 ||
           (search_words_each(words, names, put_sounds, &sounding) == 0 && !text->sounds.failed);
}

static void *
begin_ahead(void)
{
    struct search_words *words = NULL;

    return search_words_open(&words) == ERR_OK ? words : NULL;
}

static bool
take_apart(void *self, struct search_text *text)
{
    struct search_words *words = self;

    if (!find_sounds(words, text) ||
        search_words_each(words, buf_span(&text->text), note_word, &text->words) != 0) {
        return false;
    }
    text->text_words_bytes = text->words.size;
    return search_words_each(words, buf_span(&text->sounds), note_word, &text->words) == 0;
}

static void
end_ahead(void *self)
{
    struct search_words *words = self;

    search_words_close(&words);
}

static const struct search_ahead_work ahead_work = { begin_ahead, take_apart, end_ahead };

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

/* Give the words that were found ahead, as tokenize would. */
static int
give_again(struct giving *giving, struct span words)
{
    struct word_head head;
    int status = SQLITE_OK;

    for (size_t at = 0; at < words.size && status == SQLITE_OK; at += head.size) {
        memcpy(&head, words.data + at, sizeof head);
        at += sizeof head;
        status = give_word(giving, span_of(words.data + at, head.size), head.from, head.to, head.again);
    }
    return status;
}

static int
tokenize(Fts5Tokenizer *tokenizer, void *context, int flags, const char *bytes, int size,
         int (*give)(void *context, int flags, const char *token, int size, int from, int to))
{
    struct search *search = (struct search *)tokenizer;
    const struct search_text *taken = search->taken;
    struct giving giving = { search->words, context, give };
    struct span text = span_of(bytes, size < 0 ? 0 : (size_t)size);

    /* FTS5 also asks for the words of what is to be taken out. */
    if (taken != NULL && taken->ready) {
        if (span_equal(text, buf_span(&taken->text))) {
            return give_again(&giving, span_of(taken->words.data, taken->text_words_bytes));
        }
        if (span_equal(text, buf_span(&taken->sounds))) {
            size_t rest = taken->words.size - taken->text_words_bytes;

            return rest == 0
                       ? SQLITE_OK
                       : give_again(&giving, span_of(taken->words.data + taken->text_words_bytes, rest));
        }
    }
    int status = search_words_each(giving.words, text,
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

/* --- how well a text answers ---
 *
 * BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) with k1 = 1.2 and b = 0: a word counts the
 * more the fewer texts hold it, and each time that it comes again counts less. The length of a text counts for nothing: FTS5's own bm25()
 * reads it from a table for each hit, which was half of the time of a query that finds tens of thousands. */

/* What the function is called in SQL: its argument is the name of the table; the lower its value the better. */
#define RANK "closeness"

static const double saturation = 1.2;

/* What is the same for all hits of a query; the numbers of one hit stand behind the weights. */
struct query_weights {
    int phrases;
    double each[]; /* [phrases] weights, [phrases] times that the hit holds it */
};

static int
count_row(const Fts5ExtensionApi *api, Fts5Context *hit, void *self)
{
    sqlite3_int64 *rows = self;

    (void)api;
    (void)hit;
    ++*rows;
    return SQLITE_OK;
}

/* What a phrase says: nearly nothing if most texts hold it. */
static double
weigh(sqlite3_int64 rows, sqlite3_int64 holding)
{
    double weight = log(((double)(rows - holding) + 0.5) / ((double)holding + 0.5));

    return weight > 1e-6 ? weight : 1e-6;
}

/* A query of one phrase needs none: its weight would change no order. */
static int
weigh_all(const Fts5ExtensionApi *api, Fts5Context *hit, struct query_weights *weights)
{
    sqlite3_int64 rows = 0;
    int status = weights->phrases > 1 ? api->xRowCount(hit, &rows) : SQLITE_OK;

    for (int n = 0; n < weights->phrases && status == SQLITE_OK; n++) {
        sqlite3_int64 holding = 0;

        if (weights->phrases > 1) {
            status = api->xQueryPhrase(hit, n, &holding, count_row);
        }
        weights->each[n] = weights->phrases > 1 ? weigh(rows, holding) : 1;
    }
    return status;
}

/* The weights of this query, made at its first hit; NULL and a status: they could not be. */
static struct query_weights *
weights_of(const Fts5ExtensionApi *api, Fts5Context *hit, int *status_out)
{
    struct query_weights *weights = api->xGetAuxdata(hit, 0);

    *status_out = SQLITE_OK;
    if (weights != NULL) {
        return weights;
    }
    int phrases = api->xPhraseCount(hit);
    weights = sqlite3_malloc64(sizeof *weights + 2 * (size_t)phrases * sizeof weights->each[0]);
    if (weights == NULL) {
        *status_out = SQLITE_NOMEM;
        return NULL;
    }
    weights->phrases = phrases;
    *status_out = weigh_all(api, hit, weights);
    if (*status_out != SQLITE_OK) {
        sqlite3_free(weights);
        return NULL;
    }
    /* It frees them itself if it fails. */
    *status_out = api->xSetAuxdata(hit, weights, sqlite3_free);
    return *status_out == SQLITE_OK ? weights : NULL;
}

static void
closeness(const Fts5ExtensionApi *api, Fts5Context *hit, sqlite3_context *answer, int value_count,
          sqlite3_value **values)
{
    int status = SQLITE_OK;
    int found = 0;
    double score = 0;

    (void)value_count;
    (void)values;
    struct query_weights *weights = weights_of(api, hit, &status);
    if (weights == NULL) {
        sqlite3_result_error_code(answer, status);
        return;
    }
    double *times = weights->each + weights->phrases;
    for (int n = 0; n < weights->phrases; n++) {
        times[n] = 0;
    }
    status = api->xInstCount(hit, &found);
    for (int n = 0; n < found && status == SQLITE_OK; n++) {
        int phrase = 0;
        int column = 0;
        int offset = 0;

        status = api->xInst(hit, n, &phrase, &column, &offset);
        if (status == SQLITE_OK) {
            times[phrase] += 1;
        }
    }
    if (status != SQLITE_OK) {
        sqlite3_result_error_code(answer, status);
        return;
    }
    for (int n = 0; n < weights->phrases; n++) {
        score += weights->each[n] * times[n] * (saturation + 1) / (times[n] + saturation);
    }
    sqlite3_result_double(answer, -score);
}

static bool
extend(struct search *search)
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
           fts5->xCreateTokenizer(fts5, "words", search, &tokenizer, NULL) == SQLITE_OK &&
           fts5->xCreateFunction(fts5, RANK, NULL, closeness, NULL) == SQLITE_OK;
}

/* --- opening --- */

static bool
prepare(struct search *search, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v3(search->database, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK;
}

/* FTS5 gathers so many bytes of words before it writes them into a segment, and merges fewer of these. */
static const char make_table[] =
    "CREATE VIRTUAL TABLE text USING fts5(body, sounds, tokenize = 'words', columnsize = 0);"
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
    search->ahead = search_ahead_new(&ahead_work);
    if (err == ERR_OK &&
        (search->ahead == NULL ||
         sqlite3_open_v2(":memory:", &search->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
             SQLITE_OK ||
         !extend(search) || sqlite3_exec(search->database, setup, NULL, NULL, NULL) != SQLITE_OK)) {
        err = ERR_MEMORY;
    }
    if (err == ERR_OK) {
        err = fill(search, image);
    }
    if (err == ERR_OK &&
        (!prepare(search, "INSERT INTO text(rowid, body, sounds) VALUES (?1, ?2, ?3)", &search->put) ||
         !prepare(search, "DELETE FROM text WHERE rowid = ?1", &search->drop) ||
         !prepare(search,
                  "SELECT rowid, " RANK "(text) AS nearness FROM text WHERE text MATCH ?1 "
                  "ORDER BY nearness, rowid LIMIT ?2",
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
    search_ahead_free(&search->ahead);
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

/* What a change of the index gave. */
static enum err
changed(struct search *search, bool good)
{
    search->lost = search->lost || !good;
    return search->lost ? ERR_MEMORY : ERR_OK;
}

static enum err
begin_batch(struct search *search)
{
    if (!search->in_batch && sqlite3_exec(search->database, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return ERR_MEMORY;
    }
    search->in_batch = true;
    return ERR_OK;
}

static enum err
end_batch(struct search *search)
{
    if (!search->in_batch) {
        return ERR_OK;
    }
    search->in_batch = false;
    return changed(search, sqlite3_exec(search->database, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
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

static void
bind_text(sqlite3_stmt *statement, int place, struct span text)
{
    (void)sqlite3_bind_text64(statement, place, text.size == 0 ? "" : (const char *)text.data, text.size,
                              SQLITE_STATIC, SQLITE_UTF8);
}

static enum err
insert(struct search *search, struct search_text *text)
{
    if (!text->ready) {
        buf_wipe(&text->sounds); /* of an attempt that failed */
        if (!find_sounds(search->words, text)) {
            return ERR_MEMORY;
        }
    }
    search->taken = text;
    bind_text(search->put, 2, buf_span(&text->text));
    bind_text(search->put, 3, buf_span(&text->sounds));
    int status = run(search->put, text->record_no);
    (void)sqlite3_bind_null(search->put, 2);
    (void)sqlite3_bind_null(search->put, 3);
    search->taken = NULL;
    return changed(search, status == SQLITE_DONE);
}

/* The oldest of those that were put. ERR_MEMORY: it stays, and is tried again unless the index is lost. */
static enum err
take_in(struct search *search, struct search_text *text)
{
    enum err err = search->lost ? ERR_MEMORY : begin_batch(search);

    if (err == ERR_OK && text->replaces) {
        err = changed(search, run(search->drop, text->record_no) == SQLITE_DONE);
        text->replaces = false;
    }
    if (err == ERR_OK && text->text.size > 0) {
        err = insert(search, text);
    }
    if (err == ERR_OK) {
        search_ahead_drop(search->ahead);
    }
    return err;
}

enum err
search_put(struct search *search, uint32_t record_no, struct span text, struct span names)
{
    size_t bytes = text.size + (names.size > 0 ? names.size + 1 : 0);
    bool replaces = has_text(search, record_no);

    if (search->lost) {
        return ERR_MEMORY;
    }
    if (bytes == 0 && !replaces) {
        return ERR_OK;
    }
    while (!search_ahead_has_room(search->ahead, bytes)) {
        enum err err = take_in(search, search_ahead_front(search->ahead));

        if (err != ERR_OK) {
            return err;
        }
    }
    if (!note_text(search, record_no, replaces)) {
        return ERR_MEMORY;
    }
    enum err err = search_ahead_put(search->ahead, record_no, replaces, text, names);
    if (err == ERR_OK) {
        (void)note_text(search, record_no, bytes > 0); /* there is room for it */
    }
    return err;
}

/* All that was put is in the index, and this thread is alone, also after an error. */
static enum err
catch_up(struct search *search)
{
    enum err err = search->lost ? ERR_MEMORY : ERR_OK;
    struct search_text *text;

    while (err == ERR_OK && (text = search_ahead_front(search->ahead)) != NULL) {
        err = take_in(search, text);
    }
    search_ahead_rest(search->ahead);
    return err == ERR_OK ? end_batch(search) : err;
}

enum err
search_settle(struct search *search)
{
    return catch_up(search);
}

enum err
search_purge(struct search *search)
{
    enum err err = catch_up(search);

    /* What was deleted stays in a segment until that is merged with another; secure_delete wipes pages that are given up. */
    return err != ERR_OK
               ? err
               : changed(search, sqlite3_exec(search->database, "INSERT INTO text(text) VALUES ('optimize')",
                                              NULL, NULL, NULL) == SQLITE_OK);
}

bool
search_is_lost(const struct search *search)
{
    return search->lost;
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
    if (err == ERR_OK) {
        err = catch_up(search);
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
    enum err err = catch_up(search);
    if (err != ERR_OK) {
        return err;
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
    int status = sqlite3_prepare_v2(search->database, "SELECT id FROM text_content", -1, &each, NULL);
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
