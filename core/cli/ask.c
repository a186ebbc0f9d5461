/* Questions and small forms of values. */
#include "cli/out.h"

#include "base/error.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

bool ask_possible(const struct cli *c)
{
    return c->in_tty && c->err_tty && !c->json;
}

void ask_on_terminal(struct cli *c)
{
    FILE *tty = c->in_tty || !c->err_tty || c->json ? NULL : fopen("/dev/tty", "re");
    if (!tty)
        return;
    c->in = tty; /* until the program ends */
    c->in_tty = true;
}

bool ask_line(struct cli *c, const char *prompt, char *ret, size_t cap)
{
    out_progress_end(c);
    fflush(c->out);
    fprintf(c->err, "%s", prompt);
    fflush(c->err);
    if (!fgets(ret, (int)cap, c->in)) {
        ret[0] = 0;
        return false;
    }
    size_t len = strlen(ret);
    while (len && isspace((unsigned char)ret[len - 1]))
        ret[--len] = 0;
    size_t lead = strspn(ret, " \t");
    memmove(ret, ret + lead, len - lead + 1);
    return true;
}

static clan_status nobody_to_ask(struct cli *c, const char *question)
{
    err_set(&c->e, CLAN_E_INVAL, "nobody can be asked: %s", question);
    err_why(&c->e, "standard input is not a terminal%s", c->json ? ", or --json was given" : "");
    err_remedy(&c->e, "say yes in advance with --yes, or run it on a terminal");
    return CLAN_E_INVAL;
}

static clan_status cancelled(struct cli *c)
{
    err_set(&c->e, CLAN_E_CANCELLED, "cancelled; nothing was changed");
    return CLAN_E_CANCELLED;
}

clan_status ask_go_on(struct cli *c, const char *question)
{
    char prompt[400], line[32];
    if (c->yes)
        return CLAN_OK;
    if (c->ask)
        return c->ask(c, question);
    if (!ask_possible(c))
        return nobody_to_ask(c, question);
    snprintf(prompt, sizeof prompt, "%s [y/N] ", question);
    if (!ask_line(c, prompt, line, sizeof line))
        return cancelled(c);
    return strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0 ? CLAN_OK : cancelled(c);
}

clan_status ask_type(struct cli *c, const char *what, const char *word)
{
    char prompt[400], line[128];
    if (c->yes)
        return CLAN_OK;
    snprintf(prompt, sizeof prompt, "%s Type %s to confirm: ", what, word);
    if (!ask_possible(c))
        return nobody_to_ask(c, what);
    if (!ask_line(c, prompt, line, sizeof line))
        return cancelled(c);
    return strcmp(line, word) == 0 ? CLAN_OK : cancelled(c);
}

const char *out_address(const uint8_t address[16], char ret[64])
{
    if (!inet_ntop(AF_INET6, address, ret, 64))
        ret[0] = 0;
    return ret;
}

const char *out_bytes(uint64_t bytes, char ret[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    unsigned u = 0;
    while (v >= 1024 && u < 4) {
        v /= 1024;
        u++;
    }
    snprintf(ret, 32, u && v < 10 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return ret;
}

const char *out_short(const char *text, char *ret, size_t cap)
{
    size_t at = 0;
    ret[0] = 0;
    while (*text && at + 1 < cap) {
        size_t len = strcspn(text, " ");
        if (len > 48) /* the longest of IPv6 has 47 */
            at += (size_t)snprintf(ret + at, cap - at, "%.12s...%.17s", text, text + len - 17);
        else
            at += (size_t)snprintf(ret + at, cap - at, "%.*s", (int)len, text);
        text += len;
        for (; *text == ' ' && at + 1 < cap; text++, at++)
            snprintf(ret + at, cap - at, " ");
    }
    return ret;
}

const char *out_rtt(uint32_t us, char ret[32])
{
    if (us == 0)
        snprintf(ret, 32, "-");
    else if (us < 10000)
        snprintf(ret, 32, "%.1f ms", us / 1000.0);
    else
        snprintf(ret, 32, "%u ms", us / 1000);
    return ret;
}

const char *out_time(int64_t wall, char ret[48])
{
    time_t t = (time_t)wall;
    struct tm tm;
    if (wall <= 0 || !localtime_r(&t, &tm) || !strftime(ret, 48, "%Y-%m-%d %H:%M", &tm))
        snprintf(ret, 48, "-");
    return ret;
}
