/* The core that a test plays. */
#include "fake.h"

#include "noise/keys.h"
#include "wire/frame.h"

#include <poll.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

void fake_open(struct fake *f)
{
    uint8_t seed[32] = {42};
    memset(f, 0, sizeof *f);
    strcpy(f->dir, "/tmp/clan-fake-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(pipe(f->stop), 0);
    crypto_sign_seed_keypair(f->machine_public, f->machine_secret, seed);
}

void fake_listen(struct fake *f, const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/%s.sock", f->dir, name);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 8), 0);
    strcpy(f->names[f->fd_count], name);
    f->fds[f->fd_count++] = fd;
}

static void answer(int fd, clan_api_Answer *a, pb_size_t tag, bool last)
{
    a->which_m = tag;
    a->last = last;
    frame_send_blocking(fd, clan_api_Answer_fields, a);
    memset(a, 0, sizeof *a);
}

static void answer_created(
    struct fake *f, int fd, clan_api_Answer *a, const clan_api_Create *create)
{
    static const uint8_t nobody[32];
    struct stmt genesis, s;
    struct stmt_record r = {.generation = 1, .version_min = 1, .version_max = 1};
    uint8_t body[STMT_MAX], raw[STMT_MAX];
    size_t size, raw_size;
    if (stmt_parse(create->genesis.bytes, create->genesis.size, &genesis, NULL) != CLAN_OK)
        return;
    memcpy(r.identity, f->machine_public, 32);
    stmt_put_record(&r, body, sizeof body, &size);
    stmt_build(STMT_RECORD, genesis.id, nobody, 1, body, size, raw, &raw_size);
    stmt_sign(raw, &raw_size, f->machine_secret);
    stmt_parse(raw, raw_size, &s, NULL);
    clan_api_Created *k = &a->m.created;
    memcpy(k->record.bytes, raw, raw_size);
    k->record.size = (pb_size_t)raw_size;
    memcpy(k->clan_id, genesis.id, 32);
    memcpy(k->machine_id, s.id, 32);
    keys_machine_address(genesis.id, s.id, k->address);
    strcpy(k->petname, create->petname);
    answer(fd, a, clan_api_Answer_created_tag, true);
}

static void answer_chunks(struct fake *f, int fd, clan_api_Answer *a)
{
    for (size_t at = 0; at < f->body_size;) {
        size_t n = f->body_size - at < 1000 ? f->body_size - at : 1000;
        a->m.chunk.total = (uint32_t)f->body_size;
        a->m.chunk.offset = (uint32_t)at;
        a->m.chunk.data.size = (pb_size_t)n;
        memcpy(a->m.chunk.data.bytes, f->body + at, n);
        at += n;
        answer(fd, a, clan_api_Answer_chunk_tag, at == f->body_size);
    }
}

static void take_submit(struct fake *f, const clan_api_Submit *m)
{
    unsigned i = f->submitted_count++ % 4;
    memcpy(f->submitted[i], m->statement.bytes, m->statement.size);
    f->submitted_size[i] = m->statement.size;
}

static void progress(int fd, clan_api_Answer *a, const char *text, uint32_t done, uint32_t total)
{
    strcpy(a->m.progress.step, "step");
    strcpy(a->m.progress.text, text);
    a->m.progress.done = done;
    a->m.progress.total = total;
    answer(fd, a, clan_api_Answer_progress_tag, false);
}

static void answer_wait(struct fake *f, int fd, clan_api_Answer *a, const clan_api_WaitFor *w)
{
    if (w->config_version || w->revocation_id.size) {
        progress(fd, a, "laptop is off", 2, 3);
        a->m.error.status = CLAN_E_TIMEOUT;
        answer(fd, a, clan_api_Answer_error_tag, true);
    } else {
        strcpy(f->service.name, w->service_up);
        answer(fd, a, clan_api_Answer_ok_tag, true);
    }
}

static void handle(struct fake *f, int fd, const clan_api_Request *r, clan_api_Answer *a)
{
    f->requests++;
    f->last_tag = r->which_m;
    if (r->which_m == clan_api_Request_join_preview_tag)
        strcpy(f->link, r->m.join_preview.link);
    if (f->refuse.status && r->which_m == f->refuse_tag) {
        a->m.error.status = f->refuse.status;
        strcpy(a->m.error.what, f->refuse.what);
        strcpy(a->m.error.why, f->refuse.why);
        strcpy(a->m.error.remedy, f->refuse.remedy);
        answer(fd, a, clan_api_Answer_error_tag, true);
        return;
    }
    switch (r->which_m) {
    case clan_api_Request_status_tag:
        for (unsigned i = 0; i < f->health_count; i++) {
            a->m.health = f->health[i];
            answer(fd, a, clan_api_Answer_health_tag, false);
        }
        a->m.status = f->status;
        answer(fd, a, clan_api_Answer_status_tag, true);
        return;
    case clan_api_Request_machines_tag:
        for (unsigned i = 0; i < f->machine_count; i++) {
            a->m.machine = f->machines[i];
            answer(fd, a, clan_api_Answer_machine_tag, false);
        }
        break;
    case clan_api_Request_invitations_tag:
        for (unsigned i = 0; i < f->invitation_count; i++) {
            a->m.invitation = f->invitations[i];
            answer(fd, a, clan_api_Answer_invitation_tag, false);
        }
        break;
    case clan_api_Request_services_tag:
        a->m.service = f->service;
        answer(fd, a, clan_api_Answer_service_tag, false);
        break;
    case clan_api_Request_context_tag:
        a->m.context = f->context;
        answer(fd, a, clan_api_Answer_context_tag, true);
        return;
    case clan_api_Request_config_get_tag:
        answer_chunks(f, fd, a);
        return;
    case clan_api_Request_blob_put_tag:
        memcpy(f->blob + r->m.blob_put.offset, r->m.blob_put.data.bytes, r->m.blob_put.data.size);
        f->blob_size = r->m.blob_put.offset + r->m.blob_put.data.size;
        break;
    case clan_api_Request_submit_tag:
        take_submit(f, &r->m.submit);
        break;
    case clan_api_Request_wait_for_tag:
        answer_wait(f, fd, a, &r->m.wait_for);
        return;
    case clan_api_Request_ping_tag:
        a->m.ping = f->ping;
        answer(fd, a, clan_api_Answer_ping_tag, true);
        return;
    case clan_api_Request_create_tag:
        answer_created(f, fd, a, &r->m.create);
        return;
    case clan_api_Request_create_commit_tag:
        f->commit = r->m.create_commit;
        progress(fd, a, "building the network", 0, 0);
        a->m.joined = f->joined;
        answer(fd, a, clan_api_Answer_joined_tag, true);
        return;
    case clan_api_Request_join_preview_tag:
        a->m.join_facts = f->facts;
        answer(fd, a, clan_api_Answer_join_facts_tag, true);
        return;
    case clan_api_Request_join_yes_tag:
        f->yes = r->m.join_yes;
        progress(fd, a, "admitted", 0, 0);
        a->m.joined = f->joined;
        answer(fd, a, clan_api_Answer_joined_tag, true);
        return;
    case clan_api_Request_phone_add_tag:
        if (r->m.phone_add.seed.size) {
            f->phone_add = r->m.phone_add;
            f->phone.carried++;
        }
        a->m.phone = f->phone;
        answer(fd, a, clan_api_Answer_phone_tag, true);
        return;
    case clan_api_Request_start_tag:
        strcpy(f->started, r->m.start.petname);
        a->m.error.status = CLAN_E_NOENT;
        answer(fd, a, clan_api_Answer_error_tag, true);
        return;
    default:
        break;
    }
    answer(fd, a, clan_api_Answer_ok_tag, true);
}

static void *serve(void *arg)
{
    struct fake *f = arg;
    clan_api_Request *r = malloc(sizeof *r);
    clan_api_Answer *a = calloc(1, sizeof *a);
    for (;;) {
        struct pollfd pfd[5] = {{.fd = f->stop[0], .events = POLLIN}};
        for (unsigned i = 0; i < f->fd_count; i++)
            pfd[i + 1] = (struct pollfd){.fd = f->fds[i], .events = POLLIN};
        poll(pfd, f->fd_count + 1, -1);
        if (pfd[0].revents)
            break;
        for (unsigned i = 0; i < f->fd_count; i++) {
            int fd = pfd[i + 1].revents ? accept(f->fds[i], NULL, NULL) : -1;
            if (fd < 0)
                continue;
            f->connections++;
            memset(r, 0, sizeof *r);
            while (frame_recv_blocking(fd, clan_api_Request_fields, r, 10000) == CLAN_OK) {
                handle(f, fd, r, a);
                memset(r, 0, sizeof *r);
            }
            close(fd);
        }
    }
    free(r);
    free(a);
    return NULL;
}

void fake_start(struct fake *f)
{
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

void fake_close(struct fake *f)
{
    char path[128];
    assert_int_equal(write(f->stop[1], "x", 1), 1);
    pthread_join(f->thread, NULL);
    for (unsigned i = 0; i < f->fd_count; i++) {
        close(f->fds[i]);
        snprintf(path, sizeof path, "%s/%s.sock", f->dir, f->names[i]);
        unlink(path);
    }
    close(f->stop[0]);
    close(f->stop[1]);
    rmdir(f->dir);
}
