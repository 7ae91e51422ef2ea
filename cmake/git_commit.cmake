# cmake -DSOURCE=folder -DOUTPUT=file.cpp -P git_commit.cmake: writes a C++ source that says which commit
# is built, and of which day it is: "" outside of a checkout, where SOURCE_DATE_EPOCH may give the day.
# The file is only rewritten if that has changed. The hash has a fixed length, because git's own choice
# depends on the number of objects in the clone.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --exclude * --abbrev=12
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND git -C ${SOURCE} log -1 --format=%cs
  OUTPUT_VARIABLE day OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT day AND DEFINED ENV{SOURCE_DATE_EPOCH})
  string(TIMESTAMP day "%Y-%m-%d" UTC)
endif()
set(text "#include \"cmd/version.h\"\n\n")
string(APPEND text "const char* roundel::cmd::GitCommit() { return \"${commit}\"; }\n")
string(APPEND text "const char* roundel::cmd::CommitDay() { return \"${day}\"; }\n")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
