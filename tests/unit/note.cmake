clan_unit_test(note SOURCES ${CMAKE_CURRENT_LIST_DIR}/note.c LIBS clan_check)
target_compile_definitions(unit_note PRIVATE
  NOTE_PLUGINS="$<TARGET_FILE:plugin_tcp-noise>","$<TARGET_FILE:plugin_files>")
add_dependencies(unit_note plugin_tcp-noise plugin_files)
