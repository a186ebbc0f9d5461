/* What plugins store is found, wherever they put it; and the watch tells who has too much. */
#include "disk/disk.h"
#include "base/error.h"
#include "disk/usage.h"
#include "tool/tool.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char top[64], state_dir[128], volume_dir[128];
static char said[200];
static unsigned fulls;

static int setup(void **state)
{
    (void)state;
    snprintf(top, sizeof top, "/tmp/clan-disk-XXXXXX");
    assert_non_null(mkdtemp(top));
    const char *const parts[] = {"/3", "/3/hosts", "/3/volumes", "/3/hosts/it", "/3/volumes/it"};
    for (unsigned i = 0; i < 5; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", top, parts[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    snprintf(state_dir, sizeof state_dir, "%s/3/hosts/it", top);
    snprintf(volume_dir, sizeof volume_dir, "%s/3/volumes/it", top);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "/bin/rm -rf %s", top);
    return system(command);
}

static int store(const char *dir, const char *name, unsigned mib)
{
    char path[256];
    static char block[1 << 20];
    memset(block, 7, sizeof block);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < mib; i++)
        assert_int_equal(write(fd, block, sizeof block), (ssize_t)sizeof block);
    return fd;
}

static bool names(uint64_t max_mib, uint64_t max_files, struct disk_usage *ret)
{
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret = (struct disk_usage){.max_bytes = max_mib << 20, .max_files = max_files};
    bool good = disk_names(ret, dir);
    close(dir);
    return good;
}

static void counts_what_has_a_name(void **state)
{
    (void)state;
    struct disk_usage u;
    char path[256], other[256];
    close(store(state_dir, "one", 3));
    snprintf(path, sizeof path, "%s/one", state_dir);
    snprintf(other, sizeof other, "%s/two", state_dir);
    assert_int_equal(link(path, other), 0); /* once, with two names */
    snprintf(other, sizeof other, "%s/sub", state_dir);
    assert_int_equal(mkdir(other, 0700), 0);
    close(store(other, "three", 2));
    snprintf(other, sizeof other, "%s/sub/out", state_dir);
    assert_int_equal(symlink("/usr", other), 0); /* not followed */
    assert_true(names(6, 100, &u));
    assert_int_equal(u.files, 5);
    assert_in_range(u.bytes, 5 << 20, (5 << 20) + (64 << 10));
    assert_true(names(5 + 1, 5, &u));
    assert_false(names(4, 100, &u));
    assert_false(names(6, 4, &u));
}

static void goes_down_so_deep(void **state)
{
    (void)state;
    struct disk_usage u;
    int at = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < DISK_DEPTH_MAX + 1; i++) {
        if (i == DISK_DEPTH_MAX) {
            assert_true(names(64, 1000, &u));
            assert_int_equal(u.files, DISK_DEPTH_MAX);
        }
        assert_int_equal(mkdirat(at, "d", 0700), 0);
        int below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = below;
    }
    close(at);
    assert_false(names(64, 1000, &u));
    assert_true(u.too_deep);
}

static void finds_files_without_a_name(void **state)
{
    (void)state;
    struct stat st;
    struct disk_usage before = {.max_bytes = UINT64_MAX, .max_files = 1 << 20}, after = before;
    int fd = store(state_dir, "hidden", 4), again = dup(fd);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(disk_hidden(&before, getuid(), st.st_dev));
    char path[256];
    snprintf(path, sizeof path, "%s/hidden", state_dir);
    assert_int_equal(unlink(path), 0);
    assert_true(disk_hidden(&after, getuid(), st.st_dev));
    assert_in_range(after.bytes - before.bytes, 4 << 20, (5 << 20)); /* not twice */
    after = (struct disk_usage){.max_bytes = 3 << 20, .max_files = 1 << 20};
    assert_false(disk_hidden(&after, getuid(), st.st_dev));
    close(fd);
    close(again);
}

static void on_full(struct disk_user *u)
{
    fulls++;
    snprintf(said, sizeof said, "%s", u->why);
}

static void on_failed(void *arg, const struct clan_error *e)
{
    (void)arg;
    snprintf(said, sizeof said, "failed: %s", e->what);
}

static void check(struct disk *d)
{
    int status;
    said[0] = 0;
    disk_check(d);
    for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0;)
        tool_reap(pid, status);
}

static void tells_who_has_too_much(void **state)
{
    (void)state;
    struct disk d = {DISK_LIBEXEC, top, on_full, on_failed, NULL, 0, 0};
    struct disk_user u = {.owner = NULL};
    struct clan_error e = CLAN_ERROR_INIT;
    fulls = 0;
    assert_int_equal(disk_allow(&d, &u, 3, "it", 5, &e), CLAN_OK);
    close(store(state_dir, "a", 3));
    check(&d);
    assert_true(u.measured);
    assert_int_equal(fulls, 0);
    close(store(volume_dir, "b", 3)); /* both together */
    u.free_then = UINT64_MAX;
    check(&d);
    assert_int_equal(fulls, 1);
    assert_string_equal(said, "it fills more than its 5 MiB of the disk");
    assert_int_equal(disk_allow(&d, &u, 3, "it", 5, &e), CLAN_E_LIMIT);
    assert_non_null(strstr(e.what, "it does not run: it fills more than its 5 MiB"));
    assert_non_null(strstr(e.remedy, "disk:"));
    char path[256];
    snprintf(path, sizeof path, "%s/b", volume_dir);
    assert_int_equal(unlink(path), 0);
    check(&d); /* whoever is over is measured each time */
    assert_int_equal(disk_allow(&d, &u, 3, "it", 5, &e), CLAN_OK);
    u.free_then = 0; /* nobody wrote: no walk */
    u.measured = true;
    close(store(volume_dir, "b", 3));
    check(&d);
    assert_int_equal(fulls, 1);
    assert_int_equal(disk_allow(&d, &u, 3, "it", 0, &e), CLAN_OK); /* the volume has no limit */
    assert_int_equal(u.limit_mib, DISK_STATE_MIB);
    u.free_then = UINT64_MAX;
    check(&d);
    assert_int_equal(fulls, 1);
    assert_string_equal(said, "");
    disk_forget(&u);
    assert_null(d.first);
}

static void keeps_some_for_itself(void **state)
{
    (void)state;
    struct disk d = {DISK_LIBEXEC, top, on_full, on_failed, NULL, 0, 0};
    struct stat st;
    char path[128];
    snprintf(path, sizeof path, "%s/kept", top);
    check(&d);
    if (stat(path, &st) != 0)
        skip(); /* this disk has too little */
    assert_int_equal(st.st_size, DISK_KEPT_MIB << 20);
    assert_true(st.st_blocks * 512 >= DISK_KEPT_MIB << 20);
    assert_int_equal(st.st_mode & 0777, 0600);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {CASE(counts_what_has_a_name), CASE(goes_down_so_deep),
        CASE(finds_files_without_a_name), CASE(tells_who_has_too_much),
        CASE(keeps_some_for_itself)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
