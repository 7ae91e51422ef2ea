// Synthetic voices for a voice detector with a state: windows of 32 ms at 16 kHz with the preceding
// 4 ms, and the state of the float model at that time (in ONNX Runtime). Seeded, so that it is
// always the same. It replaces recordings; the results say nothing about detection quality.
'use strict';
const fs = require('fs');
const path = require('path');
const b = require('./common.js');
const {generator, tensor} = require('./onnx_writer.js');

const RATE = 16000, WINDOW = 512, CONTEXT = 64, STATE = [2, 1, 128];
const FORMANTS = [[700, 1200, 2600], [300, 2200, 3000], [400, 800, 2500], [500, 1500, 2500]];  // Hz

// Syllables: harmonics of a gliding pitch under three resonances, pauses between them, and noise.
function signal(samples, random) {
  const out = new Float32Array(samples);
  let phase = 0;
  for (let begin = 0; begin < samples;) {
    const length = Math.floor(RATE * (0.08 + 0.3 * random())), voiced = random() < 0.7;
    const pitch = 90 + 160 * random(), glide = 0.7 + 0.6 * random(), loud = 0.02 + 0.3 * random() ** 2;
    const formants = FORMANTS[Math.floor(4 * random())], noise = loud * (voiced ? 0.03 : 0.1 * random());
    for (let i = 0; i < length && begin + i < samples; i++) {
      const f0 = pitch * glide ** (i / length);
      phase += 2 * Math.PI * f0 / RATE;
      let voice = 0;
      for (let h = 1; voiced && h * f0 < 4000; h++) {
        const gain = formants.reduce((sum, f) => sum + 1 / (1 + ((h * f0 - f) / 120) ** 2), 0);
        voice += gain * Math.sin(h * phase) / Math.sqrt(h);
      }
      out[begin + i] = loud * voice * Math.sin(Math.PI * i / length) + noise * (2 * random() - 1);
    }
    begin += length;
  }
  return out;
}

function writeSample(folder, feeds) {
  fs.mkdirSync(folder, {recursive: true});
  feeds.forEach(([name, dims, data], i) => fs.writeFileSync(path.join(folder, `input_${i}.pb`), tensor(name, dims, data)));
}

// Folders test_data_set_* with `count` windows each, in order of time.
async function make(model, folders, count = 256) {
  const ort = require(b.runtime), session = await b.ortSession(model, 1);
  for (const [seed, folder] of Object.values(folders).entries()) {
    const sound = signal(CONTEXT + count * WINDOW, generator(seed));
    let state = new Float32Array(STATE.reduce((x, y) => x * y));
    for (let i = 0; i < count; i++) {
      const window = sound.slice(i * WINDOW, (i + 1) * WINDOW + CONTEXT), rate = BigInt64Array.of(BigInt(RATE));
      writeSample(path.join(folder, 'test_data_set_' + i),
        [['input', [1, window.length], window], ['state', STATE, state], ['sr', [], rate]]);
      const out = await session.run({input: new ort.Tensor('float32', window, [1, window.length]),
        state: new ort.Tensor('float32', state, STATE), sr: new ort.Tensor('int64', rate, [])});
      state = Float32Array.from(out.stateN.data);
    }
  }
}

module.exports = {make};
