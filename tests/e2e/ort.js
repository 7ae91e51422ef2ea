// node ort.js JOB.json: runs models in ONNX Runtime, the real consumer of what roundel exports.
// JOB: [{"model": file, "optimize": "all"|"disabled", "threads": n, "inputs": {name: file.npy},
//        "outputs": folder, "fused": file?}, ...]
// Each output is written to <folder>/<index>.npy in the model's order; the names go to stdout, one
// JSON line a job: {"outputs": [...]}  or {"error": "..."} when the runtime refuses the model.
'use strict';
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

const TYPES = {
  '<f4': ['float32', Float32Array], '<f8': ['float64', Float64Array], '<f2': ['float16', Uint16Array],
  '|u1': ['uint8', Uint8Array], '|i1': ['int8', Int8Array], '<i4': ['int32', Int32Array],
  '<i8': ['int64', BigInt64Array], '|b1': ['bool', Uint8Array],
};

function readNpy(file) {
  const bytes = fs.readFileSync(file);
  const wide = bytes[6] > 1;
  const length = wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8);
  const start = (wide ? 12 : 10) + length;
  const header = bytes.toString('latin1', wide ? 12 : 10, start);
  const descr = /'descr': '([^']+)'/.exec(header)[1];
  const dims = /'shape': \(([^)]*)\)/.exec(header)[1].split(',').map(s => s.trim()).filter(s => s).map(Number);
  const [type, Array] = TYPES[descr];
  const data = bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length);
  return new ort.Tensor(type, new Array(data), dims);
}

function writeNpy(file, tensor) {
  const descr = Object.keys(TYPES).find(k => TYPES[k][0] === tensor.type);
  const shape = tensor.dims.join(', ') + (tensor.dims.length === 1 ? ',' : '');
  let header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }`;
  header += ' '.repeat(63 - (10 + header.length) % 64) + '\n';
  const lead = Buffer.alloc(10);
  lead.write('\x93NUMPY\x01\x00', 0, 'latin1');
  lead.writeUInt16LE(header.length, 8);
  const d = tensor.data;
  fs.writeFileSync(file, Buffer.concat([lead, Buffer.from(header, 'latin1'),
    Buffer.from(d.buffer, d.byteOffset, d.byteLength)]));
}

async function run(job) {
  const session = await ort.InferenceSession.create(job.model, {
    graphOptimizationLevel: job.optimize || 'all', intraOpNumThreads: job.threads || 1,
    interOpNumThreads: 1, executionProviders: ['cpu'], logSeverityLevel: 3,
    ...(job.fused ? {optimizedModelFilePath: job.fused} : {}),
  });
  const feeds = {};
  for (const [name, file] of Object.entries(job.inputs)) feeds[name] = readNpy(file);
  const results = await session.run(feeds);
  fs.mkdirSync(job.outputs, {recursive: true});
  session.outputNames.forEach((name, i) => writeNpy(path.join(job.outputs, `${i}.npy`), results[name]));
  return {outputs: session.outputNames};
}

(async () => {
  for (const job of JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))) {
    let line;
    try {
      line = await run(job);
    } catch (e) {
      line = {error: String(e && e.message || e)};
    }
    console.log(JSON.stringify(line));
  }
})();
