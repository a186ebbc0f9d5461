/* Which of the kernel's means for a sandbox there are on this machine. */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <clan/status.h>
#include <stdint.h>

/* Mechanisms that machine.yaml may allow to be missing: sandbox: {weaker: [landlock]} */
#define SANDBOX_WEAKER_LANDLOCK (1u << 0)
#define SANDBOX_WEAKER_NOTIFY   (1u << 1)
#define SANDBOX_WEAKER_CGROUP   (1u << 2)

/* Names the missing ones.  NOSYS when one is missing that is not in `weaker`. */
clan_status kernel_probe(uint32_t weaker, struct clan_error *reterr);

#endif
