clan_unit_test(noise SOURCES ${CMAKE_CURRENT_LIST_DIR}/noise.c ${CMAKE_CURRENT_LIST_DIR}/vector_run.c
  LIBS clan_noise clan_aead PkgConfig::JANSSON)
clan_unit_test(keys SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys.c LIBS clan_noise PkgConfig::JANSSON)
clan_unit_test(aead SOURCES ${CMAKE_CURRENT_LIST_DIR}/aead.c LIBS clan_aead PkgConfig::SODIUM)

# The runner of vector files: the committed one, and a larger collection beside the tree where there is one.
add_executable(noise-vectors ${CMAKE_CURRENT_LIST_DIR}/noise_vectors.c ${CMAKE_CURRENT_LIST_DIR}/vector_run.c)
target_link_libraries(noise-vectors PRIVATE clan_flags clan_noise clan_aead PkgConfig::JANSSON)
add_test(NAME vectors.noise COMMAND noise-vectors ${CMAKE_CURRENT_LIST_DIR}/vectors/noise.json)
set_tests_properties(vectors.noise PROPERTIES LABELS unit TIMEOUT 60)
set(more ${PROJECT_SOURCE_DIR}/../shared/vectors/noise-25519-chachapoly-blake2.json)
if(EXISTS ${more})
  add_test(NAME vectors.noise-shared COMMAND noise-vectors ${more})
  set_tests_properties(vectors.noise-shared PROPERTIES LABELS unit TIMEOUT 60)
endif()
# the second implementation computes the committed vectors again
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
  add_test(NAME vectors.second-implementation COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/vectors/make_vectors.py --check)
  set_tests_properties(vectors.second-implementation PROPERTIES LABELS unit TIMEOUT 60)
endif()
