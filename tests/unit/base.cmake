clan_unit_test(base SOURCES ${CMAKE_CURRENT_LIST_DIR}/base.c LIBS clan_base)
