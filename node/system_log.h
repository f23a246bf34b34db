/* system_log.h - the log goes to the journal of the system, with its fields, where stderr leads there.
 *
 *     event=peer-down peer=3f09a1c2 why="..."  -->  MESSAGE=  PRIORITY=  MESSAGE_ID=  EVENT=  PEER=  DURATION_US=
 *
 * Elsewhere, and in a build without libsystemd, lines stay logfmt on stderr.
 */
#pragma once

#include <stdbool.h>

/* Send every later line there, if stderr leads there. Call it before the process enters its sandbox, and when its descriptors are its own:
 * the first line opens a socket. False: it does not. */
bool system_log_begin(void);

/* True if descriptor `fd` is a stream of the journal: it is the one that JOURNAL_STREAM (`stream`; NULL: not set) names, or its other end
 * is the journal's socket, whatever the environment says. */
bool system_log_takes(const char *stream, int fd);
