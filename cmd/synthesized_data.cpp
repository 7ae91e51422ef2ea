#include "cmd/synthesized_data.h"

#include <utility>

#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/tensor/stored_batches.h"
#include "lib/tune/synthesis.h"

namespace roundel::cmd {

Result<std::unique_ptr<DataSource>> SynthesizeData(const recipe::Params& params,
                                                   const graph::Model& model,
                                                   data::DatasetFacts* facts) {
  for (const char* name : {"path", "names", "labels"})
    if (!params.String(name).empty())
      return UsageError(StrCat("data: synthesize makes the images itself, so that '", name,
                               "' cannot be given with it"));
  if (params.Int("views") > 1)
    return UsageError("data: views are made of real images; ask synthesize for more images");
  ASSIGN_OR_RETURN(const data::ImageFacts images, data::FactsOfImages(params));
  const tune::SynthesisOptions options{.samples = params.Int("synthesize"),
                                       .seed = static_cast<uint64_t>(params.Int("seed")),
                                       .low = images.low,
                                       .high = images.high,
                                       .height = images.height,
                                       .width = images.width};
  ASSIGN_OR_RETURN(tune::Synthesized made, tune::Synthesize(model, options));
  facts->description =
      StrFormat("%lld images made from batch-norm statistics (distance %.3g, of noise %.3g)",
                static_cast<long long>(options.samples), made.loss_after, made.loss_before);
  LogInfo(StrCat("data: ", facts->description));
  Hasher hash;
  std::vector<Batch> batches;
  for (Tensor& pixels : made.batches) {
    hash.Add(pixels.raw(), static_cast<size_t>(pixels.byte_size()));
    Batch batch{.size = pixels.dim(0)};
    for (int64_t i = 0; i < batch.size; ++i)
      batch.sample_names.push_back(StrCat("synthesized[", facts->samples.size() + i, "]"));
    facts->samples.insert(facts->samples.end(), batch.sample_names.begin(),
                          batch.sample_names.end());
    batch.inputs = {std::move(pixels)};
    batches.push_back(std::move(batch));
  }
  facts->hash = facts->preprocessing_hash = hash.Hex();
  return std::unique_ptr<DataSource>(std::make_unique<StoredBatches>(std::move(batches)));
}

}  // namespace roundel::cmd
