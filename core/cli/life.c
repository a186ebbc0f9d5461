/* clan down, leave: this machine and its clan. */
#include "base/error.h"
#include "cli/out.h"
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

static clan_status tell(struct cli *c, struct api_client *api, pb_size_t tag, const char *state)
{
    clan_status st = session_ask(c, api, tag, NULL, NULL);
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:s, s:s}", "petname", c->petname, "state", state));
    return st;
}

clan_status cmd_down(struct cli *c)
{
    struct api_client *api = NULL;
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = tell(c, api, clan_api_Request_down_tag, "down");
    if (st == CLAN_OK)
        out_line(
            c, "clan %s is down here; `clan up --name %s` starts it again", c->petname, c->petname);
    api_close(api);
    return st;
}

clan_status cmd_leave(struct cli *c)
{
    struct api_client *api = NULL;
    clan_api_Context *x = calloc(1, sizeof *x);
    clan_assert(x);
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_context(c, api, x);
    if (st == CLAN_OK) {
        out_note(c,
            "Leaving %s: this machine's key of the clan is given up for good, its connections end, "
            "services on it stop.",
            c->petname);
        out_note(c, "It comes back only by a new invitation, as a new machine.");
        st = ask_type(c, "This is final.", c->petname);
    }
    if (st == CLAN_OK)
        st = tell(c, api, clan_api_Request_leave_tag, "left");
    if (st == CLAN_OK)
        out_line(c, "this machine has left %s", c->petname);
    free(x);
    api_close(api);
    return st;
}
