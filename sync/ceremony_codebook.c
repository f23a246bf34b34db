#include "sync/ceremony_state.h"

#include "store/codebook_changes.h"

static void
pass_over(void *self, const struct codebook_change *change)
{
    (void)self;
    (void)change;
}

enum err
ceremony_codebook(struct ceremony *ceremony, struct span encoded, ceremony_fault *fault_out)
{
    struct statement statement = { .type = STATEMENT_CODEBOOK, .body = encoded };
    struct codebook *codebook = NULL;
    enum err err = codebook_decode(encoded, &codebook);

    if (err == ERR_MEMORY) {
        return ceremony_no_memory(fault_out);
    }
    if (err == ERR_OK && codebook_compare(roster_codebook(ceremony->roster), codebook, pass_over, NULL) > 0) {
        err = ERR_INVALID;
    }
    codebook_free(&codebook);
    if (err != ERR_OK) {
        return ceremony_fail(
            fault_out, ERR_INVALID, "the codebook was not signed",
            "it is none, or what was written under the one in force would get another meaning",
            "check it on a node: vigil codebook check FILE");
    }
    return ceremony_by_roots(ceremony, &statement, NULL, fault_out);
}
