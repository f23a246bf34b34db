#include "node/config.h"

#include "node/scrape.h"

#include "sync/endpoint.h"

#include <confuse.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HANDSHAKE_MS_DEFAULT = 3000,
    HANDSHAKE_MS_MAX = 30000,
    HEARTBEAT_MS_DEFAULT = 30000,
    HEARTBEAT_MS_MAX = 3600000,
    MAP_MIB_DEFAULT = 1024,
    SCRUB_DEFAULT = 100,
    SCRUB_MAX = 10000,
    MAP_MIB_MIN = 16,
    MAP_MIB_MAX = 1 << 20,
    FILE_BYTES_MAX = 1 << 20,
    NOT_SAID =
        -1, /* of a number that a section may leave to what is outside of it, and of which 0 means something */
};

#define METRICS_NONE "none"
#define FOLDERS_DEFAULT "{\"/media\", \"/mnt\"}"

/* libconfuse reports through a callback without an argument; one file is read at a time. */
static struct config_fault *reporting;

__attribute__((format(printf, 2, 0))) static void
report_args(cfg_t *cfg, const char *format, va_list args)
{
    if (reporting == NULL || reporting->text[0] != '\0') {
        return; /* the first fault is the one to mend */
    }
    int used = 0;
    if (cfg != NULL && cfg->filename != NULL) {
        used = snprintf(reporting->text, sizeof reporting->text, "%s:%d: ", cfg->filename, cfg->line);
        reporting->line = (unsigned)cfg->line;
    }
    if (used >= 0 && (size_t)used < sizeof reporting->text) {
        (void)vsnprintf(reporting->text + used, sizeof reporting->text - (size_t)used, format, args);
    }
}

__attribute__((format(printf, 2, 3))) static void
report(cfg_t *cfg, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_args(cfg, format, args);
    va_end(args);
}

static int
check_profile(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = cfg_opt_getnstr(opt, 0);
    enum link_profile profile;

    if (value[0] != '\0' && !line_profile_parse(value, &profile)) {
        cfg_error(cfg, "profile '%s' is none of lan, wan, metered, oneway", value);
        return -1;
    }
    return 0;
}

static int
check_hours(cfg_t *cfg, cfg_opt_t *opt)
{
    uint32_t from;
    uint32_t to;

    if (cfg_opt_getnstr(opt, 0)[0] != '\0' && !line_hours_parse(cfg_opt_getnstr(opt, 0), &from, &to)) {
        cfg_error(cfg, "%s '%s' is not of the form 22:00-06:00, nor none", opt->name,
                  cfg_opt_getnstr(opt, 0));
        return -1;
    }
    return 0;
}

static int
check_bytes(cfg_t *cfg, cfg_opt_t *opt)
{
    uint64_t bytes;

    if (cfg_opt_getnstr(opt, 0)[0] != '\0' && !line_bytes_parse(cfg_opt_getnstr(opt, 0), &bytes)) {
        cfg_error(cfg, "%s '%s' is not of the form 750k, 2M or 1G, nor none", opt->name,
                  cfg_opt_getnstr(opt, 0));
        return -1;
    }
    return 0;
}

static int
check_place(cfg_t *cfg, cfg_opt_t *opt, enum endpoint_use use)
{
    struct endpoint endpoint;
    const char *value = cfg_opt_getnstr(opt, 0);

    if (value[0] != '\0' && endpoint_parse(&endpoint, span_text(value), use, false) != ERR_OK) {
        cfg_error(cfg, "%s '%s' is not of the form tcp://host:port", opt->name, value);
        return -1;
    }
    return 0;
}

static int
check_listen(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_place(cfg, opt, ENDPOINT_BIND);
}

static int
check_endpoint(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_place(cfg, opt, ENDPOINT_DIAL);
}

static int
check_proxy(cfg_t *cfg, cfg_opt_t *opt)
{
    if (cfg_opt_getnstr(opt, 0)[0] != '\0' && !endpoint_proxy_valid(cfg_opt_getnstr(opt, 0))) {
        /* What stands there may be a login. */
        cfg_error(cfg, "%s is not of the form socks5://host:port, without a login, nor none", opt->name);
        return -1;
    }
    return 0;
}

static int
check_sandbox(cfg_t *cfg, cfg_opt_t *opt)
{
    enum sandbox_mode mode;

    if (!sandbox_mode_parse(cfg_opt_getnstr(opt, 0), &mode)) {
        cfg_error(cfg, "sandbox '%s' is none of on, best-effort, off", cfg_opt_getnstr(opt, 0));
        return -1;
    }
    return 0;
}

static int
check_level(cfg_t *cfg, cfg_opt_t *opt)
{
    enum log_level level;

    if (!log_level_parse(cfg_opt_getnstr(opt, 0), &level)) {
        cfg_error(cfg, "log_level '%s' is none of error, warning, notice, info, debug",
                  cfg_opt_getnstr(opt, 0));
        return -1;
    }
    return 0;
}

static int
check_metrics(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = cfg_opt_getnstr(opt, 0);

    if (value[0] != '\0' && strcmp(value, METRICS_NONE) != 0 && !scrape_address(value, NULL, NULL)) {
        cfg_error(cfg, "metrics '%s' is no address of this machine alone, such as 127.0.0.1:9464, nor none",
                  value);
        return -1;
    }
    return 0;
}

/* Called for each as it is read: the last one is new. */
static int
check_folder(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *value = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);

    if (value[0] != '/') {
        cfg_error(cfg, "folders: '%s' is no absolute path", value);
        return -1;
    }
    return 0;
}

static int
check_range(cfg_t *cfg, cfg_opt_t *opt, long least, long most)
{
    long value = cfg_opt_getnint(opt, 0);

    if (value < least || value > most) {
        cfg_error(cfg, "%s = %ld is not between %ld and %ld", opt->name, value, least, most);
        return -1;
    }
    return 0;
}

static int
check_handshake(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 100, HANDSHAKE_MS_MAX);
}

static int
check_heartbeat(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 0, HEARTBEAT_MS_MAX);
}

static int
check_scrub(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 0, SCRUB_MAX);
}

static int
check_map(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, MAP_MIB_MIN, MAP_MIB_MAX);
}

static int
check_schedule(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 0, ENVELOPE_BEAT_S_MAX);
}

static int
check_envelope(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, ENVELOPE_BYTES_MIN, ENVELOPE_BYTES_MAX);
}

static int
check_interval(cfg_t *cfg, cfg_opt_t *opt)
{
    return check_range(cfg, opt, 0, LINE_INTERVAL_MIN_MAX);
}

/* What a section does not say is as outside of it. */
static long
envelope_of(cfg_t *cfg, long outside)
{
    return cfg_getint(cfg, "envelope") == NOT_SAID ? outside : cfg_getint(cfg, "envelope");
}

/* All of it was checked while it was read. What a section does not say is as outside of it. */
static struct line_settings
line_of(cfg_t *cfg, const struct line_settings *outside, long envelope)
{
    struct line_settings line = *outside;
    const char *profile = cfg_getstr(cfg, "profile");

    if (profile[0] != '\0') {
        (void)line_profile_parse(profile, &line.profile);
    }
    if (cfg_getint(cfg, "interval_minutes") > 0) {
        line.interval_min = (uint32_t)cfg_getint(cfg, "interval_minutes");
    }
    if (cfg_getstr(cfg, "quiet_hours")[0] != '\0') {
        (void)line_hours_parse(cfg_getstr(cfg, "quiet_hours"), &line.quiet_from, &line.quiet_to);
    }
    if (cfg_getstr(cfg, "day_bytes")[0] != '\0') {
        (void)line_bytes_parse(cfg_getstr(cfg, "day_bytes"), &line.day_bytes);
    }
    if (cfg_getstr(cfg, "month_bytes")[0] != '\0') {
        (void)line_bytes_parse(cfg_getstr(cfg, "month_bytes"), &line.month_bytes);
    }
    long beat = cfg_getint(cfg, "schedule");
    line.schedule.beat_s = beat == NOT_SAID ? outside->schedule.beat_s : (uint32_t)beat;
    line.schedule.bytes = line.schedule.beat_s == 0 ? 0 : (uint32_t)envelope;
    return line;
}

/* What a section does not say is as outside of it. NULL: no memory. */
static char *
proxy_of(cfg_t *cfg, const char *outside)
{
    const char *said = cfg_getstr(cfg, "proxy");

    return strdup(said[0] == '\0' ? outside : strcmp(said, PROXY_NONE) == 0 ? "" : said);
}

static enum err
take_folders(cfg_t *cfg, struct config *config)
{
    size_t count = cfg_size(cfg, "folders");

    config->folders = calloc(count + 1, sizeof *config->folders);
    for (unsigned n = 0; config->folders != NULL && n < count; n++) {
        config->folders[n] = strdup(cfg_getnstr(cfg, "folders", n));
        if (config->folders[n] == NULL) {
            return ERR_MEMORY;
        }
        config->folder_count++;
    }
    return config->folders == NULL ? ERR_MEMORY : ERR_OK;
}

static enum err
take_values(cfg_t *cfg, struct config *config)
{
    config->name = strdup(cfg_getstr(cfg, "name"));
    config->listen = strdup(cfg_getstr(cfg, "listen"));
    config->announce = strdup(cfg_getstr(cfg, "announce"));
    config->envelope = envelope_of(cfg, ENVELOPE_BYTES_DEFAULT);
    config->line = line_of(cfg, &(struct line_settings){ .profile = PROFILE_LAN }, config->envelope);
    config->proxy = proxy_of(cfg, "");
    const char *metrics = cfg_getstr(cfg, "metrics");
    config->metrics = strdup(strcmp(metrics, METRICS_NONE) == 0 ? "" : metrics);
    config->handshake_ms = cfg_getint(cfg, "handshake_ms");
    config->heartbeat_ms = cfg_getint(cfg, "heartbeat_ms");
    config->map_mib = cfg_getint(cfg, "map_mib");
    config->scrub = cfg_getint(cfg, "scrub");
    (void)sandbox_mode_parse(cfg_getstr(cfg, "sandbox"), &config->sandbox);
    (void)log_level_parse(cfg_getstr(cfg, "log_level"), &config->log_level);
    size_t count = cfg_size(cfg, "peer");
    config->peers = calloc(count + 1, sizeof *config->peers);
    if (config->name == NULL || config->listen == NULL || config->announce == NULL || config->peers == NULL ||
        config->proxy == NULL || config->metrics == NULL || take_folders(cfg, config) != ERR_OK) {
        return ERR_MEMORY;
    }
    for (unsigned n = 0; n < count; n++) {
        cfg_t *section = cfg_getnsec(cfg, "peer", n);
        struct config_peer *peer = &config->peers[config->peer_count];

        peer->name = strdup(cfg_title(section));
        peer->device = strdup(cfg_getstr(section, "device"));
        peer->endpoint = strdup(cfg_getstr(section, "endpoint"));
        peer->line = line_of(section, &config->line, envelope_of(section, config->envelope));
        peer->proxy = proxy_of(section, config->proxy);
        config->peer_count++;
        if (peer->name == NULL || peer->device == NULL || peer->endpoint == NULL || peer->proxy == NULL) {
            return ERR_MEMORY;
        }
        if (peer->device[0] == '\0' || peer->endpoint[0] == '\0') {
            cfg_error(section, "peer '%s' needs a device and an endpoint", peer->name);
            return ERR_INVALID;
        }
        if (line_breaks_schedule(&peer->line)) {
            cfg_error(
                section,
                "peer '%s' has a schedule and profile = %s: only a line that stands (lan, wan) keeps one",
                peer->name, line_profile_name(peer->line.profile));
            return ERR_INVALID;
        }
    }
    if (line_breaks_schedule(&config->line)) {
        /* Two options disagree: there is no one line of the file to name. */
        report(NULL, "%s: schedule and profile = %s: only a line that stands (lan, wan) keeps a schedule",
               cfg->filename, line_profile_name(config->line.profile));
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* The whole file, appended to `out`. ERR_ABSENT, ERR_FULL (longer than a configuration may be), ERR_IO, ERR_MEMORY. */
static enum err
read_whole(const char *path, struct buf *out)
{
    uint8_t part[4096];
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return errno == ENOENT ? ERR_ABSENT : ERR_IO;
    }
    for (size_t got; out->size <= FILE_BYTES_MAX && (got = fread(part, 1, sizeof part, file)) > 0;) {
        buf_put(out, part, got);
    }
    enum err err = ferror(file) != 0 ? ERR_IO : out->failed ? ERR_MEMORY : ERR_OK;
    (void)fclose(file);
    return err == ERR_OK && out->size > FILE_BYTES_MAX ? ERR_FULL : err;
}

/* The end of the comment that begins at `text[at]`, or `at` if none does: "#" and "//" go to the end of the line, and
 * the two slashes begin one only where a word may begin. */
static size_t
comment_end(const struct buf *text, size_t at)
{
    struct span rest = span_of(text->data + at, text->size - at);
    bool apart = at == 0 || strchr(" \t\n", text->data[at - 1]) != NULL;
    const uint8_t *end = NULL;

    if (rest.data[0] == '#' || (apart && rest.size > 1 && memcmp(rest.data, "//", 2) == 0)) {
        end = memchr(rest.data, '\n', rest.size);
        return end == NULL ? text->size : (size_t)(end - text->data);
    }
    if (apart && rest.size > 1 && memcmp(rest.data, "/*", 2) == 0) {
        end = memmem(rest.data + 2, rest.size - 2, "*/", 2);
        return end == NULL ? at : (size_t)(end - text->data) + 2;
    }
    return at;
}

/* Make blanks of comments, for libconfuse counts the line of each comment three times. */
static void
blank_comments(struct buf *text)
{
    uint8_t quote = 0;

    for (size_t at = 0; at < text->size; at++) {
        uint8_t c = text->data[at];
        if (quote != 0) {
            at += c == '\\' ? 1 : 0;
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else {
            for (size_t end = comment_end(text, at); at < end; at++) {
                text->data[at] = text->data[at] == '\n' ? '\n' : ' ';
            }
        }
    }
}

/* Parse `text`, which is changed. ERR_INVALID, ERR_MEMORY. */
static enum err
parse_text(cfg_t *cfg, const char *name, struct buf *text)
{
    blank_comments(text);
    /* A stream of nothing cannot be opened. */
    buf_put_u8(text, '\n');
    FILE *file = text->failed ? NULL : fmemopen(text->data, text->size, "r");
    cfg->filename = strdup(name);
    enum err err = file == NULL || cfg->filename == NULL    ? ERR_MEMORY
                   : cfg_parse_fp(cfg, file) == CFG_SUCCESS ? ERR_OK
                                                            : ERR_INVALID;
    if (file != NULL) {
        (void)fclose(file);
    }
    return err;
}

/* ERR_INVALID, ERR_IO, ERR_MEMORY; a file that is not there is an empty one. */
static enum err
parse_file(cfg_t *cfg, const char *path, struct config_fault *fault)
{
    struct buf text = { 0 };
    enum err err = read_whole(path, &text);

    if (err == ERR_ABSENT) {
        return ERR_OK;
    }
    if (err == ERR_FULL) {
        (void)snprintf(fault->text, sizeof fault->text, "%s: it is longer than 1 MiB", path);
        err = ERR_INVALID;
    } else if (err == ERR_IO) {
        (void)snprintf(fault->text, sizeof fault->text, "%s: %s", path, strerror(errno));
    }
    if (err == ERR_OK) {
        err = parse_text(cfg, path, &text);
    }
    buf_free(&text);
    return err;
}

enum err
config_parse(struct cfg_t *cfg, const char *name, struct span text, struct config_fault *fault_out)
{
    struct buf copy = { 0 };

    memset(fault_out, 0, sizeof *fault_out);
    reporting = fault_out;
    cfg_set_error_function(cfg, report_args);
    buf_put_span(&copy, text);
    enum err err = parse_text(cfg, name, &copy);
    if (err == ERR_INVALID) {
        report(NULL, "%s: it ends in the middle of an option or a section", name);
    }
    reporting = NULL;
    buf_free(&copy);
    return err;
}

static void
watch_line(cfg_t *cfg, const char *section)
{
    static const struct {
        const char *name;
        cfg_validate_callback_t check;
    } options[] = {
        { "profile", check_profile },   { "interval_minutes", check_interval },
        { "quiet_hours", check_hours }, { "day_bytes", check_bytes },
        { "month_bytes", check_bytes }, { "proxy", check_proxy },
        { "schedule", check_schedule }, { "envelope", check_envelope },
    };
    char name[64];

    for (size_t n = 0; n < sizeof options / sizeof options[0]; n++) {
        (void)snprintf(name, sizeof name, "%s%s", section, options[n].name);
        cfg_set_validate_func(cfg, name, options[n].check);
    }
}

enum err
config_read(const char *path, struct config *config_out, struct config_fault *fault_out)
{
    cfg_opt_t peer_options[] = {
        CFG_STR("device", "", CFGF_NONE),
        CFG_STR("endpoint", "", CFGF_NONE),
        CFG_STR("profile", "", CFGF_NONE),
        CFG_INT("interval_minutes", 0, CFGF_NONE),
        CFG_STR("quiet_hours", "", CFGF_NONE),
        CFG_STR("day_bytes", "", CFGF_NONE),
        CFG_STR("month_bytes", "", CFGF_NONE),
        CFG_INT("schedule", NOT_SAID, CFGF_NONE),
        CFG_INT("envelope", NOT_SAID, CFGF_NONE),
        CFG_STR("proxy", "", CFGF_NONE),
        CFG_END(),
    };
    cfg_opt_t options[] = {
        CFG_STR("name", "", CFGF_NONE),
        CFG_STR("listen", "", CFGF_NONE),
        CFG_STR("announce", "", CFGF_NONE),
        CFG_STR("profile", "", CFGF_NONE),
        CFG_INT("interval_minutes", 0, CFGF_NONE),
        CFG_STR("quiet_hours", "", CFGF_NONE),
        CFG_STR("day_bytes", "", CFGF_NONE),
        CFG_STR("month_bytes", "", CFGF_NONE),
        CFG_INT("schedule", NOT_SAID, CFGF_NONE),
        CFG_INT("envelope", NOT_SAID, CFGF_NONE),
        CFG_STR("proxy", "", CFGF_NONE),
        CFG_INT("handshake_ms", HANDSHAKE_MS_DEFAULT, CFGF_NONE),
        CFG_INT("heartbeat_ms", HEARTBEAT_MS_DEFAULT, CFGF_NONE),
        CFG_INT("map_mib", MAP_MIB_DEFAULT, CFGF_NONE),
        CFG_INT("scrub", SCRUB_DEFAULT, CFGF_NONE),
        CFG_STR("sandbox", "on", CFGF_NONE),
        CFG_STR("metrics", "", CFGF_NONE),
        CFG_STR("log_level", "info", CFGF_NONE),
        CFG_STR_LIST("folders", FOLDERS_DEFAULT, CFGF_NONE),
        CFG_SEC("peer", peer_options, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    enum err err;

    memset(config_out, 0, sizeof *config_out);
    memset(fault_out, 0, sizeof *fault_out);
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    if (cfg == NULL) {
        return ERR_MEMORY;
    }
    reporting = fault_out;
    cfg_set_error_function(cfg, report_args);
    watch_line(cfg, "");
    watch_line(cfg, "peer|");
    cfg_set_validate_func(cfg, "listen", check_listen);
    cfg_set_validate_func(cfg, "announce", check_endpoint);
    cfg_set_validate_func(cfg, "peer|endpoint", check_endpoint);
    cfg_set_validate_func(cfg, "handshake_ms", check_handshake);
    cfg_set_validate_func(cfg, "heartbeat_ms", check_heartbeat);
    cfg_set_validate_func(cfg, "map_mib", check_map);
    cfg_set_validate_func(cfg, "scrub", check_scrub);
    cfg_set_validate_func(cfg, "sandbox", check_sandbox);
    cfg_set_validate_func(cfg, "metrics", check_metrics);
    cfg_set_validate_func(cfg, "log_level", check_level);
    cfg_set_validate_func(cfg, "folders", check_folder);
    err = parse_file(cfg, path, fault_out);
    if (err == ERR_OK) {
        err = take_values(cfg, config_out);
    }
    if (err != ERR_OK) {
        config_free(config_out);
        /* libconfuse says nothing of a file that ends within a section or a string. */
        report(NULL,
               err == ERR_INVALID ? "%s: it ends in the middle of an option or a section"
                                  : "%s: cannot be read",
               path);
    }
    reporting = NULL;
    cfg_free(cfg);
    return err;
}

/* --- comparing --- */

static void
note(struct config_changes *changes, const char *key, bool differs)
{
    size_t used = strlen(changes->keys);

    if (differs) {
        (void)snprintf(changes->keys + used, sizeof changes->keys - used, "%s%s", used == 0 ? "" : " ", key);
    }
}

static bool
lines_differ(const struct line_settings *a, const struct line_settings *b)
{
    return a->profile != b->profile || a->interval_min != b->interval_min || a->quiet_from != b->quiet_from ||
           a->quiet_to != b->quiet_to || a->day_bytes != b->day_bytes || a->month_bytes != b->month_bytes ||
           !envelope_schedule_equal(&a->schedule, &b->schedule);
}

static bool
peers_differ(const struct config *a, const struct config *b)
{
    for (size_t n = 0; a->peer_count == b->peer_count && n < a->peer_count; n++) {
        const struct config_peer *one = &a->peers[n];
        const struct config_peer *other = &b->peers[n];

        if (strcmp(one->name, other->name) != 0 || strcmp(one->device, other->device) != 0 ||
            strcmp(one->endpoint, other->endpoint) != 0 || strcmp(one->proxy, other->proxy) != 0 ||
            lines_differ(&one->line, &other->line)) {
            return true;
        }
    }
    return a->peer_count != b->peer_count;
}

static bool
folders_differ(const struct config *a, const struct config *b)
{
    for (size_t n = 0; a->folder_count == b->folder_count && n < a->folder_count; n++) {
        if (strcmp(a->folders[n], b->folders[n]) != 0) {
            return true;
        }
    }
    return a->folder_count != b->folder_count;
}

void
config_compare(const struct config *before, const struct config *after, struct config_changes *changes_out)
{
    bool listen = strcmp(before->listen, after->listen) != 0;
    bool handshake = before->handshake_ms != after->handshake_ms;
    bool heartbeat = before->heartbeat_ms != after->heartbeat_ms;
    bool metrics = strcmp(before->metrics, after->metrics) != 0;
    bool map = before->map_mib != after->map_mib;
    bool sandbox = !before->sandbox_fixed && before->sandbox != after->sandbox;
    bool folders = folders_differ(before, after);

    *changes_out = (struct config_changes){ .net = listen || handshake || heartbeat || metrics,
                                            .restart = map || sandbox || folders };
    note(changes_out, "name", strcmp(before->name, after->name) != 0);
    note(changes_out, "listen", listen);
    note(changes_out, "announce", strcmp(before->announce, after->announce) != 0);
    note(changes_out, "profile", before->line.profile != after->line.profile);
    note(changes_out, "interval_minutes", before->line.interval_min != after->line.interval_min);
    note(changes_out, "quiet_hours",
         before->line.quiet_from != after->line.quiet_from || before->line.quiet_to != after->line.quiet_to);
    note(changes_out, "day_bytes", before->line.day_bytes != after->line.day_bytes);
    note(changes_out, "month_bytes", before->line.month_bytes != after->line.month_bytes);
    note(changes_out, "schedule", before->line.schedule.beat_s != after->line.schedule.beat_s);
    note(changes_out, "envelope", before->envelope != after->envelope);
    note(changes_out, "proxy", strcmp(before->proxy, after->proxy) != 0);
    note(changes_out, "handshake_ms", handshake);
    note(changes_out, "heartbeat_ms", heartbeat);
    note(changes_out, "map_mib", map);
    note(changes_out, "scrub", before->scrub != after->scrub);
    note(changes_out, "sandbox", sandbox);
    note(changes_out, "folders", folders);
    note(changes_out, "metrics", metrics);
    note(changes_out, "log_level", before->log_level != after->log_level);
    note(changes_out, "peer", peers_differ(before, after));
}

void
config_free(struct config *config)
{
    for (size_t n = 0; n < config->peer_count; n++) {
        free(config->peers[n].name);
        free(config->peers[n].device);
        free(config->peers[n].endpoint);
        free(config->peers[n].proxy);
    }
    for (size_t n = 0; n < config->folder_count; n++) {
        free(config->folders[n]);
    }
    free(config->folders);
    free(config->peers);
    free(config->name);
    free(config->listen);
    free(config->announce);
    free(config->proxy);
    free(config->metrics);
    memset(config, 0, sizeof *config);
}

/* A libconfuse string: quotes and backslashes escaped. */
static void
put_quoted(struct buf *out, const char *text)
{
    buf_put_u8(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            buf_put_u8(out, '\\');
        }
        buf_put_u8(out, (uint8_t)*text);
    }
    buf_put_u8(out, '"');
}

void
config_write_example(const char *name, const char *listen, struct buf *out)
{
    buf_put_text(out, "# node.conf: what this node does. `man vigil-node.conf` explains every option.\n"
                      "# No secret belongs here: keys and passphrases live elsewhere.\n\n"
                      "# How people call this machine.\nname = ");
    put_quoted(out, name);
    buf_put_text(out, "\n\n# Where other nodes may call; empty: this node only calls others.\nlisten = ");
    put_quoted(out, listen);
    buf_put_text(
        out,
        "\n\n# The address that others should call, told to all members; empty: none.\n"
        "announce = \"\"\n\n"
        "# lan: send at once. wan: urgent news at once, the rest in batches. metered: a session every\n"
        "# interval_minutes, and at once for urgent news; it may have quiet_hours = \"22:00-06:00\" (UTC),\n"
        "# day_bytes = \"2M\" and month_bytes = \"40M\". A peer may have its own.\n"
        "profile = lan\n\n"
        "# Whoever watches a line sees when something is said, and how much. One that keeps a schedule sends "
        "one\n"
        "# envelope of so many bytes each time so many seconds have passed, whatever there is to say (0: "
        "none).\n"
        "# Both ends have to keep one. A peer may have its own.\n"
        "schedule = 0\nenvelope = 2048\n\n"
        "# A SOCKS 5 proxy, such as Tor's socks5://127.0.0.1:9050, through which alone others are called; or "
        "none.\n"
        "# A peer may have its own.\n"
        "proxy = none\n\n"
        "# Longer on satellite lines and through Tor, on both sides, in milliseconds.\n");
    buf_printf(out, "handshake_ms = %d\nheartbeat_ms = %d\n\n", HANDSHAKE_MS_DEFAULT, HEARTBEAT_MS_DEFAULT);
    buf_printf(out, "# What the database may hold before it doubles, in MiB.\nmap_mib = %d\n\n",
               MAP_MIB_DEFAULT);
    buf_printf(
        out,
        "# How many rows a second are read to look for damage, while nothing else is to be done; 0: none.\n"
        "scrub = %d\n\n",
        SCRUB_DEFAULT);
    buf_put_text(
        out, "# What keeps a process that was taken over from the rest of the machine: on, best-effort "
             "(as much as this\n"
             "# system has) or off.\nsandbox = on\n\n"
             "# What is logged: error, warning, notice, info or debug, each with what is more important.\n"
             "log_level = info\n\n"
             "# Where a Prometheus on this machine is shown metrics, such as 127.0.0.1:9464; or none.\n"
             "metrics = none\n\n"
             "# Where backups and bundles may be written and read, beside the state directory itself.\n"
             "folders = " FOLDERS_DEFAULT "\n\n");
    buf_put_text(
        out, "# Nodes that this one calls, one section each:\n"
             "# peer \"geneva\" {\n"
             "#     device   = \"12345 67890 12345 67890 12345 67890 12345 67890 12345 67890 12345 67890\"\n"
             "#     endpoint = \"tcp://hq.example.org:7700\"\n"
             "# }\n");
}
