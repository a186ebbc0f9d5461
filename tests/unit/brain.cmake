foreach(part brain brain_alarms brain_log)
  clan_unit_test(${part}
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${part}.c ${CMAKE_CURRENT_LIST_DIR}/member_fixture.c
    LIBS clan_brain)
endforeach()
