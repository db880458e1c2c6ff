/** From a record on the page to the signed root of its log, and on to what was seen of the log before. */
import { areEqual, fromBase64 } from './bytes.ts';
import { hasCrypto } from './crypto.ts';
import { Disproof } from './disproof.ts';
import { findDifference, readEntry, type Shown } from './entry.ts';
import { checkConsistency, type Hash } from './merkle.ts';
import {
  checkSignature,
  fingerprintOf,
  type Key,
  type Note,
  readKey,
  readNote,
  workspaceOf,
} from './note.ts';
import { checkProof, type Passed, type Proof, readProof } from './proof.ts';

/** What a reader has kept of a log: the key that signs it, and a checkpoint. */
export interface Known {
  key: string;
  checkpoint: string;
}

/** What is to be checked. */
export interface Claim {
  proof: string;
  /** The key as whoever gives the proof names it. */
  key: string;
  /** What the page shows as the record; without it, only the proof is checked. */
  shown?: Shown | undefined;
}

/** Asks for the hashes between two sizes of the log. */
export type Growth = (since: bigint, until: bigint) => Promise<string[]>;

/** What has been proved. */
export interface Proven {
  proof: Proof;
  key: Key;
}

/** Passes the steps that need nothing but the claim. Throws a `Disproof` where one does not hold. */
export async function* checkRecord(claim: Claim): AsyncGenerator<Passed, Proven> {
  if (!hasCrypto()) {
    throw new Disproof('key', 'browsers check signatures only on pages that came over HTTPS');
  }
  const key = await readKey(claim.key.trim());
  yield { step: 'key', found: await fingerprintOf(key) };
  const proof = readProof(claim.proof);
  yield { step: 'form', found: `record ${proof.index} of ${proof.note.origin}` };
  yield* checkProof(proof, key);
  const entry = readEntry(proof.entry);
  if (entry.workspace !== workspaceOf(proof.note, key)) {
    throw new Disproof('record', 'the entry is of another workspace than the log');
  }
  yield { step: 'record', found: `${entry.kind}, sequence ${entry.sequence}` };
  if (claim.shown) {
    const name = findDifference(entry, proof.index, claim.shown);
    if (name !== null) throw new Disproof('shown', `what is shown as ${name} is not in the log`);
    yield { step: 'shown', found: 'all that is shown is in the log, and nothing is left out' };
  }
  return { proof, key };
}

/**
 * Whether the log is the one that was seen before, grown or as it was. Gives the larger of the two
 * checkpoints, which is the one to remember.
 */
export async function* checkContinued(
  { proof, key }: Proven,
  known: Known | null,
  grow: Growth,
): AsyncGenerator<Passed, Known> {
  const own = { key: key.text, checkpoint: proof.note.text };
  if (!known) {
    yield { step: 'continued', found: 'this browser sees the log for the first time' };
    return own;
  }
  const before = await readKnown(known, key);
  if (before.origin !== proof.note.origin) {
    throw new Disproof('continued', `this browser has seen another log here: ${before.origin}`);
  }
  const isOlder = proof.note.size < before.size;
  const [old, young] = isOlder ? [proof.note, before] : [before, proof.note];
  const isSame = old.size === young.size;
  const path = isSame ? [] : (await grow(old.size, young.size)).map(readHash);
  const fault = await checkConsistency(old, young, path);
  if (fault !== null) throw new Disproof('continued', fault);
  const found = isSame
    ? `the same ${old.size} entries as this browser has seen before`
    : `the first ${old.size} of ${young.size} entries are still what they were`;
  yield { step: 'continued', found };
  return isOlder ? known : own;
}

async function readKnown(known: Known, key: Key): Promise<Note> {
  const before = await readKey(known.key);
  if (!areEqual(before.bytes, key.bytes) || before.name !== key.name) {
    const seen = await fingerprintOf(before);
    throw new Disproof('continued', `the key is another one than this browser has seen: ${seen}`);
  }
  const note = readNote(known.checkpoint);
  await checkSignature(note, before);
  return note;
}

function readHash(text: string): Hash {
  const hash = fromBase64(text);
  if (hash?.length !== 32) throw new Disproof('continued', 'a hash of the path cannot be read');
  return hash;
}
