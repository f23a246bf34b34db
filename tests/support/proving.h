/* proving.h - proof_run over a replica of a test. */
#pragma once

#include "store/proof.h"
#include "sync/replica.h"

/* Check all of it, between turns; `finding` is told what is found, with `self`. Errors as proof_run. */
MUST_CHECK enum err proving_run(struct replica *replica,
                                void (*finding)(void *self, enum proof_part part, const char *what),
                                void *self, struct proof *proof_out);
