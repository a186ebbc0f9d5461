clan_unit_test(gossip
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/gossip.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
    ${CMAKE_CURRENT_LIST_DIR}/../sim/world.c
  LIBS clan_member)
