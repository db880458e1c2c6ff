// Runs the conformance suite against a server and says in a table what it found.
//
//   node suite.mjs URL [--all]
//
// Both sets of requirements are run, each in the suite's own process. What they score is required;
// so are the scenarios of REQUIRED, which the suite runs without scoring them. With `--all` all
// that is run is required. Nothing is expected to fail. The last line counts scenarios.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SETS = ['2025-11-25', '2026-07-28'];

/** Not scored, because they are younger than their set; true of every server all the same. */
const REQUIRED = [
  'http-custom-header-server-validation',
  'http-header-validation',
  'json-schema-2020-12',
  'server-session-lifecycle',
];

const SUITE = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'));

const words = process.argv.slice(2);
const all = words.includes('--all');
const [url] = words.filter((word) => word !== '--all');
if (!url) {
  console.error('use: suite.mjs URL [--all]');
  process.exit(2);
}

const totals = { passed: 0, failed: 0 };
console.log('set          required  passed  failed  checks  not required');
for (const set of SETS) {
  const scenarios = await run(set);
  const required = scenarios.filter(({ isRequired }) => isRequired);
  const failed = required.filter(({ hasPassed }) => !hasPassed);
  const others = scenarios.filter(({ isRequired, hasPassed }) => !isRequired && !hasPassed);
  totals.passed += required.length - failed.length;
  totals.failed += failed.length;
  const checks = scenarios.reduce((sum, { passed }) => sum + passed, 0);
  const cells = [set.padEnd(12), right(required.length, 9), right(required.length - failed.length, 7)];
  cells.push(right(failed.length, 7), right(checks, 7), ` ${others.length} failing`);
  console.log(cells.join(' '));
  for (const { name, problems } of failed) {
    console.log([`  FAILED ${name}`, ...problems].join('\n    '));
  }
  if (others.length > 0) console.log(`  not required: ${others.map(({ name }) => name).join(', ')}`);
  for (const { name, warnings } of required) {
    if (warnings.length > 0) console.log([`  warning ${name}`, ...warnings].join('\n    '));
  }
}
console.log(`${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);

/** The scenarios of a set, in the order of the suite. */
async function run(set) {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    const { code, output } = await suite(['server', '--url', url, '--requirements', set, '-o', folder]);
    const scenarios = summed(output, folder);
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

function suite(words) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [SUITE, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
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
