/*
 * Answers seccomp notifications of plugin hosts.  Letting a call pass (FLAG_CONTINUE) is no
 * security boundary, for another thread can change the path after it was read here: what bounds the
 * call is the root, Landlock and the filter.  This names what a plugin tried.
 */
#include "base/error.h"
#include "refusal/refusal.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ABOUT_CAP 200

/* Does not wait for the process; ends at the first page that is not there. */
static bool read_text(uint32_t pid, uint64_t address, char ret_text[ABOUT_CAP])
{
    char name[32];
    snprintf(name, sizeof name, "/proc/%u/mem", pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, ret_text, ABOUT_CAP - 1, (off_t)address);
    if (fd >= 0)
        close(fd);
    ret_text[n < 0 ? 0 : n] = 0;
    return n > 0;
}

/* The plugin's own directories: descriptors 6 and 7, /state and /volume. */
static bool own_path(const char *path, bool at, uint64_t dir)
{
    if (strstr(path, ".."))
        return false;
    if (path[0] != '/')
        return at && ((int)dir == 6 || (int)dir == 7);
    return strncmp(path, "/state/", 7) == 0 || strncmp(path, "/volume/", 8) == 0 ||
           strcmp(path, "/state") == 0 || strcmp(path, "/volume") == 0; /* for fsync() of it */
}

static int judge_open(
    const struct sandbox_child *child, const char *path, bool at, const __u64 *args)
{
    uint64_t flags = args[at ? 2 : 1];
    bool reads = (flags & (O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE)) == O_RDONLY;
    if (own_path(path, at, args[0]) || (reads && !child->loaded && profile_readable(path)))
        return 0;
    return reads && !child->loaded ? ENOENT
                                   : EACCES; /* a library can do without what is not there */
}

/* One of the paths of a call that changes names; the descriptor of an "at" stands before each. */
static int judge_change(
    uint32_t pid, const __u64 *args, unsigned arg, bool at, char ret_about[ABOUT_CAP])
{
    if (args[arg] == 0)
        return 0; /* utimensat of a descriptor */
    if (!read_text(pid, args[arg], ret_about))
        return EFAULT;
    return own_path(ret_about, at, at ? args[arg - 1] : 0) ? 0 : EACCES;
}

static int judge_paths(
    const struct seccomp_notif *req, const struct profile_call *about, char ret_about[ABOUT_CAP])
{
    const __u64 *args = req->data.args;
    unsigned first = about->arg, second = about->more;
    if (about->about == ABOUT_CHANGE) {
        int r = judge_change(req->pid, args, first, first == 1, ret_about);
        return r || !second ? r : judge_change(req->pid, args, second, second == 3, ret_about);
    }
    if (!read_text(req->pid, args[first], ret_about))
        return EFAULT;
    bool inside = ret_about[0] == '/' ? own_path(ret_about, false, 0) : !strstr(ret_about, "..");
    return inside ? judge_change(req->pid, args, second, second == 2, ret_about) : EACCES;
}

static bool maps_library(const struct sandbox_child *child, const __u64 *args)
{
    return !child->loaded && (args[2] & (PROT_EXEC | PROT_WRITE)) == PROT_EXEC &&
           !(args[3] & MAP_ANONYMOUS);
}

/* Returns 0 to let it pass or the errno of the refusal, and says what it was about. */
static int judge(const struct sandbox_child *child, const struct seccomp_notif *req,
    const char *call, char ret_about[ABOUT_CAP])
{
    const __u64 *args = req->data.args;
    const struct profile_call *about = profile_call_find(call);
    ret_about[0] = 0;
    if (!about) /* what no list refuses is harmless, only not offered */
        return profile_lists(profile_fatal, call) || profile_lists(profile_refused, call) ||
                       profile_lists(profile_unconnected, call)
                   ? EPERM
                   : ENOSYS;
    uint64_t arg = args[about->arg];
    switch (about->about) {
    case ABOUT_CHANGE:
    case ABOUT_TARGET:
        return judge_paths(req, about, ret_about);
    case ABOUT_OPENS:
        return read_text(req->pid, arg, ret_about)
                   ? judge_open(child, ret_about, about->arg == 1, args)
                   : EFAULT;
    case ABOUT_PATH:
        return !read_text(req->pid, arg, ret_about) ? EFAULT
               : strcmp(call, "openat2") == 0       ? ENOSYS
                                                    : EPERM;
    case ABOUT_MAP:
        if (maps_library(child, args))
            return 0;
        break;
    default:
        break;
    }
    refusal_about(about->about, arg, ret_about, ABOUT_CAP);
    return about->about == ABOUT_OPTION ? ENOSYS : EPERM;
}

clan_status sandbox_notification(struct sandbox_child *child, char *ret_text, size_t cap)
{
    struct pollfd waiting = {.fd = child->notify_fd, .events = POLLIN};
    struct seccomp_notif req;
    char about[ABOUT_CAP];
    memset(&req, 0, sizeof req); /* the kernel asks for zeros, padding included */
    ret_text[0] = 0;
    /* RECV would wait; this is the only reader, so what waits stays */
    if (poll(&waiting, 1, 0) != 1 || !(waiting.revents & POLLIN) ||
        ioctl(child->notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &req) != 0)
        return CLAN_E_AGAIN;
    char *name = seccomp_syscall_resolve_num_arch(req.data.arch, req.data.nr);
    const char *call = name ? name : "an unknown call";
    int refused = judge(child, &req, call, about);
    struct seccomp_notif_resp resp = {.id = req.id, .error = -refused};
    if (!refused)
        resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    /* else the process died, and what was read may be another's with its PID */
    bool valid = ioctl(child->notify_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &req.id) == 0;
    if (valid && refused)
        refusal_text(call, about, ret_text, cap);
    free(name);
    if (!valid || ioctl(child->notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) != 0)
        return CLAN_E_AGAIN;
    return CLAN_OK;
}
