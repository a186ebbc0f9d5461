# test_device.py brings a device transport of its own, signed with a key of its own; neither is installed.
clan_add_plugin(cleardev KIND transport SOURCES ${CMAKE_CURRENT_LIST_DIR}/device/cleardev.c LIBS PkgConfig::SODIUM NO_INSTALL)
add_executable(lab_sign ${CMAKE_CURRENT_LIST_DIR}/device/sign.c)
target_include_directories(lab_sign PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(lab_sign PRIVATE clan_flags PkgConfig::SODIUM)
if(TEST lab.device)
  set_property(TEST lab.device APPEND PROPERTY ENVIRONMENT
    "CLAN_CLEARDEV=$<TARGET_FILE:plugin_cleardev>;CLAN_LAB_SIGN=$<TARGET_FILE:lab_sign>")
endif()
