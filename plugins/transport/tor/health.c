/* Tor's bootstrap phases, warnings, liveness and clock, told in plain words. */
#include "health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKEW_MAX_S (100l * 365 * 86400)

/* REASON of control-spec.txt, 4.1.10: what happened, and what helps. */
static const char *reason_text(const char *reason)
{
    static const struct {
        const char *reason, *text;
    } rows[] = {
        {"NOROUTE", "this computer has no way into the internet; see its network"},
        {"TIMEOUT", "no relay answers; if the network here keeps Tor out, a bridge helps"},
        {"CONNREFUSED", "relays refuse; if the network here keeps Tor out, a bridge helps"},
        {"CONNECTRESET", "connections are cut; if the network here keeps Tor out, a bridge helps"},
        {"IDENTITY",
            "another computer answers in place of a relay; see the network, or the bridge"},
        {"PT_MISSING", "its bridge needs a pluggable transport: set proxy-NAME, or take another"},
        {"RESOURCELIMIT", "this computer has no memory or descriptors left for it"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].reason, reason) == 0)
            return rows[i].text;
    return NULL;
}

static bool take_skew(struct health *h, const char *text)
{
    char number[16], *end;
    if (!control_value(text, "SKEW", number, sizeof number))
        return false;
    long s = strtol(number, &end, 10);
    if (*end || end == number || labs(s) > SKEW_MAX_S)
        return false;
    h->skew_s = s;
    return true;
}

bool health_event(struct health *h, const char *text)
{
    struct control_bootstrap b;
    if (strncmp(text, "NETWORK_LIVENESS ", 17) == 0) {
        h->offline = strcmp(text + 17, "DOWN") == 0;
        return true;
    }
    if (strncmp(text, "STATUS_GENERAL ", 15) == 0)
        return strstr(text, " CLOCK_SKEW ") && take_skew(h, text);
    if (!control_bootstrap(text, &b))
        return false;
    h->start = b;
    if (b.progress == 100) { /* it came through, whatever was in the way */
        h->offline = false;
        h->skew_s = 0;
    }
    return true;
}

static void skew_text(const struct health *h, char ret_text[HEALTH_TEXT])
{
    long s = labs(h->skew_s);
    bool days = s >= 2 * 86400, hours = s >= 2 * 3600;
    long n = days ? s / 86400 : hours ? s / 3600 : s / 60 + 1;
    snprintf(ret_text, HEALTH_TEXT,
        "the clock of this computer is %ld %s %s, and Tor needs the time; set it: timedatectl "
        "set-ntp true",
        n,
        days    ? "days"
        : hours ? "hours"
                : "min",
        h->skew_s > 0 ? "ahead" : "behind");
}

bool health_text(const struct health *h, char ret_text[HEALTH_TEXT])
{
    const struct control_bootstrap *b = &h->start;
    const char *why = b->warns ? reason_text(b->reason) : NULL;
    ret_text[0] = 0;
    if (!why)
        why = b->warns && b->why[0] ? b->why : b->summary;
    if (b->progress < 100 && h->skew_s)
        skew_text(h, ret_text);
    else if (b->progress < 100 && h->stalled && !b->warns)
        snprintf(ret_text, HEALTH_TEXT,
            "Tor is connecting, %u %%, and nothing answers; see that this computer is online; if "
            "the "
            "network here keeps Tor out, a bridge helps",
            b->progress);
    else if (b->progress < 100)
        snprintf(ret_text, HEALTH_TEXT, "Tor is connecting, %u %%%s%.140s", b->progress,
            why[0] ? ": " : "", why);
    else if (h->offline)
        snprintf(ret_text, HEALTH_TEXT,
            "nothing comes from the Tor network any more; see that this computer is online");
    else if (h->unfound)
        snprintf(ret_text, HEALTH_TEXT,
            "other machines do not find this one by Tor (%s); its place is published anew",
            h->unfound_why);
    else
        return true;
    return false;
}
