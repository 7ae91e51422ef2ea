#pragma once
// Parts of keys under which results are stored: what they depend on in a session.

#include <string>

#include "lib/base/hash.h"
#include "lib/session/session.h"

namespace roundel::layers {

// The value's name, and its encoding with its codes if it has one.
void AddEncoding(const Session& session, const std::string& value, Hasher* hasher);
// The contents of the first batch: the hash of the data holds only the names of the samples. Errors:
// those of reading it.
Status AddFirstBatch(const Session& session, Hasher* hasher);

}  // namespace roundel::layers
