clan_unit_test(resolver SOURCES ${CMAKE_CURRENT_LIST_DIR}/resolver.c LIBS clan_resolver)
