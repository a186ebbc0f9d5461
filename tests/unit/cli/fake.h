/* A core that a test plays: a thread that speaks clan.api.v1 on sockets in a temporary directory.
 */
#ifndef TESTS_CLI_FAKE_H
#define TESTS_CLI_FAKE_H

#include "statement/statement.h"
#include "wire/api.pb.h"

#include <pthread.h>
#include <stdbool.h>

struct fake {
    char dir[64];
    pthread_t thread;
    int fds[4]; /* listening sockets */
    char names[4][33];
    unsigned fd_count;
    int stop[2];

    /* what it says */
    clan_api_Status status;
    clan_api_Health health[4];
    unsigned health_count;
    clan_api_Machine machines[4];
    unsigned machine_count;
    clan_api_Context context;
    char *body; /* of the head */
    size_t body_size;
    clan_api_PingResult ping;
    clan_api_JoinFacts facts;
    clan_api_Joined joined;
    clan_api_Service service;
    clan_api_Phone phone; /* carried is counted up by each one added */
    clan_api_Invitation invitations[2];
    unsigned invitation_count;
    struct clan_error refuse; /* status set: refuses the request `refuse_tag` */
    pb_size_t refuse_tag;
    uint8_t machine_secret[64], machine_public[32]; /* for Create */

    /* what it heard */
    unsigned connections, requests;
    pb_size_t last_tag;
    uint8_t submitted[4][STMT_MAX];
    size_t submitted_size[4];
    unsigned submitted_count;
    uint8_t blob[65536];
    size_t blob_size;
    clan_api_JoinYes yes;
    clan_api_CreateCommit commit;
    clan_api_PhoneAdd phone_add; /* the last one with a seed */
    char link[320], started[33];
};

void fake_open(struct fake *f);
void fake_listen(struct fake *f, const char *name); /* before fake_start */
void fake_start(struct fake *f);
void fake_close(struct fake *f);

#endif
