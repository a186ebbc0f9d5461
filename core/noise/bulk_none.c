/* No second implementation: for processes that do not link libcrypto. */
#include "noise/bulk.h"

bool bulk_init(void)
{
    return false;
}

struct bulk *bulk_new(const uint8_t key[32], bool seal)
{
    (void)key;
    (void)seal;
    return NULL;
}

void bulk_free(struct bulk *b)
{
    (void)b;
}

bool bulk_seal(struct bulk *b, const uint8_t nonce[12], const void *ad, size_t ad_size,
    uint8_t *data, size_t size)
{
    (void)b, (void)nonce, (void)ad, (void)ad_size, (void)data, (void)size;
    return false;
}

bool bulk_open(struct bulk *b, const uint8_t nonce[12], const void *ad, size_t ad_size,
    uint8_t *data, size_t size)
{
    (void)b, (void)nonce, (void)ad, (void)ad_size, (void)data, (void)size;
    return false;
}
