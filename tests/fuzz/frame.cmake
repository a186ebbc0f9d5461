clan_fuzz_test(frame SOURCES ${CMAKE_CURRENT_LIST_DIR}/frame.c LIBS clan_wire)
