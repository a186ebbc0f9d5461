/* Parses bytes as a statement, looks at every signature and body, and builds what was read again.
 */
#include "statement/statement.h"
#include "base/error.h"

#include <string.h>

static void bodies(const struct stmt *s)
{
    static union {
        struct stmt_genesis genesis;
        struct stmt_envelope envelope;
        struct stmt_invitation invitation;
        struct stmt_admission admission;
        struct stmt_receipt receipt;
        struct stmt_record record;
        struct stmt_revocation revocation;
        struct stmt_ack ack;
    } u;
    uint8_t body[STMT_MAX];
    size_t size = 0;
#define TRY(kind)                                                                                  \
    if (stmt_get_##kind(s, &u.kind) == CLAN_OK) {                                                  \
        /* what reads well writes well; a body may have grown at the end */                        \
        clan_assert(stmt_put_##kind(&u.kind, body, sizeof body, &size) == CLAN_OK);                \
        clan_assert(size <= s->body_size && memcmp(body, s->body, size) == 0);                     \
    }
    TRY(genesis)
    TRY(envelope)
    TRY(invitation)
    TRY(admission)
    TRY(receipt)
    TRY(record)
    TRY(revocation)
    TRY(ack)
#undef TRY
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stmt s;
    uint8_t raw[STMT_MAX], key[1][32] = {{1}};
    size_t raw_size;
    if (stmt_parse(data, size, &s, NULL) != CLAN_OK)
        return 0;
    clan_assert(s.sig_count <= STMT_SIGS_MAX && s.raw_size == size);
    stmt_count_signers(&s, (const uint8_t(*)[32])key, 1);
    for (unsigned i = 0; i < s.sig_count; i++)
        stmt_sig_valid(&s, i);
    bodies(&s);
    memcpy(raw, data, size);
    raw_size = size;
    clan_assert(stmt_merge(raw, &raw_size, data, size) == CLAN_OK && raw_size <= size);
    return 0;
}
