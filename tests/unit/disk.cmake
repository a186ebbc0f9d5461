clan_unit_test(disk SOURCES ${CMAKE_CURRENT_LIST_DIR}/disk.c LIBS clan_disk clan_usage)
target_compile_definitions(unit_disk PRIVATE DISK_LIBEXEC="$<TARGET_FILE_DIR:clan-disk>")
add_dependencies(unit_disk clan-disk)
