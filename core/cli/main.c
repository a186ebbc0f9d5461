/* The program clan. */
#include "cli/cli.h"

#include <locale.h>

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    return cli_main(argc, argv, stdout, stderr, stdin);
}
