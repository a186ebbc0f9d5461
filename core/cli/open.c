/* clan open: what a click on a clan: link leads to.  It asks, in the browser, the terminal or a dialog; the link
 * itself never acts (SECURITY A6, A7). */
#include "base/error.h"
#include "cli/desktop.h"
#include "cli/out.h"
#include "cli/uihost.h"

#include <sodium.h>
#include <string.h>

static clan_status read_link(struct cli *c, struct invite_link *ret)
{
    char text[JOINLINK_TEXT_MAX] = "";
    const char *given = c->arg_count ? c->args[0] : NULL;
    if (given && strcmp(given, "-") != 0)
        joinlink_take_argument(given, text);
    else if (!given && c->in_tty && !ask_line(c, "Paste the invitation link: ", text, sizeof text))
        return err_set(&c->e, CLAN_E_CANCELLED, "cancelled; nothing was changed");
    else if ((given || !c->in_tty) && !fgets(text, sizeof text, c->in))
        text[0] = 0;
    clan_status st = link_parse(text, ret, &c->e);
    sodium_memzero(text, sizeof text);
    return st == CLAN_OK ? joinlink_usable(ret, &c->e) : st;
}

/* NOENT: pages cannot be shown here. */
static clan_status by_page(struct cli *c, const struct invite_link *link)
{
    struct uihost *h = NULL;
    clan_status st = uihost_open(c, &h);
    if (st != CLAN_OK) {
        if (!cli_opt(c, "print") && st != CLAN_E_CANCELLED) {
            out_note(c, "no page can be shown: %s", c->e.what);
            st = CLAN_E_NOENT;
        }
        return st;
    }
    h->joins = true;
    h->browses = !cli_opt(c, "print") && !c->json;
    st = uijoin_add(h, link, &c->e);
    if (st == CLAN_OK)
        st = uisocket_listen(h, &c->e);
    if (st == CLAN_OK) {
        st = uihost_show(h);
        if (st != CLAN_OK)
            st = CLAN_E_NOENT;
    }
    if (st == CLAN_OK)
        st = uihost_run(h);
    uihost_free(h);
    return st;
}

static clan_status by_dialog(struct cli *c, const struct invite_link *link)
{
    if (!dialog_begin(c))
        return err_set(&c->e, CLAN_E_NOMEM, "out of memory");
    clan_status st = join_by(c, link);
    dialog_end(c);
    return st;
}

static clan_status ask_somewhere(struct cli *c, const struct invite_link *link)
{
    clan_api_UiCode ignored;
    clan_status st = uisocket_hand(c, link, &ignored);
    if (st == CLAN_OK)
        out_note(c, "the page that is open already asks about it");
    if (st != CLAN_E_NOENT)
        return st;
    if (cli_opt(c, "print") || c->json || desktop_browses()) {
        st = by_page(c, link);
        if (st != CLAN_E_NOENT || cli_opt(c, "print") || c->json)
            return st;
    }
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    ask_on_terminal(c);
    if (ask_possible(c) || !desktop_shows())
        return join_by(c, link);
    return by_dialog(c, link);
}

clan_status cmd_open(struct cli *c)
{
    struct invite_link link;
    clan_status st = read_link(c, &link);
    desktop_check_handler(c);
    if (st == CLAN_OK)
        st = ask_somewhere(c, &link);
    sodium_memzero(&link, sizeof link);
    return st;
}
