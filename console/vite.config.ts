import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

import { demo } from './mock/demo-plugin.ts';
import { mockApi } from './mock/plugin.ts';

const csp = readFileSync(new URL('content-security-policy.txt', import.meta.url), 'utf8').trim();

// Whoever shows the demo has a policy of their own, and it starts its worker by a text.
const demoCsp = csp.replace(/; require-trusted-types-for.*/, '');

// `--mode mock` serves an invented gateway under /api, `--mode demo` has one in the page; otherwise a real
// one is asked.
export default defineConfig(({ mode }) => ({
  plugins: [react(), mode === 'mock' && mockApi(), mode === 'demo' && demo()],
  resolve: { alias: { '@': fileURLToPath(new URL('src', import.meta.url)) } },
  build: {
    target: 'es2023',
    outDir: mode === 'demo' ? 'dist-demo' : 'dist',
    // A data URL would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: true,
    rolldownOptions: {
      output: {
        // What changes with every release apart from what does not.
        codeSplitting: {
          groups: [
            { name: 'react', test: /node_modules\/(react|react-dom|scheduler)\// },
            { name: 'mantine', test: /node_modules\/(@mantine|@floating-ui|clsx)/ },
            {
              name: 'tanstack',
              test: /node_modules\/@tanstack\/(?!react-virtual|virtual-core|react-table|table-core)/,
            },
          ],
        },
      },
    },
  },
  // The verifier's thread: a module of our own origin, as the policy wants it.
  worker: { format: 'es' },
  server: { proxy: { '/api': process.env['OSTIARY_URL'] ?? 'http://127.0.0.1:8080' } },
  // As the binary serves it.
  preview: {
    headers: {
      'Content-Security-Policy': mode === 'demo' ? demoCsp : csp,
      'X-Content-Type-Options': 'nosniff',
    },
  },
  test: {
    // Those that need a page say so.
    environment: 'node',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['mock/vitest.ts'],
    // Longer than anything in them may be waited for.
    testTimeout: 60_000,
    css: false,
    restoreMocks: true,
  },
}));
