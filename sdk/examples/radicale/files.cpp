// What Radicale reads: written anew at each start, below the plugin's state, which the program cannot change.
#include "radicale.hpp"
#include "serve_py.hpp"

#include <cstdio>
#include <memory>
#include <sys/stat.h>

namespace calendar
{

namespace
{

// Who is let in is decided by `allow:` of the service; Radicale asks nobody for a password.
constexpr char config[] =
    R"(# Written by Clan's plugin "radicale" each time it starts; changes are lost.
[auth]
type = none
[rights]
type = from_file
file = @STATE@/rights
[storage]
filesystem_folder = @VOLUME@/collections
[logging]
level = warning
)";

constexpr char rights[] = R"([everybody]
user: .*
collection: .*
permissions: RrWw
)";

std::string filled(std::string text, const std::string &mark, const std::string &value)
{
    for (auto at = text.find(mark); at != std::string::npos;
         at = text.find(mark, at + value.size()))
        text.replace(at, mark.size(), value);
    return text;
}

struct closer {
    void operator()(std::FILE *f) const
    {
        std::fclose(f);
    }
};

// Complete under its name or not at all.  The program reads it by its group.
bool write_file(const std::string &path, const std::string &text)
{
    const std::string part = path + ".new";
    std::unique_ptr<std::FILE, closer> f(std::fopen(part.c_str(), "we"));
    if (!f || fchmod(fileno(f.get()), 0640) != 0 ||
        std::fwrite(text.data(), 1, text.size(), f.get()) != text.size())
        return false;
    return std::fclose(f.release()) == 0 && std::rename(part.c_str(), path.c_str()) == 0;
}

} // namespace

bool write_files(const std::string &state_dir, const std::string &volume_dir)
{
    const auto conf = filled(filled(config, "@STATE@", state_dir), "@VOLUME@", volume_dir);
    return write_file(state_dir + "/radicale.conf", conf) &&
           write_file(state_dir + "/rights", rights) &&
           write_file(state_dir + "/serve.py", serve_py);
}

} // namespace calendar
