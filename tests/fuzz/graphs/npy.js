// .npy files of every element type that graphs have.
'use strict';
const fs = require('fs');

// The arrays that the runtime's binding takes: float16 as bits; bool as bytes.
const STORED = {float16: Uint16Array, float32: Float32Array, float64: Float64Array, int64: BigInt64Array, int32: Int32Array, int16: Int16Array, int8: Int8Array,
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array, bool: Uint8Array};
const CODES = {float32: '<f4', float64: '<f8', float16: '<f2', int64: '<i8', int32: '<i4', int16: '<i2', int8: '|i1', uint8: '|u1', uint16: '<u2',
  uint32: '<u4', uint64: '<u8', bool: '|b1'};

// Half precision, rounded to nearest even, as bits.
function halfBits(value) {
  const f = new Float32Array([value]), x = new Uint32Array(f.buffer)[0], sign = x >>> 16 & 0x8000, magnitude = x & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {  // subnormal: in steps of 2^-24
    const steps = Math.abs(value) * 2 ** 24, low = Math.floor(steps), rest = steps - low;
    return sign | (low + (rest > 0.5 || (rest === 0.5 && low % 2) ? 1 : 0));
  }
  return sign | (magnitude - 0x38000000 + 0xfff + (magnitude >>> 13 & 1)) >>> 13;
}
function halfValue(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}
// The numbers of a tensor as `type` stores them.
function stored(type, data) {
  const convert = type === 'float16' ? halfBits : /64$/.test(type) && type !== 'float64' ? v => BigInt(Math.round(v)) : Number;
  return STORED[type].from(data, convert);
}

function writeNpy(file, {type, shape, data}) {
  const text = `{'descr': '${CODES[type]}', 'fortran_order': False, 'shape': (${shape.map(d => d + ',').join(' ')}), }`;
  const head = Buffer.from(text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n', 'latin1');
  const lead = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, head.length & 255, head.length >> 8]);
  const values = stored(type, data);
  fs.writeFileSync(file, Buffer.concat([lead, head, Buffer.from(values.buffer, values.byteOffset, values.byteLength)]));
}

// {type, shape, data}; data as in the runtime's binding.
function readNpy(file) {
  const bytes = fs.readFileSync(file), start = 10 + bytes.readUInt16LE(8), header = bytes.toString('latin1', 10, start);
  const type = Object.keys(CODES).find(k => CODES[k] === /'descr': '([^']+)'/.exec(header)[1]);
  const shape = /'shape': \(([^)]*)\)/.exec(header)[1].split(',').map(s => s.trim()).filter(s => s).map(Number);
  const raw = bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length);
  return {type, shape, data: new STORED[type](raw)};
}

module.exports = {halfValue, readNpy, stored, writeNpy};
