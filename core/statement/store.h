/* The append-only log of statements: statements.log in the clan's state directory. */
#ifndef STATEMENT_STORE_H
#define STATEMENT_STORE_H

#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stmt_store;
typedef void stmt_store_fn(void *arg, const uint8_t *raw, size_t size);

/* Opens or creates; a torn tail is cut (and logged), a damaged record ends reading there and is kept aside
 * as statements.log.damaged.  fn (may be NULL) is called for every statement in order. */
clan_status stmt_store_open(int dir_fd, stmt_store_fn *fn, void *arg, struct stmt_store **ret_store,
    struct clan_error *reterr);
void stmt_store_close(struct stmt_store *s);
/* Appends and fdatasyncs before it returns; after an error (disk full) nothing of it stays. */
clan_status stmt_store_append(
    struct stmt_store *s, const void *raw, size_t size, struct clan_error *reterr);
/* Appends several with one fdatasync. */
clan_status stmt_store_append_many(struct stmt_store *s, const uint8_t *const *raws,
    const size_t *sizes, size_t count, struct clan_error *reterr);
/* Rewrites with only what next() gives (returns false at the end); durable by rename. */
clan_status stmt_store_compact(struct stmt_store *s,
    bool (*next)(void *arg, const uint8_t **ret_raw, size_t *ret_size), void *arg,
    struct clan_error *reterr);
uint64_t stmt_store_bytes(const struct stmt_store *s);

#endif
