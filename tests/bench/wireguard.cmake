# What scripts/bench overlay drives besides wireguard_by_hand: handshakes without sockets
add_executable(wg_rate ${CMAKE_CURRENT_LIST_DIR}/wg_rate.c)
target_link_libraries(wg_rate PRIVATE wg_engine)
set_target_properties(wg_rate PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
if(CLAN_TESTS) # 1,000 peers at once, all of them with cookies: each is answered
  add_test(NAME unit.wireguard_rate COMMAND wg_rate)
  set_tests_properties(unit.wireguard_rate PROPERTIES LABELS unit TIMEOUT 60)
endif()
