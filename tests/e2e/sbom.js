'use strict';
// node sbom.js FILE: prints "ok" if the file is a CycloneDX 1.5 bill of materials, or what is wrong.
const fs = require('fs');
const path = require('path');
const Ajv = require('ajv');
const addFormats = require('ajv-formats');

const folder = path.join(path.dirname(require.resolve('@cyclonedx/cyclonedx-library/package.json')), 'res/schema');
const read = (name) => JSON.parse(fs.readFileSync(path.join(folder, `${name}.SNAPSHOT.schema.json`), 'utf8'));
const spdx = read('spdx');
const ajv = addFormats(new Ajv({strict: false, allErrors: true}));
ajv.addFormat('iri-reference', true);
ajv.addFormat('idn-email', true);
ajv.addSchema(spdx, 'http://cyclonedx.org/schema/spdx.SNAPSHOT.schema.json');
ajv.addSchema(read('jsf-0.82'), 'http://cyclonedx.org/schema/jsf-0.82.SNAPSHOT.schema.json');
const validate = ajv.compile(read('bom-1.5'));
const bom = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
// The schema does not look into expressions of licenses.
const words = bom.components.flatMap((c) => c.licenses).flatMap((l) => (l.expression || '').match(/[^ ()]+/g) || []);
const unknown = words.filter((word) => !['AND', 'OR', 'WITH'].includes(word) && !spdx.enum.includes(word));
if (!validate(bom)) console.log(ajv.errorsText(validate.errors));
else if (unknown.length) console.log('unknown licenses: ' + unknown);
else console.log('ok');
