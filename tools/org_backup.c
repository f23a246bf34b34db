/* org_backup.c - vigil-org open: what an office does with its offline key when a backup is to be restored without the
 * passphrase that was chosen for it.
 *
 *     NAME.main or NAME.keys   sealed to the office   --+
 *     machine.request          who is to restore it   --+--> machine.request.backup-key
 *
 * Only the first bytes of the backup are read, so it need not be brought to the ceremony whole, nor both files.
 */
#include "node/backup_file.h"
#include "sync/backup.h"
#include "tools/org_command.h"

#include <stdio.h>

enum { REQUEST_BYTES_MAX = 16384 };

static enum err
fault(ceremony_fault *out, enum err err, const char *what, const char *why, const char *todo)
{
    *out = (ceremony_fault){ what, why, todo };
    return err;
}

static enum err
read_header(const char *path, struct stream_header *header_out, ceremony_fault *fault_out)
{
    struct backup_in in = { .file = -1 };
    enum err err = backup_in_open(&in, path, header_out);

    backup_in_close(&in);
    switch (err) {
    case ERR_OK:
        return ERR_OK;
    case ERR_INVALID:
        return fault(fault_out, err, "this is another kind of file", "it does not begin as a backup does",
                     "name the .main or the .keys file of a backup");
    case ERR_CORRUPT:
        return fault(fault_out, err, "the backup cannot be read", "its beginning is damaged",
                     "use the other one of its two files, or another copy");
    case ERR_NEWER:
        return fault(fault_out, err, "the backup cannot be read", "it was written by a newer program",
                     "upgrade this program");
    default:
        return fault(fault_out, err, "the backup cannot be read", err_text(err),
                     "check the name of the file");
    }
}

static enum err
read_request(const char *path, struct request *request_out, ceremony_fault *fault_out)
{
    struct buf file = { 0 };
    enum err err = vault_read_plain(path, REQUEST_BYTES_MAX, &file);

    err = err == ERR_OK ? request_read(buf_span(&file), request_out, fault_out)
                        : fault(fault_out, err, "the request cannot be read", err_text(err),
                                "check the name of the file");
    buf_free(&file);
    return err;
}

/* What the command is told. Lent. */
struct org_open {
    const char *backup;
    const char *request;
    const char *key_name; /* "office-KEN" */
    const struct world *world;
};

/* Open the file key with the office's and seal it to the machine; prints where it was written. `about_out` names the file or
 * the key that an error is about. Errors as ceremony_open_backup; ERR_INVALID: no backup, or no request. */
static enum err
open_backup(struct ceremony *ceremony, const struct org_open *open, const char **about_out,
            ceremony_fault *fault_out)
{
    struct stream_header header;
    struct request request;
    struct key *file_key = crypto_secret_new(sizeof *file_key);
    struct buf file = { 0 };
    struct hash device_id;
    char path[BACKUP_PATH_BYTES];

    *about_out = open->backup;
    enum err err = file_key == NULL ? fault(fault_out, ERR_MEMORY, "the backup was not opened",
                                            err_text(ERR_MEMORY), "close other programs and try again")
                                    : read_header(open->backup, &header, fault_out);
    if (err == ERR_OK) {
        *about_out = open->request;
        err = read_request(open->request, &request, fault_out);
    }
    if (err == ERR_OK) {
        *about_out = open->backup;
        err = ceremony_open_backup(ceremony, open->key_name, &header, file_key, fault_out);
    }
    if (err == ERR_OK) {
        *about_out = open->request;
        err = backup_key_write(&file, &header.pair_id, file_key, request.box_pk, open->world);
        if (err == ERR_OK) {
            err = snprintf(path, sizeof path, "%s.backup-key", open->request) < (int)sizeof path
                      ? vault_write_plain(path, buf_span(&file))
                      : ERR_INVALID;
        }
        if (err != ERR_OK) {
            err = fault(fault_out, err, "the key of the backup was not written", err_text(err),
                        "make room beside the request and try again");
        }
    }
    if (err == ERR_OK) {
        device_id_of(request.sign_pk, &device_id);
        (void)printf("%-14s %s\n%-14s %s\n%-14s %s\n", "device", request.name, "number",
                     hash_fingerprint(&device_id).text, "key", path);
    }
    crypto_secret_free(file_key);
    buf_free(&file);
    return err;
}

static const struct argp_option open_options[] = {
    { "office", OPTION_OFFICE, "CODE", 0, "Code of the office that the node of the backup belonged to", 0 },
    { "key", OPTION_KEY, "KEY", 0, "Open with this key, such as office-KEN, instead of the one of --office",
      0 },
    { 0 },
};

static const struct argp open_argp = {
    open_options,
    org_parse,
    "DIR BACKUP REQUEST",
    "Let the machine of this request restore a backup, whose passphrase nobody knows any more.\v"
    "BACKUP is its .main or its .keys file; only its beginning is read. Writes REQUEST.backup-key, which "
    "opens "
    "the backup on that machine and nowhere else: vigild restore --key.\n\n"
    "Example:\n"
    "  vigil-org open ceremony --office KEN ken-2026-03-01.main spare.request\n\n"
    "Compare the number that is printed with the one the device shows.",
    org_children,
    NULL,
    NULL
};

static int
do_open(struct arguments *arguments)
{
    struct org_session session;
    ceremony_fault fault = { NULL, NULL, NULL };
    char key_name[CEREMONY_KEY_NAME_BYTES_MAX];
    const char *about = arguments->directory;

    if (arguments->file_count != 2 || (arguments->office == NULL && arguments->key == NULL)) {
        return org_complain_usage(NULL, "nothing was opened",
                                  arguments->file_count != 2 ? "a backup and a request are needed"
                                                             : "--office is missing",
                                  "see vigil-org open --help");
    }
    if (arguments->key == NULL) {
        (void)snprintf(key_name, sizeof key_name, "office-%.*s", OFFICE_CODE_BYTES_MAX, arguments->office);
        arguments->key = key_name;
    }
    int code = org_open(&session, arguments);
    if (code == STATUS_DONE) {
        const struct org_open open = { .backup = arguments->files[0],
                                       .request = arguments->files[1],
                                       .key_name = arguments->key,
                                       .world = session.options.world };
        enum err err = open_backup(session.ceremony, &open, &about, &fault);
        code = err == ERR_OK ? STATUS_DONE : org_complain_step(&session, err, about, &fault);
    }
    org_close(&session);
    return code;
}

const struct org_command open_command = { "open", "let a machine restore a backup", &open_argp, do_open };
