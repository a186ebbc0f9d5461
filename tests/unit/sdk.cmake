clan_unit_test(sdk SOURCES ${CMAKE_CURRENT_LIST_DIR}/sdk.c LIBS clan_sdk)
