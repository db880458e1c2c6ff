/** Checks a record of the page: what the gateway says is fetched, and believed only as far as it proves. */
import { useCallback, useEffect, useRef, useState } from 'react';

import { api, take } from '@/api/client';
import { Failure } from '@/api/failure';
import { Disproof, type StepName } from '@/verify/disproof';
import type { Shown } from '@/verify/entry';
import type { Passed } from '@/verify/proof';
import type { Growth } from '@/verify/record';
import { Verifier } from '@/verify/thread';
import type { Entry } from './entry';
import { readRemembered, remember } from './known';

export interface Check {
  state: 'idle' | 'running' | 'holds' | 'fails' | 'unanswered';
  passed: Passed[];
  /** What does not hold. */
  disproof: { step: StepName; why: string } | null;
  /** Why nothing could be checked. */
  failure: Failure | null;
}

export const IDLE: Check = { state: 'idle', passed: [], disproof: null, failure: null };

/** In the order in which they are passed, and what each of them means. */
export const STEPS: Record<StepName, string> = {
  key: 'The key that signs this log',
  form: 'The proof is in its form',
  signature: 'The key has signed the checkpoint',
  leaf: 'The bytes of the record make the leaf',
  inclusion: 'The leaf stands at its place under the signed root',
  record: 'The leaf is a record of this log',
  shown: 'What is shown here is what stands there',
  continued: 'The log is the one that was seen before',
};

/** Checks one record at a time; another call begins anew. */
export function useCheck(workspace: string, entry: Entry): [Check, () => void] {
  const [check, setCheck] = useState(IDLE);
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const begin = useCallback(() => {
    stop.current?.abort();
    const own = new AbortController();
    stop.current = own;
    void run(workspace, entry, own.signal, (next) => {
      if (!own.signal.aborted) setCheck(next);
    });
  }, [workspace, entry]);
  return [check, begin];
}

async function run(
  workspace: string,
  entry: Entry,
  signal: AbortSignal,
  show: (check: Check) => void,
) {
  const passed: Passed[] = [];
  const verifier = new Verifier();
  const tell = (state: Check['state'], more?: Partial<Check>) =>
    show({ ...IDLE, state, passed: [...passed], ...more });
  try {
    tell('running');
    const fetched = await fetchClaim(workspace, entry.index ?? -1, signal);
    const claim = { ...fetched, shown: shownOf(entry) };
    const grow: Growth = (since, until) => fetchGrowth(workspace, { since, until }, signal);
    const steps = verifier.checkRecord(claim, readRemembered(workspace), grow, signal);
    let step = await steps.next();
    for (; !step.done; step = await steps.next()) {
      passed.push(step.value);
      tell('running');
    }
    remember(workspace, step.value);
    tell('holds');
  } catch (error) {
    if (error instanceof Disproof) {
      tell('fails', { disproof: { step: error.step, why: error.message } });
    } else {
      tell('unanswered', { failure: error instanceof Failure ? error : Failure.unanswered(error) });
    }
  } finally {
    verifier.end();
  }
}

/** All that is on the page of a record, as the API would say it. */
export function shownOf(entry: Entry): Shown {
  return {
    index: entry.index,
    sequence: entry.sequence,
    time: new Date(entry.at).toISOString(),
    clock_suspect: entry.isClockSuspect,
    kind: entry.kind,
    record: Object.fromEntries(entry.members),
  };
}

/** The proof of a record, and the key that the gateway names. */
export async function fetchClaim(workspace: string, index: number, signal: AbortSignal) {
  const [proof, { key }] = await Promise.all([
    fetchProof(workspace, index, signal),
    fetchHead(workspace, {}, signal),
  ]);
  return { proof, key };
}

export async function fetchProof(workspace: string, index: number, signal: AbortSignal) {
  const proof: unknown = await take(
    api.GET('/api/v1/workspaces/{workspace}/records/{index}/proof', {
      params: { path: { workspace, index } },
      parseAs: 'text',
      signal,
    }),
  );
  return String(proof);
}

export function fetchHead(
  workspace: string,
  query: { since?: number; until?: number },
  signal: AbortSignal,
) {
  return take(
    api.GET('/api/v1/workspaces/{workspace}/records/checkpoint', {
      params: { path: { workspace }, query },
      signal,
    }),
  );
}

async function fetchGrowth(
  workspace: string,
  { since, until }: { since: bigint; until: bigint },
  signal: AbortSignal,
) {
  const query = { since: Number(since), until: Number(until) };
  return (await fetchHead(workspace, query, signal)).consistency;
}
