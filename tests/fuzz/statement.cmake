clan_fuzz_test(statement SOURCES fuzz/statement.c LIBS clan_statement)
clan_fuzz_test(invite_link SOURCES fuzz/invite_link.c LIBS clan_statement)
