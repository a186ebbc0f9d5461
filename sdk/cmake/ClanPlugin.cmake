# clan_add_plugin(NAME KIND transport|hypervisor|service SOURCES ... [LIBS ...] [NO_INSTALL]): one plugin, one .so
# with one exported function, C or C++.
#
# Makes the target plugin_NAME, installs NAME.so into CLAN_PLUGINDIR, and, where clan-plugin-check is installed,
# adds the target check_NAME and the test check_NAME.  Needs the target clan_sdk or Clan::SDK.

function(clan_add_plugin name)
  cmake_parse_arguments(A "NO_INSTALL" "KIND" "SOURCES;LIBS" ${ARGN})
  if(NOT A_KIND MATCHES "^(transport|hypervisor|service)$")
    message(FATAL_ERROR "clan_add_plugin(${name}): KIND is transport, hypervisor or service, not '${A_KIND}'")
  endif()
  if(NOT name MATCHES "^[a-z0-9][a-z0-9-]*$")
    message(FATAL_ERROR "clan_add_plugin(${name}): a plugin's id is made of a-z, 0-9 and '-'")
  endif()
  if(NOT A_SOURCES OR A_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "clan_add_plugin(${name}): needs SOURCES; not known: '${A_UNPARSED_ARGUMENTS}'")
  endif()
  set(target plugin_${name})
  set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.ver)
  add_library(${target} MODULE ${A_SOURCES})
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX .so OUTPUT_NAME ${name} C_STANDARD 17 CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON SKIP_BUILD_RPATH ON INSTALL_RPATH "" LINK_DEPENDS ${script})
  if(TARGET clan_sdk)
    target_link_libraries(${target} PRIVATE clan_sdk)
  else()
    target_link_libraries(${target} PRIVATE Clan::SDK)
  endif()
  if(TARGET clan_flags)
    target_link_libraries(${target} PRIVATE clan_flags)
  endif()
  target_link_libraries(${target} PRIVATE ${A_LIBS})
  target_link_options(${target} PRIVATE
    -Wl,--version-script=${script}
    -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed)
  if(NOT CLAN_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,-z,defs) # a sanitizer's symbols come from the program
  endif()
  if(NOT A_NO_INSTALL)
    install(TARGETS ${target} LIBRARY DESTINATION ${CLAN_PLUGINDIR}
      PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  endif()
  if(CLAN_PLUGIN_CHECK AND EXISTS "${CLAN_PLUGIN_CHECK}")
    add_custom_target(check_${name} ${CLAN_PLUGIN_CHECK} $<TARGET_FILE:${target}> USES_TERMINAL)
    add_dependencies(check_${name} ${target})
    add_test(NAME check_${name} COMMAND ${CLAN_PLUGIN_CHECK} $<TARGET_FILE:${target}>)
  endif()
endfunction()
