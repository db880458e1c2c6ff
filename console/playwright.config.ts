import { execFileSync } from 'node:child_process';

import { defineConfig } from '@playwright/test';

// Workers read this file again and must find the port that the first reading has chosen: one of two
// that neither a connection takes (from 32768 on Linux) nor what else the tests start.
process.env['E2E_PORT'] ??= String(31_440 + 2 * Math.floor(Math.random() * 660));
const port = Number(process.env['E2E_PORT']);
const vite = 'node node_modules/vite/bin/vite.js';
const preview = `${vite} preview --host 127.0.0.1 --strictPort`;
const url = `http://127.0.0.1:${port}`;
const demo = `http://127.0.0.1:${port + 1}`;
process.env['E2E_DEMO'] = demo;

/** In milliseconds; one of them is built first. */
const STARTING = 300_000;

export default defineConfig({
  testDir: 'e2e',
  // The stories of the binary need one; `make test` names it.
  testIgnore: process.env['OSTIARY_BIN']
    ? []
    : ['accounts.spec.ts', 'binary*.spec.ts', 'explorer.spec.ts'],
  outputDir: 'test-results',
  fullyParallel: true,
  forbidOnly: true,
  workers: 2,
  // Ends what hangs; generous, since other tests may keep the machine busy.
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: 'list',
  use: {
    baseURL: url,
    trace: 'retain-on-failure',
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    launchOptions: {
      executablePath: chromium(),
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  webServer: [
    // What `npm run build` has made, with an invented gateway behind it.
    { command: `${preview} --mode mock --port ${port}`, url, stderr: 'pipe', timeout: STARTING },
    // The demo, which has one in the page.
    {
      command: `${vite} build --mode demo --logLevel warn && ${preview} --mode demo --port ${port + 1}`,
      url: demo,
      stderr: 'pipe',
      timeout: STARTING,
    },
  ],
});

/** The system's; none is downloaded. */
function chromium(): string {
  const given = process.env['CHROMIUM'];
  if (given) return given;
  const find = 'command -v chromium || command -v chromium-browser || command -v google-chrome';
  return execFileSync('sh', ['-c', find], { encoding: 'utf8' }).trim();
}
