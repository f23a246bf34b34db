#include "store/base/exit.h"

enum exit_status
exit_status_of(enum err err)
{
    switch (err) {
    case ERR_OK:
        return STATUS_DONE;
    case ERR_DENIED:
    case ERR_PASSPHRASE:
    case ERR_LOCKED:
    case ERR_NEWER:
        return STATUS_NEEDS;
    case ERR_ABSENT:
        return STATUS_ABSENT;
    case ERR_INVALID:
    case ERR_CORRUPT:
        return STATUS_INVALID;
    case ERR_BUSY:
        return STATUS_AGAIN;
    default:
        return STATUS_FAILED;
    }
}
