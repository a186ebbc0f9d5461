clan_unit_test(brain
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/brain.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
  LIBS clan_brain)
