/* search_words.h - text as the words by which it is found, whatever the script.
 *
 *     "Les témoins menacés"  -->  les  temoins temoin  menaces menac ...
 *     "هُدِّدَ الشهود"         -->  هدد  الشهود شهود ...
 *     "他受到了威胁"          -->  他 受到 了 威胁
 *
 * Words are where ICU says that one ends (a dictionary, where the script leaves no spaces); each is given as it is
 * with marks taken off and case folded, and at the same place its stems, as Snowball makes them for the languages
 * of its script: a text says of itself in which language it is, a person who searches does not. ICU's answers
 * differ between its versions, so nothing of this leaves the node, and what is kept says under which fingerprint it
 * was made.
 *
 * For search.c, and for whoever compares names.
 */
#pragma once

#include "store/base/crypto.h"
#include "store/base/err.h"

struct search_words;

/* ERR_MEMORY; ERR_INVALID: the data of ICU or a stemmer is not installed. */
MUST_CHECK enum err search_words_open(struct search_words **words_out);
void search_words_close(struct search_words **words);

/* What the words of a text depend on beside the text: ICU's versions, and the forms of a sample of each script. */
void search_words_fingerprint(struct search_words *words, struct hash *out);

/* Longest forms of a name, with the NUL that ends them. */
enum { SEARCH_NAME_BYTES = 64 };

/* A name as it sounds, whatever the script: in Latin letters, and its consonants alone with those that languages write
 * differently made one. "Мухаммед", "محمد" and "Mohamed": muhammed, mhmd and mohamed, and mhmd for each. A skeleton of fewer than
 * three consonants says too little: then it is "", and `consonants` has what there is. Transliteration is ICU's (CLDR). */
struct search_name {
    char latin[SEARCH_NAME_BYTES];
    char skeleton[SEARCH_NAME_BYTES];
    char consonants[SEARCH_NAME_BYTES];
};

void search_words_name(struct search_words *words, struct span word, struct search_name *out);

/* Ways in which a name may be taken apart: where a script leaves no spaces, nothing says which of its characters is the family's. */
enum { SEARCH_READINGS_MAX = 3 };

/* Called for each part of a name, all parts of one reading after another. */
typedef void search_name_part(void *self, struct span part, unsigned reading);

/* Give the parts of a whole name, in every reading of it: of most names one. Articles and words like "bin" and "de", which one office
 * writes and another leaves out, are no parts unless nothing else is. "الحسن" is حسن, "王小明" is 王 小 明, 王 小明 and 王小 明. */
void search_words_parts(struct search_words *words, struct span name, search_name_part *each, void *self);

/* Called for each word: `from` and `to` are byte offsets in the text; with `again` the word stands where the one before it does. Not 0:
 * stop, and give that. */
typedef int search_word(void *self, struct span word, size_t from, size_t to, bool again);

/* Give every word of `text`, in order. Text that is not UTF-8 is read as if each wrong byte were U+FFFD. What `each` gave, or 0;
 * -1: no memory. */
int search_words_each(struct search_words *words, struct span text, search_word *each, void *self);
