/* The one door: what is refused, what waits, what is held, and that no order of arrival shows. */

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "sync/replica_state.h"
#include "sync/update.h"
#include "tests/support/check.h"
#include "tests/support/organisation.h"
#include "tests/support/silent.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_MAX_ENTRIES = 130, TIPS = 128 };

static struct test_organisation org;
static struct test_node *ken; /* whose device signs what the tests write */
static struct test_node *hq;  /* takes it in, and reads KEN's cases and their twin */
static struct arena bytes;    /* of the entries and chunks of a test */

/* What ken's device writes in one log, about one record. */
struct pen {
    struct descriptor descriptor;
    struct hash log_id;
    const struct epoch_keys *keys;
    uint8_t epoch[4];
    struct key record_key; /* R_case, or R_protected in the twin */
    struct ident record_id;
};

/* The entries of one branch, from seq 0. */
struct path {
    struct entry entries[PATH_MAX_ENTRIES];
    size_t count;
};

/* --- writing --- */

static struct pen
pen_for(int own, uint8_t lane)
{
    struct pen pen = { 0 };
    struct key case_key;

    memcpy(pen.descriptor.sign_pk, ken->identity.sign.public_key, SIGN_PK_BYTES);
    world_random(&ken->world.world, pen.descriptor.incarnation, sizeof pen.descriptor.incarnation);
    pen.descriptor.compartment = test_compartment(ken, "KEN", own);
    pen.descriptor.lane = lane;
    descriptor_log_id(&pen.descriptor, &pen.log_id);
    ck_assert_int_eq(keyring_current(ken->replica->keyring, ken->replica->roster, &pen.descriptor.compartment,
                                     &pen.keys, pen.epoch),
                     ERR_OK);
    world_random(&ken->world.world, pen.record_key.bytes, KEY_BYTES);
    case_key = pen.record_key;
    if (own == OWN_PROTECTED) {
        record_key_case(&case_key, &pen.record_key);
    }
    record_key_id(&pen.record_id, &case_key);
    return pen;
}

/* The same writer and record in another lane. */
static struct pen
pen_in_lane(const struct pen *pen, uint8_t lane)
{
    struct pen other = *pen;

    other.descriptor.lane = lane;
    descriptor_log_id(&other.descriptor, &other.log_id);
    return other;
}

static bool
path_tag(void *self, uint64_t seq, uint8_t tag_out[4])
{
    const struct path *path = self;

    memcpy(tag_out, path->entries[seq].id.bytes, 4);
    return true;
}

/* A change that sets the pseudonym; it names the op of the entry `names` of the path, if that is not -1. */
static struct span
set_text(const struct pen *pen, struct path *path, const char *text, int names)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_field *field =
        codebook_field_by_name(codebook, codebook_kind_by_name(codebook, "person")->number, "pseudonym");
    struct change_log log = { .log_id = pen->log_id, .seq = path->count, .self = path, .tag_of = path_tag };
    struct buf value = { 0 };
    struct buf payload = { 0 };
    struct dot dot;

    cbor_put_text(&value, span_text(text));
    struct op op = { .code = OP_SET, .target = { .field = field->number }, .value = buf_span(&value) };
    if (names >= 0) {
        dot_make(&dot, &pen->log_id, (uint64_t)names, 0, &path->entries[names].id);
        op.preds = &dot;
        op.pred_count = 1;
    }
    struct change change = {
        .schema = SCHEMA, .hlc = (uint64_t)1 << 16 | path->count, .actor = 1, .ops = &op, .op_count = 1
    };
    ck_assert_int_eq(change_encode(&change, &log, &payload), ERR_OK);
    struct span kept = arena_copy(&bytes, buf_span(&payload));
    buf_free(&value);
    buf_free(&payload);
    return kept;
}

/* Seal `payload` as the next entry of the path. */
static struct entry *
write_next(const struct pen *pen, struct path *path, enum entry_kind kind, bool pad, struct span payload)
{
    struct entry *entry = &path->entries[path->count];
    struct buf sealed = { 0 };
    struct key erase_key;

    ck_assert_uint_lt(path->count, PATH_MAX_ENTRIES);
    *entry = (struct entry){ .kind = (uint8_t)kind, .lane = pen->descriptor.lane, .seq = path->count };
    if (path->count > 0) {
        entry->prev = path->entries[path->count - 1].id;
    }
    memcpy(entry->epoch, pen->epoch, sizeof entry->epoch);
    world_random(&ken->world.world, entry->salt, sizeof entry->salt);
    record_key_erase(&erase_key, &pen->record_key);
    entry_reference_make(entry, &pen->log_id, pen->keys, &pen->record_id, &erase_key);
    ck_assert_int_eq(entry_seal(entry, &pen->log_id, pen->keys, kind == ENTRY_DATA ? &pen->record_key : NULL,
                                payload, pad, &sealed),
                     ERR_OK);
    entry->payload = arena_copy(&bytes, buf_span(&sealed));
    buf_free(&sealed);
    path->count++;
    return entry;
}

static struct entry *
write_text(const struct pen *pen, struct path *path, const char *text, int names)
{
    return write_next(pen, path, ENTRY_DATA, false, set_text(pen, path, text, names));
}

/* Bytes that do not compress, as large as they need to be for the run to end where a test wants it. */
static struct span
noise(size_t size)
{
    uint8_t *piece = arena_take(&bytes, size);

    ck_assert_ptr_nonnull(piece);
    world_random(&ken->world.world, piece, size);
    return span_of(piece, size);
}

/* Entries first to last of the path, signed. */
static struct span
chunk_of(const struct path *path, size_t first, size_t last)
{
    uint8_t signature[SIGNATURE_BYTES];
    struct buf chunk = { 0 };

    entry_sign(signature, &path->entries[last].id, &ken->identity.sign);
    chunk_write(&chunk, &path->entries[first], last - first + 1, signature);
    ck_assert(!chunk.failed);
    struct span kept = arena_copy(&bytes, buf_span(&chunk));
    buf_free(&chunk);
    return kept;
}

/* --- taking in --- */

static void
begin(struct test_node *node)
{
    ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
}

static void
commit(struct test_node *node)
{
    ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
}

static struct intake_result
offer(const struct pen *pen, struct span chunk)
{
    return intake_chunk(hq->replica->intake, &pen->descriptor, chunk);
}

/* In a turn of its own. */
static struct intake_result
take(const struct pen *pen, struct span chunk)
{
    begin(hq);
    struct intake_result result = offer(pen, chunk);
    commit(hq);
    return result;
}

static enum entry_state
state_of(const struct pen *pen, uint64_t seq, enum held_reason *reason_out)
{
    const struct log_branch *branch = journal_log(hq->replica->journal, &pen->log_id);
    struct journal_entry entry;
    struct table_txn *txn;

    ck_assert_ptr_nonnull(branch);
    ck_assert_int_eq(replica_begin_read(hq->replica, &txn), ERR_OK);
    ck_assert_int_eq(journal_read(hq->replica->journal, txn, branch->log_no, seq, &entry), ERR_OK);
    replica_end_read(hq->replica, &txn);
    *reason_out = (enum held_reason)entry.detail;
    return entry.state;
}

static void
expect_held(const struct pen *pen, uint64_t seq, enum held_reason expected)
{
    enum held_reason reason;

    ck_assert_int_eq(state_of(pen, seq, &reason), STATE_HELD);
    ck_assert_str_eq(held_reason_name(reason), held_reason_name(expected));
}

static void
expect_state(const struct pen *pen, uint64_t seq, enum entry_state expected)
{
    enum held_reason reason;

    ck_assert_int_eq(state_of(pen, seq, &reason), expected);
}

/* Take in the key of the pen's record. */
static void
take_key_entry(const struct pen *pen)
{
    struct pen keys = pen_in_lane(pen, LANE_CONTROL);
    struct path path = { .count = 0 };
    struct change_key content = { .hlc = 1, .actor = 1 };
    struct buf payload = { 0 };
    const struct roster_compartment *compartment =
        roster_compartment(hq->replica->roster, &pen->descriptor.compartment);

    memcpy(content.record_key, pen->record_key.bytes, KEY_BYTES);
    ck_assert_int_eq(change_encode_key(&content, &payload), ERR_OK);
    write_next(&keys, &path, ENTRY_KEY, compartment->padded, buf_span(&payload));
    buf_free(&payload);
    ck_assert_int_eq(take(&keys, chunk_of(&path, 0, 0)).verdict, VERDICT_TAKEN);
    expect_state(&keys, 0, STATE_MERGED);
}

/* The texts that are live in the pen's record, ascending, with a mark if they are a conflict. */
static void
read_texts(const struct pen *pen, char *out, size_t room)
{
    struct arena arena = { 0 };
    struct replica_view view;

    out[0] = '\0';
    if (replica_read(hq->replica, &pen->descriptor.compartment, &pen->record_id, &arena, &view) == ERR_OK) {
        for (size_t n = 0; n < view.open->target_count; n++) {
            const struct record_target *target = &view.open->targets[n];

            ck_assert_uint_eq(target->conflict, target->value_count > 1);
            for (size_t v = 0; v < target->value_count; v++) {
                struct cbor_reader in = cbor_reader_of(target->values[v].value);
                struct span text = cbor_read_text(&in);

                ck_assert_uint_lt(strlen(out) + text.size + 2, room);
                strncat(out, (const char *)text.data, text.size);
                strcat(out, " ");
            }
        }
    }
    arena_free(&arena);
}

/* The digest of the compartment as hq has it, and the same after everything is read again from the disk. */
static void
expect_tips(const struct pen *pen, const struct entry *const *tips, size_t count)
{
    for (int round = 0; round < 2; round++) {
        const struct frontier *frontier = replica_frontier(hq->replica, &pen->descriptor.compartment);
        size_t first;

        ck_assert_ptr_nonnull(frontier);
        ck_assert_uint_eq(frontier_log(frontier, &pen->log_id, &first), count);
        for (size_t t = 0; t < count; t++) {
            bool found = false;

            for (size_t n = 0; n < count; n++) {
                found = found || hash_equal(&frontier->tips[first + n].entry_id, &tips[t]->id);
            }
            ck_assert(found);
        }
        test_node_close(hq);
        test_node_open(hq);
    }
}

/* --- a world of two nodes --- */

static void
give(struct test_node *from, struct test_node *to)
{
    const struct gossip_store *source = replica_gossip_store(from->replica);
    const struct gossip_store *sink = replica_gossip_store(to->replica);
    struct ident shared[64];
    size_t count = source->shared(source->self, &to->identity.device_id, shared, 64);

    begin(to);
    for (size_t c = 0; c < count; c++) {
        const struct frontier *frontier = source->frontier(source->self, &shared[c]);

        for (size_t n = 0; n < frontier->count; n++) {
            struct gossip_log log = { .log_id = frontier->tips[n].log_id };

            ck_assert(source->descriptor(source->self, &log.log_id, &log.descriptor));
            for (uint64_t seq = 0; seq <= frontier->tips[n].seq;) {
                struct buf chunk = { 0 };
                struct taken taken;

                ck_assert_int_eq(
                    source->read_chunk(source->self, &frontier->tips[n], seq, false, &chunk, &seq), ERR_OK);
                sink->take(sink->self, &from->identity.device_id, &log, buf_span(&chunk), &taken);
                buf_free(&chunk);
            }
        }
    }
    commit(to);
    test_node_tend(to);
}

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_two(&org, 23, &ken, &hq);
    for (int round = 0; round < 3; round++) {
        give(ken, hq);
        give(hq, ken);
    }
}

static void
teardown(void)
{
    test_organisation_free(&org);
    arena_free(&bytes);
}

/* --- refused --- */

START_TEST(u3_a_flipped_bit_in_any_byte_of_a_chunk_is_refused_and_counted)
{
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path path = { .count = 0 };
    struct intake_counts before = *replica_counts(hq->replica);

    take_key_entry(&pen);
    for (int n = 0; n < 3; n++) {
        write_text(&pen, &path, "text", -1);
    }
    struct span good = chunk_of(&path, 0, 2);
    uint8_t *bad = arena_take(&bytes, good.size);
    memcpy(bad, good.data, good.size);
    begin(hq);
    for (size_t bit = 0; bit < good.size * 8; bit++) {
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct intake_result result = offer(&pen, span_of(bad, good.size));
        /* The seq may become one whose prev is not here: that is no fault of the bytes. */
        ck_assert_msg(result.verdict == VERDICT_MALFORMED || result.verdict == VERDICT_FORGED ||
                          (bit < 8 && result.verdict == VERDICT_LATER && result.later == LATER_GAP),
                      "bit %zu: %s", bit, verdict_text(result.verdict));
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < good.size; size++) {
        ck_assert_int_eq(offer(&pen, span_of(bad, size)).verdict, VERDICT_MALFORMED);
    }
    commit(hq);
    const struct intake_counts *after = replica_counts(hq->replica);
    uint64_t refused = after->verdicts[VERDICT_MALFORMED] - before.verdicts[VERDICT_MALFORMED] +
                       after->verdicts[VERDICT_FORGED] - before.verdicts[VERDICT_FORGED] +
                       after->later[LATER_GAP] - before.later[LATER_GAP];
    ck_assert_uint_eq(refused, good.size * 9);
    ck_assert_ptr_null(journal_log(hq->replica->journal, &pen.log_id));
    ck_assert_int_eq(take(&pen, good).verdict, VERDICT_TAKEN);
}
END_TEST

START_TEST(a_chunk_of_more_than_one_run_is_malformed_whatever_of_it_is_here)
{
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path path = { .count = 0 };

    for (int n = 0; n < 70; n++) {
        write_text(&pen, &path, "text", -1);
    }
    ck_assert_int_eq(take(&pen, chunk_of(&path, 0, 59)).verdict, VERDICT_TAKEN);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 60, 67)).verdict, VERDICT_MALFORMED);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 60, 63)).verdict, VERDICT_TAKEN);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 60, 67)).verdict, VERDICT_MALFORMED);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 64, 65)).verdict, VERDICT_TAKEN);
    /* What is here now reaches into the second run: the bytes are as wrong as before. */
    ck_assert_int_eq(take(&pen, chunk_of(&path, 60, 67)).verdict, VERDICT_MALFORMED);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 64, 69)).verdict, VERDICT_TAKEN);
}
END_TEST

/* --- later --- */

START_TEST(u10_a_gap_is_later_and_a_duplicate_is_seen)
{
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path path = { .count = 0 };

    take_key_entry(&pen);
    for (int n = 0; n < 4; n++) {
        write_text(&pen, &path, "text", -1);
    }
    struct intake_result result = take(&pen, chunk_of(&path, 2, 3));
    ck_assert_int_eq(result.verdict, VERDICT_LATER);
    ck_assert_int_eq(result.later, LATER_GAP);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 0, 1)).verdict, VERDICT_TAKEN);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 0, 1)).verdict, VERDICT_SEEN);
    result = take(&pen, chunk_of(&path, 0, 3));
    ck_assert_int_eq(result.verdict, VERDICT_TAKEN);
    ck_assert_uint_eq(result.new_count, 2);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 2, 3)).verdict, VERDICT_SEEN);
    expect_tips(&pen, (const struct entry *[]){ &path.entries[3] }, 1);
}
END_TEST

/* Somebody on the way may have stripped it, and kept it would look complete for ever. */
START_TEST(an_entry_without_its_payload_is_later_and_leaves_nothing)
{
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path path = { .count = 0 };

    for (int n = 0; n < 3; n++) {
        write_text(&pen, &path, "text", -1);
    }
    for (size_t n = 0; n < 3; n++) {
        struct path stripped = path;

        stripped.entries[n].payload = span_of(NULL, 0);
        struct intake_result result = take(&pen, chunk_of(&stripped, 0, 2));
        ck_assert_int_eq(result.verdict, VERDICT_LATER);
        ck_assert_int_eq(result.later, LATER_PAYLOAD);
        ck_assert_ptr_null(journal_log(hq->replica->journal, &pen.log_id));
    }
    ck_assert_int_eq(take(&pen, chunk_of(&path, 0, 2)).verdict, VERDICT_TAKEN);
    /* Of what is here already nothing is needed. */
    path.entries[1].payload = span_of(NULL, 0);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 0, 2)).verdict, VERDICT_SEEN);
}
END_TEST

START_TEST(an_unknown_author_is_later_and_is_taken_when_the_certificate_comes)
{
    struct test_node *first = ken;
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path path = { .count = 0 };

    ken = test_organisation_enrol(&org, "KEN", LEVEL_WRITE, NULL, 0);
    memcpy(pen.descriptor.sign_pk, ken->identity.sign.public_key, SIGN_PK_BYTES);
    descriptor_log_id(&pen.descriptor, &pen.log_id);
    write_text(&pen, &path, "text", -1);
    struct span chunk = chunk_of(&path, 0, 0);
    struct intake_result result = take(&pen, chunk);
    ck_assert_int_eq(result.verdict, VERDICT_LATER);
    ck_assert_int_eq(result.later, LATER_AUTHOR);
    ck_assert_ptr_null(journal_log(hq->replica->journal, &pen.log_id));
    test_node_import(&org, hq);
    ck_assert_int_eq(take(&pen, chunk).verdict, VERDICT_TAKEN);
    expect_state(&pen, 0, STATE_NEEDS_KEY);
    ken = first;
}
END_TEST

/* --- held --- */

START_TEST(what_header_and_payload_get_wrong_is_held_with_its_reason)
{
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct pen keys = pen_in_lane(&pen, LANE_CONTROL);
    struct path path = { .count = 0 };
    struct path key_path = { .count = 0 };
    struct change_key content = { .hlc = 1, .actor = 1 };
    struct buf payload = { 0 };
    char texts[64];

    take_key_entry(&pen);
    write_text(&pen, &path, "first", -1);
    /* A key entry in a lane of data. */
    write_next(&pen, &path, ENTRY_KEY, false, noise(40));
    /* Statements elsewhere than in control, in a lane of data. */
    write_next(&pen, &path, ENTRY_CONTROL, false, noise(40));
    /* No payload at all inside the seal. */
    write_next(&pen, &path, ENTRY_DATA, false, noise(40));
    /* The tag of another record. */
    write_text(&pen, &path, "tag", -1);
    path.entries[path.count - 1].reference[15] ^= 1;
    entry_identify(&path.entries[path.count - 1], &pen.log_id);
    /* A seal that was broken before it was signed. */
    write_text(&pen, &path, "seal", -1);
    struct entry *broken = &path.entries[path.count - 1];
    ((uint8_t *)(uintptr_t)broken->payload.data)[0] ^= 1;
    entry_hash_payload(&broken->payload_hash, broken->payload);
    entry_identify(broken, &pen.log_id);
    write_text(&pen, &path, "last", -1);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 0, path.count - 1)).verdict, VERDICT_TAKEN);
    expect_state(&pen, 0, STATE_MERGED);
    expect_held(&pen, 1, HELD_WRONG_LANE);
    expect_held(&pen, 2, HELD_WRONG_LANE);
    expect_held(&pen, 3, HELD_NOT_CANONICAL);
    expect_held(&pen, 4, HELD_RECORD_TAG);
    expect_held(&pen, 5, HELD_DOES_NOT_OPEN);
    expect_state(&pen, 6, STATE_MERGED);
    read_texts(&pen, texts, sizeof texts);
    ck_assert_str_eq(texts, "last first ");

    /* A key that is none of the record it names. */
    keys.descriptor.incarnation[0] ^= 1;
    descriptor_log_id(&keys.descriptor, &keys.log_id);
    memset(content.record_key, 7, KEY_BYTES);
    ck_assert_int_eq(change_encode_key(&content, &payload), ERR_OK);
    write_next(&keys, &key_path, ENTRY_KEY, false, buf_span(&payload));
    buf_free(&payload);
    ck_assert_int_eq(take(&keys, chunk_of(&key_path, 0, 0)).verdict, VERDICT_TAKEN);
    expect_held(&keys, 0, HELD_RECORD_KEY);
    expect_tips(&pen, (const struct entry *[]){ &path.entries[6] }, 1);
}
END_TEST

START_TEST(of_one_log_each_entry_is_padded_or_held_for_itself)
{
    for (int one_turn = 0; one_turn < 2; one_turn++) {
        for (int own = OWN_PROTECTED; own <= OWN_AUDIT; own++) {
            struct pen pen = pen_for(own, LANE_NORMAL);
            struct path path = { .count = 0 };

            take_key_entry(&pen);
            for (int n = 0; n < 4; n++) {
                write_next(&pen, &path, ENTRY_DATA, n % 2 == 1, set_text(&pen, &path, "text", -1));
            }
            if (one_turn) {
                ck_assert_int_eq(take(&pen, chunk_of(&path, 0, 3)).verdict, VERDICT_TAKEN);
            } else {
                for (size_t n = 0; n < 4; n++) {
                    ck_assert_int_eq(take(&pen, chunk_of(&path, n, n)).verdict, VERDICT_TAKEN);
                }
            }
            expect_held(&pen, 0, HELD_NOT_PADDED);
            expect_state(&pen, 1, STATE_MERGED);
            expect_held(&pen, 2, HELD_NOT_PADDED);
            expect_state(&pen, 3, STATE_MERGED);
        }
    }
}
END_TEST

START_TEST(a_statement_counts_whatever_the_standing_of_the_entry_that_carries_it)
{
    static const char endpoint[] = "tcp://203.0.113.7:4711";
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path path = { .count = 0 };
    const struct key_pair *signer = &ken->identity.sign;
    struct hash id;
    struct buf statement = { 0 };
    struct buf payload = { 0 };
    const struct statement address = {
        .type = STATEMENT_ADDRESS,
        .org = ken->identity.org,
        .address = { .device_id = ken->identity.device_id, .endpoint = span_text(endpoint), .until = 1 }
    };

    pen.descriptor.compartment = *roster_control(hq->replica->roster);
    descriptor_log_id(&pen.descriptor, &pen.log_id);
    ck_assert_int_eq(keyring_current(ken->replica->keyring, ken->replica->roster, &pen.descriptor.compartment,
                                     &pen.keys, pen.epoch),
                     ERR_OK);
    ck_assert_int_eq(statement_sign(&statement, &address, &signer, 1, &id), ERR_OK);
    struct span carried = buf_span(&statement);
    ck_assert_int_eq(
        change_encode_statements(
            &(struct change_statements){ .hlc = 1, .actor = 1, .statements = &carried, .count = 1 },
            &payload),
        ERR_OK);
    write_next(&pen, &path, ENTRY_CONTROL, false, buf_span(&payload));
    ck_assert_int_eq(take(&pen, chunk_of(&path, 0, 0)).verdict, VERDICT_TAKEN);
    expect_held(&pen, 0, HELD_WRONG_LANE);
    ck_assert_str_eq(roster_device(hq->replica->roster, &ken->identity.device_id)->endpoint, endpoint);
    buf_free(&statement);
    buf_free(&payload);
}
END_TEST

/* --- order --- */

/* The `number`th permutation of 0 to count - 1. */
static void
permutation(size_t *out, size_t count, size_t number)
{
    for (size_t n = 0; n < count; n++) {
        size_t at = number % (n + 1);

        number /= n + 1;
        memmove(out + at + 1, out + at, (n - at) * sizeof *out);
        out[at] = n;
    }
}

/* A turn for each chunk; what is LATER is offered again, round by round, until everything is in. */
static void
take_in_order(const struct pen *pen, const struct span *chunks, const size_t *order, size_t count)
{
    size_t taken = 0;
    bool done[8] = { false };

    for (size_t round = 0; round < count && taken < count; round++) {
        for (size_t n = 0; n < count; n++) {
            if (done[order[n]]) {
                continue;
            }
            struct intake_result result = take(pen, chunks[order[n]]);
            ck_assert(result.verdict == VERDICT_TAKEN || result.verdict == VERDICT_FORK ||
                      (result.verdict == VERDICT_LATER && result.later == LATER_GAP));
            done[order[n]] = result.verdict == VERDICT_TAKEN;
            taken += done[order[n]];
        }
    }
    ck_assert_uint_eq(taken, count);
}

START_TEST(u2_every_order_of_five_chunks_of_a_forked_log_gives_the_same_tips_and_texts)
{
    for (size_t number = 0; number < 120; number++) {
        struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
        struct path trunk = { .count = 0 };
        size_t order[5];
        char texts[64];

        /* 0 1 2 3      the trunk, in two chunks
         *   \-2'-3'    a branch, in two chunks
         *   \-2"       and another */
        take_key_entry(&pen);
        write_text(&pen, &trunk, "a", -1);
        write_text(&pen, &trunk, "b", 0);
        struct path second = trunk;
        struct path third = trunk;
        write_text(&pen, &trunk, "c", 1);
        write_text(&pen, &trunk, "d", 2);
        write_text(&pen, &second, "e", 1);
        write_text(&pen, &second, "f", 2);
        write_text(&pen, &third, "g", -1);
        struct span chunks[5] = { chunk_of(&trunk, 0, 1), chunk_of(&trunk, 2, 3), chunk_of(&second, 2, 2),
                                  chunk_of(&second, 3, 3), chunk_of(&third, 2, 2) };
        permutation(order, 5, number);
        take_in_order(&pen, chunks, order, 5);
        read_texts(&pen, texts, sizeof texts);
        ck_assert_msg(strlen(texts) == 6 && strchr(texts, 'd') != NULL && strchr(texts, 'f') != NULL &&
                          strchr(texts, 'g') != NULL,
                      "order %zu: %s", number, texts);
        const struct frontier *frontier = replica_frontier(hq->replica, &pen.descriptor.compartment);
        size_t first;
        ck_assert_uint_eq(frontier_log(frontier, &pen.log_id, &first), 3);
        for (size_t n = 0; n < 3; n++) {
            ck_assert_uint_eq(frontier->tips[first + n].branch_first, 2);
        }
        if (number % 40 == 0) {
            expect_tips(&pen,
                        (const struct entry *[]){ &trunk.entries[3], &second.entries[3], &third.entries[2] },
                        3);
        }
    }
}
END_TEST

START_TEST(a_log_with_more_branches_than_anybody_would_make_has_all_its_tips)
{
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path trunk = { .count = 0 };
    const struct entry *tips[TIPS];
    static struct path branches[TIPS];

    write_text(&pen, &trunk, "a", -1);
    ck_assert_int_eq(take(&pen, chunk_of(&trunk, 0, 0)).verdict, VERDICT_TAKEN);
    begin(hq);
    for (size_t n = 0; n < TIPS; n++) {
        branches[n] = trunk;
        tips[n] = write_text(&pen, &branches[n], "b", -1);
        ck_assert_int_eq(offer(&pen, chunk_of(&branches[n], 1, 1)).verdict, VERDICT_TAKEN);
    }
    commit(hq);
    expect_tips(&pen, tips, TIPS);
}
END_TEST

START_TEST(of_a_run_that_ends_otherwise_on_each_branch_no_malformed_chunk_is_served)
{
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path small = { .count = 0 };
    const struct gossip_store *store = replica_gossip_store(hq->replica);
    size_t first;

    write_next(&pen, &small, ENTRY_DATA, false, noise(8000));
    write_next(&pen, &small, ENTRY_DATA, false, noise(100));
    struct path large = small;
    write_next(&pen, &small, ENTRY_DATA, false, noise(100));
    write_next(&pen, &large, ENTRY_DATA, false, noise(8000));
    /* On the first branch the run goes on behind entry 1, so that its signature is dropped; on the second it ends there. */
    ck_assert_int_eq(take(&pen, chunk_of(&small, 0, 1)).verdict, VERDICT_TAKEN);
    ck_assert_int_eq(take(&pen, chunk_of(&small, 2, 2)).verdict, VERDICT_TAKEN);
    ck_assert_int_eq(take(&pen, chunk_of(&large, 2, 2)).verdict, VERDICT_TAKEN);
    const struct frontier *frontier = store->frontier(store->self, &pen.descriptor.compartment);
    ck_assert_uint_eq(frontier_log(frontier, &pen.log_id, &first), 2);
    for (size_t n = 0; n < 2; n++) {
        const struct tip *tip = &frontier->tips[first + n];
        struct buf chunk = { 0 };
        struct chunk read;
        uint64_t next;

        bool is_small = hash_equal(&tip->entry_id, &small.entries[2].id);
        enum err err = store->read_chunk(store->self, tip, 0, false, &chunk, &next);
        ck_assert_int_eq(err, is_small ? ERR_OK : ERR_ABSENT);
        if (is_small) {
            ck_assert_int_eq(chunk_read(buf_span(&chunk), LANE_NORMAL, &read), CHUNK_OK);
            ck_assert_uint_eq(next, 3);
        }
        buf_clear(&chunk);
        /* What is each branch's own is served from where it begins. */
        ck_assert_int_eq(store->read_chunk(store->self, tip, 2, false, &chunk, &next), ERR_OK);
        ck_assert_int_eq(chunk_read(buf_span(&chunk), LANE_NORMAL, &read), CHUNK_OK);
        buf_free(&chunk);
    }
}
END_TEST

/* --- limits of this machine --- */

START_TEST(i4_a_disk_that_fills_up_at_any_step_of_a_turn_leaves_everything_as_it_was)
{
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path path = { .count = 0 };
    uint8_t digest[DIGEST_BYTES];
    bool failed = true;
    char texts[64];

    take_key_entry(&pen);
    write_text(&pen, &path, "a", -1);
    write_text(&pen, &path, "b", 0);
    ck_assert_int_eq(take(&pen, chunk_of(&path, 0, 0)).verdict, VERDICT_TAKEN);
    memcpy(digest, frontier_digest(replica_frontier(hq->replica, &pen.descriptor.compartment)),
           sizeof digest);
    for (uint64_t step = 1; failed; step++) {
        ck_assert_uint_lt(step, 50);
        test_world_fail_disk(&hq->world, step, ERR_FULL);
        enum err err = replica_begin(hq->replica);
        bool narrow = replica_turn_is_narrow(hq->replica);
        if (err == ERR_OK) {
            struct intake_result result = offer(&pen, chunk_of(&path, 1, 1));
            ck_assert(!narrow || (result.verdict == VERDICT_LATER && result.later == LATER_FULL));
            err = replica_commit(hq->replica);
        }
        failed = err != ERR_OK || narrow;
        hq->world.disk_fails_at = 0;
        read_texts(&pen, texts, sizeof texts);
        ck_assert_str_eq(texts, failed ? "a " : "b ");
        const uint8_t *now = frontier_digest(replica_frontier(hq->replica, &pen.descriptor.compartment));
        ck_assert_int_eq(memcmp(digest, now, sizeof digest) == 0, failed);
        ck_assert(failed || step > 2);
    }
}
END_TEST

START_TEST(payloads_that_grow_when_they_are_opened_do_not_fill_the_memory_of_a_turn)
{
    enum { ENTRIES = 60, CHUNKS = 2, LARGE = 1000000 };
    struct pen pen = pen_for(OWN_CASES, LANE_NORMAL);
    struct path path = { .count = 0 };
    char *text = malloc(LARGE + 1);

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    take_key_entry(&pen);
    for (int n = 0; n < ENTRIES * CHUNKS; n++) {
        write_text(&pen, &path, text, n - 1);
        ck_assert_uint_lt(path.entries[n].payload_size, 200);
    }
    free(text);
    begin(hq);
    size_t last = 0;
    for (size_t n = 0; n < ENTRIES * CHUNKS; n = last + 1) {
        last = n / 64 * 64 + 63 < ENTRIES * CHUNKS ? n / 64 * 64 + 63 : ENTRIES * CHUNKS - 1;
        ck_assert_int_eq(offer(&pen, chunk_of(&path, n, last)).verdict, VERDICT_TAKEN);
    }
    ck_assert_uint_lt(intake_memory(hq->replica->intake), 48 << 20);
    commit(hq);
    expect_state(&pen, ENTRIES * CHUNKS - 1, STATE_MERGED);
    expect_tips(&pen, (const struct entry *[]){ &path.entries[ENTRIES * CHUNKS - 1] }, 1);
}
END_TEST

SUITE_MAIN_WITH("intake", setup, teardown, u3_a_flipped_bit_in_any_byte_of_a_chunk_is_refused_and_counted,
                a_chunk_of_more_than_one_run_is_malformed_whatever_of_it_is_here,
                u10_a_gap_is_later_and_a_duplicate_is_seen,
                an_entry_without_its_payload_is_later_and_leaves_nothing,
                an_unknown_author_is_later_and_is_taken_when_the_certificate_comes,
                what_header_and_payload_get_wrong_is_held_with_its_reason,
                of_one_log_each_entry_is_padded_or_held_for_itself,
                a_statement_counts_whatever_the_standing_of_the_entry_that_carries_it,
                u2_every_order_of_five_chunks_of_a_forked_log_gives_the_same_tips_and_texts,
                a_log_with_more_branches_than_anybody_would_make_has_all_its_tips,
                of_a_run_that_ends_otherwise_on_each_branch_no_malformed_chunk_is_served,
                i4_a_disk_that_fills_up_at_any_step_of_a_turn_leaves_everything_as_it_was,
                payloads_that_grow_when_they_are_opened_do_not_fill_the_memory_of_a_turn)
