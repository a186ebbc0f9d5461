clan_unit_test(logring SOURCES ${CMAKE_CURRENT_LIST_DIR}/logring.c LIBS clan_logring)
