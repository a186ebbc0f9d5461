# Parts of the dashboard that need neither a browser nor a clan.
set(dashboard ${PROJECT_SOURCE_DIR}/plugins/service/dashboard)
clan_unit_test(dashboard SOURCES unit/dashboard.c ${dashboard}/yaml.c ${dashboard}/rows.c
  LIBS clan_config clan_base PkgConfig::JANSSON)
target_include_directories(unit_dashboard PRIVATE ${dashboard})
if(MICROHTTPD_FOUND)
  clan_unit_test(dashboard_peer SOURCES unit/dashboard_peer.c ${dashboard}/peer.c LIBS clan_wire clan_base PkgConfig::JANSSON)
  target_include_directories(unit_dashboard_peer PRIVATE ${dashboard})
  clan_unit_test(dashboard_call SOURCES unit/dashboard_call.c ${dashboard}/call.c
    LIBS clan_wire clan_base PkgConfig::JANSSON PkgConfig::SODIUM)
  target_include_directories(unit_dashboard_call PRIVATE ${dashboard})
endif()
