/* What is not one refused call: exhausting the machine, and messages that no clan-host sends. */
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL 3
#define LOG     4

void bomb_says(const char *text)
{
    int fd = open("/state/said", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        ssize_t ignored = write(fd, text, strlen(text));
        (void)ignored;
        close(fd);
    }
}

static void say_number(const char *what, unsigned long n)
{
    char text[80];
    snprintf(text, sizeof text, "%s %lu\n", what, n);
    bomb_says(text);
}

static void *wait_forever(void *arg)
{
    pause();
    return arg;
}

/* Threads until there are no more. */
static void threads(void)
{
    unsigned long n = 0;
    pthread_attr_t small;
    pthread_t t;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 1 << 18);
    while (n < 100000 && pthread_create(&t, &small, wait_forever, NULL) == 0)
        n++;
    say_number("threads", n);
    n = 0;
    while (fork() >= 0 && n < 100000) /* the clan's machine has one plugin more, not thousands */
        n++;
    say_number("forks", n);
}

/* Memory of one kind until there is no more; a limit of 16 GiB for a machine without limits. */
static void fill_memory(int flags)
{
    unsigned long mib = 0;
    char *last = NULL;
    for (; mib < 16384; mib++) {
        char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            break;
        memset(p, 1, 1 << 20);
        memcpy(p, &last, sizeof last);
        last = p;
        if (mib % 64 == 0)
            say_number("has MiB", mib);
    }
    say_number("memory MiB", mib);
    while (last) { /* the next order needs some */
        char *p = last;
        memcpy(&last, p, sizeof last);
        munmap(p, 1 << 20);
    }
}
static void memory(void)
{
    fill_memory(MAP_PRIVATE);
}
static void shared_memory(void)
{
    fill_memory(MAP_SHARED);
}

/* Socket buffers belong to nobody's address space. */
static void socket_memory(void)
{
    static char block[65536];
    unsigned long bytes = 0;
    int pair[2], size = 1 << 30;
    while (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0) {
        ssize_t n;
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        while ((n = write(pair[0], block, sizeof block)) > 0)
            bytes += (unsigned long)n;
    }
    say_number("in sockets MiB", bytes >> 20);
}

/* Files until the disk is full; hidden: without a name, so that no directory shows them. */
static void fill_disk(bool hidden)
{
    static char block[1 << 20];
    unsigned long mib = 0;
    memset(block, 0x5a, sizeof block);
    for (unsigned file = 0; file < 900; file++) {
        char name[32];
        snprintf(name, sizeof name, "/state/big%u", file);
        int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            break;
        if (hidden)
            unlink(name);
        ssize_t n = 1;
        for (unsigned i = 0; i < 32 && n > 0; i++)
            mib += (n = write(fd, block, sizeof block)) > 0;
        if (!hidden)
            close(fd);
        if (n <= 0)
            break;
        if (file % 8 == 0)
            say_number("wrote MiB", mib);
    }
    say_number("disk MiB", mib);
}
/* One file without end. */
static void huge_file(void)
{
    static char block[1 << 20];
    unsigned long mib = 0;
    int fd = open("/state/huge", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (mib < 4096 && write(fd, block, sizeof block) > 0)
        mib++;
    say_number("file MiB", mib);
}
static void disk(void)
{
    fill_disk(false);
}
static void hidden_disk(void)
{
    fill_disk(true);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void logs(void)
{
    static const char record[] = "0flood flood flood flood flood flood flood flood\033[2J\n\r";
    unsigned long n = 0;
    for (uint64_t end = now_ms() + 5000; now_ms() < end;)
        n += send(LOG, record, sizeof record, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
    say_number("log records", n);
}

static void *call_refused(void *arg)
{
    unsigned long *n = arg;
    for (uint64_t end = now_ms() + 5000; now_ms() < end; (*n)++)
        syscall(SYS_keyctl, 0, 0, 0);
    return NULL;
}
static void calls(void)
{
    static unsigned long counts[32];
    pthread_t t[32];
    unsigned long sum = 0;
    unsigned n = 0;
    while (n < 32 && pthread_create(&t[n], NULL, call_refused, &counts[n]) == 0)
        n++;
    while (n-- > 0) {
        pthread_join(t[n], NULL);
        sum += counts[n];
    }
    say_number("refused calls", sum);
}

/* ---- the channel: {tag of the kind, its fields} by hand ---- */

static bool put(const void *data, size_t size, const int *fds, unsigned fd_count)
{
    char control[CMSG_SPACE(sizeof(int) * 64)] __attribute__((aligned(8))) = {0};
    struct iovec iov = {(void *)(uintptr_t)data, size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    return sendmsg(CHANNEL, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

enum { HELLO = 1, STATE, STREAM, DIAL_FAILED, ENDPOINTS, RUN, END_RUN, HEALTH };

static bool put_kind(unsigned kind, const void *fields, size_t size)
{
    uint8_t data[130] = {(uint8_t)(kind << 3 | 2), (uint8_t)size};
    memcpy(data + 2, fields, size < 127 ? size : 127);
    return put(data, 2 + size, NULL, 0);
}

static bool put_number(unsigned kind, unsigned field, uint32_t n)
{
    uint8_t data[8] = {(uint8_t)(field << 3)};
    size_t size = 1;
    do
        data[size++] = (uint8_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
    while (n >>= 7);
    return put_kind(kind, data, size);
}

/* Garbage in every size that a datagram can have. */
static void frames(void)
{
    static uint8_t block[600000];
    unsigned long sent = 0;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)(i * 2654435761u >> 24);
    for (unsigned i = 0; i < 2000; i++)
        sent += put(block + i, (i * 37u) % 60000, NULL, 0);
    for (size_t size = 60000; size < sizeof block; size += 60000)
        sent += put(block, size, NULL, 0);
    say_number("frames", sent);
}

static void descriptors(void)
{
    int fds[64], pair[2];
    unsigned long sent = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    for (unsigned i = 0; i < 64; i++)
        fds[i] = i % 2 ? pair[0] : 6; /* a directory too */
    for (unsigned i = 0; i < 500; i++)
        sent += put("\x42", 1, fds, 1 + i % 64);
    say_number("descriptors", sent);
}

/* Answers that nobody asked for, and in the name of others. */
static void states(void)
{
    static const char other[] = "\x08\x01\x1a\x05"
                                "files"; /* incarnation 1, plugin files */
    unsigned long sent = 0;
    for (unsigned i = 0; i < 50; i++) {
        sent += put_kind(HELLO, other, sizeof other - 1);
        sent += put_number(STATE, 1, 1 + i % 6 == 5 ? 3 : 1 + i % 4); /* not failed: it would end */
        sent += put_number(HEALTH, 1, i);
        sent += put_number(DIAL_FAILED, 1, i);
        sent += put_number(END_RUN, 1, i);
    }
    say_number("states", sent);
}

static void runs(void)
{
    unsigned long sent = 0;
    for (unsigned i = 1; i <= 2000; i++) {
        uint8_t run[16] = {0x08, (uint8_t)(1 + i % 100), 0x12, 4, 'b', 'a', 's', 'h'};
        sent += put_kind(RUN, run, 8);
    }
    say_number("runs", sent);
}

/* As an answer to each dial that there may be, and as accepted ones. */
static void streams(void)
{
    unsigned long sent = 0;
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t data[8] = {STREAM << 3 | 2, 2, 0x08, (uint8_t)(i % 100)};
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
            break;
        sent += put(data, 4, pair, 1);
        close(pair[0]);
        if (i % 2)
            close(pair[1]); /* the others stay half open */
    }
    say_number("streams", sent);
}

static void endpoints(void)
{
    unsigned long sent = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t data[64];
        int n = snprintf((char *)data + 2, sizeof data - 2, "203.0.113.%u:%u", i % 250, 1000 + i);
        data[0] = 0x0a;
        data[1] = (uint8_t)n;
        sent += put_kind(ENDPOINTS, data, (size_t)n + 2);
    }
    say_number("endpoints", sent);
}

/* A listening socket that listens no more is one that can connect: 127.0.0.1 or ::1, port 12345. */
static void reach(const char *what, bool by_sending)
{
    struct sockaddr_storage name = {0};
    socklen_t size = sizeof name;
    int fd = first_listener(), error = 0;
    if (fd < 0 || shutdown(fd, SHUT_RDWR) != 0 ||
        getsockname(fd, (struct sockaddr *)&name, &size) != 0)
        return bomb_says("no listener\n");
    struct sockaddr_in to4 = {AF_INET, htons(12345), {htonl(INADDR_LOOPBACK)}, {0}};
    struct sockaddr_in6 to6 = {AF_INET6, htons(12345), 0, IN6ADDR_LOOPBACK_INIT, 0};
    bool v4 = name.ss_family == AF_INET;
    const struct sockaddr *to = v4 ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6;
    size = v4 ? sizeof to4 : sizeof to6;
    long r = by_sending ? sendto(fd, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, to, size)
                        : connect(fd, to, size);
    if (r < 0 && errno != EINPROGRESS)
        return say_number(what, (unsigned long)errno);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    poll(&p, 1, 3000);
    size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    size = sizeof name;
    if (error == 0 && getpeername(fd, (struct sockaddr *)&name, &size) != 0)
        error = errno;
    say_number(what, (unsigned long)error); /* 0: it is connected */
    shutdown(fd, SHUT_RDWR);
}
static void connect_out(void)
{
    reach("connect", false);
}
static void send_out(void)
{
    reach("send", true);
}

static const struct {
    const char *name;
    void (*fn)(void);
} bombs[] = {{"threads", threads}, {"memory", memory}, {"shared-memory", shared_memory},
    {"socket-memory", socket_memory}, {"disk", disk}, {"huge-file", huge_file},
    {"hidden-disk", hidden_disk}, {"logs", logs}, {"calls", calls}, {"frames", frames},
    {"descriptors", descriptors}, {"states", states}, {"runs", runs}, {"streams", streams},
    {"endpoints", endpoints}, {"connect-out", connect_out}, {"send-out", send_out}};

int bomb(const char *name)
{
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++)
        if (strcmp(bombs[i].name, name) == 0) {
            bombs[i].fn();
            return 1;
        }
    return 0;
}
