/* node.conf: any bytes are a configuration or one sentence that says where they are none. */

#include "node/config.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40];
    struct config config;
    struct config_fault fault;
    int fd = memfd_create("node.conf", 0);

    assert(fd >= 0);
    /* libconfuse reads `include("file")`; a fuzzer has no business in other files. */
    if (memmem(data, size, "include", 7) == NULL && write(fd, data, size) == (ssize_t)size) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (config_read(path, &config, &fault) == ERR_OK) {
            assert(config.handshake_ms >= 100 && config.handshake_ms <= 30000);
            assert(line_settings_valid(&config.line));
            for (size_t n = 0; n < config.peer_count; n++) {
                assert(config.peers[n].device[0] != '\0' &&
                       strncmp(config.peers[n].endpoint, "tcp://", 6) == 0);
            }
            config_free(&config);
        } else {
            assert(fault.text[0] != '\0');
        }
    }
    (void)close(fd);
    return 0;
}
