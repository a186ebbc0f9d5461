/*
 * The owner's consent in the form that the warden reads: /etc/clan/grants, fixed-size records, made
 * by `clan machine apply` from machine.yaml, root:root 0644.  It holds no secret; core reads it to
 * ask good questions, the warden enforces it.
 */
#ifndef WIRE_GRANTS_H
#define WIRE_GRANTS_H

#include <clan/status.h>
#include <stdbool.h>
#include <stdint.h>

#define GRANTS_PATH        "/etc/clan/grants"
#define GRANTS_MAGIC       0x434c4752u /* "CLGR" */
#define GRANTS_VERSION     1
#define GRANTS_PLUGINS_MAX 64
#define GRANTS_EXEC_MAX    8
#define GRANTS_LISTEN_MAX  8
#define GRANTS_USERS_MAX   8

/* Permission bits: the closed vocabulary of DESIGN 9, as far as it is enforced today. */
#define GRANT_FS_STATE             (1u << 0)
#define GRANT_NET_SERVICE          (1u << 1) /* listen on the address of its own service */
#define GRANT_NET_LISTEN           (1u << 2) /* the addresses of `listen:` */
#define GRANT_NET_CONNECT_LAN      (1u << 3)
#define GRANT_NET_CONNECT_INTERNET (1u << 4)
#define GRANT_NET_CONNECT_OVERLAY  (1u << 5)
#define GRANT_API_READ             (1u << 6)
#define GRANT_KVM                  (1u << 7)
#define GRANT_JIT                  (1u << 8)

/* One table for the YAML spelling, the ELF note, the words and the bit. */
struct grant_word {
    uint32_t bit;
    const char *word;  /* as in machine.yaml and in a plugin's note: "net.connect:lan" */
    const char *means; /* as a person reads it, after "It may ..." */
};
extern const struct grant_word grant_words[];
extern const unsigned grant_words_count;
/* bit of a word, 0 when unknown ("exec:NAME" is not here: it is a list) */
uint32_t grant_word_bit(const char *word);

struct grant_listen {
    uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint16_t port;    /* host order; a second clan takes the next free one */
    uint8_t family;   /* 4 or 6 */
    uint8_t zero;
};

struct grant_plugin {
    char id[32];      /* "tcp-noise" */
    char file[64];    /* base name in the plugins directory */
    uint8_t hash[32]; /* BLAKE2b-256 of the file; all zero: bound to signer */
    uint8_t signer[32];
    uint32_t permissions;      /* GRANT_ bits */
    uint32_t memory_mib, pids; /* 0: the default of the profile */
    uint32_t disk_mib;
    uint8_t exec_count, listen_count, zero[6];
    char exec[GRANTS_EXEC_MAX][32]; /* profile names */
    struct grant_listen listen[GRANTS_LISTEN_MAX];
};

enum grant_dns { GRANT_DNS_AUTO = 0, GRANT_DNS_RESOLVED, GRANT_DNS_HOSTS, GRANT_DNS_OFF };
enum grant_manage { GRANT_MANAGE_NONE = 0, GRANT_MANAGE_SERVICES, GRANT_MANAGE_MANAGE };
enum grant_stale { GRANT_STALE_OPEN = 0, GRANT_STALE_CLOSED };
enum grant_hosting { GRANT_HOSTING_ASK = 0, GRANT_HOSTING_YES, GRANT_HOSTING_NO };

struct grants {
    uint32_t magic, version;
    uint32_t size; /* sizeof(struct grants) */
    uint32_t plugin_count;
    uint32_t owner_uid; /* may use the overlay and the local API */
    uint8_t manage, dns, stale, hosting;
    uint32_t
        weaker; /* sandbox mechanisms the owner allows to be missing, by SANDBOX_WEAKER_ bits */
    uint32_t user_count;
    uint32_t users[GRANTS_USERS_MAX]; /* local_users besides the owner */
    uint8_t reserved[64];
    struct grant_plugin plugins[GRANTS_PLUGINS_MAX];
};

/* Reads and checks the whole file (size, magic, counts, terminated strings, owner root and not
 * writable by others unless check_owner is false).  NOENT when there is none. */
clan_status grants_load(
    const char *path, bool check_owner, struct grants *ret_grants, struct clan_error *reterr);
clan_status grants_store(const char *path, const struct grants *g, struct clan_error *reterr);
const struct grant_plugin *grants_find(const struct grants *g, const char *plugin_id);
bool grants_exec(const struct grant_plugin *p, const char *profile);

#endif
