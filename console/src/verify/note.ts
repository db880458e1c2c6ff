/**
 * Signed notes and checkpoints (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), and the keys that they
 * are checked with.
 *
 * A gateway signs the logs of all its workspaces with one key. The name of a log is that of the gateway,
 * a slash and the id of the workspace, and the key goes by this name in its signatures.
 */
import { areEqual, fromBase64, fromDecimal, join, utf8 } from './bytes.ts';
import { isSigned, sha256 } from './crypto.ts';
import { Disproof } from './disproof.ts';
import type { Head } from './merkle.ts';

/** A key as its owner spells it: `name+hash+key`. */
export interface Key {
  name: string;
  text: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** A checkpoint that has been read, but not been believed yet. */
export interface Note extends Head {
  origin: string;
  /** What is signed. */
  body: string;
  text: string;
  signatures: { name: string; id: Uint8Array; bytes: Uint8Array<ArrayBuffer> }[];
}

export async function readKey(text: string): Promise<Key> {
  // The key itself is base64 and may hold plus signs; a name may not.
  const found = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/su.exec(text);
  const [name, id, encoded] = [found?.[1] ?? '', found?.[2] ?? '', found?.[3] ?? ''];
  const bytes = fromBase64(encoded);
  if (!isName(name) || bytes?.length !== 33 || bytes[0] !== ED25519) {
    throw new Disproof('key', 'this is no key of the form name+hash+key');
  }
  const key = { name, text, bytes: bytes.slice(1) };
  const named = Array.from(await keyId(key, name), (byte) => byte.toString(16).padStart(2, '0'));
  if (named.join('') !== id) {
    throw new Disproof('key', 'the key is not the one that its hash names');
  }
  return key;
}

export function readNote(text: string): Note {
  if (utf8(text).length > MOST_BYTES) throw bad('it is too long');
  // oxlint-disable-next-line no-control-regex
  if (/[\0-\x09\x0b-\x1f]/.test(text)) throw bad('it holds control characters');
  const blank = text.lastIndexOf('\n\n');
  if (blank < 0 || !text.endsWith('\n')) throw bad('it is cut off');
  const body = text.slice(0, blank + 1);
  const [origin, size, root, end, ...more] = body.split('\n');
  const head = { size: fromDecimal(size ?? ''), root: fromBase64(root ?? '') };
  if (!origin || head.size === null || head.root?.length !== 32 || end !== '' || more.length > 0) {
    throw bad('it has not the three lines origin, size and root');
  }
  const lines = text.slice(blank + 2, -1).split('\n');
  if (lines.length > MOST_SIGNATURES) throw bad('it has too many signatures');
  const signatures = lines.map((line) => {
    const found = /^\u2014 ([^ ]+) ([^ ]+)$/u.exec(line);
    const [name, bytes] = [found?.[1] ?? '', fromBase64(found?.[2] ?? '')];
    if (!isName(name) || !bytes || bytes.length < 5) throw bad('a signature cannot be read');
    return { name, id: bytes.slice(0, 4), bytes: bytes.slice(4) };
  });
  return { origin, size: head.size, root: head.root, body, text, signatures };
}

/** Believes a checkpoint that the key has signed; throws otherwise. */
export async function checkSignature(note: Note, key: Key): Promise<void> {
  const isOfGateway = note.origin === key.name || workspaceOf(note, key) !== null;
  const id = await keyId(key, note.origin);
  const own = note.signatures.filter((it) => it.name === note.origin && areEqual(it.id, id));
  if (!isOfGateway || own.length === 0) {
    throw new Disproof('signature', `this key has not signed the checkpoint of ${note.origin}`);
  }
  for (const { bytes } of own) {
    if (!(await isSigned(key.bytes, bytes, utf8(note.body)))) {
      throw new Disproof('signature', 'the signature is not one of this key for this checkpoint');
    }
  }
}

/** The workspace whose log it is: the origin is the name of the key, a slash and an id. */
export function workspaceOf(note: Note, key: Key): string | null {
  if (!note.origin.startsWith(`${key.name}/`)) return null;
  const id = note.origin.slice(key.name.length + 1);
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id : null;
}

/** What people compare: SHA-256 of the 32 bytes of the key, in groups of four digits. */
export async function fingerprintOf(key: Key): Promise<string> {
  const hash = Array.from(await sha256(key.bytes), (it) => it.toString(16).padStart(2, '0'));
  return hash.join('').replaceAll(/(.{4})(?!$)/g, '$1 ');
}

/** The first four bytes of the hash of name, kind and key. */
async function keyId({ bytes }: Key, name: string): Promise<Uint8Array> {
  const named = join(utf8(`${name}\n`), Uint8Array.of(ED25519), bytes);
  return (await sha256(named)).slice(0, 4);
}

function isName(name: string): boolean {
  return name !== '' && !/[+\p{White_Space}\p{Cc}]/u.test(name);
}

function bad(what: string): Disproof {
  return new Disproof('form', `the checkpoint is malformed: ${what}`);
}

const ED25519 = 1;
const MOST_BYTES = 256 * 1024;
const MOST_SIGNATURES = 64;
