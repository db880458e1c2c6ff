/**
 * Follows what changes in a workspace for as long as somebody looks at it.
 *
 * Whoever comes back after a break says what they have seen last; the gateway tells what came meanwhile,
 * or says that everything must be read anew.
 */
import type { QueryClient } from '@tanstack/react-query';

import { api, take } from '@/api/client';
import { readEvents } from '@/api/events';
import { Failure } from '@/api/failure';
import { pause } from '@/api/pause';
import { apply, applyAll, type Change } from './apply';

/** The gateway says something every 15 s; a connection that is silent for longer is dead. */
const IDLE_MS = 45_000;
/** Waiting times between attempts. */
const PAUSES_MS = [500, 1_000, 2_000, 5_000, 10_000];
/** What comes together is put into the cache together. */
const GATHER_MS = 50;

export class Follow {
  private stop: AbortController | null = null;
  private readonly queries: QueryClient;
  private readonly workspace: string;
  private seen: string | undefined;
  private waiting: Change[] = [];
  /** What has come before is in the cache before what comes after it. */
  private turn: Promise<void> = Promise.resolve();

  constructor(queries: QueryClient, workspace: string) {
    this.queries = queries;
    this.workspace = workspace;
  }

  start() {
    if (this.stop !== null) return;
    this.stop = new AbortController();
    void this.follow(this.stop.signal);
  }

  /** What has come until then is still put into the cache. */
  end() {
    this.stop?.abort();
    this.stop = null;
  }

  private async follow(signal: AbortSignal) {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        await this.listen(signal, () => {
          attempt = 0;
        });
      } catch (error) {
        // Asking again changes nothing until someone signs in, or may see it. All else may pass, if slowly.
        if (error instanceof Failure && !error.isPassing) {
          if (error.status === 401 || error.status === 403) return;
          attempt = PAUSES_MS.length;
        }
      }
      if (signal.aborted) return;
      await pause(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] ?? 0, signal);
    }
  }

  private async listen(signal: AbortSignal, onOpen: () => void) {
    const header = this.seen === undefined ? {} : { 'Last-Event-ID': this.seen };
    const answer = take(
      api.GET('/api/v1/workspaces/{workspace}/changes/stream', {
        params: { path: { workspace: this.workspace }, header },
        parseAs: 'stream',
        headers: { accept: 'text/event-stream' },
        signal,
      }),
    );
    const body = (await answer) as unknown as ReadableStream<Uint8Array>;
    onOpen();
    // What was asked for before may have changed before anybody followed.
    if (this.seen === undefined) applyAll(this.queries, this.workspace);
    for await (const event of readEvents(body, IDLE_MS)) {
      this.seen = event.id;
      if (event.event === 'reset') {
        this.waiting = [];
        applyAll(this.queries, this.workspace);
      }
      if (event.event === 'change') this.gather(JSON.parse(event.data) as Change);
    }
  }

  private gather(change: Change) {
    this.waiting.push(change);
    if (this.waiting.length > 1) return;
    setTimeout(() => {
      const all = this.waiting;
      this.waiting = [];
      this.turn = this.turn
        .then(() => apply(this.queries, this.workspace, all))
        .catch(() => applyAll(this.queries, this.workspace));
    }, GATHER_MS);
  }
}
