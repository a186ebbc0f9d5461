/* What a daemon of root sets up before it works: mounts, directories, its lock, its signals. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <clan/status.h>
#include <stdbool.h>
#include <sys/types.h>

/* In a mount namespace of its own: nothing it mounts is seen outside; /proc of its PID namespace. */
clan_status daemon_mounts(struct clan_error *e);
/* A directory of root with that mode, made when it is not there; no link is followed.  -1: error. */
int daemon_directory(const char *path, mode_t mode, struct clan_error *e);
/* One process has it, until it ends; `path` is what the others are told. */
clan_status daemon_lock(int dir, const char *path, struct clan_error *e);
gid_t daemon_group(const char *name); /* of /etc/group; 0: there is none */
/* A descriptor that says SIGTERM and SIGCHLD; those of a terminal and of pipes are ignored.  -1: error. */
int daemon_signals(struct clan_error *e);
void daemon_tell(
    int supervisor, char word); /* one that does not listen hears nothing; -1: there is none */
bool daemon_told_to_end(int signals); /* reads all there is; SIGCHLD only wakes the caller */

#endif
