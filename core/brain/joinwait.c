/* How long a joiner waits: for a transport to start, for an answer, until it asks again. */
#include "base/error.h"
#include "brain/brain.h"
#include "brain/joindial.h"
#include "brain/joiner.h"

#define JOINER_START_MS 5000 /* until a transport runs */
/* Without a sign of progress while no dial is under way, which has a limit of its own; more than link's
 * for a handshake, whose end comes first. */
#define JOINER_STILL_MS 45000
/* The same while processes start: nothing is wrong with a computer that is slow or busy. */
#define JOINER_SLOW_MS 180000
#define JOINER_SHOW_MS 10000

static bool transport_ready(const struct brain *b)
{
    return b->link_ready && transports_up(b) && (b->endpoint_count > 0 || b->local.count > 0);
}

/* Slow is no error as long as one step follows the other. */
static bool start_goes_on(struct joiner *j)
{
    struct brain *b = j->b;
    unsigned steps = joindial_start_steps(b);
    if (steps > j->steps) {
        j->steps = steps;
        j->moved_ms = brain_now();
    }
    uint64_t still = brain_now() - j->moved_ms;
    j->busy |= brain_now() - j->shown_ms >= JOINER_START_MS;
    return still < (transports_starting(b) ? JOINER_SLOW_MS : JOINER_START_MS);
}

static void fail_start(struct joiner *j)
{
    struct brain *b = j->b;
    char name[33];
    err_set(&j->last, CLAN_E_NOTRUNNING, "no transport runs on this computer");
    transports_first(b, name);
    if (b->grants_ok)
        err_why(&j->last, "the plugin %s did not start (see: clan logs)", name);
    else if (b->grants_trouble.status == CLAN_E_NOENT)
        err_why(&j->last, "the owner of this computer has granted nothing yet");
    else
        err_why(&j->last, "%s: %s", b->grants_trouble.what, b->grants_trouble.why);
    err_remedy(&j->last, "run as root: clan machine apply");
    joiner_fail(j, &j->last);
}

/* What the command line shows and takes for a sign of life. */
static void show_waiting(struct joiner *j)
{
    uint64_t now = brain_now();
    bool start = j->phase == PHASE_START_FETCH;
    if (now - j->shown_ms < (start ? JOINER_START_MS : JOINER_SHOW_MS) || !j->client)
        return;
    j->shown_ms = now;
    if (start)
        api_progress(j->client, "start", "this computer is busy: still starting");
    else
        api_progress(j->client, "line", "%s, %u s so far",
            transports_dials_for(j->b, j) ? "no answer yet" : "waiting in line",
            (unsigned)((now - j->moved_ms) / 1000));
}

void joiner_tick(struct brain *b)
{
    struct joiner *j = b->joiner;
    if (!j || j->phase == PHASE_ASK || j->phase >= PHASE_BIND)
        return;
    if (j->phase == PHASE_START_FETCH && transport_ready(b)) {
        joiner_begin_phase(j, PHASE_FETCH);
        return;
    }
    bool start = j->phase == PHASE_START_FETCH;
    if (start && !start_goes_on(j)) {
        fail_start(j);
        return;
    }
    if (j->retry_ms) {
        if (brain_now() >= j->retry_ms)
            joiner_try_phase(j);
        return;
    }
    uint64_t now = brain_now();
    bool goes_on = now - j->moved_ms < JOINER_STILL_MS || transports_dials_for(b, j);
    if (start || (goes_on && now < j->deadline_ms)) {
        show_waiting(j);
        return;
    }
    if (j->last.status == CLAN_OK) {
        err_set(&j->last, CLAN_E_TIMEOUT, "the machine that was asked did not finish in time");
        err_remedy(&j->last, "try again");
    }
    j->busy = true;
    joiner_fail_or_again(j);
}
