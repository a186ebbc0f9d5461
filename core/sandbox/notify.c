/*
 * Answers seccomp notifications of plugin hosts.  Letting a call pass
 * (SECCOMP_USER_NOTIF_FLAG_CONTINUE) is no security boundary: another thread can change the path
 * after it was read here.  What bounds the call is the root, Landlock and the filter; this only
 * names what a plugin tried.
 */
#include "base/error.h"
#include "base/text.h"
#include "sandbox/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PATH_CAP 200

/* Where the calls worth naming have their path; flags of an open, -1 otherwise */
static const struct {
    const char *call;
    int8_t dir_arg, path_arg, flags_arg;
} path_calls[] = {
    {"open", -1, 0, 1},
    {"openat", 0, 1, 2},
    {"openat2", 0, 1, -1},
    {"creat", -1, 0, -1},
    {"execve", -1, 0, -1},
    {"execveat", 0, 1, -1},
    {"mount", -1, 1, -1},
    {"umount2", -1, 0, -1},
    {"chroot", -1, 0, -1},
    {"mknod", -1, 0, -1},
    {"mknodat", 0, 1, -1},
    {"chown", -1, 0, -1},
    {"fchownat", 0, 1, -1},
    {"setxattr", -1, 0, -1},
};

static const char *family_name(uint64_t family)
{
    static const char *const names[] = {[1] = "AF_UNIX",
        [2] = "AF_INET",
        [10] = "AF_INET6",
        [16] = "AF_NETLINK",
        [17] = "AF_PACKET"};
    const char *name = family < sizeof names / sizeof names[0] ? names[family] : NULL;
    return name ? name : "of another family";
}

/* A thread's own memory: never waits for the process, ends at the first page that is not there. */
static bool read_text(uint32_t pid, uint64_t address, char ret_text[PATH_CAP])
{
    char name[32];
    snprintf(name, sizeof name, "/proc/%u/mem", pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = pread(fd, ret_text, PATH_CAP - 1, (off_t)address);
    close(fd);
    if (n <= 0)
        return false;
    ret_text[n] = 0;
    return true;
}

/* The plugin's own directories: descriptors 6 and 7, /state and /volume. */
static bool own_path(const struct seccomp_data *d, int dir_arg, const char *path)
{
    if (strstr(path, ".."))
        return false;
    if (path[0] != '/')
        return dir_arg >= 0 && ((int)d->args[dir_arg] == 6 || (int)d->args[dir_arg] == 7);
    return strncmp(path, "/state/", 7) == 0 || strncmp(path, "/volume/", 8) == 0;
}

/* Returns 0 to let it pass or the errno of the refusal, and says what it was about. */
static int judge(const struct sandbox_child *child, const struct seccomp_notif *req,
    const char *call, char ret_about[PATH_CAP])
{
    const struct seccomp_data *d = &req->data;
    ret_about[0] = 0;
    for (size_t i = 0; i < sizeof path_calls / sizeof path_calls[0]; i++) {
        if (strcmp(path_calls[i].call, call) != 0)
            continue;
        if (!read_text(req->pid, d->args[path_calls[i].path_arg], ret_about))
            return EFAULT;
        if (path_calls[i].flags_arg < 0)
            return strcmp(call, "openat2") == 0 ? ENOSYS : EPERM;
        uint64_t flags = d->args[path_calls[i].flags_arg];
        bool reads = (flags & (O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE)) == O_RDONLY;
        bool pass = (reads && !child->loaded) || own_path(d, path_calls[i].dir_arg, ret_about);
        return pass ? 0 : EACCES;
    }
    if (strcmp(call, "socket") == 0)
        snprintf(ret_about, PATH_CAP, "%s", family_name(d->args[0]));
    else if (strcmp(call, "kill") == 0 || strcmp(call, "tgkill") == 0 ||
             strcmp(call, "ptrace") == 0)
        snprintf(ret_about, PATH_CAP, "of %d", (int)d->args[strcmp(call, "ptrace") == 0 ? 1 : 0]);
    else if (strcmp(call, "mmap") == 0 || strcmp(call, "mprotect") == 0)
        snprintf(ret_about, PATH_CAP, "of executable memory");
    else if (strcmp(call, "ioctl") == 0 || strcmp(call, "prctl") == 0)
        snprintf(ret_about, PATH_CAP, "%#llx", (unsigned long long)d->args[call[0] == 'i' ? 1 : 0]);
    else if (!profile_lists(profile_fatal, call) && !profile_lists(profile_refused, call) &&
             strcmp(call, "clone") != 0)
        return ENOSYS; /* harmless, only not offered */
    return EPERM;
}

clan_status sandbox_notification(struct sandbox_child *child, char *ret_text, size_t cap)
{
    struct pollfd waiting = {.fd = child->notify_fd, .events = POLLIN};
    struct seccomp_notif req;
    struct seccomp_notif_resp resp = {0};
    char about[PATH_CAP];
    memset(&req, 0, sizeof req);
    ret_text[0] = 0;
    /* RECV would wait; whoever waits here is the only reader, so a waiting one stays */
    if (poll(&waiting, 1, 0) != 1 || !(waiting.revents & POLLIN))
        return CLAN_E_AGAIN;
    if (ioctl(child->notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &req) != 0)
        return errno == ENOENT || errno == EINTR ? CLAN_E_AGAIN : CLAN_E_IO;
    char *call = seccomp_syscall_resolve_num_arch(req.data.arch, req.data.nr);
    int refused = judge(child, &req, call ? call : "?", about);
    resp.id = req.id;
    if (refused)
        resp.error = -refused;
    else
        resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    /* the process may have died and its PID be another's: then what was read is not its own */
    bool valid = ioctl(child->notify_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &req.id) == 0;
    if (valid && refused) {
        snprintf(ret_text, cap, "%s%s%s refused", call ? call : "an unknown call",
            about[0] ? " " : "", about);
        text_sanitize(ret_text);
    }
    free(call);
    if (!valid || ioctl(child->notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) != 0)
        return CLAN_E_AGAIN;
    return CLAN_OK;
}
