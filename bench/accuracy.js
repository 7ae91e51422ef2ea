// node bench/accuracy.js [--models a,b] [--scratch DIR]
//
// The accuracy table of docs/benchmarks.md on real models. ROUNDEL_ASSETS names the folder that
// contains models/ and data/.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');

const scratch = b.argument('scratch', path.join(os.tmpdir(), 'roundel-bench'));
const images = path.join(b.assets, 'data/imagenet_jpeg');
const extra = path.join(b.assets, 'data/nips2017_jpeg');
const MODELS = {'mobilenetv2': 'imagenet', 'mobilenetv1_0.75': 'tf', 'squeezenet1.1': 'imagenet'};
const wanted = b.argument('models', Object.keys(MODELS).join(',')).split(',');

// The quantized forms of each float model: name in the table, recipe (of roundel, or text),
// settings.
const PLAIN = 'passes:\n  - bn_fold\n  - calibrate: {method: min_max}\n';
const VARIANTS = [
  ['W8A8 per tensor, min_max alone', PLAIN, ['weights.granularity=tensor']],
  ['W8A8 per tensor, int8_per_tensor', 'int8_per_tensor', []],
  ['W8A8 per channel, min_max alone', PLAIN, []],
  ['W8A8 per channel, int8_per_channel', 'int8_per_channel', []],
];

const evalSet = ['--data', images, '--names', images + '.eval.txt', '--labels', images + '.labels.txt'];
const calibSet = ['--calib', images, '--names', images + '.calib.txt'];
const dataSets = [['eval', evalSet], ['extra', ['--data', extra, '--labels', extra + '.labels.txt']]];

// Share of values that differ by more than one step of the quantized output.
function beyondOneStep(a, other, step) {
  let beyond = 0;
  for (let i = 0; i < a.data.length; i++) beyond += Math.abs(a.data[i] - other.data[i]) > 1.001 * step;
  return 100 * beyond / a.data.length;
}

// Float32 outputs of a model in roundel; with `all`, also the inputs and labels.
function roundelOutputs(model, data, folder, all = false) {
  fs.rmSync(folder, {recursive: true, force: true});
  b.roundel(['dump', model, ...data, ...(all ? ['--inputs'] : []), '-o', folder, '-q']);
  const find = kind => fs.readdirSync(folder).filter(f => f.startsWith(kind)).map(f => path.join(folder, f))[0];
  const t = b.readRows(find('output.'));
  return {data: t.data, rows: t.dims[0], width: t.data.length / t.dims[0], input: find('input.'), labels: find('labels')};
}

function outputStep(model) {
  const encodings = JSON.parse(fs.readFileSync(model.replace(/\.onnx$/, '.encodings.json'), 'utf8'));
  const graph = b.roundel(['inspect', model, '--json', '-q']).json;
  const output = graph.outputs[0].name;
  return encodings.activation_encodings.find(e => e.name === output).scale[0];
}

async function main() {
  b.requireFiles([b.roundelBinary, b.runtime, images, extra, images + '.eval.txt',
    ...wanted.map(m => path.join(b.assets, 'models', m + '.onnx'))]);
  fs.mkdirSync(scratch, {recursive: true});
  console.log(`Machine: ${b.machine()}\n`);
  const rows = [['model', 'variant', 'top-1 %', 'agree %', 'SQNR dB', 'top-1 in ONNX Runtime %',
    'values off by > 1 step %', 'same top-1 as simulation %', 'second set top-1 %']];
  for (const name of wanted) {
    const model = path.join(b.assets, 'models', name + '.onnx');
    const preset = ['--preset', MODELS[name]];
    const inputs = {}, float = {}, labels = {};
    for (const [set, flags] of dataSets) {
      float[set] = roundelOutputs(model, [...flags, ...preset], path.join(scratch, `${name}.${set}`), true);
      inputs[set] = float[set].input;
      labels[set] = Array.from(b.readRows(float[set].labels).data, Number);
    }
    const reference = await b.ortOutputs(model, inputs.eval);
    const [low, high] = b.range(reference);
    rows.push([name, 'float', b.top1(float.eval, labels.eval).toFixed(2), b.agreement(reference, float.eval).toFixed(2),
      '-', b.top1(reference, labels.eval).toFixed(2),
      `max logit difference ${b.maxDifference(reference, float.eval).toExponential(1)} of range ${(high - low).toFixed(0)}`,
      '-', b.top1(float.extra, labels.extra).toFixed(2)]);
    for (const [variant, recipe, settings] of VARIANTS) {
      const out = path.join(scratch, `${name}.${variant.replace(/[^\w]+/g, '_')}.onnx`);
      const text = out + '.recipe-given.yaml';
      if (recipe.includes('\n')) fs.writeFileSync(text, recipe);
      b.roundel(['quantize', model, ...calibSet, ...preset, '--recipe', recipe.includes('\n') ? text : recipe,
        ...settings.flatMap(s => ['--set', s]), '-o', out, '-q']);
      const ours = roundelOutputs(out, [...evalSet, ...preset], out + '.eval');
      const second = roundelOutputs(out, [...dataSets[1][1], ...preset], out + '.extra');
      const ort = await b.ortOutputs(out, inputs.eval);
      rows.push([name, variant, b.top1(ours, labels.eval).toFixed(2), b.agreement(float.eval, ours).toFixed(2),
        b.sqnr(float.eval, ours).toFixed(2), b.top1(ort, labels.eval).toFixed(2),
        beyondOneStep(ours, ort, outputStep(out)).toFixed(2), b.agreement(ours, ort).toFixed(2),
        b.top1(second, labels.extra).toFixed(2)]);
    }
    for (const file of Object.values(inputs)) fs.rmSync(file);
  }
  b.printTable(rows);
}
main();
