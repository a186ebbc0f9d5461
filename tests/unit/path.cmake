clan_unit_test(path_limit SOURCES ${CMAKE_CURRENT_LIST_DIR}/path_limit.c LIBS clan_path)
clan_unit_test(path_choice SOURCES ${CMAKE_CURRENT_LIST_DIR}/path_choice.c LIBS clan_path)
