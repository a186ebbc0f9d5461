add_executable(sim ${CMAKE_CURRENT_LIST_DIR}/sim.c ${CMAKE_CURRENT_LIST_DIR}/world.c
  ${CMAKE_CURRENT_LIST_DIR}/../unit/member_fixture.c)
target_link_libraries(sim PRIVATE clan_flags clan_member)
add_test(NAME sim.member COMMAND sim)
set_tests_properties(sim.member PROPERTIES LABELS sim TIMEOUT 120)
