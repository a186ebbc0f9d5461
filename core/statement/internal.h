/* What the files of this folder share: the bytes that are signed. */
#ifndef STATEMENT_INTERNAL_H
#define STATEMENT_INTERNAL_H

#include "statement/statement.h"

#define STMT_DOMAIN     "clan statement v1"
#define STMT_SIGNED_MAX (STMT_MAX + sizeof STMT_DOMAIN)

size_t stmt_signed_bytes(const struct stmt *s, uint8_t ret_text[STMT_SIGNED_MAX]);

#endif
