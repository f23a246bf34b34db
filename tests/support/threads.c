#include "tests/support/threads.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static atomic_bool refused;
static atomic_int asked;

void
threads_refuse(bool refuse)
{
    atomic_store(&refused, refuse);
    atomic_store(&asked, 0);
}

int
threads_asked(void)
{
    return atomic_load(&asked);
}

int
pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;
    void *found = dlsym(RTLD_NEXT, "pthread_create");

    memcpy(&real, &found, sizeof real);
    atomic_fetch_add(&asked, 1);
    return real == NULL || atomic_load(&refused) ? EAGAIN : real(thread, attributes, run, argument);
}
