/* Where countries lie, by UN M49. */
#include "tests/support/check.h"

#include "store/region.h"

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

SUITE_MAIN("region", a_country_lies_in_its_region_of_m49, what_is_no_country_lies_nowhere,
           regions_and_countries_have_english_names, regions_are_listed_with_what_they_lie_in,
           a_region_has_a_name_in_the_languages_of_the_un)
