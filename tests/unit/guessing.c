/* Whoever has the disk of a node and a list of names cannot tell whether one of them is in it: no name is there hashed as somebody
 * would guess, in a row key or anywhere else. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "store/base/log.h"

#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A name is looked for by the first 8 bytes of its hashes: row keys hold 8 at least. */
enum { FORMS = 5, HASHES = 9, NAMES = 10000, PERSONS = 60, SLOTS = 1 << 21, NAME_BYTES = 64 };

static struct test_organisation org;
static struct served ken;
static struct served hq;

/* The needles: open addressing; zero is none. */
static uint64_t *slots;
static size_t needles;
static uint64_t bytes_looked;
static size_t found;
static size_t files;

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    log_to(silent, NULL);
    test_organisation_init(&org, 52);
    served_begin_two(&org, &ken, &hq);
    slots = calloc(SLOTS, sizeof *slots);
    ck_assert_ptr_nonnull(slots);
    needles = bytes_looked = found = files = 0;
}

static void
teardown(void)
{
    free(slots);
    served_end(&ken);
    served_end(&hq);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

static bool
is_needle(uint64_t value)
{
    for (size_t at = (size_t)(value % SLOTS); slots[at] != 0; at = (at + 1) % SLOTS) {
        if (slots[at] == value) {
            return true;
        }
    }
    return false;
}

static void
look_for(const uint8_t hash[8])
{
    uint64_t value = bytes_read_u64(hash);
    size_t at = (size_t)(value % SLOTS);

    while (slots[at] != 0 && slots[at] != value) {
        at = (at + 1) % SLOTS;
    }
    needles += slots[at] == 0 ? 1 : 0;
    slots[at] = value;
    ck_assert_uint_lt(needles, SLOTS / 2);
}

/* Hash number `which` of `text`. */
static void
obvious_hash(uint8_t out[64], struct span text, int which)
{
    static const uint8_t no_key[32];
    static const char *const contexts[] = { "vigil.index.v1", "vigil.row.hsh.v1", "vigil.rid.v1" };
    struct hash hash;

    switch (which) {
    case 0:
        crypto_hash_sha256(out, text.data, text.size);
        break;
    case 1:
        crypto_hash_sha512(out, text.data, text.size);
        break;
    case 2:
    case 3:
    case 4:
        crypto_generichash(out, which == 2 ? 16 : which == 3 ? 32 : 64, text.data, text.size, NULL, 0);
        break;
    case 5:
        crypto_shorthash(out, text.data, text.size, no_key);
        break;
    default:
        /* Those of our own, by somebody who has read this and lacks the key. */
        crypto_hash_parts(&hash, contexts[which - 6], &text, 1);
        memcpy(out, hash.bytes, sizeof hash.bytes);
        break;
    }
}

/* A text, as it is, in small and capital letters, as CBOR and with the zero at its end. */
static void
look_for_text(const char *text)
{
    for (int form = 0; form < FORMS; form++) {
        struct buf bytes = { 0 };
        if (form == 3) {
            ck_assert_uint_lt(strlen(text), 256);
            if (strlen(text) < 24) {
                buf_put_u8(&bytes, (uint8_t)(0x60 + strlen(text)));
            } else {
                buf_put(&bytes, (const uint8_t[]){ 0x78, (uint8_t)strlen(text) }, 2);
            }
        }
        for (const char *at = text; *at != '\0'; at++) {
            bool small = *at >= 'a' && *at <= 'z';
            bool large = *at >= 'A' && *at <= 'Z';
            buf_put_u8(&bytes, (uint8_t)(form == 1 && large   ? *at - 'A' + 'a'
                                         : form == 2 && small ? *at - 'a' + 'A'
                                                              : *at));
        }
        if (form == 4) {
            buf_put_u8(&bytes, 0);
        }
        for (int which = 0; which < HASHES; which++) {
            uint8_t hash[64] = { 0 };
            obvious_hash(hash, buf_span(&bytes), which);
            look_for(hash);
        }
        buf_free(&bytes);
    }
}

static void
name_of(char out[NAME_BYTES], size_t n)
{
    static const char *const heads[] = { "Ami",  "Ros", "Kwa",  "Leo", "Mar",
                                         "Sami", "Nur", "Tere", "Chi", "Yus" };
    static const char *const tails[] = { "na", "a", "me", "nor", "ia", "ra", "sa", "ta", "di", "uf" };
    static const char *const houses[] = {
        "Oko", "Had", "Per", "Mwa", "Fer", "Che", "Osi", "Kar", "Lop", "Ben"
    };
    static const char *const ends[] = {
        "ro", "dad", "eira", "ngi", "nandez", "bet", "mi", "iuki", "ez", "ali"
    };

    (void)snprintf(out, NAME_BYTES, "%s%s %s%s", heads[n % 10], tails[n / 10 % 10], houses[n / 100 % 10],
                   ends[n / 1000 % 10]);
}

static void
count_in(struct span bytes)
{
    for (size_t at = 0; at + 8 <= bytes.size; at++) {
        found += is_needle(bytes_read_u64(bytes.data + at)) ? 1 : 0;
    }
    bytes_looked += bytes.size;
}

static int
look_into(const char *path, const struct stat *stat, int kind)
{
    if (kind == FTW_F && S_ISREG(stat->st_mode) && stat->st_size > 0) {
        size_t size = (size_t)stat->st_size;
        uint8_t *bytes = malloc(size);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_ptr_nonnull(bytes);
        ck_assert_int_ge(file, 0);
        ck_assert_int_eq(read(file, bytes, size), (ssize_t)size);
        (void)close(file);
        count_in(span_of(bytes, size));
        files++;
        free(bytes);
    }
    return 0;
}

START_TEST(c2_no_name_is_stored_under_a_hash_that_somebody_could_guess)
{
    static const char *const codes[] = { "KEN",   "UGA",       "draft", "death_threat",
                                         "title", "pseudonym", "case",  "person" };
    char name[NAME_BYTES];
    char number[NAME_BYTES];

    for (size_t n = 0; n < NAMES; n++) {
        name_of(name, n);
        look_for_text(name);
    }
    for (size_t n = 0; n < sizeof codes / sizeof codes[0]; n++) {
        look_for_text(codes[n]);
    }
    for (size_t n = 0; n < PERSONS; n++) {
        name_of(name, n * 163);
        json_t *answer = served_ask(
            &ken,
            "{'id':1,'do':'record.save','kind':'person','set':{'pseudonym':'%s'},'add':[{'to':'name',"
            "'fields':{'text':'%s'}}]}",
            name, name);
        (void)snprintf(number, sizeof number, "%s",
                       json_string_value(served_member(served_granted(answer), "number")));
        look_for_text(number);
        look_for_text(json_string_value(served_member(served_granted(answer), "record")));
        json_decref(answer);
        served_granted_once(&ken,
                            "{'id':1,'do':'record.save','kind':'case','set':{'title':'A march','status':"
                            "'draft','country_of_act':['KEN','UGA']},'add':[{'to':'act','fields':{"
                            "'type_of_act':'death_threat'}}]}");
    }
    test_node_exchange(ken.node, hq.node);
    ck_assert_uint_gt(needles, (size_t)NAMES * FORMS * (HASHES - 1));

    /* It finds what is there. */
    uint8_t planted[3 + 64] = { 0 };
    name_of(name, 163);
    obvious_hash(planted + 3, span_text(name), 0);
    count_in(span_of(planted, sizeof planted));
    ck_assert_uint_eq(found, 1);
    found = bytes_looked = 0;

    for (int n = 0; n < 2; n++) {
        files = 0;
        ck_assert_int_eq(ftw(n == 0 ? ken.node->directory : hq.node->directory, look_into, 16), 0);
        ck_assert_uint_gt(files, 3);
    }
    ck_assert_uint_gt(bytes_looked, 200000);
    ck_assert_uint_eq(found, 0);
}
END_TEST

SUITE_MAIN_WITH("guessing", setup, teardown, c2_no_name_is_stored_under_a_hash_that_somebody_could_guess)
