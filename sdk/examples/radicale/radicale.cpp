// The service "Calendar": Radicale from Debian, run, watched and started again.
#include "radicale.hpp"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <new>
#include <sys/socket.h>
#include <sys/wait.h>

namespace calendar
{

namespace
{
constexpr std::uint64_t settle_ms =
    1500; // what is wrong shows by then: Python reads its modules first
constexpr std::uint64_t backoff_ms = 100, backoff_max_ms = 10000;
constexpr unsigned failures_max = 6; // in a row, then Clan decides
constexpr unsigned bad_max = 3;      // looks at a queue that nobody serves
} // namespace

service::service(const clan_host *host, const clan_config &config)
    : host_(host), programs_(clan_program_host_get(host)), state_dir_(config.state_dir),
      volume_dir_(config.volume_dir),
      listen_fd_(config.listen_count ? config.listen_fds[config.listen_count - 1] : -1),
      timer_(host)
{
}

void service::tell(const clan_error *error)
{
    programs_->service_state(host_->host_data, error == nullptr, error);
}

void service::give_up(const char *why, const char *remedy)
{
    clan_error e = CLAN_ERROR_INIT;
    phase_ = phase::idle;
    clan_error_set(&e, CLAN_E_NOTRUNNING, "the calendar is not served", why, remedy);
    tell(&e);
}

clan_status service::begin(clan_error *error)
{
    if (!write_files(state_dir_, volume_dir_))
        return clan_error_set(error, CLAN_E_IO, "the calendar cannot be configured",
            std::strerror(errno), "see that the disk has room");
    phase_ = phase::asked;
    const clan_status st =
        programs_->run(host_->host_data, "radicale", on_started, on_exited, this, error);
    if (st != CLAN_OK)
        phase_ = phase::idle;
    return st;
}

void service::again()
{
    std::uint64_t delay = backoff_ms;
    for (unsigned i = 1; i < failures_ && delay < backoff_max_ms; i++)
        delay *= 2;
    phase_ = phase::idle;
    run_ = 0;
    if (!timer_.start(delay, on_again, this))
        give_up("the host has no timer left", "start the service again");
}

void service::on_again(void *user)
{
    auto *s = static_cast<service *>(user);
    clan_error e = CLAN_ERROR_INIT;
    if (s->begin(&e) != CLAN_OK)
        s->tell(&e);
}

void service::on_settled(void *user)
{
    auto *s = static_cast<service *>(user);
    s->phase_ = phase::up;
    s->tell(nullptr);
}

void service::on_started(void *user, std::uint32_t run, const clan_error *error)
{
    auto *s = static_cast<service *>(user);
    if (s->phase_ != phase::asked) {
        if (!error)
            s->programs_->end(s->host_->host_data, run); // stopped meanwhile
    } else if (error && error->status == CLAN_E_CANCELLED) {
        s->again();
    } else if (error) {
        s->phase_ = phase::idle;
        s->tell(error);
    } else {
        s->run_ = run;
        s->phase_ = phase::settling;
        if (!s->timer_.start(settle_ms, on_settled, s))
            on_settled(s);
    }
}

void service::on_exited(void *user, std::uint32_t run, std::uint32_t status)
{
    auto *s = static_cast<service *>(user);
    if (run != s->run_ || s->phase_ < phase::settling)
        return; // one that was stopped
    const int st = static_cast<int>(status);
    if (WIFEXITED(st) && WEXITSTATUS(st) == not_installed) {
        s->timer_.stop();
        s->give_up("Radicale is not installed", "apt install radicale");
        return;
    }
    const std::string why = WIFSIGNALED(st)
                                ? "Radicale was ended by signal " + std::to_string(WTERMSIG(st))
                                : "Radicale ended with status " + std::to_string(WEXITSTATUS(st));
    clan_log(s->host_, CLAN_LOG_WARN, why.c_str());
    s->failures_ = s->phase_ == phase::up ? 1 : s->failures_ + 1;
    if (s->failures_ < failures_max) {
        s->again();
    } else {
        s->timer_.stop();
        s->give_up((why + ", several times in a row").c_str(), "see: clan logs");
    }
}

clan_status service::start(clan_error *error)
{
    failures_ = 0;
    return begin(error);
}

void service::stop()
{
    timer_.stop();
    phase_ = phase::idle;
    if (run_)
        programs_->end(host_->host_data, run_);
    run_ = 0;
}

// Neither sandbox opens connections, so the listening socket's queue is looked at (tcp(7): TCP_INFO has the
// connections that nobody took in tcpi_unacked).
bool service::queue_stuck()
{
    tcp_info info{};
    socklen_t len = sizeof info;
    const unsigned before = backlog_;
    backlog_ = 0;
    if (listen_fd_ >= 0 && getsockopt(listen_fd_, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        backlog_ = info.tcpi_unacked;
    return before && backlog_;
}

void service::health(std::uint32_t request)
{
    const bool stuck = phase_ == phase::up && queue_stuck();
    const char *why = phase_ != phase::up ? "Radicale is being started"
                      : stuck             ? "Radicale takes no connections"
                                          : "";
    programs_->health_result(host_->host_data, request, !why[0], why);
    bad_ = stuck ? bad_ + 1 : 0;
    if (bad_ < bad_max)
        return;
    bad_ = 0;
    failures_++;
    programs_->end(host_->host_data, run_);
    again();
}

} // namespace calendar

// ---- the C side ----

using calendar::service;

static clan_status create(
    const clan_host *host, const clan_config *config, void **ret_instance, clan_error *error)
{
    if (config->setting_count) {
        const auto what =
            std::string("radicale has no setting \"") + clan_setting_at(config, 0)->key + "\"";
        return clan_error_set(
            error, CLAN_E_INVAL, what.c_str(), "it has no settings at all", "remove that line");
    }
    if (!config->state_dir[0] || !config->volume_dir[0])
        return clan_error_set(error, CLAN_E_GRANT, "radicale cannot start",
            "it has no directory for its state or no volume",
            "grant fs.state to radicale in machine.yaml");
    auto *s = new (std::nothrow) service(host, *config);
    if (!s)
        return clan_error_set(error, CLAN_E_NOMEM, "radicale cannot start", "out of memory", "");
    *ret_instance = s;
    return CLAN_OK;
}

static void destroy(void *instance)
{
    delete static_cast<service *>(instance);
}

static clan_status start(void *instance, clan_error *error)
{
    return static_cast<service *>(instance)->start(error);
}

static void stop(void *instance)
{
    static_cast<service *>(instance)->stop();
}

static void health(void *instance, std::uint32_t request)
{
    static_cast<service *>(instance)->health(request);
}

static const void *get_interface(void *, const char *id)
{
    static const clan_service table = {sizeof table, 0, start, stop, health};
    return std::strcmp(id, CLAN_SERVICE) == 0 ? &table : nullptr;
}

CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "radicale", "0.1.0", "Calendar",
    "Calendars and address books for everybody in the clan, on phones and computers.", 80,
    CLAN_ASKS("fs.state", "net.service", "exec:radicale"), "Clan's examples", "same as Clan",
    create, destroy, get_interface)
