#include "store/base/usage.h"

#include "store/base/exit.h"
#include "store/base/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 64, WHY_BYTES = 256, USAGE_KEY = 256 };

/* argp's own words, until it ends the process. */
static FILE *said;
static char *said_text;
static size_t said_size;
static const char *said_of;

void
usage_tell(const char *command, const char *why)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s: nothing was done\n  why: %s\n  do:  %s --help\n", command, why, command);
}

/* Words for what was probably meant; "" for nothing. */
static void
put_guess(char *out, size_t size, const char *dashes, const char *nearest)
{
    out[0] = '\0';
    if (nearest != NULL) {
        (void)snprintf(out, size, ": did you mean %s%s?", dashes, nearest);
    }
}

void
usage_guess(char *out, size_t size, const char *typed, const char *const *names, size_t count)
{
    put_guess(out, size, "", nearest_name(typed, names, count));
}

/* "vigild run: no directory is named", and a hint of its own: the first line, without the name. */
static void
tell_what_was_said(void)
{
    if (said == NULL || fflush(said) != 0 || said_size == 0) {
        return;
    }
    size_t name = strlen(said_of);
    const char *why = said_text;
    if (strncmp(why, said_of, name) == 0 && strncmp(why + name, ": ", 2) == 0) {
        why += name + 2;
    }
    said_text[strcspn(said_text, "\n")] = '\0';
    usage_tell(said_of, why);
}

/* Every option of an argp and its children; argp's own are among them. */
static size_t
gather(const struct argp *argp, const struct argp_option **options_out, size_t count)
{
    for (const struct argp_option *option = argp->options;
         option != NULL && (option->name != NULL || option->doc != NULL); option++) {
        if (option->name != NULL && count < OPTIONS_MAX) {
            options_out[count++] = option;
        }
    }
    for (const struct argp_child *child = argp->children; child != NULL && child->argp != NULL; child++) {
        count = gather(child->argp, options_out, count);
    }
    return count;
}

static const struct argp_option common[] = { { .name = "help", .key = '?' },
                                             { .name = "usage", .key = USAGE_KEY },
                                             { .name = "version", .key = 'V' } };

/* The option that "--name" or "--name=value" means, whole or as the only one that begins so. NULL: none. */
static const struct argp_option *
find(const struct argp_option *const *options, size_t count, const char *word)
{
    const struct argp_option *found = NULL;
    size_t size = strcspn(word, "=");
    size_t matches = 0;

    for (size_t n = 0; n < count; n++) {
        if (strncmp(options[n]->name, word, size) == 0) {
            if (options[n]->name[size] == '\0') {
                return options[n];
            }
            found = options[n];
            matches++;
        }
    }
    return matches == 1 ? found : NULL;
}

/* The last option of "-abFILE", which may take the rest as its value; `word_inout` is moved to its letter. NULL: one of
 * the letters is none. */
static const struct argp_option *
find_short(const struct argp_option *const *options, size_t count, const char **word_inout)
{
    const struct argp_option *found = NULL;

    for (const char *at = *word_inout; *at != '\0'; at++) {
        found = NULL;
        for (size_t n = 0; n < count && found == NULL; n++) {
            found = options[n]->key == (unsigned char)*at ? options[n] : NULL;
        }
        *word_inout = at;
        if (found == NULL || found->arg != NULL) {
            break;
        }
    }
    return found;
}

/* Find what getopt would complain of in its own way. False: it was told. */
static bool
check(const struct argp *argp, int argc, char **argv)
{
    const struct argp_option *options[OPTIONS_MAX + sizeof common / sizeof common[0]];
    const char *names[OPTIONS_MAX + sizeof common / sizeof common[0]];
    char why[WHY_BYTES];
    char guess[WHY_BYTES / 2];
    size_t count = gather(argp, options, 0);

    for (size_t n = 0; n < sizeof common / sizeof common[0]; n++) {
        options[count++] = &common[n];
    }
    for (size_t n = 0; n < count; n++) {
        names[n] = options[n]->name;
    }
    for (int n = 1; n < argc && strcmp(argv[n], "--") != 0; n++) {
        if (argv[n][0] != '-' || argv[n][1] == '\0') {
            continue;
        }
        size_t dashes = strspn(argv[n], "-");
        const char *word = argv[n] + dashes;
        const struct argp_option *option = NULL;
        bool attached = false;
        if (dashes == 2) {
            option = find(options, count, word);
            attached = strchr(word, '=') != NULL;
        } else if (dashes == 1) {
            option = find_short(options, count, &word);
            attached = option != NULL && word[1] != '\0';
        }
        if (option == NULL) {
            char typed[64];
            (void)snprintf(typed, sizeof typed, "%.*s", (int)strcspn(word, "="), word);
            put_guess(guess, sizeof guess, "--", nearest_name(typed, names, count));
            (void)snprintf(why, sizeof why, "there is no option %.*s%s%s", (int)dashes, argv[n], typed,
                           guess);
        } else if (option->arg == NULL && attached) {
            (void)snprintf(why, sizeof why, "--%s takes no value", option->name);
        } else if (option->arg != NULL && !attached && n + 1 == argc) {
            (void)snprintf(why, sizeof why, "--%s has no value", option->name);
        } else {
            n += option->arg != NULL && !attached ? 1 : 0;
            continue;
        }
        usage_tell(argv[0], why);
        return false;
    }
    return true;
}

/* Between argp and the parser that it is for: its words go to us. */
static error_t
listen(int key, char *text, struct argp_state *state)
{
    (void)text;
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
        state->err_stream = said == NULL ? state->err_stream : said;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

int
usage_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    const struct argp_child children[] = { { argp, 0, NULL, 0 }, { NULL, 0, NULL, 0 } };
    const struct argp whole = { .parser = listen, .children = children };

    if (!check(argp, argc, argv)) {
        exit(STATUS_USAGE);
    }
    argp_err_exit_status = STATUS_USAGE;
    said_of = argv[0];
    said = open_memstream(&said_text, &said_size);
    if (said != NULL && atexit(tell_what_was_said) != 0) {
        (void)fclose(said);
        said = NULL;
    }
    int failed = argp_parse(&whole, argc, argv, 0, NULL, input);
    if (said != NULL) {
        (void)fclose(said);
        free(said_text);
        said = NULL;
    }
    return failed;
}
