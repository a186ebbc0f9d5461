clan_unit_test(permission SOURCES ${CMAKE_CURRENT_LIST_DIR}/permission.c LIBS clan_permission clan_wire)
clan_unit_test(minisign SOURCES ${CMAKE_CURRENT_LIST_DIR}/minisign.c LIBS clan_minisign clan_slot PkgConfig::SODIUM)
target_include_directories(unit_minisign PRIVATE ${PROJECT_SOURCE_DIR}/tests)
