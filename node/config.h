/* config.h - node.conf: what an operator decides about one node.
 *
 *     name = "Nairobi laptop"
 *     listen = "tcp://0.0.0.0:7700"
 *     profile = lan
 *     peer "geneva" {
 *         device   = "12345 67890 ..."          # fingerprint or id of its device
 *         endpoint = "tcp://hq.example.org:7700"
 *         profile  = metered                    # and what its line may cost: line.h
 *         proxy    = "socks5://127.0.0.1:9050"  # Tor, for one
 *     }
 *
 * Read with libconfuse: typed options, and an unknown or wrong one is refused with
 * the file and the line. Secrets have no place here.
 */
#pragma once

#include "node/line.h"
#include "node/sandbox.h"
#include "store/base/log.h"

struct config_peer {
    char *name;
    char *device;   /* fingerprint, id in hex, or name of a device of the roster */
    char *endpoint; /* tcp://host:port */
    char *proxy;    /* socks5://host:port, through which alone it is called; "": called directly */
    struct line_settings line;
};

struct config {
    char *name;
    char *listen;              /* "": dial only */
    char *announce;            /* endpoint that others should dial; "": none */
    struct line_settings line; /* of peers for which nothing else was said */
    long
        envelope; /* bytes of an envelope, where a line keeps a schedule; likewise. 0: ENVELOPE_BYTES_DEFAULT */
    char *proxy;   /* likewise */
    char *metrics; /* address of loopback where they are shown; "": nowhere */
    long handshake_ms;
    long heartbeat_ms;        /* 0: none */
    long map_mib;             /* what the database may grow to before it is doubled */
    long scrub;               /* rows a second that are looked at for damage; 0: none */
    enum log_level log_level; /* what is less important is not logged */
    enum sandbox_mode sandbox;
    bool sandbox_fixed; /* by an option of the command, whatever the file says */
    char **folders;     /* where backups and bundles may be written and read, beside the state directory */
    size_t folder_count;
    struct config_peer *peers;
    size_t peer_count;
};

/* Room for one sentence: "node.conf:7: no such option 'lisen'". */
struct config_fault {
    char text[256];
    unsigned line; /* 0: of no line */
};

/* Read the file at `path`; a missing file is all defaults. ERR_INVALID: `fault_out` says where and what.
 * ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err config_read(const char *path, struct config *config_out, struct config_fault *fault_out);
void config_free(struct config *config);

/* Parse other text of this syntax with libconfuse: `cfg` has its options, and faults name `name` and the line. After it a section's
 * `line` is the one on which it ends. ERR_INVALID: `fault_out` says where and what. ERR_MEMORY. */
struct cfg_t;
MUST_CHECK enum err config_parse(struct cfg_t *cfg, const char *name, struct span text,
                                 struct config_fault *fault_out);

/* How two configurations differ. */
struct config_changes {
    char keys[256]; /* names of what differs, with blanks between; "": nothing does */
    bool net;       /* among it what the net process is told once */
    bool restart;   /* and what only a new start brings about: map_mib, sandbox, folders */
};

void config_compare(const struct config *before, const struct config *after,
                    struct config_changes *changes_out);

/* A file with every option, its default and a line about it, appended to `out`; name and listen are filled in. */
void config_write_example(const char *name, const char *listen, struct buf *out);
