/* served.h - a node of a test organisation with everything that serving needs, and no socket. */
#pragma once

#include "node/serve.h"
#include "sync/gossip.h"
#include "tests/support/organisation.h"

#include <jansson.h>

struct served {
    struct test_node *node;
    struct config config;
    struct peers *peers;
    struct gossip *gossip;
    struct status status;
    struct recent *recent;     /* nothing is noted there by itself */
    struct security *security; /* likewise: security_hear */
    struct serve *serve;
};

void served_begin(struct served *served, struct test_node *node);
void served_end(struct served *served);

/* A node of an office KEN and one of headquarters HQ, made, joined and acquainted with each other. */
void served_begin_two(struct test_organisation *org, struct served *ken, struct served *hq);

/* Ask (apostrophes stand for quotation marks) and give the whole answer; the caller frees it. */
json_t *served_ask(struct served *served, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The "ok" of an answer. */
json_t *served_granted(json_t *answer);

/* The answer's member at "a.b", where a number is a place in a list; lent by `answer`. */
const json_t *served_member(const json_t *answer, const char *path);

/* Ask, and have it granted. */
void served_granted_once(struct served *served, const char *request);

/* It was refused with this code, a message and a hint; frees it. */
void served_refused(json_t *answer, const char *code);
