// Prints what a browser has to fetch, compressed, and fails where that is too much.
import { readFileSync, rmSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const KIB = 1024;
const FIRST_LOAD = 300 * KIB;
const CHUNK = 60 * KIB;

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
let heaviest = 0;
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry) continue;
  const files = new Set();
  visit(key, files);
  const own = [...files].filter((file) => !first.has(file));
  const bytes = own.reduce((sum, file) => sum + size(file), 0);
  heaviest = Math.max(heaviest, bytes);
  console.log(`${kib(bytes)}  on demand: ${chunk.file} (${own.length} files)`);
  if (bytes > CHUNK) bad += 1;
}
console.log(`${kib(total + heaviest)}  first load (limit ${kib(FIRST_LOAD).trim()}), gzip`);
if (total + heaviest > FIRST_LOAD) bad += 1;
// It is for this script, not for browsers.
rmSync(new URL('.vite', dist), { recursive: true });
if (bad > 0) {
  console.error('The console is too large: see the limits in build/sizes.mjs.');
  process.exit(1);
}
