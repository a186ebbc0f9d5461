/* Writes what lighttpd reads: its configuration and the page. */
#include "files.h"

#include "assets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONF_MAX 16384

static bool write_all(int fd, const void *data, size_t size)
{
    const unsigned char *p = data;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

/* Does the file say this already?  Then a start writes nothing, which is quicker and spares the disk. */
static bool says(const char *path, const void *data, size_t size)
{
    const char *p = data;
    char part[8192];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool same = fd >= 0 && fstat(fd, &st) == 0 && st.st_mode == (S_IFREG | 0644) &&
                (size_t)st.st_size == size;
    while (same && size) {
        ssize_t n = read(fd, part, size < sizeof part ? size : sizeof part);
        same = n > 0 && memcmp(part, p, (size_t)n) == 0;
        p += same ? n : 0;
        size -= same ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    return same;
}

/* Renamed into place, so that a program that starts meanwhile reads all or nothing. */
static clan_status put_file(
    const struct files *f, const char *name, const void *data, size_t size, struct clan_error *e)
{
    char path[FILES_DIR_MAX + 64], temp[FILES_DIR_MAX + 72];
    snprintf(path, sizeof path, "%s/%s", f->state_dir, name);
    if (says(path, data, size))
        return CLAN_OK;
    snprintf(temp, sizeof temp, "%s.new", path);
    unlink(temp);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    /* not left to the umask: lighttpd is another user, of our group */
    bool ok = fd >= 0 && fchmod(fd, 0644) == 0 && write_all(fd, data, size);
    int error = errno;
    if (fd >= 0 && close(fd) != 0 && ok) {
        ok = false;
        error = errno;
    }
    if (ok && rename(temp, path) != 0) {
        ok = false;
        error = errno;
    }
    if (ok)
        return CLAN_OK;
    unlink(temp);
    return files_fail(e, CLAN_E_IO, "see that the disk is not full", "the page cannot be written",
        "%s: %s", path, strerror(error));
}

/* Values that replace @NAME@ in the template. */
struct conf_value {
    const char *name, *value;
};

static size_t fill(const struct asset *in, const struct conf_value *values, char *out, size_t cap)
{
    size_t len = 0;
    for (size_t i = 0; i < in->size;) {
        const struct conf_value *v = NULL;
        size_t name_len = 0;
        for (const struct conf_value *c = values; in->bytes[i] == '@' && c->name && !v; c++) {
            name_len = strlen(c->name);
            if (in->size - i >= name_len && memcmp(in->bytes + i, c->name, name_len) == 0)
                v = c;
        }
        size_t n = v ? strlen(v->value) : 1;
        if (n > cap - len)
            return 0;
        if (n)
            memcpy(out + len, v ? (const void *)v->value : &in->bytes[i], n);
        len += n;
        i += v ? name_len : 1;
    }
    return len;
}

static clan_status put_conf(const struct files *f, struct clan_error *e)
{
    char conf[CONF_MAX], address[INET6_ADDRSTRLEN + 2] = "[", port[8];
    inet_ntop(AF_INET6, f->address, address + 1, INET6_ADDRSTRLEN);
    strcat(address, "]");
    snprintf(port, sizeof port, "%u", f->port);
    const struct conf_value values[] = {
        {"@STATE@", f->state_dir},
        {"@VOLUME@", f->volume_dir},
        {"@ADDRESS@", address},
        {"@PORT@", port},
        {"@READONLY@", f->read_only ? "enable" : "disable"},
        {"@LOCKS@", f->locks ? "" : "#"},
        {NULL, NULL},
    };
    size_t len = fill(&asset_lighttpd_conf_in, values, conf, sizeof conf);
    if (!len)
        return files_fail(
            e, CLAN_E_DEFECT, "report this", "lighttpd.conf is too long", "a limit of the plugin");
    return put_file(f, "lighttpd.conf", conf, len, e);
}

static clan_status put_settings(const struct files *f, struct clan_error *e)
{
    char json[512], title[sizeof f->title * 2];
    size_t len = 0;
    for (const char *c = f->title; *c; c++) {
        if (*c == '"' || *c == '\\')
            title[len++] = '\\';
        title[len++] = *c;
    }
    title[len] = 0;
    int n = snprintf(json, sizeof json, "{\"title\":\"%s\",\"read_only\":%s}\n", title,
        f->read_only ? "true" : "false");
    return put_file(f, "www/settings.json", json, (size_t)n, e);
}

static clan_status make_dir(const char *parent, const char *name, mode_t mode, struct clan_error *e)
{
    char path[FILES_DIR_MAX + 16];
    snprintf(path, sizeof path, "%s/%s", parent, name);
    if (mkdir(path, mode) == 0) {
        if (chmod(path, mode) == 0)
            return CLAN_OK;
    } else if (errno == EEXIST)
        return CLAN_OK;
    return files_fail(e, CLAN_E_IO, "see that the disk is not full", "a folder cannot be made",
        "%s: %s", path, strerror(errno));
}

clan_status files_write(const struct files *f, struct clan_error *reterr)
{
    static const struct asset *const page[] = {&asset_files_css, &asset_files_js, &asset_icon_svg};
    char name[64];
    clan_status st = make_dir(f->state_dir, "www", 0755, reterr);
    if (st == CLAN_OK)
        st = make_dir(f->volume_dir, "files", 02770, reterr);
    if (st == CLAN_OK)
        st = make_dir(f->volume_dir, "upload", 02770, reterr);
    if (st == CLAN_OK)
        st = put_conf(f, reterr);
    for (size_t i = 0; st == CLAN_OK && i < sizeof page / sizeof page[0]; i++) {
        snprintf(name, sizeof name, "www/%s", page[i]->name);
        st = put_file(f, name, page[i]->bytes, page[i]->size, reterr);
    }
    return st == CLAN_OK ? put_settings(f, reterr) : st;
}
