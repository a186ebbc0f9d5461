/* Services: programs that the plugin runs, its state and its health. */
#include "host/host.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static struct host_run *find_run(struct host *h, uint32_t request, uint32_t run)
{
    for (unsigned i = 0; i < HOST_RUNS_MAX; i++)
        if (request ? h->runs[i].request == request : h->runs[i].request && h->runs[i].run == run)
            return &h->runs[i];
    return NULL;
}

static struct host_run *free_run(struct host *h)
{
    for (unsigned i = 0; i < HOST_RUNS_MAX; i++)
        if (h->runs[i].request == 0)
            return &h->runs[i];
    return NULL;
}

static bool asks_for(const struct host *h, const char *profile)
{
    for (unsigned i = 0; i < h->note.asks_count; i++)
        if (strncmp(h->note.asks[i], "exec:", 5) == 0 && strcmp(h->note.asks[i] + 5, profile) == 0)
            return true;
    return false;
}

static clan_status program_run(void *host_data, const char *profile,
    clan_program_started_fn *started, clan_program_exit_fn *exited, void *user,
    struct clan_error *reterr)
{
    struct host *h = host_data;
    struct host_run *r = free_run(h);
    if (!host_on_loop("run"))
        return err_set(reterr, CLAN_E_STATE, "run() belongs on the loop's thread");
    if (h->state != clan_host_State_STATE_CREATED && h->state != clan_host_State_STATE_STARTED) {
        host_refused(h, "run");
        return err_set(reterr, CLAN_E_STATE, "no program may be run now");
    }
    if (!profile || !started || !exited)
        return err_set(reterr, CLAN_E_INVAL, "run() needs a profile and two functions");
    if (!asks_for(h, profile)) {
        err_set(reterr, CLAN_E_GRANT, "%s may not run %.31s", h->id, profile);
        err_why(reterr, "its note does not ask for exec:%.31s", profile);
        err_remedy(reterr, "add it to the asks of CLAN_PLUGIN_NOTE");
        return CLAN_E_GRANT;
    }
    if (!r)
        return err_set(reterr, CLAN_E_LIMIT, "%u programs run already", HOST_RUNS_MAX);
    if (++h->next_run == 0)
        h->next_run = 1;
    *r = (struct host_run){h->next_run, 0, started, exited, user};
    clan_host_Run *m = &host_message(h, clan_host_FromHost_run_tag)->m.run;
    m->request = r->request;
    snprintf(m->profile, sizeof m->profile, "%s", profile);
    clan_status st = host_send(h, -1);
    if (st != CLAN_OK) {
        r->request = 0;
        return err_set(reterr, st, "Clan cannot be asked to run %.31s", profile);
    }
    return CLAN_OK;
}

static void send_end(struct host *h, uint32_t run)
{
    host_message(h, clan_host_FromHost_end_run_tag)->m.end_run.run = run;
    host_send(h, -1);
}

static void program_end(void *host_data, uint32_t run)
{
    struct host *h = host_data;
    if (host_on_loop("end") && run && find_run(h, 0, run))
        send_end(h, run);
}

static void service_state(void *host_data, uint32_t up, const struct clan_error *error)
{
    struct host *h = host_data;
    if (!host_on_loop("service_state"))
        return;
    if (!h->service || !h->started) {
        host_refused(h, "service_state");
        return;
    }
    host_state(
        h, up ? clan_host_State_STATE_STARTED : clan_host_State_STATE_FAILED, up ? NULL : error);
    if (!up)
        log_clan_error(LOG_LEVEL_ERROR, &h->error);
}

static void send_health(struct host *h, uint32_t request, bool ok, const char *text)
{
    clan_host_Health *m = &host_message(h, clan_host_FromHost_health_tag)->m.health;
    m->request = request;
    m->ok = ok;
    snprintf(m->text, sizeof m->text, "%s", text);
    text_sanitize(m->text);
    host_send(h, -1);
}

static void health_result(void *host_data, uint32_t request, uint32_t healthy, const char *text)
{
    struct host *h = host_data;
    if (!host_on_loop("health_result"))
        return;
    for (unsigned i = 0; request && i < HOST_HEALTH_MAX; i++)
        if (h->health[i].request == request) {
            loop_timer_cancel(h->loop, h->health[i].timer);
            h->health[i].request = 0;
            send_health(h, request, healthy != 0, text ? text : "");
            return;
        }
}

const struct clan_program_host host_program_table = {
    .struct_size = sizeof(struct clan_program_host),
    .run = program_run,
    .end = program_end,
    .service_state = service_state,
    .health_result = health_result,
};

static void health_late(void *arg)
{
    struct host_health *q = arg;
    uint32_t request = q->request;
    q->request = 0;
    send_health(q->h, request, false, "the plugin did not answer within 5 s");
}

void host_ask_health(struct host *h, uint32_t request)
{
    if (!request)
        return;
    if (!h->started) {
        send_health(h, request, h->note.kind != CLAN_KIND_SERVICE && h->plugin, "not started");
        return;
    }
    if (!h->service) {
        send_health(h, request, true, "");
        return;
    }
    for (unsigned i = 0; i < HOST_HEALTH_MAX; i++) {
        struct host_health *q = &h->health[i];
        if (q->request)
            continue;
        *q = (struct host_health){
            h, request, loop_timer_in(h->loop, HOST_HEALTH_MS, health_late, q)};
        h->service->health(h->instance_data, request);
        return;
    }
    send_health(h, request, false, "the plugin has not answered the last questions yet");
}

void host_run_result(struct host *h, const clan_host_RunResult *m)
{
    struct host_run *r = m->request ? find_run(h, m->request, 0) : NULL;
    struct clan_error err;
    if (!r || r->run) {
        /* nobody waits for it: a program without an owner ends */
        if (m->run)
            send_end(h, m->run);
        return;
    }
    struct host_run run = *r;
    bool failed = m->has_error && m->error.status != CLAN_OK;
    if (failed || m->run == 0) {
        host_error_from_wire(&m->error, &err);
        if (!failed)
            err_set(&err, CLAN_E_DEFECT, "the program has no number");
        r->request = 0;
        run.started(run.user, 0, &err);
        return;
    }
    r->run = m->run;
    run.started(run.user, m->run, NULL);
}

void host_run_exited(struct host *h, const clan_host_RunExited *m)
{
    struct host_run *r = m->run ? find_run(h, 0, m->run) : NULL;
    if (!r)
        return;
    struct host_run run = *r;
    r->request = 0;
    if (m->text[0])
        log_warn("the program ended: %s", m->text);
    run.exited(run.user, run.run, m->status);
}

void host_forget_runs(struct host *h)
{
    struct clan_error err = CLAN_ERROR_INIT;
    err_set(&err, CLAN_E_CANCELLED, "the program was not started");
    err_why(&err, "clan-core was started anew before it answered");
    for (unsigned i = 0; i < HOST_RUNS_MAX; i++) {
        struct host_run r = h->runs[i];
        if (r.request == 0 || r.run)
            continue;
        h->runs[i].request = 0;
        r.started(r.user, 0, &err);
    }
}
