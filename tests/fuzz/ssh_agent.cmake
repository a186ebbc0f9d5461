clan_fuzz_test(ssh_agent SOURCES ${CMAKE_CURRENT_LIST_DIR}/ssh_agent.c LIBS clan_sshagent)
