/* A link before and between the two questions, whoever asks them. */
#include "cli/joinlink.h"

#include "base/error.h"
#include "base/text.h"
#include "cli/machine.h"
#include "cli/names.h"
#include "wire/grants.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void joinlink_take_argument(const char *argument, char ret_text[JOINLINK_TEXT_MAX])
{
    char *overwrite;
    bool whole = strlen(argument) < JOINLINK_TEXT_MAX;
    snprintf(ret_text, JOINLINK_TEXT_MAX, "%s", whole ? argument : "");
    memcpy(&overwrite, &argument, sizeof overwrite);
    sodium_memzero(overwrite, strlen(overwrite));
}

clan_status joinlink_endpoint(const struct invite_link *l, unsigned index,
    char ret_text[JOINLINK_ENDPOINT_MAX], struct clan_error *e)
{
    char text[LINK_ENDPOINT_TEXT];
    clan_status st = link_endpoint_allowed(l, index, e);
    if (st != CLAN_OK)
        return st;
    const char *transport = link_endpoint_transport(l, index);
    bool usual = strcmp(transport, LINK_TRANSPORT_USUAL) == 0;
    link_endpoint_text(l, index, text);
    snprintf(ret_text, JOINLINK_ENDPOINT_MAX, "%s%s%s", text, usual ? "" : " by ",
        usual ? "" : transport);
    return CLAN_OK;
}

clan_status joinlink_usable(const struct invite_link *l, struct clan_error *e)
{
    clan_status st = CLAN_E_INVAL;
    for (unsigned i = 0; i < link_endpoint_count(l); i++)
        if ((st = link_endpoint_allowed(l, i, e)) == CLAN_OK)
            return CLAN_OK;
    if (!link_endpoint_count(l)) {
        err_set(e, st, "the link names no address to ask");
        err_remedy(e, "ask for a new link");
    }
    return st;
}

clan_status joinlink_check(
    const clan_api_JoinFacts *facts, const struct invite_link *l, struct clan_error *e)
{
    if (facts && memcmp(facts->clan_id, l->clan_id, 32) == 0)
        return CLAN_OK;
    err_set(e, CLAN_E_PROTO, "Clan answered for another clan than the link's");
    err_remedy(e, "restart cland after an update and try again");
    return CLAN_E_PROTO;
}

/* The clan's own name, or the next free one: a second clan called home is home-2 here. */
static void free_petname(const char *run_dir, const char *name, char ret_petname[33])
{
    char names[API_CLANS_MAX][33];
    size_t count = api_clans(run_dir, names);
    snprintf(ret_petname, 33, "%s", name);
    for (unsigned n = 2; n < 100; n++) {
        bool taken = false;
        for (size_t i = 0; i < count; i++)
            taken = taken || strcmp(names[i], ret_petname) == 0;
        if (!taken)
            return;
        snprintf(ret_petname, 33, "%.28s-%u", name, n);
    }
}

clan_status joinlink_petname(const char *run_dir, const char *as, const clan_api_JoinFacts *facts,
    char ret_petname[33], struct clan_error *e)
{
    const char *suggested = facts->suggested_petname;
    const char *name = as ? as : suggested[0] ? suggested : facts->clan;
    if (strlen(name) > TEXT_NAME_MAX || !text_name_ok(name))
        return names_error(e, "clan", name);
    if (as)
        snprintf(ret_petname, 33, "%s", as);
    else
        free_petname(run_dir, name, ret_petname);
    return CLAN_OK;
}

/* A machine without a machine.yaml that was applied allows nothing. */
const char *joinlink_consent(void)
{
    struct grants *g = calloc(1, sizeof *g);
    const char *words = "run nothing here and manage nothing";
    clan_assert(g);
    if (grants_load(machine_grants(), true, g, NULL) == CLAN_OK) {
        if (g->manage == GRANT_MANAGE_SERVICES)
            words = "start services here that your machine.yaml grants";
        else if (g->manage == GRANT_MANAGE_MANAGE)
            words = "manage this machine (machine.yaml says manage: manage)";
        else
            words = "run the services that you grant by name, manage nothing else";
    }
    free(g);
    return words;
}
