#pragma once
// From a manifest to the jobs of a batch: what each of them runs, and what identifies it.

#include <string>
#include <vector>

#include "cmd/job_names.h"
#include "lib/base/status.h"
#include "lib/batch/content.h"
#include "lib/batch/manifest.h"
#include "lib/recipe/recipe.h"

namespace roundel::cmd {

struct BatchJob {
  batch::Entry entry;     // of one model, with its id
  recipe::Recipe recipe;  // what the job's process runs; paths are absolute
  OutputNames names;
  std::string folder;      // in which it writes
  std::string log, store;  // there
  std::string hash;        // see HashJob()
};

// The jobs of the manifest, in its order, without their hashes. `out` is an absolute path. Errors:
// kUsage, naming file and line.
Result<std::vector<BatchJob>> LoadJobs(const std::string& manifest, const std::string& out);

// Of the contents of model, data and other inputs, of the recipe without paths, and of the version
// of this program: if it is the same, so is the result.
std::string HashJob(const BatchJob& job, batch::ContentHashes* contents);

}  // namespace roundel::cmd
