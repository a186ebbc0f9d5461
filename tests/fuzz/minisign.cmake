clan_fuzz_test(minisign SOURCES ${CMAKE_CURRENT_LIST_DIR}/minisign.c LIBS clan_minisign)
