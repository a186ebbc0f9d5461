/* How a system call that was refused is said: "socket AF_NETLINK refused".  Decides nothing. */
#ifndef REFUSAL_REFUSAL_H
#define REFUSAL_REFUSAL_H

#include "profiles/profiles.h"

/* What the argument of a call stands for; nothing where it stands for a path, which is its own word. */
void refusal_about(enum profile_about about, uint64_t arg, char *ret_about, size_t cap);
/* One line; about may be empty, and holds what a plugin wrote. */
void refusal_text(const char *call, const char *about, char *ret_text, size_t cap);

#endif
