foreach(part "" -limits -generated -values)
  string(REPLACE - _ file config${part})
  clan_unit_test(config${part}
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${file}.c ${CMAKE_CURRENT_LIST_DIR}/config_fixture.c
    LIBS clan_config PkgConfig::JANSSON)
  target_compile_definitions(unit_config${part} PRIVATE CONFIG_EXAMPLES="${PROJECT_SOURCE_DIR}/config")
endforeach()
clan_unit_test(config-edit SOURCES ${CMAKE_CURRENT_LIST_DIR}/config_edit.c LIBS clan_config)
clan_unit_test(config-machine SOURCES ${CMAKE_CURRENT_LIST_DIR}/config_machine.c
  LIBS clan_config PkgConfig::SODIUM)

# a plugin that says what it is and is never loaded
add_library(config_test_plugin MODULE ${CMAKE_CURRENT_LIST_DIR}/data/config_plugin.c)
set_target_properties(config_test_plugin PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden)
target_link_libraries(config_test_plugin PRIVATE clan_sdk)
target_link_options(config_test_plugin PRIVATE -Wl,-z,relro,-z,now,-z,noexecstack
  -Wl,--version-script=${PROJECT_SOURCE_DIR}/sdk/cmake/plugin.ver)
add_dependencies(unit_config-machine config_test_plugin)
target_include_directories(unit_config-machine PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_compile_definitions(unit_config-machine PRIVATE
  CONFIG_TEST_PLUGIN="$<TARGET_FILE:config_test_plugin>" CONFIG_EXAMPLES="${PROJECT_SOURCE_DIR}/config")
