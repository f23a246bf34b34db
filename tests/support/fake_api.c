#include "tests/support/fake_api.h"

#include <check.h>
#include <jansson.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 2 << 20 };

struct fake_tally {
    size_t taken;
    char wrong[4096]; /* the last request that was not as its step says */
};

static void
make_dir(struct fake_api *api)
{
    memset(api, 0, sizeof *api);
    (void)snprintf(api->dir, sizeof api->dir, "/tmp/vigil-fake-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(api->dir));
}

static int
listen_in(const char *dir)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/api", dir);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

/* True if `request` has all that `asked` has. */
static int
is_as_asked(const json_t *request, const char *asked)
{
    json_t *wanted = json_loads(asked, 0, NULL);
    const char *key;
    json_t *value;
    int good = json_is_object(wanted);

    json_object_foreach(wanted, key, value)
    {
        good = good && json_equal(json_object_get(request, key), value);
    }
    json_decref(wanted);
    return good;
}

static void
write_all(FILE *to, const char *text, json_int_t id)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (strncmp(at, "$ID", 3) == 0) {
            (void)fprintf(to, "%lld", (long long)id);
            at += 2;
        } else {
            (void)fputc(*at, to);
        }
    }
}

/* Zero: the connection is to be ended. */
static int
answer(FILE *to, const char *text, json_int_t id)
{
    if (text == NULL) {
        return 0;
    }
    if (text[0] == '#') {
        write_all(to, text + 1, id);
        return 0;
    }
    write_all(to, text, id);
    if (text[0] != '\0' && text[strlen(text) - 1] != '\n') {
        (void)fputc('\n', to);
    }
    return fflush(to) == 0;
}

static void
serve(int listener, struct fake_tally *tally, const struct fake_step *steps, size_t count)
{
    static char line[LINE_BYTES_MAX];

    for (;;) {
        int fd = accept(listener, NULL, NULL);
        FILE *in = fdopen(fd, "r");
        FILE *out = fdopen(dup(fd), "w");
        int more = in != NULL && out != NULL;
        while (more && fgets(line, sizeof line, in) != NULL) {
            const struct fake_step *step = &steps[tally->taken < count ? tally->taken : count - 1];
            json_t *request = json_loads(line, 0, NULL);
            tally->taken++;
            if (!json_is_object(request) || !json_is_integer(json_object_get(request, "id")) ||
                (step->asked != NULL && !is_as_asked(request, step->asked))) {
                (void)snprintf(tally->wrong, sizeof tally->wrong, "asked %.1500s instead of %.1500s", line,
                               step->asked == NULL ? "something" : step->asked);
            }
            more = answer(out, step->answer, json_integer_value(json_object_get(request, "id")));
            json_decref(request);
        }
        (void)fclose(in);
        (void)fclose(out);
    }
}

void
fake_api_start(struct fake_api *api, const struct fake_step *steps, size_t count)
{
    make_dir(api);
    int listener = listen_in(api->dir);
    api->tally = mmap(NULL, sizeof *api->tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(api->tally, MAP_FAILED);
    api->pid = fork();
    ck_assert_int_ge(api->pid, 0);
    if (api->pid == 0) {
        (void)signal(SIGPIPE, SIG_IGN);
        serve(listener, api->tally, steps, count);
    }
    (void)close(listener);
}

size_t
fake_api_end(struct fake_api *api)
{
    char path[96];
    size_t taken = 0;

    if (api->pid > 0) {
        /* Check has a handler for gentler signals, which the child has inherited. */
        ck_assert_int_eq(kill(api->pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(api->pid, NULL, 0), api->pid);
        taken = api->tally->taken;
        ck_assert_msg(api->tally->wrong[0] == '\0', "%s", api->tally->wrong);
        (void)munmap(api->tally, sizeof *api->tally);
    }
    (void)snprintf(path, sizeof path, "%s/api", api->dir);
    (void)unlink(path);
    (void)rmdir(api->dir);
    return taken;
}

void
fake_api_nobody(struct fake_api *api)
{
    make_dir(api);
}
