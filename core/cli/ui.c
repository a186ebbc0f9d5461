/* clan ui: the address of the dashboard, with a code that signs in once. */
#include "cli/out.h"
#include "cli/session.h"

#include <sodium.h>
#include <string.h>

static clan_status take(void *arg, const clan_api_Answer *a)
{
    if (a->which_m == clan_api_Answer_ui_code_tag)
        *(clan_api_UiCode *)arg = a->m.ui_code;
    return CLAN_OK;
}

clan_status cmd_ui(struct cli *c)
{
    struct api_client *api = NULL;
    clan_api_UiCode code = clan_api_UiCode_init_zero;
    char hex[2 * sizeof code.code + 1], url[sizeof code.origin + sizeof hex + 16];
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_ask(c, api, clan_api_Request_ui_code_tag, take, &code);
    api_close(api);
    if (st != CLAN_OK)
        return st;
    sodium_bin2hex(hex, sizeof hex, code.code, sizeof code.code);
    snprintf(url, sizeof url, "http://%s/#code=%s", code.origin, hex);
    if (c->json) {
        out_json(c, json_pack("{s:s, s:s, s:s, s:i}", "url", url, "origin", code.origin, "code",
                        hex, "valid_s", (int)code.valid_s));
    } else {
        out_line(c, "%s", url);
        out_note(c,
            "Open it in a browser of this computer within %u seconds: it signs you in once.",
            code.valid_s);
    }
    sodium_memzero(hex, sizeof hex);
    sodium_memzero(url, sizeof url);
    sodium_memzero(&code, sizeof code);
    return CLAN_OK;
}
