/* roles.h - who may ask what of a node: one table of operations and roles.
 *
 *     certificate of the device --+
 *                                 +--> roles in common --> may it ask for this?
 *     actor, as the office said --+
 *
 * A rule for whoever asks here. What a node is given at all is in the levels of its compartments, which no role widens:
 * a role says what people do with what is here. Pure.
 */
#pragma once

#include "sync/statement.h"

#include <stdbool.h>
#include <stddef.h>

/* May somebody who has these roles (of enum device_role, or'ed) ask for this call of API.md? A call that the table does not have is
 * for nobody. */
bool roles_allow(const char *call, uint32_t roles);

/* The roles that may, or'ed; 0: it is not in the table. */
uint32_t roles_of_call(const char *call);

/* "case-work, review or headquarters". */
struct roles_words {
    char text[96];
};
struct roles_words roles_words(uint32_t roles);

/* The name of a role, or of the lowest of several: "case-work"; "" if none is known. And the role of a name; 0: none. */
const char *role_name(uint32_t role);
uint32_t role_by_name(const char *name);
