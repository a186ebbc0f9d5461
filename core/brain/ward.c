/* Asking the warden, and hearing from it. */
#include "base/error.h"
#include "base/log.h"
#include "brain/devices.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ward_ask(
    struct brain *b, uint32_t id, void *request, size_t size, ward_answer_fn *fn, void *arg)
{
    struct ward_head head = {
        .id = id, .serial = ++b->next_serial ? b->next_serial : ++b->next_serial};
    memcpy(request, &head, sizeof head);
    unsigned i = 0;
    for (; fn && i < sizeof b->waiting / sizeof b->waiting[0]; i++)
        if (b->waiting[i].serial == 0) {
            b->waiting[i].serial = head.serial;
            b->waiting[i].fn = fn;
            b->waiting[i].arg = arg;
            break;
        }
    if (fn && i == sizeof b->waiting / sizeof b->waiting[0])
        log_error("too many requests to the warden wait: nobody hears the answer to %u", id);
    if (!chan_send_raw(b->ward, request, size, NULL, 0))
        log_error("the warden does not take requests");
}

void ward_simple(struct brain *b, uint32_t id, ward_answer_fn *fn, void *arg)
{
    struct ward_simple r;
    memset(&r, 0, sizeof r);
    ward_ask(b, id, &r, sizeof r, fn, arg);
}

static void on_answer(struct brain *b, const struct ward_answer *a, int fd)
{
    for (unsigned i = 0; i < sizeof b->waiting / sizeof b->waiting[0]; i++) {
        if (b->waiting[i].serial != a->head.serial)
            continue;
        b->waiting[i].serial = 0;
        if (b->waiting[i].fn) {
            b->waiting[i].fn(b, b->waiting[i].arg, a, fd);
            return;
        }
        break;
    }
    if (a->error.status != CLAN_OK)
        log_clan_error(LOG_LEVEL_WARN, &a->error);
    if (fd >= 0)
        close(fd);
}

static void on_child(struct brain *b, const struct ward_child *c, int fd)
{
    b->ui_slot = c->slot;
    switch (c->kind) {
    case WARD_KIND_LINK:
        b->fw_assume |= c->adopted && !b->fw;
        link_open(b, fd, c->child);
        break;
    case WARD_KIND_RESOLVER:
        names_open(b, fd, c->child);
        break;
    case WARD_KIND_KEEPER:
        keeper_open(b, fd, c->child);
        break;
    case WARD_KIND_HOST:
    case WARD_KIND_PROGRAM:
        hosts_child(b, c, fd);
        break;
    default:
        if (fd >= 0)
            close(fd);
    }
    brain_soon(b);
}

static void on_child_died(struct brain *b, const struct ward_child_died *d)
{
    /* link and resolver come back by themselves as a new WARD_EV_CHILD */
    if (d->kind == WARD_KIND_KEEPER)
        keeper_gone(b);
    else if (d->kind == WARD_KIND_RESOLVER)
        names_gone(b);
    else if (d->kind == WARD_KIND_HOST || d->kind == WARD_KIND_PROGRAM)
        hosts_child_died(b, d);
    brain_soon(b);
}

/* The warden is trusted, but a size that does not fit is a defect worth stopping for. */
static void on_event(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count)
{
    struct brain *b = arg;
    union {
        struct ward_head head;
        struct ward_answer answer;
        struct ward_local_addrs local;
        struct ward_child child;
        struct ward_child_died died;
        struct ward_child_refused refused;
        struct ward_device_states states;
    } ev;
    clan_assert(size >= sizeof ev.head && size <= sizeof ev);
    memset(&ev, 0, sizeof ev);
    memcpy(&ev, data, size);
    int fd = fd_count ? fds[0] : -1;
    for (size_t i = 1; i < fd_count; i++)
        close(fds[i]);
    switch (ev.head.id) {
    case WARD_EV_ANSWER:
        on_answer(b, &ev.answer, fd);
        return;
    case WARD_EV_LOCAL_ADDRS:
        if (memcmp(&b->local, &ev.local, sizeof ev.local) != 0)
            path_limit_clear(&b->limit); /* other networks may lead elsewhere */
        b->local = ev.local;
        if (b->local.count > WARD_LOCAL_MAX)
            b->local.count = WARD_LOCAL_MAX;
        transports_local_addrs(b);
        break;
    case WARD_EV_CHILD:
        on_child(b, &ev.child, fd);
        return;
    case WARD_EV_CHILD_DIED:
        on_child_died(b, &ev.died);
        break;
    case WARD_EV_REFUSED:
        hosts_refused(b, &ev.refused);
        break;
    case WARD_EV_ADDRS_CHANGED:
        ward_simple(b, WARD_REQ_LOCAL_ADDRS, NULL, NULL);
        peers_nudge(b);
        break;
    case WARD_EV_DEVICE_STATES:
        device_peers_states(b, &ev.states);
        break;
    case WARD_EV_RESUMED:
        catchup_begin(b);
        break;
    default:
        log_warn("unknown event %u from the warden", ev.head.id);
    }
    if (fd >= 0)
        close(fd);
}

static void on_gone(void *arg)
{
    (void)arg;
    exit(0); /* without the warden there is nothing to be */
}

void ward_open(struct brain *b)
{
    b->ward = chan_open(&b->loop, CHILD_FD_CHANNEL, on_event, on_gone, b);
}
