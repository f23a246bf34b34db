/* same.h - which persons are counted as one.
 *
 *     KEN-7 --same_as-- UGA-2 --same_as-- COL-9      one, under the lowest record id of the three
 *     KEN-7 --same_as-- LBN-4 --not_same_as--        disputed: nobody is counted together by it
 *
 * The rule of duplicate.h, over facts: so that a snapshot is counted again from the versions that it froze, on any node.
 */
#pragma once

#include "node/casework/facts.h"

/* For each name (facts.h, from 0 to facts_name_count) that of the person that it is counted under. The caller frees it.
 * ERR_MEMORY. */
MUST_CHECK enum err same_persons(const struct facts *facts, uint32_t **same_out);
