/* The name of a process in `ps`, which is known later than its start. */
#ifndef BASE_TITLE_H
#define BASE_TITLE_H

/* What stands in place of a name that is not known yet: as long as the longest name. */
#define TITLE_UNKNOWN "-                               "

void title_keep(char *arg); /* of main()'s argv, made with TITLE_UNKNOWN */
void title_set(const char *name);

#endif
