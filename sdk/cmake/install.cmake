# What strangers build on: headers, find_package(ClanSDK), clan-sdk.pc, the templates of `clan plugin new`.
include(CMakePackageConfigHelpers)
install(DIRECTORY include/clan DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY DESTINATION ${CLAN_PLUGINDIR})
install(DIRECTORY template DESTINATION ${CMAKE_INSTALL_DATADIR}/clan)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/ClanSDK)
configure_package_config_file(cmake/ClanSDKConfig.cmake.in ClanSDKConfig.cmake
  INSTALL_DESTINATION ${package}
  PATH_VARS CLAN_PLUGINDIR CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(ClanSDKConfigVersion.cmake
  VERSION ${CLAN_SDK_VERSION} COMPATIBILITY SameMajorVersion)
install(FILES cmake/ClanPlugin.cmake cmake/plugin.ver
  ${CMAKE_CURRENT_BINARY_DIR}/ClanSDKConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/ClanSDKConfigVersion.cmake
  DESTINATION ${package})

# Relative to the prefix where that can be, so that the file can be moved with it
foreach(dir INCLUDEDIR LIBDIR BINDIR)
  string(TOLOWER pc_${dir} name)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(${name} ${CMAKE_INSTALL_${dir}})
  else()
    set(${name} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
configure_file(cmake/clan-sdk.pc.in clan-sdk.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/clan-sdk.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
