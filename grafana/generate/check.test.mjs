// Mistakes of each kind are planted into a good dashboard, and all have to be found.
import assert from 'node:assert';
import fs from 'node:fs';
import test from 'node:test';
import { problems } from './check.mjs';

const good = JSON.parse(fs.readFileSync(new URL('../dashboards/clients.json', import.meta.url)));
const panel = (board) => board.panels.find((found) => found.title === 'Fetch queue');

const MISTAKES = {
  'schema: "Fetch queue"': (board) => { panel(board).fieldConfig.defaults.custom.lineWidth = 'thick'; },
  'schema: "Fetch queue"/options': (board) => { panel(board).options.legnd = {}; },
  'no panel of the type': (board) => { panel(board).type = 'time-series'; },
  'panel-units-rule': (board) => { delete panel(board).fieldConfig.defaults.unit; },
  'panel-title-description-rule': (board) => { panel(board).description = ''; },
  'target-rate-interval-rule': (board) => { panel(board).targets[0].expr = 'rate(pipeline_a_total{pipeline=~"$pipeline"}[5m])'; },
  'target-counter-agg-rule': (board) => { panel(board).targets[0].expr = 'sum(pipeline_a_total{pipeline=~"$pipeline"})'; },
  'target-pipeline-rule': (board) => { panel(board).targets[0].expr = 'sum(pipeline_a{instance="x"})'; },
  'target-bucket-rule': (board) => { panel(board).targets[0].expr = 'rate(pipeline_a_bucket{pipeline=~"$pipeline", le="1"}[$__rate_interval])'; },
  'target-datasource-rule': (board) => { panel(board).targets[0].datasource.uid = 'mine'; },
  'template-datasource-rule': (board) => { board.templating.list.shift(); },
  'ids of panels are not unique': (board) => { board.panels[1].id = board.panels[2].id; },
  overlaps: (board) => { panel(board).gridPos.x = 0; },
};

for (const [said, plant] of Object.entries(MISTAKES)) {
  test(said, () => {
    const board = structuredClone(good);
    plant(board);
    const found = problems(board);
    assert.ok(found.some((problem) => problem.includes(said)), found.join('\n'));
  });
}

test('nothing is said of a good one', () => assert.deepEqual(problems(good), []));
