/* clan.yaml from anybody: parsing, and every edit on what was accepted. */
#include "base/error.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An accepted file may be written so that it is not edited, but an edit never goes wrong. */
static void done(clan_status s, const char *text, size_t size)
{
    clan_assert(s != CLAN_E_DEFECT && (s == CLAN_OK) == (text != NULL));
    clan_assert(!text || strlen(text) == size);
}

static void edit_services(const char *text, size_t size, const struct clan_config *c)
{
    char *a = NULL, *b = NULL;
    size_t a_size = 0, b_size = 0;
    clan_status s;
    const char *on = c->machine_count ? c->machines[0].name : "none";

    s = config_edit_enable(text, size,
        &(struct config_service_wanted){"fuzz-service", "files", on, NULL, 0, NULL, 0}, &a, &a_size,
        NULL);
    done(s, a, a_size);
    if (a) {
        s = config_edit_disable(a, a_size, "fuzz-service", &b, &b_size, NULL);
        done(s, b, b_size);
    }
    free(a);
    free(b);
    for (unsigned i = 0; i < c->service_count && i < 4; i++) {
        a = NULL;
        s = config_edit_disable(text, size, c->services[i].name, &a, &a_size, NULL);
        done(s, a, a_size);
        free(a);
    }
}

static void edit_machines(const char *text, size_t size, const struct clan_config *c)
{
    const uint8_t id[32] = {0xfe, 0xdc};
    char *a = NULL, *b = NULL;
    size_t a_size = 0, b_size = 0;
    clan_status s;

    s = config_edit_machine(text, size, id, "fuzz-machine", &a, &a_size, NULL);
    done(s, a, a_size);
    if (a) {
        s = config_edit_machine_gone(a, a_size, id, &b, &b_size, NULL);
        done(s, b, b_size);
    }
    free(a);
    free(b);
    for (unsigned i = 0; i < c->machine_count && i < 4; i++) {
        const uint8_t *one = c->machines[i].id;
        a = b = NULL;
        s = config_edit_machine(text, size, one, "fuzz-renamed", &a, &a_size, NULL);
        done(s, a, a_size);
        s = config_edit_machine_gone(text, size, one, &b, &b_size, NULL);
        done(s, b, b_size);
        free(a);
        free(b);
    }
    a = NULL;
    s = config_edit_version(text, size, 77, &a, &a_size, NULL);
    done(s, a, a_size);
    free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_problems *p = config_problems_new("fuzz.yaml");
    struct clan_config *c = NULL;
    clan_assert(p);
    if (config_clan_parse((const char *)data, size, p, &c) == CLAN_OK) {
        clan_assert(config_problems_count(p) == 0);
        edit_services((const char *)data, size, c);
        edit_machines((const char *)data, size, c);
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
