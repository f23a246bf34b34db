/* pictures.h - files of records in tests: taken in as a person would, and looked at. */
#pragma once

#include "store/blob.h"
#include "tests/support/organisation.h"

/* The byte `n` of the content that `kind` stands for. */
uint8_t pictures_byte(unsigned kind, size_t n);

/* A new person of this compartment, and a file of so many bytes attached to it. Gives the person. */
struct ident pictures_add(struct test_node *at, const struct ident *compartment, unsigned kind, size_t bytes,
                          struct blob_made *made_out);

/* The same attached to a record that is there. */
void pictures_attach(struct test_node *at, const struct ident *compartment, const struct ident *record,
                     unsigned kind, size_t bytes, struct blob_made *made_out);

/* It is here whole, and opens to what it was. */
void pictures_expect(struct test_node *at, const struct blob_made *made, unsigned kind);

/* How many of its chunks are here by the rows; 0: nothing names it. */
uint32_t pictures_held(struct test_node *at, const struct hash *address);

/* True if the rows say that it is here whole. */
bool pictures_is_whole(struct test_node *at, const struct hash *address);

/* Somebody wishes for it, or has it put away, in a turn of its own. */
void pictures_wish(struct test_node *at, const struct hash *address, int wish);
