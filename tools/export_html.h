/* export_html.h - a case and the persons and sources that it names, as one page to be read and printed.
 *
 *     html_begin --> html_record ... --> html_end
 *
 * The page stands alone: no script, nothing from outside, and a policy in it that says so to the browser. All text is escaped, and
 * what turns text around is taken out of it; a text in a known language says so, and runs from the right where that does.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* The head of the page. `title` is the number of the case. Errors stay in `to`: see ferror. */
void html_begin(FILE *to, const char *title);

/* One record, as record.export gives it. Its id is an anchor: where another record of the page names it, there is a link, if
 * `names` ({id: name}) has it. */
void html_record(FILE *to, const json_t *record, const json_t *names);

/* What people call a record: its number, pseudonym or id. Lent by the record. */
const char *html_name(const json_t *record);

/* The foot: who made the page, when, from which node and frontier ("made" of record.export), and what is not in it. */
void html_end(FILE *to, const json_t *made, const json_t *reasons);
