/* threads.h - a program whose threads are counted, and refused on request.
 *
 * Whoever links this has a pthread_create of ours in front of the library's.
 */
#pragma once

#include <stdbool.h>

/* From now on none can be made, or all can again; the count begins anew. */
void threads_refuse(bool refuse);

/* How often one was asked for since then. */
int threads_asked(void);
