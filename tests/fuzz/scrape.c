/* scrape: a request for metrics is judged once it is whole and stays so whatever follows; an address that is taken is one of loopback; and a line of
 * the log is taken apart without leaving it. */
#include "node/scrape.h"
#include "store/base/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
as_request(const uint8_t *data, size_t size)
{
    enum scrape_request verdict = SCRAPE_MORE;

    if (memchr(data, '\0', size) != NULL) {
        return;
    }
    for (size_t n = 0; n <= size && n <= SCRAPE_REQUEST_BYTES; n++) {
        enum scrape_request now = scrape_parse(span_of(data, n));

        if (verdict != SCRAPE_MORE && now != verdict) {
            abort();
        }
        verdict = now;
    }
}

static void
as_address(const char *text)
{
    struct sockaddr_storage place;
    socklen_t size = 0;

    if (!scrape_address(text, &place, &size)) {
        return;
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&place;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&place;
    bool loopback = place.ss_family == AF_INET ? size == sizeof *v4 && ntohl(v4->sin_addr.s_addr) >> 24 == 127
                                               : size == sizeof *v6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    if (!loopback) {
        abort();
    }
}

static void
as_line(const char *text)
{
    static const char *const keys[] = { "event", "peer", "duration_us", "" };

    for (size_t n = 0; n < sizeof keys / sizeof keys[0]; n++) {
        size_t size = 0;
        const char *value = log_line_value(text, keys[n], &size);

        if (value != NULL && (value < text || value + size > text + strlen(text))) {
            abort();
        }
    }
    (void)log_line_level(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
        as_request(data, size);
    }
    (void)scrape_parse(span_of(data, size));
    text[size] = '\0';
    as_address(text);
    as_line(text);
    free(text);
    return 0;
}
