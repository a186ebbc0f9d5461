clan_unit_test(warden SOURCES ${CMAKE_CURRENT_LIST_DIR}/warden.c LIBS clan_warden)
