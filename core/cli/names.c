/* Proposed names. */
#include "cli/names.h"

#include "base/error.h"
#include "cli/session.h"

#include <ctype.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void names_clean(const char *text, const char *fallback, char ret_name[33])
{
    size_t len = 0;
    for (; *text && *text != '.' && len < 32; text++) {
        char ch = (char)tolower((unsigned char)*text);
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
        if (plain)
            ret_name[len++] = ch;
        else if (len && ret_name[len - 1] != '-')
            ret_name[len++] = '-';
    }
    while (len && ret_name[len - 1] == '-')
        len--;
    ret_name[len] = 0;
    if (!len)
        snprintf(ret_name, 33, "%s", fallback);
}

void names_of_host(char ret_name[33])
{
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0 || strcmp(host, "localhost") == 0)
        host[0] = 0;
    names_clean(host, "first", ret_name);
}

void names_of_user(char ret_name[33])
{
    const char *sudo = geteuid() == 0 ? getenv("SUDO_USER") : NULL;
    const struct passwd *pw = sudo && sudo[0] ? NULL : getpwuid(geteuid());
    names_clean(sudo && sudo[0] ? sudo : pw ? pw->pw_name : "", "admin", ret_name);
}

struct wanted {
    const char *name;
    bool service;
};

static clan_status take_service(void *arg, const clan_api_Answer *a)
{
    struct wanted *w = arg;
    if (a->which_m == clan_api_Answer_service_tag && strcmp(a->m.service.name, w->name) == 0)
        w->service = true;
    return CLAN_OK;
}

/* A name that two claim is neither's: the one who has it would lose it when the guest comes. */
clan_status names_free(struct cli *c, struct api_client *api, const char *name)
{
    struct clan_error *e = &c->e;
    struct session_machines m = {0};
    struct wanted w = {name, false};
    bool taken = false;
    if (!name[0])
        return CLAN_OK;
    clan_status st = session_machines(c, api, &m);
    for (size_t i = 0; st == CLAN_OK && i < m.count && !taken; i++)
        taken = strcmp(m.rows[i].name, name) == 0 && strcmp(m.rows[i].standing, "removed") != 0;
    free(m.rows);
    if (st == CLAN_OK)
        st = session_ask(c, api, clan_api_Request_services_tag, take_service, &w);
    if (st != CLAN_OK || (!taken && !w.service))
        return st;
    err_set(
        e, CLAN_E_EXIST, "the clan has a %s named %s already", taken ? "machine" : "service", name);
    err_why(e, "a name that two claim would be neither's; nothing was signed");
    if (taken)
        err_remedy(e,
            "give another name: clan invite --for %.27s-2; if the new machine replaces that one, "
            "first: clan remove %s",
            name, name);
    else
        err_remedy(e, "give another name; `clan services` shows those that are taken");
    return e->status;
}

clan_status names_error(struct clan_error *e, const char *what, const char *name)
{
    err_set(e, CLAN_E_INVAL, "\"%.60s\" cannot be the name of a %s", name, what);
    err_why(e, "a name has 1 to 32 of a-z, 0-9 and hyphens, without a hyphen at either end");
    return CLAN_E_INVAL;
}

clan_status names_refuse(struct cli *c, const char *what, const char *name)
{
    return names_error(&c->e, what, name);
}
