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
    /* epoch, box, actor's number */
    int compartment;
    int number;
    uint64_t parents; /* bits of facts */
    int epoch;
};

/* What follows from them. */
struct naive_roster {
    const struct naive_fact *facts;
    int count;
    int chain[NAIVE_FACTS_MAX];
    int chain_count; /* 0: not founded */
    bool stands[NAIVE_FACTS_MAX];
    bool whole[NAIVE_FACTS_MAX];
    int role
        [NAIVE_COMPARTMENTS]; /* -1: unknown; else 0 control, 1 shared, 2 cases, 3 protected, 4 audit, 5 other */
    int owner[NAIVE_COMPARTMENTS];
    int twin[NAIVE_COMPARTMENTS];
    int current[NAIVE_COMPARTMENTS]; /* a fact, or -1 */
    bool present[NAIVE_DEVICES];
    int level[NAIVE_DEVICES][NAIVE_COMPARTMENTS];
    int address[NAIVE_DEVICES]; /* a fact, or -1 */
};

/* Fact 0 is the founding one. `device_bits` are the signer bits of the devices. */
void naive_settle(struct naive_roster *out, const struct naive_fact *facts, int count,
                  const uint32_t device_bits[NAIVE_DEVICES]);
