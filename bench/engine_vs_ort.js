// node bench/engine_vs_ort.js [--models a,b] [--rounds R] [--batch 1,16] [--threads 1,2]
//                             [--seconds S] [--scratch DIR]
//
// Compares speed and peak memory of roundel's engine with ONNX Runtime on float models. Each
// measurement is a separate process. The engines alternate, so that noise affects both, and get the
// same random inputs. S is the approximate time of ONNX Runtime per round. ROUNDEL_ASSETS names the
// folder that contains models/; models.js writes the models that are missing there.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const {spawnSync} = require('child_process');
const b = require('./common.js');
const {writeModels, made} = require('./models.js');
const {generator} = require('./onnx_writer.js');

// Of each model: its file, if the name differs; `dims` of named dimensions other than the batch, or
// `shapes` of inputs without names; `below`: integers are drawn from [0, below), or `values`: all
// equal; `fixed`: the batch size is fixed in the model.
const MODELS = {
  'mobilenetv2': {},
  'mobilenetv1_0.75': {},
  'squeezenet1.1': {},
  'cifar10_resnet20': {},
  'ultraface': {file: 'ultraface_rfb320', fixed: true},
  'superres': {file: 'superres_espcn', fixed: true},
  'deeplabv3': {file: 'deeplabv3_mnv2_257', fixed: true},
  'nsnet2': {dims: {frames: 400}},
  'fmnist_vit': {},
  'shakespeare_llama': {dims: {seq: 256}, below: {input_ids: 512}},
  'dtln_1': {fixed: true},
  'silero_vad': {shapes: batch => ({input: [batch, 576], state: [2, batch, 128]}), values: {sr: 16000}},
  'resnet50': {},
  'bert_base': {dims: {sequence: 128}, below: {input_ids: 30522}, values: {attention_mask: 1, token_type_ids: 0}},
  'vit_s16': {},
};
const MOST_RUNS = 500;

const numbers = (name, fallback) => b.argument(name, fallback).split(',').map(Number);
const rounds = +b.argument('rounds', 5), seconds = +b.argument('seconds', 1);
const batches = numbers('batch', '1,16'), threadCounts = numbers('threads', '1,2');
const scratch = b.argument('scratch', path.join(os.tmpdir(), 'roundel-bench'));
const wanted = b.argument('models', Object.keys(MODELS).join(',')).split(',');

const modelFile = name => made.includes(name) ? path.join(scratch, name + '.onnx')
  : path.join(b.assets, 'models', (MODELS[name].file || name) + '.onnx');

// Name, element type and shape of every input, from the model's declarations and the table above.
function inputsOf(name, batch) {
  const {dims = {}, shapes} = MODELS[name];
  return b.roundel(['inspect', modelFile(name), '--json', '-q']).json.inputs.map(input => {
    const [, type, list] = /^(\w+)\[(.*)\]$/.exec(input.type);
    const given = shapes && shapes(batch)[input.name];
    const shape = given || list.split(',').map(d => d.trim()).filter(d => d).map((d, axis) =>
      /^\d+$/.test(d) ? +d : d in dims ? dims[d] : axis === 0 ? batch : NaN);
    if (shape.some(Number.isNaN)) throw new Error(`${name}: the table gives no size for ${input.name} ${input.type}`);
    return {name: input.name, type, shape};
  });
}

// Writes the inputs of one run; returns the flags that name them for both engines.
function writeInputs(name, inputs) {
  const {below = {}, values = {}} = MODELS[name], random = generator(1);
  const gaussian = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return inputs.flatMap(({name: input, type, shape}) => {
    const count = shape.reduce((x, y) => x * y, 1);
    const draw = () => BigInt(input in values ? values[input] : Math.floor(random() * (below[input] || 2)));
    const data = type === 'int64' ? BigInt64Array.from({length: count}, draw) : Float32Array.from({length: count}, gaussian);
    const file = path.join(scratch, `input.${input.replace(/[^\w]+/g, '_')}.npy`);
    b.writeArray(file, shape, data);
    return ['--input', `${input}=${file}`];
  });
}

// The JSON of one process, or its error message.
function measure(command, args) {
  const result = spawnSync(command, args, {encoding: 'utf8'});
  if (result.status === 0) return JSON.parse(result.stdout);
  return {error: (result.stderr || String(result.error || result.signal)).trim().split('\n')[0]};
}
const ortRun = args => measure(process.execPath, [path.join(__dirname, 'ort_run.js'), ...args]);
const roundelRun = args => measure(b.roundelBinary, ['bench', ...args, '--json', '-q']);

// Runs both engines in turn, `rounds` times; a failure of one ends only its own measurements.
function compare(name, batch, threads) {
  const inputs = inputsOf(name, batch);
  const common = [modelFile(name), '--threads', String(threads), ...writeInputs(name, inputs)];
  const first = ortRun([...common, '--runs', '1', '--warm-up', '1']);
  const count = first.error ? 1 : Math.ceil(Math.min(MOST_RUNS, Math.max(3, 1000 * seconds / first.median_ms)));
  const warmUp = first.median_ms > 1000 * seconds ? 1 : 3;
  const args = [...common, '--runs', String(count), '--warm-up', String(warmUp)];
  const results = {roundel: [], ort: []}, errors = {};
  for (let i = 0; i < rounds; i++)
    for (const [engine, run] of [['roundel', roundelRun], ['ort', ortRun]]) {
      if (errors[engine]) continue;
      const result = run(engine === 'ort' ? args : [...args, '--batch', String(batch)]);
      if (!result.error && result.items_per_run !== inputs[0].shape[0]) result.error = `runs ${result.items_per_run} items`;
      if (result.error) errors[engine] = result.error; else results[engine].push(result);
    }
  return {shapes: inputs.map(i => i.shape.join('x') || 'scalar').join(', '), results, errors};
}

const speed = r => 1000 * r.items_per_run / r.median_ms;
const digits = x => x >= 100 ? x.toFixed(0) : x.toPrecision(3);
const peak = list => list.length ? (Math.max(...list.map(r => r.peak_rss_bytes)) / 1e6).toFixed(0) : '-';

function tableRow(name, batch, threads, {shapes, results: {roundel, ort}}) {
  const speedOf = list => list.length ? digits(b.median(list.map(speed))) : 'fails';
  const both = roundel.length === rounds && ort.length === rounds;
  const ratios = both ? roundel.map((r, i) => speed(r) / speed(ort[i])) : [];
  return [name, shapes, batch, threads, speedOf(roundel), speedOf(ort), both ? b.median(ratios).toFixed(2) : '-',
    both ? `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}` : '-', peak(roundel), peak(ort)];
}

function prepare() {
  const unknown = wanted.filter(name => !(name in MODELS));
  if (unknown.length) {
    console.error(`no such model: ${unknown.join(', ')}; there are ${Object.keys(MODELS).join(', ')}`);
    process.exit(2);
  }
  b.requireFiles([b.roundelBinary, b.runtime, ...wanted.filter(name => !made.includes(name)).map(modelFile)]);
  writeModels(scratch, wanted.filter(name => made.includes(name)));
}

function main() {
  prepare();
  const rows = [['model', 'inputs', 'batch', 'threads', 'roundel items/s', 'ONNX Runtime items/s', 'ratio',
    'ratio of rounds', 'roundel peak MB', 'ONNX Runtime peak MB']];
  const failures = [];
  let node = 0;
  for (const name of wanted)
    for (const batch of MODELS[name].fixed ? [1] : batches)
      for (const threads of threadCounts) {
        process.stderr.write(`${name}, batch ${batch}, threads ${threads}\n`);
        const outcome = compare(name, batch, threads);
        rows.push(tableRow(name, batch, threads, outcome));
        node = Math.max(node, ...outcome.results.ort.map(r => r.node_rss_bytes));
        for (const [engine, error] of Object.entries(outcome.errors))
          failures.push(`${engine}, ${name}, batch ${batch}, threads ${threads}: ${error}`);
      }
  console.log(`Machine: ${b.machine()}; medians of ${rounds} rounds, in each the median of about ${seconds} s of runs\n`);
  b.printTable(rows);
  console.log(`\nRatio: roundel's speed by ONNX Runtime's, above 1 where roundel is faster, of each round; median and range.` +
    `\nThe peak of ONNX Runtime's process holds ${(node / 1e6).toFixed(0)} MB of Node itself.`);
  if (failures.length === 0) return;
  console.error('failed:\n  ' + failures.join('\n  '));
  process.exit(1);
}
main();
