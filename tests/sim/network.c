#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A connection is what TCP and CURVE make of one: frames arrive whole, in order and unchanged, or the
 * connection ends and everything on its way is gone. Each end notices that in its own time; what it sends
 * before is taken, and lost. */

static const struct sim_link lan = { .latency_ms = 2, .bytes_per_s = 10000000, .window = 1 << 20 };

static void
way_clear(struct sim_way *way)
{
    for (size_t n = way->first; n < way->count; n++) {
        buf_free(&way->frames[n].bytes);
    }
    way->first = 0;
    way->count = 0;
    way->bytes = 0;
}

struct sim_conn *
network_find(struct sim *sim, int node_no, uint32_t number, int *end_out)
{
    const struct sim_node *node = &sim->nodes[node_no];

    for (size_t n = 0; n < node->conn_count; n++) {
        for (int end = 0; end < 2; end++) {
            if (node->conns[n]->ends[end].node == node_no && node->conns[n]->ends[end].number == number) {
                *end_out = end;
                return node->conns[n];
            }
        }
    }
    return NULL;
}

/* Both ends know it: a node looks at its own only, however many there are. */
static void
list_at(struct sim *sim, struct sim_conn *conn, int end)
{
    if (conn->ends[end].node < 0) {
        return;
    }
    struct sim_node *node = &sim->nodes[conn->ends[end].node];
    if (node->conn_count == node->conn_max) {
        node->conn_max = node->conn_max == 0 ? 4 : node->conn_max * 2;
        node->conns = realloc(node->conns, node->conn_max * sizeof(struct sim_conn *));
        assert(node->conns != NULL);
    }
    node->conns[node->conn_count++] = conn;
}

static void
unlist_at(struct sim *sim, const struct sim_conn *conn, int end)
{
    size_t kept = 0;

    if (conn->ends[end].node < 0) {
        return;
    }
    struct sim_node *node = &sim->nodes[conn->ends[end].node];
    for (size_t n = 0; n < node->conn_count; n++) {
        if (node->conns[n] != conn) {
            node->conns[kept++] = node->conns[n];
        }
    }
    node->conn_count = kept;
}

struct sim_conn *
network_connect(struct sim *sim, int dialler, int listener, int link)
{
    struct sim_conn *conn = calloc(1, sizeof *conn);
    const struct sim_link *like = link < 0 ? &lan : &sim->links[link];

    assert(conn != NULL);
    sim->conns = realloc(sim->conns, (sim->conn_count + 1) * sizeof(struct sim_conn *));
    assert(sim->conns != NULL);
    conn->place = sim->conn_count;
    sim->conns[sim->conn_count++] = conn;
    conn->link = link;
    conn->latency_ms = like->latency_ms;
    conn->bytes_per_s = like->bytes_per_s;
    conn->window = like->window;
    for (int end = 0; end < 2; end++) {
        conn->ends[end] = (struct sim_end){ .node = end == 0 ? dialler : listener,
                                            .number = ++sim->next_number,
                                            .up = true };
        list_at(sim, conn, end);
    }
    return conn;
}

void
network_cut(struct sim *sim, struct sim_conn *conn, const char *why)
{
    if (conn->cut) {
        return;
    }
    sim_note(sim, "cut %u-%u: %s", conn->ends[0].number, conn->ends[1].number, why);
    sim->stats.cuts++;
    conn->cut = true;
    for (int way = 0; way < 2; way++) {
        way_clear(&conn->ways[way]);
        if (conn->ends[way].up && conn->ends[way].down_at_ms == 0) {
            conn->ends[way].down_at_ms = sim->now_ms + chance_between(&sim->chance, 1, 4000);
        }
    }
}

void
network_cut_node(struct sim *sim, int node, const char *why)
{
    for (size_t n = 0; n < sim->conn_count; n++) {
        for (int end = 0; end < 2; end++) {
            if (sim->conns[n]->ends[end].node == node) {
                network_cut(sim, sim->conns[n], why);
                sim->conns[n]->ends[end].up = false;
            }
        }
    }
}

void
network_sweep(struct sim *sim)
{
    size_t kept = 0;

    for (size_t n = 0; n < sim->conn_count; n++) {
        struct sim_conn *conn = sim->conns[n];

        if (conn->cut && !conn->ends[0].up && !conn->ends[1].up) {
            for (int way = 0; way < 2; way++) {
                way_clear(&conn->ways[way]);
                free(conn->ways[way].frames);
                unlist_at(sim, conn, way);
            }
            free(conn);
        } else {
            conn->place = kept;
            sim->conns[kept++] = conn;
        }
    }
    sim->conn_count = kept;
}

static bool
is_connected(const struct sim *sim, int a, int b)
{
    for (size_t n = 0; n < sim->nodes[a].conn_count; n++) {
        const struct sim_end *ends = sim->nodes[a].conns[n]->ends;

        /* A dialler whose end is still up does not know better. */
        if ((ends[0].node == a && ends[1].node == b && (ends[0].up || ends[1].up)) ||
            (ends[0].node == b && ends[1].node == a && (ends[0].up || ends[1].up))) {
            return true;
        }
    }
    return false;
}

static bool
knows(const struct sim_node *node, const struct sim_node *other)
{
    return roster_device(replica_roster(node->replica), &other->device->identity.device_id) != NULL;
}

/* While the weather is bad some lines are paid for by the byte, and some of those have little left, or nothing. */
static void
choose_line(struct sim *sim, struct sim_node *node, uint32_t number)
{
    if (!sim->chaos || !sim->metered || !chance_one_in(&sim->chance, 8)) {
        return;
    }
    enum gossip_allowance allowance = chance_one_in(&sim->chance, 3)   ? GOSSIP_URGENT
                                      : chance_one_in(&sim->chance, 8) ? GOSSIP_NONE
                                                                       : GOSSIP_ALL;
    sim_note(sim, "%s %u: a metered line, allowance %d", node->device->name, number, (int)allowance);
    gossip_line(node->gossip, number, PROFILE_METERED, allowance);
}

static void
up(struct sim *sim, struct sim_conn *conn)
{
    for (int end = 0; end < 2; end++) {
        struct sim_node *node = &sim->nodes[conn->ends[end].node];
        struct sim_node *other = &sim->nodes[conn->ends[1 - end].node];

        enum err err = gossip_up(node->gossip, conn->ends[end].number, &other->device->identity.device_id,
                                 end == 0, sim->now_ms + node->steady_ms);
        if (err != ERR_OK) {
            sim_fail(sim, "gossip_up: %s", err_code(err));
        }
        choose_line(sim, node, conn->ends[end].number);
        node->flush_due = true;
        node->flush_ms = sim->now_ms;
    }
}

static void
dial(struct sim *sim, size_t link_no, int from)
{
    struct sim_link *link = &sim->links[link_no];
    int a = from == 0 ? link->a : link->b;
    int b = from == 0 ? link->b : link->a;

    link->dial_ms[from] = sim->now_ms + chance_between(&sim->chance, 1000, 5000);
    if (link->split || !node_is_up(&sim->nodes[a]) || !node_is_up(&sim->nodes[b]) ||
        is_connected(sim, a, b) || !knows(&sim->nodes[a], &sim->nodes[b]) ||
        !knows(&sim->nodes[b], &sim->nodes[a])) {
        return;
    }
    struct sim_conn *conn = network_connect(sim, a, b, (int)link_no);
    sim_note(sim, "connect %s %u - %s %u", sim->nodes[a].device->name, conn->ends[0].number,
             sim->nodes[b].device->name, conn->ends[1].number);
    up(sim, conn);
    if (link->both && chance_one_in(&sim->chance, 3)) {
        struct sim_conn *second = network_connect(sim, b, a, (int)link_no);

        sim_note(sim, "and back %u - %u", second->ends[0].number, second->ends[1].number);
        up(sim, second);
    }
}

void
network_dial(struct sim *sim)
{
    for (size_t n = 0; n < sim->link_count; n++) {
        for (int from = 0; from < (sim->links[n].both ? 2 : 1); from++) {
            if (sim->now_ms >= sim->links[n].dial_ms[from]) {
                dial(sim, n, from);
            }
        }
    }
}

void
network_put(struct sim *sim, struct sim_conn *conn, int way_no, struct span frame, bool flipped)
{
    struct sim_way *way = &conn->ways[way_no];
    uint64_t from_ms = way->busy_ms > sim->now_ms ? way->busy_ms : sim->now_ms;

    if (way->first > 0 && way->first == way->count) {
        way->first = 0;
        way->count = 0;
    }
    if (way->count == way->capacity) {
        way->capacity = way->capacity == 0 ? 16 : way->capacity * 2;
        way->frames = realloc(way->frames, way->capacity * sizeof *way->frames);
        assert(way->frames != NULL);
    }
    struct sim_frame *put = &way->frames[way->count++];
    way->busy_ms = from_ms + frame.size * 1000 / conn->bytes_per_s;
    *put = (struct sim_frame){ .arrive_ms = way->busy_ms + conn->latency_ms, .flipped = flipped };
    /* Weather: a frame is late, and with it all that follow. */
    if (conn->link >= 0 && chance_one_in(&sim->chance, 40)) {
        put->arrive_ms += chance_below(&sim->chance, 1500);
    }
    if (way->count - way->first > 1 && put->arrive_ms < put[-1].arrive_ms) {
        put->arrive_ms = put[-1].arrive_ms;
    }
    buf_put_span(&put->bytes, frame);
    way->bytes += frame.size;
}

bool
network_send(struct sim *sim, int node_no, uint32_t number, struct span frame)
{
    struct sim_node *node = &sim->nodes[node_no];
    int end = 0;
    struct sim_conn *conn = network_find(sim, node_no, number, &end);

    if (replica_in_turn(node->replica)) {
        sim_fail(sim, "%s answered before its turn was committed", node->device->name);
    }
    if (conn == NULL || !conn->ends[end].up) {
        return false;
    }
    if (conn->ways[end].bytes + frame.size > conn->window ||
        (sim->chaos && conn->link >= 0 && chance_one_in(&sim->chance, 30))) {
        node->flush_due = true;
        node->flush_ms = sim->now_ms + chance_between(&sim->chance, 10, 300);
        return false;
    }
    check_frame(sim, conn, end, frame);
    sim->stats.frames++;
    sim->stats.bytes += frame.size;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t n = 0; n < frame.size; n++) {
        hash = (hash ^ frame.data[n]) * UINT64_C(0x100000001b3);
    }
    sim_note(sim, "%s %u sends %s of %zu B, %016llx", node->device->name, number,
             frame.size > 0 ? frame_type_text((enum frame_type)frame.data[0]) : "nothing", frame.size,
             (unsigned long long)hash);
    if (sim->on_send != NULL) {
        sim->on_send(sim, conn, end, frame);
    }
    mallory_record(sim, frame);
    if (!conn->cut) {
        network_put(sim, conn, end, frame, false);
        if (sim->chaos && conn->link >= 0 && chance_one_in(&sim->chance, 150)) {
            network_cut(sim, conn, "in the middle of a frame");
        }
    }
    return true;
}

bool
network_take(struct sim *sim, struct sim_conn *conn, int end, struct sim_frame *frame_out)
{
    struct sim_way *way = &conn->ways[1 - end];

    if (way->first == way->count || way->frames[way->first].arrive_ms > sim->now_ms) {
        return false;
    }
    *frame_out = way->frames[way->first++];
    way->bytes -= frame_out->bytes.size;
    return true;
}

size_t
network_in_flight(const struct sim *sim)
{
    size_t count = 0;

    for (size_t n = 0; n < sim->conn_count; n++) {
        for (int way = 0; way < 2; way++) {
            count += sim->conns[n]->ways[way].count - sim->conns[n]->ways[way].first;
        }
    }
    return count;
}

static void
sooner(uint64_t *at, uint64_t other)
{
    *at = other < *at ? other : *at;
}

uint64_t
network_wake_ms(const struct sim *sim)
{
    uint64_t at = UINT64_MAX;

    for (size_t n = 0; n < sim->conn_count; n++) {
        for (int end = 0; end < 2; end++) {
            const struct sim_end *at_end = &sim->conns[n]->ends[end];
            const struct sim_way *way = &sim->conns[n]->ways[1 - end];

            if (at_end->up && at_end->down_at_ms != 0) {
                sooner(&at, at_end->down_at_ms);
            }
            if (way->first < way->count) {
                sooner(&at, way->frames[way->first].arrive_ms);
            }
        }
    }
    for (size_t n = 0; n < sim->link_count; n++) {
        for (int from = 0; from < (sim->links[n].both ? 2 : 1); from++) {
            sooner(&at, sim->links[n].dial_ms[from]);
        }
    }
    return at;
}
