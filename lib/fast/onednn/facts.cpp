#include "lib/fast/onednn/facts.h"

#include <dnnl.hpp>

#include "lib/base/text.h"

namespace roundel::engine {
namespace {

std::string NameOf(dnnl::cpu_isa isa) {
  using dnnl::cpu_isa;
  switch (isa) {
    case cpu_isa::sse41: return "sse41";
    case cpu_isa::avx: return "avx";
    case cpu_isa::avx2: return "avx2";
    case cpu_isa::avx2_vnni: return "avx2_vnni";
    case cpu_isa::avx512_core: return "avx512_core";
    case cpu_isa::avx512_core_vnni: return "avx512_core_vnni";
    case cpu_isa::avx512_core_bf16: return "avx512_core_bf16";
    case cpu_isa::avx512_core_amx: return "avx512_core_amx";
#if DNNL_VERSION_MAJOR >= 3
    case cpu_isa::avx2_vnni_2: return "avx2_vnni_2";
    case cpu_isa::avx512_core_fp16: return "avx512_core_fp16";
    case cpu_isa::avx512_core_amx_fp16: return "avx512_core_amx_fp16";
#endif
    default: return StrFormat("0x%x", static_cast<unsigned>(isa));  // 0 on other processors
  }
}

}  // namespace

OneDnnFacts FactsOfOneDnn() {
  const dnnl_version_t& version = *dnnl_version();  // of the library that was loaded
  return {StrCat(version.major, ".", version.minor, ".", version.patch),
          NameOf(dnnl::get_effective_cpu_isa())};
}

}  // namespace roundel::engine
