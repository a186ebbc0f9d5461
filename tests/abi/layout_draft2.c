/* What plugins built with the draft-2 SDK rely on beside that of draft-1: rendezvous, secrets, devices, sessions. */
/*
 * Compiled against today's headers, as C and as C++; see layout_draft1.c.
 */
#include <clan/api.h>
#include <clan/device.h>
#include <clan/rendezvous.h>
#include <clan/secret.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <type_traits>
#define ASSERT(cond, text)       static_assert(cond, text)
#define SAME_FIELD(s, f, ...)    (std::is_same<decltype(s::f), __VA_ARGS__>::value)
#define SAME_FUNCTION(name, ...) (std::is_same<decltype(name), __VA_ARGS__>::value)
#else
#define ASSERT(cond, text) _Static_assert(cond, text)
#define SAME_FIELD(s, f, ...)                                                                      \
    _Generic(&((struct s *)0)->f, __typeof__(__VA_ARGS__) * : 1, default : 0)
#define SAME_FUNCTION(name, ...) _Generic(&name, __typeof__(__VA_ARGS__) * : 1, default : 0)
#endif

#define FIELD(s, f, offset, ...)                                                                   \
    ASSERT(offsetof(struct s, f) == (offset), #s "." #f " moved; it was at byte " #offset);        \
    ASSERT(SAME_FIELD(s, f, __VA_ARGS__), #s "." #f " was of type " #__VA_ARGS__)
#define AT_LEAST(s, size)   ASSERT(sizeof(struct s) >= (size), #s " was at least " #size " bytes")
#define EXACTLY(s, size)    ASSERT(sizeof(struct s) == (size), #s " is frozen at " #size " bytes")
#define NUMBER(name, value) ASSERT((name) == (value), #name " was " #value)
#define TEXT(name, value)   ASSERT(__builtin_strcmp(name, value) == 0, #name " was " #value)
#define FUNCTION(name, ...) ASSERT(SAME_FUNCTION(name, __VA_ARGS__), #name "() was " #__VA_ARGS__)

ASSERT(sizeof(void *) == 8, "the offsets here are those of 64-bit machines");

/* ---- device.h ---- */

TEXT(CLAN_TRANSPORT_DEVICE, "clan.transport.device/draft-1");
TEXT(CLAN_TRANSPORT_DEVICE_HOST, "clan.transport.device.host/draft-1");
NUMBER(CLAN_DEVICE_TSO, 1u);
NUMBER(CLAN_DEVICE_USO, 2u);

typedef int32_t two_fds[2];
typedef uint8_t a_key[32];

FIELD(clan_device_config, struct_size, 0, uint32_t);
FIELD(clan_device_config, tun_fd, 4, int32_t);
FIELD(clan_device_config, tun_flags, 8, uint32_t);
FIELD(clan_device_config, mtu, 12, uint32_t);
FIELD(clan_device_config, udp_fds, 16, two_fds);
FIELD(clan_device_config, port, 24, uint16_t);
FIELD(clan_device_config, zero0, 26, uint16_t);
FIELD(clan_device_config, zero1, 28, uint32_t);
FIELD(clan_device_config, secret_key, 32, a_key);
AT_LEAST(clan_device_config, 64);

FIELD(clan_device_peer, struct_size, 0, uint32_t);
FIELD(clan_device_peer, address_count, 4, uint32_t);
FIELD(clan_device_peer, public_key, 8, a_key);
FIELD(clan_device_peer, endpoint, 40, const char *);
FIELD(clan_device_peer, addresses, 48, const uint8_t *);
FIELD(clan_device_peer, keepalive_s, 56, uint32_t);
FIELD(clan_device_peer, zero, 60, uint32_t);
AT_LEAST(clan_device_peer, 64);

FIELD(clan_transport_device, struct_size, 0, uint32_t);
FIELD(clan_transport_device, zero, 4, uint32_t);
FIELD(clan_transport_device, start, 8,
    int32_t (*)(void *, const struct clan_device_config *, struct clan_error *));
FIELD(clan_transport_device, stop, 16, void (*)(void *));
FIELD(clan_transport_device, set_peer, 24,
    int32_t (*)(void *, const struct clan_device_peer *, struct clan_error *));
FIELD(clan_transport_device, remove_peer, 32, void (*)(void *, const uint8_t *));
FIELD(clan_transport_device, network_changed, 40, void (*)(void *));
FIELD(clan_transport_device, endpoints, 48,
    void (*)(void *, const uint8_t *, uint32_t, void (*)(void *, const char *), void *));
EXACTLY(clan_transport_device, 56);

FIELD(clan_device_state, struct_size, 0, uint32_t);
FIELD(clan_device_state, handshake_age_s, 4, uint32_t);
FIELD(clan_device_state, public_key, 8, a_key);
FIELD(clan_device_state, endpoint, 40, const char *);
FIELD(clan_device_state, rx_bytes, 48, uint64_t);
FIELD(clan_device_state, tx_bytes, 56, uint64_t);
FIELD(clan_device_state, silent_ms, 64, uint32_t);
FIELD(clan_device_state, zero, 68, uint32_t);
AT_LEAST(clan_device_state, 72);

FIELD(clan_transport_device_host, struct_size, 0, uint32_t);
FIELD(clan_transport_device_host, zero, 4, uint32_t);
FIELD(
    clan_transport_device_host, peer_state, 8, void (*)(void *, const struct clan_device_state *));
FIELD(clan_transport_device_host, endpoints_changed, 16, void (*)(void *));
EXACTLY(clan_transport_device_host, 24);
FUNCTION(clan_transport_device_host_get,
    const struct clan_transport_device_host *(const struct clan_host *));

/* ---- rendezvous.h ---- */

TEXT(CLAN_TRANSPORT_RENDEZVOUS, "clan.transport.rendezvous/draft-1");
TEXT(CLAN_TRANSPORT_RENDEZVOUS_HOST, "clan.transport.rendezvous.host/draft-1");

FIELD(clan_transport_rendezvous, struct_size, 0, uint32_t);
FIELD(clan_transport_rendezvous, zero, 4, uint32_t);
FIELD(clan_transport_rendezvous, members, 8, void (*)(void *, const char *const *, uint32_t));
FIELD(clan_transport_rendezvous, invitations, 16, void (*)(void *, const uint8_t *, uint32_t));
FIELD(clan_transport_rendezvous, door, 24, void (*)(void *, char *));
FIELD(clan_transport_rendezvous, invited, 32, void (*)(void *, const char *, const uint8_t *));
EXACTLY(clan_transport_rendezvous, 40);

FIELD(clan_transport_rendezvous_host, struct_size, 0, uint32_t);
FIELD(clan_transport_rendezvous_host, zero, 4, uint32_t);
FIELD(clan_transport_rendezvous_host, tell, 8, void (*)(void *, uint32_t, const char *));
EXACTLY(clan_transport_rendezvous_host, 16);
FUNCTION(clan_transport_rendezvous_host_get,
    const struct clan_transport_rendezvous_host *(const struct clan_host *));

/* ---- secret.h ---- */

TEXT(CLAN_SECRET_HOST, "clan.secret.host/draft-1");

FIELD(clan_secret_host, struct_size, 0, uint32_t);
FIELD(clan_secret_host, zero, 4, uint32_t);
FIELD(clan_secret_host, secret, 8, int32_t (*)(void *, uint8_t *, uint32_t *));
EXACTLY(clan_secret_host, 16);

/* ---- api.h ---- */

TEXT(CLAN_API_HOST, "clan.api.host/draft-1");
NUMBER(CLAN_API_LISTENERS_MAX, 16);
typedef char a_origin[48];

FIELD(clan_api_listener, fd, 0, int32_t);
FIELD(clan_api_listener, uid, 4, uint32_t);
FIELD(clan_api_listener, origin, 8, a_origin);
EXACTLY(clan_api_listener, 56);

FIELD(clan_api_host, struct_size, 0, uint32_t);
FIELD(clan_api_host, zero, 4, uint32_t);
FIELD(clan_api_host, open, 8,
    int32_t (*)(
        void *, void (*)(void *, int, const struct clan_error *), void *, struct clan_error *));
FIELD(clan_api_host, listeners, 16, uint32_t (*)(void *, struct clan_api_listener *, uint32_t));
EXACTLY(clan_api_host, 24);
FUNCTION(clan_api_host_get, const struct clan_api_host *(const struct clan_host *));
