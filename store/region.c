#include "store/region.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uenum.h>
#include <unicode/uloc.h>
#include <unicode/uregion.h>
#include <unicode/ustring.h>

/* CLDR has a subregion of its own for what lies far from everything: no part of M49. */
enum { REGION_NUMBER_MAX = 960 };

static const URegion *
find(const char *code)
{
    UErrorCode status = U_ZERO_ERROR;
    const URegion *found = uregion_getRegionFromCode(code, &status);

    return U_FAILURE(status) ? NULL : found;
}

static uint16_t
containing(const URegion *country, URegionType type)
{
    const URegion *found = uregion_getContainingRegionOfType(country, type);
    int32_t number = found == NULL ? -1 : uregion_getNumericCode(found);

    return number > 0 && number < REGION_NUMBER_MAX ? (uint16_t)number : 0;
}

struct region
region_of(const char *alpha3)
{
    struct region region = { 0 };
    const URegion *country = find(alpha3);

    if (country != NULL && uregion_getType(country) == URGN_TERRITORY) {
        region.subregion = containing(country, URGN_SUBCONTINENT);
        region.region = containing(country, URGN_CONTINENT);
    }
    return region;
}

static int
by_number(const void *a, const void *b)
{
    const struct region_place *one = a;
    const struct region_place *other = b;

    return (one->number > other->number) - (one->number < other->number);
}

static size_t
add_places(URegionType type, struct region_place *places, size_t count)
{
    UErrorCode status = U_ZERO_ERROR;
    UEnumeration *codes = uregion_getAvailable(type, &status);
    const char *code;

    while (U_SUCCESS(status) && (code = uenum_next(codes, NULL, &status)) != NULL) {
        const URegion *place = find(code);
        int32_t number = place == NULL ? -1 : uregion_getNumericCode(place);

        if (number > 0 && number < REGION_NUMBER_MAX && count < REGIONS_MAX) {
            uint16_t within = type == URGN_SUBCONTINENT ? containing(place, URGN_CONTINENT) : 0;
            places[count++] = (struct region_place){ (uint16_t)number, within };
        }
    }
    uenum_close(codes);
    return count;
}

size_t
region_list(struct region_place places_out[REGIONS_MAX])
{
    size_t count = add_places(URGN_CONTINENT, places_out, 0);

    count = add_places(URGN_SUBCONTINENT, places_out, count);
    qsort(places_out, count, sizeof *places_out, by_number);
    return count;
}

/* The name of "KE" or "014" in `language`; false: there is none. */
static bool
name_of(const char *code, const char *language, char out[REGION_NAME_BYTES])
{
    UErrorCode status = U_ZERO_ERROR;
    UChar wide[REGION_NAME_BYTES];
    char locale[16];
    int32_t size = 0;

    out[0] = '\0';
    (void)snprintf(locale, sizeof locale, "und_%.8s", code);
    int32_t wide_size = uloc_getDisplayCountry(locale, language, wide, REGION_NAME_BYTES, &status);
    if (U_FAILURE(status) || status == U_USING_DEFAULT_WARNING || wide_size >= REGION_NAME_BYTES) {
        return false;
    }
    (void)u_strToUTF8(out, REGION_NAME_BYTES - 1, &size, wide, wide_size, &status);
    if (U_FAILURE(status) || size == 0) {
        out[0] = '\0';
        return false;
    }
    out[size] = '\0';
    return true;
}

bool
region_name_in(uint16_t number, const char *language, char name_out[REGION_NAME_BYTES])
{
    char code[8];

    (void)snprintf(code, sizeof code, "%03u", number % 1000u);
    return name_of(code, language, name_out);
}

void
region_name(uint16_t number, char name_out[REGION_NAME_BYTES])
{
    if (!region_name_in(number, "en", name_out)) {
        (void)snprintf(name_out, REGION_NAME_BYTES, "%03u", number % 1000u);
    }
}

void
region_country_name(const char *alpha3, char name_out[REGION_NAME_BYTES])
{
    const URegion *country = find(alpha3);

    if (country == NULL || !name_of(uregion_getRegionCode(country), "en", name_out)) {
        (void)snprintf(name_out, REGION_NAME_BYTES, "%.3s", alpha3);
    }
}
