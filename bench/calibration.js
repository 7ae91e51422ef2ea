// node bench/calibration.js [--models a,b] [--methods a,b] [--variants W8A8,W8A16] [--count N]
//                           [--runs N] [--threads T] [--scratch DIR]
// Calibration methods side by side on real models: accuracy of what each makes, from one statistics
// file per model, and (--runs > 0) the time of `roundel quantize` from the data beside min_max's.
// ROUNDEL_ASSETS as in accuracy.js.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');
const {models: MODELS, folders} = require('./labelled.js');

const METHODS = 'min_max,moving_average,mean_min_max,percentile,mse,omse,sqnr,aciq,kl,kl_ort,kl_tensorrt,auto';
const VARIANTS = {'W8A8': [], 'W8A16': ['--set', 'activations.bits=16'], 'W4A8': ['--set', 'weights.bits=4']};

const list = (name, fallback) => b.argument(name, fallback).split(',');
const models = list('models', Object.keys(MODELS).join(',')), methods = list('methods', METHODS);
const variants = list('variants', 'W8A8,W8A16'), count = b.argument('count', '128');
const runs = +b.argument('runs', 5), threads = b.argument('threads', '2');
const scratch = b.argument('scratch', path.join(os.tmpdir(), 'roundel-bench'));
const recipe = path.join(scratch, 'calibration.yaml');

const modelFile = name => path.join(b.assets, 'models', name + '.onnx');
function quantize(name, method, out, more) {
  return b.roundel(['quantize', modelFile(name), '--recipe', recipe, '--set', 'calibrate.method=' + method,
    '-o', out, '--threads', threads, '-q', ...more]).seconds;
}

function accuracy() {
  const rows = [['model', 'grids', 'method', 'top-1 %', 'agree %', 'SQNR dB']];
  for (const name of models) {
    const stats = path.join(scratch, name + '.stats.json'), out = path.join(scratch, name + '.onnx');
    quantize(name, 'min_max', out, [...MODELS[name].calib, '--count', count, '--stats-out', stats]);
    for (const variant of variants) {
      for (const method of methods) {
        quantize(name, method, out, ['--stats-in', stats, ...VARIANTS[variant]]);
        const {json} = b.roundel(['eval', modelFile(name), out, ...MODELS[name].eval, '--threads', threads, '--json', '-q']);
        const [float, quantized] = json.models, [output] = json.outputs;
        if (rows.every(row => row[0] !== name))
          rows.push([name, 'float', '-', float.top1_percent.toFixed(2), '-', '-']);
        rows.push([name, variant, method, quantized.top1_percent.toFixed(2),
          output.top1_agreement_percent.toFixed(2), output.sqnr_db.toFixed(2)]);
        console.error(rows[rows.length - 1].join(' '));
      }
    }
  }
  return rows;
}

// Whole runs from the data; methods take turns, so that what else the machine does meets all alike.
function times() {
  const rows = [['model', 'method', 'seconds', 'of min_max']];
  for (const name of models) {
    const seconds = Object.fromEntries(methods.map(m => [m, []]));
    for (let run = 0; run < runs; run++)
      for (const method of methods)
        seconds[method].push(quantize(name, method, path.join(scratch, 'timed.onnx'), [...MODELS[name].calib, '--count', count]));
    for (const method of methods)
      rows.push([name, method, b.median(seconds[method]).toFixed(2),
        (b.median(seconds[method]) / b.median(seconds.min_max || seconds[methods[0]])).toFixed(2)]);
  }
  return rows;
}

b.requireFiles([b.roundelBinary, ...folders, ...models.map(modelFile)]);
fs.mkdirSync(scratch, {recursive: true});
fs.writeFileSync(recipe, 'passes:\n  - bn_fold\n  - calibrate\n');
console.log(`Machine: ${os.cpus().length} cores, ${os.cpus()[0].model.trim()}; ${count} calibration samples, ${threads} threads\n`);
if (variants[0] !== 'none') b.printTable(accuracy());
if (runs > 0) {
  console.log(`\nTime of a whole run, medians of ${runs}:\n`);
  b.printTable(times());
}
