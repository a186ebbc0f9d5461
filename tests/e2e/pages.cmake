# The dashboard's pages in a browser: with an invented clan, and with daemons in the lab; screenshots in the build folder.
find_package(Python3 COMPONENTS Interpreter)
set(modules "CLAN_E2E_MODULES=${PROJECT_SOURCE_DIR}/build/e2e/node_modules;CLAN_SHOTS=${CMAKE_BINARY_DIR}/pages")
add_test(NAME e2e.pages COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/pages_test.py)
set_tests_properties(e2e.pages PROPERTIES LABELS e2e TIMEOUT 300 SKIP_RETURN_CODE 77 RUN_SERIAL ON
  ENVIRONMENT "${modules};CLAN_WEB_MODULES=${CMAKE_BINARY_DIR}/plugins/service/dashboard/npm/node_modules")
add_test(NAME e2e.needs COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/needs_test.py)
set_tests_properties(e2e.needs PROPERTIES LABELS e2e TIMEOUT 60)
foreach(story story attacks) # machines in namespaces need root
  add_test(NAME e2e.${story} COMMAND /usr/bin/python3 -B ${CMAKE_CURRENT_LIST_DIR}/story_test.py ${story})
  set_tests_properties(e2e.${story} PROPERTIES LABELS e2e TIMEOUT 180 SKIP_RETURN_CODE 77 RUN_SERIAL ON
    ENVIRONMENT "${modules};CLAN_PREFIX=${CMAKE_INSTALL_PREFIX}")
endforeach()
