/* Before a door is dialled: which addresses of a link are, and how far this computer's transport is. */
#include "brain/joindial.h"

#include "base/error.h"

#include <string.h>

/* What the internet does not carry (RFC 6890): of somebody's own network, a provider's, a laboratory's. */
static bool is_private(const uint8_t a[16])
{
    static const uint8_t v4[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const struct {
        uint8_t address[2], mask[2];
    } nets[] = {{{10}, {0xff}}, {{172, 16}, {0xff, 0xf0}}, {{192, 168}, {0xff, 0xff}},
        {{100, 64}, {0xff, 0xc0}}, {{198, 18}, {0xff, 0xfe}}};
    if (memcmp(a, v4, 12) != 0) /* fc00::/7, and fec0::/10 of old */
        return (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0xc0) == 0xc0);
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        if ((a[12] & nets[i].mask[0]) == nets[i].address[0] &&
            (a[13] & nets[i].mask[1]) == nets[i].address[1])
            return true;
    return a[12] == 192 && a[13] == 0 && a[14] == 0;
}

bool joindial_allowed(
    const struct brain *b, const struct invite_link *link, unsigned i, struct clan_error *e)
{
    const uint8_t *addr = link_endpoint_address(link, i);
    char text[LINK_ENDPOINT_TEXT];
    if (link_endpoint_allowed(link, i, e) != CLAN_OK)
        return false;
    if (!addr)
        return true; /* an onion */
    link_endpoint_text(link, i, text);
    for (unsigned k = 0; k < b->local.count; k++)
        if (memcmp(b->local.addrs[k].address, addr, 16) == 0) {
            err_set(e, CLAN_E_INVAL, "the link points at this computer itself (%s)", text);
            err_remedy(e, "open it on another computer");
            return false;
        }
    if (is_private(addr) && !link_on_attached_subnet(b, addr)) {
        err_set(
            e, CLAN_E_UNREACHABLE, "%s is in a private network that this computer is not in", text);
        err_why(
            e, "a link may not make this computer knock at addresses of other private networks");
        err_remedy(
            e, "join from the same network, or ask for a link made where the internet reaches it");
        return false;
    }
    return true;
}

/* Nothing that runs here carries to this address; what a dial found out is worth more. */
void joindial_needs(const struct brain *b, const char *transport, struct clan_error *e)
{
    struct path_order here;
    transports_order(b, &here);
    if (e->status != CLAN_OK)
        return;
    err_set(e, CLAN_E_NOTRUNNING, "this invitation needs the plugin %s", transport);
    err_why(e, "its address is reached by %s, which does not run on this computer", transport);
    err_remedy(e,
        "install it and run as root: clan plugin grant %s, or ask for a link of a machine that is "
        "reached by %s",
        transport, here.count ? here.names[0] : LINK_TRANSPORT_USUAL);
}

unsigned joindial_start_steps(const struct brain *b)
{
    unsigned farthest = 0;
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        const struct host *h = &b->hosts[i];
        unsigned state = h->state <= HOST_STARTED ? (unsigned)h->state : 0;
        if (h->used && !h->service && state > farthest)
            farthest = state;
    }
    return farthest + b->link_ready + (b->endpoint_count > 0) + (b->local.count > 0);
}
