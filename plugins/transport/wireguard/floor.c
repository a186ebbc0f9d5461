/* The TAI64N below which this machine never speaks again: one line of text in the plugin's state. */
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#define NAME    "floor"
#define NEW     "floor.new"
#define PREFIX  "tai64n "
#define LINE    (sizeof PREFIX - 1 + 2 * WG_TAI64N + 1) /* with its line feed */
#define DIR_MAX 256

static bool path_of(char ret_path[DIR_MAX], const char *dir, const char *name)
{
    return snprintf(ret_path, DIR_MAX, "%s/%s", dir, name) < DIR_MAX;
}

enum wg_floor wg_floor_read(const char *dir, uint8_t ret_tai64n[WG_TAI64N])
{
    char path[DIR_MAX], line[LINE + 1];
    size_t n;
    memset(ret_tai64n, 0, WG_TAI64N);
    if (!path_of(path, dir, NAME))
        return WG_FLOOR_IO;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? WG_FLOOR_NONE : WG_FLOOR_IO;
    ssize_t got = read(fd, line, sizeof line);
    close(fd);
    if (got < 0)
        return WG_FLOOR_IO;
    if ((size_t)got == LINE && memcmp(line, PREFIX, sizeof PREFIX - 1) == 0 &&
        line[LINE - 1] == '\n' &&
        sodium_hex2bin(
            ret_tai64n, WG_TAI64N, line + sizeof PREFIX - 1, 2 * WG_TAI64N, NULL, &n, NULL) == 0 &&
        n == WG_TAI64N)
        return WG_FLOOR_OK;
    memset(ret_tai64n, 0, WG_TAI64N);
    return WG_FLOOR_DAMAGED;
}

static bool write_file(const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool ok = write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
    return close(fd) == 0 && ok;
}

static bool sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

bool wg_floor_write(const char *dir, const uint8_t tai64n[WG_TAI64N])
{
    char path[DIR_MAX], next[DIR_MAX], line[LINE + 1] = PREFIX;
    if (!path_of(path, dir, NAME) || !path_of(next, dir, NEW))
        return false;
    sodium_bin2hex(line + sizeof PREFIX - 1, 2 * WG_TAI64N + 1, tai64n, WG_TAI64N);
    line[LINE - 1] = '\n';
    return write_file(next, line, LINE) && rename(next, path) == 0 && sync_dir(dir);
}
