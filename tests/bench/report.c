#include "tests/bench/bench.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void
bench_head(void)
{
    (void)printf("%-58s %14s %14s %14s %7s  %s\n", "", "measured", "limit", "alone", "share", "");
}

static void
put_number(double number, const char *unit)
{
    char text[32];

    (void)snprintf(text, sizeof text, number < 100 ? "%.1f %s" : "%.0f %s", number, unit);
    (void)printf(" %14s", text);
}

void
bench_report(const struct figure *figure)
{
    bool over = (figure->bound == AT_LEAST && figure->measured < figure->limit) ||
                (figure->bound == AT_MOST && figure->measured > figure->limit);

    (void)printf("%-58s", figure->what);
    put_number(figure->measured, figure->unit);
    if (figure->bound != BOUND_NONE) {
        char text[32];
        (void)snprintf(text, sizeof text, "%s %.0f", figure->bound == AT_LEAST ? ">=" : "<=", figure->limit);
        (void)printf(" %14s", text);
    } else {
        (void)printf(" %14s", "");
    }
    if (figure->raw > 0) {
        put_number(figure->raw, figure->unit);
        (void)printf(" %5.0f %%", 100 * figure->measured / figure->raw);
    } else {
        (void)printf(" %14s %7s", "", "");
    }
    const char *verdict = figure->bound == BOUND_NONE ? "" : over ? "OVER" : "ok";
    (void)printf("  %-4s%s%s\n", verdict, figure->raw > 0 ? "  alone: " : "",
                 figure->raw > 0 ? figure->raw_what : "");
    (void)fflush(stdout);
}

void
bench_note(const char *format, ...)
{
    va_list arguments;

    (void)printf("    ");
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)printf("\n");
    (void)fflush(stdout);
}

void
bench_fail(struct bench *bench, const char *format, ...)
{
    va_list arguments;

    (void)printf("FAILED: ");
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)printf("\n");
    (void)fflush(stdout);
    bench->failed = true;
}

double
bench_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double
bench_processor(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The number behind `name` in a file of /proc; 0: there is none. */
static uint64_t
number_of(const char *path, const char *name)
{
    char line[256];
    uint64_t number = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            number = strtoull(line + strlen(name), NULL, 10);
            break;
        }
    }
    (void)fclose(file);
    return number;
}

uint64_t
bench_written_bytes(void)
{
    return number_of("/proc/self/io", "wchar:");
}

uint64_t
bench_anonymous_bytes(void)
{
    return number_of("/proc/self/status", "RssAnon:") * 1024;
}
