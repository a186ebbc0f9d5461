/* Clocks, named by what they decide (SECURITY L3). */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void); /* CLOCK_MONOTONIC: timers, back-off */
uint64_t clock_boot_ms(void); /* CLOCK_BOOTTIME: counts through suspend; gap = slept */
uint64_t clock_mono_ns(void);
/* How long the machine slept since the last call; *last is the sum. */
int64_t clock_slept_ms(int64_t *last);
int64_t clock_wall_s(void); /* seconds since 1970: logs, a keeper's judgement */

#endif
