#include "tests/support/stranger.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_BYTES_MAX = 16384 };

enum { COMMAND = 4, LARGE = 2, MORE = 1 };

void
stranger_open(struct stranger *stranger, uint16_t port, const uint8_t *secret_key)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };

    *stranger = (struct stranger){ .nonce = 1 };
    stranger->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(stranger->fd, (struct sockaddr *)&address, sizeof address);
    assert(rc == 0);
    crypto_box_keypair(stranger->public_key, stranger->secret_key);
    if (secret_key != NULL) {
        memcpy(stranger->secret_key, secret_key, 32);
        crypto_scalarmult_base(stranger->public_key, secret_key);
    }
    crypto_box_keypair(stranger->short_public_key, stranger->short_secret_key);
}

void
stranger_close(struct stranger *stranger)
{
    close(stranger->fd);
    buf_free(&stranger->said);
    buf_free(&stranger->heard);
}

bool
stranger_say(struct stranger *stranger, const void *bytes, size_t size)
{
    stranger->said_last = stranger->said.size;
    buf_put(&stranger->said, bytes, size);
    return send(stranger->fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

void
stranger_hear(struct stranger *stranger)
{
    uint8_t bytes[4096];
    ssize_t got;

    while ((got = recv(stranger->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        buf_put(&stranger->heard, bytes, (size_t)got);
    }
    stranger->ended = stranger->ended || got == 0 || (errno != EAGAIN && errno != EINTR);
}

void
stranger_greet(struct stranger *stranger, const char *mechanism)
{
    uint8_t greeting[64] = { [0] = 0xff, [9] = 0x7f, [10] = 3 };

    memcpy(greeting + 12, mechanism, strlen(mechanism));
    stranger_say(stranger, greeting, sizeof greeting);
}

/* A short-term nonce: 16 bytes of what it is for, and a counter. */
static void
make_nonce(struct stranger *stranger, uint8_t nonce_out[24], const char *purpose)
{
    memcpy(nonce_out, purpose, 16);
    bytes_write_u64(nonce_out + 16, stranger->nonce);
    stranger->nonce++;
}

/* Send one frame: flags, length, body. */
static bool
say_frame(struct stranger *stranger, uint8_t flags, struct span body)
{
    struct buf frame = { 0 };

    buf_put_u8(&frame, body.size > 255 ? flags | LARGE : flags);
    if (body.size > 255) {
        buf_put_u64(&frame, body.size);
    } else {
        buf_put_u8(&frame, (uint8_t)body.size);
    }
    buf_put_span(&frame, body);
    bool said = stranger_say(stranger, frame.data, frame.size);
    buf_free(&frame);
    return said;
}

void
stranger_say_hello(struct stranger *stranger, const uint8_t server_key[32])
{
    uint8_t body[200] = "\5HELLO\1";
    uint8_t zeros[64] = { 0 };
    uint8_t nonce[24];

    memcpy(stranger->server_key, server_key, 32);
    memcpy(body + 80, stranger->short_public_key, 32);
    make_nonce(stranger, nonce, "CurveZMQHELLO---");
    memcpy(body + 112, nonce + 16, 8);
    int rc = crypto_box_easy(body + 120, zeros, sizeof zeros, nonce, server_key, stranger->short_secret_key);
    assert(rc == 0);
    say_frame(stranger, COMMAND, span_of(body, sizeof body));
}

bool
stranger_say_initiate(struct stranger *stranger, struct span metadata)
{
    uint8_t welcome[128];
    uint8_t nonce[24] = "WELCOME-";
    uint8_t vouch[64];
    uint8_t box[1024];
    struct buf plain = { 0 };
    struct buf body = { 0 };

    if (stranger->heard.size < STRANGER_WELCOME || metadata.size > 512) {
        return false;
    }
    const uint8_t *at = stranger->heard.data + STRANGER_GREETING + 2 + 8;
    memcpy(nonce + 8, at, 16);
    if (crypto_box_open_easy(welcome, at + 16, 144, nonce, stranger->server_key,
                             stranger->short_secret_key) != 0) {
        return false;
    }
    memcpy(stranger->server_short_key, welcome, 32);
    /* Vouch: the long-term key stands for the short one, towards this server. */
    buf_put(&plain, stranger->public_key, 32);
    memcpy(nonce, "VOUCH---", 8);
    randombytes_buf(nonce + 8, 16);
    buf_put(&plain, nonce + 8, 16);
    memcpy(vouch, stranger->short_public_key, 32);
    memcpy(vouch + 32, stranger->server_key, 32);
    int rc = crypto_box_easy(buf_extend(&plain, 80), vouch, sizeof vouch, nonce, stranger->server_short_key,
                             stranger->secret_key);
    assert(rc == 0);
    buf_put_span(&plain, metadata);

    make_nonce(stranger, nonce, "CurveZMQINITIATE");
    rc = crypto_box_easy(box, plain.data, plain.size, nonce, stranger->server_short_key,
                         stranger->short_secret_key);
    assert(rc == 0);
    buf_put(&body, "\10INITIATE", 9);
    buf_put(&body, welcome + 32, 96);
    buf_put(&body, nonce + 16, 8);
    buf_put(&body, box, plain.size + 16);
    bool said = say_frame(stranger, COMMAND, buf_span(&body));
    buf_free(&plain);
    buf_free(&body);
    return said;
}

void
stranger_property(struct buf *metadata, const char *name, const char *value)
{
    buf_put_u8(metadata, (uint8_t)strlen(name));
    buf_put_text(metadata, name);
    buf_put_u32(metadata, (uint32_t)strlen(value));
    buf_put_text(metadata, value);
}

bool
stranger_send(struct stranger *stranger, struct span bytes, bool more)
{
    struct buf plain = { 0 };
    struct buf body = { 0 };
    uint8_t nonce[24];

    buf_put_u8(&plain, more ? 1 : 0);
    buf_put_span(&plain, bytes);
    make_nonce(stranger, nonce, "CurveZMQMESSAGEC");
    buf_put(&body, "\7MESSAGE", 8);
    buf_put(&body, nonce + 16, 8);
    int rc = crypto_box_easy(buf_extend(&body, plain.size + 16), plain.data, plain.size, nonce,
                             stranger->server_short_key, stranger->short_secret_key);
    assert(rc == 0);
    bool said = say_frame(stranger, 0, buf_span(&body));
    buf_free(&plain);
    buf_free(&body);
    return said;
}

bool
stranger_read_request(const char *path, struct request *request_out)
{
    struct buf file = { 0 };
    FILE *from = fopen(path, "r");

    for (int byte; from != NULL && file.size < REQUEST_BYTES_MAX && (byte = fgetc(from)) != EOF;) {
        buf_put_u8(&file, (uint8_t)byte);
    }
    bool good = from != NULL && request_read(buf_span(&file), request_out, NULL) == ERR_OK;
    if (from != NULL) {
        (void)fclose(from);
    }
    buf_free(&file);
    return good;
}

bool
stranger_was_refused(const struct stranger *stranger, size_t *after_out)
{
    static const uint8_t error[] = "\4\12\5ERROR\003400";
    const struct buf *heard = &stranger->heard;
    bool refused = heard->size >= STRANGER_WELCOME + sizeof error - 1 &&
                   memcmp(heard->data + STRANGER_WELCOME, error, sizeof error - 1) == 0;

    *after_out = refused ? heard->size - STRANGER_WELCOME - (sizeof error - 1) : 0;
    return refused;
}
