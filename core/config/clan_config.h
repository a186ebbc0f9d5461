/* clan.yaml as a checked model.  Made only by config_clan_parse(); one allocation tree, freed as a
 * whole. */
#ifndef CONFIG_CLAN_CONFIG_H
#define CONFIG_CLAN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_ADMINS_MAX     16
#define CONFIG_KEEPERS_MAX    5
#define CONFIG_TAGS_MAX       16
#define CONFIG_MACHINES_MAX   4096
#define CONFIG_SERVICES_MAX   64
#define CONFIG_ALLOW_MAX      16
#define CONFIG_SETTINGS_MAX   32
#define CONFIG_TRANSPORTS_MAX 8
#define CONFIG_PEOPLE_MAX     64
#define CONFIG_PERSON_MAX     64 /* machines of one person */

struct clan_config_admin {
    char name[33];
    uint8_t key[32]; /* Ed25519 */
};
enum config_role { CONFIG_MEMBER, CONFIG_GUEST, CONFIG_ADMIN }; /* of a person in the dashboard */
struct clan_config_machine {
    uint8_t id[32];
    char name[33];
    char person[33]; /* whose it is, by people:; "" nobody said */
    uint8_t role;    /* of that person: enum config_role */
    uint8_t via;     /* bit i: transports[i] may be used; 0: all of them may */
    unsigned tag_count;
    char tags[CONFIG_TAGS_MAX][33];
};
struct clan_config_setting {
    char key[64];
    char value[256];
};
struct clan_config_service {
    char name[33];
    char plugin[33];
    char on[33];        /* place: {on: NAME} */
    unsigned tag_count; /* place: {tags: [...]}; needs leases, refused by name until then */
    char tags[CONFIG_TAGS_MAX][33];
    unsigned copies;      /* 1 */
    uint16_t port;        /* 0: the plugin's default */
    uint8_t via;          /* as of a machine */
    unsigned allow_count; /* "all", "provisional", machine names, "tag:NAME" */
    char allow[CONFIG_ALLOW_MAX][40];
    unsigned setting_count;
    struct clan_config_setting settings[CONFIG_SETTINGS_MAX];
};
struct clan_config {
    uint64_t version;
    char clan[33];
    unsigned threshold;
    unsigned admin_count;
    struct clan_config_admin admins[CONFIG_ADMINS_MAX];
    unsigned keeper_count;
    char keepers[CONFIG_KEEPERS_MAX][33]; /* machine names */
    unsigned transport_count;
    char transports[CONFIG_TRANSPORTS_MAX][33]; /* preference order */
    unsigned machine_count;
    struct clan_config_machine *machines;
    unsigned service_count;
    struct clan_config_service services[CONFIG_SERVICES_MAX];
};

#endif
