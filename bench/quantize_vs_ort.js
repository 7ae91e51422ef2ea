// node bench/quantize_vs_ort.js [--runs N] [--threads T]: the time of `roundel quantize` on 256
// images, compared with the time that ONNX Runtime needs just to run the float model on the same
// decoded images. The two alternate in one run; the table shows medians. ROUNDEL_ASSETS as in
// accuracy.js.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const b = require('./common.js');

const runs = +b.argument('runs', 5), threads = +b.argument('threads', 2);
const images = path.join(b.assets, 'data/imagenet_jpeg');
const model = path.join(b.assets, 'models/mobilenetv2.onnx');

async function main() {
  b.requireFiles([b.roundelBinary, b.runtime, images, model]);
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'roundel-bench-'));
  const out = path.join(scratch, 'out.onnx'), recipe = path.join(scratch, 'given.yaml');
  fs.writeFileSync(recipe, 'passes:\n  - bn_fold\n  - calibrate: {method: min_max}\n');
  const data = ['--names', images + '.calib.txt', '--preset', 'imagenet'];
  b.roundel(['dump', model, '--data', images, ...data, '--inputs', '-o', scratch, '-q']);
  const decoded = path.join(scratch, fs.readdirSync(scratch).filter(f => f.startsWith('input.'))[0]);
  const ours = [], theirs = [], theirsBatched = [];
  let peak = 0;
  // Threads of one runtime that are still spinning must not disturb the other.
  const settle = () => new Promise(resolve => setTimeout(resolve, 300));
  for (let i = 0; i < runs; i++) {
    await settle();
    theirs.push((await b.ortOutputs(model, decoded, {threads, batch: 1})).seconds);
    await settle();
    const run = b.roundel(['quantize', model, '--calib', images, ...data, '--recipe', recipe, '-o', out, '--threads', String(threads), '-q']);
    ours.push(run.seconds);
    await settle();
    theirsBatched.push((await b.ortOutputs(model, decoded, {threads, batch: 16})).seconds);
    const report = JSON.parse(fs.readFileSync(out.replace(/\.onnx$/, '.report.json'), 'utf8'));
    peak = Math.max(peak, report.timing.peak_rss_bytes);
  }
  console.log(`Machine: ${b.machine()}; ${threads} threads, ${runs} runs each, medians\n`);
  b.printTable([['what', 'seconds', 'ratio'],
    ['ONNX Runtime, float run, batch 1', b.median(theirs).toFixed(2), '1.00'],
    ['ONNX Runtime, float run, batch 16', b.median(theirsBatched).toFixed(2), (b.median(theirsBatched) / b.median(theirs)).toFixed(2)],
    ['roundel quantize (decode, fold, calibrate with min_max, export)', b.median(ours).toFixed(2), (b.median(ours) / b.median(theirs)).toFixed(2)]]);
  console.log(`\nPeak memory of roundel quantize: ${(peak / 1e6).toFixed(0)} MB`);
  fs.rmSync(scratch, {recursive: true});
}
main();
