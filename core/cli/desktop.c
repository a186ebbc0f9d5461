/* The user's desktop: where what runs has its files, and opening the browser without a secret in a command line. */
#include "cli/desktop.h"

#include "base/error.h"
#include "base/file.h"
#include "cli/adminkey.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE_S    30 /* as long as its code is good */
#define WORDS_MAX 8

/* ---- the folder ---- */

static bool is_private(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 077) == 0;
}

clan_status desktop_run_dir(char ret_path[DESKTOP_PATH_MAX], struct clan_error *e)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    char key[ADMINKEY_PATH_MAX];
    int n = -1, fd;
    if (dir && dir[0] == '/' && is_private(dir)) {
        n = snprintf(ret_path, DESKTOP_PATH_MAX, "%s/clan", dir);
    } else {
        const char *name;
        clan_status st = userdir_path(key, e, "run");
        if (st == CLAN_OK)
            st = userdir_open(key, &fd, &name, e);
        if (st != CLAN_OK)
            return st;
        close(fd);
        n = snprintf(ret_path, DESKTOP_PATH_MAX, "%s", key);
    }
    if (n >= DESKTOP_PATH_MAX)
        return err_set(e, CLAN_E_LIMIT, "the path of this user's folder is too long");
    if (mkdir(ret_path, 0700) != 0 && errno != EEXIST)
        return err_errno(e, CLAN_E_IO, "cannot make %s", ret_path);
    if (is_private(ret_path))
        return CLAN_OK;
    err_set(e, CLAN_E_PERM, "%s is not this user's alone", ret_path);
    err_remedy(e, "look at it, then: chmod 700 %s", ret_path);
    return CLAN_E_PERM;
}

/* ---- the browser ---- */

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && value[0];
}

bool desktop_shows(void)
{
    return is_set("WAYLAND_DISPLAY") || is_set("DISPLAY");
}

static bool in_path(const char *program)
{
    char one[DESKTOP_PATH_MAX];
    const char *path = getenv("PATH");
    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    for (path = path ? path : "/usr/local/bin:/usr/bin:/bin"; *path;) {
        size_t len = strcspn(path, ":");
        int n = snprintf(one, sizeof one, "%.*s/%s", (int)len, path, program);
        if (n < (int)sizeof one && access(one, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

/* Words of the first browser that $BROWSER names, else xdg-open.  %s stands for the address. */
static unsigned opener(char *copy, size_t cap, char *ret_words[WORDS_MAX])
{
    const char *given = getenv("BROWSER");
    unsigned count = 0;
    char *save;
    if (given && given[0])
        snprintf(copy, cap, "%.*s", (int)strcspn(given, ":"), given);
    else if (desktop_shows())
        snprintf(copy, cap, "xdg-open");
    else
        return 0;
    for (char *w = strtok_r(copy, " ", &save); w && count < WORDS_MAX - 2;
         w = strtok_r(NULL, " ", &save))
        ret_words[count++] = w;
    return count && in_path(ret_words[0]) ? count : 0;
}

bool desktop_browses(void)
{
    char copy[DESKTOP_PATH_MAX], *words[WORDS_MAX];
    return opener(copy, sizeof copy, words) > 0;
}

/* The address is one of ours: digits, dots, a code in hexadecimal. */
static clan_status write_page(
    const char *url, char ret_path[DESKTOP_PATH_MAX], struct clan_error *e)
{
    char dir[DESKTOP_PATH_MAX - 32], whole[DESKTOP_PATH_MAX], page[1024], random[9];
    uint8_t bytes[4];
    clan_status st = desktop_run_dir(whole, e);
    if (st != CLAN_OK)
        return st;
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(random, sizeof random, bytes, sizeof bytes);
    snprintf(dir, sizeof dir, "%s", whole);
    snprintf(ret_path, DESKTOP_PATH_MAX, "%s/open-%s.html", dir, random);
    int n = snprintf(page, sizeof page,
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n"
        "<meta name=\"referrer\" content=\"no-referrer\">\n"
        "<meta http-equiv=\"refresh\" content=\"0;url=%s\">\n"
        "<title>Clan</title>\n<p><a href=\"%s\">Clan</a></p>\n",
        url, url);
    int fd = open(ret_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(e, CLAN_E_IO, "cannot write %s", ret_path);
    st = file_write_all(fd, page, (size_t)n);
    close(fd);
    sodium_memzero(page, sizeof page);
    return st == CLAN_OK ? st : err_set(e, st, "cannot write %s", ret_path);
}

void desktop_child(void)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2 && null >= 0; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

static void start(char *words[WORDS_MAX])
{
    desktop_child();
    execvp(words[0], words);
    _exit(127);
}

/* A child of nobody: it outlives this command for as long as the page may be read. */
static void watch_page(const char *path, char *words[WORDS_MAX])
{
    struct timespec left = {.tv_sec = PAGE_S};
    setsid();
    if (fork() != 0)
        _exit(0);
    close_range(3, ~0U, 0);
    if (fork() == 0)
        start(words);
    desktop_child(); /* whoever reads what this command says hears its end */
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    unlink(path);
    _exit(0);
}

clan_status desktop_browse(const char *url, struct clan_error *e)
{
    char copy[DESKTOP_PATH_MAX], path[DESKTOP_PATH_MAX], page[DESKTOP_PATH_MAX + 8];
    char *words[WORDS_MAX] = {NULL};
    unsigned count = opener(copy, sizeof copy, words);
    bool placed = false;
    if (!count) {
        err_set(e, CLAN_E_NOENT, "no browser can be opened from here");
        err_why(e, "there is no display, or neither $BROWSER nor xdg-open is a program");
        err_remedy(e, "run `clan ui` in a terminal, or add --print where only you see what is "
                      "printed, and open the address in a browser of this computer");
        return CLAN_E_NOENT;
    }
    clan_status st = write_page(url, path, e);
    if (st != CLAN_OK)
        return st;
    snprintf(page, sizeof page, "file://%s", path);
    for (unsigned i = 1; i < count; i++)
        if (strcmp(words[i], "%s") == 0) {
            words[i] = page;
            placed = true;
        }
    if (!placed)
        words[count] = page;
    pid_t pid = fork();
    if (pid == 0)
        watch_page(path, words);
    if (pid < 0) {
        unlink(path);
        return err_errno(e, CLAN_E_IO, "the browser cannot be started");
    }
    waitpid(pid, NULL, 0);
    return CLAN_OK;
}
