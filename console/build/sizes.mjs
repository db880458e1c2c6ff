// Prints what a browser has to fetch, compressed, and fails where that is too much. What browsers do fetch is
// measured by e2e/speed.spec.ts, against the same limits.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const KIB = 1024;
const limits = JSON.parse(readFileSync(new URL('budget.json', import.meta.url), 'utf8'));
const FIRST_LOAD = limits.first_load_kib * KIB;
const CHUNK = limits.chunk_kib * KIB;

const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8'));
const size = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length;
const kib = (bytes) => `${(bytes / KIB).toFixed(1).padStart(7)} KiB`;

// The page, all that it loads at once, and the heaviest page that one may open first.
const first = new Set();
const visit = (key, into) => {
  const chunk = manifest[key];
  for (const file of [chunk.file, ...(chunk.css ?? [])]) into.add(file);
  for (const imported of chunk.imports ?? []) visit(imported, into);
};
visit('index.html', first);

let bad = 0;
let total = 0;
for (const file of [...first].toSorted((a, b) => a.localeCompare(b))) {
  total += size(file);
  console.log(`${kib(size(file))}  ${file}`);
}
const known = new Set(first);
let heaviest = 0;
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry) continue;
  const files = new Set();
  visit(key, files);
  for (const file of files) known.add(file);
  const own = [...files].filter((file) => !first.has(file));
  const bytes = own.reduce((sum, file) => sum + size(file), 0);
  heaviest = Math.max(heaviest, bytes);
  console.log(`${kib(bytes)}  on demand: ${chunk.file} (${own.length} files)`);
  if (bytes > CHUNK) bad += 1;
}
// Threads are no part of any page.
for (const name of readdirSync(new URL('assets', dist))) {
  const file = `assets/${name}`;
  if (!name.endsWith('.js') || known.has(file)) continue;
  console.log(`${kib(size(file))}  on demand: ${file}`);
  if (size(file) > CHUNK) bad += 1;
}
console.log(`${kib(total + heaviest)}  first load (limit ${kib(FIRST_LOAD).trim()}), gzip`);
if (total + heaviest > FIRST_LOAD) bad += 1;
// It is for this script, not for browsers.
rmSync(new URL('.vite', dist), { recursive: true });
if (bad > 0) {
  console.error('The console is too large: see the limits in build/budget.json.');
  process.exit(1);
}
