/** The log of an invented installation: with real hashes and signatures, or nothing could be verified. */
import type { Schemas } from '../src/api/client.ts';
import { join, toBase64, utf8 } from '../src/verify/bytes.ts';
import { sha256 } from '../src/verify/crypto.ts';
import { type Hash, leafHash, rootOf } from '../src/verify/merkle.ts';
import type { World } from './world.ts';

const NAME = 'ostiary';
const WORKSPACE = '00000000-0000-4000-8000-000000000001';
const ORIGIN = `${NAME}/${WORKSPACE}`;
const KINDS = ['intent', 'outcome', 'admin', 'system'];
const ED25519 = Uint8Array.of(1);

/** One for all worlds of this process. */
const signing = crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']);

/** As a verifier is given it. */
export async function verifierKey(): Promise<string> {
  return `${NAME}+${hex(await keyId(NAME))}+${toBase64(join(ED25519, await publicKey()))}`;
}

export async function checkpointOf(world: World): Promise<string> {
  return signed(world.records.length, await rootOf(await leavesOf(world)));
}

export async function proofOf(world: World, index: number): Promise<string> {
  const leaves = await leavesOf(world);
  const path = (await pathTo(leaves, index)).map((hash) => `${toBase64(hash)}\n`);
  const record = world.records[index];
  const entry = record ? toBase64(entryOf(record)) : '';
  const head = await signed(leaves.length, await rootOf(leaves));
  return `c2sp.org/tlog-proof@v1\nextra ${entry}\nindex ${index}\n${path.join('')}\n${head}`;
}

/** The hashes between two sizes (RFC 6962, section 2.1.2). */
export async function growthOf(world: World, since: number, until: number): Promise<string[]> {
  if (since === 0 || since >= until || until > world.records.length) return [];
  const leaves = (await leavesOf(world)).slice(0, until);
  return (await growth(leaves, since, true)).map(toBase64);
}

function leavesOf(world: World): Promise<Hash[]> {
  return Promise.all(world.records.map((it) => leafHash(entryOf(it))));
}

function entryOf(record: Schemas['RecordBody']): Uint8Array<ArrayBuffer> {
  const head = new DataView(new ArrayBuffer(36));
  head.setUint8(0, 1);
  head.setUint8(1, KINDS.indexOf(record.kind) + 1);
  for (const [place, pair] of [...WORKSPACE.replaceAll('-', '').matchAll(/../g)].entries()) {
    head.setUint8(4 + place, Number.parseInt(pair[0], 16));
  }
  head.setBigInt64(20, BigInt(Date.parse(record.time)));
  head.setBigUint64(28, BigInt(record.sequence));
  return join(new Uint8Array(head.buffer), utf8(JSON.stringify(record.record)));
}

async function pathTo(leaves: Hash[], index: number): Promise<Hash[]> {
  if (leaves.length < 2) return [];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split
    ? [...(await pathTo(left, index)), await rootOf(right)]
    : [...(await pathTo(right, index - split)), await rootOf(left)];
}

async function growth(leaves: Hash[], old: number, isKnown: boolean): Promise<Hash[]> {
  if (old === leaves.length) return isKnown ? [] : [await rootOf(leaves)];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return old <= split
    ? [...(await growth(left, old, isKnown)), await rootOf(right)]
    : [...(await growth(right, old - split, false)), await rootOf(left)];
}

function splitOf(length: number): number {
  let split = 1;
  while (split * 2 < length) split *= 2;
  return split;
}

async function signed(size: number, root: Hash): Promise<string> {
  const body = `${ORIGIN}\n${size}\n${toBase64(root)}\n`;
  const { privateKey } = await signing;
  const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, utf8(body)));
  return `${body}\n\u2014 ${ORIGIN} ${toBase64(join(await keyId(ORIGIN), signature))}\n`;
}

async function keyId(name: string): Promise<Uint8Array> {
  return (await sha256(join(utf8(`${name}\n`), ED25519, await publicKey()))).slice(0, 4);
}

async function publicKey(): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey('raw', (await signing).publicKey));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
