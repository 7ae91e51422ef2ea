# cmake -DSOURCE=folder -DOUTPUT=file.cpp -P git_commit.cmake: writes a C++ source that says which commit
# is built, "" outside of a checkout. The file is only rewritten if that has changed.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --exclude * OUTPUT_VARIABLE commit
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
set(text "#include \"cmd/version.h\"\n\nconst char* roundel::cmd::GitCommit() { return \"${commit}\"; }\n")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
