/**
 * The verifier in a thread of its own, so that a page stays quick however much is checked. It is told all
 * that it needs, and asks nobody but the page that has started it.
 */
import { checkBundle, readBundle, readFile } from './bundle.ts';
import { Disproof, type StepName } from './disproof.ts';
import type { Passed } from './proof.ts';
import { checkContinued, checkRecord, type Claim, type Known } from './record.ts';

export interface RecordTask {
  kind: 'record';
  claim: Claim;
  known: Known | null;
}

export interface FileTask {
  kind: 'file';
  file: Blob;
  key: string;
}

/** What is to be checked. */
export type Task = RecordTask | FileTask;

/** What the page says: what to check, under its number, or the hashes that were asked for. */
export type Asked = (Task & { number: number }) | { kind: 'growth'; hashes: string[] };

/** Why something does not hold, in a form that goes from thread to thread. */
export interface Fault {
  step: StepName;
  why: string;
}

/** How far the check of a file has come. */
export interface Progress {
  total: number;
  checked: number;
  /** How many do not hold, and the first of them. */
  failed: number;
  listed: (Fault & { index: string })[];
  isOwnKey: boolean;
}

/** What a check tells, in its order; the last of it is `holds`, `checked`, `fails` or `broken`. */
export type News =
  | { kind: 'passed'; passed: Passed }
  | { kind: 'grow'; since: bigint; until: bigint }
  | { kind: 'progress'; progress: Progress }
  | { kind: 'holds'; known: Known }
  | { kind: 'checked' }
  | ({ kind: 'fails' } & Fault)
  | { kind: 'broken'; why: string };

/** What is told, and of which check. */
export type Told = News & { number: number };

/** So many that do not hold are listed; the rest is counted. */
const MOST_LISTED = 50;
/** Told after so many. */
const STRIDE = 20;

/** The check that is under way: a later one takes its place. */
let latest = 0;
let grown: (hashes: string[]) => void = () => undefined;

globalThis.addEventListener('message', ({ data }: MessageEvent<Asked>) => {
  if (data.kind === 'growth') return grown(data.hashes);
  latest = data.number;
  void run(data);
});

async function run(task: Task & { number: number }) {
  const tell = (news: News) => {
    if (task.number === latest)
      globalThis.postMessage({ ...news, number: task.number } satisfies Told);
  };
  try {
    await (task.kind === 'record' ? checkOne(task, tell) : checkAll(task, tell));
  } catch (error) {
    if (error instanceof Disproof) tell({ kind: 'fails', step: error.step, why: error.message });
    else tell({ kind: 'broken', why: error instanceof Error ? error.message : String(error) });
  }
}

type Tell = (news: News) => void;

async function checkOne({ claim, known }: RecordTask, tell: Tell) {
  const passing = (passed: Passed) => tell({ kind: 'passed', passed });
  const proven = await drain(checkRecord(claim), passing);
  const grow = (since: bigint, until: bigint) =>
    new Promise<string[]>((resolve) => {
      grown = resolve;
      tell({ kind: 'grow', since, until });
    });
  tell({ kind: 'holds', known: await drain(checkContinued(proven, known, grow), passing) });
}

async function checkAll({ number, file, key: given }: FileTask & { number: number }, tell: Tell) {
  const bundle = readBundle(await readFile(file));
  const isOwnKey = given.trim() === '' && bundle.key !== null;
  const key = isOwnKey ? (bundle.key ?? '') : given;
  if (key.trim() === '') throw new Disproof('key', 'give the key of its log');
  const progress: Progress = {
    total: bundle.claims.length,
    checked: 0,
    failed: 0,
    listed: [],
    isOwnKey,
  };
  for await (const { index, disproof } of checkBundle(bundle, key)) {
    if (number !== latest) return;
    progress.checked += 1;
    if (disproof) {
      progress.failed += 1;
      const { step, message: why } = disproof;
      if (progress.failed <= MOST_LISTED) progress.listed.push({ index, step, why });
    }
    if (progress.checked % STRIDE === 0) tell({ kind: 'progress', progress });
  }
  tell({ kind: 'progress', progress });
  tell({ kind: 'checked' });
}

async function drain<Step, Result>(
  steps: AsyncGenerator<Step, Result>,
  each: (step: Step) => void,
): Promise<Result> {
  let step = await steps.next();
  for (; !step.done; step = await steps.next()) each(step.value);
  return step.value;
}
