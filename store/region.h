/* region.h - where a country lies: UN M49.
 *
 *     KEN  -->  014 Eastern Africa  -->  002 Africa
 *
 * Regions and their English names are those of ICU's data, which follow M49 (CLDR "territory containment"); no list of ours.
 */
#pragma once

#include <stdint.h>

enum { REGION_NAME_BYTES = 64 };

/* M49 numbers. 0: it is in none. */
struct region {
    uint16_t region;    /* 2 Africa, 9 Oceania, 19 Americas, 142 Asia, 150 Europe */
    uint16_t subregion; /* 14 Eastern Africa */
};

/* Of an ISO 3166-1 alpha-3 code; all zero if ICU does not know it. */
struct region region_of(const char *alpha3);

/* The English name of a region or subregion; its number if ICU has none. */
void region_name(uint16_t number, char name_out[REGION_NAME_BYTES]);

/* The English name of a country; its code if ICU has none. */
void region_country_name(const char *alpha3, char name_out[REGION_NAME_BYTES]);
