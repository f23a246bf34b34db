#include "tools/repaint.h"

#include "tools/output.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t seen_enough;
static volatile sig_atomic_t resized;
static const int signals[] = { SIGINT, SIGTERM, SIGWINCH };
enum { SIGNALS = sizeof signals / sizeof signals[0] };
static struct sigaction before[SIGNALS];

static void
note_signal(int signal)
{
    if (signal == SIGWINCH) {
        resized = 1;
    } else {
        seen_enough = 1;
    }
}

void
repaint_begin(struct repaint *repaint, FILE *to, bool terminal, bool spaced)
{
    struct sigaction action = { .sa_handler = note_signal };

    *repaint = (struct repaint){ .to = to, .terminal = terminal, .spaced = spaced };
    seen_enough = 0;
    resized = 0;
    (void)sigemptyset(&action.sa_mask);
    for (size_t n = 0; n < SIGNALS; n++) {
        (void)sigaction(signals[n], &action, &before[n]);
    }
}

void
repaint_end(struct repaint *repaint)
{
    for (size_t n = 0; n < SIGNALS; n++) {
        (void)sigaction(signals[n], &before[n], NULL);
    }
    if (repaint->page != NULL) {
        (void)fclose(repaint->page);
        repaint->page = NULL;
    }
    free(repaint->text);
    repaint->text = NULL;
}

FILE *
repaint_page(struct repaint *repaint)
{
    free(repaint->text);
    repaint->text = NULL;
    repaint->page = open_memstream(&repaint->text, &repaint->size);
    return repaint->page;
}

/* How many bytes of `line` fill one row of a terminal, and how wide they are. What colours takes no room. */
static size_t
row_bytes(const char *line, size_t size, unsigned columns, size_t *width_out)
{
    size_t at = 0;

    *width_out = 0;
    while (at < size) {
        size_t next = at + 1;

        if (line[at] == '\033') {
            next = at + strcspn(line + at, "m\n");
            at = next < size ? next + 1 : size;
            continue;
        }
        while (next < size && ((unsigned char)line[next] & 0xc0) == 0x80) {
            next++;
        }
        char character[8] = "";
        memcpy(character, line + at, next - at < sizeof character ? next - at : 1);
        size_t width = output_width(character);
        if (columns > 0 && *width_out + width > columns) {
            return at > 0 ? at : next;
        }
        *width_out += width;
        at = next;
    }
    return size;
}

void
repaint_write(FILE *to, const char *page, unsigned rows, unsigned columns)
{
    unsigned row = 0;

    (void)fputs("\033[H", to);
    while (*page != '\0' && (rows == 0 || row + 1 < rows)) {
        size_t left = strcspn(page, "\n");
        size_t width;
        size_t size = row_bytes(page, left, columns, &width);

        (void)fwrite(page, 1, size, to);
        /* In a row that is full nothing is left to be cleared, and some terminals would clear its last character. */
        (void)fputs(columns > 0 && width >= columns ? "\n" : "\033[K\n", to);
        page += size + (size == left && page[size] == '\n');
        row++;
    }
    (void)fputs("\033[0m\033[J", to);
}

enum err
repaint_show(struct repaint *repaint)
{
    struct winsize window = { .ws_row = 0 };
    bool whole = repaint->page != NULL && ferror(repaint->page) == 0;

    whole = repaint->page != NULL && fclose(repaint->page) == 0 && whole;
    repaint->page = NULL;
    if (!whole) {
        return ERR_MEMORY;
    }
    if (repaint->terminal) {
        (void)ioctl(fileno(repaint->to), TIOCGWINSZ, &window);
        if (repaint->pages == 0) {
            (void)fputs("\033[2J", repaint->to);
        }
        repaint_write(repaint->to, repaint->text, window.ws_row, window.ws_col);
    } else {
        if (repaint->spaced && repaint->pages > 0) {
            (void)fputc('\n', repaint->to);
        }
        (void)fputs(repaint->text, repaint->to);
    }
    repaint->pages++;
    return fflush(repaint->to) == 0 && ferror(repaint->to) == 0 ? ERR_OK : ERR_IO;
}

bool
repaint_wait(unsigned seconds)
{
    struct timespec until;

    if (clock_gettime(CLOCK_MONOTONIC, &until) != 0) {
        return false;
    }
    until.tv_sec += (time_t)seconds;
    while (!seen_enough && !resized) {
        int failed = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);

        if (failed != EINTR) {
            return failed == 0 && !seen_enough;
        }
    }
    resized = 0;
    return !seen_enough;
}
