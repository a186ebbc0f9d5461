/* Small helpers of the encoders and decoders of bodies. */
#ifndef STATEMENT_BODY_H
#define STATEMENT_BODY_H

#include "base/buf.h"
#include "statement/statement.h"

/* Starts reading s's body when it is of that kind, fails otherwise. */
struct buf_reader body_of(const struct stmt *s, uint8_t kind);
clan_status body_got(const struct buf_reader *r);
clan_status body_put(const struct buf_writer *w, size_t *ret_size);
/* A check of contents: what is false here fails like a size that does not fit. */
static inline void body_want(struct buf_reader *r, bool ok)
{
    if (!ok)
        r->failed = true;
}
static inline void body_want_put(struct buf_writer *w, bool ok)
{
    if (!ok)
        w->failed = true;
}

#endif
