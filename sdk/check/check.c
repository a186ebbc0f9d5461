/* Checks plugin files and whole directories of them: note, rules, hash, ids used twice. */
#include "check/note.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <clan/plugin.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *check_kind_text(uint32_t kind)
{
    return kind == CLAN_KIND_TRANSPORT    ? "transport"
           : kind == CLAN_KIND_HYPERVISOR ? "hypervisor"
           : kind == CLAN_KIND_SERVICE    ? "service"
                                          : "plugin";
}

static void set_file_name(struct check_result *r, const char *file_name)
{
    snprintf(r->file, sizeof r->file, "%s", file_name);
    text_sanitize(r->file);
}

/* Only what is a terminated, clean string goes into a result. */
static void take_note(struct check_result *r, const struct clan_note_body *n)
{
    snprintf(r->id, sizeof r->id, "%.31s", n->id);
    snprintf(r->version, sizeof r->version, "%.31s", n->version);
    snprintf(r->title, sizeof r->title, "%.63s", n->title);
    snprintf(r->sentence, sizeof r->sentence, "%.127s", n->sentence);
    snprintf(r->sdk, sizeof r->sdk, "%.31s", n->sdk);
    text_sanitize(r->id);
    text_sanitize(r->version);
    text_sanitize(r->title);
    text_sanitize(r->sentence);
    text_sanitize(r->sdk);
    r->kind = n->kind;
    r->default_port = n->default_port;
}

static clan_status check_bytes(
    const struct note_source *src, struct check_result *ret, struct clan_error *reterr)
{
    struct clan_note_body note;
    clan_status st = note_read(src, ret->file, &note, reterr);
    take_note(ret, &note);
    if (st == CLAN_OK)
        st = note_check_elf(src, ret->file, reterr);
    if (st != CLAN_OK)
        return st;
    ret->ask_count = note.asks_count;
    memcpy(ret->asks, note.asks, sizeof ret->asks);
    return note_read_settings(src, ret->file, ret->settings, &ret->setting_count, reterr);
}

static clan_status check_read(int fd, struct check_result *ret, struct clan_error *reterr)
{
    struct note_source src;
    uint8_t *data = NULL;
    size_t size = 0;
    clan_status st = note_source_fd(fd, ret->file, &src, reterr);
    if (st == CLAN_OK)
        st = file_read_fd(fd, CHECK_FILE_SIZE_MAX, &data, &size, reterr);
    if (st != CLAN_OK)
        return st;
    src = (struct note_source){.fd = -1, .data = data, .size = size};
    crypto_generichash(ret->hash, sizeof ret->hash, data, size, NULL, 0);
    st = check_bytes(&src, ret, reterr);
    free(data);
    return st;
}

/* What the owner was told about a plugin of the release is not true of a stranger's file with its id. */
static clan_status check_borrowed_id(struct check_result *r, struct clan_error *e)
{
    static const char *const release[] = {CHECK_RELEASE_IDS};
    char own[sizeof r->id + 4];
    snprintf(own, sizeof own, "%s.so", r->id);
    for (size_t i = 0; i < sizeof release / sizeof release[0]; i++) {
        if (strcmp(r->id, release[i]) != 0)
            continue;
        r->release = strcmp(r->file, own) == 0;
        if (r->release)
            continue;
        err_set(e, CLAN_E_PERM, "plugin file %s cannot be used", r->file);
        err_why(e, "it calls itself \"%s\", which is a plugin of Clan itself (%s)", r->id, own);
        err_remedy(e, "remove it unless you know whose it is; whoever made it has to give it an id "
                      "of its own");
        return CLAN_E_PERM;
    }
    return CLAN_OK;
}

clan_status check_file(
    int fd, const char *file_name, struct check_result *ret, struct clan_error *reterr)
{
    struct clan_error err = CLAN_ERROR_INIT;
    memset(ret, 0, sizeof *ret);
    set_file_name(ret, file_name);
    clan_status st = sodium_init() < 0 ? err_set(&err, CLAN_E_DEFECT, "libsodium does not start")
                                       : check_read(fd, ret, &err);
    if (st == CLAN_OK)
        st = check_borrowed_id(ret, &err);
    ret->error = err;
    if (reterr)
        *reterr = err;
    return st;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_plugin_name(const char *name)
{
    size_t len = strlen(name);
    return name[0] != '.' && len > 3 && strcmp(name + len - 3, ".so") == 0;
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static clan_status list_names(
    int dir_fd, char ***ret_names, size_t *ret_count, struct clan_error *reterr)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    char **names = calloc(CHECK_FILES_MAX, sizeof *names);
    size_t count = 0;
    clan_status st = CLAN_OK;
    if (!dir) {
        st = err_errno(reterr, CLAN_E_IO, "the directory of plugins cannot be read");
        if (fd >= 0)
            close(fd);
    } else if (!names)
        st = err_set(reterr, CLAN_E_NOMEM, "out of memory");
    for (struct dirent *e; st == CLAN_OK && (e = readdir(dir));) {
        if (!is_plugin_name(e->d_name))
            continue;
        if (count == CHECK_FILES_MAX)
            st = err_set(reterr, CLAN_E_LIMIT, "the directory of plugins holds more than %u files",
                CHECK_FILES_MAX);
        else if (!(names[count] = strdup(e->d_name)))
            st = err_set(reterr, CLAN_E_NOMEM, "out of memory");
        else
            count++;
    }
    if (dir)
        closedir(dir);
    if (st != CLAN_OK) {
        free_names(names, count);
        return st;
    }
    qsort(names, count, sizeof *names, compare_names);
    *ret_names = names;
    *ret_count = count;
    return CLAN_OK;
}

static clan_status owner_ok(int fd, const char *what, struct clan_error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(e, CLAN_E_IO, "%s cannot be looked at", what);
    if (st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return CLAN_OK;
    err_set(e, CLAN_E_PERM, "%s cannot be trusted", what);
    err_why(e, "it belongs to user %u with mode %03o; somebody besides root may write it",
        (unsigned)st.st_uid, (unsigned)(st.st_mode & 0777));
    err_remedy(e, "as root: chown root:root and chmod go-w on it, after looking at what it is");
    return CLAN_E_PERM;
}

static void check_name(int dir_fd, const char *name, bool check_owner, struct check_result *ret)
{
    memset(ret, 0, sizeof *ret);
    set_file_name(ret, name);
    ret->error = (struct clan_error)CLAN_ERROR_INIT;
    if (strlen(name) >= sizeof ret->file) {
        err_set(&ret->error, CLAN_E_INVAL, "plugin file %s... cannot be used", ret->file);
        err_why(&ret->error, "its name is longer than %zu bytes", sizeof ret->file - 1);
        err_remedy(&ret->error, "give it a shorter name");
        return;
    }
    /* O_NONBLOCK: somebody's FIFO does not stop us */
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        err_errno(&ret->error, CLAN_E_IO, "plugin file %s cannot be opened", ret->file);
        if (errno == ELOOP)
            err_remedy(&ret->error, "put the file itself there, not a link to it");
        return;
    }
    char what[96];
    struct clan_error err = CLAN_ERROR_INIT;
    snprintf(what, sizeof what, "plugin file %s", ret->file);
    check_file(fd, name, ret, NULL);
    if (check_owner && owner_ok(fd, what, &err) != CLAN_OK)
        ret->error = err;
    close(fd);
}

/* Nobody can tell which of two files is meant: neither is used. */
static void refuse_twins(struct check_result *r, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            bool first = r[i].error.status == CLAN_OK || r[i].error.status == CLAN_E_CONFLICT;
            bool second = r[j].error.status == CLAN_OK || r[j].error.status == CLAN_E_CONFLICT;
            if (i == j || !first || !second || strcmp(r[i].id, r[j].id) != 0)
                continue;
            err_set(&r[i].error, CLAN_E_CONFLICT, "plugin file %s cannot be used", r[i].file);
            err_why(&r[i].error, "%s and %s both call themselves \"%s\"", r[i].file, r[j].file,
                r[i].id);
            err_remedy(&r[i].error, "remove one of the two files, then run clan machine apply");
            break;
        }
}

clan_status check_directory(
    int dir_fd, bool check_owner, check_found_fn *found, void *user, struct clan_error *reterr)
{
    char **names;
    size_t count;
    clan_status st = CLAN_OK;
    if (check_owner)
        st = owner_ok(dir_fd, "the directory of plugins", reterr);
    if (st == CLAN_OK)
        st = list_names(dir_fd, &names, &count, reterr);
    if (st != CLAN_OK)
        return st;
    struct check_result *r = calloc(count ? count : 1, sizeof *r);
    if (!r)
        st = err_set(reterr, CLAN_E_NOMEM, "out of memory");
    for (size_t i = 0; r && i < count; i++)
        check_name(dir_fd, names[i], check_owner, &r[i]);
    if (r)
        refuse_twins(r, count);
    for (size_t i = 0; r && i < count; i++)
        found(user, &r[i]);
    free(r);
    free_names(names, count);
    return st;
}
