/* The TAI64N below which this machine never speaks again, kept so that a power cut cannot take it back. */
#ifndef WG_FLOOR_H
#define WG_FLOOR_H

#include "noise.h"

enum wg_floor { WG_FLOOR_OK, WG_FLOOR_NONE, WG_FLOOR_DAMAGED, WG_FLOOR_IO };

/* NONE and DAMAGED: zeros. */
enum wg_floor wg_floor_read(const char *dir, uint8_t ret_tai64n[WG_TAI64N]);
/* true: it is on the disk. */
bool wg_floor_write(const char *dir, const uint8_t tai64n[WG_TAI64N]);

#endif
