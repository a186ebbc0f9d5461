/* What the owner is about to grant, in words. */
#include "config/machine.h"

#include "base/text.h"
#include "sandbox/sandbox.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_address(FILE *out, const struct grant_listen *l)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (l->family == 6)
        inet_ntop(AF_INET6, l->addr, host, sizeof host);
    else
        inet_ntop(AF_INET, l->addr + 12, host, sizeof host);
    fprintf(out, l->family == 6 ? "[%s]:%u" : "%s:%u", host, l->port);
}

static void put_listen(FILE *out, const struct grant_plugin *p)
{
    if (p->listen_count == 0)
        fputs("; none is listed in \"listen:\"", out);
    for (unsigned i = 0; i < p->listen_count; i++) {
        fputs(i ? ", " : ": ", out);
        put_address(out, &p->listen[i]);
    }
}

/* Which files the grant is for, where it is not just this one. */
static void put_bound(FILE *out, const struct grant_plugin *p, const char *by)
{
    static const uint8_t none[32];
    if (memcmp(p->hash, none, 32) == 0)
        fprintf(out, "  Signed by %s; so may be its later versions, without a question.\n", by);
    else if (memcmp(p->signer, none, 32) != 0)
        fprintf(out, "  Signed by %s.\n", by);
}

static void put_granted(FILE *out, const struct grant_plugin *p)
{
    char words[GRANTS_WORDS_MAX][PERM_WORD_MAX], means[160];
    unsigned count = grants_words(p, words);
    if (!count)
        fputs("  It may do nothing beyond its sandbox.\n", out);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "  It may %s", perm_lets(words[i], means, sizeof means));
        if (perm_bit(words[i]) & (GRANT_NET_LISTEN | GRANT_NET_DEVICE))
            put_listen(out, p);
        fputs(".\n", out);
    }
    if (p->memory_mib)
        fprintf(out, "  Memory: at most %u MiB.\n", p->memory_mib);
    if (p->pids)
        fprintf(out, "  Processes and threads: at most %u.\n", p->pids);
    if (p->disk_mib)
        fprintf(out, "  Disk: at most %u MiB.\n", p->disk_mib);
}

/* The open questions of one plugin. */
static void put_questions(FILE *out, const struct check_result *p, const struct grant_plugin *g)
{
    for (unsigned i = 0; i < p->ask_count && i < CLAN_NOTE_ASKS_MAX; i++) {
        char means[160], why[160];
        if (g && grants_has(g, p->asks[i]))
            continue;
        bool can = cfg_grantable(p->asks[i], why, sizeof why);
        fprintf(out, "  ? %s asks to %s (%s), not granted%s.\n", p->id,
            perm_lets(p->asks[i], means, sizeof means), p->asks[i],
            can ? "" : ": not available in this version of Clan");
    }
}

/* By its file's name when that is not the id's: the id may be another's. */
static void put_refused(FILE *out, const struct check_result *p)
{
    bool own = p->id[0] && strncmp(p->file, p->id, strlen(p->id)) == 0;
    char text[sizeof p->error.what + sizeof p->error.why + 8];
    snprintf(text, sizeof text, "%s%s%s", p->error.what, p->error.why[0] ? ": " : "", p->error.why);
    text_sanitize(text);
    fprintf(out, "%s cannot be used, nothing is granted: %s\n", own ? p->id : p->file, text);
}

static void put_plugins(
    FILE *out, const struct cfg_node *root, const struct cfg_plugins *found, const struct grants *g)
{
    const struct cfg_node *plugins = cfg_get(root, "plugins");
    for (const struct cfg_node *n = plugins ? plugins->first : NULL; n; n = n->next) {
        const struct check_result *p = cfg_plugins_find(found, n->key->text);
        const struct grant_plugin *gp = grants_find(g, n->key->text);
        if (p && gp) {
            fprintf(out, "%s %s (%s)\n", p->id, p->version, p->file);
            put_bound(out, gp, found->signers[p - found->list].by);
            put_granted(out, gp);
            put_questions(out, p, gp);
        } else if (!p) {
            fprintf(
                out, "%s is not installed here; nothing is granted until it is.\n", n->key->text);
        }
    }
    for (unsigned i = 0; i < found->count; i++) {
        const struct check_result *p = &found->list[i];
        if (p->error.status != CLAN_OK) {
            put_refused(out, p);
        } else if (!cfg_get(plugins, p->id)) {
            fprintf(out,
                "%s %s (%s) is installed, but not named in machine.yaml: it does not run.\n", p->id,
                p->version, p->file);
            put_questions(out, p, NULL);
        }
    }
}

static const char *value_or(const struct cfg_node *n, const char *fallback)
{
    return n ? n->text : fallback;
}

static void put_offer(FILE *out, const struct cfg_node *root, const struct grants *g)
{
    static const char *const hosting[] = {"after asking you", "without asking you", "never"};
    static const char *const manage[] = {
        "nothing else", "the services they place here, nothing else", "everything"};
    const struct cfg_node *offer = cfg_get(root, "offer");
    fprintf(out, "Services of the clan are placed here %s.", hosting[g->hosting]);
    if (g->hosting != GRANT_HOSTING_NO)
        fprintf(out, " Offered: %s of the processors, memory %s, disk %s.",
            value_or(cfg_get(offer, "cpu"), "50%"), value_or(cfg_get(offer, "memory"), "25%"),
            value_or(cfg_get(offer, "disk"), "20G"));
    fprintf(out, "\nThe clan's admins may change on this machine: %s.\n", manage[g->manage]);
}

static void put_user(FILE *out, uint32_t uid)
{
    struct passwd pw, *found = NULL;
    char buf[16384];
    if (getpwuid_r(uid, &pw, buf, sizeof buf, &found) == 0 && found)
        fprintf(out, "%s (uid %u)", found->pw_name, uid);
    else
        fprintf(out, "uid %u", uid);
}

static void put_rest(FILE *out, const struct grants *g)
{
    static const char *const dns[] = {"found in the way that fits this machine",
        "found by way of systemd-resolved", "written to the hosts file",
        "not found by programs of this machine"};
    static const char *const stale[] = {
        "serves at once and catches up meanwhile", "serves only after it has caught up"};
    fputs("The clan is used here by ", out);
    put_user(out, g->owner_uid);
    for (unsigned i = 0; i < g->user_count; i++) {
        fputs(", ", out);
        put_user(out, g->users[i]);
    }
    fprintf(out, "%s.\n", g->owner_uid ? " and root" : "");
    fprintf(out, "Names of the clan are %s.\n", dns[g->dns]);
    fprintf(out, "After a long absence this machine %s.\n", stale[g->stale]);
    if (g->require_signature)
        fputs("Plugins run only if one of your keys signed them.\n", out);
    if (g->weaker)
        fprintf(out,
            "Plugins also run where the kernel lacks:%s%s%s. Their sandbox is weaker then.\n",
            g->weaker & SANDBOX_WEAKER_LANDLOCK ? " landlock" : "",
            g->weaker & SANDBOX_WEAKER_NOTIFY ? " notify" : "",
            g->weaker & SANDBOX_WEAKER_CGROUP ? " cgroup" : "");
}

char *cfg_summary(
    const struct cfg_node *root, const struct cfg_plugins *plugins, const struct grants *g)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    put_plugins(out, root, plugins, g);
    put_offer(out, root, g);
    put_rest(out, g);
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
