// node bench/models.js DIR [--models resnet50,bert_base,vit_s16]: writes float models of well-known
// shapes with seeded random weights, named dimensions and the nodes that exporters write. Their
// outputs are meaningless, but speed and memory are those of the trained models.
'use strict';
const fs = require('fs');
const path = require('path');
const b = require('./common.js');
const {Graph} = require('./onnx_writer.js');

const ERF_SCALE = Math.SQRT2;

// Half the width of a uniform distribution of weights that keep the variance of their input (gain
// 1), or of an input before a Relu (gain 2).
const spread = (fanIn, gain) => Math.sqrt(3 * gain / fanIn);

// Matrix product with a constant of [from, to], and bias, as exporters write a layer on sequences.
function linear(g, x, name, from, to) {
  const product = g.op('MatMul', [x, g.weight(name + '.weight', [from, to], spread(from, 1))]);
  return g.op('Add', [g.weight(name + '.bias', [to], 0.02), product]);
}

function gemm(g, x, name, from, to, output) {
  g.op('Gemm', [x, g.weight(name + '.weight', [to, from], spread(from, 1)), g.weight(name + '.bias', [to], 0.02)],
    {transB: 1}, [output]);
}

function gelu(g, x) {
  const erf = g.op('Erf', [g.op('Div', [x, g.constant('float', ERF_SCALE)])]);
  const gate = g.op('Add', [erf, g.constant('float', 1)]);
  return g.op('Mul', [g.op('Mul', [x, gate]), g.constant('float', 0.5)]);
}

// Size of one dimension at run time, as a vector of one.
function dimension(g, x, axis) {
  const size = g.op('Gather', [g.op('Shape', [x]), g.constant('int64', axis)], {axis: 0});
  return g.op('Unsqueeze', [size, g.constant('int64', [0])]);
}

// Reshape that reads the first `kept` dimensions of `source` at run time, as traced views do.
function view(g, x, source, kept, tail) {
  const sizes = [];
  for (let axis = 0; axis < kept; axis++) sizes.push(dimension(g, source, axis));
  const shape = g.op('Concat', [...sizes, ...tail.map(d => g.constant('int64', [d]))], {axis: 0});
  return g.op('Reshape', [x, shape]);
}

const RESNET_STAGES = [[64, 3], [128, 4], [256, 6], [512, 3]];  // inner channels, blocks

function convNorm(g, x, name, from, to, kernel, stride, gamma) {
  const weight = g.weight(name + '.conv.weight', [to, from, kernel, kernel], spread(from * kernel * kernel, 2));
  const pad = kernel >> 1;
  const conv = g.op('Conv', [x, weight], {dilations: [1, 1], group: 1, kernel_shape: [kernel, kernel],
    pads: [pad, pad, pad, pad], strides: [stride, stride]});
  const norm = [['weight', 0.1, gamma], ['bias', 0.1, 0], ['running_mean', 0.1, 0], ['running_var', 0.2, 1]]
    .map(([what, width, center]) => g.weight(`${name}.bn.${what}`, [to], width, center));
  return g.op('BatchNormalization', [conv, ...norm], {epsilon: 1e-5, momentum: 0.9});
}

// Version 1.5: the 3x3 convolution carries the stride. The branches end in a small gamma, so that
// the sums over 16 blocks stay in the range of one.
function bottleneck(g, x, name, from, inner, stride) {
  const to = 4 * inner;
  let y = g.op('Relu', [convNorm(g, x, name + '.1', from, inner, 1, 1, 1)]);
  y = g.op('Relu', [convNorm(g, y, name + '.2', inner, inner, 3, stride, 1)]);
  y = convNorm(g, y, name + '.3', inner, to, 1, 1, 0.4);
  const shortcut = from === to ? x : convNorm(g, x, name + '.downsample', from, to, 1, stride, 0.8);
  return g.op('Relu', [g.op('Add', [y, shortcut])]);
}

function resnet50() {
  const g = new Graph('resnet50');
  let x = g.op('Relu', [convNorm(g, g.input('input', 'float', ['batch', 3, 224, 224]), 'stem', 3, 64, 7, 2, 1)]);
  x = g.op('MaxPool', [x], {kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2]});
  let channels = 64;
  RESNET_STAGES.forEach(([inner, blocks], stage) => {
    for (let i = 0; i < blocks; i++) {
      x = bottleneck(g, x, `layer${stage + 1}.${i}`, channels, inner, stage > 0 && i === 0 ? 2 : 1);
      channels = 4 * inner;
    }
  });
  x = g.op('Flatten', [g.op('GlobalAveragePool', [x])], {axis: 1});
  gemm(g, x, 'fc', channels, 1000, 'output');
  g.output('output', 'float', ['batch', 1000]);
  return g;
}

const BERT = {vocabulary: 30522, positions: 512, hidden: 768, heads: 12, inner: 3072, layers: 12};

// LayerNormalization in the nodes of opsets before 17.
function decomposedNorm(g, x, name, width) {
  const centered = g.op('Sub', [x, g.op('ReduceMean', [x], {axes: [-1]})]);
  const variance = g.op('ReduceMean', [g.op('Pow', [centered, g.constant('float', 2)])], {axes: [-1]});
  const deviation = g.op('Sqrt', [g.op('Add', [variance, g.constant('float', 1e-12)])]);
  const normal = g.op('Div', [centered, deviation]);
  const scaled = g.op('Mul', [normal, g.weight(name + '.weight', [width], 0.1, 1)]);
  return g.op('Add', [scaled, g.weight(name + '.bias', [width], 0.1)]);
}

function bertEmbeddings(g, ids, types) {
  const {hidden} = BERT;
  const words = g.op('Gather', [g.weight('word_embeddings', [BERT.vocabulary, hidden], 1), ids]);
  const kinds = g.op('Gather', [g.weight('token_type_embeddings', [2, hidden], 1), types]);
  const all = g.op('Unsqueeze', [g.op('Range', [g.constant('int64', 0),
    g.op('Gather', [g.op('Shape', [ids]), g.constant('int64', 1)], {axis: 0}), g.constant('int64', 1)]),
    g.constant('int64', [0])]);
  const places = g.op('Gather', [g.weight('position_embeddings', [BERT.positions, hidden], 1), all]);
  return decomposedNorm(g, g.op('Add', [g.op('Add', [words, kinds]), places]), 'embeddings.norm', hidden);
}

// The additive mask: 0 where the mask is 1, the lowest float where it is 0.
function bertMask(g, mask) {
  const wide = g.op('Unsqueeze', [g.op('Unsqueeze', [mask, g.constant('int64', [1])]), g.constant('int64', [2])]);
  const hidden = g.op('Sub', [g.constant('float', 1), g.op('Cast', [wide], {to: 1})]);
  return g.op('Mul', [hidden, g.constant('float', -3.4028234663852886e38)]);
}

function bertAttention(g, x, mask, name) {
  const {hidden, heads} = BERT;
  const split = what => view(g, linear(g, x, `${name}.${what}`, hidden, hidden), x, 2, [heads, hidden / heads]);
  const query = g.op('Transpose', [split('query')], {perm: [0, 2, 1, 3]});
  const key = g.op('Transpose', [split('key')], {perm: [0, 2, 3, 1]});
  const value = g.op('Transpose', [split('value')], {perm: [0, 2, 1, 3]});
  const scores = g.op('Div', [g.op('MatMul', [query, key]), g.constant('float', Math.sqrt(hidden / heads))]);
  const shares = g.op('Softmax', [g.op('Add', [scores, mask])], {axis: -1});
  const context = g.op('Transpose', [g.op('MatMul', [shares, value])], {perm: [0, 2, 1, 3]});
  return linear(g, view(g, context, context, 2, [hidden]), name + '.output', hidden, hidden);
}

function bertBase() {
  const g = new Graph('bert_base'), {hidden, inner} = BERT;
  const [ids, kept, types] = ['input_ids', 'attention_mask', 'token_type_ids']
    .map(name => g.input(name, 'int64', ['batch', 'sequence']));
  const mask = bertMask(g, kept);
  let x = bertEmbeddings(g, ids, types);
  for (let i = 0; i < BERT.layers; i++) {
    const name = 'layer.' + i;
    x = decomposedNorm(g, g.op('Add', [bertAttention(g, x, mask, name + '.attention'), x]), name + '.attention.norm', hidden);
    const wide = gelu(g, linear(g, x, name + '.intermediate', hidden, inner));
    x = decomposedNorm(g, g.op('Add', [linear(g, wide, name + '.output', inner, hidden), x]), name + '.norm', hidden);
  }
  g.op('Identity', [x], {}, ['last_hidden_state']);
  g.output('last_hidden_state', 'float', ['batch', 'sequence', hidden]);
  return g;
}

const VIT = {hidden: 384, heads: 6, inner: 1536, layers: 12, side: 14, patch: 16};

function layerNorm(g, x, name) {
  return g.op('LayerNormalization', [x, g.weight(name + '.weight', [VIT.hidden], 0.1, 1),
    g.weight(name + '.bias', [VIT.hidden], 0.1)], {axis: -1, epsilon: 1e-6});
}

// Patches as a sequence, a class token before them, plus positions.
function vitEmbeddings(g, image) {
  const {hidden, patch, side} = VIT;
  const patches = g.op('Conv', [image, g.weight('patch.weight', [hidden, 3, patch, patch], spread(3 * patch * patch, 1)),
    g.weight('patch.bias', [hidden], 0.02)], {kernel_shape: [patch, patch], strides: [patch, patch]});
  const rows = g.op('Transpose', [view(g, patches, patches, 2, [side * side])], {perm: [0, 2, 1]});
  const shape = g.op('Concat', [dimension(g, rows, 0), g.constant('int64', [1]), g.constant('int64', [hidden])], {axis: 0});
  const token = g.op('Expand', [g.weight('cls_token', [1, 1, hidden], 1), shape]);
  return g.op('Add', [g.op('Concat', [token, rows], {axis: 1}),
    g.weight('pos_embed', [1, side * side + 1, hidden], 0.5)]);
}

function vitAttention(g, x, name) {
  const {hidden, heads} = VIT, width = hidden / heads;
  const fused = view(g, linear(g, x, name + '.qkv', hidden, 3 * hidden), x, 2, [3, heads, width]);
  const stacked = g.op('Transpose', [fused], {perm: [2, 0, 3, 1, 4]});
  const [query, key, value] = [0, 1, 2].map(i => g.op('Gather', [stacked, g.constant('int64', i)], {axis: 0}));
  const scaled = g.op('Mul', [query, g.constant('float', 1 / Math.sqrt(width))]);
  const scores = g.op('MatMul', [scaled, g.op('Transpose', [key], {perm: [0, 1, 3, 2]})]);
  const context = g.op('MatMul', [g.op('Softmax', [scores], {axis: -1}), value]);
  const rows = g.op('Transpose', [context], {perm: [0, 2, 1, 3]});
  return linear(g, view(g, rows, x, 2, [hidden]), name + '.proj', hidden, hidden);
}

function vitSmall() {
  const g = new Graph('vit_s16'), {hidden, inner} = VIT;
  let x = vitEmbeddings(g, g.input('input', 'float', ['batch', 3, 224, 224]));
  for (let i = 0; i < VIT.layers; i++) {
    const name = 'blocks.' + i;
    x = g.op('Add', [x, vitAttention(g, layerNorm(g, x, name + '.norm1'), name + '.attn')]);
    const wide = gelu(g, linear(g, layerNorm(g, x, name + '.norm2'), name + '.fc1', hidden, inner));
    x = g.op('Add', [x, linear(g, wide, name + '.fc2', inner, hidden)]);
  }
  const token = g.op('Gather', [layerNorm(g, x, 'norm'), g.constant('int64', 0)], {axis: 1});
  gemm(g, token, 'head', hidden, 1000, 'output');
  g.output('output', 'float', ['batch', 1000]);
  return g;
}

const MODELS = {resnet50, bert_base: bertBase, vit_s16: vitSmall};

// Writes the models of these names to `folder` unless they exist; returns their files.
function writeModels(folder, names) {
  fs.mkdirSync(folder, {recursive: true});
  return names.map(name => {
    const file = path.join(folder, name + '.onnx');
    if (!fs.existsSync(file)) MODELS[name]().write(file, 1 + Object.keys(MODELS).indexOf(name));
    return file;
  });
}

function main() {
  const folder = process.argv[2], names = b.argument('models', Object.keys(MODELS).join(',')).split(',');
  const unknown = names.filter(name => !(name in MODELS));
  if (!folder || folder.startsWith('--') || unknown.length) {
    console.error(unknown.length ? 'no such model: ' + unknown.join(', ') : 'usage: node bench/models.js DIR [--models a,b]');
    process.exit(2);
  }
  for (const file of writeModels(folder, names)) console.log(`${file} ${(fs.statSync(file).size / 1e6).toFixed(1)} MB`);
}
if (require.main === module) main();

module.exports = {writeModels, made: Object.keys(MODELS)};
