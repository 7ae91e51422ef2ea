// Shared by the comparison scripts: locations, npy files, ONNX Runtime, small statistics.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const {spawnSync} = require('child_process');

const root = path.resolve(__dirname, '..');
const runtime = path.join(root, 'tests/e2e/node_modules/onnxruntime-node');

// Ends the run with a list if required files are missing: benchmarks never measure only a part.
function requireFiles(files) {
  const missing = files.filter(f => !fs.existsSync(f));
  if (missing.length === 0) return;
  console.error('missing:\n  ' + missing.join('\n  ') +
    '\nbuild/release/roundel comes from scripts/quickstart.sh, ONNX Runtime from scripts/test.sh;' +
    '\nthe models and images are not part of this repository: give their folder as ROUNDEL_ASSETS');
  process.exit(2);
}

// The argument after --name on the command line.
function argument(name, fallback) {
  const i = process.argv.indexOf('--' + name);
  return i < 0 ? fallback : process.argv[i + 1];
}

const assets = process.env.ROUNDEL_ASSETS || path.join(root, 'assets');
const roundelBinary = process.env.ROUNDEL || path.join(root, 'build/release/roundel');

// Runs roundel; returns its stdout, parsed if --json was given. Ends the benchmark on failure.
function roundel(args) {
  const started = process.hrtime.bigint();
  const result = spawnSync(roundelBinary, args, {encoding: 'utf8', maxBuffer: 1 << 28});
  if (result.status !== 0) {
    console.error(`roundel ${args.join(' ')}\nexit code ${result.status}: ${result.stderr}`);
    process.exit(1);
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  return {seconds, json: args.includes('--json') ? JSON.parse(result.stdout) : null, text: result.stdout};
}

const TYPES = {'<f4': ['float32', Float32Array], '<f2': ['float16', Uint16Array], '<f8': ['float64', Float64Array], '<i8': ['int64', BigInt64Array],
  '<i4': ['int32', Int32Array], '|i1': ['int8', Int8Array], '|u1': ['uint8', Uint8Array], '|b1': ['bool', Uint8Array]};

// Samples [from, to) of an .npy file of rows (C order, little endian).
function readRows(file, from, to) {
  const fd = fs.openSync(file, 'r');
  const lead = Buffer.alloc(10);
  fs.readSync(fd, lead, 0, 10, 0);
  const start = 10 + lead.readUInt16LE(8);
  const head = Buffer.alloc(start - 10);
  fs.readSync(fd, head, 0, head.length, 10);
  const text = head.toString('latin1');
  const [type, Array] = TYPES[/'descr': '([^']+)'/.exec(text)[1]];
  const dims = /'shape': \(([^)]*)\)/.exec(text)[1].split(',').map(s => s.trim()).filter(s => s).map(Number);
  const total = dims.length ? dims[0] : 1;  // a scalar is one row
  to = Math.min(to === undefined ? total : to, total);
  from = from || 0;
  const row = dims.slice(1).reduce((a, b) => a * b, 1);
  const data = new Array((to - from) * row);
  const bytes = Buffer.from(data.buffer);
  fs.readSync(fd, bytes, 0, bytes.length, start + from * row * Array.BYTES_PER_ELEMENT);
  fs.closeSync(fd);
  return {type, data, dims: dims.length ? [to - from, ...dims.slice(1)] : [], total};
}

// An .npy file of a typed array, for readRows and for roundel.
function writeArray(file, dims, data) {
  const descr = Object.keys(TYPES).find(key => data instanceof TYPES[key][1]);
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims.map(d => d + ',').join(' ')}), }`;
  const head = Buffer.from(text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n', 'latin1');
  const lead = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, head.length & 255, head.length >> 8]);
  fs.writeFileSync(file, Buffer.concat([lead, head, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]));
}

async function ortSession(model, threads, optimize = 'all') {
  const ort = require(runtime);
  return ort.InferenceSession.create(model, {intraOpNumThreads: threads, interOpNumThreads: 1,
    graphOptimizationLevel: optimize, executionProviders: ['cpu'], logSeverityLevel: 3});
}

// First output of `model` on every row of `file`, in batches; the seconds are those of run() only.
async function ortOutputs(model, file, {threads = 2, batch = 1, rows = undefined, optimize = 'all'} = {}) {
  const ort = require(runtime);
  const session = await ortSession(model, threads, optimize);
  const total = Math.min(readRows(file, 0, 1).total, rows || Infinity);
  let seconds = 0, all = null, width = 0;
  for (let i = 0; i < total; i += batch) {
    const t = readRows(file, i, Math.min(total, i + batch));
    const feed = {[session.inputNames[0]]: new ort.Tensor(t.type, t.data, t.dims)};
    const started = process.hrtime.bigint();
    const out = (await session.run(feed))[session.outputNames[0]];
    seconds += Number(process.hrtime.bigint() - started) / 1e9;
    width = out.data.length / t.dims[0];
    all = all || new Float32Array(total * width);
    all.set(out.data, i * width);
  }
  return {data: all, width, rows: total, seconds};
}

const argmax = (data, begin, width) => {
  let best = 0;
  for (let c = 1; c < width; c++) if (data[begin + c] > data[begin + best]) best = c;
  return best;
};
function top1(out, labels) {
  let right = 0;
  for (let i = 0; i < out.rows; i++) right += argmax(out.data, i * out.width, out.width) === labels[i];
  return 100 * right / out.rows;
}
function agreement(a, b) {
  let same = 0;
  for (let i = 0; i < a.rows; i++)
    same += argmax(a.data, i * a.width, a.width) === argmax(b.data, i * b.width, b.width);
  return 100 * same / a.rows;
}
function sqnr(reference, other) {
  let signal = 0, noise = 0;
  for (let i = 0; i < reference.data.length; i++) {
    signal += reference.data[i] ** 2;
    noise += (reference.data[i] - other.data[i]) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
function maxDifference(a, b) {
  let largest = 0;
  for (let i = 0; i < a.data.length; i++) largest = Math.max(largest, Math.abs(a.data[i] - b.data[i]));
  return largest;
}
const range = out => out.data.reduce((r, x) => [Math.min(r[0], x), Math.max(r[1], x)], [Infinity, -Infinity]);
const median = list => [...list].sort((a, b) => a - b)[list.length >> 1];

function printTable(rows) {
  const line = row => '| ' + row.join(' | ') + ' |';
  console.log([line(rows[0]), '|' + rows[0].map(() => '---').join('|') + '|', ...rows.slice(1).map(line)].join('\n'));
}
const machine = () => `${os.cpus().length} cores, ${os.cpus()[0].model.trim()}, ` +
  `${Math.round(os.totalmem() / 2 ** 30)} GiB, ONNX Runtime ${require(path.join(runtime, 'package.json')).version}`;

module.exports = {root, runtime, assets, roundelBinary, requireFiles, argument, roundel, readRows, writeArray,
  ortSession, ortOutputs, top1, agreement, sqnr, maxDifference, range, median, printTable, machine, argmax};
