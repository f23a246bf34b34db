#include "tests/support/organisation.h"
#include "tests/support/proving.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static enum err
ask(void *self, const char *key_name, bool fresh, struct buf *passphrase_out)
{
    (void)self;
    (void)key_name;
    (void)fresh;
    buf_put_text(passphrase_out, "a passphrase of a test");
    return ERR_OK;
}

void
test_organisation_init(struct test_organisation *org, uint64_t seed)
{
    test_organisation_init_with(org, seed, 1, 1);
}

void
test_organisation_init_with(struct test_organisation *org, uint64_t seed, uint32_t root_count,
                            uint32_t needed)
{
    ceremony_fault fault;

    memset(org, 0, sizeof *org);
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&org->world, seed);
    (void)snprintf(org->directory, sizeof org->directory, "/dev/shm/vigil-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(org->directory));
    (void)snprintf(org->ceremony_directory, sizeof org->ceremony_directory, "%s/org", org->directory);
    ck_assert_int_eq(mkdir(org->ceremony_directory, 0700), 0);
    org->work = (struct vault_work){ .passes = 1, .memory_bytes = 64 << 20 };
    org->options = (struct ceremony_options){
        .directory = org->ceremony_directory, .world = &org->world.world, .work = &org->work, .ask = ask
    };
    ck_assert_int_eq(
        ceremony_found(&org->ceremony, &org->options, "Test organisation", root_count, needed, &fault),
        ERR_OK);
}

void
test_organisation_free(struct test_organisation *org)
{
    char command[128];

    for (size_t n = 0; n < org->node_count; n++) {
        test_node_close(org->nodes[n]);
        free(org->nodes[n]);
    }
    ceremony_close(&org->ceremony);
    (void)snprintf(command, sizeof command, "rm -rf %s", org->directory);
    ck_assert_int_eq(system(command), 0);
}

void
test_organisation_office(struct test_organisation *org, const char *code, bool everything)
{
    ceremony_fault fault = { 0 };

    ck_assert_msg(ceremony_office(org->ceremony, code, code, everything, NULL, 0, &fault) == ERR_OK, "%s %s",
                  fault.what, fault.why);
}

struct test_node *
test_organisation_enrol(struct test_organisation *org, const char *code, enum level level,
                        const struct ceremony_grant *grants, size_t grant_count)
{
    struct test_node *node = calloc(1, sizeof *node);
    struct buf file = { 0 };
    ceremony_fault fault = { 0 };

    ck_assert_ptr_nonnull(node);
    ck_assert_uint_lt(org->node_count, TEST_NODES_MAX);
    org->nodes[org->node_count] = node;
    org->node_count++;
    test_world_init(&node->world, org->world.seed * 1000 + org->node_count);
    (void)snprintf(node->office, sizeof node->office, "%s", code);
    (void)snprintf(node->directory, sizeof node->directory, "%s/%s-%zu", org->directory, code,
                   org->node_count);
    ck_assert_int_eq(mkdir(node->directory, 0700), 0);
    world_random(&node->world.world, node->storage_key.bytes, KEY_BYTES);
    ck_assert_int_eq(wrap_make(node->directory, &node->storage_key, &node->world.world), ERR_OK);
    replica_identity_make(&node->identity, &node->world.world);
    memcpy(node->request.sign_pk, node->identity.sign.public_key, SIGN_PK_BYTES);
    memcpy(node->request.box_pk, node->identity.box.public_key, 32);
    memcpy(node->request.transport_pk, node->identity.transport_public, 32);
    memcpy(node->request.incarnation, node->identity.incarnation, sizeof node->request.incarnation);
    (void)snprintf(node->request.name, sizeof node->request.name, "%s node %zu", code, org->node_count);
    request_write(&file, &node->request, &node->identity.sign);
    ck_assert(!file.failed);
    buf_free(&file);
    uint32_t roles = level == LEVEL_CARRY ? ROLE_RELAY : ROLE_CASE_WORK | org->roles;
    ck_assert_msg(ceremony_device(org->ceremony, code, &node->request, level, roles, grants, grant_count,
                                  &fault) == ERR_OK,
                  "%s %s", fault.what, fault.why);
    node->codebook = codebook_reprisals();
    return node;
}

void
test_node_open(struct test_node *node)
{
    ck_assert_int_eq(
        replica_open(&node->replica, &(struct replica_options){ .directory = node->directory,
                                                                .world = &node->world.world,
                                                                .storage_key = &node->storage_key,
                                                                .codebook = node->codebook,
                                                                .map_bytes = node->map_bytes }),
        ERR_OK);
}

void
test_node_close(struct test_node *node)
{
    replica_close(&node->replica);
}

void
test_node_tend(struct test_node *node)
{
    bool more = true;

    for (int turn = 0; more; turn++) {
        ck_assert_int_lt(turn, 100);
        ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
        more = replica_tend(node->replica);
        ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
    }
}

static void
end_test(void *self, enum proof_part part, const char *what)
{
    const char *where = self;

    ck_abort_msg("%s: %s: %s", where, proof_part_name(part), what);
}

struct proof
test_node_prove(struct test_node *node, const char *where)
{
    char words[256];
    struct proof proof;

    (void)snprintf(words, sizeof words, "%s", where == NULL ? node->request.name : where);
    enum err err = proving_run(node->replica, end_test, words, &proof);
    if (err != ERR_OK) {
        ck_abort_msg("%s: it cannot be gone through: %s", words, err_code(err));
    }
    return proof;
}

void
test_node_found(struct test_organisation *org, struct test_node *node)
{
    struct buf file = { 0 };
    struct welcome welcome;
    ceremony_fault fault = { 0 };

    ck_assert_int_eq(ceremony_welcome(org->ceremony, &node->request, &file, &fault), ERR_OK);
    ck_assert_msg(welcome_read(buf_span(&file), &node->identity.box, &welcome, &fault) == ERR_OK, "%s",
                  fault.what);
    node->identity.org = welcome.org;
    node->identity.control_key = welcome.control_key;
    ck_assert_int_eq(
        replica_identity_write(node->directory, &node->storage_key, &node->identity, &node->world.world),
        ERR_OK);
    test_node_open(node);
    ck_assert_int_eq(replica_found(node->replica, buf_span(&welcome.statements)), ERR_OK);
    welcome_free(&welcome);
    buf_free(&file);
}

void
test_node_join(struct test_organisation *org, struct test_node *node)
{
    test_node_found(org, node);
    replica_want_epoch(node->replica, roster_shared_id(replica_roster(node->replica)));
    test_node_tend(node);
}

void
test_organisation_two(struct test_organisation *org, uint64_t seed, struct test_node **ken_out,
                      struct test_node **hq_out)
{
    test_organisation_init(org, seed);
    test_organisation_office(org, "KEN", false);
    test_organisation_office(org, "HQ", true);
    *ken_out = test_organisation_enrol(org, "KEN", LEVEL_ADMIN, NULL, 0);
    *hq_out = test_organisation_enrol(org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(org, *ken_out);
    test_node_join(org, *hq_out);
}

void
test_node_import(struct test_organisation *org, struct test_node *node)
{
    struct buf file = { 0 };
    struct buf statements = { 0 };
    struct joining_fault fault = { 0 };
    size_t count;

    ck_assert_int_eq(ceremony_news(org->ceremony, &file), ERR_OK);
    ck_assert_int_eq(statements_read(buf_span(&file), &node->identity.control_key, &statements, &fault),
                     ERR_OK);
    ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
    ck_assert_int_eq(replica_import(node->replica, buf_span(&statements), &count), ERR_OK);
    ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
    test_node_tend(node);
    buf_free(&file);
    buf_free(&statements);
}

struct ident
test_compartment(struct test_node *node, const char *code, int own)
{
    const struct roster_office *office = roster_office_by_code(replica_roster(node->replica), code);

    ck_assert_ptr_nonnull(office);
    return office->own[own];
}

void
test_node_give_lane(struct test_node *from, struct test_node *to, const struct ident *compartment, int lane)
{
    const struct gossip_store *source = replica_gossip_store(from->replica);
    const struct gossip_store *sink = replica_gossip_store(to->replica);
    const struct frontier *frontier = source->frontier(source->self, compartment);

    for (size_t n = 0; n < frontier->count; n++) {
        struct gossip_log log = { .log_id = frontier->tips[n].log_id };

        ck_assert(source->descriptor(source->self, &log.log_id, &log.descriptor));
        for (uint64_t seq = 0; log.descriptor.lane == lane && seq <= frontier->tips[n].seq;) {
            struct buf chunk = { 0 };
            struct taken taken;

            ck_assert_int_eq(source->read_chunk(source->self, &frontier->tips[n], seq, false, &chunk, &seq),
                             ERR_OK);
            sink->take(sink->self, &from->identity.device_id, &log, buf_span(&chunk), &taken);
            ck_assert_int_ne(taken.verdict, VERDICT_MALFORMED);
            ck_assert_int_ne(taken.verdict, VERDICT_FORGED);
            buf_free(&chunk);
        }
    }
}

void
test_node_give(struct test_node *from, struct test_node *to, bool lanes_backwards)
{
    const struct gossip_store *source = replica_gossip_store(from->replica);
    struct ident shared[64];
    size_t count = source->shared(source->self, &to->identity.device_id, shared, 64);

    ck_assert_int_eq(replica_begin(to->replica), ERR_OK);
    for (size_t n = 0; n < count; n++) {
        for (int lane = 0; lane < LANE_COUNT; lane++) {
            test_node_give_lane(from, to, &shared[n], lanes_backwards ? LANE_COUNT - 1 - lane : lane);
        }
    }
    ck_assert_int_eq(replica_commit(to->replica), ERR_OK);
    test_node_tend(to);
}

void
test_node_exchange(struct test_node *a, struct test_node *b)
{
    for (int round = 0; round < 4; round++) {
        test_node_give(a, b, false);
        test_node_give(b, a, false);
    }
}

struct hash
test_organisation_sign(struct test_organisation *org, struct statement *statement, const char *key_name,
                       struct buf *out)
{
    const struct key_pair *signer = ceremony_key(org->ceremony, key_name);
    struct hash id;

    ck_assert_ptr_nonnull(signer);
    statement->org = *roster_org(ceremony_roster(org->ceremony));
    world_random(&org->world.world, statement->random, sizeof statement->random);
    ck_assert_int_eq(statement_sign(out, statement, &signer, 1, &id), ERR_OK);
    return id;
}

void
test_node_state(struct test_node *node, struct span signed_statement)
{
    ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
    ck_assert_int_eq(replica_state(node->replica, signed_statement), ERR_OK);
    ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
    test_node_tend(node);
}
