# clan-plugin-check on good plugins and on plugins that are bad in one way each, built by the test itself.
if(TARGET clan-plugin-check AND NOT CLAN_SANITIZE)
  foreach(part good bad-1 bad-2)
    add_test(NAME unit.plugin_check_${part} COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/plugin_check.py
      $<TARGET_FILE:clan-plugin-check> $<TARGET_FILE:clan-host> ${CMAKE_C_COMPILER} c++
      ${PROJECT_SOURCE_DIR}/sdk/include ${CMAKE_CURRENT_LIST_DIR}/bad_plugin.c ${PROJECT_SOURCE_DIR}/sdk/cmake/plugin.ver
      ${part} $<TARGET_FILE:plugin_tcp-noise> $<TARGET_FILE:plugin_files>)
    set_tests_properties(unit.plugin_check_${part} PROPERTIES LABELS unit TIMEOUT 120)
  endforeach()
endif()
