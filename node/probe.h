/* probe.h - a look at the pages of a database by a process that may die of it.
 *
 *     store --fork--> child, in the sandbox of `check`: opens main/ and keys/ with no key, walks pages and rows
 *       ^                |
 *       +-- ends well, says that it is damaged, or is ended: by a page that is not there (SIGBUS), by LMDB, by its alarm
 *
 * LMDB maps its file and believes what it reads there: a file that was cut short, mixed up or put in another's place may end whoever follows
 * its pages. What a page says is none of this: rows are verified by their tags when they are read.
 */
#pragma once

#include "node/sandbox.h"
#include "node/setup.h"

#include <sys/types.h>

struct world;

/* Wait for a child that reads a database. True: it ended by itself, *status_out is its exit status. False: it was ended by a signal, and
 * `fault` says by which (ERR_CORRUPT: a page did it; ERR_DENIED: its sandbox did), or it was lost (ERR_IO). */
bool probe_await(pid_t child, const char *directory, int *status_out, struct setup_fault *fault);

/* Have a child look at the pages of main/ and keys/, for a few seconds at most: damage that ends a process is to end that one. One thread,
 * and no sandbox yet. False: they are damaged, and `fault` says how that showed. */
bool probe_store(const char *directory, enum sandbox_mode mode, const struct world *world,
                 struct setup_fault *fault);

/* The same for whoever can do something about it, and has the time that it takes: which of the two are damaged. A child for each. False: it
 * cannot be told, and `fault` says why. */
enum { PROBE_MAIN, PROBE_KEYS, PROBE_PARTS };
MUST_CHECK bool probe_parts(const char *directory, enum sandbox_mode mode, const struct world *world,
                            bool damaged_out[PROBE_PARTS], struct setup_fault *fault);
