/* The words for what a plugin may do: one table for notes, machine.yaml, the warden and people. */
#ifndef PERMISSION_PERMISSION_H
#define PERMISSION_PERMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERM_WORD_MAX 48 /* "exec:lighttpd", with its end */

/* Bits of a grant: words without an argument that this version enforces. */
#define GRANT_FS_STATE             (1u << 0)
#define GRANT_NET_SERVICE          (1u << 1) /* listen on the address of its own service */
#define GRANT_NET_LISTEN           (1u << 2) /* the addresses of `listen:` */
#define GRANT_NET_CONNECT_LAN      (1u << 3)
#define GRANT_NET_CONNECT_INTERNET (1u << 4)
#define GRANT_NET_CONNECT_OVERLAY  (1u << 5)
#define GRANT_NET_DEVICE           (1u << 6) /* carries packets itself; `listen:` is for UDP then */
#define GRANT_API_SESSION          (1u << 7) /* asks the core with the sessions of people */

enum perm_arg { PERM_NONE, PERM_PORT, PERM_PATH, PERM_FOLDER, PERM_NAME, PERM_VALUE };
enum perm_by {
    PERM_ASKED,  /* a plugin's note asks for it, the owner allows it */
    PERM_CHOSEN, /* only the owner says it; no plugin may ask */
    PERM_LIMIT,  /* a key of its own in machine.yaml */
};

struct perm_word {
    const char *word; /* "net.connect:lan" */
    const char *form; /* of what follows after a colon, for people: "PROFILE"; "" nothing */
    enum perm_arg arg;
    enum perm_by by;
    uint32_t bit;         /* GRANT_, 0: has none */
    const char *lets;     /* after "It may"; @ stands for the argument */
    const char *never;    /* after "It never" */
    const char *enforced; /* by what; NULL: not in this version, never granted */
};
extern const struct perm_word perm_words[];
extern const unsigned perm_word_count;

/* The row of a word with its argument; *ret_arg (may be NULL) points into text.  NULL: unknown. */
const struct perm_word *perm_find(const char *text, const char **ret_arg);
/* GRANT_ bit, 0 for words without one and unknown ones */
uint32_t perm_bit(const char *text);
uint32_t perm_bits(void); /* all that is enforced: a grant with another one is damaged */

/* What of a word is wrong in a plugin's note or in `allow:`, as a clause; false with ret_why set.  A note
 * may ask for what is not there yet; nobody can grant it. */
enum perm_place { PERM_IN_NOTE, PERM_IN_ALLOW };
bool perm_check(const char *text, enum perm_place place, char *ret_why, size_t cap);
/* The nearest spelling ("exec:PROFILE"), NULL when none is near. */
const char *perm_nearest(const char *text, char ret[PERM_WORD_MAX]);

/* "run the program lighttpd, in a sandbox of its own"; unknown words say so.  Returns ret_text. */
const char *perm_lets(const char *text, char *ret_text, size_t cap);

#endif
