/* region_groups.c - the five regional groups of the United Nations.
 *
 * A list of ours, because no library has one: ICU and iso-codes follow M49, which is about maps, and these groups are about elections.
 * The 193 member States, as the General Assembly elects by them:
 *
 * - Kiribati, which was in none for long, is in the Asia-Pacific group.
 * - Israel is in WEOG. Turkey takes part in two groups and is elected in WEOG.
 * - The United States are a member of none; they attend WEOG and are elected in it, so they are counted there.
 * - Observers (the Holy See, Palestine) and places that are no member State are in none.
 */
#include "store/region.h"

#include <stdlib.h>
#include <string.h>

/* Ascending in each. */
static const struct group {
    enum region_group group;
    size_t count;
    const char *members;
} groups[] = {
    { REGION_GROUP_AFRICAN, 54,
      "AGO BDI BEN BFA BWA CAF CIV CMR COD COG COM CPV DJI DZA EGY ERI "
      "ETH GAB GHA GIN GMB GNB GNQ KEN LBR LBY LSO MAR MDG MLI MOZ MRT "
      "MUS MWI NAM NER NGA RWA SDN SEN SLE SOM SSD STP SWZ SYC TCD TGO "
      "TUN TZA UGA ZAF ZMB ZWE" },
    { REGION_GROUP_ASIA_PACIFIC, 54,
      "AFG ARE BGD BHR BRN BTN CHN CYP FJI FSM IDN IND IRN IRQ JOR JPN "
      "KAZ KGZ KHM KIR KOR KWT LAO LBN LKA MDV MHL MMR MNG MYS NPL NRU "
      "OMN PAK PHL PLW PNG PRK QAT SAU SGP SLB SYR THA TJK TKM TLS TON "
      "TUV UZB VNM VUT WSM YEM" },
    { REGION_GROUP_EASTERN_EUROPEAN, 23,
      "ALB ARM AZE BGR BIH BLR CZE EST GEO HRV HUN LTU LVA MDA MKD MNE "
      "POL ROU RUS SRB SVK SVN UKR" },
    { REGION_GROUP_LATIN_AMERICAN, 33,
      "ARG ATG BHS BLZ BOL BRA BRB CHL COL CRI CUB DMA DOM ECU GRD GTM "
      "GUY HND HTI JAM KNA LCA MEX NIC PAN PER PRY SLV SUR TTO URY VCT "
      "VEN" },
    { REGION_GROUP_WESTERN_EUROPEAN, 29,
      "AND AUS AUT BEL CAN CHE DEU DNK ESP FIN FRA GBR GRC IRL ISL ISR "
      "ITA LIE LUX MCO MLT NLD NOR NZL PRT SMR SWE TUR USA" },
};

enum { CODE_BYTES = 3, STEP = 4 }; /* a code and a blank */

static int
code_order(const void *wanted, const void *member)
{
    return memcmp(wanted, member, CODE_BYTES);
}

enum region_group
region_group_of(const char *alpha3)
{
    if (strlen(alpha3) != CODE_BYTES) {
        return REGION_GROUP_NONE;
    }
    for (size_t n = 0; n < sizeof groups / sizeof groups[0]; n++) {
        /* The last one has no blank behind it, but the end of the text. */
        if (bsearch(alpha3, groups[n].members, groups[n].count, STEP, code_order) != NULL) {
            return groups[n].group;
        }
    }
    return REGION_GROUP_NONE;
}
