# clan_proto(TARGET FILE...): nanopb code from .proto files, made at build time, never committed.
find_package(Python3 COMPONENTS Interpreter)
find_library(NANOPB_LIB protobuf-nanopb REQUIRED)
find_path(NANOPB_INCLUDE pb.h PATH_SUFFIXES nanopb REQUIRED) # a folder of its own since Debian 13
find_program(NANOPB_GENERATOR NAMES nanopb_generator nanopb_generator.py REQUIRED)

function(clan_proto target)
  set(out)
  foreach(proto ${ARGN})
    get_filename_component(stem ${proto} NAME_WE)
    set(c ${CMAKE_CURRENT_BINARY_DIR}/wire/${stem}.pb.c)
    set(h ${CMAKE_CURRENT_BINARY_DIR}/wire/${stem}.pb.h)
    add_custom_command(OUTPUT ${c} ${h}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/wire
      # Debian's own interpreter: the generator's modules belong to it
      COMMAND /usr/bin/python3 ${NANOPB_GENERATOR} -q -D ${CMAKE_CURRENT_BINARY_DIR}/wire
              -I ${CMAKE_CURRENT_SOURCE_DIR} ${proto}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${proto} ${CMAKE_CURRENT_SOURCE_DIR}/${stem}.options
      WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} VERBATIM)
    list(APPEND out ${c} ${h})
    set_source_files_properties(${c} PROPERTIES COMPILE_OPTIONS "-w")
  endforeach()
  add_library(${target} STATIC ${out})
  target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_BINARY_DIR})
  if(NOT NANOPB_INCLUDE STREQUAL "/usr/include")
    target_include_directories(${target} SYSTEM PUBLIC ${NANOPB_INCLUDE})
  endif()
  target_compile_options(${target} PRIVATE -w -fvisibility=hidden)
  target_link_libraries(${target} PUBLIC ${NANOPB_LIB})
endfunction()
