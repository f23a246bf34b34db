/* Requests, welcomes and statement files, as armour and as what lies beneath it. */
#include "sync/joining.h"

#include <stdlib.h>
#include <string.h>

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
count_one(void *self, struct span statement)
{
    (void)statement;
    ++*(size_t *)self;
}

static void
read_all(struct span file)
{
    static const struct key_pair pair;
    static const struct key key;
    struct request request;
    struct welcome welcome;
    struct joining_fault fault = { NULL, NULL, NULL };
    struct buf statements = { 0 };

    if (request_read(file, &request, &fault) != ERR_OK) {
        require(fault.what != NULL && fault.why != NULL && fault.todo != NULL);
    } else {
        require(memchr(request.name, '\0', sizeof request.name) != NULL && request.name[0] != '\0');
    }
    if (welcome_read(file, &pair, &welcome, &fault) == ERR_OK) {
        welcome_free(&welcome);
    }
    (void)!statements_read(file, &key, &statements, &fault);
    buf_free(&statements);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const titles[] = { "VIGIL REQUEST 1", "VIGIL WELCOME 1", "VIGIL STATEMENTS 1" };
    size_t count = 0;

    read_all(span_of(data, size));
    for (size_t n = 0; n < 3; n++) {
        struct buf file = { 0 };
        struct buf back = { 0 };
        armour_write(&file, titles[n], span_of(data, size));
        require(size == 0 || armour_read(buf_span(&file), titles[n], &back));
        require(size == 0 || span_equal(buf_span(&back), span_of(data, size)));
        read_all(buf_span(&file));
        buf_free(&file);
        buf_free(&back);
    }
    if (joining_each(span_of(data, size), count_one, &count)) {
        require(count < size);
    }
    return 0;
}
