/* Plugin hosts: one state machine each. */
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "brain/devices.h"

#include <pb_decode.h>
#include <string.h>
#include <unistd.h>

#define HOSTS_HEALTH_MS      5000
#define HOSTS_HEALTH_WAIT_MS 10000
#define HOSTS_RETRY_MS       1000
#define HOSTS_MUTE_MS        2000
#define HOSTS_RETRY_MAX_MS   60000

static clan_host_ToHost host_out;
static clan_host_FromHost host_in;

clan_host_ToHost *host_blank(pb_size_t which)
{
    memset(&host_out, 0, sizeof host_out);
    host_out.which_m = which;
    return &host_out;
}

void host_tell(struct host *h, const clan_host_ToHost *m)
{
    if (!chan_send(h->chan, clan_host_ToHost_fields, m, NULL, 0))
        log_warn("host %s does not take messages", h->instance);
}

void host_start(struct host *h)
{
    host_tell(h, host_blank(clan_host_ToHost_start_tag));
}

struct host *host_find(struct brain *b, const char *instance)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++)
        if (b->hosts[i].used && strcmp(b->hosts[i].instance, instance) == 0)
            return &b->hosts[i];
    return NULL;
}

static struct host *host_new(struct brain *b, const char *plugin, const char *instance)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        if (h->used)
            continue;
        *h = (struct host){.used = true, .b = b};
        snprintf(h->plugin, sizeof h->plugin, "%s", plugin);
        snprintf(h->instance, sizeof h->instance, "%s", instance);
        return h;
    }
    return NULL;
}

static void set_why(struct host *h, const struct clan_error *e)
{
    snprintf(h->why, sizeof h->why, "%s%s%.200s", e->what, e->why[0] ? ": " : "", e->why);
    snprintf(h->remedy, sizeof h->remedy, "%s", e->remedy);
    text_sanitize(h->why); /* a plugin's words */
    text_sanitize(h->remedy);
}

static void failed(struct host *h, const struct clan_error *e)
{
    unsigned shift = h->failures < 6 ? h->failures : 6;
    uint64_t pause = (uint64_t)HOSTS_RETRY_MS << shift;
    set_why(h, e);
    log_warn("%s: %s", h->instance, h->why);
    h->state = HOST_FAILED;
    h->failures++;
    h->retry_ms = brain_now() + (pause < HOSTS_RETRY_MAX_MS ? pause : HOSTS_RETRY_MAX_MS);
    services_changed(h->b);
}

static void end_child(struct host *h)
{
    if (!h->child)
        return;
    struct ward_child_end end = {.child = h->child, .grace_ms = 5000};
    if (h->chan)
        host_tell(h, host_blank(clan_host_ToHost_stop_tag));
    ward_ask(h->b, WARD_REQ_CHILD_END, &end, sizeof end, NULL, NULL);
}

void host_fail(struct host *h, const struct clan_error *e)
{
    failed(h, e);
    end_child(h);
}

static void on_started_answer(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    struct host *h = arg;
    (void)b;
    if (fd >= 0)
        close(fd);
    if (!h->used || h->state != HOST_ASKED || a->error.status == CLAN_OK ||
        a->error.status == CLAN_E_EXIST)
        return;
    failed(h, &a->error);
}

static void ask_start(struct host *h)
{
    struct ward_host_start r = {.service = h->service && !h->people};
    snprintf(r.plugin, sizeof r.plugin, "%s", h->plugin);
    snprintf(r.instance, sizeof r.instance, "%s", h->instance);
    if (r.service) {
        memcpy(r.service_address, h->address, 16);
        r.service_port = place_port(&h->cfg);
    }
    h->state = HOST_ASKED;
    ward_ask(h->b, WARD_REQ_HOST_START, &r, sizeof r, on_started_answer, h);
}

struct host *host_want(struct brain *b, const char *plugin, const char *instance,
    const struct clan_config_service *cfg)
{
    struct host *h = host_find(b, instance);
    if (!h)
        h = host_new(b, plugin, instance);
    if (!h)
        return NULL;
    h->wanted = true;
    if (h->state == HOST_ENDING)
        return h;                 /* it starts anew with its new settings when it is gone */
    if (cfg && !h->cfg.name[0]) { /* new, or it outlived an earlier core */
        h->service = true;
        h->cfg = *cfg;
        keys_service_address(b->clan_id, cfg->name, h->address);
    } else if (cfg && !place_same_instance(&h->cfg, cfg)) {
        log_info("%s: its settings changed, it starts anew", instance);
        h->cfg = *cfg;
        snprintf(h->plugin, sizeof h->plugin, "%s", plugin);
        h->failures = 0;
        if (h->child) {
            h->state = HOST_ENDING;
            end_child(h);
            return h;
        }
        h->state = HOST_IDLE;
    }
    if (h->state == HOST_FAILED && brain_now() >= h->retry_ms && !h->child)
        h->state = HOST_IDLE;
    if (h->state == HOST_IDLE)
        ask_start(h);
    return h;
}

void host_unwant(struct brain *b, struct host *h)
{
    h->wanted = false;
    if (h->state == HOST_ENDING)
        return;
    if (h->child) {
        h->state = HOST_ENDING;
        end_child(h);
    } else if (h->state != HOST_ASKED) {
        if (h->address_added) {
            struct ward_addr r = {0};
            memcpy(r.address, h->address, 16);
            ward_ask(b, WARD_REQ_ADDR_DEL, &r, sizeof r, NULL, NULL);
        }
        h->used = false;
    }
}

/* ---- what a host says; hostile after dlopen: states and bounds are ours to keep ---- */

/* A transport's are the owner's: the warden ends the host when they change, and only that one. */
static void own_settings(struct host *h, clan_host_Create *c)
{
    const struct grant_plugin *p = h->b->grants_ok ? grants_find(&h->b->grants, h->plugin) : NULL;
    for (unsigned i = 0; p && i < p->setting_count; i++) {
        snprintf(c->settings[i].key, sizeof c->settings[i].key, "%s", p->settings[i].key);
        snprintf(c->settings[i].value, sizeof c->settings[i].value, "%s", p->settings[i].value);
        c->settings_count = i + 1;
    }
}

static void send_create(struct host *h)
{
    clan_host_ToHost *m = host_blank(clan_host_ToHost_create_tag);
    clan_host_Create *c = &m->m.create;
    snprintf(c->instance, sizeof c->instance, "%s", h->instance);
    for (unsigned i = 0; h->service && i < h->cfg.setting_count; i++) {
        snprintf(c->settings[i].key, sizeof c->settings[i].key, "%s", h->cfg.settings[i].key);
        snprintf(c->settings[i].value, sizeof c->settings[i].value, "%s", h->cfg.settings[i].value);
        c->settings_count = i + 1;
    }
    if (!h->service)
        own_settings(h, c);
    if (h->people)
        ui_create(h, c);
    else if (h->service) {
        c->service_address.size = 16;
        memcpy(c->service_address.bytes, h->address, 16);
        c->service_port = place_port(&h->cfg);
    }
    if (h->b->bound)
        brain_name(h->b, h->b->own_id, c->machine);
    snprintf(c->clan, sizeof c->clan, "%s", h->b->petname);
    h->state = HOST_CREATING;
    rendezvous_secret(h);
    host_tell(h, m);
}

static void ask_endpoints(struct host *h)
{
    const struct brain *b = h->b;
    clan_host_ToHost *m = host_blank(clan_host_ToHost_ask_endpoints_tag);
    m->m.ask_endpoints.local_addresses_count = (pb_size_t)b->local.count;
    for (unsigned k = 0; k < b->local.count; k++)
        memcpy(m->m.ask_endpoints.local_addresses[k], b->local.addrs[k].address, 16);
    host_tell(h, m);
}

static void created(struct host *h, const char (*interfaces)[64], size_t count)
{
    h->state = HOST_STARTING;
    h->device = devices_among(interfaces, count);
    if (h->device)
        devices_created(h); /* started when it has its interface */
    else
        host_start(h);
}

static void on_hello(struct host *h, const clan_host_HelloAck *a)
{
    if (h->state != HOST_HELLO || strcmp(a->plugin, h->plugin) != 0) {
        host_offence(h, "says Hello unasked or in the name of another");
        return;
    }
    switch (a->state) {
    case clan_host_State_STATE_LOADED:
        send_create(h);
        break;
    case clan_host_State_STATE_CREATED:
        created(h, a->interfaces, a->interfaces_count);
        break;
    case clan_host_State_STATE_STARTED:
        log_info("%s goes on as before", h->instance);
        h->state = HOST_STARTED;
        h->device = devices_among(a->interfaces, a->interfaces_count);
        if (h->device)
            devices_adopted(h, a->device_port);
        h->healthy = true;
        h->meets = rendezvous_among(a->interfaces, a->interfaces_count);
        if (!h->service)
            ask_endpoints(h);
        break;
    default:
        h->state = HOST_ENDING;
        end_child(h);
    }
}

static void on_state(struct host *h, const clan_host_StateIs *st)
{
    struct clan_error e;
    switch (st->state) {
    case clan_host_State_STATE_CREATED:
        if (h->state != HOST_CREATING) {
            host_offence(h, "says that it was created, which nobody asked for");
            return;
        }
        created(h, st->interfaces, st->interfaces_count);
        break;
    case clan_host_State_STATE_STARTED:
        if (h->state != HOST_STARTING && (h->state != HOST_STARTED || h->healthy))
            return;
        h->state = HOST_STARTED;
        h->failures = 0;
        h->healthy = true;
        h->meets = rendezvous_among(st->interfaces, st->interfaces_count);
        if (!h->device) /* what devices.c says of it stays */
            h->why[0] = h->remedy[0] = 0;
        log_info("%s is up", h->instance);
        services_changed(h->b);
        if (!h->service)
            ask_endpoints(h);
        break;
    case clan_host_State_STATE_FAILED:
        if (h->state == HOST_FAILED || h->state == HOST_ENDING)
            return; /* it is being ended already */
        error_from_wire(&e, &st->error);
        host_fail(h, &e);
        break;
    case clan_host_State_STATE_LOADED:
    case clan_host_State_STATE_STOPPED:
        break;
    default:
        host_offence(h, "tells a state that does not exist");
        break;
    }
}

static void on_health(struct host *h, const clan_host_Health *m)
{
    if (!m->request && !h->service && h->state == HOST_STARTED)
        rendezvous_told(h, m);
    if (!m->request || m->request != h->health_request)
        return;
    h->health_request = 0;
    if (m->ok == h->healthy)
        return;
    h->healthy = m->ok;
    snprintf(h->why, sizeof h->why, "%s", m->ok ? "" : m->text);
    text_sanitize(h->why);
    log_info("%s is %s %s", h->instance, m->ok ? "healthy again" : "not healthy:", h->why);
    services_changed(h->b);
}

static void on_host(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count)
{
    struct host *h = arg;
    struct brain *b = h->b;
    clan_host_FromHost *m = &host_in;
    pb_istream_t is = pb_istream_from_buffer(data, size);
    bool talks = host_may_talk(h);
    bool ok = talks && pb_decode(&is, clan_host_FromHost_fields, m) && m->which_m != 0;
    bool stream = ok && m->which_m == clan_host_FromHost_stream_tag;
    if (!stream || fd_count != 1) {
        channel_close_fds(fds, fd_count);
        if (stream || fd_count)
            host_offence(h, "sends descriptors where none belong, or a stream without one");
        if (stream)
            return;
    }
    if (!ok) {
        if (talks)
            host_offence(h, "sent a message that cannot be read");
        return;
    }
    struct clan_error e;
    switch (m->which_m) {
    case clan_host_FromHost_hello_ack_tag:
        on_hello(h, &m->m.hello_ack);
        brain_soon(b);
        break;
    case clan_host_FromHost_state_is_tag:
        on_state(h, &m->m.state_is);
        brain_soon(b);
        break;
    case clan_host_FromHost_stream_tag:
        if (h->service)
            host_offence(h, "offers a stream and is no transport");
        if (h->state != HOST_STARTED || h->service || h->device)
            close(fds[0]);
        else if (m->m.stream.request == 0)
            link_stream(b, fds[0], h->plugin, m->m.stream.remote, NULL);
        else
            transports_dial_result(b, h, m->m.stream.request, fds[0], m->m.stream.remote, NULL);
        break;
    case clan_host_FromHost_dial_failed_tag:
        if (h->service) { /* it dials for nobody */
            host_offence(h, "answers a dial and is no transport");
            break;
        }
        error_from_wire(&e, &m->m.dial_failed.error);
        transports_dial_result(b, h, m->m.dial_failed.request, -1, "", &e);
        break;
    case clan_host_FromHost_endpoints_tag:
        if (h->service)
            host_offence(h, "tells endpoints and is no transport");
        else
            transports_endpoints(b, h, &m->m.endpoints);
        break;
    case clan_host_FromHost_run_tag:
        programs_run(h, &m->m.run);
        break;
    case clan_host_FromHost_end_run_tag:
        programs_end(h, m->m.end_run.run);
        break;
    case clan_host_FromHost_health_tag:
        on_health(h, &m->m.health);
        break;
    case clan_host_FromHost_device_state_tag:
        devices_told(h, m->which_m, m);
        break;
    case clan_host_FromHost_api_open_tag:
        ui_connect(h, m->m.api_open.request);
        break;
    default:
        break;
    }
}

static void on_host_gone(void *arg)
{
    struct host *h = arg; /* WARD_EV_CHILD_DIED follows */
    chan_close(h->chan);
    h->chan = NULL;
    h->gone_ms = brain_now();
}

/* It lives and has no channel: an empty or too long message ended that, which no clan-host sends. */
static void end_mute(struct host *h)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (!h->used || !h->child || h->chan || h->state == HOST_FAILED || h->state == HOST_ENDING ||
        brain_now() - h->gone_ms < HOSTS_MUTE_MS)
        return;
    err_set(&e, CLAN_E_PROTO, "the plugin %s broke its channel to Clan", h->plugin);
    err_remedy(
        &e, "if it does so again, take it out of machine.yaml and run as root: clan machine apply");
    host_fail(h, &e);
}

void hosts_child(struct brain *b, const struct ward_child *c, int fd)
{
    if (c->kind == WARD_KIND_PROGRAM) {
        if (fd >= 0)
            close(fd);
        if (c->adopted)
            programs_adopted(b, c);
        return;
    }
    struct host *h = host_find(b, c->name);
    if (!h) { /* of an earlier core: adopted, or ended by the next reconcile */
        h = host_new(b, c->plugin, c->name);
        if (h) {
            h->people = ui_is(b, c->plugin) && strcmp(c->name, c->plugin) == 0;
            h->service = h->people || !transports_wanted(b, c->name);
        }
    }
    if (!h || fd < 0) {
        if (fd >= 0)
            close(fd);
        return;
    }
    chan_close(h->chan);
    h->chan = chan_open(&b->loop, fd, on_host, on_host_gone, h);
    h->child = c->child;
    h->state = HOST_HELLO;
    h->healthy = false;
    h->health_request = 0;
    h->offences = h->refused = 0;
    h->told_secret = h->device = false;
    h->device_port = 0;
    memset(h->members_hash, 0, sizeof h->members_hash);
    memset(h->invitations_hash, 0, sizeof h->invitations_hash);
    memset(h->runs, 0, sizeof h->runs);
    clan_host_ToHost *m = host_blank(clan_host_ToHost_hello_tag);
    m->m.hello.incarnation = b->incarnation;
    snprintf(m->m.hello.build, sizeof m->m.hello.build, "%s", BRAIN_BUILD);
    host_tell(h, m);
}

void hosts_child_died(struct brain *b, const struct ward_child_died *d)
{
    if (d->kind == WARD_KIND_PROGRAM) {
        programs_died(b, d);
        return;
    }
    struct host *h = host_find(b, d->name);
    if (h && !h->child && h->state == HOST_ASKED && !d->restarting) {
        h->state = HOST_IDLE; /* the warden waited to start it anew, until its grant changed */
        if (!h->wanted)
            host_unwant(b, h);
        services_changed(b);
        return;
    }
    if (!h || h->child != d->child)
        return;
    chan_close(h->chan);
    h->chan = NULL;
    h->child = 0;
    memset(h->runs, 0, sizeof h->runs);
    devices_gone(b, h);
    transports_gone(b, h);
    if (h->state == HOST_ENDING)
        h->state = HOST_IDLE;
    if (!h->wanted) {
        host_unwant(b, h);
    } else if (d->restarting && h->state != HOST_FAILED) {
        h->state = HOST_ASKED; /* the warden's new one comes as WARD_EV_CHILD */
        h->disk_full = d->disk_full;
        snprintf(h->why, sizeof h->why, "%s%.200s",
            h->disk_full ? "" : "its process died and is started anew: ", d->last_words);
        text_sanitize(h->why);
    } else if (h->state != HOST_FAILED) {
        h->state = HOST_IDLE;
    }
    services_changed(b);
    brain_soon(b);
}

void host_dial(
    struct brain *b, struct host *h, uint32_t request, const char *endpoint, uint32_t timeout_ms)
{
    (void)b;
    clan_host_ToHost *m = host_blank(clan_host_ToHost_dial_tag);
    m->m.dial.request = request;
    m->m.dial.timeout_ms = timeout_ms;
    snprintf(m->m.dial.endpoint, sizeof m->m.dial.endpoint, "%s", endpoint);
    host_tell(h, m);
}

void hosts_ask_endpoints(struct brain *b)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++)
        if (b->hosts[i].used && !b->hosts[i].service && b->hosts[i].state == HOST_STARTED)
            ask_endpoints(&b->hosts[i]);
}

void hosts_tick(struct brain *b)
{
    uint64_t now = brain_now();
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        end_mute(h);
        if (!h->used || !h->service || h->state != HOST_STARTED)
            continue;
        if (h->health_request && now - h->health_asked_ms > HOSTS_HEALTH_WAIT_MS) {
            clan_host_Health silent = {.request = h->health_request, .text = "it does not answer"};
            on_health(h, &silent);
        }
        if (!h->health_request && now - h->health_asked_ms > HOSTS_HEALTH_MS) {
            clan_host_ToHost *m = host_blank(clan_host_ToHost_ask_health_tag);
            h->health_request = ++b->next_request;
            h->health_asked_ms = now;
            m->m.ask_health.request = h->health_request;
            host_tell(h, m);
        }
    }
}
