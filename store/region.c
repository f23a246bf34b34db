#include "store/region.h"

#include <stdio.h>
#include <string.h>
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

/* The English name of "KE" or "014"; false: there is none. */
static int
name_of(const char *code, char out[REGION_NAME_BYTES])
{
    UErrorCode status = U_ZERO_ERROR;
    UChar wide[REGION_NAME_BYTES];
    char locale[16];
    int32_t size = 0;

    (void)snprintf(locale, sizeof locale, "und_%.8s", code);
    int32_t wide_size = uloc_getDisplayCountry(locale, "en", wide, REGION_NAME_BYTES, &status);
    if (U_FAILURE(status) || status == U_USING_DEFAULT_WARNING || wide_size >= REGION_NAME_BYTES) {
        return 0;
    }
    (void)u_strToUTF8(out, REGION_NAME_BYTES - 1, &size, wide, wide_size, &status);
    if (U_FAILURE(status) || size == 0) {
        return 0;
    }
    out[size] = '\0';
    return 1;
}

void
region_name(uint16_t number, char name_out[REGION_NAME_BYTES])
{
    char code[8];

    (void)snprintf(code, sizeof code, "%03u", number % 1000u);
    if (!name_of(code, name_out)) {
        (void)snprintf(name_out, REGION_NAME_BYTES, "%s", code);
    }
}

void
region_country_name(const char *alpha3, char name_out[REGION_NAME_BYTES])
{
    const URegion *country = find(alpha3);

    if (country == NULL || !name_of(uregion_getRegionCode(country), name_out)) {
        (void)snprintf(name_out, REGION_NAME_BYTES, "%.3s", alpha3);
    }
}
