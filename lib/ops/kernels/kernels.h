#pragma once
// The families of plain kernels. Each function returns the op table rows of one file; op_table.cpp
// joins them.

#include <vector>

#include "lib/ops/op.h"

namespace roundel::engine {

std::vector<OpEntry> ActivationRows();
std::vector<OpEntry> AttentionRows();
std::vector<OpEntry> BinaryRows();
std::vector<OpEntry> BlockQuantizedRows();
std::vector<OpEntry> Bnb4Rows();
std::vector<OpEntry> CastRows();
std::vector<OpEntry> Col2ImRows();
std::vector<OpEntry> ContribAttentionRows();
std::vector<OpEntry> ContribFusedRows();
std::vector<OpEntry> ControlFlowRows();
std::vector<OpEntry> ConvRows();
std::vector<OpEntry> ConvTransposeRows();
std::vector<OpEntry> CumulativeRows();
std::vector<OpEntry> DeformConvRows();
std::vector<OpEntry> EinsumRows();
std::vector<OpEntry> ExperimentalRows();
std::vector<OpEntry> GatherRows();
std::vector<OpEntry> GeneratorRows();
std::vector<OpEntry> GroupQueryAttentionRows();
std::vector<OpEntry> IntegerRows();
std::vector<OpEntry> IntegerToFloatRows();
std::vector<OpEntry> LogicRows();
std::vector<OpEntry> LossRows();
std::vector<OpEntry> MatMulRows();
std::vector<OpEntry> MiscRows();
std::vector<OpEntry> NgramRows();
std::vector<OpEntry> NormalizationRows();
std::vector<OpEntry> PadRows();
std::vector<OpEntry> PoolRows();
std::vector<OpEntry> QLinearElementwiseRows();
std::vector<OpEntry> QLinearReduceRows();
std::vector<OpEntry> QuantizeRows();
std::vector<OpEntry> RecurrentRows();
std::vector<OpEntry> ReduceRows();
std::vector<OpEntry> ResizeRows();
std::vector<OpEntry> RoiPoolRows();
std::vector<OpEntry> RotaryRows();
std::vector<OpEntry> SamplingRows();
std::vector<OpEntry> ScanRows();
std::vector<OpEntry> SearchRows();
std::vector<OpEntry> SequenceRows();
std::vector<OpEntry> ShapeRows();
std::vector<OpEntry> SignalRows();
std::vector<OpEntry> SkipNormRows();
std::vector<OpEntry> SliceRows();
std::vector<OpEntry> SoftmaxRows();
std::vector<OpEntry> TransposeRows();
std::vector<OpEntry> UnaryRows();

}  // namespace roundel::engine
