# Reading the standard headers takes a sixth of the time that a file takes to compile. With ROUNDEL_PRECOMPILE they are
# read once. A compiler cache saves more and gets on badly with this, hence only without one.
option(ROUNDEL_PRECOMPILE "Precompile the standard headers" OFF)

set(roundel_headers <algorithm> <cmath> <cstdint> <cstring> <filesystem> <functional> <limits> <map> <memory> <numeric>
  <optional> <set> <span> <string> <string_view> <unordered_map> <unordered_set> <utility> <variant> <vector>)

# GCC takes a precompiled header only under the flags that it was made with: OpenMP makes a difference. Loops whose pragmas
# change the code of a function are compiled in the same way everywhere, without.
function(roundel_precompile target sources libs)
  if(NOT ROUNDEL_PRECOMPILE OR CMAKE_CXX_COMPILER_LAUNCHER OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    return()
  endif()
  set(owner roundel_headers)
  set(flags "")
  if("OpenMP::OpenMP_CXX" IN_LIST libs)
    set(owner roundel_headers_openmp)
    set(flags OpenMP::OpenMP_CXX)
  endif()
  if(NOT TARGET ${owner})
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/embedded/${owner}.cpp CONTENT "" @ONLY)
    add_library(${owner} OBJECT ${CMAKE_BINARY_DIR}/embedded/${owner}.cpp)
    target_link_libraries(${owner} PRIVATE ${flags})
    target_precompile_headers(${owner} PRIVATE ${roundel_headers})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${owner})
  # GCC 12 does not know any more that a precompiled header is the system's, and warns of what std::string does.
  target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict
    -Wno-maybe-uninitialized)
  foreach(source ${sources})
    file(STRINGS ${source} pragmas REGEX "pragma GCC|ROUNDEL_(FAST_LOOPS|VECTORIZE)" LIMIT_COUNT 1)
    if(pragmas)
      set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()
