/* region.h - where a country lies: UN M49.
 *
 *     KEN  -->  014 Eastern Africa  -->  002 Africa
 *
 * Regions and their names are those of ICU's data, which follow M49 (CLDR "territory containment"); no list of ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REGION_NAME_BYTES = 64 };

/* M49 numbers. 0: it is in none. */
struct region {
    uint16_t region;    /* 2 Africa, 9 Oceania, 19 Americas, 142 Asia, 150 Europe */
    uint16_t subregion; /* 14 Eastern Africa */
};

/* Of an ISO 3166-1 alpha-3 code; all zero if ICU does not know it. */
struct region region_of(const char *alpha3);

/* The regions and subregions, ascending by number; at most REGIONS_MAX. */
enum { REGIONS_MAX = 64 };
struct region_place {
    uint16_t number;
    uint16_t within; /* the region of a subregion; 0: it is one itself */
};
size_t region_list(struct region_place places_out[REGIONS_MAX]);

/* The name of a region or subregion in a language of ICU's: "fr". False: it has none, and `name_out` is "". No locale
 * of the system is needed. */
bool region_name_in(uint16_t number, const char *language, char name_out[REGION_NAME_BYTES]);

/* The regional groups of the United Nations, by which its member States are elected; no part of M49: see region_groups.c. */
enum region_group {
    REGION_GROUP_NONE = 0, /* no member State */
    REGION_GROUP_AFRICAN,
    REGION_GROUP_ASIA_PACIFIC,
    REGION_GROUP_EASTERN_EUROPEAN,
    REGION_GROUP_LATIN_AMERICAN,   /* and Caribbean */
    REGION_GROUP_WESTERN_EUROPEAN, /* and Others */
};

/* Of an ISO 3166-1 alpha-3 code. */
enum region_group region_group_of(const char *alpha3);

/* The English name of a region or subregion; its number if ICU has none. */
void region_name(uint16_t number, char name_out[REGION_NAME_BYTES]);

/* The English name of a country; its code if ICU has none. */
void region_country_name(const char *alpha3, char name_out[REGION_NAME_BYTES]);
