/* resident.h - how much memory this process has. */
#pragma once

#include <stdint.h>

/* Bytes that it has in memory now; 0: the kernel does not say. The sandbox of the store lets it ask. */
uint64_t resident_bytes(void);
