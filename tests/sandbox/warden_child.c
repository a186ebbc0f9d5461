/* A child for tests of the warden: by its name a core that a test drives by lines, a host, or one
 * that waits. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const char *text)
{
    if (send(4, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        _exit(9);
}

static size_t from_hex(const char *text, unsigned char *ret, size_t cap)
{
    size_t n = 0;
    for (unsigned byte; n < cap && sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
        ret[n] = (unsigned char)byte;
    return n;
}

static void send_with_fd(const void *data, size_t size)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {(void *)(size_t)data, size};
    struct msghdr mh = {.msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    *c = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    int null = 0;
    memcpy(CMSG_DATA(c), &null, sizeof null);
    sendmsg(3, &mh, MSG_NOSIGNAL);
}

static void command(const char *line)
{
    unsigned char data[2048];
    size_t n = strlen(line) > 4 ? from_hex(line + 4, data, sizeof data) : 0;
    if (strncmp(line, "raw ", 4) == 0)
        send(3, data, n, MSG_NOSIGNAL);
    else if (strncmp(line, "des ", 4) == 0)
        send_with_fd(data, n);
    else if (strncmp(line, "die", 3) == 0) {
        say("0a reason to die");
        _exit(7);
    }
}

/* What the warden says, as a line: hex, and how many descriptors came with it. */
static void relay(int to)
{
    unsigned char data[2048];
    char text[4200], control[256];
    struct iovec iov = {data, sizeof data};
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(3, &mh, 0);
    if (n <= 0)
        _exit(0);
    for (ssize_t i = 0; i < n; i++)
        sprintf(text + 2 * i, "%02x", data[i]);
    sprintf(text + 2 * n, " %d\n", CMSG_FIRSTHDR(&mh) ? 1 : 0);
    if (to >= 0)
        send(to, text, strlen(text), MSG_NOSIGNAL); /* who asked may have gone */
}

/* What a core starts with: its seed, and whether an earlier life left something in its directory.
 */
static void inventory(void)
{
    char text[64], seed[33];
    int kept = openat(6, "kept", O_RDONLY);
    snprintf(text, sizeof text, "2seed %zd bytes, state %s", pread(5, seed, sizeof seed, 0),
        kept >= 0 ? "kept" : "empty");
    if (kept < 0 && openat(6, "kept", O_CREAT | O_WRONLY, 0600) < 0)
        strcpy(text, "0state cannot be written");
    say(text);
}

static void core(int bound)
{
    static char line[8192];
    size_t len = 0;
    int to = bound ? -1 : 7;
    for (;;) {
        struct pollfd p[2] = {
            {.fd = to < 0 ? 7 : to, .events = POLLIN}, {.fd = to < 0 ? -1 : 3, .events = POLLIN}};
        poll(p, 2, -1);
        if (p[1].revents)
            relay(to);
        if (!p[0].revents)
            continue;
        if (to < 0) {
            to = accept(7, NULL, NULL);
            len = 0;
            continue;
        }
        ssize_t n = read(to, line + len, sizeof line - 1 - len);
        if (n <= 0 && !bound)
            to = 7, _exit(0);
        if (n <= 0) {
            close(to);
            to = -1;
            continue;
        }
        len += (size_t)n;
        line[len] = 0;
        for (char *end; (end = strchr(line, '\n'));) {
            *end = 0;
            command(line);
            len -= (size_t)(end + 1 - line);
            memmove(line, end + 1, len + 1);
        }
    }
}

/* Writes what its program needs, then tries what it may not. */
static void host(void)
{
    static const char conf[] =
        "server.document-root = \"/volume\"\nserver.port = 80\n"
        "server.systemd-socket-activation = \"enable\"\nserver.errorlog-use-syslog = \"disable\"\n";
    int fd = open("/state/lighttpd.conf", O_CREAT | O_RDWR | O_TRUNC, 0640);
    if (fd >= 0 && (write(fd, conf, sizeof conf - 1) < 0 || fchmod(fd, 0640) != 0))
        say("0cannot write");
    fd = openat(7, "index.html", O_CREAT | O_WRONLY, 0644);
    if (fd >= 0 && (write(fd, "from the volume", 15) < 0 || fchmod(fd, 0644) != 0))
        say("0cannot write");
    send(4, "\001loaded", 7, MSG_NOSIGNAL);
    if (open("/usr/lib/os-release", O_RDONLY) < 0)
        say("2the second open failed");
    for (int i = 0; i < 5000; i++)
        open("/usr/lib/os-release", O_RDONLY);
    say("2many opens failed");
    poll(NULL, 0, 1000);
    open("/usr/lib/os-release", O_RDONLY); /* in another second: how many were not written */
}

static void on_term(int signal_number)
{
    (void)signal_number;
    alarm(1); /* time to say what there is to say */
}

int main(int argc, char **argv)
{
    struct pollfd p = {.fd = 3, .events = POLLHUP};
    (void)argc;
    say("2a child began");
    if (strcmp(argv[0], "clan-core") == 0)
        signal(SIGTERM, on_term), inventory();
    if (strcmp(argv[0], "clan-core") == 0)
        core(argv[1][0] != '-'); /* a clan has no name yet: dashes, as long as a name may be */
    if (strcmp(argv[0], "clan-host") == 0)
        host();
    p.events = 0;
    poll(&p, 1, -1);
    return 0;
}
