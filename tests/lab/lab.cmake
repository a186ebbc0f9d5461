# One ctest per file, so that each shows and can be run alone; the machines need root and installed binaries.
file(GLOB lab_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/lab/test_*.py)
foreach(file ${lab_tests})
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "^test_" "" name ${name})
  add_test(NAME lab.${name} COMMAND /usr/bin/python3 -B -m pytest -q -p no:cacheprovider ${file})
  set(label lab)
  if(CLAN_SANITIZE AND name STREQUAL "story")
    set(label lab-asan) # one lab run with sanitizers
  endif()
  set_tests_properties(lab.${name} PROPERTIES LABELS ${label} TIMEOUT 300 RUN_SERIAL ON
    ENVIRONMENT "CLAN_PREFIX=${CMAKE_INSTALL_PREFIX}")
endforeach()
