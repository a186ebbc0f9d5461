/* Attempts on files: the core's, other plugins', the system's, and tricks in the own directory. */
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARK "/usr/lib/clan-escape" /* removed again where it could be made */

int result(long r)
{
    return r < 0 ? errno : 0;
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    int r = result(fd);
    if (fd >= 0)
        close(fd);
    return r;
}

#define OPEN(name, path, flags)                                                                    \
    static int name(void)                                                                          \
    {                                                                                              \
        return try_open(path, flags);                                                              \
    }
OPEN(core_seed, "/var/lib/clan/clans/0/seed", O_RDONLY)
OPEN(core_state, "/var/lib/clan/clans/0/state", O_RDONLY)
OPEN(other_plugin, "/var/lib/clan/clans/0/hosts/files/lighttpd.conf", O_RDWR)
OPEN(consent, "/etc/clan/grants", O_RDWR)
OPEN(shadow, "/etc/shadow", O_RDONLY)
OPEN(root_directory, "/", O_RDONLY | O_DIRECTORY)
OPEN(new_library, MARK ".so", O_WRONLY | O_CREAT)
OPEN(memory_device, "/dev/mem", O_RDONLY)
OPEN(terminal, "/dev/tty", O_RDWR)
OPEN(own_memory, "/proc/self/mem", O_RDWR)
OPEN(own_memory_read, "/proc/self/mem", O_RDONLY)
OPEN(own_mounts, "/proc/self/mountinfo", O_RDONLY)
OPEN(environment_of_first, "/proc/1/environ", O_RDONLY)
OPEN(core_pattern, "/proc/sys/kernel/core_pattern", O_WRONLY)
OPEN(sysrq, "/proc/sysrq-trigger", O_WRONLY)
OPEN(other_cgroup, "/sys/fs/cgroup/cgroup.procs", O_WRONLY)
OPEN(own_file_for_writing, "/proc/self/fd/5", O_RDWR)
OPEN(api_socket, "/run/clan/new.sock", O_RDWR)

static int above_state(void)
{
    return result(openat(6, "../../../seed", O_RDONLY | O_CLOEXEC));
}
static int by_working_directory(void)
{
    return chdir("/proc/self") == 0 ? try_open("mem", O_RDONLY) : errno;
}
static int symlink_to_shadow(void)
{
    unlink("/state/shadow");
    return result(symlink("/etc/shadow", "/state/shadow"));
}
static int symlink_above(void)
{
    unlinkat(6, "above", 0);
    return result(symlinkat("../../../seed", 6, "above"));
}
static int link_into_state(void)
{
    return result(link("/usr/lib/os-release", "/state/linked"));
}
static int rename_out(void)
{
    try_open("/state/moved", O_RDWR | O_CREAT);
    return result(rename("/state/moved", MARK "-moved"));
}
static int remove_out(void)
{
    return result(unlink(MARK "-none"));
}
static int directory_out(void)
{
    int r = result(mkdir(MARK "-directory", 0755));
    rmdir(MARK "-directory");
    return r;
}
static int truncate_out(void)
{
    return result(truncate(MARK "-none", 0));
}
static int mode_out(void)
{
    return result(chmod(MARK "-none", 04755));
}
static int times_out(void)
{
    return result(utimensat(AT_FDCWD, MARK "-none", NULL, 0));
}
static int make_device(void)
{
    int r = result(mknod("/state/device", S_IFBLK | 0600, 0xfe00));
    unlink("/state/device");
    return r;
}
static int change_owner(void)
{
    return result(chown("/state", 0, 0));
}
static int capability_of_file(void)
{
    return result(syscall(SYS_setxattr, "/state", "security.capability", "x", 1, 0));
}
static int name_to_handle(void)
{
    char handle[256] = {0};
    int id;
    handle[0] = 64;
    return result(syscall(SYS_name_to_handle_at, AT_FDCWD, "/state", handle, &id, 0));
}
static int open_by_handle(void)
{
    char handle[256] = {8};
    return result(syscall(SYS_open_by_handle_at, 6, handle, O_RDONLY));
}
static int open_how(void)
{
    uint64_t how[3] = {O_RDONLY, 0, 0};
    return result(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how));
}
static int watch_directory(void)
{
    return result(syscall(SYS_inotify_add_watch, syscall(SYS_inotify_init1, 0), "/usr/lib", 2));
}
static int watch_mount(void)
{
    return result(syscall(SYS_fanotify_init, 0, O_RDONLY));
}
static int quota(void)
{
    return result(syscall(SYS_quotactl, 0x80000100 /* Q_SYNC */, NULL, 0, NULL));
}
static int change_root(void)
{
    return result(chroot("/"));
}
static int mount_here(void)
{
    int r = result(mount("none", "/state", "tmpfs", 0, NULL));
    if (r == 0)
        umount2("/state", MNT_DETACH);
    return r;
}
static int unmount(void)
{
    return result(umount2("/proc/none", MNT_DETACH));
}
static int pivot(void)
{
    return result(syscall(SYS_pivot_root, "/state", "/state"));
}
static int new_mount(void)
{
    return result(fsopen("tmpfs", FSOPEN_CLOEXEC));
}
static int clone_mount(void)
{
    return result(open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}
static int loosen_mount(void)
{
    struct mount_attr attr = {.attr_clr = MOUNT_ATTR_NOEXEC};
    return result(mount_setattr(AT_FDCWD, "/state", 0, &attr, sizeof attr));
}

const struct attempt attempts_files[] = {
    {"core's seed", "openat /var/lib/clan/clans/0/seed refused", core_seed},
    {"core's state", "openat /var/lib/clan/clans/0/state refused", core_state},
    {"another plugin's file", "/hosts/files/lighttpd.conf refused", other_plugin},
    {"the owner's consent", "openat /etc/clan/grants refused", consent},
    {"passwords", "openat /etc/shadow refused", shadow},
    {"the root directory", "openat / refused", root_directory},
    {"a new library", "openat " MARK ".so refused", new_library},
    {"the machine's memory", "openat /dev/mem refused", memory_device},
    {"a terminal", "openat /dev/tty refused", terminal},
    {"own memory, writing", "openat /proc/self/mem refused", own_memory},
    {"own memory, reading", "openat /proc/self/mem refused", own_memory_read},
    {"own mounts", "openat /proc/self/mountinfo refused", own_mounts},
    {"environment of process 1", "openat /proc/1/environ refused", environment_of_first},
    {"core_pattern", "openat /proc/sys/kernel/core_pattern refused", core_pattern},
    {"sysrq", "openat /proc/sysrq-trigger refused", sysrq},
    {"another cgroup", "openat /sys/fs/cgroup/cgroup.procs refused", other_cgroup},
    {"own .so for writing", "openat /proc/self/fd/5 refused", own_file_for_writing},
    {"the API's socket as a file", "openat /run/clan/new.sock refused", api_socket},
    {"above the state directory", "openat ../../../seed refused", above_state},
    {"by working directory", "openat mem refused", by_working_directory},
    {"symlink to passwords", "symlink /etc/shadow refused", symlink_to_shadow},
    {"symlink above", "symlinkat ../../../seed refused", symlink_above},
    {"hard link to the system", "link /usr/lib/os-release refused", link_into_state},
    {"rename out", "rename " MARK "-moved refused", rename_out},
    {"remove outside", "unlink " MARK "-none refused", remove_out},
    {"directory outside", "mkdir " MARK "-directory refused", directory_out},
    {"truncate outside", "truncate " MARK "-none refused", truncate_out},
    {"mode outside", "chmod " MARK "-none refused", mode_out},
    {"times outside", "utimensat " MARK "-none refused", times_out},
    {"a device", "mknod", make_device}, {"owner", "chown refused", change_owner},
    {"capability of a file", "setxattr refused", capability_of_file},
    {"name_to_handle_at", "name_to_handle_at refused", name_to_handle},
    {"open_by_handle_at", "open_by_handle_at refused", open_by_handle},
    {"openat2", "openat2 /etc/passwd refused", open_how},
    {"inotify", "inotify_add_watch refused", watch_directory},
    {"fanotify", "fanotify_init refused", watch_mount}, {"quotactl", "quotactl refused", quota},
    {"chroot", "chroot refused", change_root}, {"mount", "mount /state refused", mount_here},
    {"umount", "umount2 /proc/none refused", unmount}, {"pivot_root", "pivot_root refused", pivot},
    {"fsopen", "fsopen refused", new_mount}, {"open_tree", "open_tree refused", clone_mount},
    {"mount_setattr", "mount_setattr refused", loosen_mount}, {0}};
