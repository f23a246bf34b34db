/* input: any bytes as what is typed and as a file of records. */
#include "tools/input.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever was accepted is a request that says something. */
static void
check_save(json_t *save)
{
    struct client_fault fault;
    const char *ref = NULL;

    char *text = json_dumps(save, JSON_COMPACT);
    if (text == NULL || json_object_get(save, "do") == NULL) {
        abort();
    }
    free(text);
    json_t *ids = json_pack("{s:s, s:n}", "p1", "00112233445566778899aabbccddeeff", "p2");
    enum input_refs refs = input_refs_replace(save, ids, &ref);
    if ((refs == REFS_READY) != (ref == NULL)) {
        abort();
    }
    /* Nothing is left to replace once all was. */
    if (refs == REFS_READY && input_refs_replace(save, NULL, &ref) != REFS_READY) {
        abort();
    }
    if (!input_whole(save, &fault) && fault.code[0] == 0) {
        abort();
    }
    json_decref(ids);
}

static void
read_file(const uint8_t *data, size_t size)
{
    struct client_fault fault;
    struct input_file input = { .file = fmemopen((void *)(uintptr_t)data, size, "r") };
    json_t *object = NULL;

    if (input.file == NULL) {
        return;
    }
    size_t line = 0;
    while (input_next(&input, &object, &fault) && object != NULL) {
        const char *ref = NULL;
        if (input.first_line <= line) {
            abort();
        }
        line = input.line;
        json_t *save = input_save(object, &ref, &fault);
        if (save != NULL) {
            check_save(save);
        }
        json_decref(save);
        json_decref(object);
    }
    input_end(&input);
    (void)fclose(input.file);
}

/* Each line as one thing that was typed. */
static void
type_lines(const uint8_t *data, size_t size)
{
    static bool (*const takers[])(json_t *, const char *, struct client_fault *) = { input_set, input_add,
                                                                                     input_remove, input_note,
                                                                                     input_resolve };
    struct client_fault fault;
    json_t *save = json_pack("{s:s}", "do", "record.save");
    char *text = malloc(size + 1);

    if (save == NULL || text == NULL) {
        abort();
    }
    memcpy(text, data, size);
    text[size] = '\0';
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        for (size_t n = 0; n < sizeof takers / sizeof takers[0]; n++) {
            (void)takers[n](save, line, &fault);
        }
    }
    check_save(save);
    free(text);
    json_decref(save);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        read_file(data, size);
    }
    type_lines(data, size);
    return 0;
}
