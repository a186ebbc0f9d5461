/* Durable writes and bounded reads. */
#include "base/file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

clan_status file_write_all(int fd, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return CLAN_E_IO;
        p += n;
        size -= (size_t)n;
    }
    return CLAN_OK;
}

clan_status file_write_durable(int dir_fd, const char *name, const void *data, size_t size,
    mode_t mode, struct clan_error *reterr)
{
    char tmp[NAME_MAX + 1];
    clan_status st = CLAN_E_IO;
    if (snprintf(tmp, sizeof tmp, ".%s.new", name) >= (int)sizeof tmp)
        return err_set(reterr, CLAN_E_INVAL, "the file name %s is too long", name);
    int fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_errno(reterr, CLAN_E_IO, "cannot create %s", name);
    if (fchmod(fd, mode) != 0 || file_write_all(fd, data, size) != CLAN_OK || fsync(fd) != 0)
        goto out;
    if (renameat(dir_fd, tmp, dir_fd, name) != 0 || fsync(dir_fd) != 0)
        goto out;
    st = CLAN_OK;
out:
    if (st != CLAN_OK) {
        err_errno(reterr, st, "cannot write %s", name);
        err_remedy(reterr, "make room on the disk; nothing was changed");
        unlinkat(dir_fd, tmp, 0);
    }
    close(fd);
    return st;
}

clan_status file_read_fd(
    int fd, size_t max, uint8_t **ret_data, size_t *ret_size, struct clan_error *reterr)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(reterr, CLAN_E_IO, "cannot look at the file");
    if (!S_ISREG(st.st_mode))
        return err_set(reterr, CLAN_E_INVAL, "not a regular file");
    if ((uint64_t)st.st_size > max)
        return err_set(reterr, CLAN_E_LIMIT, "the file is longer than %zu bytes", max);
    size_t cap = (size_t)st.st_size, len = 0;
    uint8_t *data = malloc(cap + 1);
    if (!data)
        return err_set(reterr, CLAN_E_NOMEM, "out of memory");
    while (len < cap) {
        ssize_t n = pread(fd, data + len, cap - len, (off_t)len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(data);
            return err_errno(reterr, CLAN_E_IO, "cannot read the file");
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    data[len] = 0;
    *ret_data = data;
    *ret_size = len;
    return CLAN_OK;
}

clan_status file_read(int dir_fd, const char *name, size_t max, uint8_t **ret_data,
    size_t *ret_size, struct clan_error *reterr)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_errno(
            reterr, errno == ENOENT ? CLAN_E_NOENT : CLAN_E_IO, "cannot open %s", name);
    clan_status st = file_read_fd(fd, max, ret_data, ret_size, reterr);
    close(fd);
    return st;
}

void file_forget(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
