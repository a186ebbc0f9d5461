// The service "Calendar": what its parts share.
#pragma once

#include <clan/service.h>

#include <cstdint>
#include <string>

namespace calendar
{

inline constexpr int not_installed = 3; // exit status of serve.py

// What Clan hands out, with its lifetime: a timer that stops when it goes.
class timer
{
  public:
    explicit timer(const clan_host *host) : host_(host)
    {
    }
    timer(const timer &) = delete;
    timer &operator=(const timer &) = delete;
    ~timer()
    {
        stop();
    }
    bool start(std::uint64_t delay_ms, clan_timer_fn *fn, void *user)
    {
        stop();
        return clan_timer_start(host_, delay_ms, fn, user, &id_) == CLAN_OK;
    }
    void stop()
    {
        clan_timer_stop(host_, id_);
        id_ = 0;
    }

  private:
    const clan_host *host_;
    std::uint64_t id_ = 0;
};

// Writes what the program reads: its configuration, its rights, and serve.py.  false: errno says why.
bool write_files(const std::string &state_dir, const std::string &volume_dir);

enum class phase { idle, asked, settling, up };

class service
{
  public:
    service(const clan_host *host, const clan_config &config);
    clan_status start(clan_error *error);
    void stop();
    void health(std::uint32_t request);

  private:
    static void on_started(void *user, std::uint32_t run, const clan_error *error);
    static void on_exited(void *user, std::uint32_t run, std::uint32_t status);
    static void on_settled(void *user);
    static void on_again(void *user);
    clan_status begin(clan_error *error);
    void again();
    void give_up(const char *why, const char *remedy);
    void tell(const clan_error *error);
    bool queue_stuck();

    const clan_host *host_;
    const clan_program_host *programs_;
    std::string state_dir_, volume_dir_;
    int listen_fd_;
    timer timer_;
    phase phase_ = phase::idle;
    std::uint32_t run_ = 0;
    unsigned failures_ = 0; // in a row
    unsigned backlog_ = 0;  // connections that waited at the last look
    unsigned bad_ = 0;      // looks in a row at which nobody took them
};

} // namespace calendar
