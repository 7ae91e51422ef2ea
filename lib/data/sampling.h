#pragma once
// Selection of samples: file lists, name files, seeded subsets, labels.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/data/settings.h"
#include "lib/tensor/tensor.h"

namespace roundel::data {

bool HasExtension(const std::string& name, const std::vector<std::string>& extensions);

// Files below `folder` whose extension is one of `extensions` (lower case, with dot; any case
// matches), as paths relative to it in byte order. Hidden files and linked folders are left out.
Result<std::vector<std::string>> ListFiles(const std::string& folder,
                                           const std::vector<std::string>& extensions);

// The names in a text file, relative to `folder`, in its order. Errors: kData for a missing file or
// one that is listed twice.
Result<std::vector<std::string>> ReadNames(const std::string& path, const std::string& folder);

// Ascending indices of `count` of `available` samples (0: all), determined by the seed. Warns if
// there are too few.
std::vector<int64_t> ChooseSubset(int64_t available, int64_t count, int64_t seed);

// Labels of `names` (files relative to the data's folder) after settings.labels, which is not
// empty. `all_names`: every file of the folder, chosen or not, so that the numbering of classes by
// 'prefix' and 'folder' does not depend on the choice. REQUIRES that `names` are among them.
Result<std::vector<int64_t>> FileLabels(const Settings& settings,
                                        const std::vector<std::string>& names,
                                        const std::vector<std::string>& all_names);

// Labels of `count` array samples: a .npy of integers, or a text file with one integer a line.
Result<std::vector<int64_t>> ArrayLabels(const Settings& settings, int64_t count);
// The same from an array that has been read already.
Result<std::vector<int64_t>> LabelsFromTensor(const Settings& settings, const Tensor& tensor,
                                              int64_t count);

}  // namespace roundel::data
