/* The service "Shared files": what its parts share. */
#ifndef FILES_FILES_H
#define FILES_FILES_H

#include <clan/service.h>
#include <stdbool.h>

#define FILES_DIR_MAX 96

enum files_run { FILES_IDLE, FILES_ASKED, FILES_SETTLING, FILES_UP };

struct files {
    const struct clan_host *host;
    const struct clan_program_host *programs;
    char title[65];
    bool read_only;
    char state_dir[FILES_DIR_MAX], volume_dir[FILES_DIR_MAX];
    uint8_t address[16];
    uint16_t port;
    int listen_fd; /* the service's listening socket, -1: not handed over */

    enum files_run phase;
    bool locks; /* WebDAV class 2; off when lighttpd cannot keep its database of locks */
    uint32_t run;
    uint64_t timer, begun_ms;
    unsigned failures; /* in a row */

    struct {
        unsigned bad;     /* in a row */
        unsigned backlog; /* connections that waited at the last look */
    } health;
};

/* files.c */
clan_status files_fail(struct clan_error *e, clan_status status, const char *remedy,
    const char *what, const char *why_fmt, ...) __attribute__((format(printf, 5, 6)));
uint64_t files_now_ms(void);
void files_restart(struct files *f); /* the program does not answer */

/* config.c: writes lighttpd.conf and the page below state_dir */
clan_status files_write(const struct files *f, struct clan_error *reterr);

/* health.c */
void files_health(struct files *f, uint32_t request);

#endif
