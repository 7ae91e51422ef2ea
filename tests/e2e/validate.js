'use strict';
// Checks documents with validators from npm.
//   node validate.js JOBS.json   with [{schema: FILE, document: FILE, closed: bool}, ...]
// prints one line for each: "ok", or what is wrong. `closed`: keys that the schema does not name are wrong, too.
const fs = require('fs');
const Ajv = require('ajv/dist/2020');

// The schema with additionalProperties: false wherever it lists properties.
function close(schema) {
  if (Array.isArray(schema)) return schema.map(close);
  if (schema === null || typeof schema !== 'object') return schema;
  const closed = {};
  for (const [key, value] of Object.entries(schema))
    closed[key] = key === 'enum' || key === 'const' ? value : close(value);
  if (schema.properties && typeof schema.properties === 'object' && !('additionalProperties' in schema) && schema.type === 'object')
    closed.additionalProperties = false;
  return closed;
}

const compiled = new Map();
function compile(job) {
  const text = fs.readFileSync(job.schema, 'utf8');
  const key = text + job.closed;
  if (!compiled.has(key)) {
    const schema = JSON.parse(text);
    // strict: keywords that ajv does not know, and such that can have no effect, are errors of the schema.
    const ajv = new Ajv({strict: true, strictRequired: true, allowUnionTypes: true, allErrors: true});
    compiled.set(key, {ajv, validate: ajv.compile(job.closed ? close(schema) : schema)});
  }
  return compiled.get(key);
}

for (const job of JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))) {
  try {
    const {ajv, validate} = compile(job);
    const document = JSON.parse(fs.readFileSync(job.document, 'utf8'));
    console.log(validate(document) ? 'ok' : ajv.errorsText(validate.errors).replace(/\s+/g, ' '));
  } catch (error) {
    console.log('error: ' + String(error.message).replace(/\s+/g, ' '));
  }
}
