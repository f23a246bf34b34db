/* What a file is by its bytes, and what it may be called. */
#include "tests/support/check.h"

#include "tools/sniff.h"

#include <string.h>

static const struct {
    const char *bytes;
    size_t size;
    const char *type;
    const char *name;  /* that it may have */
    const char * not ; /* and that it may not */
} known[] = {
    { "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", 20, "image/jpeg", "a.JPG", "a.png" },
    { "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0", 29, "image/png", "b.png", "b.jpeg" },
    { "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", 24, "application/pdf", "c.pdf", "c.docx" },
    { "plain words and no more\n", 24, "text/plain", "d.csv", "d.jpg" },
    { "MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff", 14, NULL, NULL, "e.pdf" },
};

START_TEST(bytes_tell_what_a_file_is_and_what_it_may_be_called)
{
    for (size_t n = 0; n < sizeof known / sizeof known[0]; n++) {
        char type[SNIFF_TYPE_BYTES];

        ck_assert(sniff_type((const uint8_t *)known[n].bytes, known[n].size, type));
        if (known[n].type != NULL) {
            ck_assert_str_eq(type, known[n].type);
        }
        if (known[n].name != NULL) {
            ck_assert_msg(sniff_fits(sniff_claim(known[n].name), type), "%s", known[n].name);
        }
        ck_assert_msg(!sniff_fits(sniff_claim(known[n].not ), type), "%s", known[n].not );
    }
}
END_TEST

START_TEST(a_name_claims_what_stands_behind_its_last_dot)
{
    ck_assert_str_eq(sniff_claim("march.2026.jpeg"), "image/jpeg");
    ck_assert_str_eq(sniff_claim(".mp4"), "video/mp4");
    ck_assert_ptr_null(sniff_claim("jpg"));
    ck_assert_ptr_null(sniff_claim("march.jpg.exe"));
    ck_assert_ptr_null(sniff_claim("march."));
    ck_assert_str_eq(sniff_ending("image/jpeg"), ".jpg");
    ck_assert_str_eq(sniff_ending("application/octet-stream"), "");
}
END_TEST

/* What a program of a stranger would gain by: a name that is looked at instead of the bytes. */
START_TEST(what_the_bytes_cannot_tell_apart_is_one_and_nothing_else_is)
{
    ck_assert(sniff_fits("image/heic", "image/heif"));
    ck_assert(sniff_fits("application/vnd.oasis.opendocument.text", "application/zip"));
    ck_assert(sniff_fits("text/csv", "text/plain"));
    ck_assert(!sniff_fits("text/plain", "text/html"));
    ck_assert(!sniff_fits("application/zip", "application/vnd.oasis.opendocument.text"));
    ck_assert(!sniff_fits("image/jpeg", "application/octet-stream"));
    ck_assert(!sniff_fits("application/pdf", "application/x-dosexec"));
    ck_assert(!sniff_fits("", "text/plain"));
}
END_TEST

SUITE_MAIN("sniff", bytes_tell_what_a_file_is_and_what_it_may_be_called,
           a_name_claims_what_stands_behind_its_last_dot,
           what_the_bytes_cannot_tell_apart_is_one_and_nothing_else_is)
