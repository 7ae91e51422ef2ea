// Layers: convolutions, pools, products, normalizations, recurrent layers, attention, quantizers
// and control flow.
'use strict';
const {broadcast, count, real} = require('./graph.js');

const ops = {};
const small = (g, shape) => g.constant(g.float, shape, Array.from({length: count(shape)}, () => g.random.between(-8, 8) / 16));
const positive = (g, shape, type = g.float) => g.constant(type, shape, Array.from({length: count(shape)}, () => g.random.between(4, 16) / 8));
const times = (n, f) => Array.from({length: n}, (_, i) => f(i));

// ---- windows

// Attributes of a window over `sizes`; [attributes, sizes of the result], null if the result is
// empty.
function windows(r, sizes, {dilated = true, ceil = false} = {}) {
  const kernel = sizes.map(() => r.between(1, 3)), strides = sizes.map(() => r.pick([1, 1, 2, 3]));
  const dilations = sizes.map(() => (dilated ? r.pick([1, 1, 1, 2]) : 1)), way = r.pick(['pads', 'pads', 'none', 'SAME_UPPER', 'SAME_LOWER', 'VALID']);
  const begin = kernel.map(k => (way === 'pads' ? r.between(0, Math.max(0, k - 1)) : 0)), end = kernel.map(k => (way === 'pads' ? r.between(0, Math.max(0, k - 1)) : 0));
  const span = kernel.map((k, i) => (k - 1) * dilations[i] + 1), ceil_mode = ceil && way === 'pads' && r.chance(0.3) ? 1 : undefined;
  const out = sizes.map((d, i) => (way.startsWith('SAME') ? Math.ceil(d / strides[i])
    : Math.floor((d + begin[i] + end[i] - span[i]) / strides[i]) + 1));
  if (sizes.some((d, i) => d + begin[i] + end[i] < span[i]) || out.some(d => d <= 0)) return null;
  // SAME with a stride above the window gives negative padding in ONNX Runtime, none in TensorFlow
  // and here.
  if (way.startsWith('SAME') && (dilations.some(d => d > 1) || strides.some((s, i) => s > kernel[i]))) return null;
  const attributes = {kernel_shape: kernel, strides: r.chance(0.7) ? strides : undefined, dilations: dilated ? dilations : undefined,
    pads: way === 'pads' ? [...begin, ...end] : undefined, auto_pad: ['pads', 'none'].includes(way) ? undefined : way, ceil_mode};
  if (!attributes.strides && strides.some(s => s > 1)) attributes.strides = strides;
  return [attributes, ceil_mode ? null : out];
}
ops.Conv = {add(g) {
  const r = g.random, x = g.picture(r.pick([1, 2, 2, 2, 2, 3])), [n, c, ...sizes] = x.shape, made = windows(r, sizes);
  if (!made) return false;
  const group = r.chance(0.25) ? c : c % 2 === 0 && r.chance(0.2) ? 2 : 1, out = group * r.pick([1, 1, 2, 3, 4, 8]) / (group > 8 ? 1 : 1);
  const w = small(g, [out, c / group, ...made[0].kernel_shape]), bias = r.chance(0.5) ? [small(g, [out])] : [];
  return g.node('Conv', [x, w, ...bias], {...made[0], group}, [[x.type, [n, out, ...made[1]]]]);
}};
ops.ConvTranspose = {add(g) {
  const r = g.random, x = g.picture(r.pick([1, 2, 2, 3])), [n, c, ...sizes] = x.shape;
  const kernel = sizes.map(() => r.between(1, 4)), strides = sizes.map(() => r.pick([1, 2, 3])), dilations = sizes.map(() => r.pick([1, 1, 2]));
  const pads = [...kernel, ...kernel].map(k => r.below(Math.min(k, 2))), more = strides.map(s => r.below(s));
  const group = c % 2 === 0 && r.chance(0.3) ? 2 : 1, each = r.pick([1, 2, 3]);
  const out = sizes.map((d, i) => (d - 1) * strides[i] + more[i] + (kernel[i] - 1) * dilations[i] + 1 - pads[i] - pads[i + sizes.length]);
  if (out.some(d => d <= 0)) return false;
  const bias = r.chance(0.5) ? [small(g, [each * group])] : [];
  return g.node('ConvTranspose', [x, small(g, [c, each, ...kernel]), ...bias],
    {kernel_shape: kernel, strides, dilations, pads, output_padding: r.chance(0.5) || more.some(m => m) ? more : undefined, group}, [[x.type, [n, each * group, ...out]]]);
}};
function pool(op, since, options, more) {
  ops[op] = {since, add(g) {
    const r = g.random, x = g.picture(r.pick([1, 2, 2, 2, 3])), [n, c, ...sizes] = x.shape, made = windows(r, sizes, options(g));
    return made ? g.node(op, [x], {...made[0], ...more(r)}, [[x.type, made[1] && [n, c, ...made[1]], op === 'MaxPool' && x.exact]]) : false;
  }};
}
pool('MaxPool', 11, () => ({ceil: true}), () => ({}));
pool('AveragePool', 11, g => ({dilated: g.opset >= 19, ceil: g.opset >= 19}), r => ({count_include_pad: r.below(2)}));
pool('LpPool', 11, g => ({dilated: g.opset >= 18}), r => ({p: r.pick([1, 2, 3])}));
ops.MaxPoolIndices = {since: 11, add(g) {
  const r = g.random, x = g.picture(2), made = windows(r, x.shape.slice(2));
  if (!made || !x.exact) return false;
  const shape = [x.shape[0], x.shape[1], ...made[1]];
  return g.node('MaxPool', [x], made[0], [[x.type, shape, true], ['int64', shape, true]]);
}};
['GlobalAveragePool', 'GlobalMaxPool'].forEach(op => {
  ops[op] = {add(g) {
    const x = g.picture(g.random.pick([1, 2, 2, 3]));
    return g.node(op, [x], {}, [[x.type, [x.shape[0], x.shape[1], ...x.shape.slice(2).map(() => 1)]]]);
  }};
});
ops.Resize = {since: 13, add(g) {
  const r = g.random, x = g.picture(2), mode = r.pick(['nearest', 'linear', 'cubic']), sizes = x.shape.slice(2).map(() => r.between(2, 14));
  const coordinate_transformation_mode = r.pick(['half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel']);
  const attributes = {mode, coordinate_transformation_mode, nearest_mode: mode === 'nearest' ? r.pick(['floor', 'ceil', 'round_prefer_floor']) : undefined,
    antialias: g.opset >= 18 && mode !== 'nearest' && r.chance(0.2) ? 1 : undefined};
  // Nearest on sizes that divide: the nearest neighbor must not depend on the last bit.
  if (mode === 'nearest' || r.chance(0.4)) {
    const scale = r.pick([2, 3, 0.5]), out = x.shape.slice(2).map(d => Math.floor(d * scale));
    if (out.some(d => d < 1)) return false;
    return g.node('Resize', [x, null, g.constant('float32', [4], [1, 1, scale, scale])], attributes, [[x.type, [...x.shape.slice(0, 2), ...out]]]);
  }
  return g.node('Resize', [x, null, null, g.ints([...x.shape.slice(0, 2), ...sizes])], attributes, [[x.type, [...x.shape.slice(0, 2), ...sizes]]]);
}};
ops.GridSample = {since: 16, add(g) {
  const r = g.random, x = g.picture(2), [h, w] = [r.between(1, 5), r.between(1, 5)], modes = g.opset >= 20 ? ['linear', 'cubic'] : ['bilinear', 'bicubic'];
  const grid = g.constant(x.type, [x.shape[0], h, w, 2], times(x.shape[0] * h * w * 2, () => r.between(-11, 11) / 9.7));
  return g.node('GridSample', [x, grid], {mode: r.pick(modes), padding_mode: r.pick(['zeros', 'border', 'reflection']), align_corners: r.below(2)},
    [[x.type, [x.shape[0], x.shape[1], h, w]]]);
}};
ops.RoiAlign = {since: 16, add(g) {
  const r = g.random, x = g.picture(2), rois = r.between(1, 3), size = r.between(1, 4);
  const boxes = g.constant(x.type, [rois, 4], times(rois, () => [r.below(3), r.below(3), r.between(3, 8), r.between(3, 8)]).flat());
  const batch = g.constant('int64', [rois], times(rois, () => r.below(x.shape[0])));
  return g.node('RoiAlign', [x, boxes, batch], {output_height: size, output_width: size, sampling_ratio: r.between(0, 2), spatial_scale: real(r.pick([1, 0.5])),
    mode: r.pick(['avg', 'max']), coordinate_transformation_mode: r.pick(['half_pixel', 'output_half_pixel'])}, [[x.type, [rois, x.shape[1], size, size]]]);
}};

// ---- products

ops.MatMul = {add(g) {
  const r = g.random, x = g.take(g.float, v => v.shape.length >= 2 && v.shape.length <= 4 && count(v.shape) > 0 && count(v.shape) < 5000, () => g.shape(r.between(2, 4)));
  if (!count(x.shape)) return false;  // ONNX Runtime 1.30 does not write the sum of nothing
  const rank = x.shape.length, k = x.shape[rank - 1], n = r.between(1, 20), lead = r.chance(0.5) ? [] : x.shape.slice(0, rank - 2).map(d => (r.chance(0.3) ? 1 : d));
  const fits = g.values.filter(v => v.type === x.type && v.shape && v.shape.length === 2 && v.shape[0] === k);
  const y = fits.length && r.chance(0.4) ? r.pick(fits) : small(g, [...lead, k, n]);
  const together = broadcast(x.shape.slice(0, -2), y.shape.slice(0, -2));
  return g.node('MatMul', [x, y], {}, [[x.type, [...together, x.shape[rank - 2], y.shape[y.shape.length - 1]]]]);
}};
ops.MatMulVector = {add(g) {
  const x = g.ofRank(1, 3), k = x.shape[x.shape.length - 1], y = small(g, [k]);
  if (!count(x.shape)) return false;
  return g.random.chance(0.5) || x.shape.length < 2 ? g.node('MatMul', [x, y], {}, [[x.type, x.shape.slice(0, -1)]])
    : g.node('MatMul', [small(g, [x.shape[x.shape.length - 2]]), x], {}, [[x.type, [...x.shape.slice(0, -2), k]]]);
}};
ops.Gemm = {since: 11, add(g) {
  const r = g.random, a = g.ofRank(2, 2);
  if (!count(a.shape)) return false;  // ONNX Runtime 1.30 ignores beta then
  const transA = r.below(2), transB = r.below(2), [m, k] = transA ? [...a.shape].reverse() : a.shape, n = r.between(1, 20);
  const bias = r.pick([[], [small(g, [n])], [small(g, [m, n])], [small(g, [1])], [small(g, [])], [small(g, [m, 1])], [small(g, [1, n])]]);
  return g.node('Gemm', [a, small(g, transB ? [n, k] : [k, n]), ...bias], {transA, transB, ...(r.chance(0.4) ? {alpha: real(0.5), beta: real(2)} : {})},
    [[a.type, [m, n]]]);
}};
ops.Einsum = {since: 12, add(g) {
  const r = g.random, [i, j, k] = times(3, () => r.between(1, 5)), pick = (...shape) => g.constant(g.float, shape);
  const [equation, inputs, shape] = r.pick([['ij,jk->ik', [[i, j], [j, k]], [i, k]], ['bij,bjk->bik', [[2, i, j], [2, j, k]], [2, i, k]],
    ['ij->ji', [[i, j]], [j, i]], ['ii->i', [[i, i]], [i]], ['ij->', [[i, j]], []], ['bhid,bhjd->bhij', [[2, 3, i, k], [2, 3, j, k]], [2, 3, i, j]],
    ['i,j->ij', [[i], [j]], [i, j]], ['...ij,...jk->...ik', [[2, i, j], [j, k]], [2, i, k]], ['ij,ij->i', [[i, j], [i, j]], [i]]]);
  return g.node('Einsum', inputs.map(s => pick(...s)), {equation}, [[g.float, shape]]);
}};

// ---- normalizations

['Softmax', 'LogSoftmax', 'Hardmax'].forEach(op => {
  ops[op] = {since: 13, add(g) {
    const x = op === 'Hardmax' ? g.exact(1, 4) : g.ofRank(1, 4);
    return g.node(op, [x], {axis: g.random.between(-x.shape.length, x.shape.length - 1)}, [[x.type, x.shape, op === 'Hardmax']]);
  }};
});
ops.BatchNormalization = {since: 14, add(g) {
  const x = g.take(g.float, v => v.shape.length >= 2 && count(v.shape) > 0, () => g.image()), c = [x.shape[1]];
  return g.node('BatchNormalization', [x, small(g, c), small(g, c), small(g, c), positive(g, c)], g.random.chance(0.5) ? {epsilon: real(0.01)} : {}, [[x.type, x.shape]]);
}};
ops.InstanceNormalization = {add(g) {
  const x = g.picture(g.random.pick([1, 2, 3])), c = [x.shape[1]];
  return g.node('InstanceNormalization', [x, small(g, c), small(g, c)], {epsilon: real(0.125)}, [[x.type, x.shape]]);
}};
ops.LayerNormalization = {since: 17, add(g) {
  const r = g.random, x = g.ofRank(1, 4), axis = r.between(-x.shape.length, -1), tail = x.shape.slice(axis);
  if (count(x.shape) === 0) return false;
  return g.node('LayerNormalization', [x, small(g, tail), ...(r.chance(0.6) ? [small(g, tail)] : [])], {axis, epsilon: real(0.125)}, [[x.type, x.shape]]);
}};
ops.GroupNormalization = {since: 21, add(g) {
  const r = g.random, x = g.picture(r.pick([1, 2])), c = x.shape[1], num_groups = c % 2 === 0 ? r.pick([1, 2, c]) : 1;
  return g.node('GroupNormalization', [x, small(g, [c]), small(g, [c])], {num_groups, epsilon: real(0.125)}, [[x.type, x.shape]]);
}};
ops.RMSNormalization = {since: 23, add(g) {
  const x = g.ofRank(1, 4), axis = g.random.between(-x.shape.length, -1);
  return count(x.shape) ? g.node('RMSNormalization', [x, small(g, x.shape.slice(axis))], {axis, epsilon: real(0.125)}, [[x.type, x.shape]]) : false;
}};
ops.LRN = {add(g) {
  const x = g.picture(2);
  return g.node('LRN', [x], {size: g.random.pick([1, 3, 5]), ...(g.random.chance(0.5) ? {alpha: real(0.25), beta: real(0.5), bias: real(2)} : {})}, [[x.type, x.shape]]);
}};
ops.LpNormalization = {add(g) {
  const r = g.random, x = g.ofRank(1, 4);
  return g.node('LpNormalization', [x], {axis: r.between(-x.shape.length, x.shape.length - 1), p: r.between(1, 2)}, [[x.type, x.shape]]);
}};
ops.MeanVarianceNormalization = {since: 13, add(g) {
  // Without variance the runtime divides zero, or a rounding error, by zero.
  const x = g.input(g.float === 'float16' ? 'float32' : g.float, [2, 3, 4, 5]);
  return g.node('MeanVarianceNormalization', [x], {}, [[x.type, x.shape]]);
}};
// In the form that exporters write.
ops.WrittenLayerNorm = {since: 18, add(g) {
  const x = g.ofRank(2, 4);
  if (count(x.shape) === 0) return false;
  const rows = [...x.shape.slice(0, -1), 1], width = [x.shape[x.shape.length - 1]], axes = g.ints([-1]);
  const mean = g.node('ReduceMean', [x, axes], {keepdims: 1}, [[x.type, rows]]), centered = g.node('Sub', [x, mean], {}, [[x.type, x.shape]]);
  const square = g.random.chance(0.5) ? g.node('Mul', [centered, centered], {}, [[x.type, x.shape]]) : g.node('Pow', [centered, g.scalar(x.type, 2)], {}, [[x.type, x.shape]]);
  const variance = g.node('ReduceMean', [square, axes], {keepdims: 1}, [[x.type, rows]]);
  const deviation = g.node('Sqrt', [g.node('Add', [variance, g.scalar(x.type, 0.125)], {}, [[x.type, rows]])], {}, [[x.type, rows]]);
  const normal = g.node('Div', [centered, deviation], {}, [[x.type, x.shape]]);
  return g.node('Add', [g.node('Mul', [normal, small(g, width)], {}, [[x.type, x.shape]]), small(g, width)], {}, [[x.type, x.shape]]);
}};
ops.WrittenGelu = {add(g) {
  const x = g.any(), of = v => g.scalar(x.type, v), step = (op, ...inputs) => g.node(op, inputs, {}, [[x.type, x.shape]]);
  const gate = step('Add', step('Erf', step('Div', x, of(1.4142135381698608))), of(1));
  return g.random.chance(0.5) ? step('Mul', step('Mul', x, gate), of(0.5)) : step('Mul', step('Mul', x, of(0.5)), gate);
}};
ops.WrittenSwish = {add(g) {
  const x = g.any(), gate = g.node('Sigmoid', [x], {}, [[x.type, x.shape]]);
  return g.node('Mul', g.random.chance(0.5) ? [x, gate] : [gate, x], {}, [[x.type, x.shape]]);
}};
ops['com.microsoft.SkipLayerNormalization'] = {add(g) {
  const r = g.random, x = g.ofRank(3, 3), d = [x.shape[2]];
  if (count(x.shape) === 0) return false;
  const skip = g.constant(x.type, x.shape);
  return g.node('SkipLayerNormalization', [x, skip, small(g, d), ...(r.chance(0.6) ? [small(g, d)] : [])], {epsilon: real(0.125)}, [[x.type, x.shape]], 'com.microsoft');
}};

// ---- sequences

function recurrent(op, gates) {
  ops[op] = {since: 14, add(g) {
    const r = g.random, x = g.take(g.float, v => v.shape.length === 3 && count(v.shape) > 0 && count(v.shape) < 2000, () => [r.between(1, 5), r.between(1, 3), r.between(1, 8)]);
    const [s, b, input] = x.shape, h = r.pick([1, 2, 4, 5, 8, 16]), direction = r.pick(['forward', 'reverse', 'bidirectional']), d = direction === 'bidirectional' ? 2 : 1;
    const bias = r.chance(0.6) ? small(g, [d, 2 * gates * h]) : null, lengths = r.chance(0.3) ? g.constant('int32', [b], times(b, () => r.between(1, s))) : null;
    const start = () => (r.chance(0.4) ? small(g, [d, b, h]) : null), inputs = [x, small(g, [d, gates * h, input]), small(g, [d, gates * h, h]), bias, lengths, start()];
    if (op === 'LSTM') inputs.push(start(), r.chance(0.3) ? small(g, [d, 3 * h]) : null);
    while (inputs[inputs.length - 1] === null) inputs.pop();
    const attributes = {hidden_size: h, direction, linear_before_reset: op === 'GRU' ? r.below(2) : undefined, clip: r.chance(0.15) ? real(0.5) : undefined};
    const state = [x.type, [d, b, h]];
    return g.node(op, inputs, attributes, [[x.type, [s, d, b, h]], state, ...(op === 'LSTM' ? [state] : [])]);
  }};
}
recurrent('RNN', 1);
recurrent('GRU', 3);
recurrent('LSTM', 4);
ops.Attention = {since: 23, add(g) {
  const r = g.random, b = r.between(1, 2), h = r.pick([1, 2, 4]), kv = h === 4 ? r.pick([1, 2, 4]) : h, s = r.between(1, 5), t = r.between(1, 6), d = r.pick([2, 4, 8]);
  const causal = r.below(2), mask = !causal && r.chance(0.4) ? [small(g, [s, t])] : [];
  return g.node('Attention', [small(g, [b, h, s, d]), small(g, [b, kv, t, d]), small(g, [b, kv, t, d]), ...mask],
    {is_causal: causal, ...(r.chance(0.3) ? {softcap: real(2)} : {}), ...(r.chance(0.3) ? {scale: real(0.5)} : {})}, [[g.float, [b, h, s, d]]]);
}};
ops.RotaryEmbedding = {since: 23, add(g) {
  const r = g.random, b = 2, h = 2, s = r.between(1, 4), d = r.pick([4, 8]);
  return g.node('RotaryEmbedding', [small(g, [b, h, s, d]), small(g, [b, s, d / 2]), small(g, [b, s, d / 2])], {interleaved: r.below(2)}, [[g.float, [b, h, s, d]]]);
}};
// Scores, mask, softmax and product, in the form of attention that exporters write.
ops.WrittenAttention = {since: 13, add(g) {
  const r = g.random, [b, h, s, d] = [r.between(1, 2), r.between(1, 3), r.between(1, 6), r.pick([2, 4, 8])];
  const of = (...shape) => (r.chance(0.5) ? g.input(g.float, shape) : g.constant(g.float, shape)), step = (op, ins, shape, attrs = {}) => g.node(op, ins, attrs, [[g.float, shape]]);
  const scores = step('MatMul', [of(b, h, s, d), step('Transpose', [of(b, h, s, d)], [b, h, d, s], {perm: [0, 1, 3, 2]})], [b, h, s, s]);
  const scaled = step(r.pick(['Mul', 'Div']), [scores, g.scalar(g.float, 0.5)], [b, h, s, s]);
  const masked = r.chance(0.5) ? step('Add', [scaled, small(g, [1, 1, s, s])], [b, h, s, s]) : scaled;
  return step('MatMul', [step('Softmax', [masked], [b, h, s, s], {axis: -1}), of(b, h, s, d)], [b, h, s, d]);
}};

// ---- quantizers: scales are powers of two, so that quotients are exact and no value is a tie by
// chance

const zero = (g, type) => g.scalar(type, type === 'uint8' ? g.random.between(0, 200) : g.random.between(-50, 50));
ops.QuantizeLinear = {since: 13, add(g) {
  if (g.float !== 'float32') return false;
  const type = g.random.pick(['uint8', 'int8']), x = g.exact(0, 4);
  return g.node('QuantizeLinear', [x, g.scalar('float32', g.random.pick([0.125, 0.0625, 0.5])), zero(g, type)], {}, [[type, x.shape, true]]);
}};
ops.DequantizeLinear = {since: 13, add(g) {
  if (g.float !== 'float32') return false;
  const r = g.random, type = r.pick(['uint8', 'int8']), x = g.exact(1, 4, type), axis = r.between(-x.shape.length, x.shape.length - 1);
  if (r.chance(0.6)) return g.node('DequantizeLinear', [x, g.scalar('float32', 0.125), zero(g, type)], {}, [['float32', x.shape, true]]);
  const n = x.shape.at(axis);
  return g.node('DequantizeLinear', [x, positive(g, [n], 'float32'), g.constant(type, [n])], {axis}, [['float32', x.shape, true]]);
}};
ops.MatMulInteger = {since: 10, add(g) {
  const r = g.random, a = g.exact(2, 3, r.pick(['uint8', 'int8'])), k = a.shape[a.shape.length - 1], n = r.between(1, 9), type = r.pick(['uint8', 'int8']);
  if (!count(a.shape)) return false;
  return g.node('MatMulInteger', [a, g.constant(type, [k, n]), zero(g, a.type), zero(g, type)], {}, [['int32', [...a.shape.slice(0, -1), n], true]]);
}};
ops.ConvInteger = {since: 10, add(g) {
  const r = g.random, x = g.picture(2, 'uint8'), k = r.between(1, 3);
  if (x.shape[2] < k || x.shape[3] < k) return false;
  return g.node('ConvInteger', [x, g.constant('uint8', [2, x.shape[1], k, k]), zero(g, 'uint8'), zero(g, 'uint8')], {}, [['int32', [x.shape[0], 2, x.shape[2] - k + 1, x.shape[3] - k + 1], true]]);
}};
ops.QuantizerPair = {since: 13, add(g) {
  const x = g.exact(1, 4);
  if (g.float !== 'float32') return false;
  const s = g.scalar('float32', 0.125), z = zero(g, 'uint8'), q = g.node('QuantizeLinear', [x, s, z], {}, [['uint8', x.shape, true]]);
  return g.node('DequantizeLinear', [q, s, z], {}, [['float32', x.shape, true]]);
}};
// Layers on codes with signed weights, in groups, as quantizers write them: sums, their scale, a
// bias, an activation function; the codes from a range found at run time or from an input.
ops.ScaledSums = {since: 11, add(g) {
  const r = g.random, conv = r.chance(0.6), dynamic = r.chance(0.5) && g.float === 'float32';
  const x = dynamic ? g.input('float32', conv ? g.image(2) : g.shape(2)) : conv ? g.picture(r.between(1, 2), 'uint8') : g.exact(2, 3, 'uint8');
  if (!count(x.shape)) return false;
  if (dynamic) g.node('DynamicQuantizeLinear', [x], {}, [['uint8', x.shape], ['float32', []], ['uint8', []]]);
  const [codes, scale, point] = dynamic ? g.values.slice(-3) : [x, g.scalar('float32', 0.125), zero(g, 'uint8')];
  const spatial = x.shape.slice(2), channels = conv ? x.shape[1] : x.shape[x.shape.length - 1];
  const group = conv && r.chance(0.4) ? channels : 1, n = conv ? group * r.between(1, 3) : r.between(1, 9);
  const weights = g.constant('int8', conv ? [n, channels / group, ...spatial.map(() => 1)] : [channels, n]);
  const shape = conv ? [x.shape[0], n, ...spatial] : [...x.shape.slice(0, -1), n];
  const along = conv ? [n, ...spatial.map(() => 1)] : [n];
  const step = (op, ins, type, attrs = {}) => g.node(op, ins, attrs, [[type, shape]]);
  const sum = step(conv ? 'ConvInteger' : 'MatMulInteger', [codes, weights, point, g.scalar('int8', 0)], 'int32', conv ? {group} : {});
  const scaled = step('Mul', [step('Cast', [sum], 'float32', {to: 1}), scale], 'float32');
  const biased = r.chance(0.6) ? step('Add', [scaled, g.constant('float32', along)], 'float32') : scaled;
  return r.chance(0.5) ? step('Relu', [biased], 'float32') : biased;
}};
const code = (g, type, shape) => g.random.chance(0.6) ? g.input(type, shape) : g.constant(type, shape);
const grid = (g, type) => [g.scalar('float32', g.random.pick([0.125, 0.0625, 0.5])), zero(g, type)];
for (const op of ['QLinearAdd', 'QLinearMul'])
  ops['com.microsoft.' + op] = {add(g) {
    const a = g.exact(1, 4, g.random.pick(['uint8', 'int8']));
    const b = code(g, a.type, g.broadcastable(a.shape));
    return g.node(op, [a, ...grid(g, a.type), b, ...grid(g, a.type), ...grid(g, a.type)], {}, [[a.type, a.shape, true]], 'com.microsoft');
  }};
ops['com.microsoft.MatMulNBits'] = {add(g) {
  const r = g.random, k = r.between(1, 80), n = r.between(1, 9), bits = r.pick([4, 8]), block = r.pick([16, 32, 64]), blocks = Math.ceil(k / block);
  if (g.float !== 'float32') return false;
  const a = g.input('float32', [r.between(1, 5), k]);
  const b = g.constant('uint8', [n, blocks, block * bits / 8]), scales = g.constant('float32', [n * blocks]);
  const points = r.chance(0.5) ? [g.constant('uint8', [n * Math.ceil(blocks * bits / 8)])] : [];
  return g.node('MatMulNBits', [a, b, scales, ...points], {K: k, N: n, bits, block_size: block, accuracy_level: r.pick([0, 1, 4])}, [['float32', [a.shape[0], n]]], 'com.microsoft');
}};

// ---- control flow: bodies of a few nodes that read values around them

const graphText = (name, inputs, outputs, lines) => ({text: `graph ${name} (${inputs}) => (${outputs}) {\n    ${lines.join('\n    ')}\n  }`});
function captures(g, values) {
  g.nodes[g.nodes.length - 1].captures = values.map(v => v.name);
}
ops.If = {since: 16, add(g) {
  const r = g.random, x = g.any(), y = g.partner(x), known = r.chance(0.5), condition = known ? g.scalar('bool', r.below(2)) : g.input('bool', []);
  const n = `_${g.next++}`, type = x.type, shape = broadcast(x.shape, y.shape);
  const then_branch = graphText('then', '', `${type} t${n}`, [`t0${n} = ${r.pick(['Relu', 'Neg', 'Sigmoid'])}(${x.name})`, `t${n} = Add(t0${n}, ${y.name})`]);
  const else_branch = graphText('other', '', `${type} e${n}`, [`e${n} = Mul(${x.name}, ${y.name})`]);
  const made = g.node('If', [condition], {then_branch, else_branch}, [[type, shape]]);
  captures(g, [x, y]);
  return made;
}};
ops.Loop = {since: 16, add(g) {
  const r = g.random, x = g.any(), y = g.constant(x.type, [], [0.5]), n = `_${g.next++}`, trips = r.below(4), t = x.type;
  const body = graphText('body', `int64[] i${n}, bool[] c${n}, ${t} v${n}`, `bool c2${n}, ${t} w${n}, ${t} o${n}`,
    [`c2${n} = Identity(c${n})`, `w0${n} = Mul(v${n}, ${y.name})`, `w${n} = Add(w0${n}, ${x.name})`, `o${n} = Tanh(w${n})`]);
  const made = g.node('Loop', [g.int(trips), null, x], {body}, [[t, x.shape], [t, trips ? [trips, ...x.shape] : null]]);
  captures(g, [x, y]);
  return made;
}};

module.exports = ops;
