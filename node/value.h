/* value.h - values and targets as people name them, and back.
 *
 *     CBOR 3                      <-->  "triage"             a code of the field's vocabulary
 *     {act, 3f09a1c2..., stage}   <-->  act[3f09a1c2...].stage
 *
 * The codebook says what a field may hold; this file only carries it over to JSON.
 */
#pragma once

#include "store/record.h"

#include <jansson.h>

enum { VALUE_TEXT_BYTES = 160 };

/* A sentence of this file's about what is wrong; quotes no value. */
struct value_fault {
    char text[VALUE_TEXT_BYTES];
};

/* What a value is in JSON: the name of a code, a number, true or false, [least, most], [language, text],
 * or text. NULL: no memory. `field` NULL: unknown here, and the text says what the bytes are. */
json_t *value_json(const struct codebook *codebook, const struct codebook_field *field, struct span cbor);

/* The same as text for people, in English. */
json_t *value_label(const struct codebook *codebook, const struct codebook_field *field, struct span cbor);

/* Append the CBOR of what somebody gave for `field`: text as typed, or JSON of the right type; null clears it.
 * ERR_INVALID: not a value of this field, `fault_out` says why. ERR_MEMORY. */
MUST_CHECK enum err value_parse(const struct codebook *codebook, const struct codebook_field *field,
                                const json_t *json, struct buf *cbor_out, struct value_fault *fault_out);

bool value_is_null(struct span cbor);

/* Words for enum codebook_type and enum merge_policy. */
const char *value_type_name(enum codebook_type type);
const char *value_policy_name(enum merge_policy policy);

/* "L2" and so on. */
const char *value_level_name(enum sensitivity sensitivity);

/* A target in words: "title", "act[3f09a1c2a1b2c3d4]", "act[3f09a1c2a1b2c3d4].type_of_act". What the codebook does not
 * know is "field-9001" or "collection-77[...]". */
struct target_text {
    char text[VALUE_TEXT_BYTES];
};
struct target_text target_print(const struct codebook *codebook, const struct target *target);

/* What it is called for people: the field's or the collection's label. */
const char *target_label(const struct codebook *codebook, const struct target *target);

/* An element that a record has, or will have. */
struct element_name {
    uint32_t collection;
    uint8_t element[ELEMENT_ID_BYTES];
};

/* The target that a person names, in a record of this kind. An element is named by its id or at least 4 digits of it, and
 * must be one of `elements`. ERR_INVALID: no such name; ERR_ABSENT: no such element; ERR_CONFLICT: several
 * begin so. `fault_out` says it. */
MUST_CHECK enum err target_parse(const struct codebook *codebook, uint32_t kind, const char *text,
                                 const struct element_name *elements, size_t element_count,
                                 struct target *target_out, struct value_fault *fault_out);

/* ": did you mean status?" if a field or collection of the kind is nearly called `typed`; else "". With a
 * `collection` only its fields count. */
struct value_guess {
    char text[VALUE_TEXT_BYTES + 24];
};
struct value_guess value_guess_name(const struct codebook *codebook, uint32_t kind,
                                    const struct codebook_collection *collection, const char *typed);
/* The same for the kinds themselves. */
struct value_guess value_guess_kind(const struct codebook *codebook, const char *typed);

/* The field of `collection` called "type_of_act" or "act.type_of_act"; of a set, its own name. NULL: none. */
const struct codebook_field *value_element_field(const struct codebook *codebook, uint32_t kind,
                                                 const struct codebook_collection *collection,
                                                 const char *name);

/* The lowest numbered field of a collection: what a set holds, what a keyed element is known by. */
const struct codebook_field *value_first_field(const struct codebook *codebook, uint32_t collection);

/* "2026-03-01T10:00:00.000Z". */
struct time_text {
    char text[32];
};
struct time_text time_print(uint64_t wall_ms);
/* A time in UTC as people type it: 2026-03-01, 2026-03-01T17:30, 2026-03-01 17:30:05.250Z. False: it is none. */
bool time_parse(const char *text, uint64_t *wall_ms_out);
/* The same as JSON; null for 0. */
json_t *time_json(uint64_t wall_ms);
json_t *hlc_json(uint64_t hlc);

json_t *hex_json(struct span bytes); /* NULL: no memory */
/* A JSON string of bytes that should be UTF-8; what is not becomes "?". */
json_t *text_json(struct span text);
