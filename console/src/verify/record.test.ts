import { expect, test } from 'vitest';

import { toBase64 } from './bytes.ts';
import { checkBundle, readBundle } from './bundle.ts';
import { Disproof } from './disproof.ts';
import { findDifference, readEntry, type Shown } from './entry.ts';
import { leafHash, nodeHash } from './merkle.ts';
import { checkContinued, checkRecord, type Known, type Proven } from './record.ts';
import { SAMPLE, SAMPLE_KEY } from '@/features/records/sample';

const sample = readBundle(SAMPLE);

test('the tampered sample is found out, with its index and the step', async () => {
  const found: string[] = [];
  for await (const { index, disproof } of checkBundle(sample, SAMPLE_KEY)) {
    found.push(`${index} ${disproof?.step ?? 'holds'}`);
  }
  expect(found).toEqual(['0 holds', '1 holds', '2 holds', '3 inclusion', '4 holds', '5 holds']);
});

test('a page that shows something else than the log holds is found out, member by member', async () => {
  const [claim] = sample.claims;
  if (!claim?.shown) throw new Error('no sample');
  const { shown, proof } = claim;
  const record = shown.record as Record<string, unknown>;
  const lies: [string, Shown][] = [
    ['index', { ...shown, index: 1 }],
    ['index', { ...shown, index: null }],
    ['sequence', { ...shown, sequence: shown.sequence + 1 }],
    ['time', { ...shown, time: '2026-11-18T00:00:00Z' }],
    ['time', { ...shown, time: 'never' }],
    ['clock_suspect', { ...shown, clock_suspect: true }],
    ['kind', { ...shown, kind: 'system' }],
    ['actor', { ...shown, record: { ...record, actor: 'bob' } }],
    ['actor', { ...shown, record: { ...record, actor: ['ann'] } }],
    ['more', { ...shown, record: { ...record, more: 'x' } }],
    ['kind', { ...shown, record: {} }],
    ['record', { ...shown, record: 'text' }],
  ];
  for (const [name, lie] of lies) {
    const steps = checkRecord({ proof, key: SAMPLE_KEY, shown: lie });
    await expect(drained(steps)).rejects.toMatchObject({
      step: 'shown',
      message: `what is shown as ${name} is not in the log`,
    });
  }
  expect((await drained(checkRecord({ proof, key: SAMPLE_KEY, shown }))).proof.index).toBe(0n);
});

test('a record of another workspace is no record of this log', async () => {
  const bytes = await provenEntry();
  bytes.set([0xff], 10);
  expect(readEntry(bytes).workspace).not.toBe(readEntry(await provenEntry()).workspace);
  for (const [at, value] of [
    [0, 2],
    [1, 0],
    [1, 5],
    [2, 2],
    [3, 1],
  ] as const) {
    const bad = await provenEntry();
    bad[at] = value;
    expect(() => readEntry(bad), `byte ${at} = ${value}`).toThrow(Disproof);
  }
  expect(() => readEntry(bytes.slice(0, 35))).toThrow(Disproof);
});

test('members named __proto__ are compared like others', async () => {
  const entry = {
    ...readEntry(await provenEntry()),
    record: JSON.parse('{"__proto__":1}') as unknown,
  };
  const [claim] = sample.claims;
  if (!claim?.shown) throw new Error('no sample');
  expect(findDifference(entry, 0n, { ...claim.shown, record: {} })).toBe('__proto__');
});

test('a log is the one that was seen before, or it is said how not', async () => {
  const proven = await provenAt(0);
  const own: Known = { key: SAMPLE_KEY, checkpoint: proven.proof.note.text };
  expect(await drained(checkContinued(proven, null, none))).toEqual(own);
  expect(await drained(checkContinued(proven, own, none))).toEqual(own);

  const fork = { ...proven, proof: { ...proven.proof, note: { ...proven.proof.note } } };
  fork.proof.note.root = fork.proof.note.root.map((byte) => byte ^ 1);
  await expect(drained(checkContinued(fork, own, none))).rejects.toMatchObject({
    step: 'continued',
    message: 'the roots are not those of one log',
  });

  const grown = { ...proven, proof: { ...proven.proof, note: { ...proven.proof.note } } };
  grown.proof.note.size = 7n;
  const [left, right] = [await leafHash(Uint8Array.of(1)), await leafHash(Uint8Array.of(2))];
  const forged = () => Promise.resolve([toBase64(left), toBase64(right)]);
  await expect(drained(checkContinued(grown, own, forged))).rejects.toMatchObject({
    step: 'continued',
  });
  await expect(drained(checkContinued(grown, own, gibberish))).rejects.toMatchObject({
    step: 'continued',
  });

  const elsewhere = { ...proven, proof: { ...proven.proof, note: { ...proven.proof.note } } };
  elsewhere.proof.note.origin = 'audit.example/00000000-0000-0000-0000-00000000000b';
  await expect(drained(checkContinued(elsewhere, own, none))).rejects.toThrow('another log');

  const other = { ...proven, key: { ...proven.key, bytes: await nodeHash(left, right) } };
  await expect(drained(checkContinued(other, own, none))).rejects.toThrow('another one than');
});

test.each([
  ['', 'this is no proof'],
  ['{}', 'neither a proof nor an export'],
  ['{"form":"ostiary-records@v1","key":"k"}', 'holds no record'],
  ['{"form":"ostiary-records@v1","key":"k"}\n{"index":7}', 'record 7 has no proof'],
  ['{"form":"ostiary-records@v1","key":"k"}\nnull', 'no JSON object'],
])('%s is not verified', async (text, why) => {
  const verdicts: string[] = [];
  try {
    for await (const { disproof } of checkBundle(readBundle(text), SAMPLE_KEY)) {
      verdicts.push(disproof?.message ?? 'holds');
    }
  } catch (error) {
    verdicts.push(String(error));
  }
  expect(verdicts.join()).toContain(why);
});

const none = () => Promise.resolve([]);
const gibberish = () => Promise.resolve(['no hash']);

async function provenAt(place: number): Promise<Proven> {
  const proof = sample.claims[place]?.proof ?? '';
  return drained(checkRecord({ proof, key: SAMPLE_KEY }));
}

async function provenEntry(): Promise<Uint8Array<ArrayBuffer>> {
  return (await provenAt(0)).proof.entry.slice();
}

/** What a check gives at its end. */
async function drained<T>(steps: AsyncGenerator<unknown, T>): Promise<T> {
  for (;;) {
    const step = await steps.next();
    if (step.done) return step.value;
  }
}
