#include "store/search_ahead.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* Words are taken apart on the stack, and sanitizers need more of it. */
enum { STACK_BYTES = 1024 * 1024 };

enum state {
    WAITS,      /* for the thread, or for the caller if it comes first */
    UNDER_WORK, /* by the thread: nobody else looks at it */
    DONE,       /* the thread is done with it */
    AT_CALLER
};

struct slot {
    enum state state;
    struct search_text text;
    size_t word_bytes; /* as the thread left them */
};

struct search_ahead {
    const struct search_ahead_work *work;
    pthread_t thread;
    bool has_thread;
    bool refused; /* no thread could be made: not again before a rest */
    /* What follows is of both, under `mutex`. */
    pthread_mutex_t mutex;
    pthread_cond_t wanted; /* much waits, or it is to end */
    pthread_cond_t done;   /* with the text under work */
    bool ends;
    struct slot slots[SEARCH_AHEAD_TEXTS]; /* a ring */
    size_t first;
    size_t count;
    size_t text_bytes;
    size_t word_bytes;
    size_t waiting; /* texts for the thread, and their bytes */
    size_t waiting_bytes;
};

struct search_ahead *
search_ahead_new(const struct search_ahead_work *work)
{
    struct search_ahead *ahead = calloc(1, sizeof *ahead);

    if (ahead != NULL) {
        ahead->work = work;
        pthread_mutex_init(&ahead->mutex, NULL);
        pthread_cond_init(&ahead->wanted, NULL);
        pthread_cond_init(&ahead->done, NULL);
    }
    return ahead;
}

static struct slot *
slot_at(struct search_ahead *ahead, size_t n)
{
    return &ahead->slots[(ahead->first + n) % SEARCH_AHEAD_TEXTS];
}

/* --- the thread --- */

/* The thread is not to look at it any more. */
static void
stop_waiting(struct search_ahead *ahead, struct slot *slot, enum state state)
{
    slot->state = state;
    ahead->waiting--;
    ahead->waiting_bytes -= slot->text.text.size;
}

/* The oldest that waits. NULL: there is nothing to do now. */
static struct slot *
find_waiting(struct search_ahead *ahead)
{
    if (ahead->waiting == 0 || ahead->word_bytes >= SEARCH_AHEAD_WORD_BYTES) {
        return NULL;
    }
    for (size_t n = 0; n < ahead->count; n++) {
        struct slot *slot = slot_at(ahead, n);

        if (slot->state == WAITS) {
            return slot;
        }
    }
    return NULL;
}

static void
take_apart(struct search_ahead *ahead, void *self, struct search_text *text)
{
    text->ready = ahead->work->take_apart(self, text);
    if (!text->ready) {
        buf_wipe(&text->sounds);
        buf_wipe(&text->words);
    }
}

static void *
work_until_end(void *argument)
{
    struct search_ahead *ahead = argument;
    void *self = ahead->work->begin();

    if (self == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&ahead->mutex);
    while (!ahead->ends) {
        struct slot *slot = find_waiting(ahead);

        if (slot == NULL) {
            pthread_cond_wait(&ahead->wanted, &ahead->mutex);
            continue;
        }
        stop_waiting(ahead, slot, UNDER_WORK);
        pthread_mutex_unlock(&ahead->mutex);
        take_apart(ahead, self, &slot->text);
        pthread_mutex_lock(&ahead->mutex);
        slot->state = DONE;
        slot->word_bytes = slot->text.sounds.size + slot->text.words.size;
        ahead->word_bytes += slot->word_bytes;
        pthread_cond_signal(&ahead->done);
    }
    pthread_mutex_unlock(&ahead->mutex);
    ahead->work->end(self);
    return NULL;
}

static void
start(struct search_ahead *ahead)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;

    ahead->refused = true;
    if (pthread_attr_init(&attributes) != 0) {
        return;
    }
    sigfillset(&all);
    if (pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 &&
        pthread_sigmask(SIG_SETMASK, &all, &before) == 0) {
        ahead->ends = false;
        ahead->has_thread = pthread_create(&ahead->thread, &attributes, work_until_end, ahead) == 0;
        ahead->refused = !ahead->has_thread;
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attributes);
}

void
search_ahead_rest(struct search_ahead *ahead)
{
    ahead->refused = false;
    if (!ahead->has_thread) {
        return;
    }
    pthread_mutex_lock(&ahead->mutex);
    ahead->ends = true;
    pthread_cond_signal(&ahead->wanted);
    pthread_mutex_unlock(&ahead->mutex);
    (void)pthread_join(ahead->thread, NULL);
    ahead->has_thread = false;
}

bool
search_ahead_works(const struct search_ahead *ahead)
{
    return ahead->has_thread;
}

/* --- its caller --- */

bool
search_ahead_has_room(struct search_ahead *ahead, size_t bytes)
{
    pthread_mutex_lock(&ahead->mutex);
    bool room = ahead->count == 0 || (ahead->count < SEARCH_AHEAD_TEXTS && bytes <= SEARCH_AHEAD_TEXT_BYTES &&
                                      ahead->text_bytes <= SEARCH_AHEAD_TEXT_BYTES - bytes);
    pthread_mutex_unlock(&ahead->mutex);
    return room;
}

enum err
search_ahead_put(struct search_ahead *ahead, uint32_t record_no, bool replaces, struct span text,
                 struct span names)
{
    struct search_text copy = { .record_no = record_no, .replaces = replaces, .names_bytes = names.size };

    buf_put_span(&copy.text, text);
    if (names.size > 0) {
        buf_put_u8(&copy.text, '\n');
        buf_put_span(&copy.text, names);
    }
    if (copy.text.failed) {
        buf_wipe(&copy.text);
        return ERR_MEMORY;
    }
    pthread_mutex_lock(&ahead->mutex);
    assert(ahead->count < SEARCH_AHEAD_TEXTS);
    struct slot *slot = slot_at(ahead, ahead->count);
    size_t bytes = copy.text.size;
    *slot = (struct slot){ bytes > 0 && bytes <= SEARCH_AHEAD_LONGEST ? WAITS : AT_CALLER, copy, 0 };
    ahead->count++;
    ahead->text_bytes += bytes;
    if (slot->state == WAITS) {
        ahead->waiting++;
        ahead->waiting_bytes += bytes;
    }
    /* To be woken for each text would cost the caller more than it saves. */
    bool much =
        ahead->waiting >= SEARCH_AHEAD_TEXTS / 2 || ahead->waiting_bytes >= SEARCH_AHEAD_TEXT_BYTES / 2;
    if (much && ahead->has_thread) {
        pthread_cond_signal(&ahead->wanted);
    }
    pthread_mutex_unlock(&ahead->mutex);
    if (much && !ahead->has_thread && !ahead->refused) {
        start(ahead);
    }
    return ERR_OK;
}

struct search_text *
search_ahead_front(struct search_ahead *ahead)
{
    struct slot *slot = NULL;

    pthread_mutex_lock(&ahead->mutex);
    if (ahead->count > 0) {
        slot = slot_at(ahead, 0);
        while (slot->state == UNDER_WORK) {
            pthread_cond_wait(&ahead->done, &ahead->mutex);
        }
        if (slot->state == WAITS) {
            stop_waiting(ahead, slot, AT_CALLER);
        }
        slot->state = AT_CALLER;
    }
    pthread_mutex_unlock(&ahead->mutex);
    return slot == NULL ? NULL : &slot->text;
}

void
search_ahead_drop(struct search_ahead *ahead)
{
    struct slot *slot = slot_at(ahead, 0);

    pthread_mutex_lock(&ahead->mutex);
    assert(ahead->count > 0 && slot->state == AT_CALLER);
    ahead->text_bytes -= slot->text.text.size;
    ahead->word_bytes -= slot->word_bytes;
    ahead->first = (ahead->first + 1) % SEARCH_AHEAD_TEXTS;
    ahead->count--;
    buf_wipe(&slot->text.text);
    buf_wipe(&slot->text.sounds);
    buf_wipe(&slot->text.words);
    pthread_mutex_unlock(&ahead->mutex);
}

void
search_ahead_free(struct search_ahead **ahead_in)
{
    struct search_ahead *ahead = *ahead_in;

    if (ahead == NULL) {
        return;
    }
    search_ahead_rest(ahead);
    while (search_ahead_front(ahead) != NULL) {
        search_ahead_drop(ahead);
    }
    (void)pthread_cond_destroy(&ahead->done);
    (void)pthread_cond_destroy(&ahead->wanted);
    (void)pthread_mutex_destroy(&ahead->mutex);
    free(ahead);
    *ahead_in = NULL;
}
