/* Names of the clan for this machine: systemd-resolved's link settings, or a block in the hosts
 * file. */
#include "warden/warden.h"

#include "base/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTS_BYTES_MAX (4 * 1024 * 1024)

bool names_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-");
    return n > 0 && n < sizeof((struct ward_name *)0)->name && name[n] == 0 && name[0] != '.' &&
           name[0] != '-';
}

/* Start of the line that is exactly `line`, NULL when there is none. */
static const char *find_line(const char *text, const char *line)
{
    size_t n = strlen(line);
    for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        if (strncmp(p, line, n) == 0 && (p[n] == '\n' || p[n] == 0))
            return p;
    return NULL;
}

char *names_edit(
    const char *old, const char *petname, const struct ward_name_row *rows, size_t count)
{
    char begin[64], end[64], address[INET6_ADDRSTRLEN];
    struct text t = {0};
    snprintf(begin, sizeof begin, "# BEGIN clan %s", petname);
    snprintf(end, sizeof end, "# END clan %s", petname);
    const char *from = find_line(old, begin), *to = from ? find_line(from, end) : NULL;
    if (to) { /* a block without its end is left alone: what follows is not ours */
        text_add(&t, "%.*s", (int)(from - old), old);
        old = to + strlen(end) + (to[strlen(end)] == '\n');
    }
    text_add(&t, "%s", old);
    if (count)
        text_add(&t, "%s%s\n", t.len && t.data[t.len - 1] != '\n' ? "\n" : "", begin);
    for (size_t i = 0; i < count; i++) {
        inet_ntop(AF_INET6, rows[i].address, address, sizeof address);
        text_add(&t, "%s %s\n", address, rows[i].name);
    }
    if (count)
        text_add(&t, "%s\n", end);
    if (!t.failed)
        return t.data;
    free(t.data);
    return NULL;
}

static clan_status rewrite_in_place(int etc, const char *text, struct clan_error *e)
{
    int fd = openat(etc, "hosts", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    clan_status s = CLAN_OK;
    if (fd < 0 || file_write_all(fd, text, strlen(text)) != CLAN_OK ||
        ftruncate(fd, (off_t)strlen(text)) != 0)
        s = err_errno(e, CLAN_E_IO, "cannot write /etc/hosts");
    if (fd >= 0)
        close(fd);
    return s;
}

static clan_status hosts_write(struct clan *c, size_t count, struct clan_error *e)
{
    uint8_t *old = NULL;
    size_t size;
    struct stat st = {.st_mode = 0644};
    int etc = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    clan_status s = etc < 0 ? err_errno(e, CLAN_E_IO, "cannot open /etc")
                            : file_read(etc, "hosts", HOSTS_BYTES_MAX, &old, &size, e);
    if (s == CLAN_E_NOENT)
        *e = (struct clan_error)CLAN_ERROR_INIT; /* a file that is not there is an empty one */
    if (s == CLAN_OK || s == CLAN_E_NOENT) {
        char *text = names_edit(old ? (const char *)old : "", c->petname, c->names, count);
        fstatat(etc, "hosts", &st, 0);
        s = text ? CLAN_OK : err_set(e, CLAN_E_NOMEM, "out of memory for /etc/hosts");
        if (text && !(old && strcmp(text, (const char *)old) == 0)) {
            s = file_write_durable(etc, "hosts", text, strlen(text), st.st_mode & 0777, e);
            if (s != CLAN_OK) { /* EBUSY: the file is a mount of its own, as in containers */
                *e = (struct clan_error)CLAN_ERROR_INIT;
                s = rewrite_in_place(etc, text, e);
            }
        }
        free(text);
    }
    free(old);
    if (etc >= 0)
        close(etc);
    return s;
}

struct resolved_job {
    unsigned slot;
    uint32_t generation, serial, left;
    char dns[48], domain[64], ifname[16];
};

static void resolved_done(struct warden *w, void *arg, const struct clan_error *e)
{
    struct resolved_job *j = arg;
    struct clan *c = &w->clans[j->slot];
    if (c->generation != j->generation)
        return;
    if (e)
        logs_error(c, "names", e);
    if (j->serial)
        monitor_answer(c, j->serial, e, 0, 0, -1);
}

static void resolved_set(struct clan *c, const char *verb, uint32_t serial)
{
    uint8_t resolver[16];
    struct resolved_job *j = calloc(1, sizeof *j);
    clan_assert(j);
    memcpy(resolver, c->prefix, 16);
    resolver[15] = 0x53;
    *j = (struct resolved_job){.slot = c->slot, .generation = c->generation, .serial = serial};
    inet_ntop(AF_INET6, resolver, j->dns, sizeof j->dns);
    snprintf(j->domain, sizeof j->domain, "~%s.clan", c->petname);
    memcpy(j->ifname, c->ifname, sizeof j->ifname);
    const char *value = strcmp(verb, "dns") == 0      ? j->dns
                        : strcmp(verb, "domain") == 0 ? j->domain
                                                      : "no";
    const char *const argv[] = {"/usr/bin/resolvectl", verb, j->ifname, value, NULL};
    tool_run(c->warden, TOOL_RULES, argv, NULL, resolved_done, j);
}

static bool by_resolved(const struct warden *w)
{
    return w->grants.dns == GRANT_DNS_RESOLVED ||
           (w->grants.dns == GRANT_DNS_AUTO &&
               access("/run/systemd/resolve/stub-resolv.conf", F_OK) == 0);
}

void names_begin(struct clan *c, const void *request)
{
    c->name_count = 0;
    monitor_answer(c, ((const struct ward_head *)request)->serial, NULL, 0, 0, -1);
}

void names_add(struct clan *c, const void *request)
{
    const struct ward_name *r = request;
    struct clan_error e = CLAN_ERROR_INIT;
    if (!c->names)
        c->names = calloc(WARD_NAMES_MAX, sizeof *c->names);
    if (!memchr(r->name, 0, sizeof r->name) || !names_ok(r->name) || !net_in_prefix(c, r->address))
        err_set(&e, CLAN_E_INVAL, "not a name and address of this clan");
    else if (!c->names || c->name_count == WARD_NAMES_MAX)
        err_set(&e, CLAN_E_LIMIT, "more than %d names", WARD_NAMES_MAX);
    else {
        struct ward_name_row *row = &c->names[c->name_count++];
        memcpy(row->name, r->name, sizeof row->name);
        memcpy(row->address, r->address, 16);
    }
    monitor_answer(c, r->head.serial, &e, 0, 0, -1);
}

void names_commit(struct clan *c, const void *request)
{
    uint32_t serial = ((const struct ward_head *)request)->serial;
    struct clan_error e = CLAN_ERROR_INIT;
    if (by_resolved(c->warden)) {
        resolved_set(c, "dns", 0);
        resolved_set(c, "domain", 0);
        resolved_set(c, "default-route", serial);
        return;
    }
    if (c->warden->grants.dns != GRANT_DNS_OFF)
        hosts_write(c, c->name_count, &e);
    monitor_answer(c, serial, &e, 0, 0, -1);
}

/* resolved forgets with the interface; the block of the hosts file goes here. */
void names_remove(struct clan *c)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (c->bound && hosts_write(c, 0, &e) != CLAN_OK && e.status != CLAN_E_NOENT)
        logs_error(c, "names", &e);
}
