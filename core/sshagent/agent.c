/* Talking to the agent of SSH_AUTH_SOCK: one request, one reply, within a time limit. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "sshagent/sshagent.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static clan_status no_agent(struct clan_error *e, const char *path)
{
    clan_status st = err_set(e, CLAN_E_NOTRUNNING, "there is no ssh-agent to sign with");
    if (path)
        err_why(e, "none listens at %.100s (SSH_AUTH_SOCK)", path);
    else
        err_why(e, "SSH_AUTH_SOCK is not set in this shell");
    err_remedy(e,
        "start one and add the key: `eval $(ssh-agent)`, `ssh-add -c FILE`; sudo passes it on "
        "with --preserve-env=SSH_AUTH_SOCK");
    return st;
}

clan_status sshagent_connect(int *ret_fd, struct clan_error *e)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("SSH_AUTH_SOCK");
    if (!path || !path[0])
        return no_agent(e, NULL);
    if (strlen(path) >= sizeof to.sun_path)
        return err_set(e, CLAN_E_LIMIT, "the path in SSH_AUTH_SOCK is too long for a socket");
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(e, CLAN_E_IO, "cannot make a socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return error == ENOENT || error == ECONNREFUSED
                   ? no_agent(e, path)
                   : err_errno(e, CLAN_E_IO, "cannot reach the ssh-agent at %.100s", path);
    }
    *ret_fd = fd;
    return CLAN_OK;
}

static clan_status late(struct clan_error *e)
{
    err_set(e, CLAN_E_TIMEOUT, "the ssh-agent did not answer in time");
    err_why(e, "it may be waiting for somebody to confirm, on another screen");
    err_remedy(e, "run the command again and answer the agent's question");
    return CLAN_E_TIMEOUT;
}

static clan_status nonsense(struct clan_error *e, clan_status st)
{
    if (st == CLAN_E_LIMIT) {
        err_set(e, st, "the ssh-agent holds more than %d Ed25519 keys", SSHAGENT_KEYS_MAX);
        err_remedy(e, "use an agent with fewer keys for Clan");
        return st;
    }
    err_set(e, CLAN_E_PROTO, "the ssh-agent gave an answer that is none");
    err_why(e, "what listens at SSH_AUTH_SOCK speaks another protocol, or is broken");
    err_remedy(e, "use OpenSSH's ssh-agent, or a key file");
    return CLAN_E_PROTO;
}

/* Until `end`; false when the time is over. */
static bool ready(int fd, short events, uint64_t end)
{
    uint64_t now;
    while ((now = clock_mono_ms()) < end) {
        struct pollfd p = {.fd = fd, .events = events};
        if (poll(&p, 1, (int)(end - now)) > 0)
            return true;
    }
    return false;
}

static clan_status transfer(
    int fd, bool out, uint8_t *data, size_t size, uint64_t end, struct clan_error *e)
{
    while (size) {
        if (!ready(fd, out ? POLLOUT : POLLIN, end))
            return late(e);
        ssize_t n = out ? send(fd, data, size, MSG_NOSIGNAL) : recv(fd, data, size, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return err_errno(e, CLAN_E_IO, "the ssh-agent ended the conversation");
        if (n == 0) {
            err_set(e, CLAN_E_IO, "the ssh-agent ended the conversation");
            err_why(e, "it closed its socket instead of answering; it may not be yours");
            err_remedy(e, "`ssh-add -l` shows whether it answers");
            return CLAN_E_IO;
        }
        data += n;
        size -= (size_t)n;
    }
    return CLAN_OK;
}

/* One request, one reply; *ret_reply is malloc'd. */
static clan_status ask(int fd, unsigned limit_ms, uint8_t *request, size_t size,
    uint8_t **ret_reply, size_t *ret_size, struct clan_error *e)
{
    uint64_t end = clock_mono_ms() + limit_ms;
    uint8_t head[4], *reply = NULL;
    uint32_t length = 0;
    clan_status st = transfer(fd, true, request, size, end, e);
    if (st == CLAN_OK)
        st = transfer(fd, false, head, sizeof head, end, e);
    if (st == CLAN_OK) {
        struct buf_reader r = buf_reader_of(head, sizeof head);
        length = buf_get_u32(&r);
        if (length == 0 || length > SSHAGENT_REPLY_MAX)
            return nonsense(e, CLAN_E_PROTO);
        reply = malloc(length);
        clan_assert(reply);
        st = transfer(fd, false, reply, length, end, e);
    }
    if (st != CLAN_OK) {
        free(reply);
        return st;
    }
    *ret_reply = reply;
    *ret_size = length;
    return CLAN_OK;
}

clan_status sshagent_list(
    int fd, unsigned limit_ms, struct sshagent_keys *ret, struct clan_error *e)
{
    uint8_t request[SSHAGENT_REQUEST_MAX], *reply;
    size_t size;
    clan_status st = ask(fd, limit_ms, request, sshagent_put_list(request), &reply, &size, e);
    if (st != CLAN_OK)
        return st;
    st = sshagent_parse_keys(reply, size, ret);
    free(reply);
    if (st == CLAN_E_PERM) {
        err_set(e, st, "the ssh-agent does not say which keys it has");
        err_why(e, "it refused to list them");
        err_remedy(e, "`ssh-add -l` shows whether it is open to you");
    } else if (st != CLAN_OK)
        nonsense(e, st);
    return st;
}

clan_status sshagent_sign(int fd, unsigned limit_ms, const uint8_t key[32], const void *text,
    size_t text_size, uint8_t ret_signature[64], struct clan_error *e)
{
    uint8_t request[SSHAGENT_REQUEST_MAX], *reply;
    char name[SSHAGENT_FINGERPRINT_MAX];
    size_t size;
    clan_status st = ask(
        fd, limit_ms, request, sshagent_put_sign(key, text, text_size, request), &reply, &size, e);
    if (st != CLAN_OK)
        return st;
    st = sshagent_parse_signature(reply, size, ret_signature);
    free(reply);
    if (st == CLAN_E_PERM) {
        sshagent_fingerprint(key, name);
        err_set(e, st, "the ssh-agent refused to sign with the key %s", name);
        err_why(
            e, "its question was answered with no, it cannot ask (SSH_ASKPASS), or it is locked");
        err_remedy(e, "`ssh-add -X` unlocks it; the agent asks where it was started");
    } else if (st != CLAN_OK)
        nonsense(e, st);
    return st;
}
