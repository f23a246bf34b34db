/* org_sign.c - signatures of people apart: what waits, and copies that unite. */
#include "tools/org_command.h"
#include "tools/org_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unite with each file that was named. */
static int
merge_files(struct org_session *session, size_t *new_count_out)
{
    const struct arguments *arguments = session->arguments;

    *new_count_out = 0;
    for (size_t n = 0; n < arguments->file_count; n++) {
        const char *path = arguments->files[n];
        ceremony_fault fault = { NULL, NULL, NULL };
        struct buf file = { 0 };
        size_t count = 0;
        int code = org_read_file(path, ORG_FILE_BYTES_MAX, "the statements cannot be read", &file);
        enum err err =
            code == STATUS_DONE ? ceremony_merge(session->ceremony, buf_span(&file), &count, &fault) : ERR_OK;
        buf_free(&file);
        if (code != STATUS_DONE || err != ERR_OK) {
            return code != STATUS_DONE ? code : org_complain_fault(err, path, &fault);
        }
        *new_count_out += count;
    }
    return STATUS_DONE;
}

/* What waits, or none if there is no memory. Free it. */
static struct ceremony_waiting *
list_waiting(const struct ceremony *ceremony, size_t *count_out)
{
    *count_out = ceremony_waiting(ceremony, NULL, 0);
    struct ceremony_waiting *waiting = calloc(*count_out + 1, sizeof *waiting);
    if (waiting != NULL) {
        (void)ceremony_waiting(ceremony, waiting, *count_out);
    }
    return waiting;
}

/* --- sign --- */

static const struct argp_option sign_options[] = {
    { "statement", OPTION_STATEMENT, "STATEMENT", 0,
      "Sign this one only, by the beginning of its number; may be given more than once", 0 },
    { "key", OPTION_KEY, "KEY", 0, "Open with this key, root-2 or office-KEN (the first root that is here)",
      0 },
    { "dry-run", OPTION_DRY_RUN, NULL, 0, "Show what waits and sign nothing", 1 },
    { "yes", OPTION_YES, NULL, 0, "Sign without asking", 1 },
    { 0 },
};

static const struct argp sign_argp = {
    sign_options,
    org_parse,
    "DIR [FILE...]",
    "Show every statement that waits for signatures of roots, and add those of the keys that are here.\v"
    "The FILEs are other people's copies of organisation.statements: they are united with DIR's first.\n\n"
    "Examples:\n"
    "  vigil-org sign ceremony\n"
    "  vigil-org sign ceremony /media/stick/organisation.statements\n"
    "  vigil-org sign ceremony --dry-run",
    org_children,
    NULL,
    NULL
};

/* True if it was asked to sign this one. */
static bool
is_chosen(const struct arguments *arguments, const struct hash *stmt_id)
{
    char hex[2 * HASH_BYTES + 1];

    bytes_hex(hex, hash_span(stmt_id));
    for (size_t n = 0; n < arguments->statements.count; n++) {
        const char *word = arguments->statements.words[n];
        if (strlen(word) >= 8 && strncmp(hex, word, strlen(word)) == 0) {
            return true;
        }
    }
    return arguments->statements.count == 0;
}

static int
sign_waiting(struct org_session *session, const struct ceremony_waiting *waiting, size_t count)
{
    const struct arguments *arguments = session->arguments;
    ceremony_fault fault = { NULL, NULL, NULL };
    size_t chosen = 0;

    for (size_t n = 0; n < count; n++) {
        if (is_chosen(arguments, &waiting[n].stmt_id)) {
            words_statement(session->ceremony, &waiting[n].stmt_id);
            chosen++;
        }
    }
    if (chosen == 0) {
        return arguments->statements.count == 0
                   ? STATUS_DONE
                   : org_complain(ERR_ABSENT, arguments->statements.words[0], "no such statement waits",
                                  "its number is that of none, or has fewer than 8 digits",
                                  "see what waits: vigil-org sign --dry-run");
    }
    int code = arguments->dry_run ? STATUS_DONE : org_confirm(arguments, "Sign this?");
    for (size_t n = 0; n < count && code == STATUS_DONE && !arguments->dry_run; n++) {
        if (is_chosen(arguments, &waiting[n].stmt_id)) {
            enum err err = ceremony_sign(session->ceremony, &waiting[n].stmt_id, &fault);
            code =
                err == ERR_OK ? STATUS_DONE : org_complain_step(session, err, arguments->directory, &fault);
        }
    }
    return code;
}

static int
do_sign(struct arguments *arguments)
{
    struct org_session session;
    size_t new_count = 0;
    size_t count = 0;

    int code = org_open(&session, arguments);
    if (code == STATUS_DONE) {
        code = merge_files(&session, &new_count);
    }
    if (code == STATUS_DONE) {
        struct ceremony_waiting *waiting = list_waiting(session.ceremony, &count);
        code = waiting == NULL ? org_complain_memory("nothing was signed")
                               : sign_waiting(&session, waiting, count);
        free(waiting);
    }
    if (code == STATUS_DONE && count == 0) {
        (void)printf("nothing waits for signatures\n");
    }
    if (code == STATUS_DONE && !arguments->dry_run && (count > 0 || new_count > 0)) {
        code = org_save(&session);
    }
    org_close(&session);
    return code;
}

const struct org_command sign_command = { "sign", "sign what waits for the keys that are here", &sign_argp,
                                          do_sign };

/* --- merge --- */

static const struct argp_option merge_options[] = {
    { "key", OPTION_KEY, "KEY", 0, "Open with this key, root-2 or office-KEN (the first root that is here)",
      0 },
    { "dry-run", OPTION_DRY_RUN, NULL, 0, "Say how much is new and keep nothing", 1 },
    { 0 },
};

static const struct argp merge_argp = {
    merge_options,
    org_parse,
    "DIR FILE...",
    "Unite DIR/organisation.statements with other copies of it.\v"
    "Copies that were signed by different people unite, and what has enough signatures then counts.\n\n"
    "Example:\n"
    "  vigil-org merge ceremony /media/stick/organisation.statements",
    org_children,
    NULL,
    NULL
};

static int
do_merge(struct arguments *arguments)
{
    struct org_session session;
    size_t new_count = 0;
    size_t waiting = 0;

    if (arguments->file_count == 0) {
        return org_complain_usage(NULL, "nothing was merged", "no file is named",
                                  "name the other copy of organisation.statements");
    }
    int code = org_open(&session, arguments);
    if (code == STATUS_DONE) {
        code = merge_files(&session, &new_count);
    }
    if (code == STATUS_DONE) {
        waiting = ceremony_waiting(session.ceremony, NULL, 0);
        (void)printf("%-14s %zu statements and signatures\n", "new", new_count);
        (void)printf("%-14s %zu statement%s\n", "waiting", waiting, waiting == 1 ? "" : "s");
    }
    if (code == STATUS_DONE && new_count > 0 && !arguments->dry_run) {
        code = org_save(&session);
    }
    org_close(&session);
    return code;
}

const struct org_command merge_command = { "merge", "unite with another copy of the statements", &merge_argp,
                                           do_merge };
