clan_unit_test(rules SOURCES ${CMAKE_CURRENT_LIST_DIR}/rules.c LIBS clan_netconf)
clan_unit_test(phone_rules SOURCES ${CMAKE_CURRENT_LIST_DIR}/phone_rules.c LIBS clan_netconf)
