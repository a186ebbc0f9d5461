# The layers of scripts/check-abi as tests; plugins of kept SDKs in today's host, today's in other hosts; bad files.
include(${CMAKE_CURRENT_LIST_DIR}/variant.cmake)
set(abi_dir ${CMAKE_CURRENT_LIST_DIR})
set(abi_sdk ${PROJECT_SOURCE_DIR}/sdk)
add_custom_target(abi ALL)

function(abi_test name)
  add_test(NAME abi.${name} COMMAND ${ARGN})
  set_tests_properties(abi.${name} PROPERTIES LABELS abi TIMEOUT 100 SKIP_RETURN_CODE 77)
endfunction()

foreach(layer headers layout witness history breaks)
  abi_test(${layer} ${PROJECT_SOURCE_DIR}/scripts/check-abi ${layer})
endforeach()

# abi_plugin(TARGET ID HEADERS SOURCE [DEFINITION...]): built as clan_add_plugin does, with other headers
function(abi_plugin target id headers source)
  add_library(${target} MODULE ${source})
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${target} C_VISIBILITY_PRESET hidden)
  target_include_directories(${target} BEFORE PRIVATE ${headers})
  target_compile_definitions(${target} PRIVATE ${ARGN})
  target_link_libraries(${target} PRIVATE clan_flags)
  target_compile_options(${target} PRIVATE -Wno-missing-field-initializers) # of what other headers append
  if(NOT id STREQUAL "open")
    target_link_options(${target} PRIVATE -Wl,--version-script=${abi_sdk}/cmake/plugin.ver)
  endif()
  add_dependencies(abi ${target})
endfunction()

# abi_host(TARGET HEADERS): clan-host as another version of Clan would have it
function(abi_host target headers)
  get_target_property(host_sources clan_host SOURCES)
  get_target_property(note_sources clan_note SOURCES)
  list(TRANSFORM host_sources PREPEND ${PROJECT_SOURCE_DIR}/core/host/)
  list(TRANSFORM note_sources PREPEND ${abi_sdk}/)
  add_executable(${target} ${PROJECT_SOURCE_DIR}/core/host/main.c ${host_sources} ${note_sources})
  target_include_directories(${target} BEFORE PRIVATE ${headers})
  target_include_directories(${target} PRIVATE ${abi_sdk})
  target_compile_options(${target} PRIVATE -Wno-missing-field-initializers)
  target_link_libraries(${target} PRIVATE clan_wire clan_base ${CMAKE_DL_LIBS})
  add_dependencies(abi ${target})
endfunction()

set(abi_older ${CMAKE_CURRENT_BINARY_DIR}/abi-older)
set(abi_newer ${CMAKE_CURRENT_BINARY_DIR}/abi-newer)
abi_variant(older ${abi_older})
abi_variant(newer ${abi_newer})
abi_host(abi_host_older ${abi_older})
abi_host(abi_host_newer ${abi_newer})

add_executable(abi_try ${abi_dir}/try.c)
target_link_libraries(abi_try PRIVATE clan_check clan_wire ${CMOCKA_LIB})
add_executable(abi_older ${abi_dir}/older.c)
target_link_libraries(abi_older PRIVATE clan_mock ${CMAKE_DL_LIBS})
add_dependencies(abi abi_try abi_older clan-host plugin_tcp-noise plugin_files)

# ---- golden plugins: of each kept SDK, of today's, and of the next one ----

set(abi_sdks today:${abi_sdk}/include next:${abi_newer})
if(EXISTS ${abi_sdk}/abi/snapshots)
  file(STRINGS ${abi_sdk}/abi/snapshots lines REGEX "^[a-z0-9]")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${abi_sdk}/abi/snapshots)
  foreach(line ${lines})
    string(REGEX MATCH "^[a-z0-9.-]+" name "${line}")
    list(APPEND abi_sdks ${name}:${abi_sdk}/abi/headers/${name})
  endforeach()
endif()
foreach(sdk ${abi_sdks})
  string(REGEX MATCH "^([^:]+):(.*)$" matched ${sdk})
  set(name ${CMAKE_MATCH_1})
  set(headers ${CMAKE_MATCH_2})
  foreach(kind template stream service)
    set(target abi-${name}-${kind})
    abi_plugin(${target} golden-${kind} ${headers} ${abi_dir}/golden/${kind}.c)
    set(id golden-${kind})
    abi_test(plugin.${name}-${kind} abi_try life $<TARGET_FILE:clan-host> $<TARGET_FILE:${target}> ${id})
    abi_test(plugin.${name}-${kind}-newer-host
      abi_try life $<TARGET_FILE:abi_host_newer> $<TARGET_FILE:${target}> ${id})
    abi_test(plugin.${name}-${kind}-older-host
      abi_try refuse $<TARGET_FILE:abi_host_older> $<TARGET_FILE:${target}> ${id}
      "plugin ${id}" "was built for SDK 0." "this Clan provides 0.0" "differing item: ABI minor: it needs 0.1 or later"
      "remedy: use a newer Clan")
    abi_test(plugin.${name}-${kind}-file abi_try check $<TARGET_FILE:${target}>)
  endforeach()
endforeach()

# ---- today's plugins in hosts that have less, and in the next one ----

abi_test(plugin.today-in-short-hosts abi_older $<TARGET_FILE:plugin_tcp-noise> $<TARGET_FILE:plugin_files>
  $<TARGET_FILE:abi-today-template> $<TARGET_FILE:abi-today-stream> $<TARGET_FILE:abi-today-service>)
foreach(id tcp-noise files)
  abi_test(plugin.${id}-older-host abi_try refuse $<TARGET_FILE:abi_host_older> $<TARGET_FILE:plugin_${id}> ${id}
    "was built for SDK 0." "this Clan provides 0.0" "remedy: use a newer Clan")
endforeach()

# ---- bad files ----

function(abi_bad name mode)
  string(TOUPPER ${name} upper)
  string(REPLACE - _ upper ${upper})
  set(id bad)
  if(name STREQUAL symbol)
    set(id open)
  endif()
  abi_plugin(abi-bad-${name} ${id} ${abi_sdk}/include ${abi_dir}/bad.c BAD_${upper})
  if(mode STREQUAL check)
    abi_test(file.${name} abi_try check $<TARGET_FILE:abi-bad-${name}> ${ARGN})
  else()
    abi_test(file.${name} abi_try ${mode} $<TARGET_FILE:clan-host> $<TARGET_FILE:abi-bad-${name}> bad ${ARGN})
  endif()
endfunction()

set(provides "plugin bad was built for SDK 0." "this Clan provides 0." "differing item:")
set(rebuild "remedy: rebuild the plugin with this Clan's SDK")
set(newer "remedy: use a newer Clan, or the plugin's version for this one")
abi_bad(nothing check)
abi_bad(note check "it has no note .note.clan.plugin" "take the .so of a plugin")
abi_bad(major check "plugin bad" "this Clan provides 0." "differing item: ABI major 1, where 0 is needed" "${newer}")
abi_bad(minor check "plugin bad" "this Clan provides 0." "differing item: ABI minor: it needs 0." "${newer}")
abi_bad(kind-note check "its note breaks the rule for kind (transport, hypervisor or service)" "clan_add_plugin()")
abi_bad(symbol check "it exports open_to_all" "clan_plugin_query and nothing else" "-fvisibility=hidden")
abi_bad(magic refuse ${provides} "magic number of the descriptor: 0x12345678, where 0x4e414c43 is read" "${rebuild}")
abi_bad(head refuse ${provides} "size of the descriptor: 16 bytes, where at least 80 are read"
  "set struct_size to sizeof(struct clan_plugin)")
abi_bad(major-descriptor refuse ${provides} "ABI major of the descriptor: 1, where 0 is needed" "${newer}")
abi_bad(minor-descriptor refuse ${provides} "ABI minor of the descriptor: " "its note says " "${rebuild}")
abi_bad(kind refuse ${provides} "kind of the descriptor: 1, its note says 3" "give note and descriptor the same kind")
abi_bad(kind-interface refuse "offers nothing that this Clan can start" "a service a complete clan.service/draft-1"
  "rebuild it with this Clan's SDK")
abi_bad(flags refuse ${provides} "flags of the descriptor: 0x4, this Clan knows none" "${newer}")
abi_bad(id refuse ${provides} "id of the descriptor: \"good\", its note says \"bad\""
  "give note and descriptor the same id")
abi_bad(function refuse ${provides} "create() of the descriptor is NULL" "fill in that function")
abi_bad(query refuse ${provides} "clan_plugin_query() answers NULL" "${rebuild}")
if(NOT CLAN_SANITIZE) # a sanitizer speaks first
  abi_bad(crash death "plugin bad 1.0 cannot be loaded: it crashed (SIGSEGV)" "one of its constructors" "rebuild the plugin")
  abi_bad(abort death "plugin bad 1.0 cannot be loaded: it aborted (SIGABRT)" "one of its constructors" "rebuild the plugin")
endif()
abi_bad(exit death "plugin bad 1.0 cannot be loaded: it ended the process" "one of its constructors" "rebuild the plugin")
abi_test(file.cut abi_try cut $<TARGET_FILE:abi-bad-nothing>)
abi_test(file.no-elf abi_try check ${abi_dir}/bad.c "it does not begin as an ELF file does"
  "take the .so of a plugin")
