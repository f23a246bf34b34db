#include "tools/po.h"

void
po_put_heading(FILE *to, const char *title, const char *project, const char *domain, const char *locale)
{
    (void)fprintf(
        to,
        "# %s.\n"
        "# Leave a msgstr empty, or mark it \"#, fuzzy\", until it was reviewed: msgfmt leaves it out.\n"
        "# msgfmt --check -o LOCALE/%s/LC_MESSAGES/%s.mo FILE\n"
        "msgid \"\"\n"
        "msgstr \"\"\n"
        "\"Project-Id-Version: %s\\n\"\n"
        "\"PO-Revision-Date: \\n\"\n"
        "\"Last-Translator: \\n\"\n"
        "\"Language-Team: \\n\"\n"
        "\"Language: %s\\n\"\n"
        "\"MIME-Version: 1.0\\n\"\n"
        "\"Content-Type: text/plain; charset=UTF-8\\n\"\n"
        "\"Content-Transfer-Encoding: 8bit\\n\"\n",
        title, locale[0] == '\0' ? "LANGUAGE" : locale, domain, project, locale);
}

void
po_put_text(FILE *to, const char *keyword, const char *text)
{
    (void)fprintf(to, "%s \"", keyword);
    for (; *text != '\0'; text++) {
        if (*text == '\n' || *text == '\t') {
            (void)fputs(*text == '\n' ? "\\n" : "\\t", to);
        } else if ((unsigned char)*text >= 0x20) {
            if (*text == '"' || *text == '\\') {
                (void)fputc('\\', to);
            }
            (void)fputc(*text, to);
        }
    }
    (void)fputs("\"\n", to);
}
