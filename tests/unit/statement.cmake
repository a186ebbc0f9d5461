clan_unit_test(statement SOURCES unit/statement.c LIBS clan_statement)
clan_unit_test(statement_sign SOURCES unit/statement_sign.c LIBS clan_statement)
clan_unit_test(store SOURCES unit/store.c LIBS clan_statement)
clan_unit_test(link SOURCES unit/link.c LIBS clan_statement)
