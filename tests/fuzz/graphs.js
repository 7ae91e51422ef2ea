// node tests/fuzz/graphs.js [--seed S] [--count N] [--minutes M] [--ops A,B] [--mutate P]
//                           [--strict] [--keep DIR]
//
// Runs small random graphs, valid and slightly invalid, in three ways: roundel's plain kernels, its
// fast kernels (fusion, layouts, planned memory), and ONNX Runtime. All must give the same values,
// or an error. Graph number S is the same on every machine. A disagreement is reduced to the first
// value that shows it, printed with its text, and kept in DIR; the covered operators are listed at
// the end. Requires build/dev/tests/graph_runner and tests/e2e/node_modules. Exit code 1 if
// anything disagrees.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const readline = require('readline');
const {fork, spawn} = require('child_process');
const {Graph, isFloat, toText} = require('./graphs/graph.js');
const {mutate} = require('./graphs/mutate.js');
const {disagreement} = require('./graphs/compare.js');
const {readNpy, stored, writeNpy} = require('./graphs/npy.js');
const ops = {...require('./graphs/ops_elementwise.js'), ...require('./graphs/ops_shape.js'), ...require('./graphs/ops_layers.js')};

function argument(name, fallback) {
  const i = process.argv.indexOf('--' + name);
  return i < 0 ? fallback : process.argv[i + 1];
}
const first = +argument('seed', 1), limit = +argument('count', 1e9), minutes = +argument('minutes', 1);
const wanted = argument('ops', '') ? argument('ops').split(',') : Object.keys(ops);
const share = +argument('mutate', 0.15), strict = process.argv.includes('--strict');
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'roundel-graphs-'));
const keep = argument('keep', path.join(os.tmpdir(), 'roundel-graph-failures'));
const RUNNER = process.env.GRAPH_RUNNER || path.join(__dirname, '../../build/dev/tests/graph_runner');
const TIMEOUT = 60000;

// ---- the two runtimes, each in a process that is restarted if it dies

class Runner {
  start() {
    this.child = spawn(RUNNER, {stdio: ['pipe', 'pipe', 'pipe']});
    this.stderr = '';
    this.child.stderr.on('data', d => { this.stderr = (this.stderr + d).slice(-4000); });
    readline.createInterface({input: this.child.stdout}).on('line', line => this.done(JSON.parse(line)));
    this.child.on('exit', (code, signal) => {
      this.child = null;
      if (this.done) this.done({died: `${signal || code} ${this.stderr.trim().split('\n').slice(-3).join(' ')}`});
    });
  }
  run(job) {
    if (!this.child) this.start();
    return within(resolve => {
      this.done = resolve;
      this.child.stdin.write(JSON.stringify(job) + '\n');
    }, () => this.stop());
  }
  stop() {
    this.done = null;
    if (this.child) this.child.kill('SIGKILL');
    this.child = null;
  }
}

class Ort {
  run(message) {
    if (!this.child) {
      this.child = fork(path.join(__dirname, 'ort_worker.js'), {serialization: 'advanced', stdio: ['ignore', 'ignore', 'ignore', 'ipc']});
      this.child.on('message', answer => this.done && this.done(answer));
      this.child.on('exit', () => {
        this.child = null;
        if (this.done) this.done({error: 'ONNX Runtime died'});
      });
    }
    return within(resolve => {
      this.done = resolve;
      this.child.send(message);
    }, () => this.stop());
  }
  stop() {
    this.done = null;
    if (this.child) this.child.kill('SIGKILL');
    this.child = null;
  }
}

function within(begin, stop) {
  return new Promise(resolve => {
    const timer = setTimeout(() => {
      stop();
      resolve({died: 'takes too long', error: 'takes too long'});
    }, TIMEOUT);
    begin(answer => {
      clearTimeout(timer);
      resolve(answer);
    });
  });
}

// ---- one graph

function makeGraph(seed) {
  const g = new Graph(seed), r = g.random, size = r.between(1, 9), names = [];
  while (names.length < size) {
    let made = false;
    for (let attempt = 0; attempt < 20 && !made; attempt++) {
      const name = r.pick(wanted), op = ops[name];
      if ((op.since || 1) > g.opset) continue;
      made = op.add(g);
      if (made) names.push(name);
    }
    if (!made) break;
  }
  const read = new Set(g.nodes.flatMap(n => [...n.inputs, ...(n.captures || [])]));
  const outputs = g.nodes.flatMap(n => n.outputs).filter(o => o && (!read.has(o) || r.chance(0.15))).slice(0, 6);
  g.inputs.forEach(i => { if (r.chance(0.3)) i.declared = i.shape.map((d, axis) => (r.chance(0.5) ? `${i.name}_${axis}` : d)); });
  return {g, names, outputs, mutated: r.chance(share) ? mutate(g) : ''};
}

const runner = new Runner(), ort = new Ort();

// Valid models that ONNX Runtime does not run, or has no kernel for: element types that an operator
// got in a later version or that the runtime omits.
const THEY_CANNOT = /NOT_IMPLEMENTED|Could not find an implementation|not supported|not implemented|does not support|Type Error: Type/i;

// Cases in which roundel accepts more than ONNX Runtime, intentionally: scalars for vectors of one
// element, further ranks, numpy's broadcasting in Einsum, negative padding that SAME gives if the
// stride exceeds the window. Invalid graphs may show more of them; --strict reports those.
const WE_ARE_LENIENT = /is not a graph input, initializer|Indices tensor must have rank|expected to have|padding values must be non-negative|Ellipsis represents incompatible/;
// Cases in which roundel accepts less: axes that are given twice or out of range of an empty value,
// a window that exceeds its padded input, operands that only one of the two may broadcast, unread
// values.
const WE_ARE_STRICT = new RegExp(['is given twice', 'is out of range for', 'exceeds the padded input', 'does not fit the normalized axes', 'does not fit x',
  'or the bias do not fit input', 'is empty$', 'batch index', 'is needed for x', 'time_axis \\d+, batch_axis -?\\d+', 'length -\\d+ of axis'].join('|'));

// In invalid graphs: shapes that ONNX Runtime folds from a declaration, without the invalid
// operator.
const FOLDED_AWAY = /do not broadcast/;

// ONNX Runtime keeps a negative axis when it reduces several axes of an empty tensor.
const reducesNothing = g => g.nodes.some(n => n.op.startsWith('Reduce')) && [...g.inputs, ...g.initializers].some(t => t.shape.includes(0));

// The verdict on the graph with these outputs: {kind, detail}, kind 'agree' or the kind of
// disagreement.
async function judge(g, outputs, mutated = false) {
  const text = toText(g, outputs), files = {text: path.join(scratch, 'g.txt'), model: path.join(scratch, 'g.onnx')};
  fs.writeFileSync(files.text, text);
  const inputs = g.inputs.map((i, k) => {
    const file = path.join(scratch, `input${k}.npy`);
    writeNpy(file, i);
    return file;
  });
  const ours = await runner.run({...files, inputs, outputs: scratch});
  if (ours.died) return {kind: 'CRASH', detail: ours.died};
  if (ours.refused) return {kind: 'no graph', detail: ours.refused};
  const wrong = [ours.plain, ours.fast].find(e => e && e.startsWith('WRONG KIND'));
  if (wrong) return {kind: 'WRONG ERROR', detail: wrong};
  if (Boolean(ours.plain) !== Boolean(ours.fast)) return {kind: 'PLAIN AND FAST DISAGREE', detail: `plain: ${ours.plain}; fast: ${ours.fast}`};
  const results = mode => outputs.map((o, i) => readNpy(path.join(scratch, `${mode}.${i}.npy`)));
  if (!ours.plain) {
    const difference = disagreement(results('fast'), results('plain'), g.float);
    if (difference && difference.nan) return {kind: 'nan here or there', detail: `fast and plain: ${difference.text}`};
    if (difference && !(await fragile(g, outputs, difference))) return {kind: 'FAST IS NOT PLAIN', detail: difference.text};
  }
  const theirs = await askOrt(g, files.model);
  if (theirs.error && /died|too long/.test(theirs.error)) return {kind: 'they die', detail: theirs.error};
  if (ours.plain) return theirs.error ? {kind: 'agree', refused: true} : {kind: WE_ARE_STRICT.test(ours.plain) || (mutated && FOLDED_AWAY.test(ours.plain)) ? 'we are strict' : 'WE REFUSE', detail: ours.plain};
  if (theirs.error)
    return {kind: THEY_CANNOT.test(theirs.error) ? 'they cannot' : WE_ARE_LENIENT.test(theirs.error) || (mutated && !strict) ? 'we are lenient' : 'WE ACCEPT', detail: theirs.error};
  const difference = disagreement(results('fast'), theirs.outputs, g.float);
  if (difference && difference.nan) return {kind: 'nan here or there', detail: difference.text};
  if (difference && difference.size === Infinity && reducesNothing(g)) return {kind: 'nothing has two shapes', detail: difference.text};
  if (difference && !(await fragile(g, outputs, difference, theirs.outputs))) return {kind: 'VALUES DIFFER', detail: difference.text};
  return {kind: difference ? 'fragile' : 'agree'};
}

function askOrt(g, model) {
  return ort.run({model, inputs: g.inputs.map(i => ({name: i.name, type: i.type, shape: i.shape, data: stored(i.type, i.data)}))});
}

// True if a slightly different rounding of the graph's own numbers changes its result by about as
// much: such a graph shows nothing.
async function fragile(g, outputs, difference, before = undefined) {
  const original = before || (await askOrt(g, path.join(scratch, 'g.onnx'))).outputs;
  const again = (await askOrt(g, path.join(scratch, 'g.onnx'))).outputs;
  if (before && again && disagreement(again, before, g.float, 0)) return true;  // they vary
  const after = await shakenOutputs(g, outputs);
  if (!original || !after || !original[difference.index]) return false;
  const change = disagreement([after[difference.index]], [original[difference.index]], g.float, 0);
  return Boolean(change) && change.size * 100 >= difference.size;
}

// The results of ONNX Runtime for the graph with slightly larger or smaller floats. The factors of
// Resize stay exact, and all constants if it still rejects the graph.
async function shakenOutputs(g, outputs) {
  const step = g.float === 'float16' ? 1e-3 : 1e-6;
  const shake = t => (isFloat(t.type) ? {...t, data: t.data.map((v, i) => v * (1 + (i % 2 ? 2 : -3) * step))} : t);
  const exact = new Set(g.nodes.filter(n => n.op === 'Resize').flatMap(n => n.inputs.slice(1)));
  const shakeOthers = t => (exact.has(t.name) ? t : shake(t));
  const model = path.join(scratch, 'shaken.onnx'), text = path.join(scratch, 'shaken.txt');
  for (const initializers of [g.initializers.map(shakeOthers), g.initializers]) {
    const shaken = {...g, inputs: g.inputs.map(shake), initializers};
    fs.writeFileSync(text, toText(shaken, outputs));
    await runner.run({text, model, inputs: [], outputs: scratch});
    const after = (await askOrt(shaken, model)).outputs;
    if (after) return after;
  }
  return null;
}

// The first value of the graph that shows the same disagreement, with the nodes that it needs.
async function reduce({g, outputs, mutated}, kind) {
  for (const name of g.nodes.flatMap(n => n.outputs).filter(o => o)) {
    const verdict = await judge(g, [name], mutated);
    if (verdict.kind === kind) return {outputs: [name], verdict, node: g.nodes.find(n => n.outputs.includes(name))};
  }
  return {outputs, verdict: await judge(g, outputs, mutated), node: null};
}

// ---- all of them

const TROUBLE = /^[A-Z]/;

async function report(seed, made, kind) {
  const {outputs, verdict, node} = await reduce({...made, mutated: made.mutated !== ''}, kind);
  const text = toText(made.g, outputs);
  fs.mkdirSync(keep, {recursive: true});
  fs.writeFileSync(path.join(keep, `${seed}.txt`), `# seed ${seed}: ${verdict.kind}: ${verdict.detail}\n# ${made.mutated}\n${text}`);
  console.log(`seed ${seed}: ${kind}${node ? ' at ' + node.op : ''}${made.mutated ? ` (${made.mutated})` : ''}: ${String(verdict.detail).replace(/\s+/g, ' ').slice(0, 300)}`);
}

async function main() {
  const until = Date.now() + minutes * 60000, tally = {}, covered = new Map();
  let seed = first;
  for (; seed < first + limit && Date.now() < until; seed++) {
    const made = makeGraph(seed);
    if (!made.outputs.length) continue;
    const verdict = await judge(made.g, made.outputs, made.mutated !== '');
    tally[verdict.kind] = (tally[verdict.kind] || 0) + 1;
    if (verdict.refused) tally['of these refused by all'] = (tally['of these refused by all'] || 0) + 1;
    if (verdict.kind === 'agree' && !verdict.refused) made.names.forEach(n => covered.set(n, (covered.get(n) || 0) + 1));
    if (process.env.VERBOSE && verdict.kind !== 'agree') console.log(seed, verdict.kind, made.names.join(' '), verdict.detail);
    if (TROUBLE.test(verdict.kind)) await report(seed, made, verdict.kind);
  }
  console.log(`\nseeds ${first} to ${seed - 1}:`, tally);
  console.log(`covered: ${wanted.filter(n => covered.has(n)).map(n => `${n} ${covered.get(n)}`).join(', ')}`);
  console.log(`never covered: ${wanted.filter(n => !covered.has(n)).join(', ') || 'none'}`);
  runner.stop();
  ort.stop();
  fs.rmSync(scratch, {recursive: true, force: true});
  process.exit(Object.keys(tally).some(kind => TROUBLE.test(kind)) ? 1 : 0);
}
main();
