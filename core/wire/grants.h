/*
 * The owner's consent in the form that the warden reads: /etc/clan/grants, fixed-size records, made
 * by `clan machine apply` from machine.yaml, root:root 0644.  It holds no secret; core reads it to
 * ask good questions, the warden enforces it.
 */
#ifndef WIRE_GRANTS_H
#define WIRE_GRANTS_H

#include "permission/permission.h"

#include <clan/status.h>
#include <stdbool.h>
#include <stdint.h>

#define GRANTS_PATH         "/etc/clan/grants"
#define GRANTS_MAGIC        0x434c4752u /* "CLGR" */
#define GRANTS_VERSION      2           /* raised with every change of the records below */
#define GRANTS_PLUGINS_MAX  64
#define GRANTS_EXEC_MAX     8
#define GRANTS_LISTEN_MAX   8
#define GRANTS_USERS_MAX    8
#define GRANTS_SETTINGS_MAX 8
#define GRANTS_PEOPLE_MAX   (GRANTS_USERS_MAX + 2) /* root, the owner, and who was named */
#define GRANTS_DEVICE_PORTS 32u /* from each of its listen addresses on: clans on one machine */

#define GRANT_KIND_TRANSPORT 1 /* CLAN_KIND_TRANSPORT */

struct grant_listen {
    uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint16_t port;    /* host order; a second clan takes the next free one */
    uint8_t family;   /* 4 or 6 */
    uint8_t zero;
};

struct grant_setting {
    char key[64], value[256];
};

struct grant_plugin {
    char id[32];          /* "tcp-noise" */
    char file[64];        /* base name in the plugins directory */
    uint8_t hash[32];     /* BLAKE2b-256 of the file; all zero: any file that `signer` signed */
    uint8_t signer[32];   /* its minisign key (Ed25519); all zero: no signature is needed */
    uint32_t permissions; /* GRANT_ bits */
    uint32_t memory_mib, pids; /* 0: the default of the profile */
    uint32_t disk_mib;
    uint8_t exec_count, listen_count;
    uint8_t kind; /* CLAN_KIND_ of its note, 1: a transport */
    uint8_t setting_count;
    uint8_t zero[4];
    char exec[GRANTS_EXEC_MAX][32]; /* profile names */
    struct grant_listen listen[GRANTS_LISTEN_MAX];
    struct grant_setting settings[GRANTS_SETTINGS_MAX]; /* for the plugin itself: a transport's */
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
    uint8_t require_signature;        /* 1: no plugin runs without one */
    uint8_t reserved[63];
    struct grant_plugin plugins[GRANTS_PLUGINS_MAX];
};

/* Reads and checks the whole file (size, magic, counts, terminated strings, owner root and not
 * writable by others unless check_owner is false).  NOENT when there is none. */
clan_status grants_load(
    const char *path, bool check_owner, struct grants *ret_grants, struct clan_error *reterr);
/* The rows behind the last plugin are left alone: memory that nobody writes costs nothing. */
void grants_copy(struct grants *to, const struct grants *from);
clan_status grants_store(const char *path, const struct grants *g, struct clan_error *reterr);
const struct grant_plugin *grants_find(const struct grants *g, const char *plugin_id);
/* Where the person at that place of grants_people() finds what shows the clan of that slot: an address of loopback. */
#define GRANTS_PEOPLE_PORT 7180
void grants_address(
    unsigned slot, unsigned place, uint8_t ret[16]); /* 127.(64+slot).117.(1+place) */
/* Who may use the clan by this machine: root, the owner, those of local_users; each once. */
unsigned grants_people(const struct grants *g, uint32_t ret_uids[GRANTS_PEOPLE_MAX]);
/* Both have it, and it may do the same; one with the sessions of people: for the same ones. */
bool grants_same(const struct grants *g, const struct grants *other, const char *plugin_id);
/* As grants_find(), and what to tell who asked when there is none; path: of the file that does not name it. */
const struct grant_plugin *grants_need(
    const struct grants *g, const char *path, const char *plugin_id, struct clan_error *reterr);
bool grants_exec(const struct grant_plugin *p, const char *profile);
/* Whether it may answer on a service's address, run that program; and what to tell who asked. */
clan_status grants_serve(const struct grant_plugin *p, struct clan_error *reterr);
clan_status grants_run(
    const struct grant_plugin *p, const char *profile, struct clan_error *reterr);
/* Does it run only where a firewall stands before it? */
bool grants_guarded(const struct grant_plugin *p);
/* The sandbox of its host, where no program takes its place. */
const char *grants_profile(const struct grant_plugin *p);
/* May a plugin that carries packets itself have this UDP port, or one of the `tries` after it?  The address
 * to bind for that family (4 or 6; 0: any), or NULL. */
const struct grant_listen *grants_device(
    const struct grants *g, unsigned family, uint16_t port, unsigned tries);
/* Whether a word of a note or of `allow:` is granted. */
bool grants_has(const struct grant_plugin *p, const char *word);
/* All words that are, as they are spelled in machine.yaml; returns their number. */
#define GRANTS_WORDS_MAX 16
unsigned grants_words(const struct grant_plugin *p, char ret[GRANTS_WORDS_MAX][PERM_WORD_MAX]);

#endif
