// Runs the conformance suite against a server and says in a table what it found.
//
//   node suite.mjs URL [--all] [--leg NAME] [RUN...]
//
// Every run of RUNS, or those that are named, has a process of the suite to itself. What is scored
// is required; so are the scenarios of REQUIRED, which the suite runs without scoring them. With
// `--all` all that is run is required. What is expected to fail on a leg stands in `expected.mjs`
// with its reason; what passes in spite of standing there counts as failed. The last line counts
// scenarios.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { EXPECTED } from './expected.mjs';

/** By what they are called here: the package that runs, and what it is told to. */
const RUNS = {
  // What has been published as the suite's stable version knows nothing later.
  '0.1.16': { suite: 'conformance-stable/dist/index.js', words: [] },
  '2025-06-18': { words: ['--spec-version', '2025-06-18'] },
  '2025-11-25': { words: ['--requirements', '2025-11-25'] },
  '2026-07-28': { words: ['--requirements', '2026-07-28'] },
};

/** Not scored, because they are younger than their set; true of every server all the same. */
const REQUIRED = [
  'http-custom-header-server-validation',
  'http-header-validation',
  'json-schema-2020-12',
  'server-session-lifecycle',
  'server-sse-polling',
];

const SUITE = '@modelcontextprotocol/conformance/dist/index.js';

const { url, all, expected, runs } = parse(process.argv.slice(2));
const totals = { passed: 0, failed: 0 };
console.log('run          required  passed  failed  checks  expected  not required');
for (const name of runs) {
  const scenarios = await run(name);
  const required = scenarios.filter(({ isRequired, isExpected }) => isRequired && !isExpected);
  const failed = required.filter(({ hasPassed }) => !hasPassed);
  const known = scenarios.filter(({ isExpected }) => isExpected);
  const others = scenarios.filter(({ isRequired, isExpected, hasPassed }) => {
    return !isRequired && !isExpected && !hasPassed;
  });
  totals.passed += required.length - failed.length;
  totals.failed += failed.length;
  const checks = scenarios.reduce((sum, { passed }) => sum + passed, 0);
  const cells = [name.padEnd(12), right(required.length, 9), right(required.length - failed.length, 7)];
  cells.push(right(failed.length, 7), right(checks, 7), right(known.length, 9));
  cells.push(` ${others.length} failing`);
  console.log(cells.join(' '));
  for (const { name, problems } of failed) {
    console.log([`  FAILED ${name}`, ...problems].join('\n    '));
  }
  for (const because of new Set(known.flatMap(({ reasons }) => reasons))) {
    const names = known.filter(({ reasons }) => reasons.includes(because)).map(({ name }) => name);
    console.log([`  expected, since ${because}:`, ...names].join('\n    '));
  }
  if (others.length > 0) console.log(`  not required: ${others.map(({ name }) => name).join(', ')}`);
  for (const { name, warnings } of required) {
    if (warnings.length > 0) console.log([`  warning ${name}`, ...warnings].join('\n    '));
  }
}
console.log(`${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);

function parse(words) {
  const at = words.indexOf('--leg');
  const leg = at < 0 ? undefined : words.splice(at, 2)[1];
  const all = words.includes('--all');
  const [url, ...runs] = words.filter((word) => word !== '--all');
  const isKnown = (leg === undefined || leg in EXPECTED) && runs.every((run) => run in RUNS);
  if (url && isKnown) {
    const expected = EXPECTED[leg] ?? {};
    return { url, all, expected, runs: runs.length > 0 ? runs : Object.keys(RUNS) };
  }
  console.error('use: suite.mjs URL [--all] [--leg NAME] [RUN...]');
  process.exit(2);
}

/** The scenarios of a run, in the order of the suite. */
async function run(name) {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    const { suite: program = SUITE, words } = RUNS[name];
    const { code, output } = await suite(program, ['server', '--url', url, ...words, '-o', folder]);
    const scenarios = summed(output, folder).map((scenario) => judged(scenario, name));
    // The suite's own verdict counts too, should its summary ever be read wrongly here.
    const isExplained = scenarios.some(({ isScored, hasPassed }) => isScored && !hasPassed);
    if (code !== 0 && !isExplained) {
      const problems = [`the suite ended with ${code}`, ...output.trimEnd().split('\n').slice(-5)];
      scenarios.push({ name: 'suite', passed: 0, isRequired: true, hasPassed: false, problems, warnings: [] });
    }
    return scenarios;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Compares what has failed with what was expected to. */
function judged(scenario, run) {
  const own = Object.entries(expected)
    .map(([key, { runs, because }]) => ({ key, runs, because, names: key.split(':') }))
    .filter(({ names, runs }) => names[0] === scenario.name && runs.includes(run));
  if (own.length === 0) return scenario;
  const isMeant = ({ names: [, check] }, id) => check === undefined || check === id;
  const stale = own.filter((entry) => !scenario.failed.some((id) => isMeant(entry, id)));
  const isKnown = (id) => own.some((entry) => isMeant(entry, id));
  if (stale.length > 0) {
    const problems = stale.map(({ key }) => `${key} passes: take it out of expected.mjs`);
    return { ...scenario, isRequired: true, hasPassed: false, problems };
  }
  const isExpected = scenario.failed.every(isKnown);
  return { ...scenario, isExpected, reasons: own.map(({ because }) => because) };
}

function suite(program, words) {
  const path = fileURLToPath(import.meta.resolve(program));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

/** Joins the summary that the suite prints with the checks that it wrote into the folder. */
function summed(output, folder) {
  const summary = output.slice(output.lastIndexOf('=== SUMMARY ==='));
  const [scored, unscored = ''] = summary.split('Not scored for');
  const isExtra = (name) => new RegExp(`^ +\\S ${name} \\(`, 'm').test(unscored);
  return [...scored.matchAll(/^\S (\S+): (\d+) passed, (\d+) failed/gm)].map((line) => {
    const [, name, passed, failed] = line;
    const checks = checksOf(name, folder);
    return {
      name,
      passed: Number(passed),
      hasPassed: Number(failed) === 0,
      isScored: !isExtra(name),
      isRequired: all || !isExtra(name) || REQUIRED.includes(name),
      // One that broke off has failed as a whole.
      failed: checks.filter(({ status }) => status === 'FAILURE').map(({ id }) => id),
      problems: described(checks, 'FAILURE'),
      warnings: described(checks, 'WARNING'),
    };
  });
}

function checksOf(name, folder) {
  const own = new RegExp(`^server-${name}-\\d{4}-\\d\\d-\\d\\dT`);
  // A scenario that broke off has a folder without checks.
  return readdirSync(folder)
    .filter((entry) => own.test(entry) && existsSync(join(folder, entry, 'checks.json')))
    .flatMap((entry) => JSON.parse(readFileSync(join(folder, entry, 'checks.json'), 'utf8')));
}

function described(checks, status) {
  return checks
    .filter((check) => check.status === status)
    .map(({ id, errorMessage, description }) => `${id}: ${errorMessage ?? description}`);
}

function right(number, width) {
  return String(number).padStart(width);
}
