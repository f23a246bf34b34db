/* serve_actor.c - the people of this office: their numbers, names and roles, and who is asking. */
#include "node/call.h"

#include "store/base/world.h"

#include <string.h>

enum { SIGNINGS = 256 };

uint32_t
call_roles(struct call *call)
{
    int64_t number = call_number(call, "actor", 0, UINT32_MAX, 0);
    const struct roster_device *own =
        call->roster == NULL ? NULL
                             : roster_author(call->roster, &replica_identity(call->replica)->device_id);

    if (own == NULL) {
        return 0;
    }
    const struct roster_actor *actor =
        number == 0 || own->office == NULL ? NULL : roster_actor(call->roster, own->office, (uint32_t)number);
    if (actor == NULL) {
        return own->roles;
    }
    return actor->active ? own->roles & actor->role : 0;
}

/* The office of this node. NULL: the call failed. */
static const struct roster_office *
own_office(struct call *call)
{
    if (call->own == NULL || call->own->office == NULL) {
        call_fail_without_own(call);
        return NULL;
    }
    return call->own->office;
}

static json_t *
person_json(const struct roster_actor *actor)
{
    return json_pack("{s:I,s:s,s:s,s:b}", "number", (json_int_t)actor->number, "name", actor->name, "role",
                     role_name(actor->role), "active", actor->active);
}

void
call_actor_list(struct call *call)
{
    const struct roster_office *office = own_office(call);
    size_t count = 0;
    json_t *list = json_array();

    if (office != NULL) {
        const struct roster_actor *actors = roster_actors_of(call->roster, office, &count);

        for (size_t n = 0; n < count; n++) {
            (void)json_array_append_new(list, person_json(&actors[n]));
        }
    }
    call_ok(call, json_pack("{s:s,s:o}", "office", office == NULL ? "" : office->code, "actors", list));
}

/* Sign what is said of a person. Of two statements the one of the higher id counts; of many signings with different random
 * bytes the lowest above the one before is taken, so that there is room for as many changes. */
static enum err
sign_above(struct call *call, struct statement *statement, const struct hash *before, struct buf *out)
{
    const struct key_pair *const signers[] = { &replica_identity(call->replica)->sign };
    struct hash best = { { 0 } };
    struct buf signing = { 0 };
    enum err err = ERR_OK;

    for (int n = 0; n < SIGNINGS && err == ERR_OK; n++) {
        struct hash id;

        buf_clear(&signing);
        world_random(call_options(call)->world, statement->random, sizeof statement->random);
        err = statement_sign(&signing, statement, signers, 1, &id);
        if (err == ERR_OK && (before == NULL || hash_compare(&id, before) > 0) &&
            (out->size == 0 || hash_compare(&id, &best) < 0)) {
            best = id;
            buf_clear(out);
            buf_put_span(out, buf_span(&signing));
        }
    }
    buf_free(&signing);
    err = err == ERR_OK && out->failed ? ERR_MEMORY : err;
    return err == ERR_OK && out->size == 0 ? ERR_FULL : err;
}

static void
state_actor(struct call *call, const struct roster_actor *before, uint32_t number, const char *name,
            uint32_t role, bool active)
{
    struct statement statement = { .type = STATEMENT_ACTOR, .org = *roster_org(call->roster) };
    struct buf signed_statement = { 0 };

    memcpy(statement.actor.office_pk, call->own->office->office_pk, SIGN_PK_BYTES);
    statement.actor.number = number;
    statement.actor.name = span_text(name);
    statement.actor.role = role;
    statement.actor.active = active;
    enum err err = sign_above(call, &statement, before == NULL ? NULL : &before->stmt_id, &signed_statement);
    if (err == ERR_OK) {
        err = replica_state(call->replica, buf_span(&signed_statement));
    }
    if (err != ERR_OK) {
        call_fail(call, err,
                  err == ERR_FULL ? "make room on the disk; or give the person another number" : "", "%s",
                  err_text(err));
    }
    call_ok(call, json_pack("{s:I,s:s,s:s,s:b}", "number", (json_int_t)number, "name", name, "role",
                            role_name(role), "active", active));
    buf_free(&signed_statement);
}

/* False: the call failed. */
static bool
may_name(struct call *call, const struct roster_office *office)
{
    if (!call->failed && !policy_may(call->roster, call->own, OPERATION_ACTOR, &office->own[OWN_CASES])) {
        call_fail(call, ERR_DENIED, "do it on an admin's device of this office",
                  "this device may not name the people of its office");
    }
    return !call->failed;
}

static uint32_t
read_role(struct call *call, const char *name)
{
    uint32_t role = name == NULL ? 0 : role_by_name(name);

    if (!call->failed && name != NULL && role == 0) {
        call_usage(call, "\"role\" is one of case-work, review, headquarters, operator, auditor, relay");
    }
    return role;
}

static bool
name_fits(struct call *call, const char *name)
{
    if (!call->failed && strlen(name) > STATEMENT_NAME_BYTES_MAX) {
        call_usage(call, "\"name\" is longer than %d bytes", STATEMENT_NAME_BYTES_MAX);
    }
    return !call->failed;
}

void
call_actor_add(struct call *call)
{
    const struct roster_office *office = own_office(call);
    int64_t number = call_number(call, "number", 1, UINT32_MAX, 0);
    const char *name = call_text_needed(call, "name");
    uint32_t role = read_role(call, call_text_needed(call, "role"));

    if (!call->failed && number == 0) {
        call_usage(call, "the request has no \"number\"");
    }
    if (call->failed || !name_fits(call, name) || !may_name(call, office)) {
        return;
    }
    if (roster_actor(call->roster, office, (uint32_t)number) != NULL) {
        call_fail(call, ERR_EXISTS, "give another number: entries of the past name people by it",
                  "number %lld of this office is somebody already", (long long)number);
        return;
    }
    state_actor(call, NULL, (uint32_t)number, name, role, true);
}

void
call_actor_change(struct call *call)
{
    const struct roster_office *office = own_office(call);
    int64_t number = call_number(call, "number", 1, UINT32_MAX, 0);
    const char *name = call_text(call, "name");
    uint32_t role = read_role(call, call_text(call, "role"));
    const json_t *active = json_object_get(call->body, "active");

    (void)call_flag(call, "active");
    if (call->failed || !may_name(call, office)) {
        return;
    }
    const struct roster_actor *before = roster_actor(call->roster, office, (uint32_t)number);
    if (before == NULL) {
        call_fail(call, ERR_ABSENT, "vigil actor list shows the people of this office",
                  "nobody of this office has the number %lld", (long long)number);
        return;
    }
    name = name == NULL || name[0] == '\0' ? before->name : name;
    if (name_fits(call, name)) {
        state_actor(call, before, (uint32_t)number, name, role == 0 ? before->role : role,
                    active == NULL ? before->active : json_is_true(active));
    }
}
