/* saves.h - what people do at a node of a test organisation: save, change, look. */
#pragma once

#include "tests/support/organisation.h"

/* Ops by names of the reprisals codebook; their values live until saves_free. An op on a collection goes to its element
 * of the id 1 (bytes 01 00 ...). */
struct save_op saves_set(const char *kind, const char *name, const char *text);
struct save_op saves_kind(const char *kind);
void saves_free(void);

/* A turn of its own. */
void saves_begin(struct test_node *node);
void saves_commit(struct test_node *node);

/* A new record, or a change to one, in the turn under way. */
struct ident saves_new(struct test_node *node, const struct ident *compartment, const struct save_op *ops,
                       size_t op_count);
enum err saves_change(struct test_node *node, const struct ident *compartment, const struct ident *record,
                      struct save_op op);

/* A person with a name, which is L3, in a turn of its own; and a change of the pseudonym, likewise. */
struct ident saves_person(struct test_node *node, const struct ident *compartment, const char *name);
void saves_pseudonym(struct test_node *node, const struct ident *compartment, const struct ident *person,
                     const char *pseudonym);

/* How many values the pseudonym has here; 0 too where there is no such record. */
size_t saves_pseudonym_count(struct test_node *node, const struct ident *compartment,
                             const struct ident *person);
/* True if this text is a value of that field of the person. */
bool saves_has(struct test_node *node, const struct ident *compartment, const struct ident *person,
               const char *name, const char *text);
/* True if `pseudonym` is one of them. */
bool saves_has_pseudonym(struct test_node *node, const struct ident *compartment, const struct ident *person,
                         const char *pseudonym);

/* The digest of what a node holds of a compartment; lent. */
const uint8_t *saves_digest(struct test_node *node, const struct ident *compartment);
