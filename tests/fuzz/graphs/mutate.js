// Makes one thing wrong, or unusual, in a valid graph.
'use strict';

const NUMBERS = [0, 1, 2, 3, 4, 5, 7, -1, -2, -3, 8, 16, 100];

// The meaning of numbers other than 0 and 1 is not specified here.
const FLAGS = new Set(['keepdims', 'largest', 'sorted', 'interleaved', 'exclusive', 'reverse', 'fmod', 'upper', 'select_last_index', 'linear_before_reset']);

const changes = [
  // an attribute
  (g, r) => {
    const node = r.pick(g.nodes), names = Object.keys(node.attributes);
    if (!names.length) return '';
    const name = r.pick(names), value = node.attributes[name];
    if (FLAGS.has(name)) node.attributes[name] = 1 - value;
    else if (name === 'to') node.attributes[name] = r.pick([1, 3, 6, 7, 9, 11, 14, 40]);
    else if (typeof value === 'number') node.attributes[name] = r.pick(NUMBERS);
    else if (Array.isArray(value) && value.length && typeof value[0] === 'number') {
      const list = [...value], how = r.below(3);
      if (how === 0) list.pop();
      else if (how === 1) list.push(r.pick(NUMBERS));
      else list[r.below(list.length)] = r.pick(NUMBERS);
      node.attributes[name] = list;
    } else return '';
    return `${node.op} ${name}=${JSON.stringify(node.attributes[name])}`;
  },
  (g, r) => {
    const node = r.pick(g.nodes), names = Object.keys(node.attributes);
    if (!names.length) return '';
    const name = r.pick(names);
    delete node.attributes[name];
    return `${node.op} without ${name}`;
  },
  // an input: another value, or none
  (g, r) => {
    const node = r.pick(g.nodes), made = g.nodes.indexOf(node), later = new Set(g.nodes.slice(made).flatMap(n => n.outputs));
    const others = [...g.values, ...g.initializers].filter(v => !later.has(v.name));
    if (!node.inputs.length || !others.length) return '';
    const i = r.below(node.inputs.length);
    node.inputs[i] = r.pick(others).name;
    return `${node.op} input ${i} = ${node.inputs[i]}`;
  },
  (g, r) => {
    const node = r.pick(g.nodes);
    if (node.inputs.length < 2) return '';
    node.inputs.pop();
    return `${node.op} without its last input`;
  },
  // numbers of a constant
  (g, r) => {
    const ints = g.initializers.filter(t => t.type === 'int64' && t.data.length);
    if (!ints.length) return '';
    const t = r.pick(ints), i = r.below(t.data.length);
    t.data[i] = r.pick(NUMBERS);
    return `${t.name}[${i}] = ${t.data[i]}`;
  },
  // the shape of a constant or of an input
  (g, r) => {
    const all = [...g.initializers, ...g.inputs].filter(t => t.shape.length);
    if (!all.length) return '';
    const t = r.pick(all), old = t.shape.join();
    const shape = [...t.shape];
    if (r.chance(0.5)) shape[r.below(shape.length)] = r.pick([0, 1, 2, 3, 5]);
    else if (r.chance(0.5)) shape.unshift(1);
    else shape.pop();
    const size = shape.reduce((a, b) => a * b, 1), data = Array.from({length: size}, (_, i) => (t.data.length ? t.data[i % t.data.length] : 1));
    Object.assign(t, {shape, data});
    return `${t.name} of [${shape}], not [${old}]`;
  },
];

// Changes the graph in place; returns the change.
function mutate(g) {
  for (let attempt = 0; attempt < 10; attempt++) {
    const what = g.random.pick(changes)(g, g.random);
    if (what) return what;
  }
  return '';
}

module.exports = {mutate};
