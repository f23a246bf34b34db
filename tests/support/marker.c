#include "tests/support/marker.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMS_MAX = 16 };

struct forms {
    struct buf forms[FORMS_MAX];
    size_t count;
};

static struct buf *
add(struct forms *forms)
{
    ck_assert_uint_lt(forms->count, FORMS_MAX);
    struct buf *form = &forms->forms[forms->count++];
    *form = (struct buf){ 0 };
    return form;
}

static void
add_base64(struct forms *forms, struct span needle, size_t before)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf *form = add(forms);
    uint8_t text[512] = { 0 };

    ck_assert_uint_lt(needle.size + before, sizeof text - 3);
    memcpy(text + before, needle.data, needle.size);
    /* The digits that hold bits of the needle alone, whatever stands before and behind it. */
    size_t first = (8 * before + 5) / 6;
    size_t end = 8 * (before + needle.size) / 6;
    for (size_t n = first; n < end; n++) {
        size_t bit = 6 * n;
        unsigned pair = (unsigned)text[bit / 8] << 8 | text[bit / 8 + 1];
        buf_put_u8(form, (uint8_t)digits[pair >> (10 - bit % 8) & 63]);
    }
}

static void
make_forms(struct forms *forms, struct span needle)
{
    forms->count = 0;
    buf_put_span(add(forms), needle);
    struct buf *form = add(forms);
    for (size_t n = needle.size; n > 0; n--) {
        buf_put_u8(form, needle.data[n - 1]);
    }
    for (int big = 0; big < 2; big++) {
        form = add(forms);
        for (size_t n = 0; n < needle.size; n++) {
            buf_put_u16(form, (uint16_t)(big ? needle.data[n] : needle.data[n] << 8));
        }
        form = add(forms);
        for (size_t n = 0; n < needle.size; n++) {
            char hex[3];
            (void)snprintf(hex, sizeof hex, big ? "%02X" : "%02x", needle.data[n]);
            buf_put(form, hex, 2);
        }
    }
    for (size_t before = 0; before < 3; before++) {
        add_base64(forms, needle, before);
    }
}

static size_t
count_in_file(int directory, const char *name, const struct forms *forms)
{
    struct stat stat;
    size_t count = 0;
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC);

    if (file < 0 || fstat(file, &stat) != 0 || stat.st_size == 0) {
        if (file >= 0) {
            close(file);
        }
        return 0;
    }
    uint8_t *content = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    ck_assert_ptr_ne(content, MAP_FAILED);
    for (size_t n = 0; n < forms->count; n++) {
        const uint8_t *end = content + stat.st_size;
        struct span form = buf_span(&forms->forms[n]);
        for (const uint8_t *at = content; (at = memmem(at, (size_t)(end - at), form.data, form.size)) != NULL;
             at++) {
            count++;
        }
    }
    munmap(content, (size_t)stat.st_size);
    close(file);
    return count;
}

static size_t
count_in_directory(int directory, const struct forms *forms)
{
    DIR *walk = fdopendir(directory);
    const struct dirent *entry;
    size_t count = 0;

    ck_assert_ptr_nonnull(walk);
    while ((entry = readdir(walk)) != NULL) {
        struct stat stat;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(walk), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (S_ISDIR(stat.st_mode)) {
            int below = openat(dirfd(walk), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            ck_assert_int_ge(below, 0);
            count += count_in_directory(below, forms);
        } else if (S_ISREG(stat.st_mode)) {
            count += count_in_file(dirfd(walk), entry->d_name, forms);
        }
    }
    closedir(walk);
    return count;
}

static size_t
count_forms(const char *directory, struct forms *forms)
{
    int top = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    ck_assert_int_ge(top, 0);
    size_t count = count_in_directory(top, forms);
    for (size_t n = 0; n < forms->count; n++) {
        buf_free(&forms->forms[n]);
    }
    return count;
}

size_t
marker_count(const char *directory, struct span needle)
{
    struct forms forms;

    make_forms(&forms, needle);
    return count_forms(directory, &forms);
}

size_t
marker_count_bytes(const char *directory, struct span needle)
{
    struct forms forms = { .count = 0 };

    buf_put_span(add(&forms), needle);
    return count_forms(directory, &forms);
}
