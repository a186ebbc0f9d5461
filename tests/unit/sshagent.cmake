clan_unit_test(sshagent SOURCES ${CMAKE_CURRENT_LIST_DIR}/sshagent.c LIBS clan_sshagent)
