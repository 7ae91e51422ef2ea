// node bench/low_bits.js [--models a,b] [--bits 4,3] [--methods a,b] [--images N]
//                        [--granularity channel|tensor] [--views N] [--ends int8] [--iterations I] [--synthesize N]
//                        [--scratch DIR]
//
// Accuracy and time of the passes that round weights, on real models. --views: mirrored and cropped versions of
// each image; --ends: the grid of the first and the last layer; --synthesize: images made from the model instead. ROUNDEL_ASSETS names the
// folder that contains models/ and data/.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');
const {models: MODELS, folders} = require('./labeled.js');

const scratch = b.argument('scratch', path.join(os.tmpdir(), 'roundel-bench'));
// Steps after calibrate, and the grid of activations; a name that begins with cle has cle before
// calibrate.
const METHODS = {
  'nearest': [''],
  'seq_mse': ['  - seq_mse'],
  'gptq': ['  - gptq'],
  'adaround': ['  - adaround: {scales: seq_mse}'],
  'optimal_rounding': ['  - optimal_rounding'],
  'optimal_rounding A8': ['  - optimal_rounding', 'static'],
  'block_reconstruction': [`  - block_reconstruction: {iterations: ${b.argument('iterations', '1000')}}`],
  'cle + nearest': [''],
  'cle + adaround': ['  - adaround: {scales: seq_mse}'],
  'cle + optimal_rounding': ['  - optimal_rounding'],
};
const list = (name, all) => b.argument(name, all.join(',')).split(',');
const count = b.argument('images', '0'), granularity = b.argument('granularity', 'channel');
const views = b.argument('views', '1'), ends = b.argument('ends', ''), synthesize = b.argument('synthesize', '0');
const rules = ends ? `rules:\n  - {layer: ends, weights: ${ends}}\n` : '';

function measure(name, bits, method) {
  const [steps, activations] = METHODS[method];
  const recipe = path.join(scratch, 'low_bits.yaml'), out = path.join(scratch, 'low_bits.onnx');
  fs.writeFileSync(recipe, `activations: ${activations || 'float'}\n` +
    `weights: {bits: ${bits}, symmetric: false, granularity: ${granularity}}\n${rules}` +
    `passes:\n  - bn_fold\n${method.startsWith('cle') ? '  - cle\n' : ''}  - calibrate: {method: ${activations ? 'percentile' : 'min_max'}}\n${steps}\n`);
  const model = path.join(b.assets, 'models', name + '.onnx');
  const calib = MODELS[name].calib, preset = calib.slice(calib.indexOf('--preset'));
  const data = synthesize > 0 ? ['--synthesize', synthesize, ...preset] : [...calib, '--count', count, '--views', views];
  const {seconds} = b.roundel(['quantize', model, ...data, '--recipe', recipe, '-o', out, '-q']);
  const report = JSON.parse(fs.readFileSync(out.replace('.onnx', '.report.json'), 'utf8'));
  const text = b.roundel(['eval', model, out, ...MODELS[name].eval, '-q']).text;
  const row = file => text.split('\n').find(line => line.startsWith(file)).trim().split(/\s+/).slice(-2)[0];
  const cells = text.trim().split('\n').pop().trim().split(/\s+/), sqnr = cells[1], agree = cells.at(-1);
  return [name, `W${bits}`, method, row(model), row(out), agree, sqnr, seconds.toFixed(0),
    (report.timing.peak_rss_bytes / 1e9).toFixed(1)];
}

function main() {
  const models = list('models', Object.keys(MODELS));
  b.requireFiles([b.roundelBinary, ...folders, ...models.map(m => path.join(b.assets, 'models', m + '.onnx'))]);
  fs.mkdirSync(scratch, {recursive: true});
  console.log(`Machine: ${b.machine()}\n`);
  const rows = [['model', 'weights', 'method', 'float top-1 %', 'top-1 %', 'agree %', 'SQNR dB', 'seconds', 'peak GB']];
  for (const name of models)
    for (const bits of list('bits', ['4', '3']))
      for (const method of list('methods', Object.keys(METHODS).filter(m => !m.startsWith('cle') && !m.startsWith('block')))) rows.push(measure(name, bits, method));
  b.printTable(rows);
}
main();
