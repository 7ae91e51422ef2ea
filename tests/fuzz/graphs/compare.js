// Whether two runtimes agree: integers exactly, floats up to the effect of another order of sums.
'use strict';
const {isFloat} = require('./graph.js');
const {halfValue} = require('./npy.js');

// Relative to an element plus the largest element of its tensor.
const TOLERANCE = {float32: 2e-5, float64: 2e-5, float16: 4e-3};

// Differences below this may result from large numbers before a subtraction.
const SMALLEST = 0.1;

const numbers = t => (t.type === 'float16' && t.data instanceof Uint16Array ? Array.from(t.data, halfValue) : Array.from(t.data, Number));

// The worst disagreement of a and b, {text, index of the output, size}; null if there is none.
// `float`: the type in which the graph computes, which bounds the accuracy of its results.
function disagreement(a, b, float, tolerance = TOLERANCE[float]) {
  if (a.length !== b.length) return {text: `${a.length} outputs, not ${b.length}`, index: -1, size: Infinity};
  for (let i = 0; i < a.length; i++) {
    // ONNX Runtime has other shapes for empty values
    if ([...a[i].shape, ...b[i].shape].includes(0)) continue;
    if (a[i].type !== b[i].type || a[i].shape.join() !== b[i].shape.join())
      return {text: `output ${i} is ${a[i].type}[${a[i].shape}], not ${b[i].type}[${b[i].shape}]`, index: i, size: Infinity};
    const found = isFloat(a[i].type) ? floats(numbers(a[i]), numbers(b[i]), tolerance) : integers(a[i].data, b[i].data);
    if (found) return {text: `output ${i}, ${a[i].type}[${a[i].shape}], element ${found.at}: ${found.x} and ${found.y}`, index: i, size: found.size, nan: found.nan};
  }
  return null;
}

function integers(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return {at: i, x: a[i], y: b[i], size: 1};
  return null;
}

function floats(a, b, tolerance) {
  const finite = b.filter(Number.isFinite), largest = finite.reduce((m, v) => Math.max(m, Math.abs(v)), SMALLEST);
  let worst = null;
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
    // Whether a maximum ignores NaN is not specified, nor is the sign of a zero divisor.
    if (!Number.isFinite(a[i]) || !Number.isFinite(b[i])) return {at: i, x: a[i], y: b[i], size: Infinity, nan: true};
    const size = Math.abs(a[i] - b[i]) / (Math.abs(b[i]) + largest), far = size > tolerance && (!worst || size > worst.size);
    if (far) worst = {at: i, x: a[i], y: b[i], size};
  }
  return worst;
}

module.exports = {disagreement};
