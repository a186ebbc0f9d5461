# the parts of the transport tor; its process and tor itself: tests/lab/test_tor.py
foreach(part onion control socks torrc policy health)
  clan_unit_test(tor_${part} SOURCES ${CMAKE_CURRENT_LIST_DIR}/tor_${part}.c LIBS tor_parts)
endforeach()
