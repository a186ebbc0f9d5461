# The hostile plugin as a service and as a transport, and the same attempts without a sandbox; see escape/README.md.
set(dir ${CMAKE_CURRENT_LIST_DIR}/escape)
set(attempts ${dir}/files.c ${dir}/processes.c ${dir}/kernel.c ${dir}/network.c)
clan_add_plugin(escape KIND service SOURCES ${dir}/hostile.c ${dir}/bombs.c ${attempts} NO_INSTALL)
clan_add_plugin(escape-net KIND transport SOURCES ${dir}/hostile.c ${dir}/bombs.c ${attempts} NO_INSTALL)
target_compile_definitions(plugin_escape-net PRIVATE HOSTILE_TRANSPORT)
add_executable(escape_loose ${dir}/loose.c ${attempts})
target_link_libraries(escape_loose PRIVATE clan_flags)
add_test(NAME sandbox.escape
  COMMAND /usr/bin/python3 -B -m pytest -q -s -p no:cacheprovider ${dir}/test_escape.py)
set_tests_properties(sandbox.escape PROPERTIES LABELS sandbox TIMEOUT 300 RUN_SERIAL ON
  ENVIRONMENT "CLAN_PREFIX=${CMAKE_INSTALL_PREFIX};CLAN_ESCAPE_PLUGINS=${CMAKE_CURRENT_BINARY_DIR}")
add_test(NAME sandbox.escape_guest COMMAND /usr/bin/python3 -B ${dir}/guest.py ${CMAKE_INSTALL_PREFIX}
  ${CMAKE_CURRENT_BINARY_DIR} ${PROJECT_SOURCE_DIR}/build/kernel)
set_tests_properties(sandbox.escape_guest PROPERTIES LABELS sandbox TIMEOUT 240 RUN_SERIAL ON SKIP_RETURN_CODE 77)
