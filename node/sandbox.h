/* sandbox.h - what each process of this program may still do, once it has begun.
 *
 *     starter --exec--> net            no process below may undo what the one above gave up
 *        |               |
 *        +-- asked by  store           check: vigild verify and rebuild     tool: mat2, for vigil
 *
 *     privileges   none new, no capabilities, no groups, no core, no debugger
 *     Landlock     the paths that the process works with, and no others
 *     seccomp      the calls that it makes; any other ends it
 *
 * The table of rules is at the head of sandbox.c. Whoever takes a process over is left with what that process may do anyway.
 * In builds with a sanitizer or with coverage, which need calls of their own, only the first line holds, without its capabilities:
 * `missing` says so.
 */
#pragma once

#include "store/base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum sandbox_role {
    SANDBOX_STORE,   /* LMDB, keys, decisions; the local API; no socket of a network */
    SANDBOX_NET,     /* sockets; no file but what looking up a name takes */
    SANDBOX_STARTER, /* as net, and may start this program again */
    SANDBOX_CHECK,   /* reads a replica that does not run: as the store, without any socket */
    SANDBOX_TOOL, /* a program of others that is run on a file: any path, no network, nobody else's memory */
    SANDBOX_ROLES,
};

enum sandbox_mode {
    SANDBOX_ON,          /* whole, or the process does not go on */
    SANDBOX_BEST_EFFORT, /* as much of it as can be set */
    SANDBOX_OFF,         /* no core and no debugger, as everywhere; nothing else */
    SANDBOX_MODES,
};

enum { SANDBOX_TEXT_BYTES = 256 };

struct sandbox_options {
    enum sandbox_role role;
    enum sandbox_mode mode;
    const char
        *directory; /* store, check: of the state; net, starter: where sockets may be made; "": nowhere */
    const char *const *folders; /* store: where files may be read and written besides */
    size_t folder_count;
};

struct sandbox_state {
    enum sandbox_mode mode;
    bool whole;
    char missing[SANDBOX_TEXT_BYTES]; /* what could not be set, and why: a phrase; "" if whole */
};

/* Give up for good what the role does not need; nothing of it can be had back. Call it while the process has one thread. A folder that
 * is not there is left out: it cannot be used until the process begins anew. False: it was to be whole and is not, and `missing`
 * says why; the process is to end. */
MUST_CHECK bool sandbox_enter(const struct sandbox_options *options, struct sandbox_state *state_out);

/* "on", "best-effort", "off". False: none of them. */
bool sandbox_mode_parse(const char *text, enum sandbox_mode *mode_out);
const char *sandbox_mode_text(enum sandbox_mode mode);
const char *sandbox_role_text(enum sandbox_role role);

/* True if this build has the sandbox as it is described above. */
bool sandbox_is_built_in(void);
