clan_unit_test(launch SOURCES ${CMAKE_CURRENT_LIST_DIR}/launch.c LIBS clan_process)
