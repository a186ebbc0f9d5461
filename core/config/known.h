/* A machine of the clan and the name it goes by, which need not stand in clan.yaml. */
#ifndef CONFIG_KNOWN_H
#define CONFIG_KNOWN_H

#include <stdint.h>

struct config_known {
    uint8_t id[32];
    char name[33];
};

#endif
