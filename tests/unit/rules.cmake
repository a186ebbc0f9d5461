clan_unit_test(rules SOURCES ${CMAKE_CURRENT_LIST_DIR}/rules.c LIBS clan_netconf)
