#include "node/checkup_json.h"

#include "node/value.h"

json_t *
checkup_json(const struct checkup_line *line)
{
    static const char *const states[] = {
        [CHECKUP_WELL] = "well", [CHECKUP_UNKNOWN] = "unknown", [CHECKUP_FOUND] = "found"
    };
    json_t *json = json_pack("{s:s,s:s,s:o}", "check", checkup_check_name(line->check), "state",
                             states[line->state], "what", text_json(span_text(line->what)));

    if (line->kind != NULL) {
        json_t *more = json_pack("{s:s,s:s,s:s,s:s}", "code", line->kind->code, "severity",
                                 checkup_severity_name(line->kind->severity), "cause", line->kind->cause,
                                 "next", line->kind->next);

        (void)json_object_update(json, more);
        json_decref(more);
    }
    return json;
}
