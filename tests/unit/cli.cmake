clan_unit_test(cli SOURCES unit/cli.c unit/cli/fake.c LIBS clan_cli)
target_include_directories(unit_cli PRIVATE ${CMAKE_CURRENT_LIST_DIR})
