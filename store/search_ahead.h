/* search_ahead.h - texts in a row, taken apart by a thread while those before them are taken in.
 *
 *     search_ahead_put --> | waits | waits | under work | ready | ready | --> search_ahead_front
 *                                            the thread                       the caller
 *
 * Each text comes out once, in the order in which it went in, either with its words or, if the thread did not come to it or
 * failed, without: then whoever takes it in takes it apart. So whatever befalls the thread costs time and no text.
 *
 * The thread is made by a search_ahead_put that finds half of what there is room for waiting, at any time in the life of the
 * process, and ended by search_ahead_rest: a save now and then never makes one, and whoever rests is alone. It blocks all
 * signals, holds no lock while it works, and touches nothing but the texts and what its work makes for itself. Where none can be
 * made, the caller does it all.
 *
 * Texts are secrets: each is wiped, with its words, as soon as it is dropped. One caller at a time; for search.c.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

/* As many texts at once as are taken in within ten milliseconds: that long the thread may be kept waiting by others. */
enum {
    SEARCH_AHEAD_TEXTS = 64,
    SEARCH_AHEAD_TEXT_BYTES = 256 * 1024, /* of them all; one that is larger stands alone */
    SEARCH_AHEAD_WORD_BYTES = 768 * 1024, /* then the thread pauses: one text's words above that, at most */
    SEARCH_AHEAD_LONGEST =
        128 * 1024, /* longer ones are left to the caller: words may be many times as much */
};

struct search_text {
    uint32_t record_no;
    bool replaces;      /* the record has another text, which is to be taken out first */
    struct buf text;    /* with names behind it; empty: the record is to have none */
    size_t names_bytes; /* so many of its last are names */
    bool ready;         /* it was taken apart: what follows holds */
    struct buf sounds;
    struct buf words; /* of text, and behind `text_words_bytes` of sounds: as the work writes them */
    size_t text_words_bytes;
};

/* What the thread does. `begin` and `end` are called there too, once; NULL: none of it is ready, and it does nothing. */
struct search_ahead_work {
    void *(*begin)(void);
    /* Fill in sounds and words. False: no memory; they are left to the caller. */
    bool (*take_apart)(void *self, struct search_text *text);
    void (*end)(void *self);
};

struct search_ahead;

/* `work` outlives it. NULL: no memory. */
struct search_ahead *search_ahead_new(const struct search_ahead_work *work);

/* Ends the thread after the text under its hands, and wipes what is there. */
void search_ahead_free(struct search_ahead **ahead);

/* Is there room for one of `bytes` bytes? If none is there, always. */
bool search_ahead_has_room(struct search_ahead *ahead, size_t bytes);

/* Add a text, which is copied; there is room for it. ERR_MEMORY: it was not added. */
MUST_CHECK enum err search_ahead_put(struct search_ahead *ahead, uint32_t record_no, bool replaces,
                                     struct span text, struct span names);

/* The oldest, the caller's until it is dropped: waits while it is under work. NULL: there is none. */
struct search_text *search_ahead_front(struct search_ahead *ahead);

/* Wipe the oldest, which is the caller's, and be done with it. */
void search_ahead_drop(struct search_ahead *ahead);

/* End the thread, if there is one; the texts stay, and the next that are put may make another. */
void search_ahead_rest(struct search_ahead *ahead);

/* Is there a thread? */
bool search_ahead_works(const struct search_ahead *ahead);
