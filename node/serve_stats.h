/* serve_stats.h - what serve_stats.c and serve_snapshot.c share: windows, releases and their rows. */
#pragma once

#include "node/call.h"

/* The reporting window that people call so, by id, symbol of its report or number, as a row of a list; its id too. NULL: the call
 * failed. The caller frees it. */
json_t *stats_window(struct call *call, const char *text, struct ident *id_out);

/* Bring the facts up to date. False: the call failed, or was put off (call_later), so that others are served while many are read. No reader is
 * open meanwhile. */
MUST_CHECK bool stats_catch_up(struct call *call);

/* The day of our clock, as facts count days. */
uint32_t stats_today(const struct call *call);

/* The tables of a window (NULL: of all cases) as facts are now; lent until the next call. NULL: the call failed. */
const struct statistics *stats_release(struct call *call, const struct ident *window, uint32_t as_of_day);

/* The rows of a cube that are not 0, with null for what is not shown: [["lawyer","woman","adult",7],...]. */
json_t *stats_rows(const struct statistics *statistics, size_t cube);
