// node bench/quantized_models.js [--models a,b] [--forms qdq,dynamic] [--runs N] [--scratch DIR]
//
// The time of quantized models in roundel's engine as a multiple of the float model's, one thread,
// batch 1. Both alternate in one process. The table shows the ratio of the medians, then that of
// the fastest runs. ROUNDEL_ASSETS names the folder with models/ and data/.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');

const data = name => path.join(b.assets, 'data', name);
const photos = preset => ['--calib', data('imagenet_jpeg'), '--names', data('imagenet_jpeg.calib.txt'), '--count', '16', '--preset', preset];
const MODELS = {
  'mobilenetv2': {calib: photos('imagenet')},
  'mobilenetv1_0.75': {calib: photos('tf')},
  'squeezenet1.1': {calib: photos('imagenet')},
  'fmnist_vit': {calib: ['--calib', data('fashion_mnist/calib_images_u8.npy'), '--count', '32']},
  'shakespeare_llama': {calib: ['--calib', data('lm/calib_ids.npy'), '--count', '8'], feed: ['--shape', 'input_ids=1,128']},
  'nsnet2': {calib: ['--calib', data('audio/nsnet2_noisy.npy')], feed: ['--shape', 'input=1,400,161']},
};
const FORMS = {
  qdq: {flags: ['--recipe', 'int8_per_channel'], calib: true},
  qoperator: {flags: ['--recipe', 'int8_per_channel', '--set', 'export.format=qoperator'], calib: true},
  dynamic: {flags: ['--recipe', 'int8_dynamic']},
  matmulnbits: {flags: ['--recipe', 'w4_llm', '--target', 'llm-matmulnbits'], calib: true},
};
const list = (name, all) => b.argument(name, all.join(',')).split(',');
const models = list('models', Object.keys(MODELS)), forms = list('forms', Object.keys(FORMS));
const runs = b.argument('runs', '15'), scratch = b.argument('scratch', path.join(os.tmpdir(), 'roundel-quantized-models'));
const file = name => path.join(b.assets, 'models', name + '.onnx');

b.requireFiles([b.roundelBinary, ...models.map(file)]);
fs.mkdirSync(scratch, {recursive: true});
console.log(`| model | float, ms | ${forms.join(' | ')} |\n|---|---|${forms.map(() => '---|').join('')}`);
for (const name of models) {
  const {calib, feed = []} = MODELS[name];
  let milliseconds = Infinity;
  const cells = forms.map(form => {
    const out = path.join(scratch, `${name}.${form}.onnx`);
    b.roundel(['quantize', file(name), ...FORMS[form].flags, ...(FORMS[form].calib ? calib : []), '-o', out, '-q']);
    const {json} = b.roundel(['bench', file(name), '--beside', out, '--threads', '1', '--runs', runs, ...feed, '--json', '-q']);
    const [other] = json.beside;
    milliseconds = Math.min(milliseconds, json.min_ms);
    return `${other.ratio.toFixed(2)} (${(other.min_ms / json.min_ms).toFixed(2)})`;
  });
  console.log(`| ${name} | ${milliseconds.toFixed(2)} | ${cells.join(' | ')} |`);
}
