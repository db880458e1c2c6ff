/**
 * Files that hold records with their proofs: a `.tlog-proof`, or an export, which is a line of JSON about
 * the log and then one for each record.
 */
import { Disproof } from './disproof.ts';
import type { Shown } from './entry.ts';
import { checkRecord, type Claim } from './record.ts';

/** What became of one of them. */
export interface Verdict {
  /** Its place in the log, as the file says. */
  index: string;
  /** Absent where it holds. */
  disproof?: Disproof;
}

/** The first line of an export. */
export interface ExportHead {
  form: typeof EXPORT_FORM;
  key: string;
  checkpoint: string;
}

export interface Bundle {
  /** The key that the file names. It proves nothing, but shows which one is meant. */
  key: string | null;
  claims: { index: string; proof: string; shown: Shown | undefined }[];
}

export const EXPORT_FORM = 'ostiary-records@v1';
/** A file that is larger is not one of ours. */
const MOST_FILE_BYTES = 64 * 1024 * 1024;

/** The text of a file, as it stands there: a mark at its beginning is no part of the form. */
export async function readFile(file: Blob): Promise<string> {
  if (file.size > MOST_FILE_BYTES) throw new Error('it is too large');
  const bytes = await file.arrayBuffer();
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Disproof('form', 'the file is not UTF-8');
  }
}

export function readBundle(text: string): Bundle {
  if (!text.startsWith('{')) {
    const index = /^index (\d+)$/m.exec(text)?.[1] ?? '?';
    return { key: null, claims: [{ index, proof: text, shown: undefined }] };
  }
  const [first = '', ...lines] = text.trimEnd().split('\n');
  const head = readLine(first);
  if (head['form'] !== EXPORT_FORM || typeof head['key'] !== 'string') {
    throw new Disproof('form', 'this is neither a proof nor an export of records');
  }
  const claims = lines.map((line) => {
    const { proof, ...shown } = readLine(line);
    const index = typeof shown['index'] === 'number' ? String(shown['index']) : '?';
    if (typeof proof !== 'string')
      throw new Disproof('form', `record ${index} has no proof with it`);
    return { index, proof, shown: shown as unknown as Shown };
  });
  if (claims.length === 0) throw new Disproof('form', 'the export holds no record');
  return { key: head['key'], claims };
}

/** Checks one after the other; whoever asks can draw in between. */
export async function* checkBundle(bundle: Bundle, key: string): AsyncGenerator<Verdict> {
  for (const { index, proof, shown } of bundle.claims) {
    yield { index, ...(await disproofOf({ proof, key, shown })) };
  }
}

async function disproofOf(claim: Claim): Promise<{ disproof?: Disproof }> {
  try {
    const steps = checkRecord(claim);
    while (!(await steps.next()).done);
    return {};
  } catch (error) {
    if (error instanceof Disproof) return { disproof: error };
    throw error;
  }
}

function readLine(line: string): Record<string, unknown> {
  try {
    const read: unknown = JSON.parse(line);
    if (typeof read === 'object' && read !== null) return read as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new Disproof('form', 'a line of the file is no JSON object');
}
