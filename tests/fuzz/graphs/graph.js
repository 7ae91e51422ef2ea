// A random graph under construction: typed values with known shapes, nodes, and their text form
// (lib/graph/text.h). Everything is drawn from one seed.
'use strict';

// Uniform numbers of [0, 1): mixes the steps of a 32-bit counter (finalizer of MurmurHash3).
class Random {
  constructor(seed) { this.state = Math.imul(seed + 1, 0x9e3779b1) >>> 0; }
  uniform() {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    let x = this.state;
    x = Math.imul(x ^ x >>> 16, 0x85ebca6b);
    x = Math.imul(x ^ x >>> 13, 0xc2b2ae35);
    return ((x ^ x >>> 16) >>> 0) / 2 ** 32;
  }
  below(n) { return Math.floor(this.uniform() * n); }
  between(low, high) { return low + this.below(high - low + 1); }  // both included
  chance(p) { return this.uniform() < p; }
  pick(list) { return list[this.below(list.length)]; }
  shuffled(list) {
    const rest = [...list], out = [];
    while (rest.length) out.push(rest.splice(this.below(rest.length), 1)[0]);
    return out;
  }
}

const FLOATS = ['float32', 'float64', 'float16'];
const isFloat = type => FLOATS.includes(type);
const count = shape => shape.reduce((a, b) => a * b, 1);

// Attribute values: a number wrapped by real() prints as a float, everything else by its kind.
const real = value => ({real: value});
function literal(value) {
  if (value === null || value === undefined) throw new Error('no literal');
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value))
    return value.length ? `[${value.map(literal).join(', ')}]` : 'ints[]';
  if (typeof value === 'object' && 'real' in value) {
    const text = String(value.real);
    return /[.e]/.test(text) || !Number.isFinite(value.real) ? text : text + '.0';
  }
  if (typeof value === 'object') return value.text;  // a tensor or a graph
  return String(value);
}

class Graph {
  constructor(seed) {
    this.random = new Random(seed);
    const r = this.random;
    this.opset = r.pick([11, 13, 14, 15, 17, 17, 18, 18, 19, 20, 21, 21, 22, 23]);
    this.float = r.chance(0.8) ? 'float32' : r.pick(['float64', 'float16']);
    this.values = [];        // {name, type, shape or null, exact}
    this.inputs = [];        // {name, type, shape, data}
    this.initializers = [];  // {name, type, shape, data}
    this.nodes = [];         // {op, domain, inputs, attributes, outputs}
    this.next = 0;
  }

  name(prefix) { return prefix + this.next++; }

  // Numbers that a few sums and products keep exact in float32: multiples of 1/8 below 2.
  numbers(type, n) {
    const r = this.random;
    if (type === 'bool') return Array.from({length: n}, () => r.below(2));
    if (type.startsWith('u')) return Array.from({length: n}, () => r.between(0, 9));
    if (!isFloat(type)) return Array.from({length: n}, () => r.between(-5, 9));
    return Array.from({length: n}, () => r.between(-16, 16) / 8);
  }

  shape(rank) {
    const r = this.random;
    return Array.from({length: rank}, () => r.chance(0.02) ? 0 : r.pick([1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 16, 17]));
  }
  // [N, C, spatial...]
  image(spatial = 2, channels = undefined) {
    const r = this.random;
    return [r.pick([1, 1, 2, 3]), channels || r.pick([1, 2, 3, 4, 6, 8, 16]),
      ...Array.from({length: spatial}, () => r.between(3, 11))];
  }

  add(value) {
    this.values.push(value);
    return value;
  }
  input(type, shape, data = undefined) {
    const value = {name: this.name('x'), type, shape, exact: true};
    this.inputs.push({...value, data: data || this.numbers(type, count(shape))});
    return this.add(value);
  }
  // A constant of the graph; `data` in row-major order.
  constant(type, shape, data = undefined) {
    const value = {name: this.name('c'), type, shape, exact: true, constant: true};
    this.initializers.push({...value, data: data || this.numbers(type, count(shape))});
    return value;
  }
  ints(list) { return this.constant('int64', [list.length], list); }
  int(value) { return this.constant('int64', [], [value]); }
  scalar(type, value) { return this.constant(type, [], [value]); }

  // A value that fits, recent ones first; else a new input or constant with a shape from `make`.
  take(type, fits, make) {
    const r = this.random;
    const found = this.values.filter(v => v.type === type && v.shape && fits(v));
    if (found.length && r.chance(0.9)) return r.chance(0.6) ? found[found.length - 1] : r.pick(found);
    return r.chance(0.6) ? this.input(type, make()) : this.constant(type, make());
  }
  ofRank(low, high, type = this.float) {
    return this.take(type, v => v.shape.length >= low && v.shape.length <= high && count(v.shape) < 20000,
      () => this.shape(this.random.between(low, high)));
  }
  any(type = this.float) { return this.ofRank(0, 5, type); }
  // For operators with jumps: only values that are the same on every machine.
  exact(low, high, type = this.float) {
    return this.take(type, v => v.exact && v.shape.length >= low && v.shape.length <= high,
      () => this.shape(this.random.between(low, high)));
  }
  // [N, C, spatial...] with pixels to work on.
  picture(spatial, type = this.float) {
    return this.take(type, v => v.shape.length === 2 + spatial && count(v.shape) > 0 && count(v.shape) < 20000,
      () => this.image(spatial));
  }
  // A shape that broadcasts with `shape`.
  broadcastable(shape) {
    const r = this.random;
    const tail = shape.slice(r.chance(0.5) ? 0 : r.below(shape.length + 1));
    return tail.map(d => r.chance(0.25) ? 1 : d);
  }
  // Another operand for `value`: itself, a value of a compatible shape, or a constant.
  partner(value, exact = false) {
    const r = this.random;
    const found = this.values.filter(v => v.type === value.type && v.shape && (!exact || v.exact) &&
      broadcast(v.shape, value.shape));
    if (found.length && r.chance(0.5)) return r.pick(found);
    return r.chance(0.7) ? this.constant(value.type, this.broadcastable(value.shape))
      : this.input(value.type, this.broadcastable(value.shape));
  }

  // Adds a node. `outputs`: [type, shape or null, exact] of each; null for an omitted one.
  node(op, inputs, attributes, outputs, domain = '') {
    const made = outputs.map(o => o && {name: this.name('v'), type: o[0], shape: o[1], exact: Boolean(o[2])});
    const kept = Object.fromEntries(Object.entries(attributes).filter(([, v]) => v !== undefined));
    this.nodes.push({op, domain, inputs: inputs.map(v => v && v.name), attributes: kept,
      outputs: made.map(v => v && v.name)});
    made.forEach(v => v && this.add(v));
    return made[0];
  }
}

// The broadcast shape of two operands; null if they are incompatible.
function broadcast(a, b) {
  const rank = Math.max(a.length, b.length), out = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1, y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return null;
    out.push(x === 1 ? y : x);
  }
  return out;
}

const tensorText = t => `${t.type}[${t.shape.join(',')}] ${t.name} = {${t.data.join(', ')}}`;

// Text of the part of `graph` that `outputs` need; unread inputs are kept, so that feeds are the
// same.
function toText(graph, outputs) {
  const needed = new Set(outputs), nodes = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some(o => o && needed.has(o))) continue;
    node.inputs.forEach(i => i && needed.add(i));
    (node.captures || []).forEach(i => needed.add(i));
    nodes.unshift(node);
  }
  const types = new Map(graph.values.map(v => [v.name, v]));
  const typeOf = name => types.get(name).type;
  const imports = graph.nodes.some(n => n.domain) ? ', com.microsoft 1' : '';
  const lines = [`opset ${graph.opset}${imports}`,
    `ir_version ${graph.opset >= 21 ? 10 : 8}`,
    `graph g (${graph.inputs.map(i => `${i.type}[${(i.declared || i.shape).join(',')}] ${i.name}`).join(', ')}) => (` +
      `${outputs.map(o => `${typeOf(o)} ${o}`).join(', ')}) {`];
  graph.initializers.filter(t => needed.has(t.name)).forEach(t => lines.push('  ' + tensorText(t)));
  for (const n of nodes) {
    const attributes = Object.entries(n.attributes).map(([k, v]) => `${k}=${literal(v)}`).join(', ');
    const op = (n.domain ? n.domain + '.' : '') + n.op;
    const ins = n.inputs.map(i => i || '""').join(', '), outs = n.outputs.map(o => o || '""').join(', ');
    lines.push(`  ${outs} = ${op}${attributes ? `<${attributes}>` : ''}(${ins})`);
  }
  return lines.join('\n') + '\n}\n';
}

module.exports = {Random, Graph, broadcast, count, isFloat, real, toText};
