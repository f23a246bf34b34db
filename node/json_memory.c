#include "node/json_memory.h"

#include <jansson.h>

#include <stdlib.h>

static bool lacked;

static void *
take(size_t size)
{
    void *memory = malloc(size);

    lacked = lacked || (memory == NULL && size > 0);
    return memory;
}

void
json_memory_watch(void)
{
    json_set_alloc_funcs(take, free);
}

void
json_memory_note(void)
{
    lacked = true;
}

bool
json_memory_lacked(void)
{
    bool was = lacked;

    lacked = false;
    return was;
}
