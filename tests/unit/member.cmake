foreach(part member member_chain member_order member_phone)
  clan_unit_test(${part}
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${part}.c ${CMAKE_CURRENT_LIST_DIR}/member_clan.c
      ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
    LIBS clan_member)
endforeach()
clan_unit_test(member_hostile
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/member_hostile.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
  LIBS clan_member)
