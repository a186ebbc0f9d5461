# Each file plays the core of unit/cli/ and runs the commands of one subject.
foreach(part cli cli_agent cli_change cli_join cli_netcheck cli_phone cli_plugin cli_plugin_new cli_ui)
  clan_unit_test(${part} SOURCES unit/${part}.c unit/cli/run.c unit/cli/fake.c LIBS clan_cli)
  target_include_directories(unit_${part} PRIVATE ${CMAKE_CURRENT_LIST_DIR})
endforeach()
add_dependencies(unit_cli_plugin config_test_plugin)
target_include_directories(unit_cli_plugin PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(unit_cli_plugin PRIVATE CLI_TEST_PLUGIN="$<TARGET_FILE:config_test_plugin>")
