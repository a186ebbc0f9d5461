/* Attempts on the kernel's rarer doors: keys, rings, programs, modules, clocks, queues. */
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdint.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static char zero[256];

#define CALL(name, ...)                                                                            \
    static int name(void)                                                                          \
    {                                                                                              \
        return result(syscall(__VA_ARGS__));                                                       \
    }
CALL(ring, SYS_io_uring_setup, 8, (char[256]){0})
CALL(ring_enter, SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0)
CALL(keyring, SYS_keyctl, KEYCTL_GET_KEYRING_ID, -3 /* session */, 1)
CALL(new_key, SYS_add_key, "user", "clan", "x", 1, -2 /* process */)
CALL(ask_key, SYS_request_key, "user", "clan", NULL, -2)
CALL(ebpf, SYS_bpf, 0, (uint32_t[32]){2, 4, 4, 1}, 128)
CALL(perf, SYS_perf_event_open, (uint32_t[32]){1, 128}, 0, -1, -1, 0)
CALL(new_kernel, SYS_kexec_load, 0, 0, NULL, 0)
CALL(new_kernel_file, SYS_kexec_file_load, -1, -1, 0, NULL, 0)
CALL(module, SYS_init_module, zero, sizeof zero, "")
CALL(module_file, SYS_finit_module, 5, "", 0)
CALL(no_module, SYS_delete_module, "clan_escape_none", O_NONBLOCK)
CALL(restart, SYS_reboot, 0xfee1dead, 672274793, 0 /* CAD_OFF */, NULL)
CALL(swap, SYS_swapon, "/state/none", 0)
CALL(no_swap, SYS_swapoff, "/state/none")
CALL(accounting, SYS_acct, "/state/none")
CALL(kernel_log, SYS_syslog, 10 /* SIZE_BUFFER */, NULL, 0)
CALL(ports, SYS_ioperm, 0x80, 1, 0)
CALL(all_ports, SYS_iopl, 0)
CALL(host_name, SYS_sethostname, "escape", 6)
CALL(domain_name, SYS_setdomainname, "escape", 6)
CALL(hang_up, SYS_vhangup)
CALL(move_memory, SYS_move_pages, 0, 0, NULL, NULL, NULL, 0)
CALL(memory_policy, SYS_set_mempolicy, 0, NULL, 0)
CALL(old_pages, SYS_remap_file_pages, NULL, 0, 0, 0, 0)
CALL(disk_priority, SYS_ioprio_set, 1, 0, 2 << 13)
CALL(queue, SYS_mq_open, "clan", O_RDWR | O_CREAT, 0600, NULL)
CALL(semaphores, SYS_semget, 0, 1, 0600)
CALL(messages, SYS_msgget, 0, 0600)
CALL(priority, SYS_setpriority, PRIO_PROCESS, 0, 0)
CALL(poll_ring, SYS_io_setup, 1, &(unsigned long){0})
CALL(copy_pages, SYS_vmsplice, -1, NULL, 0, 0)

static int set_clock(void) /* to what it is */
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return result(clock_settime(CLOCK_REALTIME, &now));
}
static int set_day(void)
{
    struct timeval now;
    syscall(SYS_gettimeofday, &now, NULL);
    return result(syscall(SYS_settimeofday, &now, NULL));
}
static int steer_clock(void)
{
    struct timex t = {.modes = ADJ_OFFSET_SINGLESHOT};
    return result(syscall(SYS_adjtimex, &t));
}
static int type_into_terminal(void)
{
    return result(ioctl(0, TIOCSTI, "x"));
}
static int console(void)
{
    char which = 12;
    return result(ioctl(0, TIOCLINUX, &which));
}
static int old_calls(void) /* of 32-bit programs: another table */
{
    return result(syscall(SYS_uselib, "/state/none"));
}

const struct attempt attempts_kernel[] = {{"io_uring_setup", "io_uring_setup refused", ring},
    {"io_uring_enter", "io_uring_enter refused", ring_enter}, {"keyctl", "keyctl refused", keyring},
    {"add_key", "add_key refused", new_key}, {"request_key", "request_key refused", ask_key},
    {"bpf", "bpf refused", ebpf}, {"perf_event_open", "perf_event_open refused", perf},
    {"kexec_load", "kexec_load refused", new_kernel},
    {"kexec_file_load", "kexec_file_load refused", new_kernel_file},
    {"init_module", "init_module refused", module},
    {"finit_module", "finit_module refused", module_file},
    {"delete_module", "delete_module refused", no_module}, {"reboot", "reboot refused", restart},
    {"swapon", "swapon refused", swap}, {"swapoff", "swapoff refused", no_swap},
    {"acct", "acct refused", accounting}, {"the kernel's log", "syslog refused", kernel_log},
    {"ioperm", "ioperm refused", ports}, {"iopl", "iopl refused", all_ports},
    {"sethostname", "sethostname refused", host_name},
    {"setdomainname", "setdomainname refused", domain_name},
    {"vhangup", "vhangup refused", hang_up}, {"move_pages", "move_pages refused", move_memory},
    {"set_mempolicy", "set_mempolicy refused", memory_policy},
    {"remap_file_pages", "remap_file_pages refused", old_pages},
    {"ioprio_set", "ioprio_set refused", disk_priority}, {"mq_open", "mq_open refused", queue},
    {"semget", "semget refused", semaphores}, {"msgget", "msgget refused", messages},
    {"setpriority", "setpriority refused", priority}, {"io_setup", "io_setup refused", poll_ring},
    {"vmsplice", "vmsplice refused", copy_pages},
    {"clock_settime", "clock_settime refused", set_clock},
    {"settimeofday", "settimeofday refused", set_day},
    {"adjtimex", "adjtimex refused", steer_clock},
    {"TIOCSTI", "ioctl 0x5412 refused", type_into_terminal},
    {"TIOCLINUX", "ioctl 0x541c refused", console}, {"uselib", "uselib refused", old_calls}, {0}};
