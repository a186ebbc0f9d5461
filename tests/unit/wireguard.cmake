# WireGuard's engine without sockets: bytes against a second implementation, two devices and a fake clock, packets
foreach(part noise device packets)
  clan_unit_test(wireguard_${part} SOURCES ${CMAKE_CURRENT_LIST_DIR}/wireguard_${part}.c LIBS wg_engine)
endforeach()
