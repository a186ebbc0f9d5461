clan_fuzz_test(elf_note SOURCES ${CMAKE_CURRENT_LIST_DIR}/elf_note.c LIBS clan_note)
