foreach(part control socks text)
  clan_fuzz_test(tor_${part} SOURCES ${CMAKE_CURRENT_LIST_DIR}/tor_${part}.c LIBS tor_parts)
endforeach()
