/* What the files of the warden share: clans in their slots, children, and who does what. */
#ifndef WARDEN_WARDEN_H
#define WARDEN_WARDEN_H

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "sandbox/sandbox.h"
#include "wire/grants.h"
#include "wire/warden_requests.h"

#define WARD_SLOTS       16 /* bound clans and those being made */
#define WARD_UNBOUND_MAX 8
#define WARD_UIDS        256 /* per slot; the uid is base + 256 * slot + index */
#define WARD_UID_NAME    72
#define WARD_NAMES_MAX   2048
#define WARD_FW_MAX      4096

struct warden_options {
    const char *cgroup, *run_dir, *state_dir, *grants, *plugin_dir, *libexec_dir;
    uid_t uid_base;
    bool verbose;
    int supervisor_fd; /* 'R': ready, 'W': alive */
};

struct log_rate {
    uint64_t second;
    unsigned count, dropped;
};

/* How a child is asked for; kept, because the warden starts it anew by itself. */
struct child {
    struct clan *clan; /* NULL: free */
    uint32_t id, kind, host;
    char name[33], plugin[32];
    bool runs, ending, adopt;
    uid_t uid;
    struct sandbox_child sandbox;
    int core_end, log_fd, log_file, cgroup_fd;
    char cgroup[96];
    int listen[GRANTS_LISTEN_MAX + 1]; /* host: kept over restarts; its service's is the last one */
    unsigned listen_count;
    struct ward_host_start how;
    uint64_t due_ms, started_ms; /* due: restart, kill or "loaded", whatever its state needs */
    unsigned backoff_ms;
    char last_words[200];
    struct log_rate said, refused;
};

struct fw_element { /* a member has protocol 0 and no destination */
    uint8_t peer[16], dest[16];
    uint16_t port;
    uint8_t protocol;
    bool want, have;
};

struct ward_name_row {
    char name[72];
    uint8_t address[16];
};

struct clan {
    struct warden *warden;
    bool used, bound, down, leaving, net_up, ready, fw_unsure;
    unsigned slot;
    uint32_t generation; /* answers of tools for an earlier clan in this slot are dropped */
    uint32_t state;      /* one WARD_ bit: what the running core has reached */
    uint8_t id[32], prefix[16], address[16];
    char petname[33];
    int dir_fd, core_fd, listener, connection, tun;
    char ifname[16];
    unsigned ifindex;
    uint32_t tun_flags, mtu;
    struct child children[WARD_CHILDREN_MAX];
    char uids[WARD_UIDS][WARD_UID_NAME];
    struct {
        uint64_t second;
        unsigned count;
    } rate[WARD_REQ_COUNT];
    struct fw_element *fw;
    size_t fw_count;
    struct ward_name_row *names;
    size_t name_count;
};

struct warden {
    struct warden_options opt;
    struct loop *loop;
    struct grants grants;
    bool have_grants, stopping, ready, hosts_table;
    int new_sock, signal_fd, cgroup_fd, clans_fd, log_dir, null_fd, monitor_fd;
    gid_t clan_gid; /* 0: there is no group "clan" */
    uint32_t next_child, next_generation;
    uint64_t tick, addrs_timer;
    int64_t sleep_ms;
    struct clan clans[WARD_SLOTS];
};

/* warden.c */
int warden_main(const struct warden_options *opt);
void warden_ready(struct warden *w);

/* monitor.c: the request table, and answers */
typedef void ward_handler(struct clan *c, const void *request);
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
void monitor_answer(struct clan *c, uint32_t serial, const struct clan_error *e, uint32_t child,
    uint32_t flags, int fd);
void monitor_event(struct clan *c, const void *event, size_t size, int fd);
void monitor_kill(struct clan *c, const char *why);

/* clans.c: slots on disk */
struct clan *clans_new(struct warden *w, struct clan_error *e);
void clans_load(struct warden *w);
void clans_start(struct clan *c);
void clans_end(struct clan *c, unsigned grace_ms);
void clans_settle(struct clan *c); /* after a child died: is the slot empty now? */
clan_status clans_store(struct clan *c, struct clan_error *e);
int clans_uid(struct clan *c, uint32_t kind, const char *name, const char *detail,
    struct clan_error *e); /* index in the slot, -1 */
int clans_uid_index(char names[WARD_UIDS][WARD_UID_NAME], const char *key);
int clans_dir(struct clan *c, const char *parent, const char *name, uid_t uid, gid_t gid,
    mode_t mode, struct clan_error *e);
void clans_listen(struct clan *c, struct clan_error *e);
int clans_socket(struct warden *w, const char *name, struct clan_error *e);
const char *clans_name(const struct clan *c);
ward_handler clans_seed_store, clans_bind, clans_down, clans_leave, clans_start_named;

/* children.c: life and death */
struct launch {
    struct sandbox_spec spec;
    struct sandbox_fd fds[SANDBOX_FDS_MAX];
    struct sandbox_bind binds[4];
    const char *argv[8], *envp[8];
    int close[SANDBOX_FDS_MAX];
    unsigned close_count;
};
struct child *children_new(
    struct clan *c, uint32_t kind, const char *name, const char *plugin, struct clan_error *e);
clan_status children_spawn(struct child *ch, struct clan_error *e);
clan_status children_launch(struct child *ch, struct launch *l, struct clan_error *e);
void launch_fd(struct launch *l, int from, int to, bool own); /* own: closed after the start */
void launch_bind(struct launch *l, int fd, const char *target, bool writable);
void children_start(struct clan *c, uint32_t kind); /* once per kind; back-off when it fails */
void children_announce(struct child *ch, bool adopted);
void children_end(struct child *ch, unsigned grace_ms);
void children_kill(struct child *ch);
void children_reap(struct warden *w, pid_t pid, int wait_status);
void children_free(struct child *ch);
struct child *children_find(struct clan *c, uint32_t kind, uint32_t id); /* kind or id 0: any */
unsigned children_backoff(unsigned last_ms, uint64_t life_ms, unsigned *ret_next);
clan_status children_cgroups(struct warden *w, struct clan_error *e);
loop_timer_fn children_tick;
ward_handler children_keeper_start, children_child_end;

/* hosts.c: plugins and their programs, within the grants */
clan_status hosts_spawn(struct child *ch, struct clan_error *e);
ward_handler hosts_start, hosts_run, hosts_grants;

/* net.c: TUN, addresses, routes, what changed */
ward_handler net_up, net_tun, net_addr_add, net_addr_del, net_local_addrs;
void net_down(struct clan *c);
unsigned net_local(struct warden *w, struct ward_local_addrs *ret);
bool net_in_prefix(const struct clan *c, const uint8_t address[16]);
clan_status net_monitor(struct warden *w);
int net_socket(
    int type, const uint8_t address[16], uint16_t port, unsigned tries, struct clan_error *e);

/* firewall.c: text for nft from structs */
struct fw_table {
    char name[24], ifname[16], prefix[56], resolver[48];
    uid_t speakers[GRANTS_USERS_MAX + 2 + WARD_CHILDREN_MAX];
    unsigned speaker_count;
};
struct text {
    char *data;
    size_t len, cap;
    bool failed;
};
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void firewall_table(struct text *t, const struct fw_table *f);
size_t firewall_changes(struct text *t, const char *table, struct fw_element *e, size_t count);
void firewall_hosts_table(struct text *t, uid_t base);
typedef void firewall_fn(struct clan *c, const void *request, const struct clan_error *e);
void firewall_up(struct clan *c, const void *request, size_t size, firewall_fn *fn);
void firewall_host(struct clan *c, uid_t uid, uint32_t permissions, const void *request,
    size_t size, firewall_fn *fn);
void firewall_speakers(struct clan *c);
void firewall_lans(struct warden *w);
void firewall_down(struct clan *c);
void firewall_begin(struct warden *w);
ward_handler firewall_member, firewall_allow, firewall_commit, firewall_clear;

/* tool.c: programs of the system with constant arguments, one at a time in order */
typedef void tool_fn(
    struct warden *w, void *arg, const struct clan_error *e); /* e NULL: it worked */
enum tool_lane { TOOL_RULES, TOOL_REMOVE, TOOL_LANES };
void tool_run(struct warden *w, enum tool_lane lane, const char *const *argv, struct text *input,
    tool_fn *fn, void *arg); /* takes input->data and a malloc'd arg */
bool tool_reap(struct warden *w, pid_t pid, int wait_status);

/* logs.c: the ring of each child */
loop_fd_fn logs_readable;
void logs_take(struct child *ch); /* all that waits */
void logs_write(struct child *ch, enum log_level level, const char *text);
void logs_refused(struct child *ch, const char *text); /* a few a second */
void logs_say(struct clan *c, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))); /* the warden's own; c may be NULL */
void logs_error(struct clan *c, const char *doing, const struct clan_error *e);
clan_status logs_open(struct warden *w, struct clan_error *e);

/* names.c: the hosts file or systemd-resolved */
char *names_edit(
    const char *old, const char *petname, const struct ward_name_row *rows, size_t count);
bool names_ok(const char *name);
void names_remove(struct clan *c);
ward_handler names_begin, names_add, names_commit;

#endif
