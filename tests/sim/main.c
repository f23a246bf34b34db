#include "tests/sim/sim.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 64, SEED_SECONDS_MAX = 300 };

struct options {
    uint64_t from;
    uint64_t seeds;
    unsigned jobs;
    bool one; /* a seed to be replayed */
    bool verbose;
    bool once;
    bool lanes;
    const char *growth; /* sizes: "10,30,100" */
    bool restores;      /* each seed is a world with RESTORES_A_WORLD of them */
    const char *directory;
};

/* A seed that runs in a process of its own. */
struct job {
    uint64_t seed;
    pid_t pid;
    int pipe;
    struct buf said;
    bool done;
    bool failed;
};

static struct shape shapes[SHAPES];
static char root[200];

static void
usage(FILE *to)
{
    (void)fputs("usage: sim [--from FIRST] [--seeds COUNT] [--jobs JOBS] [--once]\n"
                "       sim --seed SEED [--verbose] [--once]\n"
                "       sim --restores COUNT [--from FIRST] [--jobs JOBS] [--verbose] [--once]\n"
                "       sim --lanes [--verbose]\n"
                "       sim --growth NODES,... [--from SEED] [--verbose]\n"
                "\n"
                "Runs whole organisations in a simulated world and checks what must always hold.\n"
                "A seed decides everything that happens; each is run twice and must leave the same trace.\n"
                "\n"
                "  --from FIRST   the first seed (1)\n"
                "  --seeds COUNT  how many (100)\n"
                "  --jobs JOBS    at once (as many as there are processors)\n"
                "  --seed SEED    replay one; with --verbose tell everything that happens\n"
                "  --once         run each seed once only\n"
                "  --restores COUNT\n"
                "                 put backups, older databases and older disks back so often: a seed is a\n"
                "                 small world with some of them, and COUNT is rounded up to whole worlds\n"
                "  --lanes        a slow link: control, keys and urgent entries come first\n"
                "  --growth NODES,...\n"
                "                 organisations of so many nodes (10 to 1,200), hubs and offices, whose "
                "links break at\n"
                "                 random: a table of bytes and time, once all digests are equal\n"
                "\n"
                "Exit: 0 all passed, 1 one failed, 2 usage.\n",
                to);
}

static bool
read_number(const char *text, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0';
}

static bool
read_options(int argc, char **argv, struct options *options)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t number = 0;

    *options = (struct options){ .from = 1, .seeds = 100, .jobs = processors > 0 ? (unsigned)processors : 1 };
    for (int n = 1; n < argc; n++) {
        const char *name = argv[n];
        bool takes = strcmp(name, "--from") == 0 || strcmp(name, "--seeds") == 0 ||
                     strcmp(name, "--jobs") == 0 || strcmp(name, "--seed") == 0 ||
                     strcmp(name, "--restores") == 0;

        if (strcmp(name, "--growth") == 0 && n + 1 < argc) {
            options->growth = argv[++n];
            continue;
        }

        if (takes && (n + 1 == argc || !read_number(argv[++n], &number))) {
            return false;
        }
        if (strcmp(name, "--from") == 0) {
            options->from = number;
        } else if (strcmp(name, "--seeds") == 0) {
            options->seeds = number;
        } else if (strcmp(name, "--jobs") == 0) {
            options->jobs = number < 1 ? 1 : number > JOBS_MAX ? JOBS_MAX : (unsigned)number;
        } else if (strcmp(name, "--seed") == 0) {
            options->from = number;
            options->seeds = 1;
            options->one = true;
        } else if (strcmp(name, "--restores") == 0) {
            options->restores = true;
            options->seeds = number / RESTORES_A_WORLD + (number % RESTORES_A_WORLD != 0);
        } else if (strcmp(name, "--verbose") == 0) {
            options->verbose = true;
        } else if (strcmp(name, "--once") == 0) {
            options->once = true;
        } else if (strcmp(name, "--lanes") == 0) {
            options->lanes = true;
            options->seeds = 1;
            options->one = true;
        } else {
            return false;
        }
    }
    return true;
}

static struct shape *
shape_of(uint64_t seed, const struct options *options)
{
    /* In the small worlds they would be the same. */
    size_t number = options->restores ? 0 : seed % SHAPES;
    struct shape *shape = &shapes[number];

    if (shape->device_count == 0) {
        char directory[256];

        (void)snprintf(directory, sizeof directory, "%s/ceremony", root);
        shape_make(shape, number, directory);
    }
    return shape;
}

/* The numbers of a world, for whoever adds them up. */
static void
tell_restores(const struct restores_stats *stats)
{
    (void)fwrite(stats, sizeof *stats, 1, stderr);
}

static bool
run_restores(uint64_t seed, const struct options *options, const char *directory, FILE *trace)
{
    struct restores_stats stats;
    uint64_t first = restores_run(seed, shape_of(seed, options), directory, trace, &stats);

    if (!options->once && restores_run(seed, shape_of(seed, options), directory, NULL, &stats) != first) {
        (void)fprintf(stderr, "seed %llu: two runs left different traces\n", (unsigned long long)seed);
        return false;
    }
    tell_restores(&stats);
    return true;
}

/* One seed, as often as is asked for. False: two runs of it differ. A check that fails ends the process. */
static bool
run(uint64_t seed, const struct options *options)
{
    struct sim_stats stats;
    char directory[256];
    FILE *trace = options->verbose ? stdout : NULL;

    (void)snprintf(directory, sizeof directory, "%s/%llu", root, (unsigned long long)seed);
    if (options->lanes) {
        lanes_run(shape_of(seed, options), directory, trace);
        return true;
    }
    if (options->restores) {
        return run_restores(seed, options, directory, trace);
    }
    uint64_t first = run_seed(seed, shape_of(seed, options), directory, trace, &stats);
    if (!options->once) {
        uint64_t second = run_seed(seed, shape_of(seed, options), directory, NULL, &stats);

        if (first != second) {
            (void)fprintf(stderr, "seed %llu: two runs left different traces\n", (unsigned long long)seed);
            return false;
        }
    }
    if (options->one) {
        (void)printf("seed %llu: trace %016llx, %llu turns, %llu frames, %llu B, %llu ops saved, %llu saves "
                     "refused, %llu crashes, %llu failed commits, %llu restored, %llu hostile frames, %llu "
                     "cuts; %llu entries, %llu conflicts, %llu branches; %llu forged, %llu revoked, %llu "
                     "extended, %llu epochs by hand, %llu held, %llu without a key, %llu erasures of %llu "
                     "entries, %llu long sleeps, %llu files\n",
                     (unsigned long long)seed, (unsigned long long)first, (unsigned long long)stats.turns,
                     (unsigned long long)stats.frames, (unsigned long long)stats.bytes,
                     (unsigned long long)stats.saves, (unsigned long long)stats.refused_saves,
                     (unsigned long long)stats.crashes, (unsigned long long)stats.failed_commits,
                     (unsigned long long)stats.restores, (unsigned long long)stats.hostile_frames,
                     (unsigned long long)stats.cuts, (unsigned long long)stats.entries,
                     (unsigned long long)stats.conflicts, (unsigned long long)stats.forks,
                     (unsigned long long)stats.forged, (unsigned long long)stats.revocations,
                     (unsigned long long)stats.extensions, (unsigned long long)stats.rotations,
                     (unsigned long long)stats.held, (unsigned long long)stats.orphans,
                     (unsigned long long)stats.erasures, (unsigned long long)stats.erased,
                     (unsigned long long)stats.sleeps, (unsigned long long)stats.files);
    }
    return true;
}

static void
start(struct job *job, uint64_t seed, const struct options *options)
{
    int ends[2];

    *job = (struct job){ .seed = seed };
    (void)shape_of(seed, options);
    (void)fflush(NULL);
    if (pipe(ends) != 0 || (job->pid = fork()) < 0) {
        perror("sim");
        exit(1);
    }
    if (job->pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        /* Of the processor: a machine that has other work lets a seed wait. */
        const struct itimerval limit = { .it_value = { .tv_sec = SEED_SECONDS_MAX } };
        (void)setitimer(ITIMER_PROF, &limit, NULL);
        bool passed = run(seed, options);
        (void)fflush(NULL);
        _exit(passed ? 0 : 1);
    }
    (void)close(ends[1]);
    job->pipe = ends[0];
}

/* Read what a job says until it has ended. */
static void
attend(struct job *job)
{
    uint8_t part[4096];
    ssize_t size = read(job->pipe, part, sizeof part);
    int status = 0;
    char directory[256];

    if (size > 0) {
        buf_put(&job->said, part, (size_t)size);
        return;
    }
    (void)close(job->pipe);
    (void)waitpid(job->pid, &status, 0);
    job->done = true;
    job->failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (WIFSIGNALED(status)) {
        buf_printf(&job->said, "seed %llu: ended by signal %d\n", (unsigned long long)job->seed,
                   WTERMSIG(status));
    }
    (void)snprintf(directory, sizeof directory, "%s/%llu", root, (unsigned long long)job->seed);
    remove_tree(directory);
}

/* What the worlds of --restores came to. */
static struct restores_stats restored;

/* False: a world said something else. */
static bool
add_restores(struct span said)
{
    struct restores_stats stats;

    if (said.size != sizeof stats) {
        return false;
    }
    memcpy(&stats, said.data, sizeof stats);
    restored.restored += stats.restored;
    for (size_t kind = 0; kind < RESTORED_KINDS; kind++) {
        restored.restores[kind] += stats.restores[kind];
    }
    restored.noticed_at_opening += stats.noticed_at_opening;
    restored.known_elsewhere += stats.known_elsewhere;
    restored.peer_said += stats.peer_said;
    restored.entries += stats.entries;
    restored.again += stats.again;
    restored.branches += stats.branches;
    return true;
}

static void
report_restores(const struct options *options)
{
    (void)printf(
        "%llu restores: %llu backups; %llu older databases, %llu noticed at opening, the others lacked "
        "nothing of their own; ",
        (unsigned long long)restored.restored, (unsigned long long)restored.restores[RESTORED_BACKUP],
        (unsigned long long)restored.restores[RESTORED_DATABASES],
        (unsigned long long)restored.noticed_at_opening);
    (void)printf("%llu older disks, %llu lacked what a peer knew, all noticed there, %llu by that peer too; ",
                 (unsigned long long)restored.restores[RESTORED_DISK],
                 (unsigned long long)restored.known_elsewhere, (unsigned long long)restored.peer_said);
    (void)printf("%llu entries signed, %llu in a used place before anybody could tell, %llu branches, all of "
                 "older disks; seeds %llu to %llu\n",
                 (unsigned long long)restored.entries, (unsigned long long)restored.again,
                 (unsigned long long)restored.branches, (unsigned long long)options->from,
                 (unsigned long long)(options->from + options->seeds - 1));
}

static void
report(struct job *job, const struct options *options)
{
    if (!job->failed && options->restores) {
        job->failed = !add_restores(buf_span(&job->said));
    }
    if (job->failed) {
        (void)printf("%.*s", (int)job->said.size, job->said.data == NULL ? "" : (const char *)job->said.data);
        if (options->restores) {
            (void)printf("  replay it: sim --restores 1 --from %llu --verbose\n",
                         (unsigned long long)job->seed);
        } else if (!options->one) {
            (void)printf("  replay it: sim --seed %llu --verbose\n", (unsigned long long)job->seed);
        }
        (void)fflush(stdout);
    }
    buf_free(&job->said);
}

/* Run the seeds, some at once, and report in their order. Gives how many failed. */
static uint64_t
run_all(const struct options *options)
{
    struct job jobs[JOBS_MAX]; /* a ring: those begun and not yet reported */
    struct pollfd watched[JOBS_MAX];
    uint64_t begun = 0;
    uint64_t reported = 0;
    uint64_t failed = 0;

    while (reported < options->seeds) {
        while (begun < options->seeds && begun - reported < options->jobs) {
            start(&jobs[begun % options->jobs], options->from + begun, options);
            begun++;
        }
        nfds_t count = 0;
        for (uint64_t n = reported; n < begun; n++) {
            const struct job *job = &jobs[n % options->jobs];
            watched[count++] = (struct pollfd){ .fd = job->done ? -1 : job->pipe, .events = POLLIN };
        }
        (void)poll(watched, count, -1);
        for (uint64_t n = reported; n < begun; n++) {
            if (watched[n - reported].revents != 0) {
                attend(&jobs[n % options->jobs]);
            }
        }
        while (reported < begun && jobs[reported % options->jobs].done) {
            report(&jobs[reported % options->jobs], options);
            failed += jobs[reported % options->jobs].failed;
            reported++;
        }
    }
    return failed;
}

/* Each size in a process of its own, so that its memory can be told. False: one failed. */
static bool
grow(const char *sizes, const struct options *options)
{
    const struct rlimit files = { 65536, 65536 };
    char directory[256];

    (void)setrlimit(RLIMIT_NOFILE, &files);
    growth_head();
    for (const char *at = sizes; *at != '\0';) {
        char *end = NULL;
        unsigned long count = strtoul(at, &end, 10);
        int status = 0;

        if (end == at || (*end != '\0' && *end != ',') || count < 10 || count > 1200) {
            usage(stderr);
            return false;
        }
        (void)snprintf(directory, sizeof directory, "%s/%lu", root, count);
        (void)fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            growth_run(count, options->from, directory, options->verbose);
            _exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
            WEXITSTATUS(status) != 0) {
            (void)fprintf(stderr, "%lu nodes: failed\n", count);
            return false;
        }
        at = *end == ',' ? end + 1 : end;
    }
    return true;
}

int
main(int argc, char **argv)
{
    struct options options;
    uint64_t failed = 0;

    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return 0;
    }
    if (!read_options(argc, argv, &options)) {
        usage(stderr);
        return 2;
    }
    const char *memory = getenv("VIGIL_SIM_DIRECTORY");
    (void)snprintf(root, sizeof root, "%s/vigil-sim-XXXXXX",
                   memory != NULL                  ? memory
                   : access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                   : "/tmp");
    if (crypto_start() != ERR_OK || mkdtemp(root) == NULL) {
        perror("sim");
        return 1;
    }
    if (options.growth != NULL) {
        bool grown = grow(options.growth, &options);
        remove_tree(root);
        return grown ? 0 : 1;
    }
    failed = run_all(&options);
    if (options.restores) {
        report_restores(&options);
    }
    if (!options.one) {
        (void)printf("%llu of %llu seeds passed\n", (unsigned long long)(options.seeds - failed),
                     (unsigned long long)options.seeds);
    }
    for (size_t n = 0; n < SHAPES; n++) {
        shape_free(&shapes[n]);
    }
    remove_tree(root);
    return failed == 0 ? 0 : 1;
}
