clan_unit_test(link_packet SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_packet.c LIBS clan_link)
clan_unit_test(link_queue SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_queue.c LIBS clan_link)
clan_unit_test(link_resend SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_resend.c LIBS clan_link)
