#include "node/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { PASSPHRASE_BYTES_MAX = 1024 };

static volatile sig_atomic_t caught;

static void catch (int signal_number)
{
    caught = signal_number;
}

/* One line without its end, a byte at a time: what follows belongs to the next key. */
static enum err
read_line(int fd, struct buf *out)
{
    for (;;) {
        uint8_t byte;
        ssize_t got = read(fd, &byte, 1);
        if (got < 0 && errno == EINTR && caught == 0) {
            continue;
        }
        if (got < 0 || caught != 0 || (got == 0 && out->size == 0)) {
            return ERR_DENIED;
        }
        if (got == 0 || byte == '\n') {
            return out->failed ? ERR_MEMORY : ERR_OK;
        }
        if (out->size == PASSPHRASE_BYTES_MAX) {
            return ERR_INVALID;
        }
        buf_put_u8(out, byte);
    }
}

/* Prompt and read a line with echo off. A signal puts the terminal back before it takes effect. */
static enum err
read_hidden(int terminal, const char *prompt, const char *of, struct buf *out)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    struct sigaction before[sizeof signals / sizeof signals[0]];
    struct sigaction action = { .sa_handler = catch };
    struct termios shown;
    struct termios hidden;

    if (tcgetattr(terminal, &shown) != 0) {
        return ERR_DENIED;
    }
    caught = 0;
    for (size_t n = 0; n < sizeof signals / sizeof signals[0]; n++) {
        (void)sigaction(signals[n], &action, &before[n]);
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(terminal, TCSAFLUSH, &hidden);
    (void)dprintf(terminal, "%s of %s: ", prompt, of);
    enum err err = read_line(terminal, out);
    (void)tcsetattr(terminal, TCSAFLUSH, &shown);
    (void)dprintf(terminal, "\n");
    for (size_t n = 0; n < sizeof signals / sizeof signals[0]; n++) {
        (void)sigaction(signals[n], &before[n], NULL);
    }
    if (caught != 0) {
        (void)raise(caught);
    }
    return err;
}

static enum err
ask_terminal(int terminal, const char *of, bool fresh, struct buf *out)
{
    struct buf again = { 0 };

    if (!fresh) {
        return read_hidden(terminal, "Passphrase", of, out);
    }
    for (;;) {
        enum err err = read_hidden(terminal, "New passphrase", of, out);
        if (err == ERR_OK) {
            err = read_hidden(terminal, "Once more, the passphrase", of, &again);
        }
        bool same = span_equal(buf_span(out), buf_span(&again));
        buf_wipe(&again);
        if (err != ERR_OK || same) {
            return err;
        }
        (void)dprintf(terminal, "The two differ. Try again.\n");
        buf_wipe(out);
    }
}

enum err
ask_passphrase(struct ask *ask, const char *of, bool fresh, struct buf *passphrase_out)
{
    enum err err = ERR_DENIED;

    if (ask->fd >= 0) {
        err = read_line(ask->fd, passphrase_out);
        ask->lines++;
    } else {
        int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (terminal >= 0) {
            err = ask_terminal(terminal, of, fresh, passphrase_out);
            (void)close(terminal);
        }
        ask->cancelled = err != ERR_OK;
    }
    return err;
}
