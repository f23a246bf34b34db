#include "tools/org_backup.h"

#include "node/backup_file.h"
#include "sync/backup.h"

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

enum err
org_open_backup(struct ceremony *ceremony, const struct org_open *open, const char **about_out,
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
