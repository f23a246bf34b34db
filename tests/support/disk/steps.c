#include "tests/support/disk/steps.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int
fdatasync(int descriptor)
{
    return disk_step(DISK_SYNC, 0) < 0 ? -1 : (int)syscall(SYS_fdatasync, descriptor);
}

int
fsync(int descriptor)
{
    return disk_step(DISK_SYNC, 0) < 0 ? -1 : (int)syscall(SYS_fsync, descriptor);
}

int
ftruncate(int descriptor, off_t size)
{
    return disk_step(DISK_TRUNCATE, 0) < 0 ? -1 : (int)syscall(SYS_ftruncate, descriptor, size);
}

int
renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    if (disk_step(DISK_RENAME, 0) < 0) {
        return -1;
    }
    int rc = (int)syscall(SYS_renameat, from_directory, from, to_directory, to);
    (void)disk_step(DISK_RENAMED, 0);
    return rc;
}

int
unlinkat(int directory, const char *name, int flags)
{
    return disk_step(DISK_REMOVE, 0) < 0 ? -1 : (int)syscall(SYS_unlinkat, directory, name, flags);
}

ssize_t
pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    ssize_t may = disk_step(DISK_WRITE_AT, size);

    return may < 0 ? -1 : syscall(SYS_pwrite64, descriptor, data, (size_t)may, offset);
}

ssize_t
write(int descriptor, const void *data, size_t size)
{
    ssize_t may = disk_step(DISK_WRITE, size);

    return may < 0 ? -1 : syscall(SYS_write, descriptor, data, (size_t)may);
}

ssize_t
writev(int descriptor, const struct iovec *parts, int count)
{
    ssize_t may = disk_step(DISK_WRITE_V, parts[0].iov_len);

    if (may < 0) {
        return -1;
    }
    return (size_t)may < parts[0].iov_len ? syscall(SYS_write, descriptor, parts[0].iov_base, (size_t)may)
                                          : syscall(SYS_writev, descriptor, parts, count);
}
