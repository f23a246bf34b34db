/* org_paper.c - files on paper, and back. */
#include "sync/paper.h"
#include "tools/org_command.h"
#include "tools/qr.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- print --- */

static const struct argp print_argp = {
    NULL,
    org_parse_bare,
    "FILE",
    "Print a file as text that can be typed and as codes that can be scanned.\v"
    "A request, a welcome, statements, a key file: each is sealed or public as it is. A longer one is "
    "several "
    "parts, each with its number and a check.\n\n"
    "Examples:\n"
    "  vigil-org print laptop.request\n"
    "  vigil-org print root-1.key | lp",
    NULL,
    NULL,
    NULL
};

static enum qr_style
style_of_output(void)
{
    (void)setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        return QR_ASCII;
    }
    return isatty(STDOUT_FILENO) == 1 ? QR_COLOURS : QR_BLOCKS;
}

/* One part: its lines, and below them its code. */
static enum err
print_part(const struct paper *paper, uint32_t n, enum qr_style style)
{
    struct buf code = { 0 };
    struct buf out = { 0 };

    paper_text(paper, n, &out);
    buf_put_u8(&out, '\n');
    paper_code(paper, n, &code);
    buf_put_u8(&code, '\0');
    enum err err = code.failed ? ERR_MEMORY : qr_draw(&out, (const char *)code.data, style);
    buf_put_u8(&out, '\n');
    if (err == ERR_OK && out.failed) {
        err = ERR_MEMORY;
    }
    if (err == ERR_OK) {
        (void)fwrite(out.data, 1, out.size, stdout);
    }
    buf_free(&code);
    buf_free(&out);
    return err;
}

static int
do_print(struct arguments *arguments)
{
    const char *path = arguments->directory;
    struct buf file = { 0 };
    struct paper paper = { 0 };

    if (arguments->file_count > 0) {
        return org_complain_usage(arguments->files[0], "nothing was printed", "one file is printed at a time",
                                  "name one file");
    }
    int code = org_read_file(path, ORG_FILE_BYTES_MAX, "the file cannot be read", &file);
    if (code != STATUS_DONE) {
        buf_free(&file);
        return code;
    }
    enum err err = paper_split(&paper, buf_span(&file));
    buf_free(&file);
    if (err == ERR_FULL) {
        return org_complain(err, path, "the file was not printed", "it would take more than 999 parts",
                            "carry it on a stick instead");
    }
    if (err == ERR_INVALID) {
        return org_complain(err, path, "the file was not printed", "it is empty",
                            "check the name of the file");
    }
    enum qr_style style = style_of_output();
    for (uint32_t n = 0; n < paper.part_count && err == ERR_OK; n++) {
        err = print_part(&paper, n, style);
    }
    (void)fprintf(stderr, "%s: %u part%s\n", path, (unsigned)paper.part_count,
                  paper.part_count == 1 ? "" : "s");
    paper_free(&paper);
    return err == ERR_OK ? STATUS_DONE : org_complain_memory("the file was not printed");
}

const struct org_command print_command = { "print", "print a file as text and as codes", &print_argp,
                                           do_print };

/* --- read --- */

static const struct argp_option read_options[] = {
    { "output", 'o', "FILE", 0, "Where the file is written; it must not exist", 0 },
    { 0 },
};

/* -o stands for --office elsewhere. */
static error_t
parse_read(int key, char *text, struct argp_state *state)
{
    return org_parse_bare(key == 'o' ? OPTION_OUTPUT : key, text, state);
}

static const struct argp read_argp = {
    read_options,
    parse_read,
    "PARTS...",
    "Put the parts of a printed file together, as they were typed or scanned.\v"
    "Parts may come in any order, several in one file; - reads what is typed until Ctrl-D. Case and spaces "
    "do "
    "not matter. The file is written only when it is whole and unaltered.\n\n"
    "Examples:\n"
    "  vigil-org read -o laptop.request typed.txt\n"
    "  vigil-org read -o root-1.key -",
    NULL,
    NULL,
    NULL
};

static int
read_typed(struct buf *out)
{
    char text[4096];
    size_t size;

    while ((size = fread(text, 1, sizeof text, stdin)) > 0) {
        buf_put(out, text, size);
        if (out->size > ORG_FILE_BYTES_MAX) {
            break;
        }
    }
    return out->failed ? org_complain_memory("what was typed cannot be read") : STATUS_DONE;
}

/* Take the parts of one file, or of what is typed. */
static int
read_parts(struct paper *paper, const char *path)
{
    struct joining_fault fault = { NULL, NULL, NULL };
    struct paper_place place = { 0 };
    struct buf text = { 0 };
    char where[ORG_PATH_BYTES_MAX];

    int code = strcmp(path, "-") == 0
                   ? read_typed(&text)
                   : org_read_file(path, ORG_FILE_BYTES_MAX, "the parts cannot be read", &text);
    enum err err = code == STATUS_DONE ? paper_add(paper, buf_span(&text), &place, &fault) : ERR_OK;
    buf_free(&text);
    if (code != STATUS_DONE || err == ERR_OK) {
        return code;
    }
    int size = place.part == 0   ? snprintf(where, sizeof where, "%s", path)
               : place.line == 0 ? snprintf(where, sizeof where, "%s, part %u", path, (unsigned)place.part)
                                 : snprintf(where, sizeof where, "%s, part %u, line %u", path,
                                            (unsigned)place.part, (unsigned)place.line);
    (void)org_complain_fault(err, size > 0 && (size_t)size < sizeof where ? where : path, &fault);
    return err == ERR_NEWER ? STATUS_NEEDS : err == ERR_MEMORY ? STATUS_FAILED : STATUS_INVALID;
}

static int
write_file(const struct arguments *arguments, const struct paper *paper)
{
    struct buf file = { 0 };
    struct buf there = { 0 };
    char why[64];

    uint32_t missing = paper_missing(paper);
    if (missing > 0) {
        (void)snprintf(why, sizeof why, "part %u of %u is missing", (unsigned)missing,
                       (unsigned)paper->part_count);
        return org_complain(ERR_INVALID, arguments->output, "the file was not written", why,
                            "type or scan that part too");
    }
    enum err err = paper_join(paper, &file);
    if (err == ERR_OK && vault_read_plain(arguments->output, 0, &there) != ERR_ABSENT) {
        buf_free(&file);
        return org_complain(ERR_EXISTS, arguments->output, "the file was not written",
                            "there is one of this name, or the place cannot be read", "choose another name");
    }
    if (err == ERR_OK) {
        err = vault_write_plain(arguments->output, buf_span(&file));
    }
    buf_free(&file);
    buf_free(&there);
    if (err == ERR_CORRUPT) {
        return org_complain(
            err, arguments->output, "the file was not written",
            "the parts together are not the file that was printed",
            "compare every line with the paper: one has a mistake that its check did not show");
    }
    return err == ERR_OK ? STATUS_DONE
                         : org_complain(err, arguments->output, "the file was not written", err_text(err),
                                        "make room or choose another place");
}

static int
do_read(struct arguments *arguments)
{
    struct paper paper = { 0 };

    if (arguments->output == NULL || arguments->output[0] == '\0') {
        return org_complain_usage(NULL, "nothing was read", "it is not said where to write the file",
                                  "add -o FILE");
    }
    int code = read_parts(&paper, arguments->directory);
    for (size_t n = 0; n < arguments->file_count && code == STATUS_DONE; n++) {
        code = read_parts(&paper, arguments->files[n]);
    }
    if (code == STATUS_DONE) {
        code = write_file(arguments, &paper);
    }
    if (code == STATUS_DONE) {
        (void)printf("%-14s %s\n", "file", arguments->output);
    }
    paper_free(&paper);
    return code;
}

const struct org_command read_command = { "read", "put a printed file together again", &read_argp, do_read };
