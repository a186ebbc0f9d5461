clan_unit_test(brain_devices SOURCES ${CMAKE_CURRENT_LIST_DIR}/brain_devices.c LIBS clan_brain)
