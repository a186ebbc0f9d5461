// My plugin: byte streams over TCP; an endpoint is ADDRESS:PORT or [ADDRESS]:PORT.
#include <clan/transport.h>

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <new>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace
{

constexpr size_t dials_max = 64;

// ---- endpoints: texts from other machines, so nothing in them is trusted ----

struct Address {
    sockaddr_storage at{};
    socklen_t size = 0;
};

bool parse_port(const std::string &text, in_port_t *ret_port)
{
    unsigned long port = 0;
    if (text.empty() || text.size() > 5 || text[0] == '0' ||
        text.find_first_not_of("0123456789") != std::string::npos)
        return false;
    for (char c : text)
        port = port * 10 + static_cast<unsigned long>(c - '0');
    *ret_port = htons(static_cast<uint16_t>(port));
    return port <= 65535;
}

bool parse(const std::string &text, Address *ret_address)
{
    bool six = !text.empty() && text[0] == '[';
    size_t end = text.find(six ? "]:" : ":");
    in_port_t port = 0;
    if (end == std::string::npos || !parse_port(text.substr(end + (six ? 2 : 1)), &port))
        return false;
    std::string host = six ? text.substr(1, end - 1) : text.substr(0, end);
    if (six) {
        auto *a = reinterpret_cast<sockaddr_in6 *>(&ret_address->at);
        a->sin6_family = AF_INET6;
        a->sin6_port = port;
        ret_address->size = sizeof *a;
        return inet_pton(AF_INET6, host.c_str(), &a->sin6_addr) == 1;
    }
    auto *a = reinterpret_cast<sockaddr_in *>(&ret_address->at);
    a->sin_family = AF_INET;
    a->sin_port = port;
    ret_address->size = sizeof *a;
    return inet_pton(AF_INET, host.c_str(), &a->sin_addr) == 1;
}

// IPv4 comes as ::ffff:a.b.c.d
std::string print(const in6_addr &address, unsigned port)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        inet_ntop(AF_INET, &address.s6_addr[12], host, sizeof host);
        return std::string(host) + ":" + std::to_string(port);
    }
    inet_ntop(AF_INET6, &address, host, sizeof host);
    return std::string("[") + host + "]:" + std::to_string(port);
}

unsigned port_of(int listen_fd)
{
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    if (getsockname(listen_fd, reinterpret_cast<sockaddr *>(&at), &size) != 0)
        return 0;
    return ntohs(at.ss_family == AF_INET ? reinterpret_cast<sockaddr_in *>(&at)->sin_port
                                         : reinterpret_cast<sockaddr_in6 *>(&at)->sin6_port);
}

// ---- streams ----

class Plugin;

// One dial, from connect to the answer.  Its socket is closed with it, unless it was taken out.
class Dial
{
  public:
    Dial(Plugin &plugin, uint32_t request, std::string endpoint)
        : plugin_(plugin), request_(request), endpoint_(std::move(endpoint))
    {
    }
    Dial(const Dial &) = delete;
    Dial &operator=(const Dial &) = delete;
    ~Dial();
    clan_status begin(const Address &to, uint32_t timeout_ms);

  private:
    static void on_late(void *user);
    static void on_connected(void *user, int32_t fd, uint32_t events);
    Plugin &plugin_;
    uint32_t request_;
    std::string endpoint_;
    int fd_ = -1;
    uint64_t timer_ = 0;
};

class Plugin
{
  public:
    Plugin(const clan_host *host, const clan_config *config)
        : host_(host), clan_(clan_transport_host_get(host)),
          listen_fds_(config->listen_fds, config->listen_fds + config->listen_count)
    {
    }
    clan_status start(clan_error *reterr);
    void stop();
    clan_status dial(
        uint32_t request, const char *endpoint, uint32_t timeout_ms, clan_error *reterr);
    void cancel(uint32_t request)
    {
        dials_.erase(request);
    }
    void fail(uint32_t request, clan_status status, const char *why);
    void offer(uint32_t request, int fd, const char *remote)
    {
        clan_->offer_stream(host_->host_data, request, fd, remote); // it takes fd in every case
    }
    void endpoints(
        const uint8_t *local, uint32_t count, void (*add)(void *, const char *), void *user) const;
    const clan_host *host() const
    {
        return host_;
    }

  private:
    static void on_caller(void *user, int32_t fd, uint32_t events);
    const clan_host *host_;
    const clan_transport_host *clan_;
    std::vector<int> listen_fds_;
    std::map<uint32_t, std::unique_ptr<Dial>> dials_;
};

Dial::~Dial()
{
    clan_timer_stop(plugin_.host(), timer_);
    if (fd_ >= 0) {
        clan_io_unwatch(plugin_.host(), fd_);
        close(fd_);
    }
}

clan_status Dial::begin(const Address &to, uint32_t timeout_ms)
{
    fd_ = socket(to.at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || (connect(fd_, reinterpret_cast<const sockaddr *>(&to.at), to.size) != 0 &&
                       errno != EINPROGRESS))
        return CLAN_E_UNREACHABLE;
    clan_status st = clan_timer_start(plugin_.host(), timeout_ms, on_late, this, &timer_);
    return st == CLAN_OK ? clan_io_watch(plugin_.host(), fd_, CLAN_IO_WRITE, on_connected, this)
                         : st;
}

void Dial::on_late(void *user)
{
    auto *d = static_cast<Dial *>(user);
    d->plugin_.fail(d->request_, CLAN_E_TIMEOUT, "it did not answer in time");
}

void Dial::on_connected(void *user, int32_t fd, uint32_t)
{
    auto *d = static_cast<Dial *>(user);
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error) {
        d->plugin_.fail(d->request_, CLAN_E_UNREACHABLE, std::strerror(error));
        return;
    }
    clan_io_unwatch(d->plugin_.host(), fd);
    d->fd_ = -1;
    Plugin &plugin = d->plugin_;
    uint32_t request = d->request_;
    plugin.offer(request, fd, d->endpoint_.c_str());
    plugin.cancel(request);
}

void Plugin::fail(uint32_t request, clan_status status, const char *why)
{
    clan_error e = CLAN_ERROR_INIT;
    clan_error_set(&e, status, "the other machine cannot be reached", why, "see that it is on");
    cancel(request);
    clan_->dial_failed(host_->host_data, request, &e);
}

// No exception may leave a function that Clan calls.
clan_status Plugin::dial(
    uint32_t request, const char *endpoint, uint32_t timeout_ms, clan_error *reterr)
{
    Address to;
    try {
        if (!parse(endpoint, &to))
            return clan_error_set(reterr, CLAN_E_INVAL, "that is no endpoint of my-plugin",
                "it is not ADDRESS:PORT", "see that both machines have the same plugin");
        if (dials_.size() == dials_max)
            return clan_error_set(
                reterr, CLAN_E_LIMIT, "my-plugin cannot dial now", "it dials 64 times already", "");
        auto d = std::make_unique<Dial>(*this, request, endpoint);
        clan_status st = d->begin(to, timeout_ms);
        if (st != CLAN_OK)
            return clan_error_set(reterr, st, "that machine cannot be dialled",
                std::strerror(errno), "see that this computer has a network");
        dials_.emplace(request, std::move(d));
        return CLAN_OK;
    } catch (const std::bad_alloc &) {
        return clan_error_set(
            reterr, CLAN_E_NOMEM, "that machine cannot be dialled", "out of memory", nullptr);
    }
}

void Plugin::on_caller(void *user, int32_t fd, uint32_t)
{
    int stream = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (stream >= 0)
        static_cast<Plugin *>(user)->offer(0, stream, "");
}

clan_status Plugin::start(clan_error *reterr)
{
    for (int fd : listen_fds_) {
        clan_status st = clan_io_watch(host_, fd, CLAN_IO_READ, on_caller, this);
        if (st == CLAN_OK)
            continue;
        stop();
        return clan_error_set(reterr, st, "my-plugin cannot listen", "a socket cannot be watched",
            "shorten listen: in machine.yaml");
    }
    return CLAN_OK;
}

void Plugin::stop()
{
    for (int fd : listen_fds_)
        clan_io_unwatch(host_, fd);
    dials_.clear();
}

void Plugin::endpoints(
    const uint8_t *local, uint32_t count, void (*add)(void *, const char *), void *user) const
{
    unsigned port = listen_fds_.empty() ? 0 : port_of(listen_fds_.front());
    for (uint32_t i = 0; port && i < count; i++) {
        in6_addr address;
        std::memcpy(&address, local + i * sizeof address, sizeof address);
        add(user, print(address, port).c_str());
    }
}

// ---- what Clan calls ----

clan_status transport_start(void *instance, clan_error *reterr)
{
    return static_cast<Plugin *>(instance)->start(reterr);
}

void transport_stop(void *instance)
{
    static_cast<Plugin *>(instance)->stop();
}

clan_status transport_dial(
    void *instance, uint32_t request, const char *endpoint, uint32_t timeout_ms, clan_error *reterr)
{
    return static_cast<Plugin *>(instance)->dial(request, endpoint, timeout_ms, reterr);
}

void transport_cancel(void *instance, uint32_t request)
{
    static_cast<Plugin *>(instance)->cancel(request);
}

void transport_endpoints(void *instance, const uint8_t *local, uint32_t count,
    void (*add)(void *, const char *), void *user)
{
    try {
        static_cast<Plugin *>(instance)->endpoints(local, count, add, user);
    } catch (const std::bad_alloc &) {
        clan_log(static_cast<Plugin *>(instance)->host(), CLAN_LOG_WARN, "out of memory");
    }
}

const clan_transport_stream transport = {sizeof transport, 0, transport_start, transport_stop,
    transport_dial, transport_cancel, transport_endpoints};

clan_status create(
    const clan_host *host, const clan_config *config, void **ret_instance, clan_error *reterr)
{
    try {
        if (config->setting_count) {
            std::string key = clan_setting_at(config, 0)->key;
            return clan_error_set(reterr, CLAN_E_INVAL,
                ("my-plugin has no setting \"" + key + "\"").c_str(), "it has no settings at all",
                "remove that line");
        }
        *ret_instance = new Plugin(host, config);
        return CLAN_OK;
    } catch (const std::bad_alloc &) {
        return clan_error_set(
            reterr, CLAN_E_NOMEM, "my-plugin cannot start", "out of memory", nullptr);
    }
}

void destroy(void *instance)
{
    delete static_cast<Plugin *>(instance);
}

const void *get_interface(void *, const char *id)
{
    return std::strcmp(id, CLAN_TRANSPORT_STREAM) == 0 ? &transport : nullptr;
}

} // namespace

CLAN_PLUGIN_DEFINE(CLAN_KIND_TRANSPORT, "my-plugin", "0.1.0", "My plugin",
    "Connects machines by plain TCP.", 0, CLAN_ASKS("net.listen", "net.connect:lan"), "unknown",
    "unknown", create, destroy, get_interface)
