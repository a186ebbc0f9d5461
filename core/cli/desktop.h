/* The user's desktop: a folder for what runs, the browser, who opens clan: links, dialogs. */
#ifndef CLI_DESKTOP_H
#define CLI_DESKTOP_H

#include "cli/cli.h"

#define DESKTOP_PATH_MAX 256

/* The user's own folder for what runs, made when missing, 0700: $XDG_RUNTIME_DIR/clan, else run/ in the folder of keys. */
clan_status desktop_run_dir(char ret_path[DESKTOP_PATH_MAX], struct clan_error *e);
bool desktop_shows(void); /* is there a display? */
/* A browser that can be started: $BROWSER, else xdg-open with a display. */
bool desktop_browses(void);
/* Opens the URL without it being in any command line: by a page of ours (0600) that goes there, gone after 30 s. */
clan_status desktop_browse(const char *url, struct clan_error *e);
/* In a new process, before another program: no terminal, no signals held back. */
void desktop_child(void);
/* The .desktop file that opens clan: links for this user, by the files of the MIME applications standard; "": none is
 * said. */
void desktop_handler(char ret_file[64]);
/* Says it when clan: links are opened by another program. */
void desktop_check_handler(struct cli *c);

/* dialog.c: questions by zenity or kdialog.  false: there is none. */
bool dialog_begin(struct cli *c);
void dialog_end(struct cli *c);
/* Shows an error in a window, if there is a program for it. */
void dialog_error(const struct clan_error *e);
/* Only letters, digits and plain punctuation stay: nothing that a dialog reads as markup or an escape. */
void dialog_safe(char *text);

#endif
