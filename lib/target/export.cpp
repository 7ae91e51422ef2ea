#include "lib/target/export.h"

#include "lib/base/text.h"

namespace roundel::target {

Result<graph::Model> Export(const graph::Model& model, const quant::EncodingTable& encodings,
                            const ExportOptions& options) {
  if (options.format == "qdq") return ExportQdq(model, encodings, options.qdq);
  if (options.format != "matmulnbits")
    return UsageError(StrCat("unknown format '", Printable(options.format), "'"));
  RETURN_IF_ERROR(CheckExportable(model, encodings));
  graph::Model packed = graph::Clone(model);
  quant::EncodingTable rest = encodings;
  PackBlocks(options, &packed, &rest);
  ASSIGN_OR_RETURN(graph::Model out, ExportQdq(packed, rest, options.qdq));
  out.SetMetadata("roundel.format", "MatMulNBits");
  return out;
}

}  // namespace roundel::target
