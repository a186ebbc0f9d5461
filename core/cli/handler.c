/* Which program opens clan: links for this user: the files of the MIME applications standard, in its order. */
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/desktop.h"
#include "cli/out.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define HANDLER_KEY  "x-scheme-handler/clan="
#define HANDLER_OWN  "clan.desktop"
#define LIST_MAX     (1u << 20)
#define DESKTOPS_MAX 4

/* The first program of the key in one of these groups, "" none. */
static void look_in(const char *path, const char *group, char ret_file[64])
{
    uint8_t *data = NULL;
    size_t size;
    bool inside = false;
    if (ret_file[0] || file_read(AT_FDCWD, path, LIST_MAX, &data, &size, NULL) != CLAN_OK)
        return;
    char *save, *text = (char *)data;
    for (char *line = strtok_r(text, "\r\n", &save); line && !ret_file[0];
         line = strtok_r(NULL, "\r\n", &save)) {
        if (line[0] == '[')
            inside = strcmp(line, group) == 0;
        else if (inside && strncmp(line, HANDLER_KEY, sizeof HANDLER_KEY - 1) == 0) {
            const char *value = line + sizeof HANDLER_KEY - 1;
            snprintf(ret_file, 64, "%.*s", (int)strcspn(value, ";"), value);
            text_sanitize(ret_file);
        }
    }
    free(data);
}

/* DIR/gnome-mimeapps.list before DIR/mimeapps.list */
static void look_in_folder(const char *dir, char ret_file[64])
{
    char path[512], copy[128], *save;
    const char *desktops = getenv("XDG_CURRENT_DESKTOP");
    snprintf(copy, sizeof copy, "%s", desktops ? desktops : "");
    unsigned count = 0;
    for (char *d = strtok_r(copy, ":", &save); d && count++ < DESKTOPS_MAX;
         d = strtok_r(NULL, ":", &save)) {
        for (char *p = d; *p; p++)
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        if (strchr(d, '/'))
            continue;
        snprintf(path, sizeof path, "%s/%s-mimeapps.list", dir, d);
        look_in(path, "[Default Applications]", ret_file);
    }
    snprintf(path, sizeof path, "%s/mimeapps.list", dir);
    look_in(path, "[Default Applications]", ret_file);
}

typedef void folder_fn(const char *dir, char ret_file[64]);

static void each(const char *dirs, const char *below, folder_fn *fn, char ret_file[64])
{
    char dir[400];
    while (*dirs && !ret_file[0]) {
        size_t len = strcspn(dirs, ":");
        if (len && snprintf(dir, sizeof dir, "%.*s%s", (int)len, dirs, below) < (int)sizeof dir)
            fn(dir, ret_file);
        dirs += len + (dirs[len] == ':');
    }
}

static void look_in_cache(const char *dir, char ret_file[64])
{
    char path[512];
    snprintf(path, sizeof path, "%s/mimeinfo.cache", dir);
    look_in(path, "[MIME Cache]", ret_file);
}

static const char *or_else(const char *name, const char *usual)
{
    const char *value = getenv(name);
    return value && value[0] ? value : usual;
}

void desktop_handler(char ret_file[64])
{
    char config[300], data[300];
    const char *home = or_else("HOME", "/");
    const char *data_dirs = or_else("XDG_DATA_DIRS", "/usr/local/share:/usr/share");
    snprintf(config, sizeof config, "%.280s/.config", home);
    snprintf(data, sizeof data, "%.280s/.local/share", home);
    ret_file[0] = 0;
    each(or_else("XDG_CONFIG_HOME", config), "", look_in_folder, ret_file);
    each(or_else("XDG_CONFIG_DIRS", "/etc/xdg"), "", look_in_folder, ret_file);
    each(or_else("XDG_DATA_HOME", data), "/applications", look_in_folder, ret_file);
    each(data_dirs, "/applications", look_in_folder, ret_file);
    each(or_else("XDG_DATA_HOME", data), "/applications", look_in_cache, ret_file);
    each(data_dirs, "/applications", look_in_cache, ret_file);
}

void desktop_check_handler(struct cli *c)
{
    char file[64];
    if (!desktop_shows())
        return;
    desktop_handler(file);
    if (strcmp(file, HANDLER_OWN) == 0)
        return;
    if (file[0])
        out_warn(c,
            "links that begin with clan: are opened by another program here, %s. To have Clan open "
            "them: xdg-mime default " HANDLER_OWN " x-scheme-handler/clan",
            file);
    else
        out_note(c,
            "links that begin with clan: are not opened by Clan here yet. To change that: xdg-mime "
            "default " HANDLER_OWN " x-scheme-handler/clan");
}
