/* What the local API answers as JSON: the same for "clan --json" and for programs that speak HTTP. */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "netcheck/netcheck.h"
#include "wire/api.pb.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* New references; NULL: out of memory, or text that is not UTF-8. */
json_t *json_b32(const void *data, size_t size); /* at most 64 bytes */
json_t *json_address(const uint8_t address[16]);
json_t *json_time(int64_t wall);                  /* RFC 3339, null for 0 */
json_t *json_of_status(const clan_api_Status *s); /* without health and machines */
json_t *json_of_health(const clan_api_Health *h);
json_t *json_of_machine(const clan_api_Machine *m);
json_t *json_of_service(const clan_api_Service *s);
json_t *json_of_invitation(const clan_api_Invitation *i);
json_t *json_of_config_version(const clan_api_ConfigVersion *v);
json_t *json_of_event(const clan_api_Event *e);
json_t *json_of_path(const clan_api_Path *p);
json_t *json_of_path_event(const clan_api_PathEvent *e);
json_t *json_of_ping(const clan_api_PingResult *r);
json_t *json_of_plugin(const clan_api_Plugin *p); /* with what each of its words means */
json_t *json_of_net_checks(const struct net_checks *l);
json_t *json_of_error(const clan_wire_Error *e);
json_t *json_of_proposal(const clan_api_Proposal *p);      /* without its body */
json_t *json_of_ui_question(const clan_api_UiQuestion *q); /* whether to join a clan */
const char *json_severity(uint32_t severity);              /* "note", "warning", "alarm" */
const char *json_path_state(const clan_api_Path *p); /* "in use", "spare", "not allowed", ... */

#endif
