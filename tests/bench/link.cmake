# Figures of clan-link without the rest of the system; run by hand: link_pair CLAN-LINK [seconds]
add_executable(link_pair ${CMAKE_CURRENT_LIST_DIR}/link_pair.c ${CMAKE_CURRENT_LIST_DIR}/../lab/link_lab.c)
target_include_directories(link_pair PRIVATE ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/sdk/include)
target_link_libraries(link_pair PRIVATE clan_flags clan_wire PkgConfig::SODIUM)
