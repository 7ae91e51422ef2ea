// The classifiers with labeled data: the flags of `roundel quantize` and `roundel eval` for it.
'use strict';
const path = require('path');
const b = require('./common.js');

const images = path.join(b.assets, 'data/imagenet_jpeg'), cifar = path.join(b.assets, 'data/cifar10');
const fashion = path.join(b.assets, 'data/fashion_mnist');
const FASHION = ['--preset', 'zero_one', '--mean', '0.2860', '--std', '0.3530'];
const imagenet = preset => ({
  calib: ['--calib', images, '--names', images + '.calib.txt', '--preset', preset],
  eval: ['--data', images, '--names', images + '.eval.txt', '--labels', images + '.labels.txt', '--preset', preset],
});

exports.folders = [images, cifar, fashion];
exports.models = {
  'mobilenetv2': imagenet('imagenet'),
  'mobilenetv1_0.75': imagenet('tf'),
  'squeezenet1.1': imagenet('imagenet'),
  'cifar10_resnet20': {
    calib: ['--calib', path.join(cifar, 'calib_images_u8.npy'), '--preset', 'imagenet'],
    eval: ['--data', path.join(cifar, 'eval_images_u8.npy'), '--labels', path.join(cifar, 'eval_labels.npy'),
      '--preset', 'imagenet'],
  },
  'fmnist_vit': {
    calib: ['--calib', path.join(fashion, 'calib_images_u8.npy'), ...FASHION],
    eval: ['--data', path.join(fashion, 'eval_images_u8.npy'), '--labels', path.join(fashion, 'eval_labels.npy'), ...FASHION],
  },
};
