/* One TCP flow and pings through two clan-links: `link_pair CLAN-LINK [seconds]`. */
#include "lab/link_lab.h"

#include <stdio.h>
#include <string.h>

static void pings(const char *name, const char *address)
{
    char shell[512];
    snprintf(shell, sizeof shell,
        "ping -c 300 -i 0.01 %s | sed -n 's/.*time=\\([0-9.]*\\).*/\\1/p' | sort -n | "
        "awk '{t[NR]=$1} END {print \"%s: p50\", t[int(NR/2)], \"p99\", t[int(NR*0.99)], \"ms\"}'",
        address, name);
    lab_try(0, shell);
}

int main(int argc, char **argv)
{
    char shell[512];
    if (argc < 2) {
        fprintf(stderr, "usage: link_pair CLAN-LINK [seconds]\n");
        return 2;
    }
    int seconds = argc > 2 ? atoi(argv[2]) : 5;
    lab_start(argv[1]);
    lab_session(0, clan_link_Purpose_PURPOSE_LINK);
    printf("links %d %d\n", (int)lab[0].pid, (int)lab[1].pid);
    fflush(stdout);
    pings("overlay, idle", lab[1].address);
    pings("veth, idle", "10.77.0.2");
    lab_run(1, "iperf3 -s -D -I /tmp/link_pair.pid >/dev/null");
    for (int reverse = 0; reverse < 2; reverse++) {
        snprintf(shell, sizeof shell,
            "for i in 1 2 3 4 5 6 7 8 9 10; do iperf3 -6 -c %s -t %d -f m %s >/tmp/link_pair.out "
            "&& break; "
            "sleep 0.1; done; grep -E 'sender|receiver' /tmp/link_pair.out",
            lab[1].address, seconds, reverse ? "-R" : "");
        if (lab_try(0, shell) != 0)
            break;
    }
    snprintf(shell, sizeof shell, "iperf3 -6 -c %s -t 3 >/dev/null & echo $! >/tmp/link_pair.load",
        lab[1].address);
    lab_try(0, shell);
    pings("overlay, loaded", lab[1].address);
    lab_try(0, "kill $(cat /tmp/link_pair.load)");
    lab_try(1, "kill $(cat /tmp/link_pair.pid)");
    for (int i = 0; i < 2; i++) {
        static const char *const names[] = {
#define NAME(name, text) #name,
            LINK_COUNTER_TABLE(NAME)};
        for (int c = 0; c < LINK_COUNTERS; c++) {
            uint64_t v = lab_counter(i, c);
            if (v)
                printf("link %d %s %llu\n", i, names[c], (unsigned long long)v);
        }
    }
    lab_end();
    return 0;
}
