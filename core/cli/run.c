/* From argv to an exit code. */
#include "base/error.h"
#include "cli/out.h"

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static clan_status run(struct cli *c)
{
    if (c->help && c->command)
        help_command(c, c->command);
    else if (!c->command && c->arg_count)
        help_group(c, c->args[0]);
    else if (!c->command)
        help_all(c);
    else
        return c->command->run(c);
    return CLAN_OK;
}

int cli_main(int argc, char **argv, FILE *out, FILE *err, FILE *in)
{
    struct cli *c = calloc(1, sizeof *c);
    if (!c || sodium_init() < 0)
        return clan_status_exit(CLAN_E_DEFECT);
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    signal(SIGPIPE,
        SIG_IGN); /* a closed pipe is an error of writing, not the end of a half-done change */
    clan_status st = cli_parse(c, argc - 1, argv + 1);
    cli_streams(c, out, err, in);
    if (st == CLAN_OK)
        st = run(c);
    out_progress_end(c);
    if (st == CLAN_OK && (fflush(out) != 0 || ferror(out)))
        st = err_errno(&c->e, CLAN_E_IO, "cannot write the answer");
    if (st != CLAN_OK) {
        if (c->e.status != st)
            err_set(&c->e, st, "%s", clan_status_text(st));
        out_error(c, &c->e);
    }
    int code = st == CLAN_OK ? c->exit : clan_status_exit(st);
    free(c);
    return code;
}
