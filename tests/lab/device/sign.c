/* Signs a file as minisign does and prints the public key: for plugins that tests bring. */
#include "unit/minisign_make.h"

int main(int argc, char **argv)
{
    struct made_key key;
    if (argc != 2 || sodium_init() < 0)
        return 2;
    make_key(&key, 7);
    if (make_signature(&key, argv[1], "made by a test") != 0)
        return 1;
    puts(key.text);
    return 0;
}
