#include "tools/fault.h"

#include "tools/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool
fault_set(struct client_fault *fault, const char *code, const char *hint, const char *message, ...)
{
    char text[CLIENT_TEXT_BYTES];
    va_list args;

    va_start(args, message);
    (void)vsnprintf(text, sizeof text, message, args);
    va_end(args);
    client_fault_set(fault, code, hint, "%s", text);
    return false;
}

enum exit_status
fault_status(const char *code)
{
    if (strcmp(code, "usage") == 0) {
        return STATUS_USAGE;
    }
    if (strcmp(code, CLIENT_STOPPED) == 0 || strcmp(code, "unknown") == 0) {
        return STATUS_NEEDS;
    }
    for (int err = 0; err < ERR_COUNT; err++) {
        if (strcmp(code, err_code((enum err)err)) == 0) {
            return exit_status_of((enum err)err);
        }
    }
    return STATUS_FAILED;
}

void
fault_print(FILE *to, const char *what, const struct client_fault *because, bool json)
{
    if (json) {
        json_t *object = json_pack("{s:s, s:o, s:s}", "code", because->code, "message",
                                   json_sprintf("%s: %s", what, because->message), "hint", because->hint);
        output_json(to, object);
        json_decref(object);
        return;
    }
    output_printf(to, "vigil: %s\n", what);
    output_printf(to, "  why: %s\n", because->message);
    output_printf(to, "  do:  %s\n", because->hint[0] != '\0' ? because->hint : "vigil help");
}
