clan_fuzz_test(wireguard SOURCES ${CMAKE_CURRENT_LIST_DIR}/wireguard.c LIBS wg_engine)
clan_fuzz_test(wireguard_packets SOURCES ${CMAKE_CURRENT_LIST_DIR}/wireguard_packets.c LIBS wg_engine)
