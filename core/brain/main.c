/* clan-core: the brain of one clan on this machine. */
#include "brain/brain.h"

int main(int argc, char **argv)
{
    return brain_main(argc, argv);
}
