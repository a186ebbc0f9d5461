# Compiler and linker flags of every target, in one place.
add_library(clan_flags INTERFACE)
target_compile_definitions(clan_flags INTERFACE _GNU_SOURCE CLAN_VERSION="${PROJECT_VERSION}")
target_compile_options(clan_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual
  -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Wwrite-strings
  -fvisibility=hidden -fstack-protector-strong -fno-strict-aliasing)
include(CheckCCompilerFlag)
# only gcc has the first; clang before 16 takes the second with a second flag only
foreach(flag -Wformat-truncation -ftrivial-auto-var-init=zero
    "-ftrivial-auto-var-init=zero -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang")
  string(MAKE_C_IDENTIFIER "CLAN_HAS${flag}" has)
  check_c_compiler_flag("-Werror ${flag}" ${has})
endforeach()
if(CLAN_HAS_Wformat_truncation)
  target_compile_options(clan_flags INTERFACE -Wno-format-truncation)
endif()
if(CLAN_HAS_ftrivial_auto_var_init_zero)
  target_compile_options(clan_flags INTERFACE -ftrivial-auto-var-init=zero)
elseif(${has})
  target_compile_options(clan_flags INTERFACE -ftrivial-auto-var-init=zero
    -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
endif()
target_link_options(clan_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack,-z,defs)
if(CLAN_WERROR)
  target_compile_options(clan_flags INTERFACE -Werror)
endif()
if(CLAN_SANITIZE)
  target_compile_options(clan_flags INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  # -z defs refuses the sanitizer's own symbols in shared objects
  target_link_options(clan_flags INTERFACE -fsanitize=address,undefined -Wl,-z,undefs)
  target_compile_definitions(clan_flags INTERFACE CLAN_SANITIZE=1)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(clan_flags INTERFACE -D_FORTIFY_SOURCE=2)
endif()
if(CLAN_FUZZ)
  target_compile_options(clan_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# clan_library(NAME SOURCES ... LIBS ...): a static library of one subsystem
function(clan_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS;PRIVATE_LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/sdk/include)
  target_link_libraries(${name} PUBLIC clan_flags ${A_LIBS} PRIVATE ${A_PRIVATE_LIBS})
endfunction()

# clan_program(NAME DESTINATION SOURCES ... LIBS ...): one executable, installed
function(clan_program name destination)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/sdk/include)
  target_compile_definitions(${name} PRIVATE
    CLAN_LIBEXECDIR="${CLAN_LIBEXECDIR}" CLAN_PLUGINDIR="${CLAN_PLUGINDIR}")
  target_link_libraries(${name} PRIVATE clan_flags ${A_LIBS})
  target_compile_options(${name} PRIVATE -fPIE)
  target_link_options(${name} PRIVATE -pie)
  install(TARGETS ${name} RUNTIME DESTINATION ${destination})
endfunction()
