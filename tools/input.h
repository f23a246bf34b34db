/* input.h - what people type and hand over in files, turned into requests of record.save.
 *
 *     --set status=triage              "set": {"status":"triage"}
 *     --add country_of_act=KEN         "add": [{"to":"country_of_act","value":"KEN"}]
 *     --add act.type_of_act=detention  "add": [{"to":"act","fields":{"type_of_act":"detention",
 *     --add act.date_from=2026-03                                    "date_from":"2026-03"}}]
 *     --add act                        the fields that follow are those of the next act
 *
 * A file holds one object for each record (see input_save), one a line or spread over lines; a value
 * "ref:NAME" stands for the record that an earlier object of the file, with "ref":"NAME", makes. Only the shape
 * is judged here: what a field may hold is for the node and its codebook to say.
 */
#pragma once

#include "tools/fault.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdio.h>

enum {
    INPUT_NAME_BYTES_MAX = 128,       /* of a field, a target or a ref */
    INPUT_OBJECT_BYTES_MAX = 1 << 20, /* of one record in a file */
};

/* Each adds one thing that was typed to `save`, a request of record.save. False, and `fault_out` says why:
 * no name, no value, no UTF-8, or given twice. Nothing was added then. */
MUST_CHECK bool input_set(json_t *save, const char *assignment, struct client_fault *fault_out);
MUST_CHECK bool input_add(json_t *save, const char *assignment, struct client_fault *fault_out);
MUST_CHECK bool input_remove(json_t *save, const char *target, struct client_fault *fault_out);
MUST_CHECK bool input_note(json_t *save, const char *text, struct client_fault *fault_out);
MUST_CHECK bool input_resolve(json_t *save, const char *target, struct client_fault *fault_out);

/* Put FIELD=VALUE into `object`: for --where and --month. */
MUST_CHECK bool input_pair(json_t *object, const char *assignment, struct client_fault *fault_out);

/* True if `save` changes something. False if not, or if an element was begun and has no field. */
MUST_CHECK bool input_whole(const json_t *save, struct client_fault *fault_out);

/* The request that an object of a file stands for; keys: kind, ref, record, office, urgent, imported, actor, fields, sets, elements,
 * notes, remove, resolve. `ref_out` is lent by `object`, or NULL. A new reference, or NULL and `fault_out`. */
json_t *input_save(const json_t *object, const char **ref_out, struct client_fault *fault_out);

/* NAME if `value` is the string "ref:NAME", with NAME of letters, digits, ".", "_" and "-"; else NULL. Lent. */
const char *input_ref(const json_t *value);

enum input_refs {
    REFS_READY,  /* all are replaced, or there were none */
    REFS_WAIT,   /* one is not there yet: nothing was replaced */
    REFS_FAILED, /* one will never be there; `ref_out` says which */
};

/* Replace every "ref:NAME" in the values of `save` by ids[NAME], a string. ids[NAME] is null while its
 * record is being made, and false, or missing, if it will not be. `ref_out` is lent by `save`. */
enum input_refs input_refs_replace(json_t *save, const json_t *ids, const char **ref_out);

/* A file of objects, read one after the other. Zeroed but for `file`, it is at the beginning. */
struct input_file {
    FILE *file;
    size_t line;       /* of the last line read, from 1 */
    size_t first_line; /* on which the last object begins */
    char *text;        /* of the object being read */
    size_t text_size;
};

/* The next object, a new reference in `object_out`, or NULL at the end. False, and `fault_out`: not an
 * object, not JSON, too long, or the file cannot be read. */
MUST_CHECK bool input_next(struct input_file *input, json_t **object_out, struct client_fault *fault_out);
/* Free what reading took; the file itself stays open. */
void input_end(struct input_file *input);

/* All of `file` as text in `text_out`, which the caller frees; at most `bytes_max`. False: too long, no UTF-8
 * or with NUL in it, cannot be read. */
MUST_CHECK bool input_text(FILE *file, size_t bytes_max, char **text_out, struct client_fault *fault_out);
