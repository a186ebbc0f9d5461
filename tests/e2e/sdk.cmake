# The installed SDK, used as a stranger uses it: outside of the tree.
find_package(Python3 COMPONENTS Interpreter)
add_test(NAME e2e.sdk COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/sdk_test.py)
set_tests_properties(e2e.sdk PROPERTIES LABELS e2e TIMEOUT 240 SKIP_RETURN_CODE 77
  ENVIRONMENT "CLAN_PREFIX=${CMAKE_INSTALL_PREFIX}")
