/* err.h - the ways in which the world fails us.
 *
 * A function that can fail returns `enum err`, and its caller may not ignore
 * it. A mistake of our own is an assert, kept in release builds; bytes that
 * somebody sent us get a verdict, not an error (sync/intake.h).
 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

#define MUST_CHECK __attribute__((warn_unused_result))

enum err {
    ERR_OK = 0,
    ERR_MEMORY,     /* the machine has no memory left */
    ERR_IO,         /* the disk or a file failed; what was acknowledged is safe */
    ERR_FULL,       /* the disk, the map or a limit of ours is full */
    ERR_BUSY,       /* another process or peer holds it: try again */
    ERR_ABSENT,     /* there is no such thing here */
    ERR_EXISTS,     /* it is already there */
    ERR_CORRUPT,    /* a stored row does not verify: it is not served */
    ERR_INVALID,    /* input does not follow its format or a rule */
    ERR_DENIED,     /* a right, a role or a file mode forbids it */
    ERR_PASSPHRASE, /* the passphrase does not open the lock */
    ERR_LOCKED,     /* a key that is needed is not here */
    ERR_NEWER,      /* written by a newer program: upgrade */
    ERR_CONFLICT,   /* the field holds more than one value: a person decides */
    ERR_COUNT       /* not an error: how many there are */
};

/* The stable name of `err`, as scripts see it: "corrupt". Never NULL. */
const char *err_code(enum err err);

/* One sentence for people, without a full stop: "a stored row does not verify". Never NULL. */
const char *err_text(enum err err);

#ifdef __cplusplus
}
#endif
