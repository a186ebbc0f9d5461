/* Words of refused calls. */
#include "refusal/refusal.h"

#include "base/text.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* clang-format off */
static const char *const families[] = {
    [AF_UNIX]    = "AF_UNIX",
    [AF_INET]    = "AF_INET",    [AF_INET6]  = "AF_INET6",
    [AF_NETLINK] = "AF_NETLINK", [AF_PACKET] = "AF_PACKET",
    [AF_VSOCK]   = "AF_VSOCK",   [AF_ALG]    = "AF_ALG",
    [AF_KEY]     = "AF_KEY",     [AF_XDP]    = "AF_XDP",
    [AF_BLUETOOTH] = "AF_BLUETOOTH",
};
/* clang-format on */
#define FAMILIES (sizeof families / sizeof families[0])

void refusal_about(enum profile_about about, uint64_t arg, char *ret_about, size_t cap)
{
    ret_about[0] = 0;
    switch (about) {
    case ABOUT_FAMILY:
        snprintf(ret_about, cap, "%s",
            arg < FAMILIES && families[arg] ? families[arg] : "of another family");
        break;
    case ABOUT_PID:
        snprintf(ret_about, cap, "of %d", (int)arg);
        break;
    case ABOUT_CODE:
        snprintf(ret_about, cap, "of executable memory");
        break;
    case ABOUT_MAP:
        snprintf(ret_about, cap, "of %s memory", arg & PROT_EXEC ? "executable" : "shared");
        break;
    case ABOUT_NUMBER:
        snprintf(ret_about, cap, "%#llx", (unsigned long long)arg);
        break;
    case ABOUT_OPTION:
        snprintf(ret_about, cap, "%d", (int)arg);
        break;
    default:
        break;
    }
}

void refusal_text(const char *call, const char *about, char *ret_text, size_t cap)
{
    snprintf(ret_text, cap, "%s%s%s refused", call, about[0] ? " " : "", about);
    text_sanitize(ret_text);
}
