/**
 * Checks proofs of the form c2sp.org/tlog-proof@v1 whose `extra` line holds the entry.
 *
 * Written from the documents of the format and sharing nothing with the gateway that made the proof: what
 * both believe has been checked twice. It asks nobody, so it works on a machine without a network.
 */
import { fromBase64, fromDecimal, toHex, utf8 } from './bytes.ts';
import { Disproof, type StepName } from './disproof.ts';
import { checkInclusion, type Hash, leafHash } from './merkle.ts';
import { checkSignature, type Key, type Note, readNote } from './note.ts';

/** A proof that has been read, but not been believed yet. */
export interface Proof {
  index: bigint;
  entry: Uint8Array<ArrayBuffer>;
  path: Hash[];
  note: Note;
}

/** A step that has been passed, and what was found. */
export interface Passed {
  step: StepName;
  found: string;
}

export function readProof(text: string): Proof {
  const blank = text.indexOf('\n\n');
  if (utf8(text).length > MOST_BYTES) throw bad('the file is too long for a proof');
  if (blank < 0) throw bad('this is no proof with a checkpoint');
  const [form, extra, place, ...path] = text.slice(0, blank).split('\n');
  if (form !== FORM) throw bad(`this is no file of the form ${FORM}`);
  const entry = extra?.startsWith(EXTRA) ? fromBase64(extra.slice(EXTRA.length)) : null;
  if (!entry) throw bad('the proof does not hold its entry');
  const index = place?.startsWith(INDEX) ? fromDecimal(place.slice(INDEX.length)) : null;
  if (index === null) throw bad('the proof does not say a place');
  const hashes = path.map((line) => {
    const hash = fromBase64(line);
    if (hash?.length !== 32) throw bad('a hash of the path cannot be read');
    return hash;
  });
  return { index, entry, path: hashes, note: readNote(text.slice(blank + 2)) };
}

/** Passes one step after the other; throws a `Disproof` at the first that does not hold. */
export async function* checkProof(
  { index, entry, path, note }: Proof,
  key: Key,
): AsyncGenerator<Passed> {
  await checkSignature(note, key);
  yield { step: 'signature', found: `${note.origin} had ${note.size} entries` };
  const leaf = await leafHash(entry);
  yield { step: 'leaf', found: toHex(leaf) };
  const fault = await checkInclusion(leaf, index, path, note);
  if (fault !== null) throw new Disproof('inclusion', fault);
  yield { step: 'inclusion', found: `${path.length} hashes lead to root ${toHex(note.root)}` };
}

function bad(what: string): Disproof {
  return new Disproof('form', what);
}

const FORM = 'c2sp.org/tlog-proof@v1';
const EXTRA = 'extra ';
const INDEX = 'index ';
const MOST_BYTES = 512 * 1024;
