#include "tools/org_ask.h"

#include <stdio.h>

enum err
org_ask(void *self, const char *key_name, bool fresh, struct buf *passphrase_out)
{
    char of[64];

    (void)snprintf(of, sizeof of, "the key %s", key_name);
    enum err err = ask_passphrase(self, of, fresh, passphrase_out);
    return err == ERR_OK && passphrase_out->size == 0 && !fresh ? ERR_ABSENT : err;
}
