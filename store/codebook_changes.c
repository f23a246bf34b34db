#include "store/codebook_changes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct comparing {
    const struct codebook *before;
    const struct codebook *after;
    void (*each)(void *self, const struct codebook_change *change);
    void *self;
    size_t refused;
};

__attribute__((format(printf, 4, 5))) static void
tell(struct comparing *comparing, enum codebook_change_how how, const char *text, const char *format, ...)
{
    struct codebook_change change = { .how = how };
    va_list args;

    va_start(args, format);
    (void)vsnprintf(change.what, sizeof change.what, format, args);
    va_end(args);
    (void)snprintf(change.text, sizeof change.text, "%s", text);
    comparing->refused += how == CODEBOOK_REFUSED;
    comparing->each(comparing->self, &change);
}

static bool
same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* What may be told of anything that has a name and a label. */
static void
tell_words(struct comparing *comparing, const char *what, const char *name_before, const char *name_after,
           const char *label_before, const char *label_after)
{
    if (!same(name_before, name_after)) {
        tell(comparing, CODEBOOK_REFUSED,
             "it is called otherwise: scripts, mappings and files know it by its name", "%s %s", what,
             name_before);
    } else if (!same(label_before, label_after)) {
        tell(comparing, CODEBOOK_ALTERED, "its label is another", "%s %s", what, name_after);
    }
}

static void
compare_kinds(struct comparing *comparing)
{
    for (size_t n = 0; n < comparing->before->kind_count; n++) {
        const struct codebook_kind *old = &comparing->before->kinds[n];
        const struct codebook_kind *new = codebook_kind(comparing->after, old->number);

        if (new == NULL) {
            tell(comparing, CODEBOOK_REFUSED, "it is gone", "kind %s", old->name);
        } else {
            tell_words(comparing, "kind", old->name, new->name, old->label, new->label);
        }
    }
    for (size_t n = 0; n < comparing->after->kind_count; n++) {
        const struct codebook_kind *new = &comparing->after->kinds[n];

        if (codebook_kind(comparing->before, new->number) == NULL) {
            tell(comparing, CODEBOOK_ADDED, "new", "kind %s", new->name);
        }
    }
}

/* What belongs to a kind may come to belong to more, and to no fewer. */
static void
tell_kinds(struct comparing *comparing, const char *what, const char *name, uint32_t before, uint32_t after)
{
    if ((before & ~after) != 0) {
        tell(comparing, CODEBOOK_REFUSED, "a kind of record that had it has it no more", "%s %s", what, name);
    } else if (before != after) {
        tell(comparing, CODEBOOK_ALTERED, "more kinds of records have it", "%s %s", what, name);
    }
}

static void
compare_collections(struct comparing *comparing)
{
    for (size_t n = 0; n < comparing->before->collection_count; n++) {
        const struct codebook_collection *old = &comparing->before->collections[n];
        const struct codebook_collection *new = codebook_collection(comparing->after, old->number);

        if (new == NULL) {
            tell(comparing, CODEBOOK_REFUSED, "it is gone", "collection %s", old->name);
            continue;
        }
        tell_words(comparing, "collection", old->name, new->name, old->label, new->label);
        tell_kinds(comparing, "collection", old->name, old->kinds, new->kinds);
        if (old->flags != new->flags) {
            tell(comparing, CODEBOOK_REFUSED, "what an element of it is, or whether it may go, is another",
                 "collection %s", old->name);
        }
        if (old->sensitivity != new->sensitivity) {
            tell(comparing, CODEBOOK_REFUSED, "its level is another: what was written lies in the other half",
                 "collection %s", old->name);
        }
    }
    for (size_t n = 0; n < comparing->after->collection_count; n++) {
        const struct codebook_collection *new = &comparing->after->collections[n];

        if (codebook_collection(comparing->before, new->number) == NULL) {
            tell(comparing, CODEBOOK_ADDED, "new", "collection %s", new->name);
        }
    }
}

static void
compare_field(struct comparing *comparing, const struct codebook_field *old, const struct codebook_field *new)
{
    tell_words(comparing, "field", old->name, new->name, old->label, new->label);
    tell_kinds(comparing, "field", old->name, old->kinds, new->kinds);
    if (old->type != new->type) {
        tell(comparing, CODEBOOK_REFUSED, "its type is another", "field %s", old->name);
    }
    if (old->collection != new->collection) {
        tell(comparing, CODEBOOK_REFUSED, "it stands in another collection", "field %s", old->name);
    }
    if (old->vocabulary != new->vocabulary) {
        tell(comparing, CODEBOOK_REFUSED, "its vocabulary is another", "field %s", old->name);
    }
    if (old->target != new->target) {
        tell(comparing, CODEBOOK_REFUSED, "what it points at is another", "field %s", old->name);
    }
    if (old->sensitivity != new->sensitivity &&
        (old->sensitivity == LEVEL_L3 || new->sensitivity == LEVEL_L3)) {
        tell(comparing, CODEBOOK_REFUSED, "its level is another: what was written lies in the other half",
             "field %s", old->name);
    } else if (old->sensitivity != new->sensitivity) {
        tell(comparing, CODEBOOK_ALTERED, "its level is another", "field %s", old->name);
    }
    if (((old->flags ^ new->flags) & FIELD_STAGE) != 0) {
        tell(comparing, CODEBOOK_REFUSED, "whether it says how far a record has come is another", "field %s",
             old->name);
    } else if (old->flags != new->flags || old->stage != new->stage) {
        tell(comparing, CODEBOOK_ALTERED, "when it is asked for, listed or indexed is another", "field %s",
             old->name);
    }
    if (old->policy != new->policy) {
        tell(comparing, CODEBOOK_ALTERED, "what is shown of several values is another", "field %s",
             old->name);
    }
}

static void
compare_fields(struct comparing *comparing)
{
    for (size_t n = 0; n < comparing->before->field_count; n++) {
        const struct codebook_field *old = &comparing->before->fields[n];
        const struct codebook_field *new = codebook_field(comparing->after, old->number);

        if (new == NULL) {
            tell(comparing, CODEBOOK_REFUSED, "it is gone", "field %s", old->name);
        } else {
            compare_field(comparing, old, new);
        }
    }
    for (size_t n = 0; n < comparing->after->field_count; n++) {
        const struct codebook_field *new = &comparing->after->fields[n];

        if (codebook_field(comparing->before, new->number) == NULL) {
            tell(comparing, CODEBOOK_ADDED, "new", "field %s", new->name);
        }
    }
}

static bool
same_steps(const struct codebook_vocabulary *old, const struct codebook_vocabulary *new)
{
    bool equal = old->step_count == new->step_count;

    for (size_t n = 0; equal && n < old->step_count; n++) {
        equal = old->steps[n].from == new->steps[n].from && old->steps[n].to == new->steps[n].to &&
                old->steps[n].gates == new->steps[n].gates;
    }
    return equal;
}

static void
compare_values(struct comparing *comparing, const struct codebook_vocabulary *old,
               const struct codebook_vocabulary *new)
{
    for (size_t n = 0; n < old->value_count; n++) {
        const struct codebook_value *value = &old->values[n];
        const struct codebook_value *now = codebook_value(new, value->number);

        if (now == NULL) {
            tell(comparing, CODEBOOK_REFUSED, "it is gone", "value %s of %s", value->name, old->name);
        } else if (!same(value->name, now->name)) {
            tell(comparing, CODEBOOK_REFUSED,
                 "it is called otherwise: scripts, mappings and files know it by its name", "value %s of %s",
                 value->name, old->name);
        } else if (!same(value->label, now->label) || value->rank != now->rank ||
                   value->group != now->group) {
            tell(comparing, CODEBOOK_ALTERED, "its label, rank or group is another", "value %s of %s",
                 value->name, old->name);
        }
    }
    for (size_t n = 0; n < new->value_count; n++) {
        if (codebook_value(old, new->values[n].number) == NULL) {
            tell(comparing, CODEBOOK_ADDED, "new", "value %s of %s", new->values[n].name, new->name);
        }
    }
}

static void
compare_vocabularies(struct comparing *comparing)
{
    for (size_t n = 0; n < comparing->before->vocabulary_count; n++) {
        const struct codebook_vocabulary *old = &comparing->before->vocabularies[n];
        const struct codebook_vocabulary *new = codebook_vocabulary(comparing->after, old->number);

        if (new == NULL) {
            tell(comparing, CODEBOOK_REFUSED, "it is gone", "vocabulary %s", old->name);
            continue;
        }
        tell_words(comparing, "vocabulary", old->name, new->name, old->label, new->label);
        compare_values(comparing, old, new);
        if (old->groups != new->groups) {
            tell(comparing, CODEBOOK_ALTERED, "what its values roll up into is another", "vocabulary %s",
                 old->name);
        }
        if (!same_steps(old, new)) {
            tell(comparing, CODEBOOK_ALTERED, "its steps or gates are others", "vocabulary %s", old->name);
        }
    }
    for (size_t n = 0; n < comparing->after->vocabulary_count; n++) {
        const struct codebook_vocabulary *new = &comparing->after->vocabularies[n];

        if (codebook_vocabulary(comparing->before, new->number) == NULL) {
            tell(comparing, CODEBOOK_ADDED, "new", "vocabulary %s", new->name);
        }
    }
}

size_t
codebook_compare(const struct codebook *before, const struct codebook *after,
                 void (*each)(void *self, const struct codebook_change *change), void *self)
{
    struct comparing comparing = { .before = before, .after = after, .each = each, .self = self };

    if (!same(before->name, after->name)) {
        tell(&comparing, CODEBOOK_REFUSED, "it is another codebook", "codebook %s", after->name);
    }
    if (after->version <= before->version) {
        tell(&comparing, CODEBOOK_REFUSED, "its version has to be higher than that of the one in force",
             "codebook %s", after->name);
    }
    compare_kinds(&comparing);
    compare_collections(&comparing);
    compare_fields(&comparing);
    compare_vocabularies(&comparing);
    return comparing.refused;
}
