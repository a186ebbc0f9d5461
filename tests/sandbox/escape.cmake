# The hostile plugin as a service and as a transport, and the same attempts without a sandbox; see escape/README.md.
set(dir ${CMAKE_CURRENT_LIST_DIR}/escape)
set(attempts ${dir}/files.c ${dir}/processes.c ${dir}/kernel.c ${dir}/network.c)
clan_add_plugin(escape KIND service SOURCES ${dir}/hostile.c ${dir}/bombs.c ${attempts} NO_INSTALL)
clan_add_plugin(escape-net KIND transport SOURCES ${dir}/hostile.c ${dir}/bombs.c ${attempts} NO_INSTALL)
target_compile_definitions(plugin_escape-net PRIVATE HOSTILE_TRANSPORT)
add_executable(escape_loose ${dir}/loose.c ${attempts})
target_link_libraries(escape_loose PRIVATE clan_flags)
