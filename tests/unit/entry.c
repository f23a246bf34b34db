#include "tests/support/check.h"
#include "tests/support/entries.h"

#include <string.h>

static struct test_author author;
static struct buf sealed;
static struct buf opened;

static void
begin(void)
{
    test_author_init(&author, 1);
}

static void
end(void)
{
    buf_free(&sealed);
    buf_free(&opened);
}

START_TEST(what_was_sealed_opens_with_its_keys)
{
    static const char text[] =
        "The family moved to a safe home; the police called again, the police called again.";
    struct entry entry;

    for (unsigned padded = 0; padded < 2; padded++) {
        test_author_write(&author, &entry, ENTRY_DATA, padded != 0 ? ENTRY_PADDED : 0, span_text(text),
                          &sealed);
        ck_assert_uint_eq(entry.flags, ENTRY_COMPRESSED | (padded != 0 ? ENTRY_PADDED : 0u));
        ck_assert_int_eq(entry_open(&entry, &author.log_id, &author.epoch, &author.record_key, &opened),
                         FAULT_NONE);
        ck_assert(span_equal(buf_span(&opened), span_text(text)));
        ck_assert(entry_is_member(&entry, &author.log_id, &author.erase_key));
    }
}
END_TEST

SUITE_MAIN_WITH("entry", begin, end, what_was_sealed_opens_with_its_keys)
