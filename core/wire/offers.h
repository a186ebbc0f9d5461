/* What is installed on this machine, as `clan machine apply` found it: for people who choose, beside the grants.
 * Nothing is allowed by it. */
#ifndef WIRE_OFFERS_H
#define WIRE_OFFERS_H

#include "permission/permission.h"

#include <clan/note.h>
#include <clan/status.h>
#include <stdint.h>

#define OFFERS_PATH     "/etc/clan/offers"
#define OFFERS_MAGIC    0x4f4c4e43u /* "CNLO" */
#define OFFERS_VERSION  2           /* raised with every change of the records below */
#define OFFERS_MAX      64
#define OFFERS_ASKS_MAX 16

struct offer {
    char id[32], file[64], version[32], title[64], sentence[128];
    uint32_t kind; /* CLAN_KIND_ of its note */
    uint32_t ask_count;
    char asks[OFFERS_ASKS_MAX][PERM_WORD_MAX];
    uint32_t setting_count;
    struct clan_note_setting settings[CLAN_NOTE_SETTINGS_MAX]; /* as the note says them */
};

struct offers {
    uint32_t magic, version, size, count; /* size: sizeof(struct offers) */
    struct offer list[OFFERS_MAX];
};

/* Checked: sizes, counts, terminated strings without control characters.  NOENT: it was never written. */
clan_status offers_load(const char *path, struct offers *ret, struct clan_error *reterr);
/* Durable; 0644. */
clan_status offers_store(const char *path, const struct offers *o, struct clan_error *reterr);
const struct offer *offers_find(const struct offers *o, const char *file);

#endif
