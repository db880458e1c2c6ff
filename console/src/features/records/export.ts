/**
 * What is shown, as a file: records as they came, and with them the checkpoint and, where asked for, the
 * proof of each, so that whoever gets the file can check it. It is bounded by what the page holds.
 */
import { EXPORT_FORM, type ExportHead } from '@/verify/bundle';
import { type Entry, type Row, textOf } from './entry';
import { fetchHead, fetchProof, shownOf } from './verification';

/** Each proof is asked for by itself. */
export const MOST_PROOFS = 500;
/** So many are on their way at once. */
const AT_ONCE = 8;

/** The records of rows, oldest first, each once. */
export function entriesOf(rows: readonly Row[]): Entry[] {
  const entries = rows.flatMap((row) => {
    if (row.type === 'note') return [];
    return row.type === 'act' ? [row.entry] : [row.intent, row.outcome];
  });
  return entries
    .filter((it) => it !== null)
    .toSorted((one, other) => one.sequence - other.sequence);
}

/** A line for each record, after one about the log. */
export async function* ndjson(
  workspace: string,
  entries: readonly Entry[],
  signal: AbortSignal,
): AsyncGenerator<string> {
  yield `${JSON.stringify(await headOf(workspace, signal))}\n`;
  for (const entry of entries) yield `${JSON.stringify(shownOf(entry))}\n`;
}

/** The same with the proof of each. What has no place in the log yet is left out. */
export async function* proved(
  workspace: string,
  entries: readonly Entry[],
  signal: AbortSignal,
): AsyncGenerator<string> {
  yield `${JSON.stringify(await headOf(workspace, signal))}\n`;
  const placed = entries.filter((it) => it.index !== null).slice(-MOST_PROOFS);
  for (let start = 0; start < placed.length; start += AT_ONCE) {
    const some = placed.slice(start, start + AT_ONCE);
    const proofs = some.map((it) => fetchProof(workspace, it.index ?? -1, signal));
    for (const [place, proof] of (await Promise.all(proofs)).entries()) {
      const entry = some[place];
      if (entry) yield `${JSON.stringify({ ...shownOf(entry), proof })}\n`;
    }
  }
}

const COLUMNS = [
  'app_name',
  'user',
  'gateway',
  'server',
  'method',
  'name',
  'end',
  'detail',
  'actor',
  'action',
  'object',
  'object_name',
] as const;

export function* csv(entries: readonly Entry[]): Generator<string> {
  yield `${['index', 'sequence', 'time', 'kind', ...COLUMNS, 'record'].join(',')}\r\n`;
  for (const entry of entries) {
    const { index, sequence, time, kind, record } = shownOf(entry);
    const known = COLUMNS.map((it) => textOf(entry, it));
    const cells = [index ?? '', sequence, time, kind, ...known, JSON.stringify(record)];
    yield `${cells.map((it) => cell(String(it))).join(',')}\r\n`;
  }
}

/** Spreadsheets run what begins like a formula; an apostrophe makes it text. */
export function cell(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** Gathers the lines, a part at a time, and hands them over as a download. */
export async function save(name: string, lines: AsyncIterable<string> | Iterable<string>) {
  const parts: Blob[] = [];
  let part: string[] = [];
  for await (const line of lines) {
    part.push(line);
    if (part.length < LINES_A_PART) continue;
    // Blobs may lie on the disk; strings do not.
    parts.push(new Blob(part));
    part = [];
  }
  const url = URL.createObjectURL(new Blob([...parts, ...part]));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}

async function headOf(workspace: string, signal: AbortSignal): Promise<ExportHead> {
  const { key, checkpoint } = await fetchHead(workspace, {}, signal);
  return { form: EXPORT_FORM, key, checkpoint };
}

const LINES_A_PART = 500;
/** Until a browser has begun to save it. */
const KEPT_MS = 60_000;
