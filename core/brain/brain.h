/* The state of clan-core and the seams between its parts. */
#ifndef BRAIN_BRAIN_H
#define BRAIN_BRAIN_H

#include "brain/chan.h"
#include "config/config.h"
#include "member/gossip.h"
#include "member/join.h"
#include "noise/keys.h"
#include "path/choice.h"
#include "path/limit.h"
#include "path/path.h"
#include "place/place.h"
#include "statement/store.h"
#include "wire/api.pb.h"
#include "wire/grants.h"
#include "wire/host.pb.h"
#include "wire/keeper.pb.h"
#include "wire/link.pb.h"
#include "wire/peer.pb.h"
#include "wire/resolver.pb.h"
#include "wire/warden_requests.h"

#define BRAIN_BUILD         CLAN_VERSION
#define BRAIN_SESSIONS_MAX  1300
#define BRAIN_HOSTS_MAX     24
#define BRAIN_CLIENTS_MAX   32  /* of the command line; one user has as many as are left at most */
#define BRAIN_PLUGIN_MAX    64  /* connections of the plugin that shows the clan, beside them */
#define BRAIN_SOFT_MAX      256 /* services that other machines told of */
#define BRAIN_STALE_MS      30000
#define BRAIN_VERSION_PROTO 1
#define BRAIN_ALARMS_MAX    64

/* A link that somebody used again (SECURITY A7), kept over restarts. */
struct alarm {
    uint8_t kind;        /* enum member_alarm_kind; ALARM_TRIED: this door refused somebody */
    uint8_t subject[32]; /* as in struct member_alarm */
    bool dismissed, has_other;
    int64_t first, last;
    uint32_t count;
    uint8_t other[32];  /* who was refused, when it showed its identity */
    uint8_t remote[16]; /* and from where */
};
#define ALARM_TRIED 0

/* ---- sessions: what link runs for us ---- */
struct session {
    uint32_t id; /* 0: free */
    clan_link_Purpose purpose;
    bool dialed, up, gossiping;
    uint8_t machine[32]; /* known peer; zero otherwise */
    bool has_machine;
    uint8_t peer_static[32];
    uint8_t remote[16];
    uint8_t net[16]; /* that we dialled, of path_limit */
    char transport[33], via[PATH_VIA_MAX];
    bool spare;          /* dialled beside the path in use */
    uint8_t through[16]; /* accepted through a device, from that address; zero otherwise */
    uint64_t since_ms;
    struct joiner *joiner;      /* a door session that we dialed */
    uint8_t invite_id[16];      /* a door session that we answer */
    clan_link_DoorHello *hello; /* its caller's words, until the session is up; owned */
    uint64_t ping_nonce, ping_sent_us;
    struct client *ping_client; /* waits for the pong */
};

/* ---- what is known of a peer besides the statements ---- */
struct peer {
    bool used;
    uint8_t id[32];
    struct path_dial dial_control, dial_link;
    uint32_t control, link;     /* sessions, 0: none; link: the one that packets take */
    struct peer_device *device; /* devices.h; owned */
    struct path_choice *paths;  /* since its first link session; owned */
    uint64_t record_seq;        /* whose addresses were tried */
    uint8_t sent_hash[32];      /* of the last clan.link.Peer; zero: not sent */
    bool closing;               /* PeerGone sent, PeerClosed not heard */
    int64_t last_seen;
    uint32_t rtt_us;
    uint64_t rx_bytes, tx_bytes, dropped;
    int64_t wall_at_boot; /* what its clock said when this machine booted; see peer_clock_offset */
    uint64_t shown_head;
    uint8_t shown_id[32];
    bool shown_catching_up;
    bool let_in;           /* the firewall knows this peer: packets may flow */
    uint64_t gone_version; /* heads of peers that left */
};

struct soft_service { /* a service as its holder told it */
    bool used;
    uint8_t holder[32];
    clan_peer_Service s;
};

enum host_state {
    HOST_IDLE,
    HOST_ASKED,
    HOST_HELLO,
    HOST_CREATING,
    HOST_STARTING,
    HOST_STARTED,
    HOST_ENDING,
    HOST_FAILED
};

struct rate { /* of one second */
    uint64_t second;
    unsigned count;
};

/* ---- plugin hosts ---- */
struct host {
    bool used, wanted, service;
    bool people; /* a service of this machine alone, for who uses it: ui.c */
    enum host_state state;
    char plugin[32], instance[33];
    uint32_t child;
    struct chan *chan;
    struct brain *b;
    struct clan_config_service cfg; /* services: what it runs with */
    uint8_t address[16];
    bool address_added, healthy;
    bool disk_full; /* its process waits until it has less */
    uint32_t health_request;
    uint64_t health_asked_ms;
    char why[320], remedy[240];
    unsigned offences,
        refused; /* of its running process: broken rules; calls its sandbox refused */
    struct rate messages;
    uint64_t gone_ms;                                          /* when its channel ended */
    uint64_t retry_ms;                                         /* after a failure: not before */
    char endpoints[STMT_ENDPOINTS_MAX][STMT_ENDPOINT_MAX + 1]; /* transports: as it told them */
    unsigned endpoint_count;
    bool device;                      /* it carries packets itself: devices.h */
    uint16_t device_port;             /* of one that an earlier core started; 0: not adopted */
    bool meets, told_secret;          /* it lets in only whom rendezvous.c tells it of */
    char door[STMT_ENDPOINT_MAX + 1]; /* for links; "": none */
    uint8_t members_hash[32], invitations_hash[32]; /* as told last; zero: not yet */
    unsigned failures;
    struct {
        uint32_t request, run; /* programs; run is the warden's child id, 0: free */
    } runs[8];
};

struct dialing {             /* a dial that a transport works on */
    uint32_t request;        /* 0: free */
    const struct host *host; /* whose answer counts */
    clan_link_Purpose purpose;
    uint8_t net[16]; /* of path_limit; zero: not limited */
    uint8_t machine[32];
    char transport[33];
    bool spare; /* beside the path in use */
    struct joiner *joiner;
    uint64_t deadline_ms;
};
#define BRAIN_DIALS_MAX 64

struct client; /* api.c */

struct fw_row {
    uint8_t peer[16], dest[16];
    uint16_t port;
};

typedef void ward_answer_fn(struct brain *b, void *arg, const struct ward_answer *answer, int fd);

struct brain {
    uv_loop_t loop;
    uv_timer_t tick, soon;
    bool soon_armed;
    uint64_t incarnation;

    /* this machine */
    bool bound, net_up, ready, leaving;
    char petname[33];
    uint8_t *root;   /* 32 bytes, guarded; NULL before there is an identity */
    uint8_t *secret; /* Ed25519 secret key, 64 bytes, guarded */
    uint8_t identity[32];
    uint8_t clan_id[32], own_id[32], own_address[16];
    uint8_t own_record[STMT_MAX]; /* the newest */
    size_t own_record_size;
    uint64_t own_record_seq;
    int state_fd;

    /* the clan */
    struct member_set *set;
    struct gossip *gossip;
    struct stmt_store *store;
    struct clan_config *cfg; /* of the newest readable body, NULL before */
    char *body;
    size_t body_size;
    uint64_t body_version;
    bool body_readable;
    uint64_t own_ack_seq, own_admission_seq, own_receipt_seq;
    uint64_t acked_version;
    uint8_t acked_revocations[32];
    bool ack_valid;
    struct grants grants;
    bool grants_ok;

    /* catching up (SECURITY D2) */
    bool catching_up, stale_open;
    uint64_t catching_since_ms;
    unsigned catching_heads;
    uint8_t catching_from[2][32];

    /* nobody but the door has shown the clan yet (SECURITY A3) */
    bool one_door;
    uint64_t one_door_version; /* height of the chain that the door showed */

    struct alarm alarms[BRAIN_ALARMS_MAX];
    unsigned alarm_count;
    bool alarms_dirty;
    uint64_t alarms_written_ms;

    /* children */
    struct chan *ward, *link, *resolver, *keeper;
    bool link_ready, keeper_ready;
    int tun_fd;
    uint32_t tun_flags;
    bool tun_sent;
    uint32_t resolver_child, keeper_child, link_child;
    struct host hosts[BRAIN_HOSTS_MAX];
    struct rate runs, ends; /* of programs, asked of the warden */
    struct rate addresses;  /* asked for while this machine has none */
    unsigned ui_slot;       /* of this clan on this machine: see grants_address() */
    struct dialing dials[BRAIN_DIALS_MAX];
    uint32_t next_request, next_session, next_serial;
    struct {
        uint32_t serial;
        ward_answer_fn *fn;
        void *arg;
    } waiting[BRAIN_HOSTS_MAX * 8 + 64]; /* each host may have eight programs asked for */
    struct {
        char transport[33], text[STMT_ENDPOINT_MAX + 1];
    } endpoints[STMT_ENDPOINTS_MAX];
    unsigned endpoint_count;
    struct ward_local_addrs local;
    struct device *device;   /* devices.h; NULL: there never was one; owned */
    struct path_limit limit; /* networks that were dialled */

    struct session sessions[BRAIN_SESSIONS_MAX];
    unsigned
        session_top; /* those from here on were never used: looking at them would cost memory */
    struct peer *peers;
    size_t peer_count, peer_cap;
    struct soft_service soft[BRAIN_SOFT_MAX];

    /* the firewall and names as last sent */
    struct fw_row *fw;
    size_t fw_count;
    bool fw_assume;      /* link outlived a core of ours: its peers were let in already */
    unsigned fw_commits; /* asked for, not answered: what is allowed is not yet let in */
    uint8_t names_hash[32];
    uint8_t invites_hash[32];
    uint64_t counters[40];
    unsigned counter_count;
    uint64_t stats_asked_ms;

    /* keeper: admissions that were judged and refused (admission id), so that they are not asked
     * again */
    struct {
        uint8_t admission[32];
        clan_status status;
        uint64_t asked_ms;
    } judged[512];
    size_t judged_count;
    struct clan_error keeper_trouble, disk_trouble, bind_trouble, grants_trouble;

    struct joiner *joiner;
    struct founder *founder;
    struct client *clients;
    int api_fd;
    uv_poll_t api_poll;
    bool api_listening;
    uint64_t next_publish_ms;
};

/* brain.c */
int brain_main(int argc, char **argv);
void brain_soon(struct brain *b); /* reconcile at the end of this turn of the loop */
void brain_bound(
    struct brain *b); /* identity, set and store are there: become the core of the clan */
const struct member_machine *brain_self(const struct brain *b);
bool brain_confirmed(const struct brain *b);
uint64_t brain_now(void);
uint64_t brain_hour(void);
uint32_t brain_random(void *arg, uint32_t below);

/* ward.c */
void ward_open(struct brain *b);
/* Sends a request struct whose first member is a ward_head; fn may be NULL (failures are logged).
 */
void ward_ask(
    struct brain *b, uint32_t id, void *request, size_t size, ward_answer_fn *fn, void *arg);
void ward_simple(struct brain *b, uint32_t id, ward_answer_fn *fn, void *arg);

/* link.c */
void link_open(struct brain *b, int fd, uint32_t child);
void link_send(struct brain *b, const clan_link_ToLink *m, const int *fds, size_t fd_count);
/* One message to fill and send: the big ones are not kept in many places.  Valid until the next
 * call. */
clan_link_ToLink *link_blank(pb_size_t which);
clan_peer_PeerMsg *peer_blank(pb_size_t which);
void link_send_keys(struct brain *b);
void link_send_tun(struct brain *b);
struct session *session_new(struct brain *b);
struct session *session_find(struct brain *b, uint32_t id);
void session_close(struct brain *b, struct session *s, bool after_flush);
bool session_send(struct brain *b, uint32_t id, const clan_peer_PeerMsg *m);
/* A connected stream from a transport: accepted (dial NULL) or answering a dial. */
void link_stream(
    struct brain *b, int fd, const char *transport, const char *remote, const struct dialing *dial);

bool link_on_attached_subnet(const struct brain *b, const uint8_t addr[16]);
/* "203.0.113.5:7117" or "[2001:db8::1]:7117" -> 16 bytes, zero for anything else */
void link_address(const char *text, uint8_t ret[16]);

/* peers.c */
struct peer *peer_find(struct brain *b, const uint8_t id[32]);
struct peer *peer_get(struct brain *b, const uint8_t id[32]);
void peers_reconcile(struct brain *b); /* link's table, firewall, dials */
void peers_session_up(struct brain *b, struct session *s, bool carries);
void peers_session_down(struct brain *b, struct session *s, clan_link_Reason reason);
void peers_want(struct brain *b, const uint8_t address[16]);
void peers_closed(struct brain *b, const uint8_t id[32]);
void peers_dial_failed(struct brain *b, const struct dialing *d);
void peers_nudge(struct brain *b);
void peers_acknowledge(struct brain *b);
bool peers_data_allowed(struct brain *b, const struct member_machine *m);
/* Its own address, and those of services that it holds; how many, 0: no packets of it are taken. */
unsigned peers_addresses(
    struct brain *b, const struct member_machine *m, uint8_t ret[WARD_DEVICE_ADDRESSES][16]);
/* An address that nothing but the record of a machine names may be anybody's (SECURITY D6); those of
 * this machine's own networks are its neighbours'. */
bool peers_may_dial(struct brain *b, const struct member_machine *m, const char *transport,
    const char *endpoint, uint8_t net[static 16]);

/* paths.c */
void paths_up(struct brain *b, struct peer *p, const struct session *s, bool carries);
void paths_down(struct brain *b, struct peer *p, const struct session *s, clan_link_Reason reason);
void paths_carries(struct brain *b, const clan_link_Carries *m);
void paths_answered(struct brain *b, const clan_link_Answered *m);
void paths_dial_failed(struct brain *b, struct peer *p, const struct dialing *d);
void paths_reconcile(struct brain *b); /* moves packets to better paths, dials what is missing */
void paths_nudge(struct brain *b);
void paths_free(struct brain *b);
void paths_show(struct brain *b, struct client *c, const char *machine);
uint32_t paths_rank(const struct brain *b, const char *transport);
/* "tcp-noise 192.0.2.7:7117 (preferred)"; empty: not connected */
void paths_text(const struct brain *b, const struct peer *p, char *ret_text, size_t cap);

int64_t peer_clock_offset(const struct peer *p); /* seconds that its clock is ahead of ours */
/* Of the connected members' clocks against ours, in seconds. */
int64_t peers_median_clock(const struct brain *b);

/* rendezvous.c */
void rendezvous_secret(struct host *h); /* before Create, or as soon as there is an identity */
void rendezvous_reconcile(struct brain *b);
void rendezvous_told(struct host *h, const clan_host_Health *m); /* how a transport says it does */
bool rendezvous_among(const char (*interfaces)[64], size_t count); /* does it want to be told? */
void rendezvous_endpoints(struct host *h, const clan_host_Endpoints *e);
/* The link's key, before its door is dialled. */
void rendezvous_invited(
    struct brain *b, const char *transport, const char *endpoint, const uint8_t seed[16]);
/* "ADDRESS.onion:7117" of the transport tor; "" when it has none. */
const char *rendezvous_door(struct brain *b);
bool rendezvous_hides(struct brain *b, const char *transport); /* its endpoints are no addresses */

/* transports.c */
void transports_reconcile(struct brain *b);
/* As configured, the preferred one first; whether they run or not. */
void transports_configured(const struct brain *b, struct path_order *ret);
/* Those of them that this machine may use by clan.yaml. */
void transports_own(const struct brain *b, struct path_order *ret);
/* Those of these that run, the preferred one first. */
void transports_order(const struct brain *b, struct path_order *ret);
/* One of a record of this machine that may still run here did not say its endpoints yet. */
bool transports_awaited(struct brain *b, const struct stmt_record *known);
/* Dials an endpoint; answers come as link_stream() or dial_failed().  false: it does not run. */
bool transports_dial(struct brain *b, const struct dialing *what, const char *transport,
    const char *endpoint, uint32_t timeout_ms);
void transports_forget(struct brain *b, struct joiner *j);
bool transports_dials_for(const struct brain *b, const struct joiner *j);
void transports_dial_result(struct brain *b, const struct host *h, uint32_t request, int fd,
    const char *remote, const struct clan_error *e);
void transports_endpoints(struct brain *b, struct host *h, const clan_host_Endpoints *e);
void transports_gone(struct brain *b, const struct host *h); /* its dials have failed */
void transports_local_addrs(struct brain *b);
void transports_tick(struct brain *b);
bool transports_up(const struct brain *b);
bool transports_wanted(const struct brain *b, const char *name);
bool transports_starting(const struct brain *b); /* one may run soon */
/* The preferred one, for texts. */
void transports_first(const struct brain *b, char ret_name[33]);

/* hosts.c */
struct host *host_want(struct brain *b, const char *plugin, const char *instance,
    const struct clan_config_service *cfg);
struct host *host_find(struct brain *b, const char *instance);
void host_unwant(struct brain *b, struct host *h);
void hosts_child(struct brain *b, const struct ward_child *c, int fd);
void hosts_child_died(struct brain *b, const struct ward_child_died *d);
void host_fail(
    struct host *h, const struct clan_error *e); /* it is ended, and starts again later */
void hosts_tick(struct brain *b);
void hosts_ask_endpoints(struct brain *b);
/* One message to fill and send, valid until the next call. */
clan_host_ToHost *host_blank(pb_size_t which);
void host_tell(struct host *h, const clan_host_ToHost *m);
void host_start(struct host *h); /* a device transport, when its device is there */
void host_dial(
    struct brain *b, struct host *h, uint32_t request, const char *endpoint, uint32_t timeout_ms);

/* programs.c: what hosts run */
void programs_run(struct host *h, const clan_host_Run *r);
void programs_end(struct host *h, uint32_t run);
void programs_adopted(struct brain *b, const struct ward_child *c);
void programs_died(struct brain *b, const struct ward_child_died *d);

/* ui.c: the plugin that shows the clan to the people of this machine */
void ui_reconcile(struct brain *b);
bool ui_is(const struct brain *b, const char *plugin); /* granted as one */
bool ui_visited(const struct host *h); /* one for other machines: a service of clan.yaml */
void ui_create(struct host *h, clan_host_Create *c); /* whose its listeners are */
void ui_connect(struct host *h, uint32_t request);

/* offence.c */
bool rate_within(struct rate *r, unsigned limit);
void host_offence(
    struct host *h, const char *what); /* "it ..."; ends the host when there were too many */
bool host_may_talk(struct host *h);
bool host_may_run(struct host *h, bool ends);
void hosts_refused(struct brain *b, const struct ward_child_refused *r);
bool host_suspect(const struct host *h, char *ret_text, size_t cap); /* what status says of it */

/* services.c */
void services_reconcile(struct brain *b);
void services_soft(struct brain *b, struct session *s, const clan_peer_Service *m);
void services_tell(struct brain *b, struct session *s); /* ours, to a new session */
void services_changed(struct brain *b);                 /* tell everybody again */
void service_row(struct brain *b, const struct clan_config_service *s, clan_api_Service *ret);
bool soft_row(struct brain *b, const struct soft_service *s, clan_api_Service *ret);

/* keeper.c */
void keeper_open(struct brain *b, int fd, uint32_t child);
void keeper_gone(struct brain *b);
void keeper_reconcile(
    struct brain *b); /* starts it where the envelope names us; asks for receipts */

/* names.c */
void names_open(struct brain *b, int fd, uint32_t child);
void names_gone(struct brain *b);
void names_reconcile(struct brain *b);
void brain_name(const struct brain *b, const uint8_t id[32], char ret[33]);

/* identity.c */
bool identity_load(struct brain *b); /* from descriptor 5 */
void identity_set(struct brain *b, const uint8_t root[32]);
void identity_use_record(struct brain *b, const uint8_t *raw, size_t size, const uint8_t id[32]);
void identity_publish_record(struct brain *b); /* when endpoints differ from the record's */
void identity_make_record(struct brain *b, const uint8_t clan_id[32], uint8_t *ret_raw,
    size_t *ret_size, uint8_t ret_id[32]);

/* bodies.c */
bool bodies_get(void *arg, const uint8_t hash[32], const uint8_t **ret_data, size_t *ret_size);
bool bodies_put(void *arg, const uint8_t hash[32], const uint8_t *data, size_t size);
clan_status bodies_chunk(
    struct brain *b, const clan_api_BlobPut *put, struct clan_error *e); /* from the local API */
bool bodies_uploaded(const uint8_t hash[32]); /* complete, waiting for its envelope */
/* Makes an uploaded body durable before the envelope that names it is taken. */
clan_status bodies_keep(struct brain *b, const struct stmt_envelope *env, struct clan_error *e);
void bodies_reconcile(struct brain *b); /* head advanced: find, parse, use its body */
/* YAML of a version, malloc'd; NOENT when it is not here */
clan_status bodies_version(struct brain *b, uint64_t version, char **ret, size_t *ret_size);

/* spread.c */
extern const struct gossip_ops spread_ops;
bool spread_load(struct brain *b, struct clan_error *e);
clan_status spread_publish(struct brain *b, const void *raw, size_t size, struct clan_error *e);
void spread_recv(struct brain *b, struct session *s, const uint8_t *data, size_t size);

/* doors.c */
void doors_hello(struct brain *b, struct session *s, const clan_link_DoorHello *m);
void doors_tick(struct brain *b);      /* ends sessions of guests that stay too long */
void doors_reconcile(struct brain *b); /* invitations that link may answer */
#define DOORS_CLOCK_OFF_S 300
bool doors_serve(const struct brain *b, struct clan_error *e); /* may this machine be a door now? */

/* joiner.c */
void joiner_preview(struct brain *b, struct client *c, const char *link);
void joiner_yes(struct brain *b, struct client *c, const clan_api_JoinYes *yes);
void joiner_need_payload(struct brain *b, struct session *s, const uint8_t hash[64]);
void joiner_recv(struct brain *b, struct session *s, const clan_peer_PeerMsg *m);
void joiner_up(struct brain *b, struct session *s);
void joiner_fill_stream(struct joiner *j, struct session *s, clan_link_Stream *st);
void joiner_down(struct brain *b, struct session *s, clan_link_Reason reason);
void joiner_dial_failed(struct brain *b, struct joiner *j, const struct clan_error *e);
void joiner_tick(struct brain *b);
void joiner_cancel(struct brain *b, struct client *c);
void joiner_standing(struct brain *b); /* our own standing may have changed */

/* founder.c */
void founder_create(struct brain *b, struct client *c, const clan_api_Create *m);
void founder_commit(struct brain *b, struct client *c, const clan_api_CreateCommit *m);

void founder_standing(struct brain *b);

/* catchup.c */
void catchup_start(struct brain *b); /* after loading */
void catchup_begin(struct brain *b); /* the machine slept */
void catchup_head(struct brain *b, struct session *s, const clan_peer_Head *head);
void catchup_tick(struct brain *b);
void catchup_caught(struct brain *b); /* others stand behind a chain, and it was taken in */

/* onedoor.c */
clan_status onedoor_begin(struct brain *b, const struct member_set *set, struct clan_error *e);
void onedoor_load(struct brain *b);
void onedoor_end(struct brain *b, const char *why);
void onedoor_reconcile(struct brain *b);

/* alarms.c */
void alarms_load(struct brain *b);
void alarms_tried(struct brain *b, const uint8_t invite[16], const uint8_t *identity,
    const uint8_t remote[16]);          /* identity: 32 bytes, NULL when it was not shown */
void alarms_reconcile(struct brain *b); /* notes when the set's were first seen */
void alarms_tick(struct brain *b);
bool alarms_shown(const struct brain *b, uint8_t kind, const uint8_t subject[32]);
void alarms_text(const struct brain *b, const struct alarm *a, char *ret, size_t cap);
void alarms_dismiss(struct brain *b);

/* health.c: calls emit for each line, worst first */
typedef void health_fn(
    void *arg, unsigned severity, const char *code, const char *what, const char *remedy);
void health_lines(struct brain *b, health_fn *emit, void *arg);

/* api.c */
void api_listen(struct brain *b, int fd);
void api_first(struct brain *b, int fd); /* the connection an unbound core was started for */
/* A connection for a plugin, on which nothing may be asked before there is a session; -1: there is none. */
void api_plugin_connect(struct brain *b, bool visits, int *ret_fd);
void api_answer(struct client *c, clan_api_Answer *a, bool last);
void api_error(struct client *c, const struct clan_error *e);
void api_ok(struct client *c);
void api_progress(struct client *c, const char *step, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void api_tick(struct brain *b);
void api_changed(struct brain *b); /* somebody may wait for this */
clan_api_Answer *api_blank(void);  /* one static answer, zeroed */
void wire_from_error(clan_wire_Error *ret, const struct clan_error *e);
void error_from_wire(struct clan_error *ret, const clan_wire_Error *e);

/* api_show.c, api_act.c: handlers of single requests */
void api_status(struct brain *b, struct client *c);
void api_machines(struct brain *b, struct client *c);
void api_services(struct brain *b, struct client *c);
void api_context(struct brain *b, struct client *c);
void api_config_get(struct brain *b, struct client *c, uint64_t version);
void api_config_log(struct brain *b, struct client *c);
void api_invitations(struct brain *b, struct client *c);
void api_plugins(struct brain *b, struct client *c);
void api_submit(struct brain *b, struct client *c, const clan_api_Submit *m);
void api_ping(struct brain *b, struct client *c, const char *machine);
void api_dismiss(struct brain *b, struct client *c);
void api_ping_lost(struct brain *b, struct session *s); /* it ends: nobody will answer */
void api_pong(struct brain *b, struct session *s, const clan_peer_Pong *m);
void api_leave(struct brain *b, struct client *c);
void api_down(struct brain *b, struct client *c);
void api_machine_changed(struct brain *b, struct client *c);
void api_start(struct brain *b, struct client *c, const char *petname);

#endif
