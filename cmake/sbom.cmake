# cmake -DVERSION=x -DROWS=file -DPROGRAM=file -DOUTPUT=file -P sbom.cmake: writes a bill of materials (CycloneDX 1.5)
# of the program and its direct dependencies. ROWS has a line name|version|license|library for each
# (cmake/dependencies.cmake). Where the library belongs to a Debian package, that is named, with its version.
# The same inputs give the same bytes; SOURCE_DATE_EPOCH adds the time.

# A string as JSON.
function(json_text text out)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  set(${out} "\"${text}\"" PARENT_SCOPE)
endfunction()

# As a part of a package URL.
function(url_text text out)
  string(REPLACE "%" "%25" text "${text}")
  string(REPLACE ":" "%3A" text "${text}")
  string(REPLACE "+" "%2B" text "${text}")
  string(REPLACE "~" "%7E" text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# pkg:deb/debian/libpng16-16@1.6.39-2?arch=amd64, or "" if no package owns the file.
function(debian_url path out)
  set(${out} "" PARENT_SCOPE)
  string(REGEX REPLACE "^/usr" "" other "${path}")
  foreach(candidate "${path}" "${other}")
    execute_process(COMMAND dpkg-query -S "${candidate}" OUTPUT_VARIABLE owner ERROR_QUIET RESULT_VARIABLE failed)
    if(failed)
      continue()
    endif()
    string(REGEX REPLACE ": .*" "" package "${owner}")
    string(REGEX REPLACE ",.*" "" package "${package}")
    execute_process(COMMAND dpkg-query -W -f "\${Package}\n\${Version}\n\${Architecture}" ${package}
      OUTPUT_VARIABLE facts ERROR_QUIET RESULT_VARIABLE failed)
    if(failed)
      continue()
    endif()
    string(REPLACE "\n" ";" facts "${facts}")
    list(GET facts 0 name)
    list(GET facts 1 version)
    list(GET facts 2 architecture)
    url_text("${version}" version)
    set(${out} "pkg:deb/debian/${name}@${version}?arch=${architecture}" PARENT_SCOPE)
    return()
  endforeach()
endfunction()

file(STRINGS ${ROWS} rows)
set(components "")
set(names "")
foreach(row ${rows})
  string(REPLACE "|" ";" fields "${row}")
  list(GET fields 0 name)
  list(GET fields 1 version)
  list(GET fields 2 license)
  list(GET fields 3 file)
  file(REAL_PATH "${file}" path)
  debian_url("${path}" url)
  if(NOT url)
    url_text("${version}" escaped)
    string(TOLOWER "pkg:generic/${name}@${escaped}" url)
  endif()
  file(SHA256 "${path}" hash)
  json_text("${version}" version)
  set(component "    {\"type\": \"library\", \"bom-ref\": \"${name}\", \"name\": \"${name}\", \"version\": ${version},\n")
  # Headers are part of the program itself; their own sum would say nothing.
  if(path MATCHES "\\.so|\\.a$")
    string(APPEND component "     \"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"${hash}\"}],\n")
  endif()
  if(license MATCHES " ")
    set(licenses "{\"expression\": \"${license}\"}")
  else()
    set(licenses "{\"license\": {\"id\": \"${license}\"}}")
  endif()
  string(APPEND component "     \"licenses\": [${licenses}], \"purl\": \"${url}\"}")
  list(APPEND components "${component}")
  list(APPEND names "\"${name}\"")
endforeach()
list(JOIN components ",\n" components)
list(JOIN names ", " names)

set(time "")
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  string(TIMESTAMP time "%Y-%m-%dT%H:%M:%SZ" UTC)
  set(time "\n    \"timestamp\": \"${time}\",")
endif()
# Packaging may strip the program, so that the commit identifies it rather than its sum.
execute_process(COMMAND ${PROGRAM} --version --json OUTPUT_VARIABLE facts COMMAND_ERROR_IS_FATAL ANY)
string(JSON commit GET "${facts}" commit)
string(UUID serial NAMESPACE 6ba7b811-9dad-11d1-80b4-00c04fd430c8 NAME "${commit}${time}${components}" TYPE SHA1)
file(WRITE ${OUTPUT} "{
  \"bomFormat\": \"CycloneDX\",
  \"specVersion\": \"1.5\",
  \"serialNumber\": \"urn:uuid:${serial}\",
  \"version\": 1,
  \"metadata\": {${time}
    \"component\": {
      \"type\": \"application\", \"bom-ref\": \"roundel\", \"name\": \"roundel\", \"version\": \"${VERSION}\",
      \"licenses\": [{\"license\": {\"id\": \"Apache-2.0\"}}],
      \"properties\": [{\"name\": \"roundel:commit\", \"value\": \"${commit}\"}]
    }
  },
  \"components\": [
${components}
  ],
  \"dependencies\": [{\"ref\": \"roundel\", \"dependsOn\": [${names}]}]
}
")
