/* inspect.c - `vigil inspect`: one object as the node stores it, down to its bytes. */
#include "tools/command.h"
#include "tools/show.h"

#include "store/base/bytes.h"
#include "store/base/cbor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_DIGITS = 64, TEXT_SHOWN = 200 };

/* --- Lines and bytes --------------------------------------------------------- */

static void
print_line(FILE *to, const char *label, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        output_printf(to, "%-13s %s\n", label, text);
    }
}

static void
print_value(FILE *to, const char *label, const json_t *value)
{
    char *text = output_value(value);

    print_line(to, label, text);
    free(text);
}

/* Rows of 32 bytes, each with the place of its first. */
static void
print_bytes(FILE *to, const char *hex)
{
    size_t size = hex == NULL ? 0 : strlen(hex);

    for (size_t at = 0; at < size; at += ROW_DIGITS) {
        output_printf(to, "  %5zu  %.*s\n", at / 2, ROW_DIGITS, hex + at);
    }
}

/* A part of some bytes, by its place. */
struct part {
    const char *name;
    size_t from;
    size_t size;
};

static void
print_parts(FILE *to, const char *hex, const struct part *parts, size_t count)
{
    size_t size = hex == NULL ? 0 : strlen(hex) / 2;

    for (size_t n = 0; n < count && parts[n].from + parts[n].size <= size; n++) {
        output_printf(to, "  %5zu  %-13s %.*s\n", parts[n].from, parts[n].name, (int)(2 * parts[n].size),
                      hex + 2 * parts[n].from);
    }
}

/* --- CBOR in words: the diagnostic notation of RFC 8949, section 8 ------------ */

static void
print_hex(FILE *to, struct span bytes)
{
    (void)fputs("h'", to);
    for (size_t n = 0; n < bytes.size; n++) {
        (void)fprintf(to, "%02x", bytes.data[n]);
    }
    (void)fputc('\'', to);
}

/* What comes next, in one line of its own or within one. */
static void
print_cbor(FILE *to, struct cbor_reader *reader, int depth)
{
    size_t count = 0;
    struct span text;

    switch (cbor_peek(reader)) {
    case CBOR_UINT:
        (void)fprintf(to, "%" PRIu64, cbor_read_uint(reader));
        break;
    case CBOR_NEGATIVE:
        (void)fprintf(to, "%" PRId64, cbor_read_int(reader));
        break;
    case CBOR_BYTES:
        print_hex(to, cbor_read_bytes(reader));
        break;
    case CBOR_TEXT:
        text = cbor_read_text(reader);
        output_printf(to, "\"%.*s\"", (int)(text.size < TEXT_SHOWN ? text.size : TEXT_SHOWN),
                      (const char *)text.data);
        break;
    case CBOR_ARRAY:
        count = cbor_read_array(reader);
        (void)fputc('[', to);
        for (size_t n = 0; n < count && cbor_peek(reader) != CBOR_NOTHING; n++) {
            (void)fputs(n == 0 ? "" : ", ", to);
            print_cbor(to, reader, depth + 1);
        }
        (void)fputc(']', to);
        break;
    case CBOR_MAP:
        count = cbor_read_map(reader);
        (void)fputc('{', to);
        for (size_t n = 0; n < count && cbor_peek(reader) != CBOR_NOTHING; n++) {
            (void)fprintf(to, "%s\n%*s", n == 0 ? "" : ",", 4 + 2 * depth, "");
            print_cbor(to, reader, depth + 1);
            (void)fputs(": ", to);
            print_cbor(to, reader, depth + 1);
        }
        (void)fputc('}', to);
        break;
    case CBOR_SIMPLE: {
        struct cbor_reader ahead = *reader;

        cbor_read_null(&ahead);
        if (!ahead.in.failed) {
            *reader = ahead;
            (void)fputs("null", to);
        } else {
            (void)fputs(cbor_read_bool(reader) ? "true" : "false", to);
        }
        break;
    }
    case CBOR_NOTHING:
        (void)fputs("?", to);
        break;
    }
}

static void
print_statement_bytes(FILE *to, const char *hex)
{
    size_t size = hex == NULL ? 0 : strlen(hex) / 2;
    uint8_t *bytes = size == 0 ? NULL : malloc(size);

    if (bytes != NULL && bytes_from_hex(bytes, size, hex)) {
        struct cbor_reader reader = cbor_reader_of(span_of(bytes, size));

        (void)fputs("  ", to);
        print_cbor(to, &reader, 0);
        (void)fputc('\n', to);
    }
    free(bytes);
}

/* --- The objects ------------------------------------------------------------- */

static const char *
text_of(const json_t *ok, const char *key)
{
    return json_string_value(json_object_get(ok, key));
}

/* Ask for the object that the one word names. NULL: the command failed, and *status_out says how. */
static json_t *
ask(struct command *command, const char *what, enum exit_status *status_out)
{
    struct client_fault fault;
    json_t *ok = NULL;
    char call[32];

    (void)snprintf(call, sizeof call, "inspect.%s", what);
    json_t *request = json_pack("{s:s, s:s, s:b}", "do", call, what, command->words[0], "bytes",
                                args_has(command, OPT_BYTES));
    if (request == NULL) {
        (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        *status_out = command_fail(command, &fault, "nothing was done");
        return NULL;
    }
    if (!command_ask(command, request, &ok, &fault)) {
        *status_out = command_fail(command, &fault, "cannot inspect the %s %s", what, command->words[0]);
        return NULL;
    }
    *status_out = STATUS_DONE;
    return ok;
}

static void
print_ops(FILE *to, const json_t *ops)
{
    size_t index;
    json_t *op;

    json_array_foreach(ops, index, op)
    {
        char *value = output_value(json_object_get(op, "value"));

        output_printf(to, "  %-6s %s%s%s\n", text_of(op, "op"), text_of(op, "target"),
                      value == NULL || value[0] == '\0' ? "" : " = ", value == NULL ? "" : value);
        free(value);
    }
}

static void
print_entry(FILE *to, const json_t *ok)
{
    /* DESIGN section 3; store/entry.h. */
    static const struct part header[] = {
        { "version", 0, 1 }, { "kind", 1, 1 },   { "lane", 2, 1 },           { "flags", 3, 1 },
        { "seq", 4, 8 },     { "prev", 12, 32 }, { "payload hash", 44, 32 }, { "payload size", 76, 4 },
        { "epoch", 80, 4 },  { "salt", 84, 8 },  { "reference", 92, 16 },
    };
    const json_t *signature = json_object_get(ok, "signature");
    const json_t *ops = json_object_get(ok, "ops");
    json_int_t bytes = json_integer_value(json_object_get(ok, "payload_bytes"));

    print_line(to, "Entry", text_of(ok, "entry"));
    print_line(to, "Id", text_of(ok, "id"));
    print_line(to, "Log", text_of(ok, "log"));
    print_value(to, "Device", json_object_get(ok, "device"));
    print_line(to, "Compartment", text_of(ok, "compartment"));
    output_printf(to, "%-13s %s, lane %lld\n", "Kind", text_of(ok, "kind"),
                  (long long)json_integer_value(json_object_get(ok, "lane")));
    print_value(to, "Flags", json_object_get(ok, "flags"));
    print_line(to, "State", text_of(ok, "state"));
    print_line(to, "Why", text_of(ok, "why"));
    print_line(to, "Order", text_of(ok, "order"));
    output_printf(to, "%-13s %lld bytes, sealed; %s\n", "Payload", (long long)bytes,
                  json_is_true(json_object_get(ok, "payload_here")) ? "here" : "not here");
    if (json_is_object(signature)) {
        output_printf(to, "%-13s %s, by that of entry %lld of its log\n", "Signature",
                      json_is_true(json_object_get(signature, "valid")) ? "good" : "NOT GOOD",
                      (long long)json_integer_value(json_object_get(signature, "of_seq")));
    } else {
        output_printf(to, "%-13s none that covers it is here\n", "Signature");
    }
    output_printf(to, "Header\n");
    print_parts(to, text_of(ok, "header"), header, sizeof header / sizeof header[0]);
    if (json_is_object(signature)) {
        output_printf(to, "Signature\n");
        print_bytes(to, text_of(signature, "bytes"));
    }
    if (text_of(ok, "payload") != NULL) {
        output_printf(to, "Payload, sealed\n");
        print_bytes(to, text_of(ok, "payload"));
    }
    if (ops != NULL) {
        output_printf(to, "It says of record %s\n", text_of(ok, "record"));
        print_ops(to, ops);
    }
}

static enum exit_status
run_entry(struct command *command)
{
    enum exit_status status;
    json_t *ok = ask(command, "entry", &status);

    if (ok != NULL && command->out.json) {
        output_json(command->out.to, ok);
    } else if (ok != NULL) {
        print_entry(command->out.to, ok);
    }
    json_decref(ok);
    return status;
}

static void
print_log(FILE *to, const json_t *ok)
{
    static const struct part descriptor[] = {
        { "sign key", 0, 32 }, { "incarnation", 32, 8 }, { "compartment", 40, 16 }, { "lane", 56, 1 }
    };
    size_t index;
    json_t *branch;

    print_line(to, "Log", text_of(ok, "log"));
    print_value(to, "Device", json_object_get(ok, "device"));
    print_line(to, "Compartment", text_of(ok, "compartment"));
    output_printf(to, "%-13s %lld\n", "Lane", (long long)json_integer_value(json_object_get(ok, "lane")));
    print_line(to, "Incarnation", text_of(ok, "incarnation"));
    output_printf(to, "Descriptor\n");
    print_parts(to, text_of(ok, "descriptor"), descriptor, sizeof descriptor / sizeof descriptor[0]);
    if (json_is_true(json_object_get(ok, "forked"))) {
        output_printf(to,
                      "FORKED: its author signed two entries of one number; vigil device show tells of it\n");
    }
    json_array_foreach(json_object_get(ok, "branches"), index, branch)
    {
        json_int_t first = json_integer_value(json_object_get(branch, "first"));
        json_int_t next = json_integer_value(json_object_get(branch, "next"));

        output_printf(to,
                      "Entries %lld to %lld: %lld held, %lld waiting, %lld whose payload is not here; "
                      "counted before %lld%s\n",
                      (long long)first, (long long)next - 1,
                      (long long)json_integer_value(json_object_get(branch, "held")),
                      (long long)json_integer_value(json_object_get(branch, "waiting")),
                      (long long)json_integer_value(json_object_get(branch, "not_here")),
                      (long long)json_integer_value(json_object_get(branch, "counts_to")),
                      json_is_true(json_object_get(branch, "damaged")) ? "; SOME ARE DAMAGED" : "");
        output_printf(to, "  head %s, signature %s\n", text_of(branch, "head"),
                      json_is_true(json_object_get(branch, "head_signature_valid")) ? "good" : "NOT GOOD");
    }
}

static enum exit_status
run_log(struct command *command)
{
    enum exit_status status;
    json_t *ok = ask(command, "log", &status);

    if (ok != NULL && command->out.json) {
        output_json(command->out.to, ok);
    } else if (ok != NULL) {
        print_log(command->out.to, ok);
    }
    json_decref(ok);
    return status;
}

static void
print_record(FILE *to, const json_t *ok)
{
    size_t index;
    size_t at;
    json_t *part;
    json_t *name;
    const char *state;
    json_t *count;

    print_line(to, "Record", text_of(ok, "record"));
    print_line(to, "Number", text_of(ok, "number"));
    if (json_is_true(json_object_get(ok, "restricted"))) {
        print_line(to, "Restricted", "yes: nothing of it is shown or changed");
    }
    json_array_foreach(json_object_get(ok, "parts"), index, part)
    {
        output_printf(to, "%s: %lld entries, %lld bytes sealed, %lld in conflict\n",
                      text_of(part, "compartment"),
                      (long long)json_integer_value(json_object_get(part, "entries")),
                      (long long)json_integer_value(json_object_get(part, "payload_bytes")),
                      (long long)json_integer_value(json_object_get(part, "conflicts")));
        json_object_foreach(json_object_get(part, "states"), state, count)
        {
            output_printf(to, "  %-13s %lld\n", state, (long long)json_integer_value(count));
        }
        json_array_foreach(json_object_get(part, "names"), at, name)
        {
            output_printf(to, "  %s\n", json_string_value(name));
        }
    }
}

static enum exit_status
run_record(struct command *command)
{
    enum exit_status status;
    json_t *ok = ask(command, "record", &status);

    if (ok != NULL && command->out.json) {
        output_json(command->out.to, ok);
    } else if (ok != NULL) {
        print_record(command->out.to, ok);
    }
    json_decref(ok);
    return status;
}

static void
print_statement(FILE *to, const json_t *ok)
{
    size_t index;
    json_t *signer;

    print_line(to, "Statement", text_of(ok, "statement"));
    output_printf(to, "%-13s %s, %s%s\n", "Type", text_of(ok, "type"),
                  json_is_true(json_object_get(ok, "stands")) ? "and it counts" : "and it does NOT count",
                  json_is_true(json_object_get(ok, "newer")) ? "; it needs a newer version of this program"
                                                             : "");
    json_array_foreach(json_object_get(ok, "signers"), index, signer)
    {
        const char *device = text_of(signer, "device");

        output_printf(to, "%-13s %s%s%s%s: %s\n", index == 0 ? "Signed by" : "", text_of(signer, "key"),
                      device == NULL || device[0] == '\0' ? "" : " (", device == NULL ? "" : device,
                      device == NULL || device[0] == '\0' ? "" : ")",
                      json_is_true(json_object_get(signer, "valid")) ? "good" : "NOT GOOD");
    }
    output_printf(to, "It says\n");
    print_statement_bytes(to, text_of(ok, "stmt"));
    output_printf(to, "Bytes\n");
    print_bytes(to, text_of(ok, "stmt"));
}

static enum exit_status
run_statement(struct command *command)
{
    enum exit_status status;
    json_t *ok = ask(command, "statement", &status);

    if (ok != NULL && command->out.json) {
        output_json(command->out.to, ok);
    } else if (ok != NULL) {
        print_statement(command->out.to, ok);
    }
    json_decref(ok);
    return status;
}

static void
print_peer(FILE *to, const json_t *ok)
{
    const json_t *keys = json_object_get(ok, "keys");
    const json_t *sync = json_object_get(ok, "sync");
    size_t index;
    json_t *compartment;

    print_value(to, "Device", json_object_get(ok, "device"));
    print_line(to, "Sign key", text_of(keys, "sign"));
    print_line(to, "Box key", text_of(keys, "box"));
    print_line(to, "Transport key", text_of(keys, "transport"));
    if (!json_is_object(sync)) {
        print_line(to, "Line", "this node has never met it, and calls it nowhere");
    } else {
        char when[32];

        output_time(when, text_of(sync, "last_contact"));
        print_line(to, "Line", text_of(sync, "state"));
        print_line(to, "Last contact", when);
        print_line(to, "Last trouble", text_of(sync, "error"));
        json_array_foreach(json_object_get(sync, "compartments"), index, compartment)
        {
            output_printf(to, "  %s: %s, %lld to send, %lld to receive\n", text_of(compartment, "name"),
                          text_of(compartment, "state"),
                          (long long)json_integer_value(json_object_get(compartment, "to_send")),
                          (long long)json_integer_value(json_object_get(compartment, "to_receive")));
        }
    }
    if (json_is_object(json_object_get(ok, "certificate"))) {
        output_printf(to, "\nIts certificate\n");
        print_statement(to, json_object_get(ok, "certificate"));
    }
}

static enum exit_status
run_peer(struct command *command)
{
    enum exit_status status;
    json_t *ok = ask(command, "peer", &status);

    if (ok != NULL && command->out.json) {
        output_json(command->out.to, ok);
    } else if (ok != NULL) {
        print_peer(command->out.to, ok);
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { "entry", "LOG:SEQ", 1, 1, OPTION(BYTES),
      "Show an entry: its header byte by byte, its state, its signature",
      "An entry is named by at least 6 digits of its log's id and its number in it, as vigil why and vigil "
      "held "
      "list print it. What it says is shown to those alone who may read its record; the payload is printed "
      "sealed.\n\n"
      "Examples:\n"
      "  vigil inspect entry 88eaf125bd56:8\n"
      "  vigil inspect entry 88eaf125bd56:8 --bytes\n",
      run_entry },
    { "log", "LOG", 1, 1, 0, "Show a log: its author, how far it is here, where it forked",
      "Examples:\n"
      "  vigil inspect log 88eaf125bd56\n",
      run_log },
    { "record", "ID", 1, 1, 0, "Show which entries a record is made of, and what became of them",
      "Nothing that the record says is shown.\n\n"
      "Examples:\n"
      "  vigil inspect record KEN-2026-0042\n",
      run_record },
    { "peer", "DEVICE", 1, 1, 0, "Show a peer: its keys, its certificate, how far it is",
      "Examples:\n"
      "  vigil inspect peer 'HQ server'\n",
      run_peer },
    { "statement", "ID", 1, 1, 0, "Show a statement: who signed it, whether it counts, its bytes",
      "What it says is printed as CBOR in words (RFC 8949, section 8). A statement is named by at least 6 "
      "digits of "
      "its id; vigil device show prints that of a certificate, vigil erase list that of an order.\n\n"
      "Examples:\n"
      "  vigil inspect statement 134aa19d200f\n",
      run_statement },
};

const struct noun inspect_noun = { "inspect", "Show an object as it is stored, down to its bytes", verbs,
                                   sizeof verbs / sizeof verbs[0] };
