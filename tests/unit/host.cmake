foreach(kind "" -bad -device)
  clan_add_plugin(probe${kind} KIND transport SOURCES ${CMAKE_CURRENT_LIST_DIR}/host_probe.c NO_INSTALL)
endforeach()
target_compile_definitions(plugin_probe-bad PRIVATE PROBE_ID="someone-else")
target_compile_definitions(plugin_probe-device PRIVATE PROBE_DEVICE)
clan_unit_test(host SOURCES ${CMAKE_CURRENT_LIST_DIR}/host.c LIBS clan_wire)
target_compile_definitions(unit_host PRIVATE CLAN_HOST="$<TARGET_FILE:clan-host>"
  PROBE="$<TARGET_FILE:plugin_probe>" PROBE_BAD="$<TARGET_FILE:plugin_probe-bad>"
  PROBE_DEVICE="$<TARGET_FILE:plugin_probe-device>")
add_dependencies(unit_host clan-host plugin_probe plugin_probe-bad plugin_probe-device)
