/* Who signed the plugin files, by the names and keys of machine.yaml. */
#include "config/machine.h"

#include "base/error.h"
#include "base/text.h"
#include "config/problem.h"
#include "config/schema.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* OK with s and hash filled. */
static clan_status open_both(const char *directory, const char *file, struct minisign *s,
    uint8_t hash[64], struct clan_error *e)
{
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
    clan_status st = dir < 0 ? err_errno(e, CLAN_E_IO, "cannot open the directory %s", directory)
                             : minisign_read(dir, file, s, e);
    if (st == CLAN_OK) {
        fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        st = fd < 0 ? err_errno(e, CLAN_E_IO, "cannot open %s", file) : minisign_hash(fd, hash, e);
    }
    if (fd >= 0)
        close(fd);
    if (dir >= 0)
        close(dir);
    return st;
}

static bool fits(struct config_signature *ret, const struct minisign *s, const uint8_t hash[64],
    const char *name, const char *key_text)
{
    struct minisign_key key;
    struct clan_error e = CLAN_ERROR_INIT;
    if (!minisign_key_parse(key_text, &key))
        return false;
    if (minisign_verify(s, hash, key.key, &e) != CLAN_OK) {
        if (memcmp(key.id, s->key_id, sizeof key.id) == 0) /* his, but for another file */
            ret->error = e;
        return false;
    }
    snprintf(ret->by, sizeof ret->by, "%s", name);
    memcpy(ret->key, key.key, sizeof ret->key);
    ret->error = (struct clan_error)CLAN_ERROR_INIT;
    return true;
}

void cfg_signature(const struct cfg_node *keys, const char *only, const char *directory,
    const char *file, struct config_signature *ret)
{
    struct minisign s;
    uint8_t hash[64];
    *ret = (struct config_signature){.error = CLAN_ERROR_INIT};
    if (open_both(directory, file, &s, hash, &ret->error) != CLAN_OK)
        return;
    minisign_id_text(s.key_id, ret->key_id);
    snprintf(ret->comment, sizeof ret->comment, "%.*s", (int)sizeof ret->comment - 1, s.comment);
    text_sanitize(ret->comment);
    err_set(&ret->error, CLAN_E_AUTH, "somebody signed %s whose key is not known here", file);
    err_why(&ret->error, "the signature names the key %s; machine.yaml lists %s", ret->key_id,
        keys && keys->first ? "others" : "none");
    err_remedy(
        &ret->error, "if you trust who holds that key, add it to signatures.keys in machine.yaml");
    for (const struct cfg_node *n = keys ? keys->first : NULL; n && n->key; n = n->next)
        if ((!only || strcmp(n->key->text, only) == 0) && n->kind == CFG_SCALAR &&
            fits(ret, &s, hash, n->key->text, n->text))
            return;
}

void config_signature(const char *text, size_t size, const char *directory, const char *file,
    struct config_signature *ret)
{
    struct config_problems *p = config_problems_new("machine.yaml");
    struct cfg_tree *tree = p && text ? cfg_tree_parse(text, size, p) : NULL;
    cfg_signature(tree ? cfg_get(cfg_get(cfg_tree_root(tree), "signatures"), "keys") : NULL, NULL,
        directory, file, ret);
    cfg_tree_free(tree);
    config_problems_free(p);
}
