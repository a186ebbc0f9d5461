foreach(part brain_alarms brain_joindial brain_log)
  clan_unit_test(${part}
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${part}.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
    LIBS clan_brain)
endforeach()
foreach(part brain brain_bodies brain_demand brain_hosts brain_ping)
  clan_unit_test(${part}
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${part}.c ${CMAKE_CURRENT_LIST_DIR}/brain_fixture.c
      ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
    LIBS clan_brain)
endforeach()
foreach(part brain_answers brain_submit brain_sessions brain_visit brain_watch brain_proposals
    brain_events)
  clan_unit_test(${part}
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${part}.c ${CMAKE_CURRENT_LIST_DIR}/brain_client.c
      ${CMAKE_CURRENT_LIST_DIR}/brain_fixture.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
    LIBS clan_brain)
  target_link_options(unit_${part} PRIVATE -Wl,--wrap=brain_now -Wl,--wrap=clock_wall_s)
endforeach()
target_link_options(unit_brain_hosts PRIVATE -Wl,--wrap=brain_now)
