clan_unit_test(slot SOURCES ${CMAKE_CURRENT_LIST_DIR}/slot.c LIBS clan_slot)
