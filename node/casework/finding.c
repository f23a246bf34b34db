#include "node/casework/finding.h"

#include "node/casework/finding_image.h"
#include "node/casework/following.h"
#include "store/base/cbor.h"
#include "store/base/log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARK_PLACES = 64, KEEP_RETRY_MS = 60 * 60 * 1000 };

struct finding {
    struct finding_options options;
    char folder[PATH_MAX]; /* of images; "": none is kept */
    struct following *following;
    struct search *search;         /* NULL: not begun */
    bool unable;                   /* and it never will be */
    bool purge_due;                /* something that was erased has left it */
    bool tried;                    /* to take over the image that is kept */
    struct finding_writer *writer; /* NULL: no image is being written */
    uint64_t since;                /* texts that were put and are in no image */
    uint64_t keep_ms;              /* no image is begun before then */
    struct buf text;
    struct buf names;
};

struct finding *
finding_new(const struct finding_options *options)
{
    struct finding *finding = calloc(1, sizeof *finding);

    if (finding != NULL) {
        finding->options = *options;
        if (options->directory != NULL) {
            int size = snprintf(finding->folder, sizeof finding->folder, "%s/search", options->directory);

            finding->folder[size > 0 && size < PATH_MAX ? size : 0] = '\0';
        }
        finding->following = following_new();
        if (finding->following == NULL) {
            finding_free(&finding);
        }
    }
    return finding;
}

void
finding_free(struct finding **finding_in)
{
    struct finding *finding = *finding_in;

    if (finding == NULL) {
        return;
    }
    following_free(&finding->following);
    finding_writer_close(&finding->writer);
    search_close(&finding->search);
    buf_wipe(&finding->text);
    buf_wipe(&finding->names);
    free(finding);
    *finding_in = NULL;
}

static enum err
begin(void *self)
{
    struct finding *finding = self;

    search_close(&finding->search);
    finding->since = 0;
    enum err err = search_open(&finding->search);
    if (err == ERR_INVALID) {
        finding->unable = true;
        log_event("search-unavailable", "reason=%s", "no data of ICU or of a stemmer");
    }
    finding->purge_due = false;
    return err;
}

/* --- what they say --- */

/* A value of a field that people write words into. A short text of level L3 says who somebody is. */
static void
put_words(struct finding *finding, const struct codebook_field *field, struct span value)
{
    struct cbor_reader in = cbor_reader_of(value);

    if (field->type == TYPE_LOCALISED && cbor_read_array(&in) == 2) {
        (void)cbor_read_text(&in);
    } else if (field->type != TYPE_TEXT && field->type != TYPE_LONG_TEXT) {
        return;
    }
    struct span text = cbor_read_text(&in);
    bool name = field->type == TYPE_TEXT && field->sensitivity == LEVEL_L3;
    struct buf *out = name ? &finding->names : &finding->text;
    if (text.data != NULL && text.size > 0) {
        buf_put_span(out, text);
        buf_put_u8(out, '\n');
    }
}

/* All live values, those in conflict among them: whichever of two is right, the record is found by it. */
static void
put_half(struct finding *finding, const struct record_view *half)
{
    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        const struct record_target *target = &half->targets[n];

        for (size_t v = 0; target->field != NULL && v < target->value_count; v++) {
            put_words(finding, target->field, target->values[v].value);
        }
    }
}

static enum err
take(void *self, uint32_t record_no, const struct replica_view *view, bool gone, size_t *bytes_out)
{
    struct finding *finding = self;

    buf_clear(&finding->text);
    buf_clear(&finding->names);
    if (view != NULL) {
        put_half(finding, view->open);
        put_half(finding, view->protected_half);
    }
    if (finding->text.failed || finding->names.failed) {
        return ERR_MEMORY;
    }
    *bytes_out = finding->text.size + finding->names.size;
    finding->purge_due = finding->purge_due || gone;
    finding->since++;
    return search_put(finding->search, record_no, buf_span(&finding->text), buf_span(&finding->names));
}

/* --- the image that is kept --- */

/* Which journal it is: numbers of logs are its own, and the names of logs are not. */
static enum err
mark_place(struct replica *replica, uint64_t place, struct hash *out)
{
    struct table_txn *txn = NULL;
    struct buf places = { 0 };
    enum err err = replica_begin_read(replica, &txn);

    for (uint64_t n = place < MARK_PLACES ? 0 : place - MARK_PLACES; err == ERR_OK && n < place; n++) {
        uint32_t log_no = LOG_NONE;
        uint64_t seq = 0;

        err = journal_at(txn, n + 1, &log_no, &seq);
        if (err == ERR_OK && log_no != LOG_NONE) {
            const struct log_branch *branch = journal_branch(replica_journal(replica), log_no);

            buf_put_span(&places, span_of(branch->log_id.bytes, sizeof branch->log_id.bytes));
        }
        buf_put_u64(&places, seq);
    }
    if (txn != NULL) {
        replica_end_read(replica, &txn);
    }
    if (err == ERR_OK) {
        CRYPTO_HASH(out, "vigil.fts.plc.v1", buf_span(&places));
    }
    err = err == ERR_OK && places.failed ? ERR_MEMORY : err;
    buf_free(&places);
    return err;
}

static enum err
read_image(struct finding *finding, struct replica *replica, struct finding_moment *moment_out)
{
    struct search_image image;
    struct hash fingerprint;
    struct hash mark;
    struct key key;
    enum err err = search_fingerprint(&fingerprint);

    if (err != ERR_OK) {
        return err;
    }
    replica_search_key(replica, &key);
    err = finding_image_read(finding->folder, &key, &fingerprint, moment_out, &image);
    crypto_wipe(&key, sizeof key);
    if (err == ERR_OK && moment_out->place > journal_place_last(replica_journal(replica))) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        err = mark_place(replica, moment_out->place, &mark);
    }
    if (err == ERR_OK && memcmp(&mark, &moment_out->mark, sizeof mark) != 0) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        err = search_restore(&finding->search, span_of(image.bytes, image.size));
    }
    search_image_free(&image);
    return err;
}

/* Go on where the image ends. Without one, or with one that is of no use, all is read again. */
static void
take_over(struct finding *finding, struct replica *replica)
{
    struct finding_moment moment;

    finding->tried = true;
    if (finding->folder[0] == '\0') {
        return;
    }
    enum err err = read_image(finding, replica, &moment);
    if (err == ERR_OK) {
        following_resume(finding->following, moment.place);
        log_event("search-resumed", "texts=%llu", (unsigned long long)search_count(finding->search));
    } else if (err != ERR_ABSENT) {
        log_event("search-image-refused", "err=%s", err_code(err));
    }
}

static bool
is_behind(const struct finding *finding, struct replica *replica)
{
    return !finding->unable && (finding->purge_due || following_is_behind(finding->following, replica));
}

bool
finding_keep_is_due(const struct finding *finding, struct replica *replica, uint64_t now_ms)
{
    if (finding->writer != NULL) {
        return true;
    }
    return finding->folder[0] != '\0' && finding->search != NULL && now_ms >= finding->keep_ms &&
           finding->since >= finding->options.image_texts &&
           finding->since >= search_count(finding->search) / 4 && !is_behind(finding, replica);
}

static enum err
begin_image(struct finding *finding, struct replica *replica)
{
    struct finding_moment moment = { .place = following_place(finding->following) };
    struct search_image image;
    struct key key;
    enum err err = search_fingerprint(&moment.fingerprint);

    if (err == ERR_OK) {
        err = mark_place(replica, moment.place, &moment.mark);
    }
    if (err != ERR_OK) {
        return err;
    }
    err = search_image(finding->search, &image);
    if (err != ERR_OK) {
        search_image_free(&image);
        return err;
    }
    replica_search_key(replica, &key);
    err =
        finding_writer_open(&finding->writer, finding->folder, &key, &moment, &image, finding->options.world);
    crypto_wipe(&key, sizeof key);
    if (err == ERR_OK) {
        finding->since = 0;
    }
    return err;
}

void
finding_keep(struct finding *finding, struct replica *replica, uint64_t now_ms)
{
    enum err err =
        finding->writer == NULL ? begin_image(finding, replica) : finding_writer_step(finding->writer);

    if (err == ERR_OK) {
        return;
    }
    finding_writer_close(&finding->writer);
    if (err == ERR_ABSENT) {
        log_event("search-image-kept", "texts=%llu", (unsigned long long)search_count(finding->search));
    } else {
        finding->since =
            finding->since < finding->options.image_texts ? finding->options.image_texts : finding->since;
        finding->keep_ms = now_ms + KEEP_RETRY_MS;
        log_event("search-image-failed", "err=%s", err_code(err));
    }
}

enum err
finding_forget_image(struct finding *finding)
{
    finding_writer_close(&finding->writer);
    if (finding->folder[0] == '\0') {
        return ERR_OK;
    }
    if (finding->search != NULL) {
        finding->since = search_count(finding->search);
    }
    return finding_image_remove(finding->folder);
}

/* --- reading --- */

uint64_t
finding_left(const struct finding *finding, struct replica *replica)
{
    return finding->unable ? 0 : following_left(finding->following, replica);
}

bool
finding_is_able(const struct finding *finding)
{
    return !finding->unable;
}

/* An index in which something was written by half is of no use: with the next slice another begins. */
static void
give_up_lost(struct finding *finding)
{
    if (finding->search != NULL && search_is_lost(finding->search)) {
        search_close(&finding->search);
        following_restart(finding->following);
        log_event("search-lost", "reason=%s", "no memory");
    }
}

enum err
finding_read(struct finding *finding, struct replica *replica, uint64_t now_ms)
{
    const struct following_reader reader = { finding, begin, take };

    if (finding->unable) {
        return ERR_INVALID;
    }
    if (!finding->tried) {
        take_over(finding, replica);
    }
    if (!is_behind(finding, replica)) {
        return ERR_ABSENT;
    }
    enum err err = following_read(finding->following, replica, &reader, now_ms);
    if (err != ERR_OK && err != ERR_ABSENT) {
        give_up_lost(finding);
        return err;
    }
    err = ERR_OK;
    if (finding->purge_due) {
        finding->purge_due = false;
        err = search_purge(finding->search);
    } else if (!is_behind(finding, replica)) {
        err = search_settle(finding->search); /* who searches need not wait for it */
    }
    if (err != ERR_OK) {
        give_up_lost(finding);
        following_retry(finding->following, now_ms);
    }
    return err;
}

uint64_t
finding_due_ms(struct finding *finding, struct replica *replica, uint64_t now_ms)
{
    return finding->unable ? UINT64_MAX
                           : following_due_ms(finding->following, replica, finding->purge_due, now_ms);
}

enum err
finding_find(struct finding *finding, struct span words, struct search_hit *hits_out, size_t room,
             size_t *count_out)
{
    *count_out = 0;
    if (finding->search == NULL) {
        return finding->unable ? ERR_INVALID : ERR_MEMORY;
    }
    enum err err = search_find(finding->search, words, hits_out, room, count_out);
    give_up_lost(finding);
    return err;
}
