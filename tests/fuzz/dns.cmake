clan_fuzz_test(dns SOURCES ${CMAKE_CURRENT_LIST_DIR}/dns.c LIBS clan_resolver)
