/* clan-link: every Noise session of one clan on this machine. */
#include "link.h"

#include "base/log.h"
#include "base/title.h"
#include "wire/warden_requests.h"

#include <sys/prctl.h>

int main(int argc, char **argv)
{
    if (argc > 1)
        title_keep(argv[1]);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core file and no ptrace: this memory holds keys */
    log_init(CHILD_FD_LOG, LOG_LEVEL_INFO);
    return link_run(CHILD_FD_CHANNEL);
}
