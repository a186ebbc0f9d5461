/* clan.yaml from anybody: parsing, and every edit on what was accepted. */
#include "base/error.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *take(clan_status s, char *text)
{
    /* an accepted file may be written so that it is not edited, but an edit never goes wrong */
    clan_assert(s != CLAN_E_DEFECT);
    return s == CLAN_OK ? text : NULL;
}

static void edit(const char *text, size_t size, const struct clan_config *c)
{
    struct clan_error e = CLAN_ERROR_INIT;
    const uint8_t id[32] = {0xfe, 0xdc};
    char *a = NULL, *b = NULL;
    size_t a_size = 0, b_size = 0;
    const char *on = c->machine_count ? c->machines[0].name : "none";

    a = take(
        config_edit_enable(text, size, "fuzz-service", "files", on, NULL, 0, &a, &a_size, &e), a);
    if (a)
        b = take(config_edit_disable(a, a_size, "fuzz-service", &b, &b_size, &e), b);
    free(a);
    free(b);
    a = b = NULL;
    a = take(config_edit_machine(text, size, id, "fuzz-machine", &a, &a_size, &e), a);
    if (a)
        b = take(config_edit_machine_gone(a, a_size, id, &b, &b_size, &e), b);
    free(a);
    free(b);
    for (unsigned i = 0; i < c->service_count && i < 4; i++) {
        a = NULL;
        free(take(config_edit_disable(text, size, c->services[i].name, &a, &a_size, &e), a));
    }
    for (unsigned i = 0; i < c->machine_count && i < 4; i++) {
        a = b = NULL;
        free(take(
            config_edit_machine(text, size, c->machines[i].id, "fuzz-renamed", &a, &a_size, &e),
            a));
        free(take(config_edit_machine_gone(text, size, c->machines[i].id, &b, &b_size, &e), b));
    }
    a = NULL;
    a = take(config_edit_version(text, size, 77, &a, &a_size, &e), a);
    free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_problems *p = config_problems_new("fuzz.yaml");
    struct clan_config *c = NULL;
    clan_assert(p);
    if (config_clan_parse((const char *)data, size, p, &c) == CLAN_OK) {
        clan_assert(config_problems_count(p) == 0);
        edit((const char *)data, size, c);
    } else {
        static FILE *sink;
        if (!sink)
            sink = fopen("/dev/null", "w");
        clan_assert(config_problems_count(p) > 0 && sink);
        config_problems_print(p, sink, true);
    }
    config_clan_free(c);
    config_problems_free(p);
    return 0;
}
