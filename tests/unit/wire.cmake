clan_unit_test(wire SOURCES ${CMAKE_CURRENT_LIST_DIR}/wire.c LIBS clan_wire)
