// node check.mjs FOLDER: holds the dashboards there against Grafana's own schema (@grafana/schema), read strictly,
// and against rules in the manner of grafana/dashboard-linter, by its names. Exit code 1 where something is wrong.
import fs from 'node:fs';
import path from 'node:path';
import Ajv from 'ajv';
import { createGenerator } from 'ts-json-schema-generator';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const schema = createGenerator({
  path: path.join(here, 'types.ts'), tsconfig: path.join(here, 'tsconfig.json'), type: 'Dash', skipTypeCheck: true,
}).createSchema('Dash');
const ajv = new Ajv({ allErrors: true, strict: false });
const validateBoard = ajv.compile(schema);

/** A validator for each kind of panel, so that what is said is about the kind that is meant. */
const kinds = {};
const collect = (node) => {
  if (!node || typeof node !== 'object') return;
  const type = node.properties?.type?.const;
  if (type && node.properties.gridPos) kinds[type] = ajv.compile({ ...node, definitions: schema.definitions });
  Object.values(node).forEach(collect);
};
collect(schema.definitions);

// What the rules would find and why it is right; a rule that finds nothing here any more is said to be idle.
const EXPLAINED = {
  // The objective is a promise over fixed times, whatever the dashboard shows.
  'target-rate-interval-rule': ['Not in time', 'Error budget burnt in an hour'],
  // `increase` over five minutes, so that one event stays visible.
  'target-rate-interval-rule (events)': ['Restarts of the clients', 'Rebalances'],
};

function schemaProblems(board) {
  const say = (place, errors) => (errors ?? []).map((error) =>
    `schema: ${place}${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`);
  const problems = validateBoard({ ...board, panels: [] }) ? [] : say('', validateBoard.errors);
  for (const panel of board.panels) {
    const validate = kinds[panel.type];
    if (!validate) problems.push(`schema: "${panel.title}": no panel of the type ${panel.type}`);
    else if (!validate(panel)) problems.push(...say(`"${panel.title}"`, validate.errors));
  }
  return problems;
}

function boardProblems(board) {
  const problems = [];
  const list = board.templating?.list ?? [];
  if (list[0]?.type !== 'datasource') problems.push('template-datasource-rule: the first variable must be the data source');
  for (const name of ['pipeline', 'instance']) {
    const variable = list.find((found) => found.name === name);
    if (!variable) problems.push(`template-instance-rule: there is no variable ${name}`);
    else if (!variable.multi || variable.allValue !== '.*') problems.push(`template-instance-rule: ${name} must take many, and all as .*`);
    else if (variable.refresh !== 2) problems.push(`template-on-time-change-reload-rule: ${name}`);
  }
  if (board.editable !== false) problems.push('uneditable-dashboard: it is made by code');
  if (!board.tags?.length || !board.refresh || !board.description) problems.push('tags, refresh and description are needed');
  return problems;
}

function panelProblems(panel, others) {
  const problems = [];
  const say = (rule, what) => problems.push([rule, panel.title, what]);
  if (!panel.title || !panel.description) say('panel-title-description-rule', 'a title and a description are needed');
  if (!panel.fieldConfig?.defaults?.unit) say('panel-units-rule', 'there is no unit');
  if (panel.datasource?.uid !== '${datasource}') say('panel-datasource-rule', 'the data source must be the variable');
  if (!panel.targets?.length) say('panel-targets-rule', 'there is no query');
  for (const { expr, datasource, refId } of panel.targets ?? []) {
    if (datasource?.uid !== '${datasource}') say('target-datasource-rule', refId);
    for (const [, call, metric, range] of expr.matchAll(/(rate|irate|increase)\((\w+)\{[^}]*\}\[([^\]]+)\]/g)) {
      if (!/_(total|count|sum|bucket)$/.test(metric)) say('target-counter-agg-rule', `${call}() of ${metric}`);
      if (range !== '$__rate_interval') say('target-rate-interval-rule', `${call}() over ${range}`);
    }
    for (const [, metric, selector] of expr.matchAll(/(pipeline_\w+)\{([^}]*)\}/g)) {
      if (!selector.includes('pipeline=~"$pipeline"')) say('target-pipeline-rule', metric);
      if (/_total$/.test(metric) && !new RegExp(`(rate|increase)\\(${metric}`).test(expr)) say('target-counter-agg-rule', `${metric} without rate()`);
    }
    if (/\ble="\d+"/.test(expr)) say('target-bucket-rule', 'Prometheus 3 writes le="1" as le="1.0": name another bound');
  }
  const { x, y, w, h } = panel.gridPos;
  if (x + w > 24) say('grid', 'wider than the grid');
  for (const { title, gridPos: other } of others) {
    if (x < other.x + other.w && other.x < x + w && y < other.y + other.h && other.y < y + h) say('grid', `overlaps ${title}`);
  }
  return problems;
}

const used = new Set();

/** All that is wrong with a dashboard. */
export function problems(board) {
  const found = [...schemaProblems(board), ...boardProblems(board)];
  const all = board.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  if (new Set(all.map((panel) => panel.id)).size !== all.length) found.push('ids of panels are not unique');
  const panels = all.filter((panel) => panel.type !== 'row');
  panels.forEach((panel, index) => {
    for (const [rule, title, what] of panelProblems(panel, panels.slice(index + 1))) {
      const reason = Object.keys(EXPLAINED).find((key) => key.startsWith(rule) && EXPLAINED[key].includes(title));
      if (reason) used.add(`${reason}: ${title}`);
      else found.push(`${rule}: "${title}": ${what}`);
    }
  });
  return found;
}

function main([folder]) {
  const uids = new Set();
  let bad = 0;
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith('.json')).sort()) {
    const board = JSON.parse(fs.readFileSync(path.join(folder, file)));
    const found = problems(board);
    if (!board.uid || uids.has(board.uid)) found.push('the uid is missing or not unique');
    uids.add(board.uid);
    console.log(`${file}: ${board.panels.length} panels and rows, ${found.length ? `${found.length} problems` : 'valid'}`);
    found.forEach((problem) => console.log(`  ${problem}`));
    bad += found.length;
  }
  for (const [reason, titles] of Object.entries(EXPLAINED)) {
    for (const title of titles.filter((name) => !used.has(`${reason}: ${name}`))) {
      console.log(`explained without need: ${reason}: ${title}`);
      bad += 1;
    }
  }
  process.exit(bad ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
