/* json_memory.h - whether memory ran out while an answer was put together.
 *
 * jansson says so by a NULL that most of what builds an answer passes on, and a list without one of its items looks like any list. So it
 * is asked once, at the end, whether anything was refused meanwhile: an answer is whole, or it is none.
 */
#pragma once

#include <stdbool.h>

/* Watch what jansson is given from now on, in this process: once, before anything is made of JSON. */
void json_memory_watch(void);

/* Memory was refused to something else that belongs to an answer. */
void json_memory_note(void);

/* True if it was refused memory since this was last asked. */
bool json_memory_lacked(void);
