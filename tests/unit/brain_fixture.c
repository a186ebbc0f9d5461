/* A clan of four machines and the brain of one of them, without other processes. */
#include "brain_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fx f;
struct brain *b;
struct fx_machine nas, carl, dave, erin, own, guest;
static uint8_t root[32];
char dir[64];

void give(struct fx_stmt s)
{
    assert_int_equal(member_apply(b->set, s.raw, s.size, 0, NULL, NULL), CLAN_OK);
}

void admit(struct fx_machine *m, const struct fx_machine *door, bool confirmed)
{
    struct fx_invite in;
    static uint64_t revision;
    fx_machine(&f, m);
    fx_invite(&f, &in, 1, 2, 1);
    give(in.stmt);
    struct fx_stmt a = fx_admission(&f, door, &in, m, FX_NOW);
    give(a);
    if (confirmed)
        give(fx_receipt(&f, &nas, 0, &in, m, &a, 1, ++revision));
}

struct brain *brain_new(void)
{
    struct brain *n = calloc(1, sizeof *n);
    assert_non_null(n);
    n->root = root;
    n->state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(n->state_fd >= 0);
    return n;
}

/* nas founded the clan and is its keeper; carl, dave and erin are members. */
int brain_setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/clan-unit-brain-XXXXXX");
    assert_non_null(mkdtemp(dir));
    b = brain_new();
    fx_open(&f, 1, 1, 2);
    b->set = member_new();
    give(f.genesis);
    fx_machine(&f, &nas);
    give(fx_founder(&f, &nas, 1));
    struct stmt_envelope body = fx_envelope_body(&f, 2, 1, 1, nas.id);
    f.v[2] = fx_envelope(&f, &body, 1);
    give(f.v[2]);
    admit(&carl, &nas, true);
    admit(&dave, &nas, true);
    admit(&erin, &nas, true);
    return 0;
}

int brain_teardown(void **state)
{
    (void)state;
    unlinkat(b->state_fd, "one-door", 0);
    close(b->state_fd);
    rmdir(dir);
    member_free(b->set);
    free(b->peers);
    free(b);
    fx_close(&f);
    return 0;
}

void become(const struct fx_machine *m)
{
    memcpy(b->own_id, m->id, 32);
}

void no_chan(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count)
{
    (void)arg, (void)data, (void)size, (void)fds, (void)fd_count;
}

void no_gone(void *arg)
{
    (void)arg;
}

struct session *connected(const struct fx_machine *m)
{
    struct session *s = session_new(b);
    s->purpose = clan_link_Purpose_PURPOSE_CONTROL;
    s->has_machine = s->up = true;
    memcpy(s->machine, m->id, 32);
    peer_get(b, m->id)->control = s->id;
    return s;
}
