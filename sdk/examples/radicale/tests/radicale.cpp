// The calendar against the SDK's mock host, with the real Radicale: a calendar, an event, a killed program.
#include <clan/mock.h>

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static std::uint16_t port;
static mock *running; // its program must not outlive a failure

static void must(bool fine, int line, const char *text)
{
    if (fine)
        return;
    std::fprintf(stderr, "line %d: %s\n", line, text);
    if (running && running->last_pid > 0)
        kill(running->last_pid, SIGKILL);
    std::exit(1);
}
#define MUST(condition) must(condition, __LINE__, #condition)

static int listener()
{
    sockaddr_in a{};
    socklen_t len = sizeof a;
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    MUST(bind(fd, reinterpret_cast<sockaddr *>(&a), sizeof a) == 0 && listen(fd, 16) == 0);
    getsockname(fd, reinterpret_cast<sockaddr *>(&a), &len);
    port = ntohs(a.sin_port);
    return fd;
}

static std::string ask(const std::string &method, const std::string &path,
    const std::string &body = "", const std::string &more = "",
    const std::string &host = "calendar.home.clan")
{
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval wait{10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    MUST(connect(fd, reinterpret_cast<sockaddr *>(&a), sizeof a) == 0);
    const std::string text = method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + more +
                             "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    MUST(send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    std::string answer;
    char part[4096];
    for (ssize_t n; (n = recv(fd, part, sizeof part, 0)) > 0;)
        answer.append(part, static_cast<std::size_t>(n));
    close(fd);
    return answer;
}

static bool has(const std::string &text, const char *word)
{
    if (text.find(word) == std::string::npos)
        std::fprintf(stderr, "no \"%s\" in: %s\n", word, text.c_str());
    return text.find(word) != std::string::npos;
}

static bool up_again(mock *m, void *arg)
{
    return m->runs > *static_cast<unsigned *>(arg);
}

int main()
{
    if (std::system(PYTHON " -I -c 'import radicale' 2>/dev/null") != 0) {
        std::printf("SKIP: Radicale is not installed (apt install radicale)\n");
        return 77;
    }
    char state[] = "/tmp/radicale-s-XXXXXX", volume[] = "/tmp/radicale-v-XXXXXX";
    MUST(mkdtemp(state) && mkdtemp(volume));
    const int fd = listener();
    const std::string script = std::string(state) + "/serve.py";
    clan_error e = CLAN_ERROR_INIT;
    clan_setting odd{"colour", "blue"};
    clan_config c{};
    c.struct_size = sizeof c;
    c.setting_size = sizeof odd;
    c.listen_count = 1;
    c.listen_fds = &fd;
    c.instance = "calendar";
    c.clan = c.machine = "";
    c.state_dir = state;
    c.volume_dir = volume;
    c.settings = &odd;
    c.setting_count = 1;
    MUST(!mock_open(PLUGIN, &c, &e) && has(e.what, "colour"));
    c.setting_count = 0;

    mock *m = running = mock_new();
    const char *argv[] = {PYTHON, "-I", "-B", script.c_str(), volume};
    std::copy(std::begin(argv), std::end(argv), m->argv);
    m->program_fd = fd;
    e = CLAN_ERROR_INIT;
    MUST(mock_create(m, PLUGIN, &c, &e) == CLAN_OK);
    const auto *s = static_cast<const clan_service *>(mock_interface(m, CLAN_SERVICE));
    mock_event ev;
    MUST(s->start(m->instance, &e) == CLAN_OK);
    s->health(m->instance, 1);
    MUST(mock_wait(m, 1000, MOCK_HEALTH, &ev) && !ev.value);
    MUST(mock_wait(m, 20000, MOCK_SERVICE_STATE, &ev) && ev.value == 1);
    s->health(m->instance, 2);
    MUST(mock_wait(m, 1000, MOCK_HEALTH, &ev) && ev.value == 1);

    const std::string event =
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:1\r\n"
        "DTSTAMP:20260101T000000Z\r\nDTSTART:20260704T180000Z\r\n"
        "SUMMARY:Village feast\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    MUST(has(ask("PROPFIND", "/clan/", "", "Depth: 1\r\n"), "/clan/calendar/"));
    MUST(has(ask("MKCALENDAR", "/clan/school/"), "201"));
    MUST(has(
        ask("PUT", "/clan/calendar/feast.ics", event, "Content-Type: text/calendar\r\n"), "201"));
    MUST(has(ask("GET", "/clan/calendar/feast.ics"), "Village feast"));
    MUST(has(ask("GET", "/clan/", "", "", "evil.example"), "403"));
    MUST(has(ask("PUT", "/clan/calendar/x.ics", "", "Transfer-Encoding: chunked\r\n"), "411"));

    unsigned before = m->runs;
    kill(m->last_pid, SIGKILL);
    MUST(mock_run(m, 10000, up_again, &before));
    MUST(has(ask("GET", "/clan/calendar/feast.ics"), "Village feast"));
    MUST(mock_wait(m, 20000, MOCK_SERVICE_STATE, &ev) && ev.value == 1);
    s->stop(m->instance);
    MUST(mock_timers(m) == 0);
    mock_close(m);
    MUST(std::system(("rm -r " + std::string(state) + " " + volume).c_str()) == 0);
    std::printf("a calendar was served, and again after its program was killed\n");
    return 0;
}
