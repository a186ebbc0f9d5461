# Each file plays the core of unit/cli/ and runs the commands of one subject.
foreach(part cli cli_change cli_join cli_plugin_new)
  clan_unit_test(${part} SOURCES unit/${part}.c unit/cli/run.c unit/cli/fake.c LIBS clan_cli)
  target_include_directories(unit_${part} PRIVATE ${CMAKE_CURRENT_LIST_DIR})
endforeach()
