clan_fuzz_test(wireguard SOURCES ${CMAKE_CURRENT_LIST_DIR}/wireguard.c LIBS wg_engine)
