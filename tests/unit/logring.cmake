clan_unit_test(logring SOURCES ${CMAKE_CURRENT_LIST_DIR}/logring.c LIBS clan_logring)
target_link_options(unit_logring PRIVATE -Wl,--wrap=clock_mono_ms)
