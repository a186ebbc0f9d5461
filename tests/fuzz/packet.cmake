clan_fuzz_test(packet SOURCES ${CMAKE_CURRENT_LIST_DIR}/packet.c LIBS clan_link)
