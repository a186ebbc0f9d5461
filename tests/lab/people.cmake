# test_people.py brings a plugin that people reach at their own addresses; it is not installed.
clan_add_plugin(people-bridge KIND service SOURCES ${CMAKE_CURRENT_LIST_DIR}/people/bridge.c NO_INSTALL)
if(TEST lab.people)
  set_property(TEST lab.people APPEND PROPERTY ENVIRONMENT "CLAN_PEOPLE_BRIDGE=$<TARGET_FILE:plugin_people-bridge>")
endif()
