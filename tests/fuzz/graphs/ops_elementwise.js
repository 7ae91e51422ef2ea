// Element-wise operators, on types and constants. Operators that move elements are in ops_shape.js,
// layers in ops_layers.js. Each entry adds one node to a graph; `since`: opset.
'use strict';
const {broadcast, isFloat, real} = require('./graph.js');

const ops = {};
const SMALL_INTS = ['int32', 'int64', 'int8', 'uint8'];

// ---- one operand

const same = (g, op, x, attributes = {}, exact = false, domain = '', more = []) =>
  g.node(op, [x, ...more], attributes, [[x.type, x.shape, exact && x.exact]], domain);
// `since` may be omitted; `attributes` is a function of the generator.
function unary(op, {since = 1, attributes = () => ({}), exact = false, jumps = false, domain = ''} = {}) {
  ops[(domain ? domain + '.' : '') + op] = {since, add(g) {
    const x = jumps ? g.exact(0, 5) : g.any();
    return same(g, op, x, attributes(g.random), exact, domain);
  }};
}
const alpha = r => (r.chance(0.6) ? {alpha: real(r.pick([0.25, 0.5, 1.5, 2]))} : {});
['Sigmoid', 'Tanh', 'Exp', 'Log', 'Sqrt', 'Reciprocal', 'Erf', 'Softplus', 'Softsign', 'Sin', 'Cos', 'Atan', 'Asinh',
  'Sinh', 'Cosh', 'Acos', 'Asin', 'Acosh', 'Atanh', 'Tan'].forEach(op => unary(op));
['Abs', 'Neg', 'Relu', 'Identity'].forEach(op => unary(op, {exact: true}));
['Ceil', 'Floor', 'Round', 'Sign'].forEach(op => unary(op, {exact: true, jumps: true}));
unary('LeakyRelu', {attributes: alpha});
unary('Elu', {attributes: alpha});
unary('Celu', {since: 12, attributes: alpha});
unary('ThresholdedRelu', {attributes: alpha, jumps: true, exact: true});
unary('Selu', {attributes: r => (r.chance(0.5) ? {} : {alpha: real(1.5), gamma: real(1.25)})});
unary('HardSigmoid', {attributes: r => (r.chance(0.5) ? {} : {alpha: real(0.25), beta: real(0.5)})});
unary('HardSwish', {since: 14});
unary('Mish', {since: 18});
unary('Gelu', {since: 20, attributes: r => (r.chance(0.5) ? {approximate: 'tanh'} : {})});
unary('Shrink', {jumps: true, exact: true,
  attributes: r => (r.chance(0.4) ? {} : {lambd: real(r.pick([0.25, 0.75])), bias: real(r.pick([0, 0.5]))})});
unary('Gelu', {domain: 'com.microsoft'});
unary('FastGelu', {domain: 'com.microsoft'});
unary('QuickGelu', {domain: 'com.microsoft', attributes: alpha});

ops.Not = {add: g => same(g, 'Not', g.any('bool'), {}, true)};
ops.BitwiseNot = {since: 18, add: g => same(g, 'BitwiseNot', g.any(g.random.pick(SMALL_INTS)), {}, true)};
ops.IsNaN = {since: 13, add(g) {
  const x = g.any();
  return g.node('IsNaN', [x], {}, [['bool', x.shape]]);
}};
ops.IsInf = {since: 20, add(g) {
  const x = g.any(), attributes = g.random.chance(0.5) ? {} : {detect_negative: g.random.below(2)};
  return g.node('IsInf', [x], attributes, [['bool', x.shape]]);
}};
ops.Clip = {since: 11, add(g) {
  const r = g.random, x = g.any(r.chance(0.85) ? g.float : r.pick(['int32', 'int64', 'int8', 'uint8']));
  const low = r.chance(0.2) ? null : g.scalar(x.type, isFloat(x.type) ? -0.5 : 1);
  const high = r.chance(0.2) ? null : g.scalar(x.type, isFloat(x.type) ? r.pick([0.75, 1, 6]) : 5);
  return same(g, 'Clip', x, {}, true, '', high ? [low, high] : low ? [low] : []);
}};
ops.PRelu = {add(g) {
  const x = g.ofRank(1, 5), shapes = [[1], x.shape, x.shape.length > 1 ? [x.shape[1], ...x.shape.slice(2).map(() => 1)] : [1]];
  return g.node('PRelu', [x, g.constant(x.type, g.random.pick(shapes))], {}, [[x.type, x.shape]]);
}};
ops.Dropout = {since: 12, add(g) {
  const r = g.random, x = g.any();
  const more = r.chance(0.5) ? [] : r.chance(0.5) ? [g.scalar('float32', 0.25)] : [null, g.scalar('bool', 0)];
  return g.node('Dropout', [x, ...more], {}, r.chance(0.3) ? [[x.type, x.shape, x.exact], ['bool', x.shape, true]]
    : [[x.type, x.shape, x.exact]]);
}};
ops.Cast = {add(g) {
  const r = g.random, codes = {float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10, float64: 11};
  const from = r.pick([g.float, g.float, 'int32', 'int64', 'uint8', 'bool']), to = r.pick(Object.keys(codes));
  const x = g.exact(0, 5, from);
  // The result of converting a negative number to an unsigned type is not specified.
  if (to.startsWith('u') && !from.startsWith('u') && from !== 'bool') return false;
  return g.node('Cast', [x], {to: codes[to]}, [[to, x.shape, true]]);
}};

// ---- two operands and more

function binary(op, {since = 7, types, exact = true, out = undefined, second = undefined, attributes = () => ({})}) {
  ops[op] = {since, add(g) {
    const type = g.random.pick(types(g)), x = out ? g.exact(0, 4, type) : g.any(type);
    const y = second ? second(g, x) : g.partner(x, Boolean(out));
    const [a, b] = !second && g.random.chance(0.5) ? [y, x] : [x, y];
    return g.node(op, [a, b], attributes(g.random, type), [[out || type, broadcast(a.shape, b.shape), exact && x.exact && y.exact]]);
  }};
}
const floats = g => [g.float, g.float, g.float, 'int32', 'int64'];
// No zero, and no inexact divisions.
const divisor = (g, x) => g.constant(x.type, g.broadcastable(x.shape), undefined);
function nonZero(g, x) {
  const y = divisor(g, x), data = g.initializers[g.initializers.length - 1].data;
  data.forEach((v, i) => { data[i] = v === 0 ? 2 : v; });
  return y;
}
binary('Add', {types: floats});
binary('Sub', {types: floats});
binary('Mul', {types: floats});
binary('Div', {types: floats, exact: false, second: nonZero});
binary('Mod', {since: 13, types: () => ['int32', 'int64', 'int8', 'uint8'], second: nonZero});
ops.Fmod = {since: 13, add(g) {
  const x = g.exact(0, 4), y = nonZero(g, x);
  return g.node('Mod', [x, y], {fmod: 1}, [[x.type, broadcast(x.shape, y.shape)]]);
}};
binary('Pow', {since: 13, types: g => [g.float], exact: false, second: (g, x) => g.scalar(x.type, g.random.pick([2, 3, 0.5, -1, 0, 1]))});
['Equal', 'Greater', 'Less'].forEach(op => binary(op, {since: 11, types: floats, out: 'bool'}));
['GreaterOrEqual', 'LessOrEqual'].forEach(op => binary(op, {since: 12, types: floats, out: 'bool'}));
['And', 'Or', 'Xor'].forEach(op => binary(op, {types: () => ['bool']}));
['BitwiseAnd', 'BitwiseOr', 'BitwiseXor'].forEach(op => binary(op, {since: 18, types: () => SMALL_INTS}));
binary('BitShift', {since: 11, types: () => ['uint8', 'uint32', 'uint64'], attributes: r => ({direction: r.pick(['LEFT', 'RIGHT'])})});

function variadic(op, types, exact) {
  ops[op] = {since: 8, add(g) {
    const r = g.random, x = g.any(r.pick(types(g))), operands = [x];
    let shape = x.shape;
    for (let n = r.below(4); n > 0; n--) {
      const next = g.partner({...x, shape}), together = broadcast(shape, next.shape);
      operands.push(next);
      shape = together;
    }
    return g.node(op, operands, {}, [[x.type, shape, exact && operands.every(v => v.exact)]]);
  }};
}
variadic('Max', floats, true);
variadic('Min', floats, true);
variadic('Sum', g => [g.float], true);
variadic('Mean', g => [g.float], false);

ops.Where = {since: 9, add(g) {
  const type = g.random.pick([g.float, 'int64', 'uint8', 'bool']);
  if (type === 'bool') return false;
  const x = g.any(type), y = g.partner(x), shape = broadcast(x.shape, y.shape);
  const condition = g.partner({type: 'bool', shape});
  return g.node('Where', [condition, x, y], {}, [[type, broadcast(shape, condition.shape), x.exact && y.exact]]);
}};
ops['com.microsoft.BiasGelu'] = {add(g) {
  const x = g.ofRank(1, 4), bias = g.constant(x.type, [x.shape[x.shape.length - 1]]);
  return g.node('BiasGelu', [x, bias], {}, [[x.type, x.shape]], 'com.microsoft');
}};

module.exports = ops;
