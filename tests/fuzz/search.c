/* What people search for, and what records hold: any bytes are a query or none, and find no more than there is. */
#include "store/search.h"
#include "store/base/cbor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { HITS = 4, RECORDS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
find(struct search *search, struct span query)
{
    struct search_hit hits[HITS];
    size_t count = 0;
    enum err err = search_find(search, query, hits, HITS, &count);

    assert(err == ERR_OK || err == ERR_INVALID);
    assert(err == ERR_OK || count == 0);
    assert(err == ERR_INVALID || utf8_valid(query));
    assert(count <= RECORDS + 1);
    for (size_t n = 0; n < count; n++) {
        assert(hits[n].record_no >= 1 && hits[n].record_no <= RECORDS + 1);
        assert(n == 0 || hits[n - 1].rank <= hits[n].rank);
        for (size_t m = 0; m < n; m++) {
            assert(hits[n].record_no != hits[m].record_no);
        }
    }
    return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const texts[RECORDS] = { "The officers stopped her at the airport",
                                                "تلقى الشهود تهديدات بعد الاجتماع",
                                                "王小明 在 北京 被 拘留" };
    static struct search *search;
    struct span bytes = span_of(data, size);

    if (search == NULL) {
        enum err err = search_open(&search);

        assert(err == ERR_OK);
        for (uint32_t n = 0; n < RECORDS; n++) {
            err = search_put(search, n + 1, span_text(texts[n]), span_text(n == 0 ? "Амина Аден" : ""));
            assert(err == ERR_OK);
        }
    }
    (void)find(search, bytes);
    /* As the text and the name of a record it is found beside the others, and leaves nothing. */
    enum err err = search_put(search, RECORDS + 1, bytes, bytes);
    assert(err == ERR_OK);
    (void)find(search, bytes);
    assert(find(search, span_text("airport")) >= 1);
    err = search_put(search, RECORDS + 1, span_of(NULL, 0), span_of(NULL, 0));
    assert(err == ERR_OK && search_count(search) == RECORDS);
    return 0;
}
