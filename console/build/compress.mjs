// Writes each file of the build once more in the forms that browsers take, which the gateway sends as they are.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const TEXTS = /\.(css|html|js|svg)$/;

const dist = new URL('../dist/', import.meta.url);
for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (!TEXTS.test(name)) continue;
  const file = new URL(name, dist);
  const text = readFileSync(file);
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: text.length };
  const forms = { br: brotliCompressSync(text, { params }), gz: gzipSync(text, { level: 9 }) };
  for (const [end, bytes] of Object.entries(forms)) {
    if (bytes.length < text.length) writeFileSync(`${file.pathname}.${end}`, bytes);
  }
}
