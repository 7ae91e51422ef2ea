// node bench/models_vs_ort.js [--models a,b] [--batch 1,2,5] [--threads T] [--of-range R]
//                             [--scratch DIR]
//
// Runs real models on real inputs in roundel's engine and in ONNX Runtime, and compares every
// output, for every batch size or dynamic sequence length. Two outputs agree if no element differs
// by more than 1e-3 of its value plus 1e-4 (--of-range) of the output's range. Exit code 1 if any
// disagrees. ROUNDEL_ASSETS names the folder with models/ and data/.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');
const {generator} = require('./onnx_writer.js');

const RELATIVE = 1e-3, OF_RANGE = +b.argument('of-range', 1e-4);
const batches = b.argument('batch', '1,2,5').split(',').map(Number);
const threads = b.argument('threads', '1');
const scratch = b.argument('scratch', path.join(os.tmpdir(), 'roundel-models-vs-ort'));
const ROWS = Math.max(...batches);

// ---- sources of inputs: functions of a model's file to {name: rows} with at least ROWS rows

const data = name => path.join(b.assets, 'data', name);
const shape = t => t.dims.reduce((x, y) => x * y, 1);

// Images after roundel's own preprocessing: the pixels are the same on both sides.
const images = (...flags) => model => {
  b.roundel(['dump', model, '--data', data('imagenet_jpeg'), '--inputs', '--count', ROWS, '--seed', 3, '--batch', 0,
    '-q', '-o', scratch, ...flags]);
  const [file] = fs.readdirSync(scratch).filter(f => f.startsWith('input.'));
  const rows = b.readRows(path.join(scratch, file));
  fs.unlinkSync(path.join(scratch, file));
  return {[inputsOf(model)[0].name]: rows};
};
const arrays = (file, ...flags) => model => {
  b.roundel(['dump', model, '--data', data(file), '--inputs', '--count', ROWS, '--batch', 0, '-q', '-o', scratch, ...flags]);
  return {[inputsOf(model)[0].name]: b.readRows(path.join(scratch, `input.${inputsOf(model)[0].name}.npy`))};
};
const tokens = () => ({input_ids: b.readRows(data('lm/eval_ids.npy'), 0, ROWS)});

// The frames of the recordings, one after another; models with a fixed recording get `row` of them.
function audio() {
  const parts = ['noisy', 'clean', 'noise'].map(kind => b.readRows(data(`audio/nsnet2_${kind}.npy`)));
  const all = new Float32Array(parts.length * parts[0].data.length);
  parts.forEach((p, i) => all.set(p.data, i * p.data.length));
  return {type: 'float32', data: all, dims: [parts.length, ...parts[0].dims.slice(1)]};
}
const spectra = name => () => ({[name]: repeat(audio(), ROWS)});
const repeat = (t, rows) => {
  const row = shape(t) / t.dims[0], made = new t.data.constructor(rows * row);
  for (let i = 0; i < rows; i++) made.set(t.data.subarray(i % t.dims[0] * row, (i % t.dims[0] + 1) * row), i * row);
  return {...t, data: made, dims: [rows, ...t.dims.slice(1)]};
};
// Synthetic input for models without recordings: similar to a voice, harmonics with a slow
// envelope.
function voice(rows, length) {
  const random = generator(7), made = new Float32Array(rows * length);
  for (let i = 0; i < made.length; i++) {
    const t = i / 16000;
    let sum = 0.02 * (random() - 0.5);
    for (let k = 1; k <= 8; k++) sum += Math.sin(2 * Math.PI * 140 * k * t) / k;
    made[i] = 0.2 * sum * (0.5 + 0.5 * Math.sin(2 * Math.PI * 3 * t));
  }
  return {type: 'float32', data: made, dims: [rows, length]};
}
function random(dims, spread, seed) {
  const next = generator(seed), count = dims.reduce((x, y) => x * y, 1);
  return {type: 'float32', data: Float32Array.from({length: count}, () => spread * (2 * next() - 1)), dims};
}
const fixed = rows => () => rows;

// Per model: its inputs; `open`: which axis of which input is cut to the sizes of --batch (axis 0
// of all, by default), `cuts`: further sizes along an axis; `rates`: values of a scalar.
const sileroCases = batch => [16000, 8000].map(rate => ({
  input: voice(batch, rate === 16000 ? 576 : 288), state: random([2, batch, 128], 0.5, batch),
  sr: {type: 'int64', data: BigInt64Array.of(BigInt(rate)), dims: []}}));
const MODELS = {
  'mobilenetv2': {inputs: images('--preset', 'imagenet')},
  'mobilenetv1_0.75': {inputs: images('--preset', 'tf')},
  'squeezenet1.1': {inputs: images('--preset', 'imagenet')},
  'cifar10_resnet20': {inputs: arrays('cifar10/eval_images_u8.npy', '--preset', 'imagenet')},
  'ultraface_rfb320': {inputs: images('--scale', '0.0078125', '--mean', '0.9921875', '--std', '1', '--resize', '240x320', '--crop', 'none'), fixed: true},
  'superres_espcn': {inputs: images('--scale', '0.00392156862745098'), fixed: true},
  'deeplabv3_mnv2_257': {inputs: images('--preset', 'tf', '--resize', '257x257', '--crop', 'none'), fixed: true},
  'nsnet2': {inputs: spectra('input'), cuts: [1, 37, 400]},
  'fmnist_vit': {inputs: arrays('fashion_mnist/eval_images_u8.npy', '--mean', '0.2860', '--std', '0.3530', '--preset', 'zero_one')},
  'shakespeare_llama': {inputs: tokens, cuts: [1, 7, 64, 256]},
  'dtln_1': {cases: () => [{input_2: random([1, 1, 257], 1, 3), input_3: random([1, 2, 128, 2], 0.3, 4)},
    {input_2: {type: 'float32', data: audio().data.slice(0, 257).map(Math.exp), dims: [1, 1, 257]},
      input_3: random([1, 2, 128, 2], 0.01, 5)}]},
  'silero_vad': {cases: () => batches.flatMap(sileroCases)},
  'silero_vad_16k_op15': {cases: () => batches.flatMap(n => sileroCases(n).slice(0, 1))},
};

function inputsOf(model) {
  return b.roundel(['inspect', model, '--json', '-q']).json.inputs;
}

// The first `size` entries along `axis`.
function cut(t, axis, size) {
  const outer = t.dims.slice(0, axis).reduce((x, y) => x * y, 1), row = shape(t) / outer;
  const kept = row / t.dims[axis] * size, made = new t.data.constructor(outer * kept);
  for (let i = 0; i < outer; i++) made.set(t.data.subarray(i * row, i * row + kept), i * kept);
  return {...t, data: made, dims: t.dims.map((d, i) => i === axis ? size : d)};
}

// All feeds on which a model is run.
function casesOf(name, file) {
  const {inputs, cases, fixed: whole, cuts} = MODELS[name];
  if (cases) return cases();
  const [input, rows] = Object.entries(inputs(file))[0];
  const sizes = whole ? [...Array(ROWS).keys()].map(i => row(rows, i)) : batches.map(n => cut(rows, 0, n));
  const all = cuts ? sizes.flatMap(t => cuts.map(length => cut(t, 1, length))) : sizes;
  return all.map(t => ({[input]: t}));
}
const row = (t, i) => {
  const size = shape(t) / t.dims[0];
  return {...t, data: t.data.slice(i * size, (i + 1) * size), dims: [1, ...t.dims.slice(1)]};
};

// ---- running and comparing

function runRoundel(file, feeds, names) {
  const flags = Object.entries(feeds).flatMap(([name, t], i) => {
    const array = path.join(scratch, `feed${i}.npy`);
    b.writeArray(array, t.dims, t.data);
    return ['--feed', `${name}=${array}`];
  });
  b.roundel(['dump', file, ...flags, '-q', '--threads', threads, '-o', scratch]);
  return names.map(name => b.readRows(path.join(scratch, `output.${name.replace(/[^A-Za-z0-9]/g, '_')}.npy`)));
}

async function runOrt(session, feeds) {
  const ort = require(b.runtime);
  const tensors = Object.fromEntries(Object.entries(feeds).map(([k, t]) => [k, new ort.Tensor(t.type, t.data, t.dims)]));
  const results = await session.run(tensors);
  return session.outputNames.map(name => results[name]);
}

function halfValue(bits) {
  const exponent = bits >> 10 & 31, fraction = bits & 1023, sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

// The largest difference relative to the allowed one; Infinity for different shapes or a lost NaN.
function excess(ours, theirs) {
  [ours, theirs] = [ours, theirs].map(t => (t.type === 'float16' ? {...t, dims: t.dims, type: t.type, data: Float32Array.from(t.data, halfValue)} : t));
  if (ours.dims.join() !== theirs.dims.join() || ours.type !== theirs.type) return Infinity;
  let low = Infinity, high = -Infinity, worst = 0;
  for (const v of theirs.data) {
    const x = Number(v);
    if (x < low) low = x;
    if (x > high) high = x;
  }
  for (let i = 0; i < ours.data.length; i++) {
    const x = Number(ours.data[i]), y = Number(theirs.data[i]);
    if (Object.is(x, y) || x === y) continue;
    const ratio = Math.abs(x - y) / (RELATIVE * Math.abs(y) + OF_RANGE * (high - low));
    worst = Number.isNaN(ratio) ? Infinity : Math.max(worst, ratio);
  }
  return worst;
}

async function check(name) {
  const file = path.join(b.assets, 'models', name + '.onnx');
  const session = await b.ortSession(file, +threads);
  const cases = casesOf(name, file), worst = session.outputNames.map(() => 0);
  let disagreeing = 0;
  for (const feeds of cases) {
    const theirs = await runOrt(session, feeds), ours = runRoundel(file, feeds, session.outputNames);
    const shares = ours.map((t, i) => excess(t, theirs[i]));
    shares.forEach((s, i) => { worst[i] = Math.max(worst[i], s); });
    disagreeing += shares.some(s => !(s <= 1));
  }
  const shapes = [...new Set(cases.map(feeds => Object.values(feeds).map(t => t.dims.join('x')).join('+')))];
  return {row: [name, cases.length, shapes.join(' '), worst.map(w => w.toPrecision(2)).join(' '),
    disagreeing ? `${disagreeing} DISAGREE` : 'agree'], disagreeing};
}

async function main() {
  const names = b.argument('models', Object.keys(MODELS).join(',')).split(',');
  b.requireFiles([b.roundelBinary, b.runtime, ...names.map(n => path.join(b.assets, 'models', n + '.onnx'))]);
  fs.rmSync(scratch, {recursive: true, force: true});
  fs.mkdirSync(scratch, {recursive: true});
  const rows = [['model', 'runs', 'input shapes', 'largest difference / allowed, by output', '']];
  let failed = 0;
  for (const name of names) {
    const {row: line, disagreeing} = await check(name);
    rows.push(line);
    failed += disagreeing;
  }
  console.log(b.machine() + '\n');
  b.printTable(rows);
  fs.rmSync(scratch, {recursive: true, force: true});
  process.exit(failed ? 1 : 0);
}
main().catch(error => {
  console.error(error.message);
  process.exit(1);
});
