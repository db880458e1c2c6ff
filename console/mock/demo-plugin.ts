/** Makes of the console a demo that needs no gateway: `vite build --mode demo`. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type { Plugin } from 'vite';

const WORKER = 'mockServiceWorker.js';

export function demo(): Plugin {
  return {
    name: 'demo',
    transformIndexHtml: {
      order: 'pre',
      handler: (html) => html.replace('/src/main.tsx', '/mock/demo.ts'),
    },
    generateBundle() {
      const path = createRequire(import.meta.url).resolve(`msw/${WORKER}`);
      this.emitFile({ type: 'asset', fileName: WORKER, source: readFileSync(path) });
    },
  };
}
