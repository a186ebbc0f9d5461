/* Questions and errors in a window, by zenity or kdialog, where there is neither a browser nor a terminal. */
#include "base/error.h"
#include "cli/desktop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MAX 2000

static FILE *terminal; /* where errors went before */
static char *collected;
static size_t collected_size, told; /* told: as much stood in earlier questions */

void dialog_safe(char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                " \n.,:;?!()[]/'_-";
    for (char *p = text; *p; p++)
        if (!strchr(plain, *p))
            *p = '?';
}

/* Exit status of a program with these arguments; 127: it is not there. */
static int run(const char *const *argv)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        desktop_child();
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    if (pid < 0)
        return 127;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* What was said since the last question, and the question. */
static clan_status ask(struct cli *c, const char *question)
{
    char text[TEXT_MAX], option[TEXT_MAX + 8];
    fflush(c->err);
    snprintf(text, sizeof text, "%s\n%s", collected ? collected + told : "", question);
    told = collected_size;
    dialog_safe(text);
    snprintf(option, sizeof option, "--text=%s", text);
    const char *zenity[] = {
        "zenity", "--question", "--no-markup", "--default-cancel", "--title=Clan", option, NULL};
    const char *kdialog[] = {"kdialog", "--title", "Clan", "--warningyesno", text, NULL};
    int code = run(zenity);
    if (code == 127)
        code = run(kdialog);
    if (code == 127) {
        err_set(&c->e, CLAN_E_NOENT, "nobody can be asked: %.100s", question);
        err_why(&c->e, "there is no terminal, no browser, and neither zenity nor kdialog");
        err_remedy(&c->e, "run `clan join` on a terminal and paste the link");
        return CLAN_E_NOENT;
    }
    return code == 0 ? CLAN_OK : err_set(&c->e, CLAN_E_CANCELLED, "cancelled; nothing was changed");
}

void dialog_error(const struct clan_error *e)
{
    char text[TEXT_MAX], option[TEXT_MAX + 8];
    snprintf(text, sizeof text, "%s\n%s\n%s", e->what, e->why, e->remedy);
    for (char *p = text; *p; p++)
        if (*p == '`')
            *p = '\'';
    dialog_safe(text);
    snprintf(option, sizeof option, "--text=%s", text);
    const char *zenity[] = {"zenity", "--error", "--no-markup", "--title=Clan", option, NULL};
    const char *kdialog[] = {"kdialog", "--title", "Clan", "--error", text, NULL};
    if (run(zenity) == 127)
        run(kdialog);
}

bool dialog_begin(struct cli *c)
{
    FILE *f = open_memstream(&collected, &collected_size);
    if (!f)
        return false;
    terminal = c->err;
    c->err = f;
    c->err_tty = false;
    c->ask = ask;
    return true;
}

void dialog_end(struct cli *c)
{
    fclose(c->err);
    free(collected);
    collected = NULL;
    told = 0;
    c->err = terminal;
    c->ask = NULL;
}
