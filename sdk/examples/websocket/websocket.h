/* The transport websocket: what its parts share. */
#ifndef WS_WEBSOCKET_H
#define WS_WEBSOCKET_H

#include "frame.h"
#include "handshake.h"

#include <clan/transport.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define WS_ID          "websocket"
#define WS_LISTEN_MAX  16
#define WS_DIALS_MAX   64  /* what Clan asks for at once (clan/transport.h) */
#define WS_STREAMS_MAX 112 /* two watches each, of the 256 that a plugin has */
#define WS_NEW_MAX     32  /* callers that have not finished their handshake */
#define WS_BUFFER      16384
#define WS_TICK_MS     250
#define WS_GREET_MS    5000  /* a caller's handshake */
#define WS_QUIET_MS    25000 /* then a ping: proxies forget connections without traffic */
#define WS_DEAD_MS     75000
#define WS_CLOSE_MS    2000 /* for the close frame of the other side */

union ws_addr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* endpoint.c: "192.0.2.7:7180", "[2001:db8::7]:7180/calls" */
struct ws_endpoint {
    union ws_addr addr;
    socklen_t len;
    char host[WS_HOST_MAX + 1]; /* address and port */
    char path[WS_PATH_MAX + 1]; /* "": the usual one */
};
bool ws_endpoint_parse(const char *text, struct ws_endpoint *ret);
void ws_endpoint_text(const union ws_addr *a, const char *path, char ret[CLAN_ENDPOINT_MAX + 1]);
int ws_address_rank(
    const uint8_t address[16]); /* 0: best for being dialled; -1: of no use to others */

enum ws_state {
    WS_CONNECTING, /* a dial: TCP */
    WS_GREETING,   /* the opening handshake */
    WS_OPEN,
    WS_CLOSING /* our close frame is on its way or has arrived; the stream has ended */
};

struct ws;

/* One connection: TCP with frames on one side, on the other a socket pair whose far end Clan has. */
struct ws_conn {
    struct ws *w;
    enum ws_state state;
    bool client, pinged, close_sent;
    int tcp, pipe;                  /* pipe -1: not there */
    uint32_t tcp_watch, pipe_watch; /* events that are watched */
    uint32_t request;               /* a dial that waits for its answer, 0: none */
    uint64_t deadline_ms;           /* of the dial, the greeting, the close */
    uint64_t heard_ms;
    char key[WS_KEY_SIZE + 1];
    char remote[CLAN_ENDPOINT_MAX + 1];
    struct ws_frames frames;
    uint8_t rx[WS_BUFFER]; /* from TCP */
    size_t rx_at, rx_end;
    size_t rx_plain;                     /* so many from rx_at on are data for the pipe */
    uint8_t tx[WS_HEAD_MAX + WS_BUFFER]; /* to TCP */
    size_t tx_at, tx_end;
    uint8_t control[WS_CONTROL_MAX];      /* a pong or a close that waits for its turn */
    uint8_t control_size, control_opcode; /* opcode 0: none */
};

struct ws {
    const struct clan_host *host;
    const struct clan_transport_host *to;
    int32_t listen_fds[WS_LISTEN_MAX];
    uint32_t listen_count;
    bool listening, started;
    uint64_t tick, pause;
    char path[WS_PATH_MAX + 1], host_name[WS_HOST_MAX + 1];
    struct ws_conn *conns[WS_STREAMS_MAX];
};

/* conn.c */
uint64_t ws_now_ms(void);
struct ws_conn *ws_conn_new(struct ws *w, int tcp, bool client); /* takes tcp; NULL: full */
void ws_conn_drop(struct ws_conn *c);                            /* at once, without a word */
clan_status ws_conn_watch(
    struct ws_conn *c); /* what it waits for; fails with a limit of the host */
void ws_conn_tick(struct ws_conn *c, uint64_t now_ms);
void ws_conn_dial_failed(struct ws_conn *c, clan_status status, const char *why); /* and drops it */
unsigned ws_conn_count(const struct ws *w, bool greeting); /* all, or callers not done */

/* pump.c: frames <-> bytes, of an open connection.  false: it has ended and was dropped. */
bool ws_pump_in(struct ws_conn *c);
bool ws_pump_out(struct ws_conn *c);
void ws_control(struct ws_conn *c, enum ws_opcode opcode, const void *data, size_t size);
void ws_close(struct ws_conn *c, uint16_t code); /* says goodbye; the stream has ended */

#endif
