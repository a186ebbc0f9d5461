/* What the files of the warden share: clans in their slots, children, and who does what. */
#ifndef WARDEN_WARDEN_H
#define WARDEN_WARDEN_H

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/rate.h"
#include "disk/disk.h"
#include "hostsfile/hostsfile.h"
#include "hostsfile/resolved.h"
#include "logring/logs.h"
#include "netconf/nft.h"
#include "process/process.h"
#include "slot/slots.h"
#include "wire/grants.h"
#include "wire/warden_requests.h"

#define WARD_SLOTS       16 /* bound clans and those being made */
#define WARD_UNBOUND_MAX 8
#define WARD_UIDS        SLOT_UIDS /* per slot; the uid is base + 256 * slot + index */
#define CLAN_GRACE_MS    3000

struct warden_options {
    const char *cgroup, *run_dir, *state_dir, *grants, *plugin_dir, *libexec_dir;
    uid_t uid_base;
    bool verbose;
    int supervisor_fd; /* 'R': ready, 'W': alive */
};

/* How a child is asked for; kept, because the warden starts it anew by itself. */
struct child {
    struct clan *clan; /* NULL: free */
    struct proc proc;
    uint32_t kind, host;
    char name[33], plugin[32];
    uid_t uid;
    int listen[NETCONF_LISTEN_MAX + 1]; /* host: kept over restarts; its service's is the last */
    unsigned listen_count;
    struct ward_host_start how;
    struct disk_user disk;
};

struct clan {
    struct warden *warden;
    bool used, bound, down, leaving, net_up, ready;
    unsigned slot;
    uint32_t generation; /* answers of tools for an earlier clan in this slot are dropped */
    uint32_t state;      /* one WARD_ bit: what the running core has reached */
    uint8_t id[32];
    struct netconf net;
    struct netconf_device device;
    char petname[33]; /* "new3" until it is bound */
    struct slot disk;
    int core_fd, listener, connection;
    struct child children[WARD_CHILDREN_MAX];
    struct rate rate[WARD_REQ_COUNT];
    struct rules_set fw;
    struct hostsfile_rows names;
};

struct warden {
    struct warden_options opt;
    struct loop *loop;
    struct grants grants; /* all zero, so nothing is granted, until the owner's are read */
    bool stopping, ready;
    int new_sock;
    gid_t clan_gid; /* 0: there is no group "clan" */
    uint32_t next_generation;
    struct slots slots;
    struct procs procs;
    struct netconf_watch watch;
    struct nft_guard guard;
    struct logring logs;
    struct disk disk;
    int64_t sleep_ms;
    struct clan clans[WARD_SLOTS];
};

/* warden.c */
int warden_main(const struct warden_options *opt);
void warden_ready(struct warden *w);

/* monitor.c: the request table, and answers */
struct ward_reply {
    struct clan_error error;
    uint32_t flags;
    int fd; /* stays the clan's, unless it */
    bool passes;
    struct child *child;
    bool started; /* the child: announced after the answer */
    bool ends;    /* the clan, after the answer */
    bool later;   /* nothing is answered now */
};
typedef void ward_handler(struct clan *c, const void *request, struct ward_reply *a);
struct ward_rule {
    uint32_t id;
    uint32_t states;
    uint32_t size;
    uint32_t per_second;
    ward_handler *handler;
};
extern const struct ward_rule ward_rules[WARD_REQ_COUNT];
loop_fd_fn monitor_readable;
const char *monitor_judge(struct clan *c, const void *data, size_t size, uint64_t second);
void monitor_run(/* answers what the handler says; e: what went wrong before it, or NULL */
    struct clan *c, ward_handler *handler, const void *request, const struct clan_error *e);
/* A job for a tool: answers the request by `then` when it has run, if the clan is
 * still there.  then NULL: with what the tool said; request NULL too: nobody asked. */
void *monitor_job(struct clan *c, const char *doing, ward_handler *then, const void *request);
tool_fn monitor_done; /* of the job */
void monitor_event(struct clan *c, const void *event, size_t size, int fd);
void monitor_kill(struct clan *c, const char *why);

/* clans.c: slots, and how a clan begins and ends */
struct clan *clans_next(struct warden *w, struct clan *before); /* NULL: the first one, or none */
struct clan *clans_new(struct warden *w, struct clan_error *e);
slots_found_fn clans_found;
void clans_start(struct clan *c);
void clans_end(struct clan *c, unsigned grace_ms);
void clans_settle(struct clan *c); /* after a child died: is the slot empty now? */
uid_t clans_uid(
    struct clan *c, uint32_t kind, const char *name, const char *detail, struct clan_error *e);
int clans_socket(struct warden *w, const char *name, struct clan_error *e);
const char *clans_name(const struct clan *c); /* for the log; NULL: "" */
ward_handler clans_seed_store, clans_bind, clans_down, clans_leave, clans_start_named;

/* children.c: life and death */
struct child *children_new(struct clan *c, uint32_t kind, uint32_t host, const char *name,
    const char *detail, struct clan_error *e);
clan_status children_spawn(struct child *ch, struct clan_error *e);
clan_status children_launch(struct child *ch, struct launch *l, struct clan_error *e);
void children_start(struct clan *c, uint32_t kind); /* once per kind; back-off when it fails */
void children_announce(struct child *ch, bool adopted);
void children_end(struct child *ch, unsigned grace_ms);
void children_try(struct proc *p);
void children_died(struct proc *p, int wait_status);
void children_refused(struct proc *p);
void children_free(struct child *ch);
struct child *children_next(
    struct clan *c, struct child *before); /* NULL: the first one, or none */
struct child *children_find(struct clan *c, uint32_t kind, uint32_t id); /* kind or id 0: any */
ward_handler children_keeper_start, children_child_end;

/* hosts.c: plugins and their programs, within the grants */
clan_status hosts_spawn(struct child *ch, struct clan_error *e);
void hosts_disk_full(struct disk_user *u);
ward_handler hosts_start, hosts_run, hosts_grants;

/* net.c: the network of a clan, once its firewall is closed */
ward_handler net_up, net_tun, net_addr, net_local_addrs, net_device;
void net_down(struct clan *c);
clan_status net_begin(struct warden *w, struct clan_error *e);

/* firewall.c: what nft is told */
void firewall_up(struct clan *c, const void *request, ward_handler *then);
void firewall_host(
    struct clan *c, uid_t uid, uint32_t permissions, const void *request, ward_handler *then);
void firewall_speakers(struct clan *c);
void firewall_down(struct clan *c);
ward_handler firewall_member, firewall_allow, firewall_commit, firewall_clear, firewall_phones;

/* names.c: the hosts file or systemd-resolved */
void names_remove(struct clan *c);
ward_handler names_begin, names_add, names_commit;

#endif
