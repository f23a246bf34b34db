/* Where countries lie, by UN M49. */
#include "tests/support/check.h"

#include "store/region.h"

#include <stdio.h>
#include <unicode/uloc.h>
#include <unicode/uregion.h>

START_TEST(a_country_lies_in_its_region_of_m49)
{
    static const struct {
        const char *country;
        uint16_t subregion;
        uint16_t region;
    } expected[] = {
        { "KEN", 14, 2 },    { "EGY", 15, 2 },    { "BDI", 14, 2 },    { "COL", 5, 19 },   { "MEX", 13, 19 },
        { "USA", 21, 19 },   { "LBN", 145, 142 }, { "IRN", 34, 142 },  { "VNM", 35, 142 }, { "CHN", 30, 142 },
        { "UZB", 143, 142 }, { "RUS", 151, 150 }, { "FRA", 155, 150 }, { "ITA", 39, 150 }, { "FJI", 54, 9 },
    };

    for (size_t n = 0; n < sizeof expected / sizeof expected[0]; n++) {
        struct region region = region_of(expected[n].country);

        ck_assert_uint_eq(region.subregion, expected[n].subregion);
        ck_assert_uint_eq(region.region, expected[n].region);
    }
}
END_TEST

START_TEST(what_is_no_country_lies_nowhere)
{
    static const char *const codes[] = { "QQQ", "XKX", "", "002", "kenya" };

    for (size_t n = 0; n < sizeof codes / sizeof codes[0]; n++) {
        struct region region = region_of(codes[n]);

        ck_assert_uint_eq(region.subregion, 0);
        ck_assert_uint_eq(region.region, 0);
    }
    /* Known, and in no subregion of M49. */
    ck_assert_uint_eq(region_of("ATA").subregion, 0);
}
END_TEST

START_TEST(regions_and_countries_have_english_names)
{
    char name[REGION_NAME_BYTES];

    region_name(14, name);
    ck_assert_str_eq(name, "Eastern Africa");
    region_name(2, name);
    ck_assert_str_eq(name, "Africa");
    region_name(999, name);
    ck_assert_str_eq(name, "999");
    region_country_name("KEN", name);
    ck_assert_str_eq(name, "Kenya");
    region_country_name("QQQ", name);
    ck_assert_str_eq(name, "QQQ");
}
END_TEST

START_TEST(regions_are_listed_with_what_they_lie_in)
{
    struct region_place places[REGIONS_MAX];
    size_t count = region_list(places);
    size_t whole = 0;

    ck_assert_uint_gt(count, 20);
    for (size_t n = 0; n < count; n++) {
        ck_assert(n == 0 || places[n - 1].number < places[n].number);
        whole += places[n].within == 0;
        if (places[n].number == 14) {
            ck_assert_uint_eq(places[n].within, 2);
        }
    }
    /* Africa, Oceania, the Americas, Asia, Europe. */
    ck_assert_uint_eq(whole, 5);
}
END_TEST

START_TEST(a_region_has_a_name_in_the_languages_of_the_un)
{
    char name[REGION_NAME_BYTES];

    ck_assert(region_name_in(14, "fr", name));
    ck_assert_str_eq(name, "Afrique orientale");
    ck_assert(region_name_in(2, "ar", name));
    ck_assert_str_eq(name, "أفريقيا");
    ck_assert(!region_name_in(14, "xx", name));
    ck_assert_str_eq(name, "");
    ck_assert(!region_name_in(999, "fr", name));
}
END_TEST

/* --- the groups of the United Nations --- */

enum { GROUPS = REGION_GROUP_WESTERN_EUROPEAN + 1 };

/* Visit every code of three letters: those of a group, by group. */
static void
count_groups(size_t counts[GROUPS])
{
    char code[4] = "AAA";

    for (code[0] = 'A'; code[0] <= 'Z'; code[0]++) {
        for (code[1] = 'A'; code[1] <= 'Z'; code[1]++) {
            for (code[2] = 'A'; code[2] <= 'Z'; code[2]++) {
                counts[region_group_of(code)]++;
            }
        }
    }
}

START_TEST(each_group_has_its_members)
{
    size_t counts[GROUPS] = { 0 };

    count_groups(counts);
    ck_assert_uint_eq(counts[REGION_GROUP_AFRICAN], 54);
    ck_assert_uint_eq(counts[REGION_GROUP_ASIA_PACIFIC], 54);
    ck_assert_uint_eq(counts[REGION_GROUP_EASTERN_EUROPEAN], 23);
    ck_assert_uint_eq(counts[REGION_GROUP_LATIN_AMERICAN], 33);
    ck_assert_uint_eq(counts[REGION_GROUP_WESTERN_EUROPEAN], 29);
}
END_TEST

/* ICU knows who is a member State, though not of which group. With their number above, each is in one group. */
START_TEST(every_member_state_is_in_a_group_and_nobody_else)
{
    UErrorCode status = U_ZERO_ERROR;
    const URegion *members = uregion_getRegionFromCode("UN", &status);
    UEnumeration *all = uregion_getContainedRegions(members, &status);
    size_t count = 0;
    const char *code;

    while ((code = uenum_next(all, NULL, &status)) != NULL) {
        char locale[16];

        (void)snprintf(locale, sizeof locale, "und_%s", code);
        const char *alpha3 = uloc_getISO3Country(locale);
        ck_assert(U_SUCCESS(status));
        ck_assert_msg(region_group_of(alpha3) != REGION_GROUP_NONE, "%s is in none", alpha3);
        count++;
    }
    uenum_close(all);
    ck_assert_uint_eq(count, 193);
}
END_TEST

START_TEST(groups_follow_maps_where_they_do)
{
    static const char *const none[] = { "VAT", "PSE", "TWN", "HKG", "GRL", "ESH",
                                        "COK", "NIU", "XKX", "",    "KE",  "KENY" };
    char code[4] = "AAA";

    for (size_t n = 0; n < sizeof none / sizeof none[0]; n++) {
        ck_assert_int_eq(region_group_of(none[n]), REGION_GROUP_NONE);
    }
    /* All of Africa and nobody else; likewise of the Americas south of the United States. */
    for (code[0] = 'A'; code[0] <= 'Z'; code[0]++) {
        for (code[1] = 'A'; code[1] <= 'Z'; code[1]++) {
            for (code[2] = 'A'; code[2] <= 'Z'; code[2]++) {
                enum region_group group = region_group_of(code);
                struct region region = region_of(code);

                if (group != REGION_GROUP_NONE) {
                    EXPECT((group == REGION_GROUP_AFRICAN) == (region.region == 2));
                    EXPECT((group == REGION_GROUP_LATIN_AMERICAN) ==
                           (region.region == 19 && region.subregion != 21));
                    EXPECT(group != REGION_GROUP_EASTERN_EUROPEAN || region.region == 150 ||
                           region.subregion == 145);
                }
            }
        }
    }
    ck_assert_int_eq(region_group_of("KIR"), REGION_GROUP_ASIA_PACIFIC);
    ck_assert_int_eq(region_group_of("TUR"), REGION_GROUP_WESTERN_EUROPEAN);
    ck_assert_int_eq(region_group_of("ISR"), REGION_GROUP_WESTERN_EUROPEAN);
    ck_assert_int_eq(region_group_of("USA"), REGION_GROUP_WESTERN_EUROPEAN);
    ck_assert_int_eq(region_group_of("CYP"), REGION_GROUP_ASIA_PACIFIC);
}
END_TEST

SUITE_MAIN("region", a_country_lies_in_its_region_of_m49, what_is_no_country_lies_nowhere,
           regions_and_countries_have_english_names, regions_are_listed_with_what_they_lie_in,
           a_region_has_a_name_in_the_languages_of_the_un, each_group_has_its_members,
           every_member_state_is_in_a_group_and_nobody_else, groups_follow_maps_where_they_do)
