/* steps.h - each call by which a program writes to its disk is a step, which a test may let fail, or make the process's last.
 *
 *     LMDB, the vault, blobs --pwrite, fsync, renameat--> [ steps.c ] --as far as disk_step says--> the kernel
 *
 * It takes the place of libc's calls in the whole program, so it is linked into what asks for it alone.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

enum disk_step {
    DISK_SYNC,     /* fdatasync, fsync */
    DISK_WRITE_AT, /* pwrite */
    DISK_WRITE,    /* write */
    DISK_WRITE_V,  /* writev */
    DISK_TRUNCATE, /* ftruncate */
    DISK_RENAME,   /* renameat */
    DISK_RENAMED,  /* it has happened: what is given is not looked at */
    DISK_REMOVE,   /* unlinkat */
};

/* The test defines it: asked before each step, with the bytes that it would write, of writev those of its first part, of others 0. Gives how
 * many of them it may write, or -1: it fails, and errno says how. */
ssize_t disk_step(enum disk_step step, size_t size);
