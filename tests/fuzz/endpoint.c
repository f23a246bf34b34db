/* Any text as an endpoint, or as a proxy: what is accepted begins with its transport, is kept as
 * it was, and holds nothing that libzmq gives another meaning. */
#include "sync/endpoint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct endpoint endpoint;

    for (int variant = 0; variant < 4; variant++) {
        enum endpoint_use use = variant & 1 ? ENDPOINT_BIND : ENDPOINT_DIAL;
        if (endpoint_parse(&endpoint, span_of(data, size), use, (variant & 2) != 0) != ERR_OK) {
            continue;
        }
        if (strlen(endpoint.text) != size || memcmp(endpoint.text, data, size) != 0 ||
            (!endpoint.ipc && strpbrk(endpoint.text, ";%@, ") != NULL) ||
            (strncmp(endpoint.text, "tcp://", 6) != 0 && !(variant & 2)) ||
            (use == ENDPOINT_DIAL && !endpoint.ipc && endpoint.port == 0)) {
            abort();
        }
    }
    if (endpoint_parse_proxy(&endpoint, span_of(data, size)) == ERR_OK &&
        (strlen(endpoint.text) != size || memcmp(endpoint.text, data, size) != 0 ||
         strncmp(endpoint.text, "socks5://", 9) != 0 || strpbrk(endpoint.text, ";%@, *") != NULL ||
         endpoint.port == 0 || endpoint.host[0] == '\0' || !endpoint_proxy_valid(endpoint.text))) {
        abort();
    }
    return 0;
}
