clan_unit_test(member
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/member.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
  LIBS clan_member)
clan_unit_test(member_hostile
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/member_hostile.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
  LIBS clan_member)
