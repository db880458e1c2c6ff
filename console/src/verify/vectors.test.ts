/** The vectors that the gateway's own verifier is tested with, and that it has written. */
import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { fromBase64, toHex } from './bytes.ts';
import { Disproof, type StepName } from './disproof.ts';
import { checkConsistency, type Hash, leafHash, nodeHash, rootOf } from './merkle.ts';
import { readKey } from './note.ts';
import { checkProof, readProof } from './proof.ts';

interface Vectors {
  verifier_key: string;
  proofs: { name: string; proof: string; entry_hex?: string; fails?: StepName; key?: string }[];
  consistency: {
    name: string;
    valid: boolean;
    old: { size: number; root: string };
    new: { size: number; root: string };
    path: string[];
  }[];
}

interface Tree {
  leaf_hash_of_0_hex: string;
  node_hash_of_0_and_1_hex: string;
  roots: { size: number; root_hex: string }[];
}

const vectors = load('proofs.json') as Vectors;
const tree = load('tree.json') as Tree;

test.each(vectors.proofs)('$name', async ({ proof, entry_hex, fails, key }) => {
  const found = await entryOrStep(proof, key ?? vectors.verifier_key);
  expect(found).toBe(fails ?? entry_hex);
});

test.each(vectors.consistency)('$name', async ({ valid, old, new: young, path }) => {
  const head = (it: { size: number; root: string }) => ({
    size: BigInt(it.size),
    root: hash(it.root),
  });
  const fault = await checkConsistency(head(old), head(young), path.map(hash));
  expect(fault === null).toBe(valid);
});

test('roots of all sizes', async () => {
  // Larger ones are in the proofs; here each of their leaves would have to be hashed.
  const sizes = tree.roots.filter((it) => it.size <= 1_000);
  const largest = Math.max(...sizes.map((it) => it.size));
  const leaves: Hash[] = [];
  for (let index = 0; index < largest; index += 1) {
    leaves.push(await leafHash(new TextEncoder().encode(String(index))));
  }
  const [first, second] = leaves;
  if (!first || !second) throw new Error('no leaves');
  expect(toHex(first)).toBe(tree.leaf_hash_of_0_hex);
  expect(toHex(await nodeHash(first, second))).toBe(tree.node_hash_of_0_and_1_hex);
  for (const { size, root_hex } of sizes) {
    expect([size, toHex(await rootOf(leaves.slice(0, size)))]).toEqual([size, root_hex]);
  }
});

test('there are enough of them, of each kind', () => {
  const failing = (step: StepName) => vectors.proofs.filter((it) => it.fails === step).length;
  for (const step of ['form', 'key', 'signature', 'inclusion'] as const) {
    expect(failing(step)).toBeGreaterThan(4);
  }
  expect(vectors.proofs.filter((it) => it.fails === undefined).length).toBeGreaterThan(20);
});

/** What is proved, or at which step it was found not to be. */
async function entryOrStep(text: string, key: string): Promise<string> {
  try {
    const read = await readKey(key);
    const proof = readProof(text);
    const steps = checkProof(proof, read);
    while (!(await steps.next()).done);
    return toHex(proof.entry);
  } catch (error) {
    if (error instanceof Disproof) return error.step;
    throw error;
  }
}

function hash(text: string): Hash {
  const bytes = fromBase64(text);
  if (!bytes) throw new Error(`no hash: ${text}`);
  return bytes;
}

function load(name: string): unknown {
  const file = new URL(`../../../crates/audit/vectors/${name}`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as unknown;
}
