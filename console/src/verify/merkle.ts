/** Merkle trees of RFC 6962, section 2.1, as its text says; proofs are checked as in RFC 9162. */
import { areEqual, join } from './bytes.ts';
import { sha256 } from './crypto.ts';

export type Hash = Uint8Array<ArrayBuffer>;

/** A tree as far as a checkpoint tells. */
export interface Head {
  size: bigint;
  root: Hash;
}

/** Why a path does not lead from here to there; `null` where it does. */
export type Fault = string | null;

export function leafHash(entry: Uint8Array): Promise<Hash> {
  return sha256(join(LEAF, entry));
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Promise<Hash> {
  return sha256(join(NODE, left, right));
}

/** The root of a tree, from nothing but its leaves. */
export async function rootOf(leaves: readonly Hash[]): Promise<Hash> {
  const [first] = leaves;
  if (first === undefined) return sha256(new Uint8Array());
  if (leaves.length === 1) return first;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(await rootOf(leaves.slice(0, split)), await rootOf(leaves.slice(split)));
}

/** Whether the leaf stands at `index` of the tree (RFC 9162, section 2.1.3.2). */
export async function checkInclusion(
  leaf: Hash,
  index: bigint,
  path: readonly Hash[],
  { size, root }: Head,
): Promise<Fault> {
  if (index >= size) return `there is no place ${index} in a tree of ${size}`;
  let place = index;
  let last = size - 1n;
  let hash = leaf;
  for (const step of path) {
    if (last === 0n) return 'the path is too long for this place';
    if (isOdd(place) || place === last) {
      hash = await nodeHash(step, hash);
      // An edge on the right without a sibling goes up until it has one.
      while (!isOdd(place) && place !== 0n) {
        place >>= 1n;
        last >>= 1n;
      }
    } else {
      hash = await nodeHash(hash, step);
    }
    place >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) return 'the path is too short for this place';
  return areEqual(hash, root) ? null : 'the path leads to another root than the signed one';
}

/** Whether the newer tree begins with all of the older one (RFC 9162, section 2.1.4.2). */
export async function checkConsistency(
  old: Head,
  young: Head,
  path: readonly Hash[],
): Promise<Fault> {
  if (old.size > young.size) return `the log has shrunk from ${old.size} to ${young.size} entries`;
  if (old.size === 0n || old.size === young.size) {
    if (path.length > 0) return 'the path is too long';
    const expected = old.size === 0n ? await rootOf([]) : young.root;
    return areEqual(old.root, expected) ? null : 'the roots are not those of one log';
  }
  let place = old.size - 1n;
  let last = young.size - 1n;
  while (isOdd(place)) {
    place >>= 1n;
    last >>= 1n;
  }
  // A tree that is whole is a node of the newer one, and not repeated in the path.
  const isWhole = (old.size & (old.size - 1n)) === 0n;
  const [first, ...steps] = isWhole ? [old.root, ...path] : path;
  if (first === undefined) return 'the path is too short';
  let oldHash = first;
  let youngHash = first;
  for (const step of steps) {
    if (last === 0n) return 'the path is too long';
    if (isOdd(place) || place === last) {
      oldHash = await nodeHash(step, oldHash);
      youngHash = await nodeHash(step, youngHash);
      while (!isOdd(place) && place !== 0n) {
        place >>= 1n;
        last >>= 1n;
      }
    } else {
      youngHash = await nodeHash(youngHash, step);
    }
    place >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) return 'the path is too short';
  if (!areEqual(oldHash, old.root)) return 'the path begins at another root than the older one';
  return areEqual(youngHash, young.root)
    ? null
    : 'the path leads to another root than the newer one';
}

function isOdd(number: bigint): boolean {
  return (number & 1n) === 1n;
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
