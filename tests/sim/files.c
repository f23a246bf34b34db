/* Files that people add to records. Whoever may carry their compartment holds them at the end, and whoever may not read it holds
 * nothing that it could open; of a record that was withdrawn nobody holds any. */
#include "tests/sim/sim.h"

#include "store/base/cbor.h"
#include "store/shelf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNKS_MAX = 12 };

/* Make the file in the folder of the node. */
static enum err
make_file(struct sim_node *node, size_t size, struct blob_writer **writer_out, struct blob_made *made_out)
{
    uint8_t *content = calloc(1, size + sizeof L3_MARKER);
    enum err err =
        content == NULL ? ERR_MEMORY : blob_writer_open(writer_out, replica_blobs(node->replica), size);

    if (err == ERR_OK) {
        chance_fill(&node->sim->file_chance, content, size);
        memcpy(content, L3_MARKER, strlen(L3_MARKER));
        err = blob_write(*writer_out, span_of(content, size));
    }
    if (err == ERR_OK) {
        err = blob_writer_end(*writer_out, made_out);
    }
    free(content);
    return err;
}

/* Let the record name it. */
static enum err
name_file(struct sim_node *node, const struct ident *compartment, const struct ident *record_id, bool is_case,
          const struct blob_made *made)
{
    struct target element = { .collection = is_case ? COLLECTION_EVIDENCE : COLLECTION_ATTACHMENT };
    struct buf address = { 0 };
    struct buf size = { 0 };
    struct saved saved;
    size_t op;

    chance_fill(&node->sim->file_chance, element.element, sizeof element.element);
    cbor_put_bytes(&address, hash_span(&made->address));
    cbor_put_uint(&size, made->size);
    struct save_op ops[] = {
        { .code = OP_ADD, .target = element },
        { .code = OP_SET, .target = element, .value = buf_span(&address) },
        { .code = OP_SET, .target = element, .value = buf_span(&size) },
    };
    ops[1].target.field = is_case ? FIELD_EVIDENCE_FILE : FIELD_ATTACHMENT_FILE;
    ops[2].target.field = is_case ? FIELD_EVIDENCE_SIZE : FIELD_ATTACHMENT_SIZE;
    const struct save save = {
        .compartment = *compartment, .record_id = *record_id, .actor = 1, .ops = ops, .op_count = 3
    };
    enum err err = replica_save(node->replica, &save, &saved, &op);
    buf_free(&address);
    buf_free(&size);
    return err;
}

void
files_add(struct sim_node *node, const struct ident *compartment, const struct ident *record_id,
          uint32_t kind)
{
    struct sim *sim = node->sim;
    struct blob_writer *writer = NULL;
    struct table_txn *txn = NULL;
    struct blob_made made;
    bool is_case = kind == codebook_kind_by_name(codebook_reprisals(), "case")->number;

    if (sim->file_count == sim->file_max || !chance_one_in(&sim->file_chance, 12)) {
        return;
    }
    size_t size = chance_between(&sim->file_chance, 100, CHUNKS_MAX * BLOB_CHUNK_BYTES);
    enum err err = make_file(node, size, &writer, &made);
    if (err == ERR_OK) {
        err = name_file(node, compartment, record_id, is_case, &made);
    }
    if (err == ERR_OK) {
        err = blob_writer_keep(writer);
    }
    if (err == ERR_OK && replica_begin_read(node->replica, &txn) == ERR_OK) {
        shelf_put_whole(txn, &made.address, made.chunk_count);
        replica_end_read(node->replica, &txn);
        sim->files[sim->file_count++] = (struct sim_file){ .address = made.address,
                                                           .compartment = *compartment,
                                                           .record_id = *record_id,
                                                           .node = node->index,
                                                           .at_ms = sim->now_ms,
                                                           .pending = true };
    }
    blob_writer_close(&writer);
    sim_note(sim, "%s adds a file of %zu bytes: %s", node->device->name, size, err_code(err));
}

void
files_settle(struct sim *sim, bool committed)
{
    for (size_t n = sim->file_count; n-- > 0;) {
        struct sim_file *file = &sim->files[n];

        if (!file->pending) {
            continue;
        }
        file->pending = false;
        if (committed) {
            sim->stats.files++;
            file->excused = trust_is_revoked(sim, file->node);
        } else {
            *file = sim->files[--sim->file_count];
        }
    }
}

void
files_excuse(struct sim *sim, size_t node, uint64_t since_ms)
{
    for (size_t n = 0; n < sim->file_count; n++) {
        if (sim->files[n].node == node && sim->files[n].at_ms >= since_ms) {
            sim->files[n].excused = true;
        }
    }
}

static bool
is_whole_at(struct sim_node *node, const struct hash *address)
{
    struct table_txn *txn = NULL;
    struct shelf_blob blob;
    bool whole = false;

    if (replica_begin_read(node->replica, &txn) == ERR_OK) {
        whole = shelf_get(txn, address, &blob) == ERR_OK && shelf_is_whole(&blob);
        replica_end_read(node->replica, &txn);
    }
    return whole;
}

bool
files_are_everywhere(struct sim *sim, const struct sim_node **lacks_out)
{
    for (size_t n = 0; n < sim->file_count; n++) {
        const struct sim_file *file = &sim->files[n];
        const struct shape_compartment *at = shape_compartment(sim->shape, &file->compartment);

        if (file->excused || trust_is_erased(sim, &file->record_id) || trust_is_revoked(sim, file->node)) {
            continue;
        }
        for (size_t m = 0; m < sim->node_count; m++) {
            if (!node_is_absent(&sim->nodes[m]) && shape_level(sim->shape, m, at, sim->step) >= LEVEL_CARRY &&
                !is_whole_at(&sim->nodes[m], &file->address)) {
                *lacks_out = &sim->nodes[m];
                return false;
            }
        }
    }
    return true;
}

void
files_check(struct sim_node *node)
{
    static const char *const ends[] = { "", ".part" };
    struct sim *sim = node->sim;
    char hex[2 * HASH_BYTES + 1];
    char path[400];

    for (size_t n = 0; n < sim->file_count; n++) {
        const struct sim_file *file = &sim->files[n];
        const struct shape_compartment *at = shape_compartment(sim->shape, &file->compartment);
        bool may_carry = shape_level(sim->shape, node->index, at, sim->step) >= LEVEL_CARRY;

        bytes_hex(hex, hash_span(&file->address));
        for (int k = 0; k < 2; k++) {
            (void)snprintf(path, sizeof path, "%s/blobs/%s%s", node->directory, hex, ends[k]);
            if (access(path, F_OK) == 0 && (!may_carry || trust_is_erased(sim, &file->record_id))) {
                sim_fail(sim, "%s holds a file %s", node->device->name,
                         may_carry ? "that was withdrawn" : "of a compartment that it may not carry");
            }
        }
    }
}
