/* Writes over an argument of the process. */
#include "base/title.h"

#include <string.h>

static char *kept;
static size_t room;

void title_keep(char *arg)
{
    kept = arg;
    room = strlen(arg);
}

void title_set(const char *name)
{
    size_t len = strlen(name);
    if (!kept || len > room)
        return;
    memcpy(kept, name, len);
    memset(kept + len, 0, room - len);
}
