/* A plugin whose constructor misbehaves: it must be refused, named, and still load. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static char words[200];

__attribute__((visibility("default"))) const char *evil_words(void);
const char *evil_words(void)
{
    return words;
}

__attribute__((constructor)) static void misbehave(void)
{
    int shadow = open("/etc/shadow", O_RDONLY) < 0 ? errno : 0;
    int make = open("/usr/lib/evil.so", O_WRONLY | O_CREAT, 0755) < 0 ? errno : 0;
    int net = socket(AF_INET, SOCK_DGRAM, 0) < 0 ? errno : 0;
    int unix_socket = socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
    int child = vfork() < 0 ? errno : 0;
    int code =
        mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
            ? errno
            : 0;
    snprintf(words, sizeof words, "shadow %d make %d net %d unix %d fork %d code %d", shadow, make,
        net, unix_socket, child, code);
}
