# Needs root for network namespaces: skipped (77) without.
add_executable(lab_link_session ${CMAKE_CURRENT_LIST_DIR}/link_session.c ${CMAKE_CURRENT_LIST_DIR}/link_lab.c)
target_include_directories(lab_link_session PRIVATE ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/sdk/include)
target_link_libraries(lab_link_session PRIVATE clan_flags clan_wire clan_noise clan_aead_sodium PkgConfig::SODIUM)
add_test(NAME lab.link_session COMMAND lab_link_session $<TARGET_FILE:clan-link>)
set_tests_properties(lab.link_session PROPERTIES LABELS lab TIMEOUT 120 SKIP_RETURN_CODE 77)
