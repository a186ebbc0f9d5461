clan_unit_test(path_limit SOURCES ${CMAKE_CURRENT_LIST_DIR}/path_limit.c LIBS clan_path)
