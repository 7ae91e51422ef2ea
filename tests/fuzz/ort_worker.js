// Child of graphs.js: runs one model after another in ONNX Runtime. A separate process, because the
// runtime may crash.
'use strict';
const path = require('path');
const ort = require(path.join(__dirname, '../e2e/node_modules/onnxruntime-node'));

process.on('message', async ({model, inputs}) => {
  try {
    const session = await ort.InferenceSession.create(model,
      {graphOptimizationLevel: 'basic', intraOpNumThreads: 1, interOpNumThreads: 1, executionProviders: ['cpu'], logSeverityLevel: 4});
    const feeds = {};
    for (const i of inputs) feeds[i.name] = new ort.Tensor(i.type, i.data, i.shape);
    const results = await session.run(feeds);
    const outputs = session.outputNames.map(name => ({type: results[name].type, shape: [...results[name].dims], data: results[name].data}));
    await session.release();
    process.send({outputs});
  } catch (e) {
    process.send({error: String(e && e.message || e)});
  }
});
