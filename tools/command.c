#include "tools/command.h"

#include "node/labels.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum exit_status
command_fail(const struct command *command, const struct client_fault *because, const char *what, ...)
{
    char text[CLIENT_TEXT_BYTES];
    va_list args;

    va_start(args, what);
    (void)vsnprintf(text, sizeof text, what, args);
    va_end(args);
    /* What was printed before stands before. */
    (void)fflush(stdout);
    fault_print(stderr, text, because, command->out.json);
    return fault_status(because->code);
}

bool
command_connect(struct command *command, struct client_fault *fault_out)
{
    return command->client != NULL ||
           client_open(&command->client, client_state_dir(args_value(command, OPT_NODE)), fault_out) ==
               ERR_OK;
}

bool
command_ask(struct command *command, json_t *request, json_t **ok_out, struct client_fault *fault_out)
{
    if (request == NULL) {
        return fault_set(fault_out, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                         err_text(ERR_MEMORY));
    }
    long actor = 0;
    if (!args_number(command, OPT_ACTOR, 1, UINT32_MAX, 0, &actor, fault_out) ||
        !command_connect(command, fault_out)) {
        json_decref(request);
        return false;
    }
    if (actor != 0 && json_object_get(request, "actor") == NULL) {
        (void)json_object_set_new(request, "actor", json_integer(actor));
    }
    return client_call(command->client, request, command->wait_ms, ok_out, fault_out) == ERR_OK;
}

bool
command_ask_pages(struct command *command, const json_t *request, const struct command_pages *pages,
                  json_t *rows, json_t **last_out, struct client_fault *fault_out)
{
    json_t *answer = NULL;
    bool good = true;
    bool more = true;

    while (good && more) {
        json_t *page = json_deep_copy(request);
        long left = pages->limit == 0 ? pages->page : pages->limit - (long)json_array_size(rows);

        if (pages->page > 0) {
            (void)json_object_set_new(page, "limit", json_integer(left < pages->page ? left : pages->page));
        }
        if (answer != NULL) {
            (void)json_object_set(page, "after", json_object_get(answer, "next"));
        }
        json_decref(answer);
        answer = NULL;
        good = command_ask(command, page, &answer, fault_out);
        (void)json_array_extend(rows, json_object_get(answer, pages->list));
        const json_t *next = json_object_get(answer, "next");
        more = next != NULL && !json_is_null(next) &&
               (pages->limit == 0 || (long)json_array_size(rows) < pages->limit);
    }
    while (pages->limit > 0 && (long)json_array_size(rows) > pages->limit) {
        (void)json_array_remove(rows, json_array_size(rows) - 1);
    }
    if (last_out == NULL) {
        json_decref(answer);
    } else {
        *last_out = answer;
    }
    return good;
}

enum exit_status
command_ask_peers(struct command *command, const char *call, const char *none, const char *what_comes)
{
    static const char nobody[] = "nobody was asked";
    struct client_fault fault;
    json_t *ok = NULL;

    json_t *request = json_pack("{s:s}", "do", call);
    if (command->word_count > 0) {
        (void)json_object_set_new(request, "peer", json_string(command->words[0]));
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, nobody);
    }
    json_int_t asked = json_integer_value(json_object_get(ok, "asked"));
    if (command->out.json) {
        output_json(command->out.to, ok);
    }
    json_decref(ok);
    if (asked == 0) {
        (void)fault_set(&fault, err_code(ERR_BUSY), "vigil sync status shows why; try again when one is up",
                        "%s", none);
        return command_fail(command, &fault, nobody);
    }
    command_say(command, "%lld asked; %s\n", (long long)asked, what_comes);
    return STATUS_DONE;
}

bool
command_only_shown(const struct command *command, json_t *request)
{
    if (!args_has(command, OPT_DRY_RUN)) {
        return false;
    }
    output_json(command->out.to, request);
    json_decref(request);
    return true;
}

static bool
talks(const struct command *command)
{
    return !command->out.json && !args_has(command, OPT_QUIET);
}

static void
print(FILE *to, const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) >= 0) {
        output_printf(to, "%s", text);
        free(text);
    }
}

void
command_say(const struct command *command, const char *format, ...)
{
    va_list args;

    if (talks(command)) {
        va_start(args, format);
        print(command->out.to, format, args);
        va_end(args);
    }
}

void
command_remark(const struct command *command, const char *format, ...)
{
    va_list args;

    if (talks(command)) {
        (void)fflush(stdout);
        va_start(args, format);
        print(stderr, format, args);
        va_end(args);
    }
}

bool
command_open(const char *path, FILE **file_out, struct client_fault *fault_out)
{
    *file_out = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (*file_out != NULL) {
        return true;
    }
    return fault_set(fault_out,
                     err_code(errno == ENOENT   ? ERR_ABSENT
                              : errno == EACCES ? ERR_DENIED
                                                : ERR_IO),
                     "see that the path is right and the file can be read", "%s: %s", path, strerror(errno));
}

bool
command_write(const char *path, const char *text, struct client_fault *fault_out)
{
    size_t size = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        return fault_set(fault_out,
                         err_code(errno == EEXIST   ? ERR_EXISTS
                                  : errno == EACCES ? ERR_DENIED
                                                    : ERR_IO),
                         errno == EEXIST ? "give another name, or remove that file first"
                                         : "see that the folder is there and can be written to",
                         "%s: %s", path, strerror(errno));
    }
    bool good = true;
    for (size_t done = 0; good && done < size;) {
        ssize_t written = write(fd, text + done, size - done);
        good = written > 0 || (written < 0 && errno == EINTR);
        done += written > 0 ? (size_t)written : 0;
    }
    good = good && fsync(fd) == 0;
    int why = errno;
    good = close(fd) == 0 && good;
    if (!good) {
        (void)unlink(path);
        return fault_set(fault_out, err_code(ERR_IO), "see that there is room where it is written to",
                         "%s: %s", path, strerror(why));
    }
    return true;
}

void
command_close(FILE **file)
{
    if (*file != NULL && *file != stdin) {
        (void)fclose(*file);
    }
    *file = NULL;
}

struct labels *
command_labels(struct command *command, struct client_fault *fault_out)
{
    const char *language = args_value(command, OPT_LANGUAGE);
    struct labels_places places = labels_places_default();

    if (command->labels == NULL &&
        !labels_open(&command->labels, language == NULL ? "en" : language, &places, fault_out)) {
        return NULL;
    }
    return command->labels;
}

bool
command_is_labelled(const struct command *command)
{
    return !command->out.json || args_has(command, OPT_LANGUAGE);
}

enum exit_status
command_table(const struct command *command, const struct output_column *columns, size_t column_count,
              const json_t *rows)
{
    struct client_fault fault;

    if (output_table(&command->out, columns, column_count, rows) == ERR_OK) {
        return STATUS_DONE;
    }
    (void)fault_set(&fault, err_code(ERR_MEMORY), "ask for less with --limit", "%s", err_text(ERR_MEMORY));
    return command_fail(command, &fault, "the table cannot be printed");
}
