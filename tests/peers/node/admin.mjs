// Runs those scenarios of the conformance suite that hold for any server against the gateway's own
// administration, and says in a table what it found.
//
//   node admin.mjs     the gateway is $OSTIARY_BIN
//
// The suite sends no token, so it is told the address of a relay that adds it. The last line counts
// scenarios.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as open } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SUITE = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'));

const SCENARIOS = {
  '2025-06-18': ['server-initialize', 'ping', 'tools-list'],
  '2025-11-25': ['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection'],
  '2026-07-28': [
    'server-stateless',
    'tools-list',
    'dns-rebinding-protection',
    'caching',
    'http-header-validation',
  ],
};

/** Checks that fail, and why. One that passes in spite of standing here counts as failed. */
const DIAGNOSTIC = 'it needs a tool of the suite, which is not among the tools of administration';
const NO_LIST = 'there are neither prompts nor resources, and it does not ask whether there are';
const EXPECTED = {
  'sep-2575-server-rejects-undeclared-capability': DIAGNOSTIC,
  'sep-2575-missing-capability-http-400': DIAGNOSTIC,
  'sep-2575-http-server-no-independent-requests-on-stream': DIAGNOSTIC,
  'sep-2575-server-no-log-without-loglevel': DIAGNOSTIC,
  'sep-2549-prompts-list-caching-hints': NO_LIST,
  'sep-2549-resources-list-caching-hints': NO_LIST,
  'sep-2549-resources-templates-list-caching-hints': NO_LIST,
};

const folder = mkdtempSync(join(tmpdir(), 'admin-'));
const totals = { passed: 0, failed: 0 };
const unseen = new Set(Object.keys(EXPECTED));
const gateway = await started();
const relay = relaying(gateway);
try {
  await new Promise((resolve) => relay.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${relay.address().port}/mcp-admin`;
  console.log('revision     scenario                             checks');
  for (const [revision, names] of Object.entries(SCENARIOS)) {
    for (const name of names) {
      const { failed, checks, output } = await run(url, revision, name);
      const isGood = checks !== 'none' && failed.every((id) => id in EXPECTED);
      totals[isGood ? 'passed' : 'failed'] += 1;
      const row = `${revision}   ${name.padEnd(36)} ${checks}`;
      console.log(isGood ? row : `FAILED ${row}\n${output}`);
      for (const id of failed.filter((id) => unseen.delete(id))) {
        console.log(`    expected: ${id}, since ${EXPECTED[id]}`);
      }
    }
  }
  totals.failed += unseen.size;
  for (const id of unseen) console.log(`FAILED ${id} passes: it is expected not to`);
} finally {
  relay.close();
  gateway.process.kill();
  await gateway.ended;
  rmSync(folder, { recursive: true });
}
console.log(`${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);

/** A gateway of its own, and the token that it prints. */
async function started() {
  const words = ['serve', '--listen', '127.0.0.1:0', '--data', join(folder, 'data')];
  const env = { ...process.env, OSTIARY_MASTER_KEY: randomBytes(32).toString('base64') };
  const child = spawn(process.env.OSTIARY_BIN, words, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('close', resolve));
  let token;
  for await (const line of createInterface({ input: child.stdout })) {
    token ??= /^admin token .*: (\S+)$/.exec(line)?.[1];
    const port = /^listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port) return { process: child, ended, port, token };
  }
  throw new Error('the gateway ended at once');
}

/** Passes everything on as it is, hosts and origins included, but for the token. */
function relaying({ port, token }) {
  return createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, authorization: `Bearer ${token}` };
    const { method, url: path } = incoming;
    const asked = open({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    asked.on('error', () => outgoing.destroy());
    incoming.pipe(asked);
  });
}

/** One scenario, in a process of the suite. */
function run(url, revision, name) {
  const words = ['server', '--url', url, '--scenario', name, '--spec-version', revision, '-o', folder];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [SUITE, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', reject);
    child.on('close', () => {
      const checks = /^Passed: (\d+\/\d+)/m.exec(output)?.[1] ?? 'none';
      // Whoever prints it colours it.
      const plain = output.replaceAll(/\u001b\[\d+m/g, '');
      const failed = [...plain.matchAll(/\[(\S+) *\] FAILURE/g)].map(([, id]) => id);
      resolve({ failed, checks, output });
    });
  });
}
