/*
 * Answers seccomp notifications of plugin hosts.  Letting a call pass (FLAG_CONTINUE) is no
 * security boundary, for another thread can change the path after it was read here: what bounds the
 * call is the root, Landlock and the filter.  This names what a plugin tried.
 */
#include "base/error.h"
#include "base/text.h"
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
#include <sys/socket.h>
#include <unistd.h>

#define ABOUT_CAP 200

enum about { OPENS, PATH, FAMILY, OF_PID, OF_CODE, NUMBER, NOTHING };
#include "profiles/notify.def"

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
    return strncmp(path, "/state/", 7) == 0 || strncmp(path, "/volume/", 8) == 0;
}

/* Returns 0 to let it pass or the errno of the refusal, and says what it was about. */
static int judge(const struct sandbox_child *child, const struct seccomp_notif *req,
    const char *call, char ret_about[ABOUT_CAP])
{
    const __u64 *args = req->data.args;
    size_t i = 0;
    ret_about[0] = 0;
    while (i < KNOWN && strcmp(known[i].call, call) != 0)
        i++;
    if (i == KNOWN) /* what no list refuses is harmless, only not offered */
        return profile_lists(profile_fatal, call) || profile_lists(profile_refused, call) ? EPERM
                                                                                          : ENOSYS;
    uint64_t arg = args[known[i].arg];
    if (known[i].about <= PATH && !read_text(req->pid, arg, ret_about))
        return EFAULT;
    if (known[i].about == OPENS) {
        uint64_t flags = args[known[i].arg + 1];
        bool reads = (flags & (O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE)) == O_RDONLY;
        bool own = own_path(ret_about, known[i].arg == 1, args[0]);
        return own || (reads && !child->loaded) ? 0 : EACCES;
    }
    if (known[i].about == FAMILY)
        snprintf(ret_about, ABOUT_CAP, "%s",
            arg < FAMILIES && families[arg] ? families[arg] : "of another family");
    else if (known[i].about == OF_PID)
        snprintf(ret_about, ABOUT_CAP, "of %d", (int)arg);
    else if (known[i].about == OF_CODE)
        snprintf(ret_about, ABOUT_CAP, "of executable memory");
    else if (known[i].about == NUMBER)
        snprintf(ret_about, ABOUT_CAP, "%#llx", (unsigned long long)arg);
    return strcmp(call, "openat2") == 0 ? ENOSYS : EPERM;
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
        snprintf(ret_text, cap, "%s%s%s refused", call, about[0] ? " " : "", about);
    text_sanitize(ret_text);
    free(name);
    if (!valid || ioctl(child->notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) != 0)
        return CLAN_E_AGAIN;
    return CLAN_OK;
}
