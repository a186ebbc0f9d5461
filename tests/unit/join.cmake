clan_unit_test(join
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/join.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
  LIBS clan_member)
