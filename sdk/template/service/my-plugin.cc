// My plugin: answers HTTP at the address of its service.
#include <clan/service.h>

#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_map>

namespace
{

constexpr size_t visitors_max = 64;
constexpr size_t request_max = 4096;     // bytes
constexpr uint64_t visit_max_ms = 10000; // who has not finished asking by then is gone
constexpr size_t greeting_max = 200;

class Plugin;

// One connection, from accept to close.
class Visitor
{
  public:
    Visitor(Plugin &plugin, int fd) : plugin_(plugin), fd_(fd)
    {
    }
    Visitor(const Visitor &) = delete;
    Visitor &operator=(const Visitor &) = delete;
    ~Visitor();
    clan_status begin();

  private:
    static void on_request(void *user, int32_t fd, uint32_t events);
    static void on_late(void *user);
    bool read_more(); // false: nothing more to come
    Plugin &plugin_;
    int fd_;
    uint64_t timer_ = 0;
    std::string request_;
};

class Plugin
{
  public:
    Plugin(const clan_host *host, const clan_config *config)
        : host_(host), clan_(clan_program_host_get(host)),
          listen_fd_(config->listen_fds[config->listen_count - 1]),
          greeting_(std::string("Hello from ") + config->instance + " on " + config->machine)
    {
    }
    clan_status take_settings(const clan_config *config, clan_error *reterr);
    clan_status start(clan_error *reterr);
    void stop();
    void health(uint32_t request)
    {
        clan_->health_result(host_->host_data, request, 1, "");
    }
    void gone(int fd)
    {
        visitors_.erase(fd);
    }
    const clan_host *host() const
    {
        return host_;
    }
    const std::string &greeting() const
    {
        return greeting_;
    }

  private:
    static void on_visitor(void *user, int32_t fd, uint32_t events);
    const clan_host *host_;
    const clan_program_host *clan_;
    int listen_fd_;
    std::string greeting_;
    std::unordered_map<int, std::unique_ptr<Visitor>> visitors_;
};

Visitor::~Visitor()
{
    clan_timer_stop(plugin_.host(), timer_);
    clan_io_unwatch(plugin_.host(), fd_);
    close(fd_);
}

clan_status Visitor::begin()
{
    clan_status st = clan_timer_start(plugin_.host(), visit_max_ms, on_late, this, &timer_);
    return st == CLAN_OK ? clan_io_watch(plugin_.host(), fd_, CLAN_IO_READ, on_request, this) : st;
}

bool Visitor::read_more()
{
    char text[1024];
    ssize_t n = read(fd_, text, sizeof text);
    if (n <= 0 || request_.size() + static_cast<size_t>(n) > request_max)
        return false;
    request_.append(text, static_cast<size_t>(n));
    if (request_.find("\r\n\r\n") == std::string::npos)
        return true;
    // Smaller than any socket's buffer: what cannot be written at once has no reader.
    std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
        std::to_string(plugin_.greeting().size() + 1) + "\r\nConnection: close\r\n\r\n" +
        plugin_.greeting() + "\n";
    if (send(fd_, answer.data(), answer.size(), MSG_NOSIGNAL) < 0)
        clan_log(plugin_.host(), CLAN_LOG_DEBUG, "a visitor left early");
    return false;
}

// No exception may leave a function that Clan calls.
void Visitor::on_request(void *user, int32_t fd, uint32_t)
{
    auto *v = static_cast<Visitor *>(user);
    bool more = false;
    try {
        more = v->read_more();
    } catch (const std::bad_alloc &) {
        clan_log(v->plugin_.host(), CLAN_LOG_WARN, "out of memory: a visitor was sent away");
    }
    if (!more)
        v->plugin_.gone(fd);
}

void Visitor::on_late(void *user)
{
    auto *v = static_cast<Visitor *>(user);
    v->timer_ = 0;
    v->plugin_.gone(v->fd_);
}

void Plugin::on_visitor(void *user, int32_t fd, uint32_t)
{
    auto *p = static_cast<Plugin *>(user);
    int visitor_fd = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (visitor_fd < 0)
        return;
    if (p->visitors_.size() == visitors_max) {
        close(visitor_fd);
        return;
    }
    try {
        std::unique_ptr<Visitor> visitor(new (std::nothrow) Visitor(*p, visitor_fd));
        if (!visitor)
            close(visitor_fd);
        else if (visitor->begin() == CLAN_OK)
            p->visitors_.emplace(visitor_fd, std::move(visitor));
    } catch (const std::bad_alloc &) {
        clan_log(p->host_, CLAN_LOG_WARN, "out of memory: a visitor was sent away");
    }
}

clan_status Plugin::start(clan_error *reterr)
{
    clan_status st = clan_io_watch(host_, listen_fd_, CLAN_IO_READ, on_visitor, this);
    if (st != CLAN_OK)
        return clan_error_set(reterr, st, "my-plugin cannot serve",
            "the listening socket cannot be watched", "restart the service");
    clan_->service_state(host_->host_data, 1, nullptr);
    return CLAN_OK;
}

void Plugin::stop()
{
    clan_io_unwatch(host_, listen_fd_);
    visitors_.clear();
}

clan_status Plugin::take_settings(const clan_config *config, clan_error *reterr)
{
    for (uint32_t i = 0; i < config->setting_count; i++) {
        const clan_setting *s = clan_setting_at(config, i);
        if (std::strcmp(s->key, "greeting") != 0) {
            std::string what = std::string("my-plugin has no setting \"") + s->key + "\"";
            return clan_error_set(reterr, CLAN_E_INVAL, what.c_str(), "it knows greeting",
                "remove that line or correct its spelling");
        }
        greeting_ = s->value;
        if (greeting_.size() > greeting_max)
            return clan_error_set(reterr, CLAN_E_INVAL, "the setting \"greeting\" is too long",
                "200 bytes are the most", "shorten it");
    }
    return CLAN_OK;
}

// ---- what Clan calls ----

clan_status service_start(void *instance, clan_error *reterr)
{
    return static_cast<Plugin *>(instance)->start(reterr);
}

void service_stop(void *instance)
{
    static_cast<Plugin *>(instance)->stop();
}

void service_health(void *instance, uint32_t request)
{
    static_cast<Plugin *>(instance)->health(request);
}

const clan_service service = {sizeof service, 0, service_start, service_stop, service_health};

clan_status create(
    const clan_host *host, const clan_config *config, void **ret_instance, clan_error *reterr)
{
    if (config->listen_count == 0)
        return clan_error_set(reterr, CLAN_E_GRANT, "my-plugin cannot serve",
            "it was given no socket", "grant net.service to my-plugin in machine.yaml");
    try {
        auto plugin = std::make_unique<Plugin>(host, config);
        clan_status st = plugin->take_settings(config, reterr);
        if (st == CLAN_OK)
            *ret_instance = plugin.release();
        return st;
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
    return std::strcmp(id, CLAN_SERVICE) == 0 ? &service : nullptr;
}

} // namespace

CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "my-plugin", "0.1.0", "My plugin",
    "Says hello to whoever opens it.", 80, CLAN_ASKS("net.service"), "unknown", "unknown", create,
    destroy, get_interface)
