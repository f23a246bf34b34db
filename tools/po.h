/* po.h - templates that translators fill in: .po files of GNU gettext. */
#pragma once

#include <stdio.h>

/* Write the heading of a template: `title` says what it holds, `project` what it is a part of, `domain` what its catalogue is called,
 * `locale` the folder of its language; "" in a template of no language. None of them may have a quotation mark, a backslash or a control
 * character in it. */
void po_put_heading(FILE *to, const char *title, const char *project, const char *domain, const char *locale);

/* Write a text after its keyword, such as msgid, with what would end it escaped. Newlines and tabs are kept, other control characters
 * left out. */
void po_put_text(FILE *to, const char *keyword, const char *text);
