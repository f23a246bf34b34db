/* scan.c - which secrets of a node are readable in the memory of a process, for processes.test.
 *
 *     scan DIR PID [TEXT...] < passphrase
 *
 * Opens the node's folder with the passphrase as the node does, and looks for each of its keys, the passphrase
 * itself and the texts in all that PID can read and write. Prints one line for each: "storage 0", "sign 2", ...
 * Nothing secret is printed.
 */
#include "store/base/crypto.h"
#include "store/vault.h"
#include "sync/replica.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NEEDLES_MAX = 32, WINDOW_BYTES = 1 << 20, NEEDLE_BYTES_MAX = 256 };

struct needle {
    const char *name;
    const void *bytes;
    size_t size;
    size_t found;
};

static struct needle needles[NEEDLES_MAX];
static size_t needle_count;

static void
look_for(const char *name, const void *bytes, size_t size)
{
    if (needle_count == NEEDLES_MAX || size == 0 || size > NEEDLE_BYTES_MAX) {
        (void)fputs("scan: too much to look for\n", stderr);
        exit(2);
    }
    needles[needle_count++] = (struct needle){ name, bytes, size, 0 };
}

/* Count what begins before `end`; the rest of the window is there so that nothing is missed between two. */
static void
count_in(const uint8_t *window, size_t size, size_t end)
{
    for (size_t n = 0; n < needle_count; n++) {
        const uint8_t *at = window;
        while ((at = memmem(at, size - (size_t)(at - window), needles[n].bytes, needles[n].size)) != NULL &&
               (size_t)(at - window) < end) {
            needles[n].found++;
            at++;
        }
    }
}

static void
scan_range(int memory, uint64_t from, uint64_t to)
{
    static uint8_t window[WINDOW_BYTES + NEEDLE_BYTES_MAX];

    for (uint64_t at = from; at < to; at += WINDOW_BYTES) {
        uint64_t left = to - at;
        size_t want = left < sizeof window ? (size_t)left : sizeof window;
        ssize_t got = pread(memory, window, want, (off_t)at);
        if (got > 0) {
            count_in(window, (size_t)got, WINDOW_BYTES);
        }
    }
}

/* Every mapping that can be written, or is locked away by mprotect as secret memory is. */
static size_t
scan_process(const char *pid)
{
    char path[64];
    char line[512];
    size_t ranges = 0;

    (void)snprintf(path, sizeof path, "/proc/%s/maps", pid);
    FILE *maps = fopen(path, "r");
    (void)snprintf(path, sizeof path, "/proc/%s/mem", pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    while (maps != NULL && memory >= 0 && fgets(line, sizeof line, maps) != NULL) {
        uint64_t from = 0;
        uint64_t to = 0;
        char mode[8] = "";
        /* ASan's shadow is terabytes of nothing. */
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &to, mode) == 3 &&
            (strncmp(mode, "rw", 2) == 0 || strncmp(mode, "---", 3) == 0) && to - from < UINT64_C(1) << 32) {
            scan_range(memory, from, to);
            ranges++;
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    if (memory >= 0) {
        (void)close(memory);
    }
    return ranges;
}

int
main(int argc, char **argv)
{
    static char passphrase[NEEDLE_BYTES_MAX];
    static struct key storage_key;
    static struct wrap wrap;
    static struct replica_identity identity;

    if (argc < 3 || crypto_start() != ERR_OK || fgets(passphrase, sizeof passphrase, stdin) == NULL) {
        (void)fputs("usage: scan DIR PID [TEXT...] < passphrase\n", stderr);
        return 2;
    }
    passphrase[strcspn(passphrase, "\n")] = '\0';
    enum err err = vault_open(argv[1], span_text(passphrase), &storage_key);
    err = err == ERR_OK ? wrap_read(argv[1], &storage_key, &wrap) : err;
    err = err == ERR_OK ? replica_identity_read(argv[1], &storage_key, &identity) : err;
    if (err != ERR_OK) {
        (void)fprintf(stderr, "scan: %s: %s\n", argv[1], err_text(err));
        return 1;
    }
    look_for("passphrase", passphrase, strlen(passphrase));
    look_for("storage", &storage_key, sizeof storage_key);
    look_for("wrap", &wrap.key, sizeof wrap.key);
    /* libsodium's secret signing key is the seed and the public key, which is no secret. */
    look_for("sign", identity.sign.secret_key, 32);
    look_for("box", identity.box.secret_key, 32);
    look_for("control", &identity.control_key, sizeof identity.control_key);
    look_for("transport", identity.transport_secret, sizeof identity.transport_secret);
    for (int n = 3; n < argc; n++) {
        look_for(argv[n], argv[n], strlen(argv[n]));
    }
    if (scan_process(argv[2]) == 0) {
        (void)fprintf(stderr, "scan: the memory of %s cannot be read\n", argv[2]);
        return 1;
    }
    for (size_t n = 0; n < needle_count; n++) {
        (void)printf("%s %zu\n", needles[n].name, needles[n].found);
    }
    return 0;
}
