/* checkup_json.h - a line of the checklist, as the API and vigil --json give it. */
#pragma once

#include "node/checkup.h"

#include <jansson.h>

/* {"check","state","what"}, and of what was found {"code","severity","cause","next"} besides. NULL: no memory. */
json_t *checkup_json(const struct checkup_line *line);
