/* recorder.h - everything that a program writes into a directory, kept in its order, and what a disk may hold of it after a crash.
 *
 *     recorder_start(directory);      what is there now lies safe
 *     ... writes, syncs, renames, removals by LMDB and by us; recorder_mark() whenever something is acknowledged ...
 *     recorder_stop();
 *     for each moment: recorder_image(moment, loss, &random, to);    a directory as the disk may show it then
 *
 * The disk here is as hostile as POSIX lets it be. What a file was given before its last fsync or fdatasync that ended, or through a
 * descriptor opened with O_DSYNC or O_SYNC, is there; of what came after, each write, and each change of the size, may be there or not, in
 * any choice, and a write may be torn between sectors of 512 bytes. Names (created, renamed, linked, removed) are there once their directory
 * was synced; of the later ones the first few are, as a journal keeps them. A sync of a file says nothing of its name.
 *
 * Linked into a program it takes the place of the calls of libc that write, for all libraries, too. Memory that is mapped is not
 * seen: LMDB writes none but its table of readers, which it makes anew. One thread. After "CrashMonkey" (Mohan et al., OSDI 2018) and "All
 * File Systems Are Not Created Equal" (Pillai et al., OSDI 2014), from which the rules above are taken.
 */
#pragma once

#include "store/base/world.h"

#include <stddef.h>

/* What becomes of that which was not synced. */
enum recorder_loss {
    LOSS_ALL,     /* it is gone */
    LOSS_NONE,    /* it is all there: the process died, and the disk did not */
    LOSS_SOME,    /* each write is there or not */
    LOSS_SECTORS, /* each sector of each write is there or not */
    LOSS_COUNT
};

/* Take `directory` in, with everything below it, and record from now on. Ends the test where it cannot. */
void recorder_start(const char *directory);
void recorder_stop(void);

/* Something was acknowledged: everything before is to outlive a crash from here on. */
void recorder_mark(void);

/* How many moments there are: one before each thing that was recorded, while it is under way, and one after the last. */
size_t recorder_moments(void);

/* How many marks came before that moment. */
size_t recorder_marks(size_t moment);

/* True if a sync, a rename or another such step was under way there: where most is at stake. */
bool recorder_is_step(size_t moment);

/* Write what a disk may hold, having crashed at that moment, as the directory `to`, which is made anew. What is lost follows from the
 * randomness of `world`. */
void recorder_image(size_t moment, enum recorder_loss loss, const struct world *world, const char *to);

/* Forget what was recorded. */
void recorder_free(void);
