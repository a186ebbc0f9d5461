/* Texts of clan.yaml that several tests begin with, and reading them. */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include "config/config.h"

#include <time.h>

#define KEY1     "ed25519:rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa"
#define KEY2     "ed25519:qe4xodvipulv6vvdkrtmgtd6ztfy3curwtxdpis56yhvxd6jwoka"
#define ID1      "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
#define ID2      "aeqseizeeutcokbjfivsyljof4ydcmrtgq2tmnzyhe5dwpb5hy7q"
#define HEAD     "version: 1\nclan: home\nadmins: {threshold: 1, keys: {anna: \"" KEY1 "\"}}\n"
#define MACHINES "machines:\n  \"" ID1 "\": {name: nas}\n  \"" ID2 "\": {name: laptop, tags: [x]}\n"
/* a service in line 8 to 11 */
#define SERVICE                                                                                    \
    HEAD MACHINES "services:\n  files:\n    plugin: files\n    place: {on: nas}\n    allow: "      \
                  "[all]\n"

char *slurp(const char *path, size_t *ret_size); /* malloc'd, ends with NUL */
struct config_problems *problems_of(const char *text, size_t size, clan_status expected);
double seconds_since(const struct timespec *from);

#endif
