/* Proposed names. */
#include "cli/names.h"

#include "base/error.h"

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

clan_status names_refuse(struct cli *c, const char *what, const char *name)
{
    err_set(&c->e, CLAN_E_INVAL, "\"%.60s\" cannot be the name of a %s", name, what);
    err_why(&c->e, "a name has 1 to 32 of a-z, 0-9 and hyphens, without a hyphen at either end");
    return CLAN_E_INVAL;
}
