#include "tests/support/proving.h"

struct proving {
    struct replica *replica;
    void (*finding)(void *self, enum proof_part part, const char *what);
    void *self;
};

static enum err
begin(void *self, struct table_txn **main_txn, struct table_txn **keys_txn)
{
    return replica_borrow(((struct proving *)self)->replica, main_txn, keys_txn);
}

static void
abandon(void *self, struct table_txn **main_txn, struct table_txn **keys_txn)
{
    replica_give_back(((struct proving *)self)->replica, main_txn, keys_txn);
}

static void
tell(void *self, enum proof_part part, const char *what)
{
    const struct proving *proving = self;

    proving->finding(proving->self, part, what);
}

enum err
proving_run(struct replica *replica, void (*finding)(void *self, enum proof_part part, const char *what),
            void *self, struct proof *proof_out)
{
    struct proving proving = { replica, finding, self };

    return proof_run(&(struct proof_options){ .self = &proving,
                                              .begin = begin,
                                              .abandon = abandon,
                                              .finding = tell,
                                              .journal = replica_journal(replica),
                                              .codebook = replica_codebook(replica),
                                              .source = replica_source(replica) },
                     proof_out);
}
