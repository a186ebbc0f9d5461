/* Each of these is done once, at the start. */
#include "daemon/daemon.h"

#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

clan_status daemon_mounts(struct clan_error *e)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        return err_errno(e, CLAN_E_PERM, "cannot mount /proc");
    return CLAN_OK;
}

int daemon_directory(const char *path, mode_t mode, struct clan_error *e)
{
    mkdir(path, mode);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fchown(fd, 0, 0) == 0 && fchmod(fd, mode) == 0)
        return fd;
    err_errno(e, CLAN_E_IO, "cannot open %s", path);
    if (fd >= 0)
        close(fd);
    return -1;
}

clan_status daemon_lock(int dir, const char *path, struct clan_error *e)
{
    if (flock(dir, LOCK_EX | LOCK_NB) == 0)
        return CLAN_OK;
    if (errno != EWOULDBLOCK)
        return err_errno(e, CLAN_E_IO, "cannot lock %s", path);
    err_set(e, CLAN_E_CONFLICT, "another cland works in %s", path);
    err_remedy(e, "end that one first: systemctl stop cland");
    return CLAN_E_CONFLICT;
}

/* Without the name services' modules, which would stay loaded in this process. */
gid_t daemon_group(const char *name)
{
    gid_t gid = 0;
    FILE *f = fopen("/etc/group", "re");
    for (struct group *g; f && (g = fgetgrent(f));)
        if (strcmp(g->gr_name, name) == 0)
            gid = g->gr_gid;
    if (f)
        fclose(f);
    return gid;
}

int daemon_signals(struct clan_error *e)
{
    static const int ignored[] = {
        SIGPIPE, SIGHUP, SIGINT}; /* SIGINT: the supervisor says SIGTERM */
    sigset_t set;
    for (unsigned i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_SETMASK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        err_errno(e, CLAN_E_IO, "cannot take signals");
    return fd;
}

bool daemon_told_to_end(int signals)
{
    struct signalfd_siginfo info;
    bool told = false;
    while (read(signals, &info, sizeof info) == sizeof info)
        told |= info.ssi_signo == SIGTERM;
    return told;
}

void daemon_tell(int supervisor, char word)
{
    if (supervisor >= 0 && write(supervisor, &word, 1) < 0)
        log_warn("the supervisor does not listen");
}
