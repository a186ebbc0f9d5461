/* clan ui: the dashboard in the browser, signed in; where there is no clan yet, the page that makes or joins one. */
#include "base/error.h"
#include "cli/desktop.h"
#include "cli/out.h"
#include "cli/session.h"
#include "cli/sign.h"
#include "cli/uihost.h"

#include <sodium.h>
#include <string.h>

/* What is printed signs somebody in: it goes to a terminal, or where it was asked for, never into a desktop's journal. */
static bool wants_print(const struct cli *c)
{
    return c->json || cli_opt(c, "print") || (c->out_tty && !desktop_browses());
}

static clan_status take(void *arg, const clan_api_Answer *a)
{
    if (a->which_m == clan_api_Answer_ui_code_tag)
        *(clan_api_UiCode *)arg = a->m.ui_code;
    return CLAN_OK;
}

/* A page asks for what needs the admin's key; the person who has it stays here. */
static clan_status sign_on(struct cli *c)
{
    if (c->json || c->yes || cli_opt(c, "no-sign") || cli_opt(c, "print") || !ask_possible(c))
        return CLAN_OK;
    clan_status st = sign_run(c, true);
    if (st != CLAN_E_PERM && st != CLAN_E_NOENT && st != CLAN_E_NOSYS)
        return st;
    out_note(c,
        "What a page asks for and needs an admin's key is signed where that key is: clan sign "
        "--watch");
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    return CLAN_OK;
}

static clan_status of_clan(struct cli *c)
{
    struct api_client *api = NULL;
    clan_api_UiCode code = clan_api_UiCode_init_zero;
    clan_api_Request r = {.which_m = clan_api_Request_ui_code_tag};
    const char *at = c->args[0];
    if (at &&
        snprintf(r.m.ui_code.at, sizeof r.m.ui_code.at, "%s", at) >= (int)sizeof r.m.ui_code.at)
        return err_set(&c->e, CLAN_E_INVAL, "\"%.60s\" is no name of a machine or a service", at);
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_call(c, api, &r, SESSION_IDLE_MS, take, &code);
    api_close(api);
    if (st == CLAN_OK)
        st = uihost_open_url(c, &code, !wants_print(c));
    sodium_memzero(&code, sizeof code);
    return st == CLAN_OK && !at ? sign_on(c) : st;
}

/* The mini host of this user that runs already, else one of our own. */
static clan_status of_no_clan(struct cli *c)
{
    struct uihost *h = NULL;
    clan_api_UiCode code = clan_api_UiCode_init_zero;
    clan_status st = uisocket_hand(c, NULL, &code);
    if (st != CLAN_E_NOENT) {
        if (st == CLAN_OK)
            st = uihost_open_url(c, &code, !wants_print(c));
        sodium_memzero(&code, sizeof code);
        return st;
    }
    st = uihost_open(c, &h);
    if (st != CLAN_OK)
        return st;
    h->browses = !wants_print(c);
    st = uisocket_listen(h, &c->e);
    if (st == CLAN_OK)
        st = uihost_show(h);
    if (st == CLAN_OK) {
        out_note(c, "This machine is in no clan yet: the page makes one or joins one. Ctrl-C ends "
                    "this.");
        st = uihost_run(h);
    }
    uihost_free(h);
    return st;
}

clan_status cmd_ui(struct cli *c)
{
    char names[API_CLANS_MAX][33];
    struct api_client *probe = NULL;
    clan_status st;
    desktop_check_handler(c);
    if (c->clan || c->args[0] || api_clans(c->run_dir, names) > 0) {
        st = of_clan(c);
    } else { /* where cland does not run, a page could do nothing either */
        st = api_connect(c->run_dir, NULL, &probe, &c->e);
        api_close(probe);
        if (st == CLAN_OK)
            st = of_no_clan(c);
    }
    if (st != CLAN_OK && !c->json && !c->out_tty && !c->err_tty && desktop_shows())
        dialog_error(&c->e); /* somebody clicked and would see nothing */
    return st;
}
