/* naive_roster.h - the rules of the roster once more, as plainly as they can be put.
 *
 * An oracle for tests: it knows statements as small numbers, never as bytes, and shares
 * no function with sync. Slow on purpose: every question is a walk over all facts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    NAIVE_FACTS_MAX = 64,
    NAIVE_COMPARTMENTS = 8, /* 0 is control, 1 is shared */
    NAIVE_DEVICES = 6,      /* signing keys of devices */
    NAIVE_OFFICES = 3,
};

/* What a statement says. Keys of signers are bits; facts are named by their place. */
struct naive_fact {
    uint32_t type;
    uint8_t id[32];
    uint32_t signers;
    /* organisation, roots */
    int before;
    uint32_t roots;
    int needed;
    uint64_t keep; /* bits of facts */
    /* office, device, actor */
    int office;
    uint32_t office_bit;
    int own[3];
    int grants[NAIVE_COMPARTMENTS]; /* 0: none */
    int any;
    int device; /* also of box and address */
    uint32_t device_bit;
    int box_key;
    int transport_key;
    bool possession;
    int until;
    /* epoch, box */
    int compartment;
    int number;
    uint64_t parents; /* bits of facts */
    uint32_t boxed;   /* bits of devices */
    int epoch;
    /* revoke (whose key: an office's, or else a device's), extend, erase, fork proof (of `device`) */
    bool of_office;
    int revoke;
    uint32_t cuts;  /* bits of places in some log */
    uint32_t named; /* bits of compartments */
};

/* Who takes back: an office by its number, or the roots. */
enum { NAIVE_BY_ROOTS = -1 };

/* What follows from them. */
struct naive_roster {
    const struct naive_fact *facts;
    int count;
    const uint32_t *office_bits;
    const uint32_t *device_bits;
    bool genuine; /* what once was, whatever root sets keep and whichever certificates share keys */
    int chain[NAIVE_FACTS_MAX];
    int chain_count; /* 0: not founded */
    bool stands[NAIVE_FACTS_MAX];
    bool whole[NAIVE_FACTS_MAX];
    int role
        [NAIVE_COMPARTMENTS]; /* -1: unknown; else 0 control, 1 shared, 2 cases, 3 protected, 4 audit, 5 other */
    int owner[NAIVE_COMPARTMENTS];
    int twin[NAIVE_COMPARTMENTS];
    int current[NAIVE_COMPARTMENTS]; /* a fact, or -1 */
    bool counts[NAIVE_FACTS_MAX];    /* certificates, before those that share keys fall */
    bool present[NAIVE_DEVICES];     /* living */
    bool author[NAIVE_DEVICES];
    bool ever[NAIVE_DEVICES];
    int level[NAIVE_DEVICES][NAIVE_COMPARTMENTS];
    int author_level[NAIVE_DEVICES][NAIVE_COMPARTMENTS];
    int ever_level[NAIVE_DEVICES][NAIVE_COMPARTMENTS];
    int address[NAIVE_DEVICES];    /* a fact, or -1 */
    int together[NAIVE_FACTS_MAX]; /* of an erasure: signatures that count together */
};

/* Fact 0 is the founding one; its `number` is how many signatures an erasure needs. The signer bits of offices and
 * devices are borrowed, as the facts are. */
void naive_settle(struct naive_roster *out, const struct naive_fact *facts, int count,
                  const uint32_t *office_bits, const uint32_t *device_bits);

/* True if this one rightly says what fact `n`, a revocation, says. */
bool naive_revokes(const struct naive_roster *all, int n, int by);

/* True if fact `n` as said by this one, or an extension of it, keeps fact `kept`; and the cuts of all of them. */
bool naive_keeps(const struct naive_roster *all, int n, int by, int kept);
uint32_t naive_cuts(const struct naive_roster *all, int n, int by);
