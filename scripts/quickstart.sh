#!/usr/bin/env bash
# From a fresh checkout to a quantized model: installs what is missing, builds build/release/roundel,
# quantizes the built-in sample classifier and compares it with the float model.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh build
cmake --preset release >/dev/null
cmake --build --preset release

out=build/sample
mkdir -p "$out"
sample=testdata/sample
echo
echo "== Quantizing $sample/model.onnx to 8 bits with the images in $sample/calib"
build/release/roundel quantize "$sample/model.onnx" --calib "$sample/calib" --preset tf -o "$out/model.int8.onnx"
for model in "$sample/model.onnx" "$out/model.int8.onnx"; do
  echo
  echo "== Accuracy of $model"
  build/release/roundel eval "$model" --data "$sample/test_images.npy" --labels "$sample/test_labels.npy" --preset tf
done
echo
echo "== Files"
ls -l "$sample/model.onnx" "$out"/* | awk '{print $5, $NF}' | column -t
