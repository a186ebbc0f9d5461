/* The files of a slot, each written durably. */
#include "slot/slot.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char bound_magic[8] = "clan 1\n";

clan_status slot_open(struct slot *s, int at, unsigned number, struct clan_error *e)
{
    char name[16];
    uint8_t *uids = NULL;
    size_t size;
    snprintf(name, sizeof name, "%u", number);
    s->dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (s->dir < 0)
        return err_errno(e, CLAN_E_IO, "cannot open slot %s", name);
    if (file_read(s->dir, "uids", sizeof s->uids, &uids, &size, NULL) == CLAN_OK &&
        size == sizeof s->uids)
        memcpy(s->uids, uids, size);
    free(uids);
    for (unsigned i = 0; i < SLOT_UIDS; i++)
        s->uids[i][SLOT_UID_NAME - 1] = 0;
    return CLAN_OK;
}

clan_status slot_load(const struct slot *s, struct slot_bound *ret_bound, struct clan_error *e)
{
    uint8_t *data = NULL;
    size_t size = 0;
    clan_status st = file_read(s->dir, "bound", sizeof *ret_bound, &data, &size, e);
    const struct slot_bound *b = (const struct slot_bound *)(void *)data;
    if (st == CLAN_OK && (size != sizeof *b || memcmp(b->magic, bound_magic, 8) != 0 ||
                             b->petname[32] != 0 || !text_name_ok(b->petname)))
        st = err_set(e, CLAN_E_INVAL, "the file bound of a slot is damaged");
    if (st == CLAN_OK)
        *ret_bound = *b;
    free(data);
    return st;
}

clan_status slot_store(const struct slot *s, const uint8_t clan_id[32], const char *petname,
    bool down, struct clan_error *e)
{
    struct slot_bound b = {.down = down};
    memcpy(b.magic, bound_magic, sizeof b.magic);
    memcpy(b.clan_id, clan_id, sizeof b.clan_id);
    snprintf(b.petname, sizeof b.petname, "%s", petname);
    return file_write_durable(s->dir, "bound", &b, sizeof b, 0600, e);
}

int slot_uid_index(char names[SLOT_UIDS][SLOT_UID_NAME], const char *key)
{
    for (int i = 0; i < SLOT_UIDS; i++)
        if (strcmp(names[i], key) == 0)
            return i;
    for (int i = 0; i < SLOT_UIDS; i++)
        if (names[i][0] == 0) {
            snprintf(names[i], SLOT_UID_NAME, "%s", key);
            return i;
        }
    return -1;
}

int slot_uid(
    struct slot *s, uint32_t kind, const char *name, const char *detail, struct clan_error *e)
{
    char key[SLOT_UID_NAME];
    snprintf(key, sizeof key, "%u:%s:%s", kind, name, detail);
    for (int i = 0; i < SLOT_UIDS; i++)
        if (strcmp(s->uids[i], key) == 0)
            return i;
    int index = slot_uid_index(s->uids, key);
    if (index >= 0 &&
        file_write_durable(s->dir, "uids", s->uids, sizeof s->uids, 0600, e) == CLAN_OK)
        return index;
    if (index < 0)
        err_set(e, CLAN_E_LIMIT, "this clan has used its %d users", SLOT_UIDS);
    else
        memset(s->uids[index], 0, SLOT_UID_NAME);
    return -1;
}

static int dir_at(int at, const char *name)
{
    mkdirat(at, name, 0700);
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int slot_dir(const struct slot *s, const char *parent, const char *name, uid_t uid, gid_t gid,
    mode_t mode, struct clan_error *e)
{
    struct stat st;
    int at = parent[0] ? dir_at(s->dir, parent) : dup(s->dir);
    int fd = at >= 0 ? dir_at(at, name) : -1;
    if (at >= 0)
        close(at);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == uid)
        return fd;
    if (fd >= 0 && st.st_uid != 0) {
        err_set(e, CLAN_E_CONFLICT, "the directory %s belongs to another plugin", name);
        err_remedy(e, "use another name for the service");
    } else if (fd < 0 || fchown(fd, uid, gid) != 0 || fchmod(fd, mode) != 0)
        err_errno(e, CLAN_E_IO, "cannot make the directory %s", name);
    else
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int slot_volume(
    const struct slot *s, const char *name, uid_t program, uid_t host, struct clan_error *e)
{
    int fd = slot_dir(s, "volumes", name, program, host, 02770, e);
    if (fd >= 0 || e->status != CLAN_E_CONFLICT || program == host)
        return fd;
    *e = (struct clan_error)CLAN_ERROR_INIT; /* made before its program was granted */
    fd = slot_dir(s, "volumes", name, host, host, 02770, e);
    if (fd < 0 || fchown(fd, program, host) == 0)
        return fd;
    err_errno(e, CLAN_E_IO, "cannot hand the volume of %s to its program", name);
    close(fd);
    return -1;
}

bool slot_seed_there(const struct slot *s)
{
    return faccessat(s->dir, "seed", F_OK, 0) == 0;
}

clan_status slot_seed_store(const struct slot *s, const uint8_t seed[32], struct clan_error *e)
{
    if (slot_seed_there(s))
        return err_set(e, CLAN_E_EXIST, "this clan has an identity already");
    return file_write_durable(s->dir, "seed", seed, 32, 0600, e);
}

int slot_seed(const struct slot *s)
{
    uint8_t *seed = NULL;
    size_t size = 0;
    int fd = memfd_create("seed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && file_read(s->dir, "seed", 32, &seed, &size, NULL) == CLAN_OK)
        file_write_all(fd, seed, size);
    if (seed)
        sodium_memzero(seed, size);
    free(seed);
    if (fd >= 0)
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return fd;
}
