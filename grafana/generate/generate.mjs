// node generate.mjs FOLDER: writes the dashboards there.
import fs from 'node:fs';
import path from 'node:path';
import * as clients from './clients.mjs';
import * as factorial from './factorial.mjs';
import * as load from './load.mjs';
import * as overview from './overview.mjs';
import * as pipeline from './pipeline.mjs';
import * as requests from './requests.mjs';

const [folder] = process.argv.slice(2);
for (const [name, { dashboard }] of Object.entries({ overview, pipeline, requests, factorial, clients, load })) {
  fs.writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(dashboard, null, 2)}\n`);
}
