// Writes ONNX models (IR 8, opset 17) without a library: the few protobuf messages that float
// models need, and a builder of graphs. Weights are drawn while they are written, in pieces, so
// that memory stays small for any model size.
'use strict';
const fs = require('fs');

const IR_VERSION = 8, OPSET = 17;
const TYPE = {float: 1, int64: 7};
const PIECE = 1 << 18;  // values drawn at a time

// Protobuf's wire format: numbers in groups of 7 bits (negative ones as 64 bits in two's
// complement), everything else after its length.
function varint(value) {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
const head = (field, length) => Buffer.concat([varint(field << 3 | 2), varint(length)]);
function bytes(field, content) {
  const data = Buffer.isBuffer(content) ? content : Buffer.from(content);
  return Buffer.concat([head(field, data.length), data]);
}
function float32(field, value) {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([varint(field << 3 | 5), data]);
}

// AttributeProto; a whole number is an INT, any other number a FLOAT, a list INTS.
function attribute(name, value) {
  if (Array.isArray(value))
    return Buffer.concat([bytes(1, name), ...value.map(v => number(8, v)), number(20, 7)]);
  if (Number.isInteger(value)) return Buffer.concat([bytes(1, name), number(3, value), number(20, 2)]);
  return Buffer.concat([bytes(1, name), float32(2, value), number(20, 1)]);
}

function node(op, inputs, outputs, name, attributes) {
  return Buffer.concat([...inputs.map(i => bytes(1, i)), ...outputs.map(o => bytes(2, o)), bytes(3, name),
    bytes(4, op), ...Object.entries(attributes).map(([key, value]) => bytes(5, attribute(key, value)))]);
}

// ValueInfoProto of a tensor; a text among the dims names a dimension.
function valueInfo(name, type, dims) {
  const shape = dims.map(d => bytes(1, typeof d === 'string' ? bytes(2, d) : number(1, d)));
  const tensor = Buffer.concat([number(1, TYPE[type]), bytes(2, Buffer.concat(shape))]);
  return Buffer.concat([bytes(1, name), bytes(2, bytes(1, tensor))]);
}

// TensorProto of a Float32Array or a BigInt64Array.
function tensor(name, dims, data) {
  const type = data instanceof BigInt64Array ? TYPE.int64 : TYPE.float;
  return Buffer.concat([...dims.map(d => number(1, d)), number(2, type), bytes(8, name),
    bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength))]);
}

// Uniform numbers of [0, 1): mixes the steps of a 32-bit counter (finalizer of MurmurHash3).
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let x = state;
    x = Math.imul(x ^ x >>> 16, 0x85ebca6b);
    x = Math.imul(x ^ x >>> 13, 0xc2b2ae35);
    return ((x ^ x >>> 16) >>> 0) / 2 ** 32;
  };
}

class Graph {
  constructor(name) {
    this.name = name;
    this.nodes = [];
    this.inputs = [];
    this.outputs = [];
    this.initializers = [];
    this.constants = new Map();
    this.names = new Map();
  }

  // `name`, with a suffix that makes it unique.
  unique(name) {
    const used = this.names.get(name) || 0;
    this.names.set(name, used + 1);
    return used ? `${name}_${used}` : name;
  }

  input(name, type, dims) {
    this.inputs.push(valueInfo(name, type, dims));
    return name;
  }
  output(name, type, dims) { this.outputs.push(valueInfo(name, type, dims)); }

  // A tensor of random values in center +- spread.
  weight(name, dims, spread, center = 0) {
    this.initializers.push({name, type: 'float', dims, spread, center, count: dims.reduce((a, b) => a * b, 1)});
    return name;
  }

  // A scalar (a number) or vector (a list) that nodes share if it is the same.
  constant(type, value) {
    const key = type + JSON.stringify(value);
    if (!this.constants.has(key)) {
      const values = [value].flat();
      const data = type === 'int64' ? BigInt64Array.from(values, BigInt) : Float32Array.from(values);
      const name = this.unique('const');
      this.initializers.push({name, type, dims: Array.isArray(value) ? [values.length] : [],
        data: Buffer.from(data.buffer)});
      this.constants.set(key, name);
    }
    return this.constants.get(key);
  }

  // Adds a node; returns its output. `outputs` names them if there are several, or if they are the
  // graph's.
  op(type, inputs, attributes = {}, outputs = undefined) {
    const name = this.unique(type);
    const made = outputs || [name + '_out'];
    this.nodes.push(node(type, inputs, made, name, attributes));
    return outputs ? made : made[0];
  }

  // The GraphProto without the initializers: [fields before them, fields after them].
  frame() {
    return [Buffer.concat([...this.nodes.map(n => bytes(1, n)), bytes(2, this.name)]),
      Buffer.concat([...this.inputs.map(i => bytes(11, i)), ...this.outputs.map(o => bytes(12, o))])];
  }

  // Writes the ModelProto; a file of that name is always complete.
  write(file, seed) {
    const [before, after] = this.frame();
    const tensors = this.initializers.map(t => {
      const size = t.data ? t.data.length : 4 * t.count;
      const fields = Buffer.concat([...t.dims.map(d => number(1, d)), number(2, TYPE[t.type]), bytes(8, t.name),
        head(9, size)]);
      return {...t, start: Buffer.concat([head(5, fields.length + size), fields]), size};
    });
    const length = tensors.reduce((sum, t) => sum + t.start.length + t.size, before.length + after.length);
    const part = file + '.part', fd = fs.openSync(part, 'w');
    fs.writeSync(fd, Buffer.concat([number(1, IR_VERSION), bytes(2, 'roundel bench'), head(7, length), before]));
    const random = generator(seed);
    for (const t of tensors) {
      fs.writeSync(fd, t.start);
      if (t.data) fs.writeSync(fd, t.data); else writeRandom(fd, t, random);
    }
    fs.writeSync(fd, Buffer.concat([after, bytes(8, number(2, OPSET))]));
    fs.closeSync(fd);
    fs.renameSync(part, file);
  }
}

function writeRandom(fd, {count, spread, center}, random) {
  for (let done = 0; done < count; done += PIECE) {
    const data = new Float32Array(Math.min(PIECE, count - done));
    for (let i = 0; i < data.length; i++) data[i] = center + spread * (2 * random() - 1);
    fs.writeSync(fd, Buffer.from(data.buffer));
  }
}

module.exports = {Graph, generator, tensor};
