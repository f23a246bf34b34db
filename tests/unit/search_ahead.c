/* Texts that a thread takes apart ahead: each comes out once and in order, whatever becomes of the thread. */

#include "store/search_ahead.h"
#include "tests/support/check.h"
#include "tests/support/threads.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

/* --- work that a test can follow, and hold --- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool unable;        /* to begin */
    bool fails;         /* each text */
    size_t sound_bytes; /* more than there would be */
    bool held;          /* no text is done until this is false */
    bool holds;         /* it waits for that */
    int begun;
    int ended;
    int worked;
    int signals; /* so many would reach the thread */
} work;

static void *
begin(void)
{
    sigset_t blocked;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    pthread_mutex_lock(&work.mutex);
    work.begun += !work.unable;
    for (int signal_no = 1; signal_no <= SIGSYS; signal_no++) {
        work.signals += sigismember(&blocked, signal_no) == 0 && signal_no != SIGKILL && signal_no != SIGSTOP;
    }
    bool unable = work.unable;
    pthread_mutex_unlock(&work.mutex);
    return unable ? NULL : &work;
}

static bool
work_on(void *self, struct search_text *text)
{
    ck_assert_ptr_eq(self, &work);
    buf_put_text(&text->sounds, "sound");
    if (work.sound_bytes > 0) {
        memset(buf_extend(&text->sounds, work.sound_bytes), 's', work.sound_bytes);
    }
    buf_put_span(&text->words, buf_span(&text->text));
    text->text_words_bytes = text->words.size;
    pthread_mutex_lock(&work.mutex);
    work.holds = true;
    pthread_cond_broadcast(&work.changed);
    while (work.held) {
        pthread_cond_wait(&work.changed, &work.mutex);
    }
    work.worked++;
    pthread_cond_broadcast(&work.changed);
    bool good = !work.fails;
    pthread_mutex_unlock(&work.mutex);
    return good;
}

static void
end(void *self)
{
    ck_assert_ptr_eq(self, &work);
    pthread_mutex_lock(&work.mutex);
    work.ended++;
    pthread_mutex_unlock(&work.mutex);
}

static const struct search_ahead_work tried = { begin, work_on, end };

static int
count_of(const int *counter)
{
    pthread_mutex_lock(&work.mutex);
    int count = *counter;
    pthread_mutex_unlock(&work.mutex);
    return count;
}

static void
hold(bool held)
{
    pthread_mutex_lock(&work.mutex);
    work.held = held;
    pthread_cond_broadcast(&work.changed);
    pthread_mutex_unlock(&work.mutex);
}

/* Until a text is under work. */
static void
wait_for_work(void)
{
    pthread_mutex_lock(&work.mutex);
    while (!work.holds) {
        pthread_cond_wait(&work.changed, &work.mutex);
    }
    pthread_mutex_unlock(&work.mutex);
}

static void
wait_until_worked(int texts)
{
    pthread_mutex_lock(&work.mutex);
    while (work.worked < texts) {
        pthread_cond_wait(&work.changed, &work.mutex);
    }
    pthread_mutex_unlock(&work.mutex);
}

static struct search_ahead *ahead;
static uint32_t next_in;
static uint32_t next_out;

static void
setup(void)
{
    memset(&work, 0, sizeof work);
    pthread_mutex_init(&work.mutex, NULL);
    pthread_cond_init(&work.changed, NULL);
    threads_refuse(false);
    next_in = 1;
    next_out = 1;
    ahead = search_ahead_new(&tried);
    ck_assert_ptr_nonnull(ahead);
}

static void
teardown(void)
{
    search_ahead_free(&ahead);
    ck_assert_ptr_null(ahead);
    ck_assert_int_eq(work.ended, work.begun);
    pthread_cond_destroy(&work.changed);
    pthread_mutex_destroy(&work.mutex);
}

static void
put_bytes(size_t size)
{
    struct buf text = { 0 };

    memset(buf_extend(&text, size), 'a' + (int)(next_in % 26), size);
    ck_assert(search_ahead_has_room(ahead, size));
    ck_assert_int_eq(search_ahead_put(ahead, next_in, next_in % 2 == 0, buf_span(&text), span_of(NULL, 0)),
                     ERR_OK);
    buf_free(&text);
    next_in++;
}

/* The oldest is whole, and the next of those that were put. Gives whether it is ready. */
static bool
take(void)
{
    struct search_text *text = search_ahead_front(ahead);

    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_eq(search_ahead_front(ahead), text);
    ck_assert_uint_eq(text->record_no, next_out);
    ck_assert_int_eq(text->replaces, next_out % 2 == 0);
    ck_assert_uint_gt(text->text.size, 0);
    for (size_t n = 0; n < text->text.size; n++) {
        EXPECT(text->text.data[n] == 'a' + (int)(next_out % 26));
    }
    bool ready = text->ready;
    ck_assert(span_equal(buf_span(&text->words), ready ? buf_span(&text->text) : span_of(NULL, 0)));
    ck_assert_uint_eq(text->sounds.size, ready ? strlen("sound") + work.sound_bytes : 0);
    search_ahead_drop(ahead);
    next_out++;
    return ready;
}

static int
take_all(void)
{
    int ready = 0;

    while (next_out < next_in) {
        ready += take();
    }
    ck_assert_ptr_null(search_ahead_front(ahead));
    return ready;
}

START_TEST(few_texts_make_no_thread)
{
    for (int n = 0; n < 1000; n++) {
        put_bytes(700);
        if (n % 10 == 9) {
            ck_assert_int_eq(take_all(), 0);
        }
    }
    ck_assert(!search_ahead_works(ahead));
    ck_assert_int_eq(threads_asked(), 0);
}
END_TEST

START_TEST(many_texts_come_out_once_and_in_order)
{
    int ready = 0;

    for (int n = 0; n < 20000; n++) {
        while (!search_ahead_has_room(ahead, 100)) {
            ready += take();
        }
        put_bytes(1 + (size_t)n % 100);
        if (n % 5000 == 4999) {
            ready += take_all();
            search_ahead_rest(ahead);
            ck_assert(!search_ahead_works(ahead));
        }
    }
    ck_assert_int_eq(ready, count_of(&work.worked));
    ck_assert_int_eq(threads_asked(), 4);
    ck_assert_int_eq(work.ended, work.begun);
}
END_TEST

START_TEST(the_caller_takes_what_the_thread_has_not_come_to)
{
    hold(true);
    for (int n = 0; n < SEARCH_AHEAD_TEXTS; n++) {
        put_bytes(10);
    }
    ck_assert(search_ahead_works(ahead));
    ck_assert(!search_ahead_has_room(ahead, 1));
    wait_for_work();
    ck_assert_int_eq(count_of(&work.signals), 0);
    hold(false);
    ck_assert(take());
    /* The thread is in the others by now, or is not: both is right. */
    (void)take_all();
    search_ahead_rest(ahead);
    ck_assert(!search_ahead_works(ahead));
}
END_TEST

START_TEST(a_rest_leaves_the_texts_where_they_are)
{
    hold(true);
    for (int n = 0; n < SEARCH_AHEAD_TEXTS; n++) {
        put_bytes(10);
    }
    wait_for_work();
    hold(false);
    search_ahead_rest(ahead);
    int worked = count_of(&work.worked);
    ck_assert_int_ge(worked, 1);
    ck_assert_int_eq(take_all(), worked);
    search_ahead_rest(ahead);
}
END_TEST

START_TEST(what_fails_in_the_thread_is_left_to_the_caller)
{
    work.fails = true;
    for (int n = 0; n < 1000; n++) {
        while (!search_ahead_has_room(ahead, 50)) {
            ck_assert(!take());
        }
        put_bytes(50);
    }
    ck_assert_int_eq(take_all(), 0);
    search_ahead_rest(ahead);
    ck_assert_int_eq(work.begun, 1);
}
END_TEST

START_TEST(a_thread_that_cannot_begin_harms_nothing)
{
    work.unable = true;
    for (int n = 0; n < 1000; n++) {
        while (!search_ahead_has_room(ahead, 50)) {
            ck_assert(!take());
        }
        put_bytes(50);
    }
    ck_assert_int_eq(take_all(), 0);
    search_ahead_rest(ahead);
    ck_assert_int_eq(threads_asked(), 1);
    ck_assert_int_eq(work.worked, 0);
}
END_TEST

START_TEST(where_no_thread_can_be_made_it_is_tried_once_until_a_rest)
{
    threads_refuse(true);
    for (int round = 1; round <= 2; round++) {
        for (int n = 0; n < 500; n++) {
            while (!search_ahead_has_room(ahead, 50)) {
                ck_assert(!take());
            }
            put_bytes(50);
        }
        ck_assert(!search_ahead_works(ahead));
        ck_assert_int_eq(threads_asked(), round);
        ck_assert_int_eq(take_all(), 0);
        search_ahead_rest(ahead);
    }
    ck_assert_int_eq(work.begun, 0);
}
END_TEST

START_TEST(memory_is_bounded)
{
    size_t bytes = 0;

    /* One that is too large is alone. */
    put_bytes(SEARCH_AHEAD_TEXT_BYTES * 2);
    ck_assert(!search_ahead_has_room(ahead, 1));
    ck_assert(!search_ahead_has_room(ahead, SIZE_MAX));
    ck_assert(!take());
    while (search_ahead_has_room(ahead, 10000)) {
        put_bytes(10000);
        bytes += 10000;
    }
    ck_assert_uint_le(bytes, SEARCH_AHEAD_TEXT_BYTES);
    ck_assert_uint_gt(bytes, SEARCH_AHEAD_TEXT_BYTES - 10000);
    ck_assert(search_ahead_works(ahead));
    (void)take_all();
    /* A long one is never taken apart ahead, a shorter one behind it may be. */
    put_bytes(SEARCH_AHEAD_LONGEST + 1);
    put_bytes(SEARCH_AHEAD_TEXT_BYTES - SEARCH_AHEAD_LONGEST - 1);
    ck_assert(!take());
    (void)take_all();
    ck_assert(search_ahead_has_room(ahead, SIZE_MAX));
}
END_TEST

START_TEST(the_thread_pauses_where_words_are_many)
{
    enum { EACH = SEARCH_AHEAD_WORD_BYTES / 8 };

    work.sound_bytes = EACH;
    for (int n = 0; n < SEARCH_AHEAD_TEXTS; n++) {
        put_bytes(10);
    }
    wait_until_worked(8);
    search_ahead_rest(ahead);
    ck_assert_int_eq(work.worked, 8);
    /* When these are gone there is room for as many more. */
    for (int n = 0; n < 8; n++) {
        ck_assert(take());
    }
    put_bytes(10);
    wait_until_worked(16);
    search_ahead_rest(ahead);
    ck_assert_int_eq(work.worked, 16);
    ck_assert_int_eq(take_all(), 8);
}
END_TEST

START_TEST(it_is_freed_while_a_text_is_under_work)
{
    hold(true);
    for (int n = 0; n < SEARCH_AHEAD_TEXTS; n++) {
        put_bytes(10);
    }
    wait_for_work();
    hold(false);
    search_ahead_free(&ahead);
    ck_assert_int_eq(work.ended, 1);
}
END_TEST

SUITE_MAIN_WITH("search_ahead", setup, teardown, few_texts_make_no_thread,
                many_texts_come_out_once_and_in_order, the_caller_takes_what_the_thread_has_not_come_to,
                a_rest_leaves_the_texts_where_they_are, what_fails_in_the_thread_is_left_to_the_caller,
                a_thread_that_cannot_begin_harms_nothing,
                where_no_thread_can_be_made_it_is_tried_once_until_a_rest, memory_is_bounded,
                the_thread_pauses_where_words_are_many, it_is_freed_while_a_text_is_under_work)
