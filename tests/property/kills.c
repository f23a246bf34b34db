/* I7: whoever is killed, whenever, loses nothing that was acknowledged.
 *
 *     [ test: is net of each node, writes there, kills ]
 *         |  channel          |  channel         |  channel      frames of gossip go from one to the other
 *      [ ken 1 ]           [ ken 2 ]          [ hq ]             processes: replica, loop, local API
 *
 * Three nodes run the daemon's own loop over their folders, with their keys at hand: no passphrase is asked, which is most of what a start
 * costs. All three save in the same compartment by the local API, and exchange. Again and again one of them gets a SIGKILL, at a moment that
 * chance chooses: at rest, right after it was asked to save, or while it starts. It is started on the same folder. What an answer called
 * saved is there then, with its value; so is every entry that it has told a peer to keep, and every entry of its own that it has ever sent,
 * as it was sent: no number of a log is signed twice. In the end all three hold the same.
 *
 * VIGIL_KILLS=N kills so often, VIGIL_KILLS_SEED=N chooses other moments.
 */
#include "node/channel.h"
#include "node/loop.h"
#include "node/spawn.h"
#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/search_words.h"
#include "tests/support/chance.h"
#include "tests/support/check.h"
#include "tests/support/organisation.h"
#include "tests/support/proving.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"
#include "tests/support/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    NODES = 3,
    KILLS = 300,
    ERA_KILLS = 100,  /* then with a new organisation: what is checked at a start grows with what was saved */
    ON_THEIR_WAY = 3, /* requests to one node */
    SAVES_MAX = 6,    /* of one node between two kills */
    PROOF_EACH = 16,  /* starts */
    PROBE_MS = 60 * 1000,
    CHANNEL_FD = 3,
    REPORT_FD = 4,
    REST_US_MAX = 30000,
    SAVE_US_MAX = 5000,
    START_US_MAX = 12000,
    BEGIN_US_MAX = 3000,
    STUCK_US = 120 * 1000 * 1000,
};

/* What a process reports, each a byte; after REPORT_FAULT comes a text. */
enum { REPORT_OPEN = 'o', REPORT_READY = 'r', REPORT_FAULT = '!' };

/* A record, and the numbers of its pseudonym: the last that was acknowledged, and the last that was asked for. */
struct fact {
    size_t writer;
    struct ident record;
    uint32_t first;
    uint32_t acknowledged; /* 0: not even that it was made */
    uint32_t asked;
};

struct saving {
    size_t fact;
    uint32_t number;
};

static struct node {
    struct test_node *test;
    pid_t pid; /* 0: it does not run */
    bool open; /* it has reported so */
    bool ready;
    bool connected; /* it listens, and its peers that do are told so */
    int report;
    struct buf fault;
    struct channel channel; /* the end that is net's */
    int api;
    struct buf in;
    size_t saves_left;
    uint64_t asked; /* requests, ever */
    struct saving savings[ON_THEIR_WAY];
    size_t saving_count;
    json_t *digest; /* the last answer to that question */
    bool digest_asked;
} nodes[NODES];

static struct test_organisation org;
static struct chance chance;
static struct ident compartments[3]; /* that all three hold: cases, what is protected of them, control */
static struct witness witness;
static struct fact *facts;
static size_t fact_count;
static uint32_t last_number;

/* When they were killed. */
enum moment { KILLED_OPENING, KILLED_BEGINNING, KILLED_SAVING, KILLED_AT_REST, MOMENTS };
static size_t killed[MOMENTS];
static size_t starts;
static uint64_t saved;
static uint64_t sent_entries;
static uint64_t kept_entries;

/* --- net: the loop of a process takes the channel that it was given for one to a net process --- */

enum err __wrap_spawn_start(struct spawn *spawn, uint64_t now_ms, int *fd_out);
enum spawn_news __wrap_spawn_check(struct spawn *spawn, uint64_t now_ms, int *fd_out);
void __wrap_spawn_stop(struct spawn *spawn);

enum err
__wrap_spawn_start(struct spawn *spawn, uint64_t now_ms, int *fd_out)
{
    spawn->pid = getppid();
    spawn->started_ms = now_ms;
    *fd_out = CHANNEL_FD;
    return ERR_OK;
}

enum spawn_news
__wrap_spawn_check(struct spawn *spawn, uint64_t now_ms, int *fd_out)
{
    (void)spawn;
    (void)now_ms;
    (void)fd_out;
    return SPAWN_NOTHING;
}

void
__wrap_spawn_stop(struct spawn *spawn)
{
    spawn->pid = 0;
}

/* --- the process of a node: nothing of Check here, whose pipe is the test's --- */

static _Noreturn void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void
fault(const char *format, ...)
{
    char text[256] = { REPORT_FAULT };
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text + 1, sizeof text - 1, format, args);
    va_end(args);
    (void)!write(REPORT_FD, text, strlen(text));
    _exit(1);
}

static void
report(char what)
{
    if (write(REPORT_FD, &what, 1) != 1) {
        fault("cannot report");
    }
}

static void
found(void *self, enum proof_part part, const char *what)
{
    (void)self;
    fault("%s: %s", proof_part_name(part), what);
}

static uint32_t
field_number(const char *name)
{
    const struct codebook *codebook = codebook_reprisals();

    return codebook_field_by_name(codebook, codebook_kind_by_name(codebook, "person")->number, name)->number;
}

/* The number in the one value of a field, which says "P-17" or the like; 0: there is none, or several. */
static uint32_t
number_in(const struct record_view *view, const char *field)
{
    uint32_t number = field_number(field);
    char text[32];

    for (size_t n = 0; view != NULL && n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];

        if (target->target.field != number || target->value_count != 1) {
            continue;
        }
        struct cbor_reader value = cbor_reader_of(target->values[0].value);
        struct span words = cbor_read_text(&value);
        (void)snprintf(text, sizeof text, "%.*s", (int)words.size, (const char *)words.data);
        return words.size > 2 ? (uint32_t)strtoul(text + 2, NULL, 10) : 0;
    }
    return 0;
}

static void
check_fact(struct replica *replica, const struct fact *fact)
{
    struct arena arena = { 0 };
    struct replica_view view;
    enum err err = replica_read(replica, &compartments[0], &fact->record, &arena, &view);

    if (err != ERR_OK) {
        fault("a record that was acknowledged is not there: %s", err_code(err));
    }
    uint32_t shown = number_in(view.open, "pseudonym");
    if (shown < fact->acknowledged || shown > fact->asked) {
        fault("a record shows number %u; %u was acknowledged, %u asked for", shown, fact->acknowledged,
              fact->asked);
    }
    if (number_in(view.protected_half, "name.text") != fact->first) {
        fault("a record lacks the name that it was made with");
    }
    arena_free(&arena);
}

/* Of a log: all that this node said to keep; of an own one, all that it sent. */
static void
check_log(struct replica *replica, struct table_txn *txn, size_t self, const struct witness_log *log)
{
    const struct log_branch *branch = journal_log_by_prefix(replica_journal(replica), log->name);
    uint64_t kept = log->kept_next[self];

    if (branch != NULL && hash_equal(&branch->device_id, &nodes[self].test->identity.device_id)) {
        kept = kept > log->salt_count ? kept : log->salt_count;
    }
    if (kept > 0 && (branch == NULL || branch->next_seq < kept)) {
        fault("a log ends at %" PRIu64 "; it was sent, or said to be kept, up to %" PRIu64,
              branch == NULL ? 0 : branch->next_seq, kept);
    }
    for (uint64_t seq = 0; seq < kept; seq++) {
        struct journal_entry entry;

        if (seq >= log->salt_count || log->salts[seq] == 0) {
            continue;
        }
        enum err err = journal_read(replica_journal(replica), txn, branch->log_no, seq, &entry);
        if (err != ERR_OK || bytes_read_u64(entry.entry.salt) != log->salts[seq]) {
            fault("entry %" PRIu64 " of a log is not the one that was sent: %s", seq, err_code(err));
        }
    }
}

static void
check_all(struct replica *replica, size_t self, bool facts_of_all)
{
    struct replica_setbacks setbacks = replica_setbacks(replica);
    const struct journal *journal = replica_journal(replica);
    struct table_txn *txn = NULL;

    if (setbacks.incarnations != 0 || setbacks.lost_tails != 0) {
        fault("it takes itself for rolled back");
    }
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        if (journal_branch(journal, no)->parent != LOG_NONE) {
            fault("a log forked");
        }
    }
    enum err err = replica_begin_read(replica, &txn);
    if (err != ERR_OK) {
        fault("it cannot be read: %s", err_code(err));
    }
    for (size_t n = 0; n < witness.log_count; n++) {
        check_log(replica, txn, self, &witness.logs[n]);
    }
    replica_end_read(replica, &txn);
    for (size_t n = 0; n < fact_count; n++) {
        if (facts[n].acknowledged > 0 && (facts_of_all || facts[n].writer == self)) {
            check_fact(replica, &facts[n]);
        }
    }
}

static void
check_proof(struct replica *replica)
{
    struct proof proof;

    if (proving_run(replica, found, NULL, &proof) != ERR_OK || proof.checked[PROOF_LOGS] == 0) {
        fault("it cannot be gone through");
    }
}

/* What LMDB goes by on its pages is right, however often it was left in the middle of something. */
static void
check_pages(const struct test_node *test, const struct world *world)
{
    static const char *const names[] = { "main", "keys" };
    static const enum table_set sets[] = { TABLE_SET_MAIN, TABLE_SET_KEYS };
    char path[256];

    for (size_t n = 0; n < 2; n++) {
        (void)snprintf(path, sizeof path, "%s/%s", test->directory, names[n]);
        enum err err = table_env_probe(
            &(struct table_options){ .path = path, .set = sets[n], .world = world }, PROBE_MS);
        if (err != ERR_OK) {
            fault("the pages of %s: %s", names[n], err_code(err));
        }
    }
}

enum checks { CHECK_NOTHING, CHECK_OWN, CHECK_AND_PROVE, CHECK_THE_END };

static struct replica *
open_replica(const struct test_node *test, const struct world *world)
{
    struct replica *replica = NULL;
    enum err err = replica_open(&replica, &(struct replica_options){ .directory = test->directory,
                                                                     .world = world,
                                                                     .storage_key = &test->storage_key,
                                                                     .codebook = test->codebook });

    if (err != ERR_OK) {
        fault("it does not open: %s", err_code(err));
    }
    return replica;
}

static _Noreturn void
be_node(size_t self, enum checks checks)
{
    static char nothing[] = "";
    struct config config = {
        .name = nothing, .listen = nothing, .announce = nothing, .line = { .profile = PROFILE_LAN }
    };
    const struct test_node *test = nodes[self].test;
    struct real_world world;
    struct loop *loop = NULL;

    real_world_init(&world);
    if (checks >= CHECK_AND_PROVE) {
        check_pages(test, &world.world);
    }
    struct replica *replica = open_replica(test, &world.world);
    report(REPORT_OPEN);
    if (checks != CHECK_NOTHING) {
        check_all(replica, self, checks == CHECK_THE_END);
    }
    if (checks >= CHECK_AND_PROVE) {
        check_proof(replica);
    }
    if (checks == CHECK_THE_END) {
        replica_close(&replica);
        _exit(0);
    }
    enum err err = loop_open(&loop, &(struct loop_options){ .replica = replica,
                                                            .world = &world,
                                                            .config = &config,
                                                            .directory = test->directory,
                                                            .version = "test" });
    if (err != ERR_OK) {
        fault("its loop does not open: %s", err_code(err));
    }
    report(REPORT_READY);
    err = loop_run(loop);
    if (err != ERR_OK) {
        fault("its loop ended: %s", err_code(err));
    }
    loop_close(&loop);
    replica_close(&replica);
    _exit(0);
}

static void
start(size_t self, enum checks checks)
{
    struct node *node = &nodes[self];
    pid_t test = getpid();
    int channel[2];
    int reports[2];

    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == 0);
    EXPECT(pipe2(reports, O_CLOEXEC | O_NONBLOCK) == 0);
    node->pid = fork();
    EXPECT(node->pid >= 0);
    if (node->pid == 0) {
        /* It dies with the test, and holds nothing of what the test holds of other nodes. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        int from[] = { fcntl(channel[1], F_DUPFD, 64), fcntl(reports[1], F_DUPFD, 64) };
        if (getppid() != test || dup2(from[0], CHANNEL_FD) < 0 || dup2(from[1], REPORT_FD) < 0 ||
            close_range(REPORT_FD + 1, ~0U, 0) != 0) {
            _exit(1);
        }
        be_node(self, checks);
    }
    (void)close(channel[1]);
    (void)close(reports[1]);
    node->report = reports[0];
    node->open = false;
    node->ready = false;
    node->connected = false;
    node->api = -1;
    EXPECT(channel_open(&node->channel, channel[0], CHANNEL_NET) == ERR_OK);
    starts++;
}

/* --- between them --- */

static size_t
node_of_device(const struct hash *device_id)
{
    for (size_t n = 0; n < NODES; n++) {
        if (hash_equal(&nodes[n].test->identity.device_id, device_id)) {
            return n;
        }
    }
    ck_abort_msg("a frame for no node of the test");
}

static void
connect_two(size_t a, size_t b)
{
    witness_connected(&witness, a, b);
    channel_put_up(&nodes[a].channel, &nodes[b].test->identity.device_id);
    channel_put_up(&nodes[b].channel, &nodes[a].test->identity.device_id);
}

static void
connect_to_all(size_t self)
{
    nodes[self].connected = true;
    channel_put_ready(&nodes[self].channel, span_text(""));
    for (size_t n = 0; n < NODES; n++) {
        if (n != self && nodes[n].connected) {
            connect_two(self, n);
        }
    }
}

static void
carry(size_t from, const struct channel_frame *frame)
{
    size_t to = node_of_device(&frame->device_id);
    const char *wrong = witness_frame(&witness, from, to, frame->bytes);

    if (wrong != NULL) {
        ck_abort_msg("%s sends to %s: %s", nodes[from].test->request.name, nodes[to].test->request.name,
                     wrong);
    }
    if (nodes[to].connected) {
        channel_put_message(&nodes[to].channel, &nodes[from].test->identity.device_id, frame->bytes);
    }
}

/* A session that ends by itself begins anew with a new connection. */
static void
reconnect(size_t a, size_t b)
{
    if (nodes[a].connected && nodes[b].connected) {
        channel_put_down(&nodes[a].channel, &nodes[b].test->identity.device_id, LINK_HUNG_UP);
        channel_put_down(&nodes[b].channel, &nodes[a].test->identity.device_id, LINK_DISCONNECTED);
        connect_two(a, b);
    }
}

static void
hear_channel(size_t self)
{
    struct node *node = &nodes[self];
    struct channel_frame frame;

    channel_read(&node->channel);
    while (channel_next(&node->channel, &frame)) {
        switch (frame.type) {
        case CHANNEL_LISTEN:
            connect_to_all(self);
            break;
        case CHANNEL_MESSAGE:
            carry(self, &frame);
            break;
        case CHANNEL_HANGUP:
            reconnect(self, node_of_device(&frame.device_id));
            break;
        case CHANNEL_PING:
            channel_put_pong(&node->channel);
            break;
        default:
            break; /* there is no key, no roster and nobody to be dialled here */
        }
    }
    EXPECT(!node->channel.failed);
}

/* --- people --- */

static void
open_api(struct node *node)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.*s/api", (int)sizeof address.sun_path - 8,
                   node->test->directory);
    node->api = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(node->api >= 0);
    EXPECT(connect(node->api, (struct sockaddr *)&address, sizeof address) == 0);
    EXPECT(fcntl(node->api, F_SETFL, O_NONBLOCK) == 0);
}

/* A line is shorter than what a socket takes at once. A node that is gone does not hear it. */
static void
ask(struct node *node, const char *line)
{
    size_t size = strlen(line);
    ssize_t put = send(node->api, line, size, MSG_NOSIGNAL);

    EXPECT(put == (ssize_t)size || (put < 0 && (errno == EPIPE || errno == ECONNRESET)));
}

/* One of the records that this node made, or none. */
static struct fact *
fact_of(size_t self)
{
    for (int n = 0; n < 8 && fact_count > 0; n++) {
        struct fact *fact = &facts[chance_below(&chance, fact_count)];

        if (fact->writer == self && fact->acknowledged > 0) {
            return fact;
        }
    }
    return NULL;
}

/* Make a person, or give one another pseudonym. */
static void
ask_to_save(size_t self)
{
    struct node *node = &nodes[self];
    struct fact *fact = chance_one_in(&chance, 2) ? fact_of(self) : NULL;
    uint32_t number = ++last_number;
    char line[320];

    if (fact == NULL) {
        facts = realloc(facts, (fact_count + 1) * sizeof *facts);
        EXPECT(facts != NULL);
        fact = &facts[fact_count++];
        *fact = (struct fact){ .writer = self, .first = number };
        (void)snprintf(line, sizeof line,
                       "{\"id\":%u,\"do\":\"record.save\",\"kind\":\"person\",\"office\":\"KEN\","
                       "\"set\":{\"pseudonym\":\"P-%u\"},"
                       "\"add\":[{\"to\":\"name\",\"fields\":{\"text\":\"N-%u\"}}]}\n",
                       number, number, number);
    } else {
        char record[2 * IDENT_BYTES + 1];

        bytes_hex(record, ident_span(&fact->record));
        (void)snprintf(line, sizeof line,
                       "{\"id\":%u,\"do\":\"record.save\",\"record\":\"%s\",\"set\":{\"pseudonym\":\"P-%u\"},"
                       "\"resolve\":[\"pseudonym\"]}\n",
                       number, record, number);
    }
    fact->asked = number;
    node->savings[node->saving_count++] = (struct saving){ (size_t)(fact - facts), number };
    node->asked++;
    ask(node, line);
}

static void
take_answer(size_t self, json_t *answer)
{
    struct node *node = &nodes[self];
    const json_t *ok = json_object_get(answer, "ok");
    json_int_t id = json_integer_value(json_object_get(answer, "id"));

    if (ok == NULL) {
        ck_abort_msg("refused: %s", json_dumps(answer, JSON_COMPACT));
    }
    if (id == 0) {
        json_decref(node->digest);
        node->digest = json_deep_copy(ok);
        node->digest_asked = false;
        return;
    }
    EXPECT(node->saving_count > 0 && node->savings[0].number == id);
    struct fact *fact = &facts[node->savings[0].fact];
    struct ident record;
    EXPECT(
        bytes_from_hex(record.bytes, sizeof record.bytes, json_string_value(json_object_get(ok, "record"))));
    EXPECT(fact->acknowledged == 0 || ident_equal(&record, &fact->record));
    fact->record = record;
    fact->acknowledged = (uint32_t)id;
    saved++;
    node->saving_count--;
    memmove(node->savings, node->savings + 1, node->saving_count * sizeof node->savings[0]);
}

static void
hear_api(size_t self)
{
    struct node *node = &nodes[self];
    uint8_t bytes[4096];
    ssize_t got;
    uint8_t *end;

    while ((got = recv(node->api, bytes, sizeof bytes, 0)) > 0) {
        buf_put(&node->in, bytes, (size_t)got);
    }
    /* A line that was cut was never an answer. */
    while (node->in.size > 0 && (end = memchr(node->in.data, '\n', node->in.size)) != NULL) {
        size_t size = (size_t)(end - node->in.data) + 1;
        json_t *answer = json_loadb((const char *)node->in.data, size, 0, NULL);

        EXPECT(answer != NULL);
        take_answer(self, answer);
        json_decref(answer);
        node->in.size -= size;
        memmove(node->in.data, node->in.data + size, node->in.size);
    }
}

static void
hear_report(struct node *node)
{
    uint8_t bytes[256];
    ssize_t got;

    while ((got = read(node->report, bytes, sizeof bytes)) > 0) {
        for (ssize_t n = 0; n < got; n++) {
            if (node->fault.size > 0 || bytes[n] == REPORT_FAULT) {
                buf_put_u8(&node->fault, bytes[n]);
            } else if (bytes[n] == REPORT_OPEN) {
                node->open = true;
            } else {
                node->ready = true;
            }
        }
    }
}

/* --- time passes --- */

static uint64_t
now_us(void)
{
    struct timespec now;

    EXPECT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A node that ends unasked has something to say. */
static void
expect_alive(struct node *node)
{
    int status;

    if (waitpid(node->pid, &status, WNOHANG) == node->pid) {
        hear_report(node);
        ck_abort_msg("%s ended with status %x%.*s", node->test->request.name, (unsigned)status,
                     (int)node->fault.size, (const char *)node->fault.data);
    }
}

static void
ask_around(void)
{
    for (size_t n = 0; n < NODES; n++) {
        while (nodes[n].api >= 0 && nodes[n].saves_left > 0 && nodes[n].saving_count < ON_THEIR_WAY) {
            nodes[n].saves_left--;
            ask_to_save(n);
        }
    }
}

/* Carry, ask and hear what there is; wait for it at most so long. */
static void
pump(uint64_t most_us)
{
    struct pollfd fds[3 * NODES];
    struct timespec wait = { .tv_sec = (time_t)(most_us / 1000000),
                             .tv_nsec = (long)(most_us % 1000000) * 1000 };

    ask_around();
    for (size_t n = 0; n < NODES; n++) {
        const struct node *node = &nodes[n];
        short out = node->pid != 0 && channel_queued(&node->channel) > 0 ? POLLOUT : 0;

        fds[3 * n] = (struct pollfd){ .fd = node->pid != 0 ? node->report : -1, .events = POLLIN };
        fds[3 * n + 1] =
            (struct pollfd){ .fd = node->pid != 0 ? node->channel.fd : -1, .events = (short)(POLLIN | out) };
        fds[3 * n + 2] = (struct pollfd){ .fd = node->api, .events = POLLIN };
    }
    (void)ppoll(fds, 3 * NODES, &wait, NULL);
    for (size_t n = 0; n < NODES; n++) {
        if (fds[3 * n].revents != 0) {
            hear_report(&nodes[n]);
            expect_alive(&nodes[n]);
            if (nodes[n].ready && nodes[n].api < 0) {
                open_api(&nodes[n]);
            }
        }
        if (fds[3 * n + 1].revents != 0) {
            hear_channel(n);
        }
        if (fds[3 * n + 2].revents != 0) {
            hear_api(n);
        }
    }
    for (size_t n = 0; n < NODES; n++) {
        if (nodes[n].pid != 0) {
            channel_write(&nodes[n].channel);
        }
    }
}

static void
pump_for(uint64_t us)
{
    uint64_t end = now_us() + us;

    for (uint64_t now = now_us(); now < end; now = now_us()) {
        pump(end - now);
    }
}

/* Until the nodes are as they should be; `what` is said where they never are. */
static void
pump_until(bool (*reached)(size_t self, uint64_t value), size_t self, uint64_t value, const char *what)
{
    uint64_t end = now_us() + STUCK_US;

    while (!reached(self, value)) {
        if (now_us() > end) {
            ck_abort_msg("%s", what);
        }
        pump(20000);
    }
}

static bool
is_open(size_t self, uint64_t unused)
{
    (void)unused;
    return nodes[self].open;
}

static bool
is_ready(size_t self, uint64_t unused)
{
    (void)unused;
    return nodes[self].api >= 0;
}

/* --- kills --- */

/* What it wrote before it died still arrives. */
static void
hear_the_rest(size_t self)
{
    struct node *node = &nodes[self];

    while (!node->channel.closed) {
        hear_channel(self);
    }
    hear_report(node);
    if (node->api >= 0) {
        hear_api(self);
        (void)close(node->api);
        node->api = -1;
    }
    node->in.size = 0;
    (void)close(node->report);
    channel_close(&node->channel);
}

static void
bury(size_t self)
{
    struct node *node = &nodes[self];

    hear_the_rest(self);
    for (size_t n = 0; node->connected && n < NODES; n++) {
        if (n != self && nodes[n].connected) {
            channel_put_down(&nodes[n].channel, &node->test->identity.device_id, LINK_DISCONNECTED);
        }
    }
    node->pid = 0;
    node->ready = false;
    node->connected = false;
    node->saving_count = 0;
    node->digest_asked = false;
}

static void
kill_node(size_t self)
{
    struct node *node = &nodes[self];
    int status;

    enum moment moment = !node->open              ? KILLED_OPENING
                         : !node->ready           ? KILLED_BEGINNING
                         : node->saving_count > 0 ? KILLED_SAVING
                                                  : KILLED_AT_REST;
    EXPECT(kill(node->pid, SIGKILL) == 0);
    EXPECT(waitpid(node->pid, &status, 0) == node->pid);
    bury(self);
    if (!WIFSIGNALED(status) || node->fault.size > 0) {
        ck_abort_msg("%s had ended%.*s", node->test->request.name, (int)node->fault.size,
                     (const char *)node->fault.data);
    }
    killed[moment]++;
}

static size_t
kills(void)
{
    size_t count = 0;

    for (size_t n = 0; n < MOMENTS; n++) {
        count += killed[n];
    }
    return count;
}

static bool
has_been_asked(size_t self, uint64_t times)
{
    return nodes[self].asked >= times;
}

/* One is killed, or two at once; each is started again, which may take several times. */
static void
kill_some(size_t most)
{
    size_t victim = chance_below(&chance, NODES);
    bool both = chance_one_in(&chance, 8);

    for (size_t n = 0; n < NODES; n++) {
        nodes[n].saves_left = chance_below(&chance, SAVES_MAX + 1);
    }
    pump_until(is_ready, victim, 0, "a node does not come up");
    if (chance_one_in(&chance, 2)) {
        nodes[victim].saves_left++;
        pump_until(has_been_asked, victim, nodes[victim].asked + 1, "a node is not asked");
        pump_for(chance_below(&chance, SAVE_US_MAX));
    } else {
        pump_for(chance_below(&chance, REST_US_MAX));
    }
    for (size_t n = 0; n < (both ? 2U : 1U); n++) {
        kill_node((victim + n) % NODES);
    }
    for (size_t n = 0; n < (both ? 2U : 1U); n++) {
        size_t self = (victim + n) % NODES;

        while (chance_one_in(&chance, 3) && kills() < most) {
            start(self, CHECK_NOTHING);
            if (chance_one_in(&chance, 2)) {
                pump_until(is_open, self, 0, "a node does not open");
                pump_for(chance_below(&chance, BEGIN_US_MAX));
            } else {
                pump_for(chance_below(&chance, START_US_MAX));
            }
            kill_node(self);
        }
        start(self, starts % PROOF_EACH == 0 ? CHECK_AND_PROVE : CHECK_OWN);
    }
}

/* --- an organisation --- */

static void
begin_era(uint64_t seed)
{
    test_organisation_init(&org, seed);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    for (size_t n = 0; n < NODES; n++) {
        nodes[n] = (struct node){ .api = -1 };
        nodes[n].test = test_organisation_enrol(&org, n < 2 ? "KEN" : "HQ", LEVEL_ADMIN, NULL, 0);
    }
    for (size_t n = 0; n < NODES; n++) {
        test_node_join(&org, nodes[n].test);
    }
    test_node_exchange(nodes[0].test, nodes[1].test);
    test_node_exchange(nodes[0].test, nodes[2].test);
    test_node_exchange(nodes[1].test, nodes[2].test);
    compartments[0] = test_compartment(nodes[0].test, "KEN", OWN_CASES);
    compartments[1] = test_compartment(nodes[0].test, "KEN", OWN_PROTECTED);
    compartments[2] = *roster_control(replica_roster(nodes[0].test->replica));
    for (size_t n = 0; n < NODES; n++) {
        test_node_close(nodes[n].test);
    }
    for (size_t n = 0; n < NODES; n++) {
        start(n, CHECK_OWN);
    }
}

static bool
has_said(size_t self, uint64_t unused)
{
    (void)unused;
    return nodes[self].saving_count == 0 && !nodes[self].digest_asked;
}

/* What two say of one compartment is the same. */
static bool
is_equal(const json_t *a, const json_t *b, const struct ident *compartment)
{
    char id[2 * IDENT_BYTES + 1];
    const char *said[2] = { "", "" };
    const json_t *both[2] = { a, b };

    bytes_hex(id, ident_span(compartment));
    for (size_t n = 0; n < 2; n++) {
        size_t index;
        json_t *one;

        json_array_foreach(json_object_get(both[n], "compartments"), index, one)
        {
            if (strcmp(json_string_value(json_object_get(one, "id")), id) == 0 &&
                strcmp(json_string_value(json_object_get(one, "state")), "complete") == 0) {
                said[n] = json_string_value(json_object_get(one, "frontier"));
            }
        }
    }
    return said[0][0] != '\0' && strcmp(said[0], said[1]) == 0;
}

static bool
are_equal(size_t self, uint64_t unused)
{
    bool equal = true;

    (void)self;
    (void)unused;
    for (size_t n = 0; n < NODES; n++) {
        nodes[n].digest_asked = true;
        ask(&nodes[n], "{\"id\":0,\"do\":\"digest\"}\n");
        pump_until(has_said, n, 0, "a node does not answer");
    }
    for (size_t n = 1; n < NODES; n++) {
        for (size_t c = 0; c < sizeof compartments / sizeof compartments[0]; c++) {
            equal = equal && is_equal(nodes[0].digest, nodes[n].digest, &compartments[c]);
        }
    }
    return equal;
}

static void
expect_end(size_t self)
{
    struct node *node = &nodes[self];
    int status;

    EXPECT(waitpid(node->pid, &status, 0) == node->pid);
    bury(self);
    if (status != 0) {
        ck_abort_msg("%s ended with status %x%.*s", node->test->request.name, (unsigned)status,
                     (int)node->fault.size, (const char *)node->fault.data);
    }
}

/* Nobody is killed any more: they come to hold the same, and what each says to hold is there. */
static void
end_era(void)
{
    for (size_t n = 0; n < NODES; n++) {
        nodes[n].saves_left = 0;
        pump_until(is_ready, n, 0, "a node does not come up");
    }
    pump_until(are_equal, 0, 0, "they do not come to hold the same");
    for (size_t n = 0; n < NODES; n++) {
        EXPECT(kill(nodes[n].pid, SIGTERM) == 0);
        expect_end(n);
        json_decref(nodes[n].digest);
    }
    for (size_t n = 0; n < NODES; n++) {
        start(n, CHECK_THE_END);
        expect_end(n);
        buf_free(&nodes[n].in);
        buf_free(&nodes[n].fault);
    }
    sent_entries += witness.entries;
    kept_entries += witness.acks;
    witness_free(&witness);
    free(facts);
    facts = NULL;
    fact_count = 0;
    test_organisation_free(&org);
}

static uint64_t
asked_for(const char *name, uint64_t otherwise)
{
    const char *asked = getenv(name);

    return asked == NULL ? otherwise : strtoull(asked, NULL, 10);
}

/* Every script that ICU transliterates, once for all processes: else each spends most of its life on that. */
static void
read_tables_of_icu(void)
{
    struct search_words *words;
    struct hash fingerprint;

    EXPECT(search_words_open(&words) == ERR_OK);
    search_words_fingerprint(words, &fingerprint);
    search_words_close(&words);
}

START_TEST(i7_whoever_is_killed_whenever_loses_nothing_that_was_acknowledged)
{
    size_t most = asked_for("VIGIL_KILLS", KILLS);
    uint64_t seed = asked_for("VIGIL_KILLS_SEED", 1);

    log_to(silent, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    read_tables_of_icu();
    printf("seed %" PRIu64 "\n", seed);
    (void)fflush(stdout);
    chance.state = seed;
    for (uint64_t era = 0; kills() < most; era++) {
        size_t of_era = kills() + ERA_KILLS < most ? kills() + ERA_KILLS : most;

        begin_era(seed * 1000 + era);
        while (kills() < of_era) {
            kill_some(of_era);
        }
        end_era();
    }
    printf("%zu kills: %zu while the store opened, %zu while the loop began, %zu with saves on their way, "
           "%zu at rest; "
           "%" PRIu64 " saves were acknowledged; %" PRIu64 " entries were sent, %" PRIu64
           " times a peer kept more\n",
           kills(), killed[KILLED_OPENING], killed[KILLED_BEGINNING], killed[KILLED_SAVING],
           killed[KILLED_AT_REST], saved, sent_entries, kept_entries);
    (void)fflush(stdout);
    /* All of it did happen. */
    for (size_t n = 0; n < MOMENTS; n++) {
        ck_assert_uint_gt(killed[n], 0);
    }
    ck_assert_uint_gt(saved, most / 4);
    ck_assert_uint_gt(sent_entries, most / 4);
    ck_assert_uint_gt(kept_entries, most / 4);
}
END_TEST

SUITE_MAIN("kills", i7_whoever_is_killed_whenever_loses_nothing_that_was_acknowledged)
