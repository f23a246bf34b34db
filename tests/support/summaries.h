/* summaries.h - records as their summaries say them, without a store: by names of the reprisals codebook. */
#pragma once

#include "store/record.h"

enum { SUMMARY_ITEMS_MAX = 64 };

struct test_summary {
    struct arena arena;
    struct record_summary summary;
    struct record_item items[SUMMARY_ITEMS_MAX];
};

/* Begin a record of a kind; its number and its id follow from `record_no`, which is below 256. */
void summary_begin(struct test_summary *test, const char *kind, uint32_t record_no);
void summary_end(struct test_summary *test);

/* One value of a field, in an element by its number (0: of the record itself). A second value of one field is shown beside the first. */
void summary_set(struct test_summary *test, const char *field, uint8_t element, const char *text);

/* The id of the record of that number, as a value: hex. */
const char *summary_id(uint32_t record_no);
struct ident summary_ident(uint32_t record_no);
