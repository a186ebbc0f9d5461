clan_unit_test(keeper SOURCES ${CMAKE_CURRENT_LIST_DIR}/keeper.c LIBS clan_keeper)
