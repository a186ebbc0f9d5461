/* One exported function for each public type: tools compare only what an exported symbol reaches. */
#include <clan/api.h>
#include <clan/device.h>
#include <clan/note.h>
#include <clan/plugin.h>
#include <clan/rendezvous.h>
#include <clan/secret.h>
#include <clan/service.h>
#include <clan/status.h>
#include <clan/transport.h>

/* The version stands in a symbol's name, so that it is compared too. */
#define WITNESS_NAME_(major, minor) witness_abi_##major##_##minor
#define WITNESS_NAME(major, minor)  WITNESS_NAME_(major, minor)
void WITNESS_NAME(CLAN_ABI_MAJOR, CLAN_ABI_MINOR)(void);
void WITNESS_NAME(CLAN_ABI_MAJOR, CLAN_ABI_MINOR)(void)
{
}

#define WITNESS(name)                                                                              \
    void witness_##name(struct clan_##name *p);                                                    \
    void witness_##name(struct clan_##name *p)                                                     \
    {                                                                                              \
        (void)p;                                                                                   \
    }

WITNESS(api_host)
WITNESS(api_listener)
WITNESS(config)
WITNESS(device_config)
WITNESS(device_peer)
WITNESS(device_state)
WITNESS(error)
WITNESS(host)
WITNESS(note)
WITNESS(note_body)
WITNESS(plugin)
WITNESS(program_host)
WITNESS(service)
WITNESS(secret_host)
WITNESS(setting)
WITNESS(transport_device)
WITNESS(transport_device_host)
WITNESS(transport_host)
WITNESS(transport_rendezvous)
WITNESS(transport_rendezvous_host)
WITNESS(transport_stream)

void witness_callbacks(clan_io_fn *, clan_timer_fn *, clan_wake_fn *, clan_program_exit_fn *,
    clan_program_started_fn *, clan_plugin_query_fn *, clan_api_opened_fn *);
void witness_callbacks(clan_io_fn *io, clan_timer_fn *timer, clan_wake_fn *wake,
    clan_program_exit_fn *exited, clan_program_started_fn *started, clan_plugin_query_fn *query,
    clan_api_opened_fn *opened)
{
    (void)io;
    (void)timer;
    (void)wake;
    (void)exited;
    (void)started;
    (void)query;
    (void)opened;
}
