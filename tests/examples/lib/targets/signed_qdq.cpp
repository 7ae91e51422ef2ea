// signed_qdq: QDQ, with the producer's name in the model.

#include "lib/targets/formats.h"

namespace roundel::target {

Format signed_qdq_format() {
  return {.title = "SignedQDQ", .after = [](const ExportOptions&, graph::Model* model) {
            model->SetMetadata("example.signed", "yes");
          }};
}

}  // namespace roundel::target
