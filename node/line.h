/* line.h - what the line to a peer may cost, and when it is used.
 *
 *     node.conf, peer.set --> settings --+
 *     bytes that passed   --> use -------+--> everything | urgent news alone | nothing, and when the next session is
 *     the wall clock      ---------------+
 *
 * `lan` and `wan` lines stand. A `metered` one is dialled, compared, and hung up: at an interval, spread by chance so that nobody sees a
 * rhythm and offices do not all call at once, not in quiet hours, and at once for urgent news. Of a budget one fifth is kept for
 * lanes 0 and 1. Days and months are those of UTC.
 *
 * A line that stands may keep a schedule (envelope.h): then its bytes follow from that and from nothing else. When a budget is spent it is
 * hung up like any other, at a time that the schedule alone decides.
 *
 * What passes is counted here with what carries it, which gossip does not see: a message is a frame of ZMTP (9 bytes) around
 * a CURVE message (33 bytes more than the text: RFC 26), in TCP segments with 40 bytes of headers each; a session's handshake is
 * LINE_HANDSHAKE_BYTES. Pure: no clock of its own.
 */
#pragma once

#include "sync/envelope.h"
#include "sync/message.h"

#include "store/base/bytes.h"

enum {
    LINE_INTERVAL_MIN_DEFAULT = 60, /* minutes between sessions of a metered line */
    LINE_INTERVAL_MIN_MAX = 31 * 24 * 60,
    LINE_DAY_MINUTES = 24 * 60,
    LINE_KEPT_PERCENT = 20, /* of a budget, for lanes 0 and 1 */
    LINE_HANDSHAKE_BYTES = 1100,
    LINE_USE_BYTES = 40,
};

/* What an operator decided. Zeroed but for the profile: no limit, no quiet hours, the usual interval. */
struct line_settings {
    enum link_profile profile;
    uint32_t interval_min; /* 0: LINE_INTERVAL_MIN_DEFAULT */
    uint32_t quiet_from;   /* minute of the day, UTC; as quiet_to: never */
    uint32_t quiet_to;     /* may be less: over midnight */
    struct envelope_schedule
        schedule;       /* by which we send; the other side has its own. Of a lan or wan alone */
    uint64_t day_bytes; /* 0: no limit */
    uint64_t month_bytes;
};

/* What passed, both ways, in the day and the month of the last byte. */
struct line_use {
    uint32_t day;   /* since 1970 */
    uint32_t month; /* since 1970 */
    uint64_t day_bytes;
    uint64_t month_bytes;
};

/* True if the numbers are within their bounds, and a schedule is of a line that stands. */
bool line_settings_valid(const struct line_settings *settings);

/* True if the line keeps a schedule that it cannot keep, since it is one that does not stand: each call would tell that there is
 * something to say. */
bool line_breaks_schedule(const struct line_settings *settings);

/* --- bytes --- */

/* What a message of `size` bytes, or the beginning of a connection, takes on the line: its answers in TCP too. */
uint64_t line_message_bytes(size_t size);
uint64_t line_handshake_bytes(void);

/* What the envelopes of a schedule take in so many seconds, one way. */
uint64_t line_schedule_bytes(const struct envelope_schedule *schedule, uint64_t seconds);

/* Count bytes that pass now. A new day or month begins at 0; a clock that is set back counts on in the day that it was. */
void line_count(struct line_use *use, uint64_t wall_ms, uint64_t bytes);

/* What counts of the use now: 0 once its day or month is over. */
struct line_use line_use_now(const struct line_use *use, uint64_t wall_ms);

/* A use as a row of bytes, and back. False: it is none. */
void line_use_write(uint8_t out[LINE_USE_BYTES], const struct line_use *use);
MUST_CHECK bool line_use_read(struct span bytes, struct line_use *use_out);

/* --- what may pass --- */

enum line_allowance {
    LINE_OPEN = 0,     /* everything */
    LINE_URGENT_ALONE, /* lanes 0 and 1: the rest of a budget is kept for them */
    LINE_SPENT,        /* nothing until the day or the month is over */
};

/* By the budgets alone, whatever the profile. */
enum line_allowance line_allows(const struct line_settings *settings, const struct line_use *use,
                                uint64_t wall_ms);

/* In words: "open", "urgent news alone", "spent". */
const char *line_allowance_name(enum line_allowance allowance);

/* When a budget that is spent is open again: the wall clock at the end of the day, or of the month. 0: it is not spent. */
uint64_t line_opens_ms(const struct line_settings *settings, const struct line_use *use, uint64_t wall_ms);

/* --- when --- */

/* True in quiet hours. */
bool line_is_quiet(const struct line_settings *settings, uint64_t wall_ms);

/* Milliseconds from now to the next session of a metered line: the interval, a fifth more or less by `chance` (random bits), and
 * where that is in quiet hours, within an interval after their end. */
uint64_t line_wait_ms(const struct line_settings *settings, uint64_t wall_ms, uint64_t chance);

/* --- words --- */

/* "lan" and so on; and back. False: it is none of them. */
const char *line_profile_name(enum link_profile profile);
bool line_profile_parse(const char *text, enum link_profile *out);

/* "22:00-06:00", or "none"; "2M", "750k", "1G" (powers of 1000) or "none". False: not of that form. */
bool line_hours_parse(const char *text, uint32_t *from_out, uint32_t *to_out);
bool line_bytes_parse(const char *text, uint64_t *out);
enum { LINE_TEXT_BYTES = 32 };
/* "2048 bytes every 30 s", or "none". */
void line_schedule_print(const struct envelope_schedule *schedule, char out[LINE_TEXT_BYTES]);
void line_hours_print(const struct line_settings *settings, char out[LINE_TEXT_BYTES]);
void line_bytes_print(uint64_t bytes, char out[LINE_TEXT_BYTES]);
