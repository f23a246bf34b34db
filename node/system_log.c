#include "node/system_log.h"

#include "store/base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/stdout"

bool
system_log_takes(const char *stream, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_un path;
        uint8_t room[sizeof(struct sockaddr_un) + 1];
    } peer = { .room = { 0 } };
    socklen_t size = sizeof peer.path;
    uint64_t device = 0;
    uint64_t node = 0;
    struct stat info;

    if (stream != NULL && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &node) == 2 &&
        fstat(fd, &info) == 0 && info.st_dev == device && info.st_ino == node) {
        return true;
    }
    return getpeername(fd, &peer.any, &size) == 0 && peer.any.sa_family == AF_UNIX &&
           strcmp(peer.path.sun_path, JOURNAL_SOCKET) == 0;
}

#ifdef VIGIL_SYSTEMD

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

enum { FIELDS_MAX = 7, FIELD_BYTES = 160, MESSAGE_BYTES = 5 * 1024 };

struct fields {
    struct iovec items[FIELDS_MAX];
    int count;
    char texts[FIELDS_MAX][FIELD_BYTES];
    char message[MESSAGE_BYTES];
};

__attribute__((format(printf, 4, 5))) static void
put(struct fields *fields, char *out, size_t room, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int size = vsnprintf(out, room, format, args);
    va_end(args);
    if (size > 0) {
        fields->items[fields->count].iov_base = out;
        fields->items[fields->count].iov_len = (size_t)size < room ? (size_t)size : room - 1;
        fields->count++;
    }
}

/* A field of the journal, if the line has this key. */
static void
put_value(struct fields *fields, const char *name, const char *line, const char *key)
{
    size_t size = 0;
    const char *value = log_line_value(line, key, &size);

    if (value != NULL) {
        put(fields, fields->texts[fields->count], FIELD_BYTES, "%s=%.*s", name, (int)size, value);
    }
}

/* What the journal does not take stays where it would have gone without it. */
static void
send_line(void *self, const char *line)
{
    struct fields fields = { .count = 0 };
    char event[64] = "";
    size_t size = 0;
    const char *name = log_line_value(line, "event", &size);

    (void)self;
    (void)snprintf(event, sizeof event, "%.*s", name == NULL ? 0 : (int)size, name == NULL ? "" : name);
    const struct log_kind *kind = log_kind_of(event);
    put(&fields, fields.message, sizeof fields.message, "MESSAGE=%s", line);
    put(&fields, fields.texts[fields.count], FIELD_BYTES, "PRIORITY=%d", (int)log_line_level(line));
    put(&fields, fields.texts[fields.count], FIELD_BYTES, "SYSLOG_IDENTIFIER=vigild");
    put(&fields, fields.texts[fields.count], FIELD_BYTES, "EVENT=%s", event);
    if (kind != NULL) {
        put(&fields, fields.texts[fields.count], FIELD_BYTES, "MESSAGE_ID=%s", kind->message_id);
    }
    put_value(&fields, "PEER", line, "peer");
    put_value(&fields, "DURATION_US", line, "duration_us");
    if (sd_journal_sendv(fields.items, fields.count) < 0) {
        (void)dprintf(STDERR_FILENO, "%s\n", line);
    }
}

bool
system_log_begin(void)
{
    if (!system_log_takes(getenv("JOURNAL_STREAM"), STDERR_FILENO)) {
        return false;
    }
    log_to(send_line, NULL);
    return true;
}

#else

bool
system_log_begin(void)
{
    return false;
}

#endif
