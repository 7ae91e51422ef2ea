# add_room(NAME DEPS rooms... LIBS third-party...): one static library per folder of lib/, with
# exactly the link dependencies named here, so that an upward call is an undefined reference.
function(add_room name)
  cmake_parse_arguments(ROOM "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lib/${name}/*.cpp)
  roundel_library(roundel_${name} "${sources}" "${ROOM_DEPS}" "${ROOM_LIBS}")
endfunction()

# Sources of passes come from passes.def, one line per pass, so that the list cannot drift from the
# tree: a line without a file fails here, a file without a line fails in tests/structure_test.cpp.
function(add_passes)
  cmake_parse_arguments(ROOM "" "" "DEPS;LIBS" ${ARGN})
  file(STRINGS ${CMAKE_SOURCE_DIR}/passes/passes.def lines REGEX "^ROUNDEL_PASS")
  set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/passes/passes.def)
  # What they share has headers; a pass has none.
  set(sources ${CMAKE_SOURCE_DIR}/passes/registry.cpp)
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/passes/*.h)
  foreach(header ${headers})
    string(REGEX REPLACE "h$" "cpp" shared ${header})
    if(EXISTS ${shared})
      list(APPEND sources ${shared})
    endif()
  endforeach()
  foreach(line ${lines})
    string(REGEX REPLACE "^ROUNDEL_PASS\\(([a-z0-9_]+)\\).*" "\\1" pass ${line})
    list(APPEND sources ${CMAKE_SOURCE_DIR}/passes/${pass}.cpp)
  endforeach()
  roundel_library(roundel_passes "${sources}" "${ROOM_DEPS}" "${ROOM_LIBS}")
endfunction()

function(add_cmd)
  cmake_parse_arguments(ROOM "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cmd/*.cpp)
  if(NOT sources)
    return()
  endif()
  # What would change the host of a test, too, belongs to the program alone.
  set(program ${CMAKE_SOURCE_DIR}/cmd/main.cpp ${CMAKE_SOURCE_DIR}/cmd/host.cpp)
  list(REMOVE_ITEM sources ${program})
  roundel_library(roundel_cmd "${sources}" "${ROOM_DEPS}" "${ROOM_LIBS}")
  target_compile_definitions(roundel_cmd PRIVATE ROUNDEL_VERSION="${PROJECT_VERSION}")
  set_property(SOURCE ${CMAKE_SOURCE_DIR}/cmd/version.cpp APPEND PROPERTY COMPILE_DEFINITIONS
    ROUNDEL_BUILD_TYPE="${CMAKE_BUILD_TYPE}")
  roundel_write_dependencies(${CMAKE_BINARY_DIR}/embedded/dependencies.cpp)
  set(commit ${CMAKE_BINARY_DIR}/embedded/git_commit.cpp)
  add_custom_target(git_commit BYPRODUCTS ${commit}
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${commit}
      -P ${CMAKE_SOURCE_DIR}/cmake/git_commit.cmake)
  target_sources(roundel_cmd PRIVATE ${commit} ${CMAKE_BINARY_DIR}/embedded/dependencies.cpp)
  add_dependencies(roundel_cmd git_commit)
  add_executable(roundel ${program})
  target_link_libraries(roundel PRIVATE roundel_cmd ${CMAKE_DL_LIBS})
  set_target_properties(roundel PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()

function(roundel_library target sources deps libs)
  list(TRANSFORM deps PREPEND roundel_)
  if(sources)
    add_library(${target} STATIC ${sources})
    set_property(GLOBAL APPEND PROPERTY ROUNDEL_ROOMS ${target})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target} PUBLIC ${deps} PRIVATE ${libs})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target} INTERFACE ${deps})
  endif()
endfunction()
