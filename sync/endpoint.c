#include "sync/endpoint.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>
#include <strings.h>

enum { LABEL_BYTES_MAX = 63, NAME_BYTES_MAX = 253 };

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
starts_with(struct span text, const char *prefix)
{
    size_t size = strlen(prefix);

    return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

/* Labels of letters, digits and inner hyphens (RFC 1123). Digits and dots alone are
 * no name: resolvers take "1" or "300.1" for an address. */
static bool
host_name_valid(struct span name)
{
    bool has_letter = false;
    size_t label_bytes = 0;

    if (name.size == 0 || name.size > NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (c == '.') {
            if (label_bytes == 0 || name.data[i - 1] == '-') {
                return false;
            }
            label_bytes = 0;
            continue;
        }
        if (!is_letter(c) && !is_digit(c) && !(c == '-' && label_bytes > 0)) {
            return false;
        }
        has_letter = has_letter || is_letter(c);
        label_bytes++;
        if (label_bytes > LABEL_BYTES_MAX) {
            return false;
        }
    }
    return has_letter && label_bytes > 0 && name.data[name.size - 1] != '-';
}

/* 1 to 65535 without a leading zero. */
static bool
port_parse(uint16_t *port_out, struct span text)
{
    uint32_t port = 0;

    if (text.size == 0 || text.size > 5 || text.data[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.data[i])) {
            return false;
        }
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (port > UINT16_MAX) {
        return false;
    }
    *port_out = (uint16_t)port;
    return true;
}

static bool
host_parse(struct endpoint *endpoint, struct span host, enum endpoint_use use)
{
    uint8_t address[16];

    if (host.size == 1 && host.data[0] == '*') {
        return use == ENDPOINT_BIND;
    }
    bool bracketed = host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
    struct span inner = bracketed ? span_of(host.data + 1, host.size - 2) : host;
    if (inner.size >= sizeof endpoint->host || memchr(inner.data, '\0', inner.size) != NULL) {
        return false;
    }
    memcpy(endpoint->host, inner.data, inner.size);
    endpoint->host[inner.size] = '\0';
    endpoint->numeric = inet_pton(bracketed ? AF_INET6 : AF_INET, endpoint->host, address) == 1;
    return endpoint->numeric || (!bracketed && host_name_valid(host));
}

static bool
tcp_parse(struct endpoint *endpoint, struct span rest, enum endpoint_use use)
{
    size_t colon = rest.size;

    for (size_t i = 0; i < rest.size; i++) {
        colon = rest.data[i] == ':' ? i : colon;
    }
    if (colon == rest.size) {
        return false;
    }
    struct span port = span_of(rest.data + colon + 1, rest.size - colon - 1);
    bool any_port = use == ENDPOINT_BIND && port.size == 1 && port.data[0] == '*';
    return (any_port || port_parse(&endpoint->port, port)) &&
           host_parse(endpoint, span_of(rest.data, colon), use);
}

/* An absolute path of plain characters. */
static bool
ipc_parse(struct span path)
{
    if (path.size < 2 || path.size > ENDPOINT_IPC_BYTES || path.data[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < path.size; i++) {
        if (path.data[i] <= ' ' || path.data[i] > '~') {
            return false;
        }
    }
    return true;
}

enum err
endpoint_parse(struct endpoint *endpoint_out, struct span text, enum endpoint_use use, bool ipc_allowed)
{
    struct endpoint endpoint = { .port = 0 };

    assert(endpoint_out != NULL);
    if (text.size >= ENDPOINT_BYTES || !(starts_with(text, "tcp://") || starts_with(text, "ipc://"))) {
        return ERR_INVALID;
    }
    struct span rest = span_of(text.data + 6, text.size - 6);
    endpoint.ipc = text.data[0] == 'i';
    if (endpoint.ipc ? !(ipc_allowed && ipc_parse(rest)) : !tcp_parse(&endpoint, rest, use)) {
        return ERR_INVALID;
    }
    memcpy(endpoint.text, text.data, text.size);
    endpoint.text[text.size] = '\0';
    *endpoint_out = endpoint;
    return ERR_OK;
}

enum err
endpoint_parse_proxy(struct endpoint *endpoint_out, struct span text)
{
    static const char scheme[] = "socks5://";
    struct endpoint endpoint = { .port = 0 };

    assert(endpoint_out != NULL);
    if (text.size >= ENDPOINT_BYTES || !starts_with(text, scheme) ||
        !tcp_parse(&endpoint, span_of(text.data + strlen(scheme), text.size - strlen(scheme)),
                   ENDPOINT_DIAL)) {
        return ERR_INVALID;
    }
    memcpy(endpoint.text, text.data, text.size);
    endpoint.text[text.size] = '\0';
    *endpoint_out = endpoint;
    return ERR_OK;
}

bool
endpoint_proxy_valid(const char *text)
{
    struct endpoint endpoint;

    return strcmp(text, PROXY_NONE) == 0 || endpoint_parse_proxy(&endpoint, span_text(text)) == ERR_OK;
}

bool
endpoint_is_onion(const struct endpoint *endpoint)
{
    static const char suffix[] = ".onion";
    size_t size = strlen(endpoint->host);

    return size >= strlen(suffix) && strcasecmp(endpoint->host + size - strlen(suffix), suffix) == 0;
}
