#pragma once
// One factory per method. Only the table in lib/quant/observers.cpp and the method auto, which
// chooses among the others, use them.

#include <memory>

#include "lib/quant/observers.h"

namespace roundel::quant {

std::unique_ptr<Observer> MakeAbsMean(const MethodOptions& options);
std::unique_ptr<Observer> MakeAciq(const MethodOptions& options);
std::unique_ptr<Observer> MakeAuto(const MethodOptions& options);
std::unique_ptr<Observer> MakeKl(const MethodOptions& options);
std::unique_ptr<Observer> MakeKlOrt(const MethodOptions& options);
std::unique_ptr<Observer> MakeKlTensorrt(const MethodOptions& options);
std::unique_ptr<Observer> MakeMeanMinMax(const MethodOptions& options);
std::unique_ptr<Observer> MakeMinMax(const MethodOptions& options);
std::unique_ptr<Observer> MakeMovingAverage(const MethodOptions& options);
std::unique_ptr<Observer> MakeMse(const MethodOptions& options);
std::unique_ptr<Observer> MakeOmse(const MethodOptions& options);
std::unique_ptr<Observer> MakePercentile(const MethodOptions& options);
std::unique_ptr<Observer> MakeSqnr(const MethodOptions& options);
std::unique_ptr<Observer> MakeTwn(const MethodOptions& options);

}  // namespace roundel::quant
