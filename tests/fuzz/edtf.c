/* What parses gives days and months that parse again and lie within it. */
#include "store/edtf.h"

#include <stdlib.h>
#include <string.h>

static void
check(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct edtf edtf;
    struct edtf again;
    struct edtf_day earliest;
    struct edtf_day latest;
    struct edtf_month months[EDTF_MONTHS_MAX];

    if (!edtf_parse(&edtf, span_of(data, size))) {
        return 0;
    }
    check(size <= EDTF_TEXT_MAX);
    bool has_earliest = edtf_earliest(&edtf, &earliest);
    bool has_latest = edtf_latest(&edtf, &latest);
    check(has_earliest || has_latest);
    check(!has_earliest || (edtf_parse(&again, span_text(earliest.text)) && !again.interval));
    check(!has_latest || (edtf_parse(&again, span_text(latest.text)) && !again.interval));
    check(!has_earliest || !has_latest || strcmp(earliest.text, latest.text) <= 0);
    size_t count = edtf_months(&edtf, months);
    check(count >= 1 && count <= EDTF_MONTHS_MAX);
    for (size_t i = 0; i < count; i++) {
        check(edtf_parse(&again, span_text(months[i].text)));
        check(i == 0 || strcmp(months[i - 1].text, months[i].text) < 0);
    }
    return 0;
}
