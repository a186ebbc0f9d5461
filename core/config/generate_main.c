/* Writes one generated file at build time: generate_main WHAT OUTPUT. */
#include "config/config.h"

int main(int argc, char **argv)
{
    FILE *out = argc == 3 ? fopen(argv[2], "w") : NULL;
    if (!out) {
        fputs("usage: generate_main WHAT OUTPUT\n", stderr);
        return 2;
    }
    clan_status s = config_generate(argv[1], out);
    return fclose(out) == 0 && s == CLAN_OK ? 0 : 1;
}
