#include "node/casework/board.h"

#include "store/base/cbor.h"

#include <string.h>

enum { YEAR_DAYS = 365, CONSENT_DAYS = 60 };

/* A statement to the press waits for no reply. */
#define ANSWERABLE                                                                                           \
    "urgent_appeal allegation_letter interim_measures letter_from_council_president treaty_body_letter "     \
    "note_verbale other_communication opinion_wgad"

#define OUT_OF_THE_WAY "closed duplicate_of out_of_scope transferred withdrawn sealed"

#define WORDS_CONFIRMED                                                                                      \
    {                                                                                                        \
        "stale", "confirmed", "never confirmed"                                                              \
    }
#define WORDS_DUE                                                                                            \
    {                                                                                                        \
        "overdue", "due", "no date"                                                                          \
    }

static const struct board boards[] = {
    { .name = "urgent",
      .label = "Urgent cases",
      .source = BOARD_URGENT,
      .columns = { { "number", NULL, "Number" },
                   { "urgency", NULL, "Urgency" },
                   { "waits", NULL, "Waits" },
                   { "hours", NULL, "Hours" },
                   { "office", NULL, "Office" },
                   { "country", NULL, "Country" },
                   { "status", NULL, "Status" },
                   { "asks", NULL, "The facts ask for" },
                   { "why", NULL, "Why" } } },
    { .name = "actions",
      .label = "UN actions that wait for a reply",
      .kind = "case",
      .collection = "action",
      .date = "action.reply_due",
      .by = "action.by_un",
      .values = ANSWERABLE,
      .where = { { "action.actor_side", true, "un" },
                 { "action.reply_received", false, NULL },
                 { "action.status", false, "closed" } },
      .words = WORDS_DUE,
      .columns = { { "number", "number", NULL },
                   { "office", NULL, "Office" },
                   { "country", "country_of_act", NULL },
                   { "action", "action.by_un", NULL },
                   { "date", "action.date", NULL },
                   { "symbol", "action.symbol", NULL },
                   { "reply_due", "action.reply_due", NULL },
                   { "status", "action.status", NULL },
                   { "state", NULL, "State" },
                   { "days", NULL, "Days" } } },
    { .name = "follow-up",
      .label = "Cases of earlier reports",
      .kind = "case",
      .collection = "follow_up",
      .newest = "follow_up.date",
      .date = "follow_up.next_review",
      .by = "status",
      .values = "follow_up",
      .where = { { "status", false, OUT_OF_THE_WAY } },
      .needs = "earlier_report.symbol",
      .words = WORDS_DUE,
      .columns = { { "number", "number", NULL },
                   { "office", NULL, "Office" },
                   { "country", "country_of_act", NULL },
                   { "status", "status", NULL },
                   { "reports", "earlier_report.symbol", "Earlier reports" },
                   { "developments", "follow_up.new_development", NULL },
                   { "date", "follow_up.date", NULL },
                   { "next_review", "follow_up.next_review", NULL },
                   { "state", NULL, "State" },
                   { "days", NULL, "Days" } } },
    { .name = "focal-points",
      .label = "Focal points",
      .kind = "focal_point",
      .date = "last_confirmed",
      .undated_first = true,
      .late_days = YEAR_DAYS,
      .by = "record_kind",
      .values = "focal_point",
      .words = WORDS_CONFIRMED,
      .columns = { { "country", "country", NULL },
                   { "entity", "entity", NULL },
                   { "focal_office", "office", NULL },
                   { "role", "role", NULL },
                   { "function_title", "function_title", NULL },
                   { "name", "name", NULL },
                   { "contact", "contact", NULL },
                   { "to", "to", NULL },
                   { "last_confirmed", "last_confirmed", NULL },
                   { "state", NULL, "State" },
                   { "days", NULL, "Days" } } },
    { .name = "good-practice",
      .label = "Good practices",
      .kind = "good_practice",
      .date = "last_confirmed",
      .undated_first = true,
      .late_days = YEAR_DAYS,
      .by = "record_kind",
      .values = "good_practice",
      .words = WORDS_CONFIRMED,
      .columns = { { "title", "title", NULL },
                   { "country", "country", NULL },
                   { "entity", "entity", NULL },
                   { "category", "category", NULL },
                   { "date", "date", NULL },
                   { "cleared", "cleared_for_publication", NULL },
                   { "last_confirmed", "last_confirmed", NULL },
                   { "state", NULL, "State" } } },
    { .name = "policy",
      .label = "Policy developments",
      .kind = "policy_development",
      .date = "last_confirmed",
      .undated_first = true,
      .late_days = YEAR_DAYS,
      .by = "record_kind",
      .values = "policy_development",
      .words = WORDS_CONFIRMED,
      .columns = { { "title", "title", NULL },
                   { "country", "country", NULL },
                   { "actor_type", "actor_type", NULL },
                   { "instrument", "instrument", NULL },
                   { "symbol", "symbol", NULL },
                   { "adopted_on", "adopted_on", NULL },
                   { "effect", "effect", NULL },
                   { "last_confirmed", "last_confirmed", NULL },
                   { "state", NULL, "State" } } },
    { .name = "consent-expiry",
      .label = "Consents that end within 60 days, or have ended",
      .kind = "person",
      .collection = "consent",
      .date = "consent.valid_until",
      .ahead_days = CONSENT_DAYS,
      .where = { { "consent.decision", true, "granted" } },
      .replaces = "consent.replaces",
      .words = { "ended", "ends soon", "" },
      .columns = { { "number", "number", NULL },
                   { "office", NULL, "Office" },
                   { "pseudonym", "pseudonym", NULL },
                   { "scopes", "consent.scope", NULL },
                   { "valid_until", "consent.valid_until", NULL },
                   { "state", NULL, "State" },
                   { "days", NULL, "Days" } } },
    { .name = "conflicts",
      .label = "Conflicts that a person decides",
      .source = BOARD_CONFLICTS,
      .columns = { { "number", NULL, "Number" },
                   { "kind", NULL, "Kind" },
                   { "office", NULL, "Office" },
                   { "label", NULL, "What" },
                   { "how", NULL, "How" },
                   { "since", NULL, "Since" } } },
    { .name = "withheld",
      .label = "Cases kept out of the report",
      .kind = "case",
      .by = "status",
      .values = "excluded_protection counted_only",
      .columns = { { "number", "number", NULL },
                   { "office", NULL, "Office" },
                   { "country", "country_of_act", NULL },
                   { "status", "status", NULL },
                   { "verification", "verification", NULL },
                   { "urgency", "urgency", NULL },
                   { "updated", NULL, "Updated" } } },
    { .name = "nodes",
      .label = "Nodes",
      .source = BOARD_NODES,
      .columns = { { "name", NULL, "Name" },
                   { "office", NULL, "Office" },
                   { "state", NULL, "State" },
                   { "last_contact", NULL, "Last contact" },
                   { "stored", NULL, "Stored" },
                   { "visible", NULL, "Visible" },
                   { "complete", NULL, "Complete" },
                   { "waiting", NULL, "Entries waiting" },
                   { "ahead_s", NULL, "Seconds ahead" } } },
    { .name = "readiness",
      .label = "How far the cases of the window are, by State",
      .source = BOARD_READINESS,
      .columns = { { "country", NULL, "Country" },
                   { "label", NULL, "State" },
                   { "cases", NULL, "Cases" },
                   { "office", NULL, "At the office" },
                   { "headquarters", NULL, "At headquarters" },
                   { "proposed", NULL, "Proposed" },
                   { "included", NULL, "Included" },
                   { "withheld", NULL, "Withheld" },
                   { "follow_up", NULL, "Followed up" },
                   { "out", NULL, "Left out" } } },
};

const struct board *
board_all(size_t *count_out)
{
    *count_out = sizeof boards / sizeof boards[0];
    return boards;
}

const struct board *
board_find(const char *name)
{
    for (size_t n = 0; n < sizeof boards / sizeof boards[0]; n++) {
        if (strcmp(boards[n].name, name) == 0) {
            return &boards[n];
        }
    }
    return NULL;
}

const struct record_item *
board_item(const struct record_summary *summary, const char *field, const uint8_t *element)
{
    for (size_t n = 0; n < summary->item_count; n++) {
        const struct record_item *item = &summary->items[n];

        if (item->field != NULL && item->shown_count > 0 && strcmp(item->field->name, field) == 0 &&
            (element == NULL || item->target.collection == 0 ||
             memcmp(item->target.element, element, ELEMENT_ID_BYTES) == 0)) {
            return item;
        }
    }
    return NULL;
}

static bool
is_word(const char *list, const char *word)
{
    size_t size = strlen(word);

    for (const char *at = list; *at != '\0';) {
        size_t length = strcspn(at, " ");

        if (length == size && memcmp(at, word, size) == 0) {
            return true;
        }
        at += length + strspn(at + length, " ");
    }
    return false;
}

static bool
shows_value(const struct codebook *codebook, const struct record_item *item, const char *values)
{
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(codebook, item->field->vocabulary);

    for (size_t n = 0; n < item->shown_count; n++) {
        struct cbor_reader in = cbor_reader_of(item->shown[n]);
        uint64_t number = cbor_peek(&in) == CBOR_UINT ? cbor_read_uint(&in) : 0;
        const struct codebook_value *value =
            vocabulary == NULL || number > UINT32_MAX ? NULL : codebook_value(vocabulary, (uint32_t)number);

        if (values == NULL || (value != NULL && is_word(values, value->name))) {
            return true;
        }
    }
    return false;
}

bool
board_keeps(const struct board *board, const struct codebook *codebook, const struct record_summary *summary,
            const uint8_t *element)
{
    for (size_t n = 0; n < BOARD_WHERE_MAX && board->where[n].field != NULL; n++) {
        const struct board_where *where = &board->where[n];
        const struct record_item *item = board_item(summary, where->field, element);

        if ((item != NULL && shows_value(codebook, item, where->values)) != where->is) {
            return false;
        }
    }
    return true;
}

static bool
read_date(const struct record_item *item, struct edtf *out)
{
    struct cbor_reader in = cbor_reader_of(item->shown[0]);
    struct span text = cbor_peek(&in) == CBOR_TEXT ? cbor_read_text(&in) : span_of(NULL, 0);

    return text.data != NULL && edtf_parse(out, text);
}

bool
board_date(const struct record_summary *summary, const char *field, const uint8_t *element,
           struct edtf *date_out)
{
    const struct record_item *item = field == NULL ? NULL : board_item(summary, field, element);

    return item != NULL && read_date(item, date_out);
}

const uint8_t *
board_newest(const struct board *board, const struct record_summary *summary)
{
    const uint8_t *newest = NULL;
    struct edtf_day latest = { "" };

    for (size_t n = 0; n < summary->item_count; n++) {
        const struct record_item *item = &summary->items[n];
        struct edtf_day day = { "9999-12-31" }; /* open: it goes on */
        struct edtf date;

        if (item->field == NULL || item->shown_count == 0 || strcmp(item->field->name, board->newest) != 0 ||
            !read_date(item, &date)) {
            continue;
        }
        (void)edtf_latest(&date, &day);
        if (newest == NULL || strcmp(day.text, latest.text) > 0) {
            newest = item->target.element;
            latest = day;
        }
    }
    return newest;
}
