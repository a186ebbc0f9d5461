/* Reading and writing the compiled consent. */
#include "wire/grants.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ends(const char *text, size_t cap)
{
    return memchr(text, 0, cap) != NULL;
}

static bool plugin_valid(const struct grant_plugin *p)
{
    if (!ends(p->id, sizeof p->id) || !ends(p->file, sizeof p->file) || strchr(p->file, '/'))
        return false;
    if (p->permissions & ~perm_bits()) /* what nobody enforces is not granted */
        return false;
    if (p->exec_count > GRANTS_EXEC_MAX || p->listen_count > GRANTS_LISTEN_MAX ||
        p->setting_count > GRANTS_SETTINGS_MAX)
        return false;
    for (unsigned i = 0; i < p->setting_count; i++)
        if (!ends(p->settings[i].key, sizeof p->settings[i].key) ||
            !ends(p->settings[i].value, sizeof p->settings[i].value))
            return false;
    for (unsigned i = 0; i < p->exec_count; i++)
        if (!ends(p->exec[i], sizeof p->exec[i]))
            return false;
    for (unsigned i = 0; i < p->listen_count; i++)
        if (p->listen[i].family != 4 && p->listen[i].family != 6)
            return false;
    return true;
}

static bool grants_valid(const struct grants *g, size_t size)
{
    if (size != sizeof *g || g->magic != GRANTS_MAGIC || g->version != GRANTS_VERSION ||
        g->size != sizeof *g || g->plugin_count > GRANTS_PLUGINS_MAX ||
        g->user_count > GRANTS_USERS_MAX)
        return false;
    for (unsigned i = 0; i < g->plugin_count; i++)
        if (!plugin_valid(&g->plugins[i]))
            return false;
    return true;
}

void grants_copy(struct grants *to, const struct grants *from)
{
    memcpy(to, from, offsetof(struct grants, plugins));
    memcpy(to->plugins, from->plugins, from->plugin_count * sizeof *from->plugins);
}

clan_status grants_load(
    const char *path, bool check_owner, struct grants *ret_grants, struct clan_error *reterr)
{
    uint8_t *data = NULL;
    size_t size;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        clan_status s = errno == ENOENT ? CLAN_E_NOENT : CLAN_E_IO;
        err_errno(reterr, s, "cannot read what the owner granted (%s)", path);
        err_remedy(reterr, "run as root: clan machine apply");
        return s;
    }
    clan_status s = file_read_fd(fd, sizeof *ret_grants, &data, &size, reterr);
    if (s == CLAN_OK && check_owner &&
        (fstat(fd, &st) != 0 || st.st_uid != 0 || (st.st_mode & 022))) {
        s = err_set(reterr, CLAN_E_PERM, "%s may be written by others than root", path);
        err_remedy(reterr, "run as root: clan machine apply");
    }
    close(fd);
    const struct grants *read = (const void *)data;
    if (s == CLAN_OK && grants_valid(read, size)) {
        grants_copy(ret_grants, read);
    } else if (s == CLAN_OK || s == CLAN_E_LIMIT) { /* shorter, or longer */
        s = err_set(reterr, CLAN_E_INVAL, "%s is not what this Clan writes", path);
        err_why(reterr, "it is damaged, or was written by another version");
        err_remedy(reterr, "run as root: clan machine apply");
    }
    free(data);
    return s;
}

clan_status grants_store(const char *path, const struct grants *g, struct clan_error *reterr)
{
    char dir_copy[4096], base_copy[4096];
    if (strlen(path) >= sizeof dir_copy)
        return err_set(reterr, CLAN_E_INVAL, "the path is too long");
    strcpy(dir_copy, path);
    strcpy(base_copy, path);
    int dir = open(dirname(dir_copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_errno(reterr, CLAN_E_IO, "cannot open the directory of %s", path);
    clan_status s = file_write_durable(dir, basename(base_copy), g, sizeof *g, 0644, reterr);
    close(dir);
    return s;
}

const struct grant_plugin *grants_find(const struct grants *g, const char *plugin_id)
{
    for (unsigned i = 0; i < g->plugin_count; i++)
        if (strcmp(g->plugins[i].id, plugin_id) == 0)
            return &g->plugins[i];
    return NULL;
}

void grants_address(unsigned slot, unsigned place, uint8_t ret[16])
{
    const uint8_t v4[] = {0xff, 0xff, 127, (uint8_t)(64 + slot), 117, (uint8_t)(1 + place)};
    memset(ret, 0, 10);
    memcpy(ret + 10, v4, sizeof v4);
}

unsigned grants_people(const struct grants *g, uint32_t ret_uids[GRANTS_PEOPLE_MAX])
{
    unsigned count = 0;
    ret_uids[count++] = 0;
    for (unsigned i = 0; i <= g->user_count && i <= GRANTS_USERS_MAX; i++) {
        uint32_t uid = i == 0 ? g->owner_uid : g->users[i - 1];
        bool there = false;
        for (unsigned k = 0; k < count; k++)
            there = there || ret_uids[k] == uid;
        if (!there)
            ret_uids[count++] = uid;
    }
    return count;
}

bool grants_same(const struct grants *g, const struct grants *other, const char *plugin_id)
{
    const struct grant_plugin *a = grants_find(g, plugin_id), *b = grants_find(other, plugin_id);
    uint32_t here[GRANTS_PEOPLE_MAX], there[GRANTS_PEOPLE_MAX];
    if (!a || !b || memcmp(a, b, sizeof *a) != 0)
        return false;
    unsigned count = grants_people(g, here);
    return !(a->permissions & GRANT_API_SESSION) ||
           (count == grants_people(other, there) && memcmp(here, there, count * sizeof *here) == 0);
}

const struct grant_plugin *grants_need(
    const struct grants *g, const char *path, const char *plugin_id, struct clan_error *reterr)
{
    const struct grant_plugin *p = grants_find(g, plugin_id);
    if (!p) {
        err_set(reterr, CLAN_E_GRANT, "the plugin %s is not granted on this machine", plugin_id);
        err_why(reterr, "%s does not name it", path);
        err_remedy(reterr, "add it to machine.yaml, then run as root: clan machine apply");
    }
    return p;
}

bool grants_exec(const struct grant_plugin *p, const char *profile)
{
    for (unsigned i = 0; i < p->exec_count; i++)
        if (strcmp(p->exec[i], profile) == 0)
            return true;
    return false;
}

clan_status grants_serve(const struct grant_plugin *p, struct clan_error *reterr)
{
    if (p->permissions & GRANT_NET_SERVICE)
        return CLAN_OK;
    err_set(reterr, CLAN_E_GRANT, "the plugin %s may not answer on a service's address", p->id);
    err_remedy(reterr, "allow net.service in machine.yaml, then run as root: clan machine apply");
    return CLAN_E_GRANT;
}

clan_status grants_run(const struct grant_plugin *p, const char *profile, struct clan_error *reterr)
{
    if (grants_exec(p, profile) && (p->permissions & GRANT_FS_STATE))
        return CLAN_OK;
    err_set(reterr, CLAN_E_GRANT, "the plugin %s may not run %s", p->id, profile);
    err_remedy(reterr,
        "allow exec:%s and fs.state in machine.yaml, then run as root: clan machine apply",
        profile);
    return CLAN_E_GRANT;
}

#define CONNECTS (GRANT_NET_CONNECT_LAN | GRANT_NET_CONNECT_INTERNET | GRANT_NET_CONNECT_OVERLAY)

bool grants_guarded(const struct grant_plugin *p)
{
    return (p->permissions & (CONNECTS | GRANT_API_SESSION)) != 0;
}

const char *grants_profile(const struct grant_plugin *p)
{
    return p->permissions & GRANT_NET_DEVICE ? "host-device"
           : p->permissions & CONNECTS       ? "host-net"
                                             : "host";
}

const struct grant_listen *grants_device(
    const struct grants *g, unsigned family, uint16_t port, unsigned tries)
{
    for (unsigned i = 0; i < g->plugin_count; i++) {
        const struct grant_plugin *p = &g->plugins[i];
        for (unsigned k = 0; (p->permissions & GRANT_NET_DEVICE) && k < p->listen_count; k++)
            if ((family == 0 || p->listen[k].family == family) && port >= p->listen[k].port &&
                port + tries <= p->listen[k].port + GRANTS_DEVICE_PORTS)
                return &p->listen[k];
    }
    return NULL;
}

bool grants_has(const struct grant_plugin *p, const char *word)
{
    if (strncmp(word, "exec:", 5) == 0)
        return grants_exec(p, word + 5);
    return (p->permissions & perm_bit(word)) != 0;
}

unsigned grants_words(const struct grant_plugin *p, char ret[GRANTS_WORDS_MAX][PERM_WORD_MAX])
{
    unsigned n = 0;
    for (unsigned i = 0; i < perm_word_count && n < GRANTS_WORDS_MAX; i++)
        if (p->permissions & perm_words[i].bit)
            snprintf(ret[n++], PERM_WORD_MAX, "%s", perm_words[i].word);
    for (unsigned i = 0; i < p->exec_count && n < GRANTS_WORDS_MAX; i++)
        snprintf(ret[n++], PERM_WORD_MAX, "exec:%.31s", p->exec[i]);
    return n;
}
