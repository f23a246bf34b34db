/* codebook.h - what a record may hold: kinds, numbered fields, vocabularies.
 *
 *     case --+-- title                  field 3: text, L2, surface
 *            +-- status                 field 4: code of a vocabulary, L1, surface
 *            +-- act[...]               collection 6: elements of the case
 *            |    +-- act.type_of_act   field 12: code, L1, surface
 *            |    +-- act.coordinates   field 68: text, L3: in the protected twin, same element
 *            +-- country_of_act[...]    collection 9: a set, one value an element
 *
 * A codebook is data: merge, index and casework follow it and know no field by
 * name. Field, collection, kind and value numbers are part of the format and are
 * never reused. A field belongs to one sensitivity, and L3 fields live in the
 * protected twin of a record only. The reprisals codebook is embedded as the
 * default; a `codebook` statement may replace it by a higher version.
 */
#pragma once

#include "store/base/ident.h"
#include "store/base/err.h"

/* Numbers the whole program knows. */
enum {
    FIELD_KIND = 1,      /* field 1 of every record: its kind */
    COLLECTION_NOTE = 1, /* append-only notes, on every kind */
    COLLECTION_LINK = 2, /* links to other records */
    COLLECTION_ATTACHMENT = 3,
    COLLECTION_SAME_AS = 4,
    COLLECTION_RESTRICTION = 5,
    COLLECTION_EVIDENCE = 17,
    COLLECTION_CUSTODY = 18,
    FIELD_ATTACHMENT_FILE = 30,
    FIELD_ATTACHMENT_NAME = 31,
    FIELD_ATTACHMENT_TYPE = 32,
    FIELD_ATTACHMENT_SIZE = 33,
    FIELD_ATTACHMENT_CAPTION = 34,
    FIELD_ATTACHMENT_KEY = 334,      /* of a file that may identify somebody: in the protected half */
    FIELD_ATTACHMENT_OPEN_KEY = 335, /* of one that identifies nobody */
    FIELD_EVIDENCE_FILE = 128,
    FIELD_EVIDENCE_SIZE = 130,
    FIELD_EVIDENCE_TYPE = 131,
    FIELD_EVIDENCE_NAME = 132,
    FIELD_EVIDENCE_DERIVATION = 139,
    FIELD_EVIDENCE_DERIVED_FROM = 140,
    FIELD_EVIDENCE_KEY = 336,
    FIELD_EVIDENCE_OPEN_KEY = 337,
    FIELD_CUSTODY_EVIDENCE = 148,
    FIELD_CUSTODY_EVENT = 149,
    FIELD_CUSTODY_DATE = 150,
    FIELD_CUSTODY_ACTOR = 151,
    FIELD_CUSTODY_NOTE = 152,
    FIELD_SAME_AS = 35,          /* of COLLECTION_SAME_AS: the record that is the same */
    COLLECTION_NOT_SAME_AS = 38, /* somebody looked at both, and they are two */
    FIELD_NOT_SAME_AS = 320,
    FIELD_NOT_SAME_AS_REASON = 321,
};

enum codebook_type {
    TYPE_TEXT = 1,    /* text string, one line or paragraph */
    TYPE_LONG_TEXT,   /* text string, a section of prose */
    TYPE_CODE,        /* unsigned integer: a value of the field's vocabulary */
    TYPE_BOOL,        /* true or false */
    TYPE_INTEGER,     /* unsigned or negative integer */
    TYPE_RANGE,       /* array of two integers: least, most */
    TYPE_DATE,        /* text string: EDTF level 0 with ? ~ % and intervals */
    TYPE_COUNTRY,     /* text string: ISO 3166-1 alpha-3 */
    TYPE_SUBDIVISION, /* text string: ISO 3166-2 */
    TYPE_LANGUAGE,    /* text string: ISO 639-3 */
    TYPE_RECORD,      /* byte string of 16: a record_id */
    TYPE_ACTOR,       /* byte string of 12: device_id[0..8] and the actor's number, 4 bytes */
    TYPE_BLOB,        /* byte string of 32: address of a file */
    TYPE_LOCALISED,   /* array [language, text]: text in a named language */
    TYPE_ELEMENT,     /* byte string of 8: an element of a collection of the same record */
    TYPE_FILE_KEY     /* byte string of 64: what opens a file, and the hash of its content; see blob.h */
};

enum sensitivity { LEVEL_L0 = 0, LEVEL_L1, LEVEL_L2, LEVEL_L3 };

/* What is shown and exported of a register that holds several live values. It
 * never changes which values are live. The order of max, min and protective is
 * that of codebook_rank.
 *
 * A union register is a set within an element: every live value is one member, so
 * adding a member replaces nothing and several members are no conflict. A member is
 * taken away by setting null in its place: null, in any field, is no value. */
enum merge_policy {
    MERGE_SURFACE = 0, /* show all: a person decides */
    MERGE_UNION,       /* all of them together */
    MERGE_MAX,         /* integers, ordered vocabularies; true above false */
    MERGE_MIN,
    MERGE_PROTECTIVE, /* the value of the highest rank in its vocabulary */
    MERGE_LATEST      /* the pick: bookkeeping only */
};

enum codebook_flag {
    FIELD_REQUIRED = 1, /* asked for when the record is made */
    FIELD_INDEXED = 2,  /* in the summary, and its codes, countries, months or records in the coded index */
    FIELD_LISTED = 4,   /* shown in lists: kept in the record's summary */
    FIELD_ONCE = 8,     /* written at creation; `surface` if two values ever meet */
    FIELD_STAGE = 16,   /* its value is the stage that the record is at; one field of a kind at most */
};

/* Append-only: no element is removed, and no value of one replaces another; a union may
 * still grow, and a protective value may be joined by a more protective one.
 *
 * Long text is one register for each section and language: an element of a keyed
 * collection, whose id follows from the language. So two offices that write the English
 * narrative meet in one register and see a conflict, and a translation meets nobody; a
 * register of all languages would make a conflict of every translation, and elements of
 * random ids would let two English narratives stand side by side unseen. */
enum collection_flag {
    COLLECTION_APPEND_ONLY = 1,
    COLLECTION_SET = 2,   /* a set of values: each element has exactly one field, named as the collection */
    COLLECTION_KEYED = 4, /* one element for each value of its lowest numbered field */
};

enum { ELEMENT_BYTES = 8 };

/* What has to be passed, each by a signed entry, before a record takes a step. */
enum codebook_gate {
    GATE_SCOPE = 1,        /* a limb of the resolutions is named, and the decision is "in scope" */
    GATE_CONSENT = 2,      /* the persons concerned agreed to what the step does */
    GATE_NO_HARM = 4,      /* nobody can be recognised who must not be */
    GATE_VERIFICATION = 8, /* the facts are corroborated */
    GATE_FOUR_EYES = 16,   /* somebody else than who prepared it approves */
    GATE_REPLY = 32        /* the Government's reply is recorded, or that there is none */
};

/* A step that a register may take from one value of a vocabulary to another. */
enum { STEP_FROM_NONE = 0 };     /* it has no value yet */
#define STEP_FROM_ANY UINT32_MAX /* whatever it holds: a way out, for which nothing need be filled in */

struct codebook_step {
    uint32_t from;
    uint32_t to;
    uint32_t gates; /* enum codebook_gate */
};

struct codebook_value {
    uint32_t number; /* in the record; from 1 within its vocabulary, never reused */
    uint32_t rank;   /* for ordered vocabularies: max, min and protective go by it */
    const char *name;
    const char *label; /* English */
    uint32_t group;    /* the value of vocabulary `groups` that it is counted under; 0: none */
};

struct codebook_vocabulary {
    uint32_t number;
    const char *name;
    const char *label;
    const struct codebook_value *values; /* ascending by number */
    size_t value_count;
    uint32_t groups;                   /* number of the vocabulary that its values roll up into; 0: none */
    const struct codebook_step *steps; /* ascending by (from, to); none: any value may follow any */
    size_t step_count;
};

struct codebook_kind {
    uint32_t number;
    const char *name;
    const char *label;
};

struct codebook_collection {
    uint32_t number;
    const char *name;
    const char *label;
    uint32_t kinds;               /* bit n set: belongs to kind n */
    uint32_t flags;               /* enum collection_flag */
    enum sensitivity sensitivity; /* of the element itself: who may know that it exists */
};

struct codebook_field {
    uint32_t number;
    const char *name;    /* "title", or "act.type_of_act" within a collection; a set's one field has the
                            collection's name, "country_of_act" */
    const char *label;   /* English */
    uint32_t collection; /* 0: a field of the record itself */
    uint32_t kinds;      /* bit n set: belongs to kind n */
    enum codebook_type type;
    uint32_t vocabulary; /* of TYPE_CODE; else 0 */
    enum sensitivity sensitivity;
    enum merge_policy policy;
    uint32_t flags;  /* enum codebook_flag */
    uint32_t target; /* of TYPE_RECORD: the kind; of TYPE_ELEMENT: the collection; 0: any */
    uint32_t stage;  /* from this value of the kind's stage on, by rank, it must be filled in; 0: never */
};

/* All arrays ascend by number. */
struct codebook {
    uint32_t version;
    const char *name;
    const struct codebook_kind *kinds;
    size_t kind_count;
    const struct codebook_field *fields;
    size_t field_count;
    const struct codebook_collection *collections;
    size_t collection_count;
    const struct codebook_vocabulary *vocabularies;
    size_t vocabulary_count;
};

/* The embedded reprisals codebook. Lives as long as the program. */
const struct codebook *codebook_reprisals(void);

/* Find by number or name; NULL if there is none. `field_by_name` takes the kind, since two
 * kinds may use one name for different fields. */
const struct codebook_kind *codebook_kind(const struct codebook *codebook, uint32_t number);
const struct codebook_kind *codebook_kind_by_name(const struct codebook *codebook, const char *name);
const struct codebook_field *codebook_field(const struct codebook *codebook, uint32_t number);
const struct codebook_field *codebook_field_by_name(const struct codebook *codebook, uint32_t kind,
                                                    const char *name);
const struct codebook_collection *codebook_collection(const struct codebook *codebook, uint32_t number);
const struct codebook_collection *codebook_collection_by_name(const struct codebook *codebook, uint32_t kind,
                                                              const char *name);
const struct codebook_vocabulary *codebook_vocabulary(const struct codebook *codebook, uint32_t number);
const struct codebook_value *codebook_value(const struct codebook_vocabulary *vocabulary, uint32_t number);
const struct codebook_value *codebook_value_by_name(const struct codebook_vocabulary *vocabulary,
                                                    const char *name);

/* The field that says at which stage records of the kind are. NULL: they have no stages. */
const struct codebook_field *codebook_stage_field(const struct codebook *codebook, uint32_t kind);

/* The step from one value (STEP_FROM_NONE: none yet) to another: one of its own, or else one from any. NULL: it may not be
 * taken, or the vocabulary has no steps and every value may follow every other. */
const struct codebook_step *codebook_step(const struct codebook_vocabulary *vocabulary, uint32_t from,
                                          uint32_t to);

/* The id of the element of a set or keyed collection whose first field holds `cbor`:
 * H("vigil.elt.v1", cbor)[0..8]. Two offices that add one country add one element. Elements of other
 * collections have random ids. */
void codebook_element(struct span cbor, uint8_t element_out[ELEMENT_BYTES]);

/* Where a value stands among those of its field, for max, min and protective: the rank of a code, an
 * integer itself, 1 for true. Anything else, and an unknown code, stands lowest: INT64_MIN. */
int64_t codebook_rank(const struct codebook *codebook, const struct codebook_field *field, struct span cbor);

/* True if `cbor` is a value that the field may hold: right type, known code, a date that parses,
 * a plausible country. Judges a person's input; what a peer sent is kept whatever it holds. */
bool codebook_accepts(const struct codebook *codebook, const struct codebook_field *field, struct span cbor);

/* The CBOR of what a person typed for `field`, appended to `cbor_out`.
 *
 *     code      its name: death_threat        range     3 or 3-5
 *     bool      yes, no, true, false          date      2019-03~, 2019-03/2019-05, 2024-11-02/..
 *     country   KEN or ken                    localised eng: text
 *     record, actor, blob, element            hex
 *
 * A file key is typed by nobody: ERR_INVALID.
 *
 * ERR_INVALID: not a value of this field; `why_out` (may be NULL) gets one static sentence.
 * ERR_MEMORY: `cbor_out` could not grow. */
MUST_CHECK enum err codebook_parse(const struct codebook *codebook, const struct codebook_field *field,
                                   const char *text, struct buf *cbor_out, const char **why_out);

/* The reverse, appended as text for people: what codebook_parse takes, for each value that the field
 * accepts; of a file key it tells the hash of the content ("sha256:", hex), and the key to nobody. Of any other bytes it says what
 * they are, on one line. */
void codebook_print(const struct codebook *codebook, const struct codebook_field *field, struct span cbor,
                    struct buf *text_out);

/* The codebook as deterministic CBOR (the body of a codebook statement, FORMATS "codebook"), and back.
 * The decoded one is one block of memory; free it with codebook_free, which takes NULL too.
 * ERR_INVALID: breaks a rule (numbers ascend, names are of a-z 0-9 _ and ., what is referred to exists,
 * no L3 field is indexed or listed, at most CODEBOOK_BYTES_MAX, and so on). ERR_MEMORY. */
enum { CODEBOOK_BYTES_MAX = 256 * 1024 };
void codebook_encode(const struct codebook *codebook, struct buf *out);
MUST_CHECK enum err codebook_decode(struct span bytes, struct codebook **codebook_out);
void codebook_free(struct codebook **codebook);

/* H("vigil.cbk.v1", its encoding). */
void codebook_id(const struct codebook *codebook, struct hash *id_out);

/* Index tokens of a value, appended to `tokens_out` as one CBOR array of short values: a code, bool,
 * country, subdivision or record as it is, of a date the months it covers ("2019-03", or "2019" where
 * only years are known). The array is empty if the field is not indexed or does not accept the value. */
void codebook_tokens(const struct codebook *codebook, const struct codebook_field *field, struct span cbor,
                     struct buf *tokens_out);
