// Runs the client half of the conformance suite with the gateway as the client, and says in a table
// what it found.
//
//   node clients.mjs     the gateway is $OSTIARY_BIN
//
// Authorization is left out: there the suite's server must be reached by the gateway's own
// credentials, which `ostiary dev` has none of. What is expected to fail stands in `expected.mjs`.
// The last line counts scenarios.

import { spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

import { EXPECTED } from './expected.mjs';

const SUITE = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'));
const CLIENT = fileURLToPath(new URL('through.mjs', import.meta.url));

const SCENARIOS = {
  '2025-11-25': [
    'initialize',
    'tools_call',
    'elicitation-sep1034-client-defaults',
    'sse-retry',
    'json-schema-2020-12-preservation',
  ],
  '2026-07-28': [
    'tools_call',
    'request-metadata',
    'sep-2322-client-request-state',
    'http-standard-headers',
    'http-custom-headers',
    'http-invalid-tool-headers',
    'json-schema-ref-no-deref',
    'json-schema-2020-12-preservation',
  ],
};

const expected = EXPECTED['gateway-as-client'];
const waiting = Object.entries(SCENARIOS).flatMap(([revision, names]) =>
  names.map((name) => ({ revision, name })),
);
const ended = [];
// They mostly wait for processes to start.
await Promise.all(Array.from({ length: Math.max(2, cpus().length) }, work));

const totals = { passed: 0, failed: 0 };
console.log('revision     scenario                             checks');
for (const { revision, name, isGood, checks, output } of sorted(ended)) {
  const reason = expected[name]?.runs.includes(revision) ? expected[name].because : undefined;
  const row = `${revision}   ${name.padEnd(36)} ${checks}`;
  if (reason !== undefined && !isGood) {
    console.log(`${row}\n    expected to fail, since ${reason}`);
    continue;
  }
  const isStale = reason !== undefined && isGood;
  totals[isGood && !isStale ? 'passed' : 'failed'] += 1;
  console.log(isGood ? row : `FAILED ${row}\n${output}`);
  if (isStale) console.log('    FAILED: it passes; take it out of expected.mjs');
}
console.log(`${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);

async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    ended.push({ ...next, ...(await run(next)) });
  }
}

/** One scenario, in a process of the suite. */
function run({ revision, name }) {
  const command = `"${process.execPath}" "${CLIENT}"`;
  const words = ['client', '--command', command, '--scenario', name, '--spec-version', revision];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [SUITE, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', reject);
    child.on('close', (code) => {
      const checks = /^Passed: (\d+\/\d+)/m.exec(output)?.[1] ?? 'none';
      // A scenario that the suite passes over has no checks.
      resolve({ isGood: code === 0 && checks !== 'none', checks, output });
    });
  });
}

function sorted(rows) {
  const order = Object.entries(SCENARIOS).flatMap(([revision, names]) =>
    names.map((name) => `${revision} ${name}`),
  );
  const place = ({ revision, name }) => order.indexOf(`${revision} ${name}`);
  return rows.toSorted((one, other) => place(one) - place(other));
}
