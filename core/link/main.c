/* clan-link: every Noise session of one clan on this machine. */
#include "link.h"

#include "base/log.h"
#include "wire/warden_requests.h"

int main(void)
{
    log_init(CHILD_FD_LOG, LOG_LEVEL_INFO);
    return link_run(CHILD_FD_CHANNEL);
}
