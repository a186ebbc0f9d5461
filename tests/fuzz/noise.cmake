clan_fuzz_test(noise SOURCES ${CMAKE_CURRENT_LIST_DIR}/noise.c LIBS clan_noise)
