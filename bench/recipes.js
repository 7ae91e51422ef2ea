// node bench/recipes.js [--models a,b] [--recipes a,b] [--runs N] [--threads T] [--count N]
//                       [--markdown FILE]
//
// The effect of recipes on size, speed and accuracy: each model is quantized with each recipe, then
// run in ONNX Runtime, alternating with the float model, on one sample. ROUNDEL_ASSETS as in
// accuracy.js.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');
const labeled = require('./labeled.js'), unlabeled = require('./unlabeled.js');

const MODELS = {...labeled.models, ...unlabeled.models};
const list = (name, fallback) => b.argument(name, fallback).split(',');
const models = list('models', Object.keys(MODELS).join(','));
const recipes = list('recipes', 'int8_per_channel,int8_dynamic,w4_cnn');
const runs = +b.argument('runs', 15), threads = +b.argument('threads', 1), count = b.argument('count', '32');
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'roundel-bench-'));
const modelFile = name => path.join(b.assets, 'models', name + '.onnx');

// The inputs of the first sample, as `roundel dump` writes them.
function firstSample(name) {
  const folder = path.join(scratch, name);
  fs.mkdirSync(folder, {recursive: true});
  b.roundel(['dump', modelFile(name), '--data', ...MODELS[name].calib.slice(1), '--count', '1', '--inputs', '-o', folder, '-q']);
  return fs.readdirSync(folder).filter(f => f.startsWith('input.'))
    .map(f => ({name: f.slice('input.'.length, -'.npy'.length), ...b.readRows(path.join(folder, f))}));
}

async function timedSession(file, sample) {
  const ort = require(b.runtime), session = await b.ortSession(file, threads);
  const feeds = {};
  for (const input of session.inputNames) {
    const found = sample.find(t => t.name === input) || sample[session.inputNames.indexOf(input)];
    feeds[input] = new ort.Tensor(found.type, found.data, found.dims);
  }
  const run = async () => {
    const started = process.hrtime.bigint();
    await session.run(feeds);
    return Number(process.hrtime.bigint() - started) / 1e6;
  };
  for (let i = 0; i < 3; i++) await run();
  return run;
}

async function row(name, recipe, sample) {
  const out = path.join(scratch, `${name}.${recipe}.onnx`);
  b.roundel(['quantize', modelFile(name), '--recipe', recipe, ...MODELS[name].calib, '--count', count, '-o', out, '-q']);
  const facts = JSON.parse(fs.readFileSync(out.replace(/\.onnx$/, '.report.json'), 'utf8')).facts;
  const sqnr = Math.min(...Object.keys(facts).filter(k => k.startsWith('check_sqnr_db ')).map(k => facts[k] ?? Infinity));
  const float = await timedSession(modelFile(name), sample), quantized = await timedSession(out, sample);
  const times = {float: [], quantized: []};
  for (let i = 0; i < runs; i++) {
    times.float.push(await float());
    times.quantized.push(await quantized());
  }
  const size = fs.statSync(out).size / fs.statSync(modelFile(name)).size;
  return [name, recipe, size.toFixed(2), b.median(times.float).toFixed(2),
    (b.median(times.quantized) / b.median(times.float)).toFixed(2), sqnr.toFixed(1)];
}

async function main() {
  b.requireFiles([b.roundelBinary, b.runtime, ...models.map(modelFile)]);
  const rows = [['model', 'recipe', 'size / float', 'float, ms', 'time / float', 'SQNR dB (8 samples)']];
  for (const name of models) {
    if (MODELS[name].prepare) await MODELS[name].prepare(modelFile(name));
    const sample = firstSample(name);
    for (const recipe of recipes) {
      rows.push(await row(name, recipe, sample));
      console.error(rows[rows.length - 1].join(' '));
    }
  }
  console.log(`Machine: ${b.machine()}; ${threads} thread(s), medians of ${runs} alternating runs\n`);
  b.printTable(rows);
  fs.rmSync(scratch, {recursive: true});
}
main();
