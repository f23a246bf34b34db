/* fake_api.h - a node that says what a script has it say, for tests of the client and of vigil.
 *
 *     { "{\"do\":\"status\"}", "{\"id\":$ID,\"ok\":{}}" }     when asked this, answer that
 *
 * It listens on `api` in a directory of its own, in a child process, until fake_api_end.
 */
#pragma once

#include <stddef.h>

/* One request and what comes back. */
struct fake_step {
    const char *asked; /* JSON whose members the request must have, alike; NULL: anything */
    const char
        *answer; /* lines, each ended by a newline or by the end; $ID is the request's id. NULL: hang up.
                           "": say nothing. One that begins with '#' is sent without a newline, then it hangs up. */
};

struct fake_tally;

struct fake_api {
    char dir[64];
    int pid;
    struct fake_tally *tally; /* shared with the child */
};

/* Listen, and go through `count` steps: a request a step, over any number of connections, in order. The
 * last step stands for all further requests. */
void fake_api_start(struct fake_api *api, const struct fake_step *steps, size_t count);

/* End it and remove its directory. Gives how many requests were taken in; fails the test if one was
 * not as its step says. */
size_t fake_api_end(struct fake_api *api);

/* A directory with nobody in it; fake_api_end removes it. */
void fake_api_nobody(struct fake_api *api);
