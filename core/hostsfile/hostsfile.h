/* A block of our own in /etc/hosts; the rest of the file is left as it is. */
#ifndef HOSTSFILE_HOSTSFILE_H
#define HOSTSFILE_HOSTSFILE_H

#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hostsfile_row {
    char name[72];
    uint8_t address[16];
};
#define HOSTSFILE_ROWS_MAX 2048
struct hostsfile_rows { /* starts as zeros */
    struct hostsfile_row *rows;
    size_t count;
};
/* Takes a name that is one (it may lack its end); LIMIT above HOSTSFILE_ROWS_MAX. */
clan_status hostsfile_add(struct hostsfile_rows *all, const char name[72],
    const uint8_t address[16], struct clan_error *e);
bool hostsfile_name_ok(const char *name); /* [a-z0-9.-]{1,71} */
/* The whole new text, malloc'd; no rows: no block. */
char *hostsfile_edit(
    const char *old, const char *block, const struct hostsfile_row *rows, size_t count);
clan_status hostsfile_write(
    const char *block, const struct hostsfile_row *rows, size_t count, struct clan_error *e);

#endif
