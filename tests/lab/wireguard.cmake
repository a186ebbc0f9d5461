# test_wireguard.py runs the plugin under the SDK's host, which is not installed
set_property(TEST lab.wireguard APPEND PROPERTY ENVIRONMENT
  "CLAN_WG_HARNESS=$<TARGET_FILE:wireguard_by_hand>;CLAN_WG_PLUGIN=$<TARGET_FILE:plugin_wireguard>")
