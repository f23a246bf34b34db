#include "store/base/err.h"

#include <stddef.h>

static const struct {
    const char *code;
    const char *text;
} errs[ERR_COUNT] = {
    [ERR_OK] = { "ok", "done" },
    [ERR_MEMORY] = { "memory", "the machine has no memory left" },
    [ERR_IO] = { "io", "the disk or a file failed" },
    [ERR_FULL] = { "full", "the disk or a limit is full" },
    [ERR_BUSY] = { "busy", "another process or peer holds it" },
    [ERR_ABSENT] = { "absent", "there is no such thing here" },
    [ERR_EXISTS] = { "exists", "it is already there" },
    [ERR_CORRUPT] = { "corrupt", "a stored row does not verify" },
    [ERR_INVALID] = { "invalid", "the input does not follow its format or a rule" },
    [ERR_DENIED] = { "denied", "a right, a role or a file mode forbids it" },
    [ERR_PASSPHRASE] = { "passphrase", "the passphrase does not open the lock" },
    [ERR_LOCKED] = { "locked", "a key that is needed is not here" },
    [ERR_NEWER] = { "newer", "it was written by a newer program" },
    [ERR_CONFLICT] = { "conflict", "the field holds more than one value" },
};

const char *
err_code(enum err err)
{
    size_t n = (size_t)err;

    return n < ERR_COUNT ? errs[n].code : "unknown";
}

const char *
err_text(enum err err)
{
    size_t n = (size_t)err;

    return n < ERR_COUNT ? errs[n].text : "an error without a name";
}
