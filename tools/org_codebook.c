/* org_codebook.c - vigil-org codebook: the roots put a newer codebook in force. */
#include "node/codebook_json.h"
#include "store/codebook_changes.h"
#include "tools/org_command.h"

#include <stdio.h>
#include <stdlib.h>

static const struct argp_option codebook_options[] = {
    { "key", OPTION_KEY, "KEY", 0, "Open with this key, root-2 or office-KEN (the first root that is here)",
      0 },
    { "dry-run", OPTION_DRY_RUN, NULL, 0, "Show what would change and sign nothing", 1 },
    { "yes", OPTION_YES, NULL, 0, "Sign without asking", 1 },
    { 0 },
};

static const struct argp codebook_argp = { codebook_options,
                                           org_parse,
                                           "DIR FILE",
                                           "Put a newer codebook in force, signed by the roots.\v"
                                           "FILE is a whole codebook, as vigil codebook propose writes it. "
                                           "It is in force on every node that has heard of it: "
                                           "add DIR/organisation.statements to any node. Older programs keep "
                                           "what they do not know and show it once they "
                                           "are upgraded.\n\n"
                                           "Example:\n"
                                           "  vigil-org codebook ceremony book-2.json",
                                           org_children,
                                           NULL,
                                           NULL };

static void
print_change(void *self, const struct codebook_change *change)
{
    static const char *const words[] = { "", "added", "altered", "refused" };

    (void)self;
    (void)printf("%-14s %s: %s\n", words[change->how], change->what, change->text);
}

/* The codebook of a file. Gives the exit status. */
static int
read_book(const char *path, struct codebook **out)
{
    struct buf file = { 0 };
    struct codebook_fault fault;
    json_error_t error;

    int code = org_read_file(path, 4 * CODEBOOK_BYTES_MAX, "the codebook was not signed", &file);
    json_t *json = code == STATUS_DONE
                       ? json_loadb((const char *)file.data, file.size, JSON_REJECT_DUPLICATES, &error)
                       : NULL;
    if (code == STATUS_DONE && json == NULL) {
        code = org_complain(ERR_INVALID, path, "the codebook was not signed", error.text,
                            "have it written by vigil codebook propose");
    }
    enum err err = json == NULL ? ERR_OK : codebook_from_json(json, out, &fault);
    if (err != ERR_OK) {
        code = err == ERR_MEMORY ? org_complain_memory("the codebook was not signed")
                                 : org_complain(err, path, "the codebook was not signed", fault.what,
                                                "check it on a node: vigil codebook check FILE");
    }
    json_decref(json);
    buf_free(&file);
    return code;
}

static int
sign_book(struct org_session *session, const struct codebook *book)
{
    const struct arguments *arguments = session->arguments;
    ceremony_fault fault = { NULL, NULL, NULL };
    struct buf encoded = { 0 };

    size_t refused =
        codebook_compare(roster_codebook(ceremony_roster(session->ceremony)), book, print_change, NULL);
    if (refused > 0) {
        return org_complain(
            ERR_INVALID, arguments->files[0], "the codebook was not signed",
            "what was written under the one in force would get another meaning, as shown above",
            "add to it, and let what is there be");
    }
    int code = arguments->dry_run ? STATUS_DONE : org_confirm(arguments, "Sign this?");
    if (code != STATUS_DONE || arguments->dry_run) {
        return code;
    }
    codebook_encode(book, &encoded);
    enum err err =
        encoded.failed ? ERR_MEMORY : ceremony_codebook(session->ceremony, buf_span(&encoded), &fault);
    buf_free(&encoded);
    return err == ERR_OK ? org_save(session) : org_complain_step(session, err, arguments->directory, &fault);
}

static int
do_codebook(struct arguments *arguments)
{
    struct org_session session;
    struct codebook *book = NULL;

    if (arguments->file_count != 1) {
        return org_complain_usage(NULL, "the codebook was not signed", "one file has to be named",
                                  "vigil codebook propose writes it");
    }
    int code = read_book(arguments->files[0], &book);
    if (code != STATUS_DONE) {
        return code;
    }
    code = org_open(&session, arguments);
    if (code == STATUS_DONE) {
        code = sign_book(&session, book);
    }
    org_close(&session);
    codebook_free(&book);
    return code;
}

const struct org_command codebook_command = { "codebook", "put a newer codebook in force", &codebook_argp,
                                              do_codebook };
