// node bench/simulation.js [--models a,b] [--rounds R] [--runs N] [--batch 1] [--threads 1]
//                          [--scratch DIR]
//
// The cost of calibration and simulation relative to a plain float run: the time of a run that
// takes minimum and maximum of every activation, and of the simulated W8A8 model (per channel, per
// tensor and with 16-bit activations). All alternate within one process; the table has medians over
// R processes. ROUNDEL_ASSETS names the folder that contains models/ and data/.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');

const MODELS = {'mobilenetv2': 'imagenet', 'mobilenetv1_0.75': 'tf', 'squeezenet1.1': 'imagenet'};
const VARIANTS = {
  'per channel': [], 'per tensor': ['--set', 'weights.granularity=tensor'], 'W8A16': ['--set', 'activations.bits=16']};

const models = b.argument('models', Object.keys(MODELS).join(',')).split(',');
const rounds = +b.argument('rounds', 5), runs = b.argument('runs', '20');
const batch = b.argument('batch', '1'), threads = b.argument('threads', '1');
const scratch = b.argument('scratch', path.join(os.tmpdir(), 'roundel-bench'));
const images = path.join(b.assets, 'data/imagenet_jpeg'), recipe = path.join(scratch, 'simulation.yaml');
const modelFile = name => path.join(b.assets, 'models', name + '.onnx');

// The quantized model, and the float one with folded batch normalizations: the same layers.
function prepare(name, variant) {
  const quantized = path.join(scratch, `${name}.${variant.replace(' ', '_')}.onnx`), float = path.join(scratch, name + '.float.onnx');
  b.roundel(['quantize', modelFile(name), '--recipe', recipe, '--calib', images, '--preset', MODELS[name], '--count', '8',
    '-o', quantized, '--threads', threads, '-q', ...VARIANTS[variant]]);
  if (!fs.existsSync(float)) b.roundel(['export', quantized, '--to', 'float', '-o', float, '-q']);
  return {quantized, float};
}

b.requireFiles([b.roundelBinary, images, ...models.map(modelFile)]);
fs.mkdirSync(scratch, {recursive: true});
fs.writeFileSync(recipe, 'passes:\n  - bn_fold\n  - calibrate\n');
console.log(`Machine: ${os.cpus().length} cores, ${os.cpus()[0].model.trim()}; batch ${batch}, ${threads} threads\n`);
const rows = [['model', 'simulated', 'plain ms', 'observed', 'simulated']];
for (const name of models)
  for (const variant of Object.keys(VARIANTS)) {
    const {quantized, float} = prepare(name, variant), plain = [], observed = [], simulated = [];
    for (let round = 0; round < rounds; round++) {
      const {json} = b.roundel(['bench', float, '--observe', '--beside', quantized, '--batch', batch, '--runs', runs,
        '--threads', threads, '--json', '-q']);
      plain.push(json.median_ms);
      observed.push(json.beside[0].ratio);
      simulated.push(json.beside[1].ratio);
    }
    rows.push([name, variant, b.median(plain).toFixed(2), b.median(observed).toFixed(2), b.median(simulated).toFixed(2)]);
    console.error(rows[rows.length - 1].join(' '));
  }
b.printTable(rows);
