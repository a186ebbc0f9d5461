/* The control: the same attempts as root without any sandbox, in namespaces and a root of its own.
 * Whatever is refused here too proves nothing; the suite asks for many successes. */
#include "attempts.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int make(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        perror(path);
    return fd;
}

static void own_root(void)
{
    static const char *const directories[] = {"state", "etc", "etc/clan", "usr", "usr/lib", "proc",
        "dev", "sys", "run", "run/clan", "var", "var/lib", "var/lib/clan", "var/lib/clan/clans",
        "var/lib/clan/clans/0", "var/lib/clan/clans/0/state", "var/lib/clan/clans/0/hosts",
        "var/lib/clan/clans/0/hosts/files", "state/a", "state/a/b"};
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/mnt", "tmpfs", 0, NULL) != 0 || chdir("/mnt") != 0)
        exit(77);
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        if (mkdir(directories[i], 0755) != 0)
            exit(1);
    static const char *const files[] = {"etc/shadow", "etc/passwd", "etc/clan/grants",
        "var/lib/clan/clans/0/seed", "var/lib/clan/clans/0/hosts/files/lighttpd.conf", "state/own",
        "run/clan/new.sock"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        make(files[i]);
    mount("none", "proc", "proc", MS_NOSUID, NULL);
    if (chroot(".") != 0 || chdir("/") != 0 || dup2(make("/state/own"), 5) < 0 ||
        dup2(open("/state/a/b", O_RDONLY | O_DIRECTORY), 6) < 0)
        exit(1);
}

static int all(void)
{
    static const struct attempt *const tables[] = {
        attempts_files, attempts_processes, attempts_kernel, attempts_network};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    own_root();
    if (fork() != 0) { /* the first process of the namespace stays for the attempts to look at */
        int status = 1;
        while (waitpid(-1, &status, 0) > 0)
            continue;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const struct attempt *a = tables[t]; a->name; a++) {
            printf("%d\t%s\t%s\n", a->fn(), a->name, a->named ? a->named : "");
            fflush(stdout);
        }
    printf("end\n");
    return 0;
}

int main(void)
{
    int status;
    if (geteuid() != 0 ||
        unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
        fprintf(stderr, "SKIP: needs root\n");
        return 77;
    }
    pid_t pid = fork();
    if (pid == 0)
        exit(all());
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
