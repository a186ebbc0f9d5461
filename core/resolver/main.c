/* clan-resolver: answers for the names of one clan. */
#include "resolver/serve.h"

int main(void)
{
    return resolver_serve();
}
