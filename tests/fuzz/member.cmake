clan_fuzz_test(member
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/member.c ${CMAKE_CURRENT_LIST_DIR}/../unit/member_fixture.c
  LIBS clan_member)
clan_fuzz_test(peer_msg
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/peer_msg.c ${CMAKE_CURRENT_LIST_DIR}/../unit/member_fixture.c
  LIBS clan_member)
