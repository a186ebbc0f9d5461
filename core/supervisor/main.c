/* cland: keeps one warden running as the first process of a PID namespace, and nothing else. */
#include "warden/warden.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_CANNOT_START 3
#define STOP_LIMIT_MS     12000

static const char help[] =
    "cland, the daemon of Clan " CLAN_VERSION "\n\n"
    "  --uid-base N       first user id of our processes (0x70000000)\n"
    "  --cgroup NAME      name of our cgroup, below the one cland is in (clan)\n"
    "  --run-dir DIR      sockets (/run/clan)\n"
    "  --state-dir DIR    clans, identities, logs (/var/lib/clan)\n"
    "  --grants FILE      what the owner granted (" GRANTS_PATH ")\n"
    "  --plugin-dir DIR   plugins (" CLAN_PLUGINDIR ")\n"
    "  --libexec-dir DIR  our other programs (" CLAN_LIBEXECDIR ")\n"
    "  --foreground       what it always does\n"
    "  --verbose          log to standard error too\n"
    "  --help\n";

static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@')
        to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, size) < 0)
        fprintf(stderr, "cland: cannot tell %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static bool options(int argc, char **argv, struct warden_options *o)
{
    static const struct option list[] = {{"uid-base", 1, 0, 'u'}, {"cgroup", 1, 0, 'c'},
        {"run-dir", 1, 0, 'r'}, {"state-dir", 1, 0, 's'}, {"grants", 1, 0, 'g'},
        {"plugin-dir", 1, 0, 'p'}, {"libexec-dir", 1, 0, 'l'}, {"foreground", 0, 0, 'f'},
        {"verbose", 0, 0, 'v'}, {"help", 0, 0, 'h'}, {0}};
    for (int k; (k = getopt_long(argc, argv, "", list, NULL)) != -1;) {
        const char **text = k == 'c'   ? &o->cgroup
                            : k == 'r' ? &o->run_dir
                            : k == 's' ? &o->state_dir
                            : k == 'g' ? &o->grants
                            : k == 'p' ? &o->plugin_dir
                            : k == 'l' ? &o->libexec_dir
                                       : NULL;
        char *end = NULL;
        if (text)
            *text = optarg;
        else if (k == 'u') {
            unsigned long n = strtoul(optarg, &end, 0);
            if (*end || n < 65536 || n > 0xffff0000ul)
                return fprintf(stderr, "cland: --uid-base: 65536 to 4294901760\n"), false;
            o->uid_base = (uid_t)n;
        } else if (k == 'v')
            o->verbose = true;
        else if (k == 'h') {
            fputs(help, stdout);
            exit(0);
        } else if (k != 'f')
            return false;
    }
    if (optind < argc)
        fprintf(stderr, "cland: %s is not understood, see cland --help\n", argv[optind]);
    return optind == argc;
}

/* The name in ps: the arguments make room, they were copied. */
static void title(int argc, char **argv, const char *text)
{
    size_t room = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
    memset(argv[0], 0, room);
    memcpy(argv[0], text, strlen(text) < room ? strlen(text) : room);
    prctl(PR_SET_NAME, "cland", 0, 0, 0);
}

static pid_t warden_start(int argc, char **argv, struct warden_options *o, int *ret_fd)
{
    int words[2];
    if (pipe2(words, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    pid_t pid =
        (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        close(words[0]);
        struct pollfd gone = {.fd = words[1]};
        if (poll(&gone, 1, 0) > 0) /* it died before the signal was set */
            _exit(1);
        o->supervisor_fd = words[1];
        title(argc, argv, "cland: warden");
        exit(warden_main(o));
    }
    close(words[1]);
    *ret_fd = words[0];
    return pid;
}

/* Until the warden ends; returns its wait status. */
static int watch(pid_t pid, int words, int signals, bool *stopping, bool *ready)
{
    struct pollfd p[2] = {{.fd = signals, .events = POLLIN}, {.fd = words, .events = POLLIN}};
    uint64_t limit = 0;
    int status;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        struct signalfd_siginfo info;
        char word;
        int left = limit > clock_mono_ms() ? (int)(limit - clock_mono_ms()) : 0;
        if (limit && left == 0)
            kill(pid, SIGKILL);
        poll(p, 2, limit ? left + 1 : -1);
        while (read(signals, &info, sizeof info) == sizeof info)
            if (info.ssi_signo != SIGCHLD && !limit) {
                *stopping = true;
                limit = clock_mono_ms() + STOP_LIMIT_MS;
                notify("STOPPING=1");
                kill(pid, SIGTERM);
            }
        ssize_t n;
        while ((n = read(words, &word, 1)) == 1) {
            notify(word == 'R' ? "READY=1" : "WATCHDOG=1");
            *ready |= word == 'R';
        }
        if (n == 0)
            p[1].fd = -1; /* it is ending */
    }
    return status;
}

int main(int argc, char **argv)
{
    struct warden_options o = {.cgroup = "clan",
        .run_dir = "/run/clan",
        .state_dir = "/var/lib/clan",
        .grants = GRANTS_PATH,
        .plugin_dir = CLAN_PLUGINDIR,
        .libexec_dir = CLAN_LIBEXECDIR,
        .uid_base = 0x70000000,
        .supervisor_fd = -1};
    bool stopping = false, ready = false;
    unsigned backoff = 0;
    sigset_t set;
    if (!options(argc, argv, &o))
        return 2;
    o.verbose |= isatty(STDERR_FILENO) || getenv("JOURNAL_STREAM");
    const char **texts[] = {
        &o.cgroup, &o.run_dir, &o.state_dir, &o.grants, &o.plugin_dir, &o.libexec_dir};
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = strdup(*texts[i]);
    title(argc, argv, "cland");
    sigemptyset(&set);
    for (unsigned i = 0; i < 3; i++)
        sigaddset(&set, (int[]){SIGTERM, SIGINT, SIGCHLD}[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), words = -1;
    for (;;) {
        uint64_t started = clock_mono_ms();
        pid_t pid = warden_start(argc, argv, &o, &words);
        if (pid < 0) {
            fprintf(stderr, "cland: cannot start the warden: %s (run cland as root)\n",
                strerror(errno));
            return 1;
        }
        int status = watch(pid, words, signals, &stopping, &ready);
        close(words);
        if (stopping)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CANNOT_START && !ready)
            return 1; /* it said why; trying again would not help */
        unsigned wait = proc_backoff(backoff, clock_mono_ms() - started, &backoff);
        fprintf(stderr, "cland: the warden died (%s %d), starts again in %u ms\n",
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), wait);
        struct pollfd p = {.fd = signals, .events = POLLIN};
        struct signalfd_siginfo info;
        if (wait && poll(&p, 1, (int)wait) > 0 &&
            read(signals, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
            return 0;
    }
}
