/* paper: any bytes as typed parts, and as a file to be printed. */
#include "sync/paper.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
read_typed(struct span text)
{
    struct paper paper = { 0 };
    struct paper_place place;
    struct joining_fault fault = { NULL, NULL, NULL };
    struct buf file = { 0 };

    enum err err = paper_add(&paper, text, &place, &fault);
    require(err == ERR_OK || (fault.what != NULL && fault.why != NULL && fault.todo != NULL));
    require(paper.part_count <= PAPER_PARTS_MAX);
    if (paper_missing(&paper) == 0) {
        (void)!paper_join(&paper, &file);
    }
    buf_free(&file);
    paper_free(&paper);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct paper paper = { 0 };
    struct paper back = { 0 };
    struct paper_place place;
    struct joining_fault fault;
    struct buf text = { 0 };
    struct buf file = { 0 };

    read_typed(span_of(data, size));
    enum err err = paper_split(&paper, span_of(data, size));
    require((err == ERR_INVALID) == (size == 0));
    if (err == ERR_OK) {
        for (uint32_t n = 0; n < paper.part_count; n++) {
            (n % 2 == 0 ? paper_text : paper_code)(&paper, n, &text);
            buf_put_u8(&text, '\n');
        }
        require(paper_add(&back, buf_span(&text), &place, &fault) == ERR_OK);
        require(paper_missing(&back) == 0 && paper_join(&back, &file) == ERR_OK);
        require(span_equal(buf_span(&file), span_of(data, size)));
    }
    buf_free(&text);
    buf_free(&file);
    paper_free(&paper);
    paper_free(&back);
    return 0;
}
