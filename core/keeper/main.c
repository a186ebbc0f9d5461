/* clan-keeper: keeps the state of one clan that needs agreement. */
#include "keeper/serve.h"

int main(void)
{
    return keeper_serve();
}
