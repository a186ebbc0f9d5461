/* The one bounded reader and writer for bytes from outside; no pointer arithmetic anywhere else. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are big-endian.  The first failure sticks: later calls return zeros, check once. */
struct buf_reader {
    const uint8_t *p; /* borrowed */
    size_t left;
    bool failed;
};

struct buf_reader buf_reader_of(const void *data, size_t size);
uint8_t buf_get_u8(struct buf_reader *r);
uint16_t buf_get_u16(struct buf_reader *r);
uint32_t buf_get_u32(struct buf_reader *r);
uint64_t buf_get_u64(struct buf_reader *r);
void buf_get(struct buf_reader *r, void *ret_data, size_t size); /* copies exactly size bytes */
const uint8_t *buf_view(struct buf_reader *r, size_t size);      /* borrowed, NULL on failure */
/* u16 length and bytes; at most cap - 1 of them, no NUL inside; always terminates */
void buf_get_str(struct buf_reader *r, char *ret_str, size_t cap);
bool buf_done(const struct buf_reader *r); /* nothing failed and nothing is left */

struct buf_writer {
    uint8_t *base; /* borrowed */
    size_t cap, len;
    bool failed;
};

struct buf_writer buf_writer_of(void *data, size_t cap);
void buf_put_u8(struct buf_writer *w, uint8_t v);
void buf_put_u16(struct buf_writer *w, uint16_t v);
void buf_put_u32(struct buf_writer *w, uint32_t v);
void buf_put_u64(struct buf_writer *w, uint64_t v);
void buf_put(struct buf_writer *w, const void *data, size_t size);
void buf_put_str(struct buf_writer *w, const char *str); /* u16 length and bytes */

#endif
