/* Admin keys that live in the user's ssh-agent: choosing one, having it sign (SSHSIG). */
#include "base/error.h"
#include "cli/adminkey.h"
#include "sshagent/sshagent.h"

#include <string.h>
#include <unistd.h>

void adminkey_of_agent(const uint8_t public_key[32], struct admin_key *ret)
{
    char fingerprint[SSHAGENT_FINGERPRINT_MAX];
    memcpy(ret->public_key, public_key, 32);
    sshagent_fingerprint(public_key, fingerprint);
    snprintf(ret->name, sizeof ret->name, ADMINKEY_AGENT "%s", fingerprint);
    ret->in_agent = true;
}

static clan_status list(struct sshagent_keys *ret, struct clan_error *e)
{
    int fd;
    clan_status st = sshagent_connect(&fd, e);
    if (st != CLAN_OK)
        return st;
    st = sshagent_list(fd, SSHAGENT_LIST_MS, ret, e);
    close(fd);
    return st;
}

static clan_status not_there(
    const struct sshagent_keys *have, const char *wanted, struct clan_error *e)
{
    err_set(
        e, CLAN_E_PERM, "the ssh-agent has no Ed25519 key%s%.90s", wanted[0] ? " " : "", wanted);
    if (have->hardware && !have->count) {
        err_why(e,
            "its sk-ssh-ed25519 key lies in a security key, whose signatures cover more than a "
            "statement has room for");
        err_remedy(e, "make another one: `ssh-keygen -t ed25519 -f FILE`, `ssh-add -c FILE`");
    } else if (!have->count) {
        err_why(e,
            have->others ? "its %u keys are of other kinds" : "it holds no keys, or it is locked",
            have->others);
        err_remedy(e, "add the key with `ssh-add -c FILE`, or unlock the agent with `ssh-add -X`");
    } else {
        char one[SSHAGENT_FINGERPRINT_MAX];
        sshagent_fingerprint(have->keys[0].public_key, one);
        err_why(e, "it has %u other, such as %s (%.60s)", have->count, one, have->keys[0].comment);
        err_remedy(e, "`ssh-add -l` lists them; add the missing one with `ssh-add -c FILE`");
    }
    return CLAN_E_PERM;
}

/* By fingerprint or comment; "": any. */
static bool matches(const struct sshagent_key *k, const char *wanted)
{
    char fingerprint[SSHAGENT_FINGERPRINT_MAX];
    sshagent_fingerprint(k->public_key, fingerprint);
    return !wanted[0] || strcmp(wanted, fingerprint) == 0 || strcmp(wanted, k->comment) == 0;
}

clan_status agentkey_find(const char *wanted, struct admin_key *ret, struct clan_error *e)
{
    struct sshagent_keys have;
    const struct sshagent_key *found = NULL;
    memset(ret, 0, sizeof *ret);
    clan_status st = list(&have, e);
    if (st != CLAN_OK)
        return st;
    for (unsigned i = 0; i < have.count; i++) {
        if (!matches(&have.keys[i], wanted))
            continue;
        if (found && memcmp(found->public_key, have.keys[i].public_key, 32) != 0) {
            err_set(e, CLAN_E_INVAL, "it is not clear which key of the ssh-agent is meant");
            err_why(e, wanted[0] ? "several are called \"%.90s\"" : "it holds several", wanted);
            err_remedy(e, "give its fingerprint, as `ssh-add -l` shows it: --key ssh:SHA256:...");
            return CLAN_E_INVAL;
        }
        found = &have.keys[i];
    }
    if (!found)
        return not_there(&have, wanted, e);
    adminkey_of_agent(found->public_key, ret);
    return CLAN_OK;
}

clan_status adminkey_open(const char *given, struct admin_key *ret, struct clan_error *e)
{
    struct admin_key there;
    size_t prefix = strlen(ADMINKEY_AGENT);
    if (strncmp(given, ADMINKEY_AGENT, prefix) == 0)
        return agentkey_find(given + prefix, ret, e);
    clan_status st = adminkey_load(given, ret, e);
    if (st == CLAN_OK && ret->in_agent)
        st = agentkey_find(ret->name + prefix, &there, e);
    return st;
}

clan_status agentkey_sign(
    const struct admin_key *k, uint8_t *raw, size_t *size, struct clan_error *e)
{
    struct stmt s;
    uint8_t text[STMT_SSHSIG_TEXT_MAX], signature[64];
    size_t text_size;
    int fd;
    clan_status st = stmt_parse(raw, *size, &s, e);
    if (st != CLAN_OK || stmt_signed_by(&s, k->public_key))
        return st; /* somebody may have been asked for that one */
    st = stmt_sshsig_text(raw, *size, text, &text_size);
    if (st == CLAN_OK)
        st = sshagent_connect(&fd, e);
    if (st != CLAN_OK)
        return st;
    st = sshagent_sign(fd, SSHAGENT_SIGN_MS, k->public_key, text, text_size, signature, e);
    close(fd);
    if (st != CLAN_OK)
        return st;
    st = stmt_add_sshsig(raw, size, k->public_key, signature);
    if (st == CLAN_OK)
        return st;
    err_set(e, CLAN_E_PROTO, "the signature that the ssh-agent gave does not verify");
    err_why(e, "it is none of %.90s over what was asked", k->name);
    err_remedy(e, "use OpenSSH's ssh-agent, or a key file");
    return CLAN_E_PROTO;
}
