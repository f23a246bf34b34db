/* args: words of a command line, for each verb. What is taken is what the verb may have; what is not is refused with a
 * reason and a hint. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 };

const struct noun *const nouns[] = {
    &case_noun,   &record_noun, &conflict_noun, &peer_noun,       &sync_noun,
    &status_noun, &digest_noun, &codebook_noun, &completion_noun, NULL,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
check_given(const struct command *command)
{
    const option_bits has = command->verb->options | OPTIONS_ALL;
    struct client_fault fault = { 0 };
    long number = 0;

    for (size_t n = 0; n < command->given_count; n++) {
        const struct given *given = &command->given[n];
        must(given->option <= OPT_NONE);
        if (given->option == OPT_NONE) {
            must(given->text != NULL);
            continue;
        }
        must((has >> given->option & 1) != 0);
        must((given->text != NULL) == (option_texts[given->option].value != NULL));
    }
    must(args_has(command, OPT_HELP) ||
         (command->word_count >= command->verb->word_min && command->word_count <= command->verb->word_max));
    if (args_number(command, OPT_LIMIT, 1, 1000, 7, &number, &fault)) {
        must(number >= 1 && number <= 1000);
    } else {
        must(fault.message[0] != '\0' && fault.hint[0] != '\0');
    }
}

/* Byte 0 is the noun and byte 1 the verb; the words follow, each ended by a zero. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX + 1] = { NULL };
    struct command command = { 0 };
    struct client_fault fault = { 0 };
    int count = 0;
    int head = 0;

    if (size < 2) {
        return 0;
    }
    command.noun = nouns[data[0] % (sizeof nouns / sizeof nouns[0] - 1)];
    command.verb = &command.noun->verbs[data[1] % command.noun->verb_count];
    char *text = malloc(size - 1);
    must(text != NULL);
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\0';
    for (char *at = text; at < text + size - 2 && count < WORDS_MAX; at += strlen(at) + 1) {
        words[count++] = at;
    }
    enum opt first = args_head(count, words, &head);
    must(first == OPT_NONE || (OPTIONS_ALL >> first & 1) != 0);
    must(head == 1 || head == 2);
    if (args_read(&command, count, words, &fault)) {
        check_given(&command);
    } else {
        must(fault.code[0] != '\0' && fault.message[0] != '\0' && fault.hint[0] != '\0');
    }
    args_free(&command);
    free(text);
    return 0;
}
