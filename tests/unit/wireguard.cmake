# WireGuard's engine without sockets: bytes against a second implementation, then two devices and a fake clock
clan_unit_test(wireguard_noise SOURCES ${CMAKE_CURRENT_LIST_DIR}/wireguard_noise.c LIBS wg_engine)
clan_unit_test(wireguard_device SOURCES ${CMAKE_CURRENT_LIST_DIR}/wireguard_device.c LIBS wg_engine)
