# The kernel's WireGuard, in a guest whose kernel has it.
add_test(NAME sandbox.wireguard_guest COMMAND /usr/bin/python3 -B ${CMAKE_CURRENT_LIST_DIR}/wireguard_guest.py
  $<TARGET_FILE:unit_netconf_device> $<TARGET_FILE:plugin_wireguard-hurried> ${CMAKE_INSTALL_PREFIX} ${PROJECT_SOURCE_DIR}/build/kernel)
set_tests_properties(sandbox.wireguard_guest PROPERTIES LABELS sandbox TIMEOUT 200 RUN_SERIAL ON SKIP_RETURN_CODE 77)
