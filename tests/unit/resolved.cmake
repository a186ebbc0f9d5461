# the file itself, beside a tool that the test plays
clan_unit_test(resolved
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/resolved.c ${PROJECT_SOURCE_DIR}/core/hostsfile/resolved.c
  LIBS clan_base)
