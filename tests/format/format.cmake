# What git holds: formatted by clang-format, and nothing but source.
add_test(NAME format.c COMMAND ${PROJECT_SOURCE_DIR}/scripts/format --check)
add_test(NAME format.tree COMMAND /usr/bin/python3 -B ${CMAKE_CURRENT_LIST_DIR}/tree.py)
set_tests_properties(format.c format.tree PROPERTIES LABELS format TIMEOUT 60 SKIP_RETURN_CODE 77)
