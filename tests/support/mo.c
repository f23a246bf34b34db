#include "tests/support/mo.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { HEAD_BYTES = 28, PAIR_BYTES = 8, MESSAGES_MAX = 32 };

static void
put_number(struct buf *out, size_t number, bool big)
{
    uint8_t bytes[4];

    bytes_write_u32(bytes, (uint32_t)number);
    for (size_t n = 0; n < sizeof bytes; n++) {
        buf_put_u8(out, bytes[big ? n : 3 - n]);
    }
}

void
support_mo(struct buf *out, const struct support_message *messages, size_t count, bool big)
{
    size_t at = HEAD_BYTES + 2 * count * PAIR_BYTES;

    put_number(out, 0x950412de, big);
    put_number(out, 0, big);
    put_number(out, count, big);
    put_number(out, HEAD_BYTES, big);
    put_number(out, HEAD_BYTES + count * PAIR_BYTES, big);
    put_number(out, 0, big);
    put_number(out, at, big);
    for (size_t n = 0; n < 2 * count; n++) {
        size_t size = strlen(n < count ? messages[n].original : messages[n - count].translation);

        put_number(out, size, big);
        put_number(out, at, big);
        at += size + 1;
    }
    for (size_t n = 0; n < 2 * count; n++) {
        buf_put_text(out, n < count ? messages[n].original : messages[n - count].translation);
        buf_put_u8(out, 0);
    }
}

void
support_mo_file(const char *locales, const char *language, const char *domain,
                const struct support_message *messages, size_t count)
{
    struct support_message all[MESSAGES_MAX] = { { "", "Content-Type: text/plain; charset=UTF-8\n" } };
    struct buf bytes = { 0 };
    char path[400];

    ck_assert_uint_lt(count, MESSAGES_MAX);
    memcpy(all + 1, messages, count * sizeof *messages);
    support_mo(&bytes, all, count + 1, false);
    ck_assert(!bytes.failed);
    (void)snprintf(path, sizeof path, "%s/%s", locales, language);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/%s/LC_MESSAGES", locales, language);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/%s/LC_MESSAGES/%s.mo", locales, language, domain);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    ck_assert_int_eq(fclose(file), 0);
    buf_free(&bytes);
}
