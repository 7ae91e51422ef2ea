# roundel_embed(OUTPUT NAMESPACE files...): turns text files into one C++ source that defines
#
#   namespace NAMESPACE { std::span<const std::pair<std::string_view, std::string_view>> EmbeddedFiles(); }
#
# with one {file name without extension, contents} per file, in the order given. The user declares
# the function itself and adds OUTPUT to its target (target_sources). A change of a file configures
# again; OUTPUT is only rewritten if its contents change.
function(roundel_embed output namespace)
  set(text "#include <array>\n#include <span>\n#include <string_view>\n#include <utility>\n\n")
  string(APPEND text "namespace ${namespace} {\n\n")
  string(APPEND text "std::span<const std::pair<std::string_view, std::string_view>> EmbeddedFiles();\n")
  string(APPEND text "std::span<const std::pair<std::string_view, std::string_view>> EmbeddedFiles() {\n")
  list(LENGTH ARGN count)
  string(APPEND text
    "  static const std::array<std::pair<std::string_view, std::string_view>, ${count}> kFiles = {{\n")
  foreach(file ${ARGN})
    set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    get_filename_component(name ${file} NAME_WE)
    file(READ ${file} contents)
    string(APPEND text "      {\"${name}\", R\"embedded(${contents})embedded\"},\n")
  endforeach()
  string(APPEND text "  }};\n  return kFiles;\n}\n\n}  // namespace ${namespace}\n")
  set(old "")
  if(EXISTS ${output})
    file(READ ${output} old)
  endif()
  if(NOT old STREQUAL text)
    file(WRITE ${output} "${text}")
  endif()
endfunction()
