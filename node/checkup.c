#include "node/checkup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const check_names[CHECK_COUNT] = {
    [CHECK_NODE] = "node",
    [CHECK_MODES] = "modes",
    [CHECK_VOLUME] = "volume",
    [CHECK_DISK] = "disk",
    [CHECK_CONFIGURATION] = "configuration",
    [CHECK_STORE] = "store",
    [CHECK_VERIFY] = "verify",
    [CHECK_MAP] = "map",
    [CHECK_READERS] = "readers",
    [CHECK_PROCESS] = "process",
    [CHECK_CLOCK] = "clock",
    [CHECK_CERTIFICATE] = "certificate",
    [CHECK_EPOCHS] = "epochs",
    [CHECK_NETWORK] = "network",
    [CHECK_PEERS] = "peers",
    [CHECK_FORKS] = "forks",
    [CHECK_HELD] = "held",
    [CHECK_WAITING] = "waiting",
    [CHECK_ERASURES] = "erasures",
    [CHECK_FILES] = "files",
    [CHECK_SEARCH] = "search",
};

static const struct checkup_kind kinds[CODE_COUNT] = {
    [CODE_NODE_STOPPED] = { "node-stopped", CHECK_NODE, SEVERITY_WARNING,
                            "nobody started vigild for this directory, or it ended",
                            "vigild run DIR, or look into the system log why it ended" },
    [CODE_NODE_SILENT] = { "node-silent", CHECK_NODE, SEVERITY_WARNING,
                           "a node listens there and gives no answer, or not to you",
                           "ask as the user that the node runs as, and once more; then look into its log" },
    [CODE_MODE_OPEN] = { "mode-open", CHECK_MODES, SEVERITY_ALARM,
                         "somebody changed a mode, or copied the directory without modes",
                         "chmod -R go= DIR, and ask who could read it meanwhile" },
    [CODE_OWNER_FOREIGN] = { "owner-foreign", CHECK_MODES, SEVERITY_ALARM,
                             "it was made by another user, or a link was put in its place",
                             "find out who made it; then give it to the user of the node, or remove it" },
    [CODE_VOLUME_PLAIN] = { "volume-plain", CHECK_VOLUME, SEVERITY_NOTE,
                            "the volume was made without dm-crypt; rows are sealed all the same, but names "
                            "and sizes "
                            "of files, the swap and the system itself are not",
                            "use a machine whose whole disk is encrypted, swap too" },
    [CODE_DISK_LOW] = { "disk-low", CHECK_DISK, SEVERITY_ALARM,
                        "the disk is nearly full, by whatever: new entries are refused, and only erasing "
                        "works",
                        "make room on that disk, or move DIR to a larger one" },
    [CODE_RESERVE_SPENT] = { "reserve-spent", CHECK_DISK, SEVERITY_WARNING,
                             "the disk was full, and the reserve was given up for an erasure; it is taken "
                             "again once "
                             "there is room twice over",
                             "make room on that disk" },
    [CODE_CONFIG_WRONG] = { "config-wrong", CHECK_CONFIGURATION, SEVERITY_WARNING,
                            "node.conf was changed: the node does not start again with it",
                            "mend that line; man vigil-node.conf explains every option" },
    [CODE_ROWS_DAMAGED] = { "rows-damaged", CHECK_STORE, SEVERITY_ALARM,
                            "the disk gave back other bytes than were written, or somebody changed them",
                            "stop the node, then vigild verify DIR, and have the disk examined" },
    [CODE_LOG_DAMAGED] = { "log-damaged", CHECK_STORE, SEVERITY_ALARM,
                           "entries of a log are here and cannot be read",
                           "stop the node, then vigild verify DIR; peers have what can be fetched again" },
    [CODE_DAMAGE_NOTED] = { "damage-noted", CHECK_STORE, SEVERITY_WARNING,
                            "they are damaged here, and every peer that holds them is asked for them",
                            "let the node meet a peer; the log names each as damaged-entry, and as "
                            "entry-mended "
                            "when it has come" },
    [CODE_RESTORED] = { "restored", CHECK_STORE, SEVERITY_WARNING,
                        "it was restored from a backup or out of damaged pages, and consent may have been "
                        "withdrawn since",
                        "let it meet a peer or import a bundle; where neither can be: vigil backup accept" },
    [CODE_REBUILDING] = { "rebuilding", CHECK_STORE, SEVERITY_NOTE,
                          "records are being made anew: lists and counts may be behind",
                          "wait; vigil status tells when it is over" },
    [CODE_VERIFY_NEVER] = { "verify-never", CHECK_VERIFY, SEVERITY_NOTE,
                            "vigild verify has not gone through this store yet",
                            "when the node may stop for it: vigild verify DIR" },
    [CODE_VERIFY_FINDINGS] = { "verify-findings", CHECK_VERIFY, SEVERITY_ALARM,
                               "the last vigild verify found that the store is not as it must be",
                               "vigild verify DIR names each, and with --repair makes anew what is derived "
                               "and has the rest come again from peers; then verify once more" },
    [CODE_SCRUB_FINDINGS] = { "scrub-findings", CHECK_VERIFY, SEVERITY_WARNING,
                              "the running node read through its store and found rows or files damaged",
                              "the log names each; entries and files come again from peers, for the rest "
                              "stop the "
                              "node and: vigild verify DIR --repair; have the disk examined" },
    [CODE_MAP_FULL] = { "map-full", CHECK_MAP, SEVERITY_ALARM,
                        "the database could not be given a larger map, for want of address space or since a "
                        "reader "
                        "does not end",
                        "start the node again; look at limits on its memory" },
    [CODE_READER_DEAD] = { "reader-dead", CHECK_READERS, SEVERITY_NOTE,
                           "a process that read the store ended without a word; what it left was cleared "
                           "just now",
                           "nothing, unless it comes again: then look into the system log for what crashes" },
    [CODE_READER_BEHIND] = { "reader-behind", CHECK_READERS, SEVERITY_NOTE,
                             "somebody reads the store for long, such as a backup: meanwhile the file grows",
                             "wait until it has ended; if it never does, start the node again" },
    [CODE_SANDBOX_OFF] = { "sandbox-off", CHECK_PROCESS, SEVERITY_WARNING,
                           "the kernel lacks a part of the sandbox, or node.conf does without: whoever takes "
                           "the process that has the keys over may do more than it must",
                           "use a kernel with Landlock and seccomp (Linux 5.13 or later), and say sandbox = "
                           "on in node.conf" },
    [CODE_CORE_DUMPS] = { "core-dumps", CHECK_PROCESS, SEVERITY_WARNING,
                          "something switched back on what vigild switches off when it starts",
                          "start it again without a debugger or wrapper around it" },
    [CODE_MEMORY_UNLOCKED] = { "memory-unlocked", CHECK_PROCESS, SEVERITY_WARNING,
                               "the memlock limit of the process is too low: keys may reach the swap",
                               "raise the memlock limit, or encrypt the swap" },
    [CODE_CLOCK_CERTIFICATE] = { "clock-certificate", CHECK_CLOCK, SEVERITY_ALARM,
                                 "the certificate of this device is over by its own clock, so one of the two "
                                 "is not "
                                 "to be believed",
                                 "compare the clock with a watch; if it is right, have the certificate "
                                 "renewed: vigil-org renew" },
    [CODE_CLOCK_APART] = { "clock-apart", CHECK_CLOCK, SEVERITY_WARNING,
                           "the clock of that device is ahead, or this one is behind",
                           "compare both with a watch" },
    [CODE_CERTIFICATE_NONE] = { "certificate-none", CHECK_CERTIFICATE, SEVERITY_ALARM,
                                "nobody whose word counts here certified this device",
                                "import the news of the organisation: vigil peer add --statements FILE" },
    [CODE_DEVICE_REVOKED] = { "device-revoked", CHECK_CERTIFICATE, SEVERITY_ALARM,
                              "this device was revoked: what it writes counts no more",
                              "have the machine enrolled again, with new keys" },
    [CODE_CERTIFICATE_ENDING] = { "certificate-ending", CHECK_CERTIFICATE, SEVERITY_WARNING,
                                  "a certificate is given for a time, and after it no peer lets the device "
                                  "in",
                                  "where the keys of the office are: vigil-org renew DIR --office CODE; then "
                                  "on each node: vigil peer add --statements FILE" },
    [CODE_EPOCH_OLD] = { "epoch-old", CHECK_EPOCHS, SEVERITY_WARNING,
                         "a device with admin there makes a new one every 90 days, and none has",
                         "let a node with admin there run, or on one: vigil epoch rotate COMPARTMENT" },
    [CODE_EPOCH_NONE] = { "epoch-none", CHECK_EPOCHS, SEVERITY_WARNING,
                          "no device with admin there has made one yet, or the one that was made may not be "
                          "used any "
                          "more: nobody can write there",
                          "let a node with admin there run, and meet it: vigil sync now" },
    [CODE_NET_DOWN] = { "net-down", CHECK_NETWORK, SEVERITY_WARNING,
                        "the process that meets the network ended, or could not be started",
                        "vigil status says how often; look into the log of the node" },
    [CODE_NET_SANDBOX] = { "net-sandbox", CHECK_NETWORK, SEVERITY_WARNING,
                           "node.conf asks for a sandbox, and this kernel does not give all of it",
                           "use a kernel with Landlock and seccomp (Linux 5.13 or later); sandbox = "
                           "best-effort in node.conf does with what there is" },
    [CODE_NET_DOOR_OPEN] = { "net-door-open", CHECK_NETWORK, SEVERITY_ALARM,
                             "the libzmq of this machine does not ask who may come in, so the process ended "
                             "rather than listen",
                             "install the libzmq of the distribution, and start the node again" },
    [CODE_NET_FORBIDDEN] = { "net-forbidden", CHECK_NETWORK, SEVERITY_ALARM,
                             "somebody may have tried to take the process that meets the network over; it "
                             "was ended by the kernel",
                             "keep the log of the node, and tell headquarters; it holds no case and no key "
                             "but that of its lines" },
    [CODE_NET_MALFORMED] = { "net-malformed", CHECK_NETWORK, SEVERITY_ALARM,
                             "the process that meets the network was taken over, or is of another version "
                             "than the node",
                             "keep the log of the node, and start it again; if it comes again, tell "
                             "headquarters" },
    [CODE_NET_STARTER_GONE] = { "net-starter-gone", CHECK_NETWORK, SEVERITY_WARNING,
                                "the process that starts the one that meets the network ended",
                                "start the node again" },
    [CODE_LISTEN_FAILED] = { "listen-failed", CHECK_NETWORK, SEVERITY_WARNING,
                             "another program has the port, or this machine has no such address (yet)",
                             "ss -ltnp shows who has it; make it free, or mend listen in node.conf: it is "
                             "tried again every 5 seconds" },
    [CODE_FILES_SPENT] = { "files-spent", CHECK_NETWORK, SEVERITY_WARNING,
                           "more connections at one time than the limit on open files allows: listening "
                           "rests for seconds",
                           "raise the limit (LimitNOFILE= of the service), and look at who knocks: vigil "
                           "metrics" },
    [CODE_DOOR_CROWDED] = { "door-crowded", CHECK_NETWORK, SEVERITY_WARNING,
                            "a crowd of strangers knocks; those beyond the limit are cut off at once, "
                            "members among them",
                            "let a firewall admit the addresses of members alone, or none: the node can call "
                            "by itself" },
    [CODE_DOOR_REFUSED] = { "door-refused", CHECK_NETWORK, SEVERITY_NOTE,
                            "scanners knock at every open port; a member is refused too while the news of it "
                            "has not come",
                            "nothing, unless a member does not get in: then vigil peer add --statements "
                            "FILE" },
    [CODE_PEERS_TOO_MANY] = { "peers-too-many", CHECK_NETWORK, SEVERITY_WARNING,
                              "this node calls, or is called by, more devices than it serves at one time",
                              "let some of them meet another node, and remove their addresses: vigil peer "
                              "remove" },
    [CODE_CALL_IMPOSSIBLE] = { "call-impossible", CHECK_NETWORK, SEVERITY_WARNING,
                               "an address of a peer or of its proxy is of a kind that cannot be called",
                               "vigil peer list shows the addresses; name a right one with vigil peer add" },
    [CODE_MESSAGES_DROPPED] = { "messages-dropped", CHECK_NETWORK, SEVERITY_NOTE,
                                "a line ended while something was on its way: the next session sends it "
                                "again",
                                "nothing, unless lines end often: vigil sync lines says why they did" },
    [CODE_METRICS_UNSERVED] = { "metrics-unserved", CHECK_NETWORK, SEVERITY_WARNING,
                                "another program has that port",
                                "set metrics in node.conf to a port that is free; vigil metrics prints the "
                                "same" },
    [CODE_PEER_UNREACHABLE] = { "peer-unreachable", CHECK_PEERS, SEVERITY_WARNING,
                                "the peer is off, its address is another, or the line between is down",
                                "ask its operator whether it runs; vigil peer list shows its address" },
    [CODE_PROXY_FAILED] = { "proxy-failed", CHECK_PEERS, SEVERITY_WARNING,
                            "the proxy is off, or does not reach the peer; it is never called past its proxy",
                            "see that the proxy runs at that address: vigil peer list shows it" },
    [CODE_PEER_REFUSED] = { "peer-refused", CHECK_PEERS, SEVERITY_WARNING,
                            "one of the two ended the session: a certificate, a version or a message was "
                            "wrong",
                            "compare versions and the news of the organisation on both" },
    [CODE_SCHEDULE_ALONE] = { "schedule-alone", CHECK_PEERS, SEVERITY_WARNING,
                              "this node sends to the peer by a schedule, and the peer answers whenever "
                              "there "
                              "is something to say, or is of a version that knows none",
                              "set one there as well: vigil peer set PEER schedule=SECONDS" },
    [CODE_SCHEDULE_BUDGET] = { "schedule-budget", CHECK_PEERS, SEVERITY_WARNING,
                               "a schedule sends the same bytes whether there is something to say or not, "
                               "and "
                               "when the budget is spent the line is hung up until the day or the month is "
                               "over",
                               "more seconds or smaller envelopes, or a larger budget: vigil peer set PEER" },
    [CODE_PEER_NONE] = { "peer-none", CHECK_PEERS, SEVERITY_NOTE,
                         "nobody was named that this node calls, and nobody calls it",
                         "vigil peer add --help shows how to name one" },
    [CODE_FORK_OWN] = { "fork-own", CHECK_FORKS, SEVERITY_ALARM,
                        "a copy of this node ran, or its key is in other hands",
                        "stop the copy, and tell headquarters" },
    [CODE_FORK] = { "fork", CHECK_FORKS, SEVERITY_WARNING,
                    "its key is in two hands, or an old copy of it ran",
                    "ask its operator, or have it revoked: vigil digest --frontier" },
    [CODE_SET_BACK] = { "set-back", CHECK_FORKS, SEVERITY_WARNING,
                        "an older copy of a database was put in place of a newer one, or it was taken out of "
                        "damaged pages",
                        "ask whether a backup was restored; if nobody did, have the disk examined" },
    [CODE_HELD_OWN] = { "held-own", CHECK_HELD, SEVERITY_WARNING,
                        "a right was lost, or a cut lies before what this device wrote",
                        "vigil held list --own says why; headquarters can admit it after review" },
    [CODE_HELD] = { "held", CHECK_HELD, SEVERITY_NOTE,
                    "it was written beyond a cut, without a right, or malformed",
                    "vigil held list shows whose it is and why" },
    [CODE_QUARANTINE_FULL] = { "quarantine-full", CHECK_HELD, SEVERITY_WARNING,
                               "somebody sends more that does not count, or cannot be opened, than is kept "
                               "of them",
                               "vigil held list shows whose it is; have a device that floods revoked" },
    [CODE_UPGRADE_NEEDED] = { "upgrade-needed", CHECK_WAITING, SEVERITY_WARNING,
                              "others use a newer program: what it wrote is kept and passed on, and not "
                              "shown",
                              "install the newer version here" },
    [CODE_KEYS_MISSING] = { "keys-missing", CHECK_WAITING, SEVERITY_NOTE,
                            "the key of what came has not come yet",
                            "let it meet a node that reads there: vigil sync now" },
    [CODE_TEXTS_MISSING] = { "texts-missing", CHECK_WAITING, SEVERITY_NOTE,
                             "long texts do not come over a line that is dear unless somebody asks",
                             "vigil sync fetch" },
    [CODE_ERASE_NEEDS_DISK] = { "erase-needs-disk", CHECK_ERASURES, SEVERITY_WARNING,
                                "what was erased lies in free pages still, and the files are to be rewritten",
                                "make room on that disk" },
    [CODE_ERASE_SECOND] = { "erase-second", CHECK_ERASURES, SEVERITY_NOTE,
                            "an order to erase takes two signatures, and has one",
                            "vigil erase list shows it; a device of another office signs" },
    [CODE_FILES_REFUSED] = { "files-refused", CHECK_FILES, SEVERITY_WARNING,
                             "a peer's disk is damaged, or it sends what is not of the file",
                             "vigil blob status says who; have them run vigil blob verify" },
    [CODE_FILES_MISSING] = { "files-missing", CHECK_FILES, SEVERITY_NOTE,
                             "a file comes after its record, and over a dear line only when asked for",
                             "vigil blob status shows which; vigil blob want asks for one" },
    [CODE_INDEX_BEHIND] = { "index-behind", CHECK_SEARCH, SEVERITY_NOTE,
                            "records came since it was brought up to date, or it is read for the first time",
                            "wait; a search brings it up to date as well" },
};

const struct checkup_kind *
checkup_kind(enum checkup_code code)
{
    return &kinds[code];
}

const char *
checkup_severity_name(enum checkup_severity severity)
{
    return severity == SEVERITY_ALARM ? "alarm" : severity == SEVERITY_WARNING ? "warning" : "note";
}

const char *
checkup_check_name(enum checkup_check check)
{
    return check_names[check];
}

/* --- lines ------------------------------------------------------------------- */

static void
say(const struct checkup_sink *sink, enum checkup_check check, enum checkup_state state,
    const struct checkup_kind *kind, const char *format, va_list args)
{
    struct checkup_line line = { .check = check, .state = state, .kind = kind };

    (void)vsnprintf(line.what, sizeof line.what, format, args);
    sink->line(sink->self, &line);
}

void
checkup_well(const struct checkup_sink *sink, enum checkup_check check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(sink, check, CHECKUP_WELL, NULL, format, args);
    va_end(args);
}

void
checkup_unknown(const struct checkup_sink *sink, enum checkup_check check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(sink, check, CHECKUP_UNKNOWN, NULL, format, args);
    va_end(args);
}

void
checkup_found(const struct checkup_sink *sink, enum checkup_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(sink, kinds[code].check, CHECKUP_FOUND, &kinds[code], format, args);
    va_end(args);
}

/* "3 days", in the largest unit that fits twice. */
struct span_words {
    char text[96];
};

static struct span_words
span_words(uint64_t seconds)
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = { { 24 * 3600, "days" }, { 3600, "hours" }, { 60, "minutes" } };
    struct span_words words;

    for (size_t n = 0; n < sizeof units / sizeof units[0]; n++) {
        if (seconds >= 2 * units[n].seconds) {
            (void)snprintf(words.text, sizeof words.text, "%llu %s",
                           (unsigned long long)(seconds / units[n].seconds), units[n].name);
            return words;
        }
    }
    (void)snprintf(words.text, sizeof words.text, "%llu second%s", (unsigned long long)seconds,
                   seconds == 1 ? "" : "s");
    return words;
}

/* "3 days ago"; of what is ahead of our clock, that. */
static struct span_words
ago(uint64_t now_ms, uint64_t then_ms)
{
    struct span_words words;

    if (then_ms == 0) {
        (void)snprintf(words.text, sizeof words.text, "never");
    } else if (then_ms > now_ms) {
        (void)snprintf(words.text, sizeof words.text, "in the future");
    } else {
        (void)snprintf(words.text, sizeof words.text, "%.80s ago",
                       span_words((now_ms - then_ms) / 1000).text);
    }
    return words;
}

/* "3 MiB". */
static struct span_words
bytes_words(uint64_t bytes)
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
    struct span_words words;
    size_t unit = 0;

    while (bytes >= 1024 * UINT64_C(10) && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(words.text, sizeof words.text, "%llu %s", (unsigned long long)bytes, units[unit]);
    return words;
}

static unsigned long long
number(uint64_t value)
{
    return value;
}

static const char *
plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

/* --- the state directory ------------------------------------------------------ */

static void
tell_open(const struct checkup_sink *sink, enum checkup_code code, const struct surroundings_open *open,
          const char *how)
{
    char names[SURROUNDINGS_NAMED_MAX * (SURROUNDINGS_NAME_BYTES + 2)] = "";
    size_t shown = open->count < SURROUNDINGS_NAMED_MAX ? open->count : SURROUNDINGS_NAMED_MAX;

    for (size_t n = 0; n < shown; n++) {
        size_t used = strlen(names);

        (void)snprintf(names + used, sizeof names - used, "%s%s", n == 0 ? "" : ", ",
                       strcmp(open->names[n], ".") == 0 ? "DIR itself" : open->names[n]);
    }
    if (open->count > shown) {
        checkup_found(sink, code, "%s and %zu more %s", names, open->count - shown, how);
    } else {
        checkup_found(sink, code, "%s %s", names, how);
    }
}

static void
check_disk(const struct checkup_sink *sink, const struct surroundings *here)
{
    bool low = here->room_bytes < here->reserve_bytes;

    if (!here->room_known) {
        checkup_unknown(sink, CHECK_DISK, "the disk does not say how much room is left");
        return;
    }
    if (low) {
        checkup_found(sink, CODE_DISK_LOW, "%s are free, and %s are kept free",
                      bytes_words(here->room_bytes).text, bytes_words(here->reserve_bytes).text);
    }
    if (!here->reserve_there) {
        checkup_found(sink, CODE_RESERVE_SPENT, "nothing is set aside for an erasure on a full disk");
    }
    if (!low && here->reserve_there) {
        checkup_well(sink, CHECK_DISK, "%s are free, %s of them kept free",
                     bytes_words(here->room_bytes).text, bytes_words(here->reserve_bytes).text);
    }
}

void
checkup_surroundings(const struct checkup_sink *sink, const struct surroundings *here)
{
    if (here->seen != ERR_OK) {
        checkup_unknown(sink, CHECK_MODES, "not all of DIR can be looked at: %s", err_text(here->seen));
    }
    if (here->open.count > 0) {
        tell_open(sink, CODE_MODE_OPEN, &here->open, "can be used by others than their owner");
    }
    if (here->foreign.count > 0) {
        tell_open(sink, CODE_OWNER_FOREIGN, &here->foreign, "are not this user's, or are links");
    }
    if (here->seen == ERR_OK && here->open.count + here->foreign.count == 0) {
        checkup_well(sink, CHECK_MODES, "%llu files and folders are for their owner alone",
                     number(here->looked));
    }
    switch (here->volume.state) {
    case VOLUME_ENCRYPTED:
        checkup_well(sink, CHECK_VOLUME, "%s", here->volume.words);
        break;
    case VOLUME_PLAIN:
        checkup_found(sink, CODE_VOLUME_PLAIN, "%s", here->volume.words);
        break;
    default:
        checkup_unknown(sink, CHECK_VOLUME, "%s", here->volume.words);
        break;
    }
    check_disk(sink, here);
}

/* --- the store ---------------------------------------------------------------- */

static void
check_store(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    if (facts->corrupt_rows > 0) {
        checkup_found(sink, CODE_ROWS_DAMAGED, "%llu %s did not verify since the node was started",
                      number(facts->corrupt_rows), plural(facts->corrupt_rows, "row", "rows"));
    }
    if (facts->damaged_logs > 0) {
        checkup_found(sink, CODE_LOG_DAMAGED, "entries of %llu %s cannot be read",
                      number(facts->damaged_logs), plural(facts->damaged_logs, "log", "logs"));
    }
    if (facts->damage_noted > 0) {
        checkup_found(sink, CODE_DAMAGE_NOTED, "%llu %s to come again", number(facts->damage_noted),
                      plural(facts->damage_noted, "entry is", "entries are"));
    }
    if (facts->restored) {
        checkup_found(sink, CODE_RESTORED, "no record is shown before it has compared with somebody");
    }
    if (facts->rebuilding) {
        checkup_found(sink, CODE_REBUILDING, "not every record is made yet");
    }
    if (facts->corrupt_rows == 0 && facts->damaged_logs == 0 && facts->damage_noted == 0 &&
        !facts->restored && !facts->rebuilding) {
        checkup_well(sink, CHECK_STORE, "%llu entries, %llu records, and every row that was read verified",
                     number(facts->entries), number(facts->records));
    }
}

static void
check_verify(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    if (!facts->verified) {
        checkup_found(sink, CODE_VERIFY_NEVER, "the whole store was never checked");
    } else if (facts->verify_findings > 0) {
        checkup_found(sink, CODE_VERIFY_FINDINGS, "%llu %s %s", number(facts->verify_findings),
                      plural(facts->verify_findings, "finding", "findings"),
                      ago(facts->now_ms, facts->verified_ms).text);
    } else {
        checkup_well(sink, CHECK_VERIFY, "no findings %s", ago(facts->now_ms, facts->verified_ms).text);
    }
    if (facts->scrub_found > 0) {
        checkup_found(sink, CODE_SCRUB_FINDINGS, "%llu damaged of %llu rows that this pass read so far",
                      number(facts->scrub_found), number(facts->scrub_rows));
    } else if (facts->scrub_findings > 0) {
        checkup_found(sink, CODE_SCRUB_FINDINGS, "%llu damaged in the pass that ended %s",
                      number(facts->scrub_findings), ago(facts->now_ms, facts->scrub_ended_ms).text);
    } else if (facts->scrub_ended_ms > 0) {
        checkup_well(sink, CHECK_VERIFY, "the running node read all of it, and nothing is damaged, %s",
                     ago(facts->now_ms, facts->scrub_ended_ms).text);
    }
}

static void
check_map(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    if (facts->map_full) {
        checkup_found(sink, CODE_MAP_FULL, "a transaction did not fit into %s",
                      bytes_words(facts->map_bytes).text);
    } else {
        checkup_well(sink, CHECK_MAP, "%s used of %s, which is doubled when it is needed",
                     bytes_words(facts->map_used).text, bytes_words(facts->map_bytes).text);
    }
}

static void
check_readers(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    if (!facts->readers_known) {
        checkup_unknown(sink, CHECK_READERS, "the list of readers cannot be read");
        return;
    }
    if (facts->readers_dead > 0) {
        checkup_found(sink, CODE_READER_DEAD, "%llu left by processes that are no more",
                      number(facts->readers_dead));
    }
    if (facts->readers_behind > 0) {
        checkup_found(sink, CODE_READER_BEHIND, "the oldest of %llu began %llu commits ago",
                      number(facts->readers), number(facts->readers_behind));
    }
    if (facts->readers_dead == 0 && facts->readers_behind == 0) {
        checkup_well(sink, CHECK_READERS, "none is stale");
    }
}

/* --- the process, its clock, its keys ------------------------------------------ */

static void
check_process(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    const struct confinement *held = &facts->confinement;
    bool filtered = held->seccomp > 0 && held->no_new_privs;

    if (held->dumpable) {
        checkup_found(sink, CODE_CORE_DUMPS, "a crash would write the memory of the node to a file");
    }
    if (!facts->memory_locks) {
        checkup_found(sink, CODE_MEMORY_UNLOCKED, "memory cannot be locked here");
    } else if (facts->net.memory_unlocked) {
        checkup_found(sink, CODE_MEMORY_UNLOCKED, "the net process cannot lock memory");
    }
    if (!held->known) {
        checkup_unknown(sink, CHECK_PROCESS, "whether it is in a sandbox: the kernel does not say");
    } else if (facts->sandbox_missing != NULL) {
        checkup_found(sink, CODE_SANDBOX_OFF, "the sandbox is not whole: %.200s", facts->sandbox_missing);
    } else if (!filtered) {
        checkup_found(sink, CODE_SANDBOX_OFF, "%s",
                      held->seccomp == 0
                          ? "no filter of system calls is in force"
                          : "a filter is in force, and a program that it starts may gain rights");
    } else if (facts->net.sandbox_in_part) {
        checkup_found(sink, CODE_SANDBOX_OFF, "the sandbox of the net process is not whole");
    } else if (!held->dumpable && facts->memory_locks && !facts->net.memory_unlocked) {
        checkup_well(sink, CHECK_PROCESS,
                     "it is in its sandbox, dumps no core, and its memory can be locked");
    }
}

static void
check_clock(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    bool over = facts->certified && facts->until_s < facts->now_ms / 1000;

    if (over) {
        checkup_found(sink, CODE_CLOCK_CERTIFICATE, "by this clock the certificate of the device ended %s",
                      ago(facts->now_ms, facts->until_s * 1000).text);
    }
    if (facts->clocks_apart > 0) {
        checkup_found(sink, CODE_CLOCK_APART, "%llu %s ahead; that of %.64s by %s",
                      number(facts->clocks_apart), plural(facts->clocks_apart, "clock is", "clocks are"),
                      facts->apart_most, span_words(facts->apart_most_s).text);
    }
    if (!over && facts->clocks_apart == 0) {
        checkup_well(sink, CHECK_CLOCK, "nothing speaks against it");
    }
}

static void
check_certificate(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    uint64_t now_s = facts->now_ms / 1000;

    if (facts->revoked) {
        checkup_found(sink, CODE_DEVICE_REVOKED, "the certificate of this device was taken back");
    } else if (!facts->certified) {
        checkup_found(sink, CODE_CERTIFICATE_NONE, "the certificate of this device does not count here");
    } else if (facts->until_s < now_s) {
        checkup_unknown(sink, CHECK_CERTIFICATE, "it is over by this clock, which may be wrong: see clock");
    } else if (facts->until_s - now_s < CHECKUP_CERTIFICATE_DAYS * UINT64_C(24) * 3600) {
        checkup_found(sink, CODE_CERTIFICATE_ENDING, "it ends in %s",
                      span_words(facts->until_s - now_s).text);
    } else {
        checkup_well(sink, CHECK_CERTIFICATE, "it is good for %s", span_words(facts->until_s - now_s).text);
    }
}

static void
check_epochs(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    uint64_t oldest_ms = 0;
    bool well = true;

    for (size_t n = 0; n < facts->epoch_count; n++) {
        const struct checkup_epoch *epoch = &facts->epochs[n];
        uint64_t age_ms = epoch->known ? epoch->age_ms : 0;

        if (epoch->none) {
            checkup_found(sink, CODE_EPOCH_NONE, "%.64s has none in force", epoch->compartment);
            well = false;
        } else if (age_ms > CHECKUP_EPOCH_DAYS * UINT64_C(24) * 3600 * 1000) {
            checkup_found(sink, CODE_EPOCH_OLD, "that of %.64s is in force for %s", epoch->compartment,
                          span_words(age_ms / 1000).text);
            well = false;
        }
        oldest_ms = age_ms > oldest_ms ? age_ms : oldest_ms;
    }
    if (well && facts->epoch_count == 0) {
        checkup_well(sink, CHECK_EPOCHS, "this device reads no compartment that has any");
    } else if (well) {
        checkup_well(sink, CHECK_EPOCHS, "the oldest in force is known here for %s",
                     span_words(oldest_ms / 1000).text);
    }
}

/* --- others -------------------------------------------------------------------- */

/* "; 3 entries to come, 5 to send": nothing of nothing. */
static struct span_words
lag_words(const struct checkup_peer *peer)
{
    struct span_words words = { "" };

    if (peer->waiting_in + peer->waiting_out > 0) {
        (void)snprintf(words.text, sizeof words.text, "; %llu to come, %llu to send",
                       number(peer->waiting_in), number(peer->waiting_out));
    }
    return words;
}

/* Whether the budget of a line carries its schedule. */
static void
check_budget(const struct checkup_sink *sink, const struct checkup_peer *peer)
{
    enum { MONTH_DAYS = 30 };
    uint64_t day = peer->schedule_day_bytes;
    uint64_t month = day * MONTH_DAYS;

    if (peer->day_bytes > 0 && peer->day_bytes < day) {
        checkup_found(sink, CODE_SCHEDULE_BUDGET,
                      "%.64s: the schedule takes %s a day both ways, and %s may pass", peer->name,
                      bytes_words(day).text, bytes_words(peer->day_bytes).text);
    } else if (peer->month_bytes > 0 && peer->month_bytes < month) {
        checkup_found(sink, CODE_SCHEDULE_BUDGET,
                      "%.64s: the schedule takes %s a month both ways, and %s may pass", peer->name,
                      bytes_words(month).text, bytes_words(peer->month_bytes).text);
    }
}

static void
check_peer(const struct checkup_sink *sink, const struct checkup_facts *facts,
           const struct checkup_peer *peer)
{
    struct span_words heard = ago(facts->now_ms, peer->heard_ms);
    struct span_words lag = lag_words(peer);

    check_budget(sink, peer);
    if (peer->up && peer->refused) {
        checkup_found(sink, CODE_PEER_REFUSED, "%.64s: %.90s", peer->name,
                      peer->why[0] == '\0' ? "the session ended" : peer->why);
    } else if (peer->up && peer->schedule_alone) {
        checkup_found(sink, CODE_SCHEDULE_ALONE, "%.64s keeps no schedule%s", peer->name, lag.text);
    } else if (peer->up) {
        checkup_well(sink, CHECK_PEERS, "%.64s is connected%s", peer->name, lag.text);
    } else if (peer->calls_us) {
        checkup_well(sink, CHECK_PEERS, "%.64s calls this node, and is away; last contact %s%s", peer->name,
                     heard.text, lag.text);
    } else if (peer->rests) {
        checkup_well(sink, CHECK_PEERS, "%.64s is called when its line may be used; last contact %s%s",
                     peer->name, heard.text, lag.text);
    } else if (peer->why[0] != '\0' || peer->unanswered) {
        checkup_found(sink, peer->proxy_failed ? CODE_PROXY_FAILED : CODE_PEER_UNREACHABLE,
                      "%.64s: %.90s; last contact %s%s", peer->name,
                      peer->why[0] != '\0' ? peer->why : "it does not answer", heard.text, lag.text);
    } else {
        checkup_well(sink, CHECK_PEERS, "%.64s is being called; last contact %s%s", peer->name, heard.text,
                     lag.text);
    }
}

/* Why it does not run, if it does not. */
static void
check_net_ended(const struct checkup_sink *sink, const struct checkup_net *net)
{
    if (net->starter_gone) {
        checkup_found(sink, CODE_NET_STARTER_GONE, "what starts the net process has ended");
    } else if (net->no_sandbox) {
        checkup_found(sink, CODE_NET_SANDBOX,
                      "the net process has no whole sandbox, and does not go on without");
    } else if (!net->runs) {
        checkup_found(sink, CODE_NET_DOWN, "the net process is not running, and is started again soon");
    }
}

/* What happened so many times since the start. False: it never did. */
static bool
check_times(const struct checkup_sink *sink, enum checkup_code code, uint64_t count, const char *what)
{
    if (count > 0) {
        checkup_found(sink, code, "%s, %llu %s since the start", what, number(count),
                      plural(count, "time", "times"));
    }
    return count > 0;
}

static void
check_door(const struct checkup_sink *sink, const struct checkup_net *net)
{
    bool crowded = check_times(sink, CODE_DOOR_CROWDED, net->crowded,
                               "a connection was one more than may stand at one time");

    if (net->refused > net->crowded) {
        checkup_found(
            sink, CODE_DOOR_REFUSED,
            "%llu %s refused at the door since the start, %llu with a key that is not on the roster",
            number(net->refused - net->crowded),
            plural(net->refused - net->crowded, "connection was", "connections were"),
            number(net->strangers));
    } else if (!crowded && net->runs && !net->cannot_listen) {
        checkup_well(sink, CHECK_NETWORK, "the net process runs, and nobody was refused at the door");
    }
}

static void
check_network(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    const struct checkup_net *net = &facts->net;

    check_net_ended(sink, net);
    (void)check_times(sink, CODE_NET_DOOR_OPEN, net->doors_open, "its self-test let a stranger in");
    (void)check_times(sink, CODE_NET_FORBIDDEN, net->forbidden,
                      "the net process made a call that it never makes, and was ended");
    (void)check_times(sink, CODE_NET_MALFORMED, net->malformed,
                      "the net process told what it never tells, and was ended");
    if (net->cannot_listen) {
        checkup_found(sink, CODE_LISTEN_FAILED,
                      "the address in node.conf cannot be listened on: nobody can call");
    }
    (void)check_times(sink, CODE_FILES_SPENT, net->files_spent, "file descriptors ran out");
    check_door(sink, net);
    (void)check_times(sink, CODE_PEERS_TOO_MANY, net->peers_too_many, "there were too many peers");
    (void)check_times(sink, CODE_CALL_IMPOSSIBLE, net->calls_impossible, "a peer could not be called at all");
    (void)check_times(sink, CODE_MESSAGES_DROPPED, net->messages_dropped,
                      "a message for a device that had just gone was dropped");
    if (net->metrics_unserved) {
        checkup_found(sink, CODE_METRICS_UNSERVED, "metrics cannot be shown at the address in node.conf");
    }
}

static void
check_peers(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    for (size_t n = 0; n < facts->peer_count; n++) {
        check_peer(sink, facts, &facts->peers[n]);
    }
    if (facts->peer_count == 0) {
        checkup_found(sink, CODE_PEER_NONE, "this node has no peer");
    }
}

static void
check_forks(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    for (size_t n = 0; n < facts->fork_count; n++) {
        const struct checkup_fork *fork = &facts->forks[n];

        checkup_found(sink, fork->own ? CODE_FORK_OWN : CODE_FORK,
                      "%.64s signed two entries with number %llu in %.64s",
                      fork->own ? "this very device" : fork->device, number(fork->seq), fork->compartment);
    }
    if (facts->lost_tails > 0) {
        checkup_found(sink, CODE_SET_BACK,
                      "this node had lost entries that it had signed, and peers gave them back");
    } else if (facts->incarnations > 0) {
        checkup_found(sink, CODE_SET_BACK,
                      "this node was set back to an older state, and writes on in new logs");
    }
    if (facts->set_back_peers > 0) {
        checkup_found(sink, CODE_SET_BACK, "%llu %s less of a log of their own than is here",
                      number(facts->set_back_peers), plural(facts->set_back_peers, "peer has", "peers have"));
    }
    if (facts->fork_count == 0 && facts->lost_tails + facts->incarnations + facts->set_back_peers == 0) {
        checkup_well(sink, CHECK_FORKS, "no log has forked, and nobody was set back");
    }
}

static void
check_held(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    if (facts->held_own > 0) {
        checkup_found(sink, CODE_HELD_OWN, "%llu %s of this device not count", number(facts->held_own),
                      plural(facts->held_own, "entry does", "entries do"));
    }
    if (facts->held > facts->held_own) {
        checkup_found(sink, CODE_HELD, "%llu %s of others kept and not count",
                      number(facts->held - facts->held_own),
                      plural(facts->held - facts->held_own, "entry is", "entries are"));
    }
    if (facts->limits > 0) {
        checkup_found(sink, CODE_QUARANTINE_FULL, "entries were put off %llu times since the start",
                      number(facts->limits));
    }
    if (facts->held + facts->held_own + facts->limits == 0) {
        checkup_well(sink, CHECK_HELD, "nothing is held");
    }
}

static void
check_waiting(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    if (facts->wait_schema + facts->newer_statements > 0) {
        checkup_found(sink, CODE_UPGRADE_NEEDED, "%llu entries and %llu statements are of a newer version",
                      number(facts->wait_schema), number(facts->newer_statements));
    }
    if (facts->wait_key > 0) {
        checkup_found(sink, CODE_KEYS_MISSING, "%llu entries wait for a key", number(facts->wait_key));
    }
    if (facts->wait_text > 0) {
        checkup_found(sink, CODE_TEXTS_MISSING, "%llu long %s not come", number(facts->wait_text),
                      plural(facts->wait_text, "text has", "texts have"));
    }
    if (facts->wait_schema + facts->newer_statements + facts->wait_key + facts->wait_text == 0) {
        checkup_well(sink, CHECK_WAITING, "what is here can be read, as far as it is this node's to read");
    }
}

static void
check_erasures(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    if (facts->erase_needs > 0) {
        checkup_found(sink, CODE_ERASE_NEEDS_DISK, "rewriting the files needs %s of free disk",
                      bytes_words(facts->erase_needs).text);
    }
    if (facts->erase_waiting > 0) {
        checkup_found(sink, CODE_ERASE_SECOND, "%llu %s for a second signature", number(facts->erase_waiting),
                      plural(facts->erase_waiting, "order waits", "orders wait"));
    }
    if (facts->erase_needs + facts->erase_waiting == 0) {
        checkup_well(sink, CHECK_ERASURES, "nothing is left to do");
    }
}

static void
check_files(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    if (facts->files_refused > 0) {
        checkup_found(sink, CODE_FILES_REFUSED, "%llu parts that came were not of their files",
                      number(facts->files_refused));
    }
    if (facts->files_wanted > 0) {
        checkup_found(sink, CODE_FILES_MISSING, "%llu of %llu %s to come, %s", number(facts->files_wanted),
                      number(facts->files_wanted + facts->files_here),
                      plural(facts->files_wanted + facts->files_here, "file has", "files have"),
                      bytes_words(facts->files_wanted_bytes).text);
    }
    if (facts->files_refused + facts->files_wanted == 0) {
        checkup_well(sink, CHECK_FILES, "%llu %s here whole", number(facts->files_here),
                     plural(facts->files_here, "file is", "files are"));
    }
}

static void
check_search(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    if (!facts->search_known) {
        checkup_unknown(sink, CHECK_SEARCH,
                        "there is no index: a restored node shows no record, or the data of ICU "
                        "or a stemmer is not installed");
    } else if (facts->search_left > 0) {
        checkup_found(sink, CODE_INDEX_BEHIND, "%llu records and places are still to be read",
                      number(facts->search_left));
    } else {
        checkup_well(sink, CHECK_SEARCH, "the index is up to date");
    }
}

void
checkup_node(const struct checkup_sink *sink, const struct checkup_facts *facts)
{
    check_store(sink, facts);
    check_verify(sink, facts);
    check_map(sink, facts);
    check_readers(sink, facts);
    check_process(sink, facts);
    check_clock(sink, facts);
    check_certificate(sink, facts);
    check_epochs(sink, facts);
    check_network(sink, facts);
    check_peers(sink, facts);
    check_forks(sink, facts);
    check_held(sink, facts);
    check_waiting(sink, facts);
    check_erasures(sink, facts);
    check_files(sink, facts);
    check_search(sink, facts);
}
