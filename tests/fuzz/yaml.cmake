clan_fuzz_test(yaml SOURCES ${CMAKE_CURRENT_LIST_DIR}/yaml.c LIBS clan_config)
