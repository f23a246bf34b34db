/* How a node is, in numbers: every value is the one that the node counted, and no label is a name. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "node/casework/roles.h"
#include "node/recent.h"
#include "store/base/world.h"
#include "sync/reason.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct served ken;
static struct served hq;

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 11);
    org.roles = ROLE_OPERATOR | ROLE_REVIEW;
    served_begin_two(&org, &ken, &hq);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

/* The text; the caller frees it. */
static char *
metrics_text(void)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'metrics'}");
    const char *text = json_string_value(json_object_get(served_granted(answer), "text"));

    ck_assert_ptr_nonnull(text);
    char *copy = strdup(text);
    ck_assert_ptr_nonnull(copy);
    json_decref(answer);
    return copy;
}

/* The value of a sample: "vigil_entries", or with its labels. */
static uint64_t
value_of(const char *sample)
{
    char line[300];
    char *text = metrics_text();
    uint64_t value = UINT64_MAX;

    (void)snprintf(line, sizeof line, "\n%s ", sample);
    const char *at = strstr(text, line);
    ck_assert_msg(at != NULL, "there is no %s in %s", sample, text);
    ck_assert_int_eq(sscanf(at + strlen(line), "%" SCNu64, &value), 1);
    free(text);
    return value;
}

START_TEST(what_is_here_is_counted)
{
    uint64_t entries = value_of("vigil_entries");
    json_t *status = served_ask(&ken, "{'id':1,'do':'status'}");

    ck_assert_uint_eq(entries, (uint64_t)json_integer_value(served_member(status, "ok.entries")));
    ck_assert_uint_eq(value_of("vigil_map_size_bytes") > value_of("vigil_map_used_bytes"), 1);
    json_decref(status);
    served_granted_once(&ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'a'}}");
    ck_assert_uint_eq(value_of("vigil_records"), 1);
    ck_assert_uint_gt(value_of("vigil_entries"), entries);
    ck_assert_uint_eq(value_of("vigil_certificate_valid"), 1);
    ck_assert_uint_gt(value_of("vigil_certificate_end_time_seconds"),
                      world_wall_ms(&ken.node->world.world) / 1000);
    ck_assert_uint_gt(value_of("vigil_resident_memory_bytes"), 1 << 20);
    ck_assert_uint_eq(value_of("vigil_epochs_missing"), 0);
}
END_TEST

START_TEST(n6_what_a_crowd_at_the_door_was_refused_for_is_shown)
{
    status_refused(&ken.status, reason_text(LINK_STRANGER), 1000);
    status_refused(&ken.status, reason_text(LINK_CROWDED), 7);
    char sample[300];
    (void)snprintf(sample, sizeof sample, "vigil_door_refused_total{reason=\"%s\"}",
                   reason_text(LINK_STRANGER));
    ck_assert_uint_eq(value_of(sample), 1000);
    (void)snprintf(sample, sizeof sample, "vigil_door_refused_total{reason=\"%s\"}",
                   reason_text(LINK_CROWDED));
    ck_assert_uint_eq(value_of(sample), 7);
    ken.status.strays = 3;
    ck_assert_uint_eq(value_of("vigil_strays_total"), 3);
}
END_TEST

START_TEST(n10_what_a_peer_floods_with_is_shown_with_that_peer_alone)
{
    const struct world *world = &ken.node->world.world;
    uint64_t now_ms = world_steady_ms(world);
    struct peer *peer = peers_by_device(ken.peers, &hq.node->identity.device_id);
    char sample[200];

    ck_assert_ptr_nonnull(peer);
    peer->state = PEER_UP;
    peer->connection = 5;
    ck_assert_int_eq(gossip_up(ken.gossip, 5, &peer->device_id, true, now_ms), ERR_OK);
    (void)snprintf(sample, sizeof sample, "vigil_peer_refused_total{peer=\"%s\",reason=\"malformed\"}",
                   hash_short(&peer->device_id).text);
    ck_assert_uint_eq(value_of(sample), 0);
    gossip_receive(ken.gossip, 5, span_of("\x0b\x00", 2), now_ms);
    ck_assert_uint_eq(value_of(sample), 1);
    (void)snprintf(sample, sizeof sample, "vigil_peer_up{peer=\"%s\"}", hash_short(&peer->device_id).text);
    ck_assert_uint_eq(value_of(sample), 1);
    peer->in_bytes = 12345;
    (void)snprintf(sample, sizeof sample, "vigil_peer_received_bytes_total{peer=\"%s\"}",
                   hash_short(&peer->device_id).text);
    ck_assert_uint_eq(value_of(sample), 12345);
}
END_TEST

START_TEST(lag_is_how_long_ago_both_held_the_same)
{
    struct peer *peer = peers_by_device(ken.peers, &hq.node->identity.device_id);
    char sample[200];

    peer->state = PEER_UP;
    peer->connection = 5;
    ck_assert_int_eq(gossip_up(ken.gossip, 5, &peer->device_id, true, 0), ERR_OK);
    (void)snprintf(sample, sizeof sample, "vigil_peer_lag_seconds{peer=\"%s\"}",
                   hash_short(&peer->device_id).text);
    ken.status.started_steady_ms = world_steady_ms(&ken.node->world.world);
    test_world_pass(&ken.node->world, 9000);
    serve_follow_peers(ken.serve); /* it is not complete, and that is not noted */
    ck_assert_uint_eq(value_of(sample), 9);
    peer->complete_ms = world_steady_ms(&ken.node->world.world) - 4000;
    ck_assert_uint_eq(value_of(sample), 4);
}
END_TEST

/* A small check of the format: promtool is not everywhere. */
START_TEST(every_line_is_of_the_format_and_every_metric_is_declared_once)
{
    static char seen[200][80];
    size_t count = 0;
    char *text = metrics_text();
    char *rest = NULL;
    bool typed = false;

    ck_assert_int_eq(text[strlen(text) - 1], '\n');
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char name[80];
        char type[16];

        if (sscanf(line, "# HELP %79[a-z_0-9] ", name) == 1) {
            for (size_t n = 0; n < count; n++) {
                ck_assert_str_ne(seen[n], name);
            }
            ck_assert_uint_lt(count, 200);
            ck_assert_int_eq(strncmp(name, "vigil_", 6), 0);
            (void)snprintf(seen[count++], 80, "%s", name);
            typed = false;
        } else if (sscanf(line, "# TYPE %79[a-z_0-9] %15[a-z]", name, type) == 2) {
            size_t size = strlen(name);
            bool total = size > 6 && strcmp(name + size - 6, "_total") == 0;

            ck_assert_str_eq(name, seen[count - 1]);
            ck_assert_str_eq(type, total ? "counter" : "gauge");
            typed = true;
        } else {
            size_t size = strcspn(line, "{ ");
            const char *end = line[size] == '{' ? strstr(line, "} ") : line + size - 1;

            ck_assert_msg(typed && strlen(seen[count - 1]) == size &&
                              memcmp(line, seen[count - 1], size) == 0,
                          "out of place: %s", line);
            ck_assert_ptr_nonnull(end);
            ck_assert_msg(strspn(end + 2, "0123456789") == strlen(end + 2) && end[2] != '\0', "%s", line);
        }
    }
    ck_assert_uint_ge(count, 50);
    free(text);
}
END_TEST

START_TEST(no_name_is_in_it)
{
    served_granted_once(&ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'ZQMARKER'}}");
    char *text = metrics_text();
    ck_assert_ptr_null(strstr(text, "ZQMARKER"));
    ck_assert_ptr_null(strstr(text, "KEN"));
    ck_assert_ptr_null(strstr(text, "HQ"));
    free(text);
}
END_TEST

SUITE_MAIN_WITH("serve_metrics", setup, teardown, what_is_here_is_counted,
                n6_what_a_crowd_at_the_door_was_refused_for_is_shown,
                n10_what_a_peer_floods_with_is_shown_with_that_peer_alone,
                lag_is_how_long_ago_both_held_the_same,
                every_line_is_of_the_format_and_every_metric_is_declared_once, no_name_is_in_it)
