/* Who may ask what of the local API, and what a guest sees of the answers. */
#include "base/error.h"
#include "brain/client.h"
#include "brain/sessions.h"

#include <string.h>

enum {
    ANYBODY,
    OWNER
}; /* whoever reaches the socket (group clan); root and the owner of the machine */
/* SHOWN: also for a person who signed in to a plugin; GUEST: also when that one is a guest */
enum { BOUND = 1, UNBOUND = 2, SHOWN = 4, GUEST = 8 };

static const struct {
    pb_size_t tag;
    int who, states;
} api_table[] = {
    {clan_api_Request_status_tag, ANYBODY, BOUND | SHOWN | GUEST},
    {clan_api_Request_machines_tag, ANYBODY, BOUND | SHOWN | GUEST},
    {clan_api_Request_services_tag, ANYBODY, BOUND | SHOWN | GUEST},
    {clan_api_Request_context_tag, ANYBODY, BOUND | SHOWN},
    {clan_api_Request_blob_put_tag, OWNER, BOUND | UNBOUND},
    {clan_api_Request_submit_tag, OWNER, BOUND},
    {clan_api_Request_config_get_tag, ANYBODY, BOUND | SHOWN},
    {clan_api_Request_config_log_tag, ANYBODY, BOUND | SHOWN},
    {clan_api_Request_invitations_tag, ANYBODY, BOUND | SHOWN},
    {clan_api_Request_wait_for_tag, ANYBODY, BOUND},
    {clan_api_Request_ping_tag, ANYBODY, BOUND | SHOWN},
    {clan_api_Request_paths_tag, ANYBODY, BOUND | SHOWN},
    {clan_api_Request_create_tag, OWNER, UNBOUND},
    {clan_api_Request_create_commit_tag, OWNER, UNBOUND},
    {clan_api_Request_join_preview_tag, OWNER, UNBOUND},
    {clan_api_Request_join_yes_tag, OWNER, UNBOUND},
    {clan_api_Request_leave_tag, OWNER, BOUND},
    {clan_api_Request_down_tag, OWNER, BOUND},
    {clan_api_Request_machine_changed_tag, OWNER, BOUND},
    {clan_api_Request_plugins_tag, ANYBODY, BOUND | SHOWN},
    {clan_api_Request_start_tag, OWNER, UNBOUND},
    {clan_api_Request_alarms_tag, ANYBODY, BOUND | SHOWN | GUEST},
    {clan_api_Request_dismiss_alarms_tag, OWNER, BOUND | SHOWN},
    {clan_api_Request_netcheck_tag, ANYBODY, BOUND | SHOWN},
    {clan_api_Request_phone_add_tag, OWNER, BOUND},
    {clan_api_Request_ui_code_tag, OWNER, BOUND},
    {clan_api_Request_session_end_tag, ANYBODY, BOUND | SHOWN | GUEST},
    {clan_api_Request_watch_tag, ANYBODY, BOUND | SHOWN | GUEST},
    {clan_api_Request_propose_tag, OWNER, BOUND | SHOWN},
    {clan_api_Request_proposals_tag, ANYBODY, BOUND | SHOWN},
    {clan_api_Request_proposal_set_tag, OWNER, BOUND},
    {clan_api_Request_proposal_drop_tag, OWNER, BOUND | SHOWN},
    {clan_api_Request_activity_tag, ANYBODY, BOUND | SHOWN},
};

static bool is_owner(const struct brain *b, uid_t uid)
{
    if (uid == 0 || (b->grants_ok && uid == b->grants.owner_uid))
        return true;
    for (unsigned i = 0; b->grants_ok && i < b->grants.user_count; i++)
        if (b->grants.users[i] == uid)
            return true;
    return false;
}

bool client_owns(const struct client *c)
{
    return is_owner(c->b, c->uid);
}

bool client_is_guest(const struct client *c)
{
    return c->plugin && c->signed_in && strcmp(c->session.role, "guest") == 0;
}

/* A plugin asks for a person, and for nobody else; what that one may is looked at each time. */
static clan_status for_a_person(struct client *c, int states, struct clan_error *e)
{
    if (!c->signed_in)
        err_set(e, CLAN_E_PERM, "nobody signed in on this connection");
    else if (!sessions_good(c->b, &c->session, c->session_id))
        err_set(e, CLAN_E_AUTH, "the session has ended");
    else if (!(states & SHOWN))
        return err_set(e, CLAN_E_PERM, "that is not done from a browser");
    else {
        sessions_refresh(c->b, &c->session);
        if (!client_is_guest(c) || (states & GUEST))
            return CLAN_OK;
        err_set(e, CLAN_E_PERM, "a guest does not see that");
        err_why(e, "people: in clan.yaml says that whose machine this is is a guest");
        return e->status;
    }
    err_why(e, "a plugin asks for a person, and for nobody else");
    err_remedy(e, "sign in: clan ui");
    return e->status;
}

clan_status client_may(struct client *c, pb_size_t tag, struct clan_error *e)
{
    if (tag == clan_api_Request_session_open_tag || tag == clan_api_Request_session_use_tag) {
        if (!c->plugin || c->signed_in)
            err_set(e, c->plugin ? CLAN_E_STATE : CLAN_E_PERM,
                c->plugin ? "somebody signed in on this connection"
                          : "only a plugin asks for somebody else");
        return e->status;
    }
    for (size_t i = 0; i < sizeof api_table / sizeof api_table[0]; i++) {
        if (api_table[i].tag != tag)
            continue;
        if (c->plugin && for_a_person(c, api_table[i].states, e) != CLAN_OK)
            return e->status;
        if (!(api_table[i].states & (c->b->bound ? BOUND : UNBOUND))) {
            err_set(e, CLAN_E_STATE,
                c->b->bound ? "this clan is there already" : "there is no clan here yet");
            return e->status;
        }
        if (api_table[i].who == OWNER && !is_owner(c->b, c->uid)) {
            err_set(e, CLAN_E_PERM, "only the owner of this computer may do that");
            err_why(e, "user %u is neither root nor the owner that machine.yaml names",
                (unsigned)c->uid);
            err_remedy(e, "use sudo, or have root run: clan machine apply --owner NAME");
            return e->status;
        }
        return CLAN_OK;
    }
    err_set(e, CLAN_E_NOSYS, "this version of Clan does not know that request");
    err_remedy(e, "the command line and the daemon should be of one version: clan version");
    return e->status;
}

/* A guest sees this machine, and what is open to it.  All answers pass here, so that none can forget it. */
bool client_sees(const struct client *c, clan_api_Answer *a)
{
    if (!client_is_guest(c))
        return true;
    switch (a->which_m) {
    case clan_api_Answer_machine_tag:
        return a->m.machine.self;
    case clan_api_Answer_service_tag:
        memset(a->m.service.allow, 0, sizeof a->m.service.allow); /* who else may */
        a->m.service.allow_count = 0;
        return a->m.service.open_to_me;
    case clan_api_Answer_health_tag:
    case clan_api_Answer_changed_tag:
        return true;
    default:
        return false;
    }
}
