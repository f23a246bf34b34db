#include "tools/repaint.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t seen_enough;
static struct sigaction before[2];
static const int signals[2] = { SIGINT, SIGTERM };

static void
note_signal(int signal)
{
    (void)signal;
    seen_enough = 1;
}

void
repaint_begin(struct repaint *repaint, FILE *to, bool terminal, bool spaced)
{
    struct sigaction action = { .sa_handler = note_signal };

    *repaint = (struct repaint){ .to = to, .terminal = terminal, .spaced = spaced };
    seen_enough = 0;
    (void)sigemptyset(&action.sa_mask);
    for (size_t n = 0; n < 2; n++) {
        (void)sigaction(signals[n], &action, &before[n]);
    }
}

void
repaint_end(struct repaint *repaint)
{
    for (size_t n = 0; n < 2; n++) {
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

void
repaint_write(FILE *to, const char *page, unsigned rows)
{
    unsigned row = 0;

    (void)fputs("\033[H", to);
    while (*page != '\0' && (rows == 0 || row + 1 < rows)) {
        size_t size = strcspn(page, "\n");

        (void)fwrite(page, 1, size, to);
        (void)fputs("\033[K\n", to);
        page += size + (page[size] == '\n');
        row++;
    }
    (void)fputs("\033[J", to);
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
        repaint_write(repaint->to, repaint->text, window.ws_row);
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
    while (!seen_enough) {
        int failed = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);

        if (failed != EINTR) {
            return failed == 0 && !seen_enough;
        }
    }
    return false;
}
