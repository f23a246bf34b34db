/* load.c - `--file`: many records, many of them on their way at once.
 *
 *     file --> read ahead --> [ waits for a ref ] --> asked --> answered
 *              at most WORK_MAX in hand               at most ASKED_MAX
 *
 * The node commits once a turn, so one request at a time would wait for a disk each time. A record that
 * names another by "ref:NAME" waits for that one's id; those behind it need not.
 */
#include "tools/command.h"
#include "tools/input.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WORK_MAX = 512, ASKED_MAX = 64, PROGRESS_MS = 200 };

/* A record in hand. */
struct job {
    size_t line;
    char *ref;    /* or NULL */
    json_t *save; /* until it was sent */
    int64_t id;   /* of the request; 0 until it was sent */
};

struct load {
    struct command *command;
    const char *path;
    const char *kind;
    struct input_file input;
    struct job jobs[WORK_MAX];
    size_t job_count;
    size_t asked;
    json_t *ids; /* ref: id, null while it is made, false if it failed */
    bool ended;  /* nothing more is read */
    size_t made;
    size_t refused;
    size_t unsent;
    struct client_fault last; /* refusal */
    enum exit_status status;  /* of the fault on the first line that has one */
    size_t status_line;
    bool lost;  /* the connection is of no more use */
    off_t size; /* of the file; 0: not known */
    int64_t shown_ms;
};

static int64_t
now_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A bar on a terminal, for whatever takes longer than a moment. */
static void
show_progress(struct load *load, bool done)
{
    enum { BAR = 30 };
    int64_t now = now_ms();

    if (load->shown_ms < 0 || (!done && now - load->shown_ms < PROGRESS_MS)) {
        return;
    }
    load->shown_ms = now;
    if (done) {
        (void)fputs("\r\033[K", stderr);
        return;
    }
    off_t at = ftello(load->input.file);
    int part = load->size > 0 && at > 0 ? (int)((double)at / (double)load->size * BAR) : 0;
    part = part > BAR ? BAR : part;
    if (load->size > 0) {
        (void)fprintf(stderr, "\r[%.*s%*s] %zu records\033[K", part, "##############################",
                      BAR - part, "", load->made);
    } else {
        (void)fprintf(stderr, "\r%zu records\033[K", load->made);
    }
}

static void
clear_progress(const struct load *load)
{
    if (load->shown_ms > 0) {
        (void)fputs("\r\033[K", stderr);
    }
}

/* One record will not be made. */
static void
refuse(struct load *load, size_t line, const char *ref, const struct client_fault *fault)
{
    clear_progress(load);
    enum exit_status status = fault_status(fault->code);
    /* On a full disk all that is on its way fails alike: the reason is given once. */
    if (!load->command->out.json && strcmp(load->last.message, fault->message) == 0) {
        output_printf(stderr, "vigil: line %zu of %s was refused for the same reason\n", line, load->path);
    } else {
        status = command_fail(load->command, fault, "line %zu of %s was refused", line, load->path);
    }
    load->last = *fault;
    if (load->status == STATUS_DONE || line < load->status_line) {
        load->status = status;
        load->status_line = line;
    }
    load->refused++;
    if (ref != NULL) {
        (void)json_object_set_new(load->ids, ref, json_false());
    }
    if (!args_has(load->command, OPT_KEEP_GOING)) {
        load->ended = true;
    }
}

static void
free_job(struct load *load, size_t at)
{
    json_decref(load->jobs[at].save);
    free(load->jobs[at].ref);
    load->job_count--;
    memmove(&load->jobs[at], &load->jobs[at + 1], (load->job_count - at) * sizeof load->jobs[0]);
}

/* Take the record that `object` describes in hand. */
static void
take_object(struct load *load, const json_t *object)
{
    struct client_fault fault;
    const char *ref = NULL;
    size_t line = load->input.first_line;

    json_t *save = input_save(object, &ref, &fault);
    if (save == NULL) {
        refuse(load, line, json_string_value(json_object_get(object, "ref")), &fault);
        return;
    }
    bool good = true;
    if (json_object_get(save, "record") == NULL && json_object_get(save, "kind") == NULL) {
        good = load->kind != NULL ||
               fault_set(&fault, err_code(ERR_INVALID), "give it a \"kind\", or all of them one with --kind",
                         "the object has no \"kind\"");
        if (good && load->kind != NULL) {
            good = json_object_set_new(save, "kind", json_string(load->kind)) == 0 ||
                   fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        }
    }
    if (good && ref != NULL && json_object_get(load->ids, ref) != NULL) {
        good = fault_set(&fault, err_code(ERR_INVALID), "give each record a \"ref\" of its own",
                         "an earlier object has the ref '%s' already", ref);
        ref = NULL;
    }
    struct job job = { .line = line, .save = save, .ref = ref == NULL ? NULL : strdup(ref) };
    if (good && ref != NULL && (job.ref == NULL || json_object_set_new(load->ids, ref, json_null()) != 0)) {
        good = fault_set(&fault, err_code(ERR_MEMORY), "divide the file", "%s", err_text(ERR_MEMORY));
    }
    if (!good) {
        refuse(load, line, ref, &fault);
        json_decref(save);
        free(job.ref);
        return;
    }
    load->jobs[load->job_count++] = job;
}

static void
read_ahead(struct load *load)
{
    struct client_fault fault;

    while (!load->ended && load->job_count < WORK_MAX) {
        json_t *object = NULL;
        if (!input_next(&load->input, &object, &fault)) {
            /* Where the next object begins is anybody's guess. */
            refuse(load, load->input.line, NULL, &fault);
            load->ended = true;
            return;
        }
        if (object == NULL) {
            load->ended = true;
            return;
        }
        take_object(load, object);
        json_decref(object);
    }
}

/* True if the job may be sent now; if it never may, it is refused and gone. */
static bool
is_ready(struct load *load, size_t at)
{
    struct job *job = &load->jobs[at];
    struct client_fault fault;
    const char *ref = NULL;

    switch (input_refs_replace(job->save, load->ids, &ref)) {
    case REFS_READY:
        return true;
    case REFS_WAIT:
        return false;
    case REFS_FAILED:
        break;
    }
    if (json_object_get(load->ids, ref) == NULL) {
        (void)fault_set(&fault, err_code(ERR_ABSENT), "put the object with this \"ref\" before it",
                        "no earlier object has the ref '%s'", ref);
    } else {
        (void)fault_set(&fault, err_code(ERR_ABSENT), "mend that one first", "the record '%s' was not made",
                        ref);
    }
    refuse(load, job->line, job->ref, &fault);
    free_job(load, at);
    return false;
}

static void
lose(struct load *load, const struct client_fault *fault)
{
    clear_progress(load);
    enum exit_status status = command_fail(load->command, fault, "%s was not read to its end", load->path);
    load->status = load->status == STATUS_DONE ? status : load->status;
    load->lost = true;
}

/* With --dry-run a record is printed, and its name stands for its id. */
static void
only_show(struct load *load, size_t at)
{
    struct job *job = &load->jobs[at];

    if (job->ref != NULL) {
        (void)json_object_set_new(load->ids, job->ref, json_sprintf("ref:%s", job->ref));
    }
    output_json(load->command->out.to, job->save);
    free_job(load, at);
}

static void
send_ready(struct load *load)
{
    struct client_fault fault;

    for (size_t n = 0; n < load->job_count && load->asked < ASKED_MAX && !load->lost;) {
        size_t count = load->job_count;
        /* After a refusal nothing more is sent. */
        bool stopped = load->refused > 0 && !args_has(load->command, OPT_KEEP_GOING);
        if (load->jobs[n].id != 0 || stopped || !is_ready(load, n)) {
            n += load->job_count == count ? 1 : 0;
            continue;
        }
        if (args_has(load->command, OPT_DRY_RUN)) {
            only_show(load, n);
            continue;
        }
        json_t *save = load->jobs[n].save;
        load->jobs[n].save = NULL;
        switch (client_send(load->command->client, save, load->command->wait_ms, &load->jobs[n].id, &fault)) {
        case ERR_OK:
            load->asked++;
            n++;
            break;
        case ERR_FULL:
            refuse(load, load->jobs[n].line, load->jobs[n].ref, &fault);
            free_job(load, n);
            break;
        default:
            lose(load, &fault);
            break;
        }
    }
}

static void
print_made(struct load *load, const struct job *job, const json_t *ok)
{
    const char *id = json_string_value(json_object_get(ok, "record"));
    const char *number = json_string_value(json_object_get(ok, "number"));

    load->made++;
    if (load->command->out.json) {
        json_t *row = json_pack("{s:I, s:s?, s:s?, s:s?}", "line", (json_int_t)job->line, "ref", job->ref,
                                "record", id, "number", number);
        output_json(load->command->out.to, row);
        json_decref(row);
        return;
    }
    if (load->command->out.terminal) {
        clear_progress(load);
    }
    command_say(load->command, "%s%s%s%s%s\n", number == NULL ? "" : number,
                number == NULL || number[0] == '\0' ? "" : " ", id == NULL ? "" : id,
                job->ref == NULL ? "" : " ", job->ref == NULL ? "" : job->ref);
}

static void
take_answer(struct load *load)
{
    struct client_answer answer = { 0 };
    struct client_fault fault;
    size_t at = 0;

    if (client_receive(load->command->client, load->command->wait_ms, &answer, &fault) != ERR_OK) {
        lose(load, &fault);
        return;
    }
    while (at < load->job_count && load->jobs[at].id != answer.id) {
        at++;
    }
    if (at < load->job_count && answer.event == NULL) {
        struct job *job = &load->jobs[at];
        load->asked--;
        if (answer.ok == NULL) {
            refuse(load, job->line, job->ref, &answer.fault);
        } else {
            if (job->ref != NULL) {
                json_t *id = json_object_get(answer.ok, "record");
                (void)json_object_set_new(load->ids, job->ref,
                                          json_is_string(id) ? json_incref(id) : json_false());
            }
            print_made(load, job, answer.ok);
        }
        free_job(load, at);
    }
    client_answer_free(&answer);
}

static void
run_load(struct load *load)
{
    while (!load->lost) {
        read_ahead(load);
        send_ready(load);
        if (load->lost || (load->asked == 0 && (load->ended || load->job_count == WORK_MAX))) {
            break;
        }
        if (load->asked > 0) {
            take_answer(load);
        }
        show_progress(load, false);
    }
    load->unsent = load->job_count;
    show_progress(load, true);
}

enum exit_status
load_records(struct command *command, const char *path, const char *kind)
{
    struct client_fault fault;
    struct stat about = { 0 };

    struct load *load = calloc(1, sizeof *load);
    json_t *ids = json_object();
    if (load == NULL || ids == NULL || !command_open(path, &load->input.file, &fault)) {
        if (load == NULL || ids == NULL) {
            (void)fault_set(&fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                            err_text(ERR_MEMORY));
        }
        free(load);
        json_decref(ids);
        return command_fail(command, &fault, "no record was made");
    }
    load->command = command;
    load->path = strcmp(path, "-") == 0 ? "standard input" : path;
    load->kind = kind;
    load->ids = ids;
    bool bar = isatty(STDERR_FILENO) == 1 && !args_has(command, OPT_QUIET) && !args_has(command, OPT_DRY_RUN);
    load->shown_ms = bar ? now_ms() : -1;
    if (fstat(fileno(load->input.file), &about) == 0 && S_ISREG(about.st_mode)) {
        load->size = about.st_size;
    }
    if (!args_has(command, OPT_DRY_RUN) && !command_connect(command, &fault)) {
        load->status = command_fail(command, &fault, "no record was made");
    } else {
        run_load(load);
        if (load->lost && load->asked > 0) {
            command_remark(
                command, "%zu saved, %zu refused, %zu sent without an answer: look whether these are there\n",
                load->made, load->refused, load->asked);
        } else if (load->status != STATUS_DONE) {
            command_remark(
                command, "%zu saved, %zu refused; nothing after that was sent%s\n", load->made, load->refused,
                args_has(command, OPT_KEEP_GOING) && !load->lost ? " that needs a refused one" : "");
        } else if (!args_has(command, OPT_DRY_RUN)) {
            command_remark(command, "%zu saved\n", load->made);
        }
    }
    enum exit_status status = load->status;
    while (load->job_count > 0) {
        free_job(load, 0);
    }
    input_end(&load->input);
    command_close(&load->input.file);
    json_decref(load->ids);
    free(load);
    return status;
}
