/* organisation.h - an organisation with nodes, made by the real ceremony in a directory of its own.
 *
 *     struct test_organisation org;                 /dev/shm/vigil-XXXXXX/
 *     test_organisation_init(&org, 7);                  org/     the ceremony
 *     test_organisation_office(&org, "KEN", false);     KEN-1/   a node
 *     struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN);
 *
 * A node here is a replica with its keys at hand: no passphrase and no process. Every
 * step that fails ends the test.
 */
#pragma once

#include "store/proof.h"
#include "sync/ceremony.h"
#include "sync/replica.h"
#include "tests/support/world.h"

enum { TEST_NODES_MAX = 40 };

struct test_node {
    char directory[128];
    char office[16];
    struct test_world world;
    struct key storage_key;
    struct replica_identity identity;
    struct request request;
    struct replica *replica;
    const struct codebook *codebook; /* of the next opening */
    size_t map_bytes;                /* likewise; 0: the replica's default */
};

struct test_organisation {
    char directory[64];
    char ceremony_directory[96];
    struct test_world world;
    struct vault_work work;
    struct ceremony_options options;
    struct ceremony *ceremony;
    struct test_node *nodes[TEST_NODES_MAX];
    size_t node_count;
    uint32_t
        roles; /* enum device_role: what those who are enrolled have beside case work; who only carries is a relay */
};

void test_organisation_init(struct test_organisation *org, uint64_t seed);

/* The same with several roots, of which `needed` sign together: then an erasure needs two signatures. */
void test_organisation_init_with(struct test_organisation *org, uint64_t seed, uint32_t root_count,
                                 uint32_t needed);

/* Closes every node and removes the directory. */
void test_organisation_free(struct test_organisation *org);

/* `everything`: headquarters, with a grant in every compartment of every office. */
void test_organisation_office(struct test_organisation *org, const char *code, bool everything);

/* Make a device and certify it, at `level` wherever its office's grants reach; `grants` (may be NULL) as in ceremony_device. The
 * node is not opened yet: its welcome is written by test_node_join. */
struct test_node *test_organisation_enrol(struct test_organisation *org, const char *code, enum level level,
                                          const struct ceremony_grant *grants, size_t grant_count);

/* Hand the welcome over, with everything that was certified by now; open the replica, found it and tend to it. Somebody is to write in
 * `shared`, so an admin that knows of no epoch there makes one. */
void test_node_join(struct test_organisation *org, struct test_node *node);

/* The same without tending: it has not looked yet at what it owes. */
void test_node_found(struct test_organisation *org, struct test_node *node);

/* One of two: an office KEN and headquarters HQ, each with a node that has admin and has joined. They have not met yet. */
void test_organisation_two(struct test_organisation *org, uint64_t seed, struct test_node **ken_out,
                           struct test_node **hq_out);

/* Import everything that was certified by now, in a turn of its own. */
void test_node_import(struct test_organisation *org, struct test_node *node);

/* Sign a statement with a key of the ceremony ("root-1", "office-KEN") and append it to `out`; gives its id. */
struct hash test_organisation_sign(struct test_organisation *org, struct statement *statement,
                                   const char *key_name, struct buf *out);

/* Hand one signed statement to a node, in a turn of its own, and let it tend. */
void test_node_state(struct test_node *node, struct span signed_statement);

void test_node_open(struct test_node *node);
void test_node_close(struct test_node *node);

/* Run replica_tend in turns until it has nothing to do. */
void test_node_tend(struct test_node *node);

/* Check all that it holds, between turns: what is found ends the test, in words that say `where`; NULL: at this node. */
struct proof test_node_prove(struct test_node *node, const char *where);

/* The compartment of an office, by enum own_compartment. */
struct ident test_compartment(struct test_node *node, const char *code, int own);

/* Hand everything that one holds, and the other may hold, over in chunks, lane by lane; and both ways until both hold the
 * same. */
void test_node_give(struct test_node *from, struct test_node *to, bool lanes_backwards);
void test_node_exchange(struct test_node *a, struct test_node *b);

/* One lane of one compartment, within a turn of `to`. */
void test_node_give_lane(struct test_node *from, struct test_node *to, const struct ident *compartment,
                         int lane);
