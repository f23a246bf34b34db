#include "tests/support/saves.h"

#include "store/base/cbor.h"

#include <check.h>
#include <string.h>

static struct arena values;

/* The bytes, for as long as the test. */
static struct span
keep(struct buf *value)
{
    struct span kept = arena_copy(&values, buf_span(value));

    buf_free(value);
    return kept;
}

void
saves_free(void)
{
    arena_free(&values);
}

static const struct codebook_field *
field_of(const char *kind, const char *name)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_field *field =
        codebook_field_by_name(codebook, codebook_kind_by_name(codebook, kind)->number, name);

    ck_assert_ptr_nonnull(field);
    return field;
}

struct save_op
saves_set(const char *kind, const char *name, const char *text)
{
    const struct codebook_field *field = field_of(kind, name);
    struct buf value = { 0 };
    const char *why = "";

    ck_assert_msg(codebook_parse(codebook_reprisals(), field, text, &value, &why) == ERR_OK, "%s: %s", name,
                  why);
    return (struct save_op){ .code = OP_SET,
                             .target = { .collection = field->collection,
                                         .element = { field->collection != 0 },
                                         .field = field->number },
                             .value = keep(&value) };
}

struct save_op
saves_kind(const char *kind)
{
    struct buf value = { 0 };

    cbor_put_uint(&value, codebook_kind_by_name(codebook_reprisals(), kind)->number);
    return (struct save_op){ .code = OP_SET, .target = { .field = FIELD_KIND }, .value = keep(&value) };
}

void
saves_begin(struct test_node *node)
{
    ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
}

void
saves_commit(struct test_node *node)
{
    ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
}

struct ident
saves_new(struct test_node *node, const struct ident *compartment, const struct save_op *ops, size_t op_count)
{
    struct saved saved;
    size_t op;

    ck_assert_int_eq(
        replica_save(
            node->replica,
            &(struct save){
                .compartment = *compartment, .create = true, .actor = 1, .ops = ops, .op_count = op_count },
            &saved, &op),
        ERR_OK);
    return saved.record_id;
}

enum err
saves_change(struct test_node *node, const struct ident *compartment, const struct ident *record,
             struct save_op op)
{
    struct saved saved;
    size_t at;

    return replica_save(
        node->replica,
        &(struct save){
            .compartment = *compartment, .record_id = *record, .actor = 1, .ops = &op, .op_count = 1 },
        &saved, &at);
}

struct ident
saves_person(struct test_node *node, const struct ident *compartment, const char *name)
{
    struct save_op ops[] = { saves_kind("person"), saves_set("person", "pseudonym", "P-17"),
                             saves_set("person", "name.text", name) };

    saves_begin(node);
    struct ident record = saves_new(node, compartment, ops, 3);
    saves_commit(node);
    return record;
}

void
saves_pseudonym(struct test_node *node, const struct ident *compartment, const struct ident *person,
                const char *pseudonym)
{
    struct save_op op = saves_set("person", "pseudonym", pseudonym);

    op.resolve = true;
    saves_begin(node);
    ck_assert_int_eq(saves_change(node, compartment, person, op), ERR_OK);
    saves_commit(node);
}

/* Looks at every value of a field of a person; gives how many there are. */
static size_t
look(struct test_node *node, const struct ident *compartment, const struct ident *person, const char *name,
     struct span wanted, bool *found_out)
{
    struct arena arena = { 0 };
    struct replica_view view;
    uint32_t field = field_of("person", name)->number;
    size_t count = 0;

    *found_out = false;
    if (replica_read(node->replica, compartment, person, &arena, &view) == ERR_OK) {
        for (size_t n = 0; view.open != NULL && n < view.open->target_count; n++) {
            const struct record_target *target = &view.open->targets[n];

            for (size_t v = 0; target->target.field == field && v < target->value_count; v++) {
                *found_out = *found_out || span_equal(target->values[v].value, wanted);
                count++;
            }
        }
    }
    arena_free(&arena);
    return count;
}

size_t
saves_pseudonym_count(struct test_node *node, const struct ident *compartment, const struct ident *person)
{
    bool found;

    return look(node, compartment, person, "pseudonym", span_of(NULL, 0), &found);
}

bool
saves_has(struct test_node *node, const struct ident *compartment, const struct ident *person,
          const char *name, const char *text)
{
    struct buf value = { 0 };
    bool found;

    cbor_put_text(&value, span_text(text));
    (void)look(node, compartment, person, name, buf_span(&value), &found);
    buf_free(&value);
    return found;
}

bool
saves_has_pseudonym(struct test_node *node, const struct ident *compartment, const struct ident *person,
                    const char *pseudonym)
{
    return saves_has(node, compartment, person, "pseudonym", pseudonym);
}

const uint8_t *
saves_digest(struct test_node *node, const struct ident *compartment)
{
    const struct gossip_store *store = replica_gossip_store(node->replica);

    return frontier_digest(store->frontier(store->self, compartment));
}
