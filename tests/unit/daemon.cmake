clan_unit_test(daemon SOURCES ${CMAKE_CURRENT_LIST_DIR}/daemon.c LIBS clan_daemon)
