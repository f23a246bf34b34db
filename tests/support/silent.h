/* silent.h - a log sink for tests that do not look at the log: log_to(silent, NULL). */
#pragma once

/* Drop the line. */
void silent(void *self, const char *line);
