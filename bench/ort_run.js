// node bench/ort_run.js MODEL [--runs N] [--warm-up W] [--threads T] --input NAME=FILE.npy ...
//
// The equivalent of `roundel bench` with ONNX Runtime: times runs of a model on these inputs and
// prints JSON.
'use strict';
const b = require('./common.js');

async function main() {
  const ownMemory = process.resourceUsage().maxRSS * 1024;
  const ort = require(b.runtime);
  const runs = +b.argument('runs', 20), warmUp = +b.argument('warm-up', 3);
  const feeds = {};
  process.argv.forEach((word, i) => {
    if (word !== '--input') return;
    const [name, file] = process.argv[i + 1].split(/=(.*)/s);
    const t = b.readRows(file);
    feeds[name] = new ort.Tensor(t.type, t.data, t.dims);
  });
  const session = await b.ortSession(process.argv[2], +b.argument('threads', 1));
  // Later runs write into the tensors of the first one, so that garbage affects neither time nor
  // memory.
  const outputs = await session.run(feeds);
  const times = [];
  for (let i = 1 - warmUp; i < runs; i++) {
    const started = process.hrtime.bigint();
    await session.run(feeds, outputs);
    if (i >= 0) times.push(Number(process.hrtime.bigint() - started) / 1e6);
  }
  console.log(JSON.stringify({median_ms: b.median(times), min_ms: Math.min(...times), runs,
    items_per_run: feeds[session.inputNames[0]].dims[0] || 1, peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
    node_rss_bytes: ownMemory}));
}
main().catch(error => {
  console.error(error.message);
  process.exit(1);
});
