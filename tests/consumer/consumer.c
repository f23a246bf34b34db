#include <vigil.h>

#include <stdio.h>

int
main(int argc, char **argv)
{
    struct client_fault fault;
    struct client *node = NULL;
    json_t *ok = NULL;
    enum err err = client_open(&node, client_state_dir(argc > 1 ? argv[1] : NULL), &fault);

    if (err == ERR_OK) {
        err = client_call(node, json_pack("{s:s}", "do", "status"), 10000, &ok, &fault);
    }
    (void)puts(err == ERR_OK ? json_string_value(json_object_get(ok, "state")) : fault.message);
    json_decref(ok);
    client_close(&node);
    return err == ERR_OK ? 0 : 1;
}
