#pragma once
// Requirements of tests that not every machine meets. Without them a test reports that it is skipped.
// If the environment variable ROUNDEL_REQUIRE names the requirement ("e2e,conformance"), it fails.

#include <string>

namespace roundel::support {

// The words of ROUNDEL_REQUIRE, separated by commas:
//   e2e          node and the npm packages of tests/e2e: ONNX Runtime, validators
//   conformance  the test folders of the operator suite (libonnx-testdata)
//   vnni         a processor with exact dot products of bytes
//   shells       zsh, fish, groff and mandoc
//   scheduler    Slurm's daemons, munge, mpirun, GNU parallel, snakemake
//   browser      Chromium, and node to drive it
bool IsRequired(const std::string& list, const std::string& need);
// The first word of `list` that is not one of them, which would require nothing; "" if all are.
std::string UnknownNeed(const std::string& list);

// Called in a test, which returns at once if this is true. `missing` says what is not there.
bool SkippedWithout(const std::string& need, bool present, const std::string& missing);

// Of tests in several folders.
bool SkippedWithoutOperatorSuite();
bool SkippedWithoutByteDots(bool has_byte_dots);

}  // namespace roundel::support
