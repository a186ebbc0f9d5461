/* Parses text as an invitation link; what parses is written and parsed again to the same link. */
#include "base/error.h"
#include "statement/link.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[1024], again[LINK_TEXT_MAX + 1], address[LINK_ENDPOINT_TEXT];
    struct invite_link a, b;
    struct clan_error err;
    if (size >= sizeof text)
        size = sizeof text - 1;
    memcpy(text, data, size);
    text[size] = 0;
    if (link_parse(text, &a, &err) != CLAN_OK) {
        clan_assert(err.what[0] && err.remedy[0]);
        return 0;
    }
    for (unsigned i = 0; i < link_endpoint_count(&a); i++) {
        clan_assert(link_endpoint_transport(&a, i)[0]);
        link_endpoint_text(&a, i, address);
        link_endpoint_allowed(&a, i, &err);
    }
    clan_assert(link_format(&a, again) == CLAN_OK);
    clan_assert(link_parse(again, &b, NULL) == CLAN_OK && memcmp(&a, &b, sizeof a) == 0);
    return 0;
}
