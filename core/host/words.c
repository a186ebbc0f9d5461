/* Last words of a plugin that ends the process while it is loaded: whoever starts it reads what to do. */
#include "host/host.h"

#include "base/log.h"
#include "wire/warden_requests.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
    int signal;
    const char *how;
} words_signals[] = {
    {SIGSEGV, "crashed (SIGSEGV)"},
    {SIGBUS, "crashed (SIGBUS)"},
    {SIGILL, "crashed (SIGILL)"},
    {SIGFPE, "crashed (SIGFPE)"},
    {SIGABRT, "aborted (SIGABRT)"},
};
#define WORDS_SIGNALS (sizeof words_signals / sizeof words_signals[0])

static char words_begin[160];
static const char words_end[] =
    ": one of its constructors is at fault (rebuild the plugin, or ask its author)";
static volatile sig_atomic_t words_armed;
static struct sigaction words_old[WORDS_SIGNALS];

/* In a signal handler: only what is safe there. */
static void say(const char *how)
{
    const char *parts[] = {words_begin, how, words_end};
    char text[sizeof words_begin + 32 + sizeof words_end];
    size_t n = 0;
    for (int i = 0; i < 3; i++)
        for (const char *c = parts[i]; *c && n < sizeof text; c++)
            text[n++] = *c;
    send(CHILD_FD_LOG, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The signal comes again and ends the process (SA_RESETHAND). */
static void on_crash(int sig)
{
    for (size_t i = 0; i < WORDS_SIGNALS; i++)
        if (words_signals[i].signal == sig)
            say(words_signals[i].how);
}

static void on_exit_early(void)
{
    if (words_armed)
        say("ended the process");
}

void host_words_begin(const struct host *h)
{
    struct sigaction crash = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND};
    snprintf(words_begin, sizeof words_begin, "%uplugin %s %s cannot be loaded: it ",
        (unsigned)LOG_LEVEL_ERROR, h->id, h->note.version);
    words_armed = 1;
    atexit(on_exit_early);
    for (size_t i = 0; i < WORDS_SIGNALS; i++)
        sigaction(words_signals[i].signal, &crash, &words_old[i]);
}

void host_words_end(void)
{
    words_armed = 0;
    for (size_t i = 0; i < WORDS_SIGNALS; i++)
        sigaction(words_signals[i].signal, &words_old[i], NULL);
}
