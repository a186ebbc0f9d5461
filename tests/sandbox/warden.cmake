add_executable(warden_child ${CMAKE_CURRENT_LIST_DIR}/warden_child.c)
target_link_libraries(warden_child PRIVATE clan_flags)
find_package(Python3 COMPONENTS Interpreter)
add_test(NAME sandbox.warden_life COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/warden_life.py
  $<TARGET_FILE:cland> $<TARGET_FILE:warden_child>)
set_tests_properties(sandbox.warden_life PROPERTIES LABELS lab TIMEOUT 180 SKIP_RETURN_CODE 77 RUN_SERIAL ON)
