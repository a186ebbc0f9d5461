/* Frames as they come from a stream, and every message that two processes or machines exchange. */
#include "wire/frame.h"
#include "base/error.h"
#include "wire/api.pb.h"
#include "wire/host.pb.h"
#include "wire/keeper.pb.h"
#include "wire/link.pb.h"
#include "wire/peer.pb.h"
#include "wire/resolver.pb.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static union {
    clan_api_Request request;
    clan_api_Answer answer;
    clan_peer_PeerMsg peer;
    clan_link_ToLink to_link;
    clan_link_FromLink from_link;
    clan_host_ToHost to_host;
    clan_host_FromHost from_host;
    clan_keeper_ToKeeper to_keeper;
    clan_keeper_FromKeeper from_keeper;
    clan_resolver_ToResolver to_resolver;
    clan_resolver_FromResolver from_resolver;
} message;

static const struct {
    const pb_msgdesc_t *desc;
    size_t size;
} kinds[] = {
    {&clan_api_Request_msg, sizeof message.request},
    {&clan_api_Answer_msg, sizeof message.answer},
    {&clan_peer_PeerMsg_msg, sizeof message.peer},
    {&clan_link_ToLink_msg, sizeof message.to_link},
    {&clan_link_FromLink_msg, sizeof message.from_link},
    {&clan_host_ToHost_msg, sizeof message.to_host},
    {&clan_host_FromHost_msg, sizeof message.from_host},
    {&clan_keeper_ToKeeper_msg, sizeof message.to_keeper},
    {&clan_keeper_FromKeeper_msg, sizeof message.from_keeper},
    {&clan_resolver_ToResolver_msg, sizeof message.to_resolver},
    {&clan_resolver_FromResolver_msg, sizeof message.from_resolver},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static bool decode(unsigned kind, const uint8_t *payload, size_t size)
{
    pb_istream_t is = pb_istream_from_buffer(payload, size);
    memset(&message, 0, kinds[kind].size);
    return pb_decode(&is, kinds[kind].desc, &message);
}

/* What was understood, said again, is understood the same way. */
static void payload_is(unsigned kind, const uint8_t *payload, size_t size)
{
    static uint8_t once[FRAME_HEAD + WIRE_FRAME_MAX], twice[FRAME_HEAD + WIRE_FRAME_MAX];
    size_t len, again;
    if (!decode(kind, payload, size))
        return;
    if (frame_encode(kinds[kind].desc, &message, once, sizeof once, &len) != CLAN_OK)
        return; /* nothing known in it: an empty message is not sent */
    clan_assert(decode(kind, once + FRAME_HEAD, len - FRAME_HEAD));
    clan_assert(frame_encode(kinds[kind].desc, &message, twice, sizeof twice, &again) == CLAN_OK);
    clan_assert(again == len && memcmp(once, twice, len) == 0);
}

/* Feeds the stream in pieces of `step` bytes; counts frames and sums their sizes. */
static clan_status feed(struct frame_reader *r, unsigned kind, bool look, const uint8_t *data,
    size_t size, size_t step, size_t *ret_frames, size_t *ret_bytes)
{
    clan_status st = CLAN_E_AGAIN;
    *ret_frames = *ret_bytes = 0;
    while (size && st == CLAN_E_AGAIN) {
        size_t room, take = size < step ? size : step;
        uint8_t *to = frame_space(r, &room);
        clan_assert(room > 0 && room <= r->cap);
        if (take > room)
            take = room;
        memcpy(to, data, take);
        frame_added(r, take);
        data += take;
        size -= take;
        const uint8_t *payload;
        size_t len;
        while ((st = frame_peek(r, &payload, &len)) == CLAN_OK) {
            clan_assert(len > 0 && len <= WIRE_FRAME_MAX);
            if (look)
                payload_is(kind, payload, len);
            frame_pop(r);
            ++*ret_frames;
            *ret_bytes += len;
        }
    }
    return st;
}

/* Input: u8 kind of message | u8 size of the pieces | u8 size of the buffer, in KiB | stream */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[FRAME_HEAD + WIRE_FRAME_MAX];
    if (size < 3)
        return 0;
    unsigned kind = data[0] % KINDS;
    size_t step = data[1] ? data[1] : 1, cap = (size_t)data[2] * 1024;
    if (cap == 0 || cap > sizeof bytes)
        cap = sizeof bytes;
    size_t frames[2], sum[2];
    struct frame_reader whole = {.buf = bytes, .cap = cap};
    clan_status a = feed(&whole, kind, true, data + 3, size - 3, size, &frames[0], &sum[0]);
    struct frame_reader pieces = {.buf = bytes, .cap = cap};
    clan_status b = feed(&pieces, kind, false, data + 3, size - 3, step, &frames[1], &sum[1]);
    /* how the bytes were cut decides nothing */
    clan_assert(a == b && frames[0] == frames[1] && sum[0] == sum[1]);
    return 0;
}
