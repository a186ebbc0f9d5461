clan_unit_test(netconf_device SOURCES ${CMAKE_CURRENT_LIST_DIR}/netconf_device.c LIBS clan_netconf)
