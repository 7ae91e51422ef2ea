// node bench/calibration.js [--models a,b] [--methods a,b] [--variants W8A8,W8A16,W8,W4]
//                           [--count N] [--runs N] [--threads T] [--scratch DIR]
//
// Compares calibration methods on real models: the accuracy of each method, from one statistics
// file per model, and (--runs > 0) the time of `roundel quantize` from the data relative to
// min_max. W8 and W4 quantize only weights, per channel, by `weights_method`; those of a language
// model in blocks of 32. ROUNDEL_ASSETS as in accuracy.js.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');
const labeled = require('./labeled.js'), unlabeled = require('./unlabeled.js');

const MODELS = {...labeled.models, ...unlabeled.models};
const ALL = 'min_max,moving_average,mean_min_max,percentile,mse,omse,sqnr,aciq,kl,kl_ort,kl_tensorrt,auto';
const OF_WEIGHTS = 'min_max,percentile,mse,omse,sqnr,aciq,kl,auto';
const BLOCKS = ['weights.granularity=block', 'weights.block_size=32'];
const VARIANTS = {
  'W8A8': {methods: ALL, key: 'calibrate.method', set: []},
  'W8A16': {methods: 'min_max,percentile,mse,kl,auto', key: 'calibrate.method', set: ['activations.bits=16']},
  'W8': {methods: OF_WEIGHTS, key: 'calibrate.weights_method', set: ['activations=float']},
  'W4': {methods: OF_WEIGHTS, key: 'calibrate.weights_method', set: ['activations=float', 'weights.bits=4']},
};

const list = (name, fallback) => b.argument(name, fallback).split(',');
const models = list('models', Object.keys(MODELS).join(',')), variants = list('variants', 'W8A8,W8A16');
const methodsOf = variant => list('methods', VARIANTS[variant].methods);
const runs = +b.argument('runs', 5), threads = b.argument('threads', '2'), count = b.argument('count', '128');
const scratch = b.argument('scratch', path.join(os.tmpdir(), 'roundel-bench'));
const recipe = path.join(scratch, 'calibration.yaml');

const modelFile = name => path.join(b.assets, 'models', name + '.onnx');
function quantize(name, settings, out, more) {
  return b.roundel(['quantize', modelFile(name), '--recipe', recipe, ...settings.flatMap(s => ['--set', s]),
    '-o', out, '--threads', threads, '-q', ...more]).seconds;
}

// [top-1 % or perplexity, agreement % or KL in nats, SQNR in dB of the worst output], as `roundel
// eval` prints them.
function scores(json) {
  const outputs = json.outputs.filter(o => typeof o.sqnr_db === 'number');
  const sqnr = Math.min(...outputs.map(o => o.sqnr_db)).toFixed(2), quantized = json.models[1];
  if (quantized.perplexity !== undefined) return [quantized.perplexity.toFixed(3), json.kl_nats.toFixed(5), sqnr];
  if (quantized.top1_percent === undefined) return ['-', '-', sqnr];
  return [quantized.top1_percent.toFixed(2), json.outputs[0].top1_agreement_percent.toFixed(2), sqnr];
}

function settingsOf(name, variant, method) {
  const {key, set} = VARIANTS[variant];
  const blocks = MODELS[name].language && variant.startsWith('W4') ? BLOCKS : [];
  return [`${key}=${method}`, ...set, ...blocks];
}

function accuracyOf(name, rows) {
  const stats = path.join(scratch, name + '.stats.json'), out = path.join(scratch, name + '.onnx');
  const data = [...MODELS[name].calib, '--count', count, '--stats-out', stats];
  quantize(name, ['calibrate.method=min_max'], out, data);
  let known = false;
  for (const variant of variants) {
    for (const method of methodsOf(variant)) {
      const settings = settingsOf(name, variant, method), weightsAlone = settings.includes('activations=float');
      quantize(name, settings, out, weightsAlone ? [] : ['--stats-in', stats]);
      const {json} = b.roundel(['eval', modelFile(name), out, ...MODELS[name].eval, '--threads', threads, '--json', '-q']);
      const {perplexity, top1_percent: top1} = json.models[0];
      if (!known) rows.push([name, 'float', '-', perplexity ? perplexity.toFixed(3) : top1 ? top1.toFixed(2) : '-', '-', '-']);
      known = true;
      rows.push([name, variant, method, ...scores(json)]);
      console.error(rows[rows.length - 1].join(' '));
    }
  }
}

// Only SQNR, one column per method; the best of a row in bold.
function overview(rows) {
  for (const variant of variants) {
    const methods = methodsOf(variant), table = [['model', ...methods]];
    for (const name of models) {
      const found = methods.map(m => rows.find(r => r[0] === name && r[1] === variant && r[2] === m)[5]);
      const best = Math.max(...found);
      table.push([name, ...found.map(x => +x === best ? `**${x}**` : x)]);
    }
    console.log(`\n${variant}, SQNR in dB:\n`);
    b.printTable(table);
  }
}

async function accuracy() {
  const rows = [['model', 'grids', 'method', 'top-1 % / perplexity', 'agree % / KL', 'SQNR dB']];
  for (const name of models) {
    if (MODELS[name].prepare) await MODELS[name].prepare(modelFile(name));
    accuracyOf(name, rows);
  }
  b.printTable(rows);
  overview(rows);
}

// Whole runs from the data; methods alternate, so that other load on the machine affects all
// equally.
function times() {
  const rows = [['model', 'method', 'seconds', 'of min_max']], methods = methodsOf('W8A8');
  for (const name of models) {
    const seconds = Object.fromEntries(methods.map(m => [m, []]));
    for (let run = 0; run < runs; run++)
      for (const method of methods)
        seconds[method].push(quantize(name, ['calibrate.method=' + method], path.join(scratch, 'timed.onnx'),
          [...MODELS[name].calib, '--count', count]));
    for (const method of methods)
      rows.push([name, method, b.median(seconds[method]).toFixed(2),
        (b.median(seconds[method]) / b.median(seconds.min_max || seconds[methods[0]])).toFixed(2)]);
  }
  return rows;
}

async function main() {
  b.requireFiles([b.roundelBinary, b.runtime, ...labeled.folders, ...unlabeled.folders, ...models.map(modelFile)]);
  fs.mkdirSync(scratch, {recursive: true});
  fs.writeFileSync(recipe, 'passes:\n  - bn_fold\n  - calibrate\n');
  console.log(`Machine: ${os.cpus().length} cores, ${os.cpus()[0].model.trim()}; ${count} calibration samples, ${threads} threads\n`);
  if (variants[0] !== 'none') await accuracy();
  if (runs > 0) {
    console.log(`\nTime of a whole run, medians of ${runs}:\n`);
    b.printTable(times());
  }
}
main();
