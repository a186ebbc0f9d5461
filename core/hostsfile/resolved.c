/* Three calls of resolvectl, one answer. */
#include "hostsfile/resolved.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct asked {
    unsigned left;
    struct clan_error error;
    tool_fn *done;
    void *arg;
};

bool resolved_runs(void)
{
    return access("/run/systemd/resolve/stub-resolv.conf", F_OK) == 0;
}

bool resolved_chosen(enum grant_dns by)
{
    return by == GRANT_DNS_RESOLVED || (by == GRANT_DNS_AUTO && resolved_runs());
}

static void one_done(void *arg, const struct clan_error *e)
{
    struct asked *a = arg;
    if (e && a->error.status == CLAN_OK)
        a->error = *e;
    if (--a->left)
        return;
    a->done(a->arg, a->error.status == CLAN_OK ? NULL : &a->error);
    free(a);
}

void resolved_set(
    const char *ifname, const uint8_t resolver[16], const char *domain, tool_fn *done, void *arg)
{
    char dns[INET6_ADDRSTRLEN], only[80];
    inet_ntop(AF_INET6, resolver, dns, sizeof dns);
    snprintf(only, sizeof only, "~%s", domain);
    const char *const set[][2] = {{"dns", dns}, {"domain", only}, {"default-route", "no"}};
    const unsigned count = sizeof set / sizeof set[0];
    struct asked *a = calloc(1, sizeof *a);
    clan_assert(a);
    *a = (struct asked){count, CLAN_ERROR_INIT, done, arg};
    for (unsigned i = 0; i < count; i++)
        tool_run(TOOL_RULES,
            (const char *const[]){"/usr/bin/resolvectl", set[i][0], ifname, set[i][1], NULL}, NULL,
            one_done, a);
}
