# What scripts/bench plugin drives: core's side of a plugin host, and the plugin that needs nothing.
set(dir ${CMAKE_CURRENT_LIST_DIR})
clan_add_plugin(bench-empty KIND service SOURCES ${dir}/empty.c NO_INSTALL)
add_executable(host_call ${dir}/host_call.c)
target_link_libraries(host_call PRIVATE clan_brain clan_sandbox clan_wire PkgConfig::UV)
# one place for the bench to find them, whatever build this is
set_target_properties(plugin_bench-empty PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
set_target_properties(host_call PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
if(CLAN_TESTS) # the driver itself: a plugin in its sandbox answers, call after call
  add_test(NAME sandbox.plugin-call
    COMMAND host_call $<TARGET_FILE:clan-host> $<TARGET_FILE:plugin_bench-empty> bench-empty 100)
  set_tests_properties(sandbox.plugin-call PROPERTIES LABELS sandbox TIMEOUT 60 SKIP_RETURN_CODE 77)
endif()
