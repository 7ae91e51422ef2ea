// Operators that move, choose or count elements.
'use strict';
const {count} = require('./graph.js');

const ops = {};
const TYPES = g => g.random.pick([g.float, g.float, g.float, 'int64', 'int32', 'uint8', 'bool']);
const axisOf = (r, rank) => r.between(-rank, rank - 1);
const at = (axis, rank) => (axis < 0 ? axis + rank : axis);
const replaced = (shape, axis, d) => shape.map((old, i) => (i === axis ? d : old));
// One output with elements of `x`.
const moved = (g, op, inputs, attributes, shape) => g.node(op, inputs, attributes, [[inputs[0].type, shape, inputs[0].exact]]);

ops.Reshape = {add(g) {
  const r = g.random, x = g.any(TYPES(g)), n = count(x.shape), dims = [];
  if (n === 0) return moved(g, 'Reshape', [x, g.ints([0])], {}, x.shape.length ? [x.shape[0]] : []) && undefined;
  let rest = n;
  for (let i = r.below(4); i > 0 && rest > 1; i--) {
    const factors = [...Array(rest).keys()].map(k => k + 1).filter(k => rest % k === 0 && k <= 64);
    dims.push(r.pick(factors));
    rest /= dims[dims.length - 1];
  }
  dims.push(rest);
  const asked = [...dims];
  if (r.chance(0.4)) asked[r.below(asked.length)] = -1;
  asked.forEach((d, i) => { if (d > 0 && d === x.shape[i] && r.chance(0.3)) asked[i] = 0; });
  return moved(g, 'Reshape', [x, g.ints(asked)], {}, dims);
}};
ops.Flatten = {add(g) {
  const x = g.ofRank(1, 5), rank = x.shape.length, axis = g.random.between(-rank, rank), cut = at(axis, rank);
  return moved(g, 'Flatten', [x], {axis}, [count(x.shape.slice(0, cut)), count(x.shape.slice(cut))]);
}};
ops.Squeeze = {since: 13, add(g) {
  const r = g.random, x = g.any(TYPES(g)), ones = x.shape.flatMap((d, i) => (d === 1 ? [i] : []));
  if (!ones.length) return false;
  const gone = r.chance(0.4) ? ones : ones.filter(() => r.chance(0.6));
  if (!gone.length) return false;
  const asked = gone.length === ones.length && r.chance(0.5) ? [] : [g.ints(gone.map(a => (r.chance(0.3) ? a - x.shape.length : a)))];
  return moved(g, 'Squeeze', [x, ...asked], {}, x.shape.filter((d, i) => !gone.includes(i)));
}};
ops.Unsqueeze = {since: 13, add(g) {
  const r = g.random, x = g.ofRank(0, 4, TYPES(g)), rank = x.shape.length + 1, axis = axisOf(r, rank);
  const shape = [...x.shape];
  shape.splice(at(axis, rank), 0, 1);
  return moved(g, 'Unsqueeze', [x, g.ints([axis])], {}, shape);
}};
ops.Transpose = {add(g) {
  const r = g.random, x = g.any(TYPES(g)), perm = r.shuffled(x.shape.map((d, i) => i));
  if (r.chance(0.2)) return moved(g, 'Transpose', [x], {}, [...x.shape].reverse());
  return moved(g, 'Transpose', [x], {perm}, perm.map(i => x.shape[i]));
}};
ops.Concat = {add(g) {
  const r = g.random, x = g.ofRank(1, 5, TYPES(g)), rank = x.shape.length, axis = axisOf(r, rank), a = at(axis, rank);
  const parts = [x];
  for (let n = r.below(4); n > 0; n--) {
    const fits = g.values.filter(v => v.type === x.type && v.shape && v.shape.length === rank &&
      v.shape.every((d, i) => i === a || d === x.shape[i]));
    parts.push(fits.length && r.chance(0.7) ? r.pick(fits) : g.constant(x.type, replaced(x.shape, a, r.between(0, 4))));
  }
  const order = r.shuffled(parts), size = order.reduce((sum, v) => sum + v.shape[a], 0);
  return g.node('Concat', order, {axis}, [[x.type, replaced(x.shape, a, size), order.every(v => v.exact)]]);
}};
ops.Split = {since: 13, add(g) {
  const r = g.random, x = g.ofRank(1, 5, TYPES(g)), rank = x.shape.length, axis = axisOf(r, rank), a = at(axis, rank);
  const sizes = [];
  for (let rest = x.shape[a]; rest > 0 || sizes.length === 0;) {
    sizes.push(sizes.length === 2 ? rest : r.between(0, rest));
    rest -= sizes[sizes.length - 1];
    if (sizes.length === 3) break;
  }
  const outputs = sizes.map(s => [x.type, replaced(x.shape, a, s), x.exact]);
  return g.node('Split', [x, g.ints(sizes)], {axis}, outputs);
}};
ops.SplitEven = {since: 18, add(g) {
  const r = g.random, x = g.ofRank(1, 5), rank = x.shape.length, axis = axisOf(r, rank), a = at(axis, rank), d = x.shape[a];
  const parts = r.between(1, 4), each = Math.ceil(d / parts);
  if (each * (parts - 1) >= d) return false;
  const outputs = Array.from({length: parts}, (_, i) => [x.type, replaced(x.shape, a, Math.min(each, d - i * each)), x.exact]);
  return g.node('Split', [x], {axis, num_outputs: parts}, outputs);
}};
ops.Slice = {since: 10, add(g) {
  const r = g.random, x = g.ofRank(1, 5, TYPES(g)), axes = r.shuffled(x.shape.map((d, i) => i)).slice(0, r.between(1, x.shape.length));
  const shape = [...x.shape], starts = [], ends = [], steps = [];
  axes.forEach((a, i) => {
    const d = x.shape[a], step = r.pick([1, 1, 1, 2, 3, -1, -2]);
    const start = r.between(-d - 1, d + 1), end = r.pick([r.between(-d - 2, d + 2), 2 ** 31, -(2 ** 31)]);
    const clamp = (v, low, high) => Math.min(Math.max(v < 0 ? v + d : v, low), high);
    const [s, e] = step > 0 ? [clamp(start, 0, d), clamp(end, 0, d)] : [clamp(start, 0, d - 1), clamp(end, -1, d - 1)];
    shape[a] = d === 0 ? 0 : Math.max(0, Math.ceil((e - s) / step));
    starts.push(start);
    ends.push(end);
    steps.push(step);
  });
  return moved(g, 'Slice', [x, g.ints(starts), g.ints(ends), g.ints(axes), g.ints(steps)], {}, shape);
}};

function indices(g, shape, size, negative = true) {
  const r = g.random;
  return g.constant(r.pick(['int64', 'int32']), shape,
    Array.from({length: count(shape)}, () => r.between(negative && r.chance(0.3) ? -size : 0, size - 1) || 0));
}
ops.Gather = {since: 11, add(g) {
  const r = g.random, x = g.ofRank(1, 4, TYPES(g)), rank = x.shape.length, axis = axisOf(r, rank), a = at(axis, rank);
  if (x.shape[a] === 0) return false;
  const index = indices(g, g.shape(r.below(3)), x.shape[a]);
  return moved(g, 'Gather', [x, index], {axis}, [...x.shape.slice(0, a), ...index.shape, ...x.shape.slice(a + 1)]);
}};
ops.GatherElements = {since: 11, add(g) {
  const r = g.random, x = g.ofRank(1, 4, TYPES(g)), rank = x.shape.length, axis = axisOf(r, rank), a = at(axis, rank);
  if (count(x.shape) === 0) return false;
  const shape = x.shape.map((d, i) => (i === a ? r.between(1, 4) : r.between(1, d)));
  return moved(g, 'GatherElements', [x, indices(g, shape, x.shape[a])], {axis}, shape);
}};
ops.GatherND = {since: 12, add(g) {
  const r = g.random, x = g.ofRank(1, 4, TYPES(g));
  if (count(x.shape) === 0) return false;
  const depth = r.between(1, x.shape.length), lead = g.shape(r.between(1, 2)).map(d => Math.max(d, 1)), data = [];
  for (let i = 0; i < count(lead); i++) for (let k = 0; k < depth; k++) data.push(r.between(-x.shape[k], x.shape[k] - 1));
  return moved(g, 'GatherND', [x, g.constant('int64', [...lead, depth], data)], {}, [...lead, ...x.shape.slice(depth)]);
}};
ops.ScatterElements = {since: 11, add(g) {
  const r = g.random, x = g.ofRank(1, 4), rank = x.shape.length, axis = axisOf(r, rank), a = at(axis, rank);
  if (count(x.shape) === 0) return false;
  const shape = x.shape.map((d, i) => r.between(1, i === a ? Math.min(d, 3) : d));
  const reduction = g.opset >= 18 ? r.pick(['none', 'add', 'mul', 'max', 'min']) : g.opset >= 16 ? r.pick(['none', 'add', 'mul']) : undefined;
  // Without a reduction, the result for positions that are written twice is not specified.
  const along = r.shuffled([...Array(x.shape[a]).keys()]).slice(0, shape[a]);
  const inner = count(shape.slice(a + 1)), data = Array.from({length: count(shape)}, (_, i) => along[Math.floor(i / inner) % shape[a]]);
  return g.node('ScatterElements', [x, g.constant('int64', shape, data), g.constant(x.type, shape)], {axis, reduction},
    [[x.type, x.shape]]);
}};
ops.ScatterND = {since: 11, add(g) {
  const r = g.random, x = g.ofRank(1, 4), depth = r.between(1, x.shape.length);
  if (count(x.shape) === 0) return false;
  const places = count(x.shape.slice(0, depth)), chosen = r.shuffled([...Array(places).keys()]).slice(0, r.between(1, Math.min(places, 3)));
  const data = chosen.flatMap(p => {
    const index = [];
    for (let k = depth - 1; k >= 0; k--) {
      index.unshift(p % x.shape[k]);
      p = Math.floor(p / x.shape[k]);
    }
    return index;
  });
  const reduction = g.opset >= 18 ? r.pick(['none', 'add', 'mul', 'max', 'min']) : undefined;
  return g.node('ScatterND', [x, g.constant('int64', [chosen.length, depth], data),
    g.constant(x.type, [chosen.length, ...x.shape.slice(depth)])], {reduction}, [[x.type, x.shape]]);
}};
ops.Expand = {since: 8, add(g) {
  const r = g.random, x = g.ofRank(0, 4, TYPES(g)), to = x.shape.map(d => (d === 1 ? r.between(1, 4) : r.chance(0.2) ? 1 : d));
  if (r.chance(0.3)) to.unshift(r.between(1, 3));
  const shape = to.map((d, i) => Math.max(d, x.shape[i - to.length + x.shape.length] ?? 1) * (x.shape[i - to.length + x.shape.length] === 0 ? 0 : 1));
  return moved(g, 'Expand', [x, g.ints(to)], {}, shape);
}};
ops.Tile = {add(g) {
  const r = g.random, x = g.ofRank(1, 4, TYPES(g)), repeats = x.shape.map(() => r.pick([1, 1, 2, 3, 0]));
  return moved(g, 'Tile', [x, g.ints(repeats)], {}, x.shape.map((d, i) => d * repeats[i]));
}};
ops.Pad = {since: 13, add(g) {
  const r = g.random, x = g.ofRank(1, 4, r.chance(0.8) ? g.float : 'int64'), rank = x.shape.length;
  if (count(x.shape) === 0) return false;
  const mode = r.pick(g.opset >= 19 ? ['constant', 'constant', 'reflect', 'edge', 'wrap'] : ['constant', 'constant', 'reflect', 'edge']);
  const most = d => (mode === 'reflect' ? d - 1 : mode === 'wrap' ? d : 3);
  const low = mode === 'constant' ? -1 : 0, pads = [...x.shape, ...x.shape].map(d => (r.chance(0.5) ? 0 : r.between(low, Math.min(3, most(d)))));
  const shape = x.shape.map((d, i) => d + pads[i] + pads[i + rank]);
  if (shape.some(d => d < 0)) return false;
  return moved(g, 'Pad', [x, g.ints(pads), ...(r.chance(0.5) ? [] : [g.scalar(x.type, 2)])], {mode}, shape);
}};
ops.Shape = {add(g) {
  const x = g.any(TYPES(g));
  return g.node('Shape', [x], {}, [['int64', [x.shape.length], true]]);
}};
ops.ShapeRange = {since: 15, add(g) {
  const r = g.random, x = g.any(), rank = x.shape.length, start = r.between(-rank - 1, rank), end = r.between(-rank, rank + 1);
  const clamp = v => Math.min(Math.max(v < 0 ? v + rank : v, 0), rank);
  return g.node('Shape', [x], {start, end}, [['int64', [Math.max(0, clamp(end) - clamp(start))], true]]);
}};
ops.Size = {add: g => g.node('Size', [g.any()], {}, [['int64', [], true]])};
ops.ConstantOfShape = {add(g) {
  const r = g.random, shape = g.shape(r.below(4)), type = r.pick([g.float, 'int64', 'bool']);
  return g.node('ConstantOfShape', [g.ints(shape)], {value: {text: `${type}[1]{1}`}}, [[type, shape, true]]);
}};
ops.Range = {since: 11, add(g) {
  const r = g.random, start = r.between(-4, 4), step = r.pick([1, 2, 3, -1, -2]), n = r.below(6);
  const type = r.pick(['int64', 'int32', 'float32']), of = v => g.scalar(type, v);
  return g.node('Range', [of(start), of(start + n * step), of(step)], {}, [[type, [n], true]]);
}};
ops.OneHot = {since: 11, add(g) {
  const r = g.random, index = g.exact(0, 3, 'int64'), rank = index.shape.length + 1, axis = axisOf(r, rank), shape = [...index.shape];
  shape.splice(at(axis, rank), 0, 6);
  return g.node('OneHot', [index, g.int(6), g.constant(g.float, [2], [-1, 3])], {axis}, [[g.float, shape, true]]);
}};
ops.NonZero = {since: 9, add(g) {
  const x = g.exact(1, 4, g.random.pick([g.float, 'int64', 'bool']));
  return g.node('NonZero', [x], {}, [['int64', null, true]]);
}};
ops.Compress = {since: 11, add(g) {
  const r = g.random, x = g.ofRank(1, 4), rank = x.shape.length, axis = r.chance(0.3) ? undefined : axisOf(r, rank);
  const size = axis === undefined ? count(x.shape) : x.shape[at(axis, rank)];
  return g.node('Compress', [x, g.constant('bool', [Math.max(1, Math.min(size, r.between(1, 8)))])], {axis}, [[x.type, null, x.exact]]);
}};
ops.Unique = {since: 11, add(g) {
  const r = g.random, x = g.exact(1, 3, r.pick([g.float, 'int64'])), axis = r.chance(0.6) ? undefined : axisOf(r, x.shape.length);
  return g.node('Unique', [x], {axis, sorted: r.chance(0.7) ? 1 : 0},
    [[x.type, null, true], ['int64', null, true], ['int64', null, true], ['int64', null, true]]);
}};
ops.TopK = {since: 11, add(g) {
  const r = g.random, x = g.exact(1, 4, r.pick([g.float, 'int64'])), rank = x.shape.length, axis = axisOf(r, rank), a = at(axis, rank);
  const k = r.between(0, x.shape[a]), shape = replaced(x.shape, a, k);
  return g.node('TopK', [x, g.ints([k])], {axis, largest: r.below(2)}, [[x.type, shape, true], ['int64', shape, true]]);
}};
['ArgMax', 'ArgMin'].forEach(op => {
  ops[op] = {since: 13, add(g) {
    const r = g.random, x = g.exact(1, 4, r.pick([g.float, 'int32'])), rank = x.shape.length, axis = axisOf(r, rank), a = at(axis, rank);
    if (count(x.shape) === 0) return false;
    const keepdims = r.below(2), shape = x.shape.flatMap((d, i) => (i !== a ? [d] : keepdims ? [1] : []));
    return g.node(op, [x], {axis, keepdims, select_last_index: r.below(2)}, [['int64', shape, true]]);
  }};
});
ops.CumSum = {since: 11, add(g) {
  const r = g.random, x = g.ofRank(1, 4, r.pick([g.float, 'int64'])), axis = axisOf(r, x.shape.length);
  return g.node('CumSum', [x, g.int(axis)], {exclusive: r.below(2), reverse: r.below(2)}, [[x.type, x.shape, x.exact]]);
}};
ops.ReverseSequence = {since: 10, add(g) {
  const r = g.random, x = g.ofRank(2, 4), time = r.below(2), batch = 1 - time;
  const lengths = Array.from({length: x.shape[batch]}, () => r.between(Math.min(1, x.shape[time]), x.shape[time]));
  return moved(g, 'ReverseSequence', [x, g.ints(lengths)], {time_axis: time, batch_axis: batch}, x.shape);
}};
ops.EyeLike = {since: 9, add(g) {
  const x = g.ofRank(2, 2);
  return g.node('EyeLike', [x], {k: g.random.between(-3, 3)}, [[x.type, x.shape, true]]);
}};
ops.Trilu = {since: 14, add(g) {
  const r = g.random, x = g.ofRank(2, 4, r.pick([g.float, 'int64'])), k = r.chance(0.5) ? [] : [g.int(r.between(-4, 4))];
  return moved(g, 'Trilu', [x, ...k], {upper: r.below(2)}, x.shape);
}};
ops.DepthToSpace = {since: 11, add(g) {
  const r = g.random, b = r.pick([2, 2, 3]), x = g.take(g.float, v => v.shape.length === 4 && v.shape[1] % (b * b) === 0 && count(v.shape) > 0,
    () => g.image(2, b * b * r.between(1, 3)));
  const [n, c, h, w] = x.shape;
  return moved(g, 'DepthToSpace', [x], {blocksize: b, mode: r.pick(['DCR', 'CRD'])}, [n, c / b / b, h * b, w * b]);
}};
ops.SpaceToDepth = {add(g) {
  const b = g.random.pick([2, 3]), x = g.take(g.float, v => v.shape.length === 4 && v.shape[2] % b === 0 && v.shape[3] % b === 0 && count(v.shape) > 0,
    () => [1, 2, 2 * b, 3 * b]);
  const [n, c, h, w] = x.shape;
  return moved(g, 'SpaceToDepth', [x], {blocksize: b}, [n, c * b * b, h / b, w / b]);
}};
ops.CenterCropPad = {since: 18, add(g) {
  const r = g.random, x = g.ofRank(1, 4), shape = x.shape.map(() => r.between(1, 6));
  return moved(g, 'CenterCropPad', [x, g.ints(shape)], {}, shape);
}};

// ---- reductions

const REDUCTIONS = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'];
REDUCTIONS.forEach(kind => {
  ops['Reduce' + kind] = {since: 11, add(g) {
    const r = g.random, logarithm = kind.startsWith('Log'), x = g.ofRank(1, 5, logarithm || ['Prod', 'SumSquare'].includes(kind) || r.chance(0.85) ? g.float : 'int32'), rank = x.shape.length;
    if (count(x.shape) === 0) return false;  // ONNX Runtime 1.30 keeps the reduced axes then
    const axes = r.chance(0.2) ? [] : r.shuffled(x.shape.map((d, i) => i)).slice(0, r.between(1, rank));
    const keepdims = r.below(2), all = axes.length === 0;
    const shape = x.shape.flatMap((d, i) => (!all && !axes.includes(i) ? [d] : keepdims ? [1] : []));
    const asked = axes.map(a => (r.chance(0.3) ? a - rank : a));
    const asInput = g.opset >= (kind === 'Sum' ? 13 : 18);
    const inputs = asInput && !all ? [x, g.ints(asked)] : [x];
    return g.node('Reduce' + kind, inputs, {keepdims, axes: asInput || all ? undefined : asked}, [[x.type, shape, false]]);
  }};
});

module.exports = ops;
