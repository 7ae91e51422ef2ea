// node bench/rounding.js [--models a,b] [--methods a;b] [--bits B] [--images N]
//                        [--iterations I] [--scratch DIR]
//
// The number of layers on which optimal_rounding has a lower error than the other passes that round
// weights, on held-out samples. All passes use the same sums, those of the float model (sequential:
// false), which the first run saves in a store for the others. ROUNDEL_ASSETS as in low_bits.js.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');
const {models: MODELS} = require('./labeled.js');

const iterations = b.argument('iterations', '10000');
const METHODS = {
  'optimal_rounding': 'optimal_rounding: {sequential: false}',
  'adaround': `adaround: {sequential: false, iterations: ${iterations}, scales: seq_mse}`,
  'adaround, sampled': `adaround: {sequential: false, objective: sampled, iterations: ${iterations}, scales: seq_mse}`,
  'gptq': 'gptq: {sequential: false, correct_bias: true}',
  'gptq, searched scales': 'gptq: {sequential: false, correct_bias: true, scales: searched}',
  'seq_mse': 'seq_mse: {inputs: symfp, correct_bias: true}',
};
const scratch = b.argument('scratch', path.join(os.tmpdir(), 'roundel-bench'));
const methods = b.argument('methods', 'adaround;gptq;gptq, searched scales;seq_mse').split(';');
const names = b.argument('models', Object.keys(MODELS).join(',')).split(',');
const bits = b.argument('bits', '4'), count = b.argument('images', '256');

// Error by layer on the held-out samples, and the seconds of the whole run.
function run(name, method) {
  const recipe = path.join(scratch, 'rounding.yaml'), out = path.join(scratch, 'rounding.onnx');
  fs.writeFileSync(recipe, `activations: float\nweights: {bits: ${bits}, symmetric: false, granularity: channel}\n` +
    `passes:\n  - bn_fold\n  - calibrate\n  - ${METHODS[method]}\n`);
  const {seconds} = b.roundel(['quantize', path.join(b.assets, 'models', name + '.onnx'), ...MODELS[name].calib,
    '--count', count, '--recipe', recipe, '--store', path.join(scratch, 'rounding.store'), '-o', out, '-q']);
  const report = JSON.parse(fs.readFileSync(out.replace('.onnx', '.report.json'), 'utf8'));
  const layers = {};
  for (const layer of report.passes.pop().layers)
    if (layer.held_out_after !== undefined) layers[layer.node] = layer.held_out_after;
  return {layers, seconds};
}

b.requireFiles([b.roundelBinary, ...names.map(m => path.join(b.assets, 'models', m + '.onnx'))]);
fs.mkdirSync(scratch, {recursive: true});
console.log(`Machine: ${b.machine()}; ${bits} bits, ${count} images\n`);
const rows = [['model', 'pass', 'layers', 'optimal_rounding is better on', 'its mean error', 'the pass\'s', 'seconds']];
for (const name of names) {
  fs.rmSync(path.join(scratch, 'rounding.store'), {recursive: true, force: true});
  const best = run(name, 'optimal_rounding');
  const mean = errors => errors.reduce((a, e) => a + e, 0) / errors.length;
  for (const method of methods) {
    const other = run(name, method), layers = Object.keys(best.layers);
    // Results that are equal to three digits count for neither.
    const better = layers.filter(l => best.layers[l] <= other.layers[l]).length;
    rows.push([name, method, layers.length, (100 * better / layers.length).toFixed(0) + ' %',
      mean(Object.values(best.layers)).toExponential(2), mean(Object.values(other.layers)).toExponential(2),
      other.seconds.toFixed(0)]);
    console.error(rows[rows.length - 1].join('  '));
  }
}
b.printTable(rows);
