/*
 * Status codes and the error record, shared by the SDK and by Clan itself.
 *
 * A call that can fail returns a clan_status.  A call that a person may have to hear about also takes a
 * struct clan_error *, which the side that fails fills: what happened, why, what to do.
 */
#ifndef CLAN_STATUS_H
#define CLAN_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One table: X(name, number, exit class of the command line, text).
 * Numbers are never reused; new ones go at the end.
 * Exit classes: 0 ok, 1 failed, 2 wrong use or bad input, 3 not allowed, 4 not reachable or not
 * running, 5 refused by the other side, 6 conflict or wrong state, 70 a defect of ours.
 */
#define CLAN_STATUS_TABLE(X)                                                                       \
    X(OK, 0, 0, "ok")                                                                              \
    X(INVAL, 1, 2, "bad input")                                                                    \
    X(NOMEM, 2, 1, "out of memory")                                                                \
    X(IO, 3, 1, "input or output failed")                                                          \
    X(AGAIN, 4, 1, "not now")                                                                      \
    X(NOENT, 5, 2, "not found")                                                                    \
    X(EXIST, 6, 6, "exists already")                                                               \
    X(PERM, 7, 3, "not permitted")                                                                 \
    X(GRANT, 8, 3, "not granted by the owner of this machine")                                     \
    X(AUTH, 9, 5, "signature or key does not verify")                                              \
    X(PROTO, 10, 5, "the other side broke the protocol")                                           \
    X(LIMIT, 11, 6, "a limit is reached")                                                          \
    X(STATE, 12, 6, "wrong state")                                                                 \
    X(TIMEOUT, 13, 4, "no answer in time")                                                         \
    X(UNREACHABLE, 14, 4, "not reachable")                                                         \
    X(EXPIRED, 15, 5, "expired")                                                                   \
    X(USED, 16, 5, "used up")                                                                      \
    X(WITHDRAWN, 17, 5, "withdrawn")                                                               \
    X(REVOKED, 18, 5, "removed from the clan")                                                     \
    X(PROVISIONAL, 19, 5, "not confirmed yet")                                                     \
    X(STALE, 20, 6, "not caught up")                                                               \
    X(NOSYS, 21, 1, "not supported here")                                                          \
    X(ABI, 22, 2, "built for another version")                                                     \
    X(NOTRUNNING, 23, 4, "not running")                                                            \
    X(CONFLICT, 24, 6, "conflict")                                                                 \
    X(CANCELLED, 25, 1, "cancelled")                                                               \
    X(DEFECT, 26, 70, "a defect in Clan")

enum {
#define CLAN_STATUS_ENUM(name, number, exit_class, text) CLAN_E_##name = number,
    CLAN_STATUS_TABLE(CLAN_STATUS_ENUM)
#undef CLAN_STATUS_ENUM
};

/* 0 is success; every other value is a CLAN_E_ code.  A value that a side does not know is a failure. */
typedef int32_t clan_status;
#define CLAN_OK 0

/*
 * What a user reads when something fails: three sentences.  The caller supplies the record and sets
 * `size`; whoever fails fills it.  Strings are UTF-8, always terminated, empty when there is nothing
 * to say; lower case, without a full stop ("the setting \"title\" is wrong").  No secrets: it is logged
 * and shown.  The layout is frozen; it grows at the end.  since 0.1
 */
struct clan_error {
    uint32_t size;      /* sizeof(struct clan_error) of whoever made the record */
    clan_status status; /* the same as the call returns; CLAN_OK: nothing failed */
    char what[160];     /* what happened */
    char why[320];      /* why, as far as known */
    char remedy[240];   /* what to do */
};

/* struct clan_error e = CLAN_ERROR_INIT; */
#define CLAN_ERROR_INIT                                                                            \
    {                                                                                              \
        sizeof(struct clan_error), CLAN_OK, "", "", ""                                             \
    }

/* Copies as much of `from` as fits, at a whole character; NULL is "".  [any]  since 0.1 */
static inline void clan_text_copy(char *ret_text, uint32_t cap, const char *from)
{
    uint32_t n = 0;
    while (from && from[n] && n < cap - 1) {
        ret_text[n] = from[n];
        n++;
    }
    if (from && from[n]) /* cut: not inside of a character of several bytes */
        while (n && ((unsigned char)from[n] & 0xc0u) == 0x80u)
            n--;
    ret_text[n] = 0;
}

/*
 * Fills *e, which may be NULL, and returns `status`:
 *     return clan_error_set(reterr, CLAN_E_INVAL, "the setting \"port\" is wrong", "it is not a number",
 *         "write port: 8080");
 * The texts are copied and cut where they are too long; NULL is "".  [any]  since 0.1
 */
static inline clan_status clan_error_set(
    struct clan_error *e, clan_status status, const char *what, const char *why, const char *remedy)
{
    /* the first version's size: a host of today explains what a plugin of tomorrow says */
    if (e && e->size >= offsetof(struct clan_error, remedy) + sizeof e->remedy) {
        e->status = status;
        clan_text_copy(e->what, sizeof e->what, what);
        clan_text_copy(e->why, sizeof e->why, why);
        clan_text_copy(e->remedy, sizeof e->remedy, remedy);
    }
    return status;
}

#ifdef __cplusplus
}
#endif
#endif
