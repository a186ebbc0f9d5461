/* Edits the block between "# BEGIN clan NAME" and "# END clan NAME". */
#include "hostsfile/hostsfile.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTS_BYTES_MAX (4 * 1024 * 1024)

bool hostsfile_name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-");
    return n > 0 && n < sizeof((struct hostsfile_row *)0)->name && name[n] == 0 && name[0] != '.' &&
           name[0] != '-';
}

clan_status hostsfile_add(struct hostsfile_rows *all, const char name[72],
    const uint8_t address[16], struct clan_error *e)
{
    if (!memchr(name, 0, sizeof all->rows->name) || !hostsfile_name_ok(name))
        return err_set(e, CLAN_E_INVAL, "not a name for the hosts file");
    if (!all->rows)
        all->rows = calloc(HOSTSFILE_ROWS_MAX, sizeof *all->rows);
    if (!all->rows || all->count == HOSTSFILE_ROWS_MAX)
        return err_set(e, CLAN_E_LIMIT, "more than %d names", HOSTSFILE_ROWS_MAX);
    struct hostsfile_row *row = &all->rows[all->count++];
    memcpy(row->name, name, sizeof row->name);
    memcpy(row->address, address, sizeof row->address);
    return CLAN_OK;
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

char *hostsfile_edit(
    const char *old, const char *block, const struct hostsfile_row *rows, size_t count)
{
    char begin[64], end[64], address[INET6_ADDRSTRLEN];
    struct text t = {0};
    snprintf(begin, sizeof begin, "# BEGIN clan %s", block);
    snprintf(end, sizeof end, "# END clan %s", block);
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

clan_status hostsfile_write(
    const char *block, const struct hostsfile_row *rows, size_t count, struct clan_error *e)
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
        char *text = hostsfile_edit(old ? (const char *)old : "", block, rows, count);
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
