// Models without labels, which are evaluated by the error of their outputs relative to the float
// model, or by perplexity: the flags of `roundel quantize` and `roundel eval` for their data.
// `prepare` makes data that is not stored.
'use strict';
const path = require('path');
const b = require('./common.js');
const voice = require('./voice_data.js');

const images = path.join(b.assets, 'data/imagenet_jpeg'), audio = path.join(b.assets, 'data/audio');
const text = path.join(b.assets, 'data/lm');
const photos = (count, ...flags) => ({
  calib: ['--calib', images, '--names', images + '.calib.txt', '--crop', 'none', ...flags],
  eval: ['--data', images, '--names', images + '.eval.txt', '--count', String(count), '--crop', 'none', ...flags],
});
const folder = name => path.join(b.argument('scratch', require('os').tmpdir()), 'voice', name);

exports.folders = [images, audio, text];
exports.models = {
  // Photos, with and without faces: 4420 boxes and their scores each.
  'ultraface_rfb320': photos(256, '--resize', '240x320', '--mean', '127', '--std', '128'),
  'deeplabv3_mnv2_257': photos(48, '--resize', '257x257', '--preset', 'tf'),
  // 400 frames of speech, and of the same speech with noise.
  'nsnet2': {
    calib: ['--calib', path.join(audio, 'nsnet2_clean.npy')],
    eval: ['--data', path.join(audio, 'nsnet2_noisy.npy')],
  },
  'silero_vad_16k_op15': {
    prepare: model => voice.make(model, {calib: folder('calib'), eval: folder('eval')}),
    calib: ['--calib', folder('calib')],
    eval: ['--data', folder('eval')],
  },
  'shakespeare_llama': {
    language: true,
    calib: ['--calib', path.join(text, 'calib_ids.npy')],
    eval: ['--data', path.join(text, 'eval_ids.npy'), '--metric', 'perplexity'],
  },
};
