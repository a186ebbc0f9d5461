clan_unit_test(rate SOURCES ${CMAKE_CURRENT_LIST_DIR}/rate.c LIBS clan_base)
