#include "node/casework/finding.h"

#include "node/casework/following.h"
#include "store/base/cbor.h"
#include "store/base/log.h"

#include <stdlib.h>

struct finding {
    struct following *following;
    struct search *search; /* NULL: not begun */
    bool unable;           /* and it never will be */
    bool purge_due;        /* something that was erased has left it */
    struct buf text;
    struct buf names;
};

struct finding *
finding_new(void)
{
    struct finding *finding = calloc(1, sizeof *finding);

    if (finding != NULL) {
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
    return search_put(finding->search, record_no, buf_span(&finding->text), buf_span(&finding->names));
}

uint64_t
finding_left(const struct finding *finding, struct replica *replica)
{
    return finding->unable ? 0 : following_left(finding->following, replica);
}

static bool
is_behind(const struct finding *finding, struct replica *replica)
{
    return !finding->unable && (finding->purge_due || following_is_behind(finding->following, replica));
}

enum err
finding_read(struct finding *finding, struct replica *replica, uint64_t now_ms)
{
    const struct following_reader reader = { finding, begin, take };

    if (finding->unable) {
        return ERR_INVALID;
    }
    if (!is_behind(finding, replica)) {
        return ERR_ABSENT;
    }
    enum err err = following_read(finding->following, replica, &reader, now_ms);
    if (err != ERR_OK && err != ERR_ABSENT) {
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
    return finding->search == NULL ? ERR_INVALID
                                   : search_find(finding->search, words, hits_out, room, count_out);
}
