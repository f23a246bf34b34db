/* pty.c - a terminal for scripts, for watching.test: runs a program on it and says what stands on its screen.
 *
 *     pty ROWS COLUMNS PROGRAM [ARGUMENT...] < orders
 *
 *     wait TEXT         until TEXT stands on the screen
 *     gone TEXT         until it does not
 *     pages N           until N more pages were painted: the cursor went home so often. A page that was on its way while the
 *                       size changed may be too long: what scrolled away counts from the last of them on
 *     size ROWS COLUMNS another size, of which the program is told; what stood in rows that are left stays, as in xterm
 *     screen            print the rows of the screen, those at the end that are empty left out, and "--- scrolled N": rows that
 *                       left it at the top
 *     key C             type it; "^C" is the interrupt
 *     end               wait until the program has ended, print "--- ended N", and end
 *
 * Knows what vigil sends and no more: text in UTF-8, CR, LF, and CSI with H, J, K and m. Anything else ends it with 3. A wait for
 * what does not come ends it with 1 and shows the screen.
 */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

enum { ROWS_MAX = 100, COLUMNS_MAX = 200, WAIT_S = 120, ORDER_BYTES = 512 };

static struct {
    wchar_t cells[ROWS_MAX][COLUMNS_MAX + 1]; /* 0 behind a wide one */
    int rows, columns;
    int row, column;
    bool full; /* the last column was written: the next character goes to the next row */
    unsigned long scrolled;
    unsigned long pages;
    unsigned long count_from; /* the page from which on rows that scroll away count again */
    char escape[32];
    size_t escape_size;
    mbstate_t decoding;
} screen;

static int terminal;

static void
clear_row(int row, int from)
{
    wmemset(screen.cells[row] + from, L' ', (size_t)(COLUMNS_MAX - from));
}

static void
next_row(void)
{
    screen.full = false;
    if (screen.row + 1 < screen.rows) {
        screen.row++;
        return;
    }
    memmove(screen.cells[0], screen.cells[1], (size_t)(screen.rows - 1) * sizeof screen.cells[0]);
    clear_row(screen.rows - 1, 0);
    screen.scrolled++;
}

static void
put_character(wchar_t character)
{
    int width = wcwidth(character);

    if (width <= 0) {
        return;
    }
    if (screen.full || screen.column + width > screen.columns) {
        next_row();
        screen.column = 0;
    }
    screen.cells[screen.row][screen.column] = character;
    if (width == 2) {
        screen.cells[screen.row][screen.column + 1] = 0;
    }
    screen.column += width;
    screen.full = screen.column >= screen.columns;
    screen.column = screen.full ? screen.columns - 1 : screen.column;
}

static void
do_escape(void)
{
    char last = screen.escape[screen.escape_size - 1];

    switch (last) {
    case 'H':
        screen.row = 0;
        screen.column = 0;
        screen.full = false;
        screen.pages++;
        screen.scrolled = screen.pages == screen.count_from ? 0 : screen.scrolled;
        break;
    case 'K':
        /* As xterm does where the last column was just written: that goes, too. */
        clear_row(screen.row, screen.column);
        break;
    case 'J':
        clear_row(screen.row, strcmp(screen.escape, "[2J") == 0 ? 0 : screen.column);
        for (int row = strcmp(screen.escape, "[2J") == 0 ? 0 : screen.row + 1; row < ROWS_MAX; row++) {
            clear_row(row, 0);
        }
        break;
    case 'm':
        break;
    default:
        (void)fprintf(stderr, "pty: this terminal does not know ESC %s\n", screen.escape);
        exit(3);
    }
    screen.escape_size = 0;
}

static void
take_byte(char byte)
{
    wchar_t character;

    if (screen.escape_size > 0 || byte == '\033') {
        /* The escape itself is not kept: "[" is the first. */
        if (byte != '\033') {
            screen.escape[screen.escape_size - 1] = byte;
            screen.escape[screen.escape_size] = '\0';
        }
        bool over = screen.escape_size > 1 && byte >= 0x40 && byte <= 0x7e;
        if (over) {
            do_escape();
        } else if (screen.escape_size + 1 < sizeof screen.escape) {
            screen.escape_size++;
        }
        return;
    }
    if (byte == '\r') {
        screen.column = 0;
        screen.full = false;
    } else if (byte == '\n') {
        next_row();
    } else if (mbrtowc(&character, &byte, 1, &screen.decoding) == 1) {
        put_character(character);
    }
}

/* Take in what comes within `ms`. False: the program has closed its end. */
static bool
take_in(int ms)
{
    struct pollfd ready = { .fd = terminal, .events = POLLIN };
    char bytes[4096];

    if (poll(&ready, 1, ms) <= 0) {
        return true;
    }
    ssize_t got = read(terminal, bytes, sizeof bytes);
    for (ssize_t n = 0; n < got; n++) {
        take_byte(bytes[n]);
    }
    return got > 0 || (got < 0 && errno == EINTR);
}

static void
row_text(int row, char *out, size_t room)
{
    size_t size = 0;
    int end = screen.columns;

    while (end > 0 && screen.cells[row][end - 1] == L' ') {
        end--;
    }
    for (int at = 0; at < end && size + MB_CUR_MAX + 1 < room; at++) {
        if (screen.cells[row][at] != 0) {
            mbstate_t state = { 0 };
            size += wcrtomb(out + size, screen.cells[row][at], &state);
        }
    }
    out[size] = '\0';
}

static void
print_screen(FILE *to)
{
    char text[4 * COLUMNS_MAX + 8];
    int end = screen.rows;

    for (bool empty = true; empty && end > 0; end -= empty) {
        row_text(end - 1, text, sizeof text);
        empty = text[0] == '\0';
    }
    for (int row = 0; row < end; row++) {
        row_text(row, text, sizeof text);
        (void)fprintf(to, "%s\n", text);
    }
    (void)fprintf(to, "--- scrolled %lu\n", screen.scrolled);
    (void)fflush(to);
}

static bool
stands(const char *what)
{
    char text[4 * COLUMNS_MAX + 8];
    bool found = false;

    for (int row = 0; row < screen.rows && !found; row++) {
        row_text(row, text, sizeof text);
        found = strstr(text, what) != NULL;
    }
    return found;
}

static void
wait_until(const char *order, const char *what, unsigned long pages)
{
    time_t until = time(NULL) + WAIT_S;
    bool open = true;

    for (;;) {
        bool done = pages > 0                    ? screen.pages >= pages
                    : strcmp(order, "wait") == 0 ? stands(what)
                                                 : !stands(what);
        if (done) {
            /* The page is written at once: its rest is on its way. */
            (void)take_in(200);
            return;
        }
        if (!open || time(NULL) > until) {
            (void)fprintf(stderr, "pty: in vain: %s %s\n", order, what);
            print_screen(stderr);
            exit(1);
        }
        open = take_in(100);
    }
}

static void
resize(int rows, int columns)
{
    const struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };

    if (rows < 2 || rows > ROWS_MAX || columns < 2 || columns > COLUMNS_MAX) {
        (void)fputs("pty: no such size\n", stderr);
        exit(2);
    }
    screen.rows = rows;
    screen.columns = columns;
    screen.row = screen.row < rows ? screen.row : rows - 1;
    screen.column = screen.column < columns ? screen.column : columns - 1;
    screen.full = false;
    (void)ioctl(terminal, TIOCSWINSZ, &size);
}

int
main(int argc, char **argv)
{
    char order[ORDER_BYTES];

    if (argc < 4 || (setlocale(LC_CTYPE, "C.UTF-8") == NULL)) {
        (void)fputs("usage: pty ROWS COLUMNS PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    const struct winsize size = { .ws_row = (unsigned short)atoi(argv[1]),
                                  .ws_col = (unsigned short)atoi(argv[2]) };
    pid_t pid = forkpty(&terminal, NULL, NULL, &size);
    if (pid == 0) {
        (void)execv(argv[3], argv + 3);
        _exit(127);
    }
    for (int row = 0; row < ROWS_MAX; row++) {
        clear_row(row, 0);
    }
    resize(size.ws_row, size.ws_col);
    while (fgets(order, sizeof order, stdin) != NULL) {
        int rows;
        int columns;
        order[strcspn(order, "\n")] = '\0';
        char *what = strchr(order, ' ');
        what = what == NULL ? order + strlen(order) : what;
        if (*what == ' ') {
            *what++ = '\0';
        }
        if (strcmp(order, "screen") == 0) {
            print_screen(stdout);
        } else if (strcmp(order, "size") == 0 && sscanf(what, "%d %d", &rows, &columns) == 2) {
            resize(rows, columns);
        } else if (strcmp(order, "pages") == 0) {
            screen.count_from = screen.pages + strtoul(what, NULL, 10);
            wait_until(order, what, screen.count_from);
        } else if (strcmp(order, "wait") == 0 || strcmp(order, "gone") == 0) {
            wait_until(order, what, 0);
        } else if (strcmp(order, "key") == 0) {
            char key = strcmp(what, "^C") == 0 ? '\003' : what[0];
            if (write(terminal, &key, 1) != 1) {
                return 1;
            }
        } else if (strcmp(order, "end") == 0) {
            int status = 0;
            while (take_in(100)) {
            }
            (void)waitpid(pid, &status, 0);
            (void)printf("--- ended %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
            return fflush(stdout) == 0 ? 0 : 1;
        } else {
            (void)fprintf(stderr, "pty: what is %s?\n", order);
            return 2;
        }
    }
    return 0;
}
