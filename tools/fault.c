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
    static const struct {
        const char *code;
        enum exit_status status;
    } statuses[] = {
        { "usage", STATUS_USAGE },     { CLIENT_STOPPED, STATUS_NEEDS }, { "unknown", STATUS_NEEDS },
        { "denied", STATUS_NEEDS },    { "passphrase", STATUS_NEEDS },   { "locked", STATUS_NEEDS },
        { "newer", STATUS_NEEDS },     { "absent", STATUS_ABSENT },      { "corrupt", STATUS_INVALID },
        { "invalid", STATUS_INVALID }, { "busy", STATUS_AGAIN },
    };

    for (size_t n = 0; n < sizeof statuses / sizeof statuses[0]; n++) {
        if (strcmp(code, statuses[n].code) == 0) {
            return statuses[n].status;
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
