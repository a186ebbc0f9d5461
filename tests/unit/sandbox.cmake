if(TARGET clan_sandbox)
  clan_unit_test(sandbox SOURCES ${CMAKE_CURRENT_LIST_DIR}/sandbox.c LIBS clan_sandbox)
  clan_unit_test(landlock SOURCES ${CMAKE_CURRENT_LIST_DIR}/landlock.c LIBS clan_landlock)
endif()
