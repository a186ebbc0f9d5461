/* Endpoints of TCP as text: "192.0.2.7:7117", "[2001:db8::7]:7117". */
#ifndef TCP_ENDPOINT_H
#define TCP_ENDPOINT_H

#include <clan/transport.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

union tcp_addr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Numbers only: no names, no zones. */
bool tcp_endpoint_parse(const char *text, union tcp_addr *ret_addr, socklen_t *ret_len);
/* IPv4-mapped addresses come out as IPv4. */
void tcp_endpoint_text(const union tcp_addr *a, char ret_text[CLAN_ENDPOINT_MAX + 1]);
/* How good an address (IPv4 mapped) is for being dialled: 0 best; -1: useless to others. */
int tcp_address_rank(const uint8_t address[16]);
bool tcp_is_mapped(const uint8_t address[16]);

#endif
