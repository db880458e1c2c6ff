// Runs the scenarios of the conformance suite for tasks against a server, which need not have
// anything else that the suite asks for.
//
//   node tasks.mjs URL
//
// The last line counts scenarios.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SUITE = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'));

const SCENARIOS = [
  'lifecycle',
  'capability-negotiation',
  'wire-fields',
  'request-state-removal',
  'mrtr-input',
  'request-headers',
  'dispatch-and-envelope',
  'required-task-error',
  'mrtr-composition',
].map((name) => `tasks-${name}`);

const [url] = process.argv.slice(2);
if (!url) {
  console.error('use: tasks.mjs URL');
  process.exit(2);
}

const ended = await Promise.all(SCENARIOS.map(run));
const failed = ended.filter(({ isGood }) => !isGood);
console.log('scenario                        checks');
for (const { name, isGood, checks, output } of ended) {
  console.log(isGood ? `${name.padEnd(31)} ${checks}` : `FAILED ${name} ${checks}\n${output}`);
}
console.log(`${ended.length - failed.length} passed, ${failed.length} failed`);
process.exit(failed.length > 0 ? 1 : 0);

function run(name) {
  const words = ['server', '--url', url, '--scenario', name, '--spec-version', '2026-07-28'];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [SUITE, ...words, '--force'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', reject);
    child.on('close', (code) => {
      const checks = /^Passed: (\d+\/\d+)/m.exec(output)?.[1] ?? 'none';
      resolve({ name, isGood: code === 0 && checks !== 'none', checks, output });
    });
  });
}
