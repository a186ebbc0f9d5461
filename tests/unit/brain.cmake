foreach(part brain_alarms brain_log)
  clan_unit_test(${part}
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${part}.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
    LIBS clan_brain)
endforeach()
foreach(part brain brain_bodies brain_demand brain_hosts brain_ping brain_sessions)
  clan_unit_test(${part}
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${part}.c ${CMAKE_CURRENT_LIST_DIR}/brain_fixture.c
      ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
    LIBS clan_brain)
endforeach()
target_link_options(unit_brain_hosts PRIVATE -Wl,--wrap=brain_now)
target_link_options(unit_brain_sessions PRIVATE -Wl,--wrap=brain_now -Wl,--wrap=clock_wall_s)
