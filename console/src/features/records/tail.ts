/**
 * Follows the records of a workspace.
 *
 * It listens first and then reads what was there before, so nothing falls between the two. What the
 * gateway could not send in time, and what was recorded while the connection was down, becomes a
 * note among the rows: drops are shown, never hidden.
 */
import { api, take } from '@/api/client';
import { readEvents, type ServerEvent } from '@/api/events';
import { Failure } from '@/api/failure';
import { pause } from '@/api/pause';
import { type Entry, type RecordBody, type Row, toEntry } from './entry';
import { Window } from './window';

export type Link = 'connecting' | 'live' | 'lost';

export interface View {
  link: Link;
  /** Why there is no connection, if there is none. */
  failure: Failure | null;
  rows: readonly Row[];
  /** Rows that have left this window for newer ones. */
  forgotten: number;
  /** Records that the gateway did not send, because this page was too slow. */
  missed: number;
  /** Whether the log holds older records that have room here. */
  hasOlder: boolean;
  isReadingBack: boolean;
  /** Why older records could not be read. */
  olderFailure: Failure | null;
}

/** The page is drawn at most this often, however many records come. */
const FLUSH_MS = 100;
/** Read back when the page opens and after each break; as many as the API gives at once. */
const BACKLOG = 200;
/** Read back by one request of the reader. */
const PAGES_AT_ONCE = 5;
/** Read back at most after a break; fewer rows than the window has, or the note of the gap would leave it. */
const MISSED_PAGES = 20;
/** How far back a record is looked for; more rows than the window has. */
const MOST_PAGES = 50;
/** The gateway says something every 15 s; a connection that is silent for longer is dead. */
const IDLE_MS = 45_000;
/** Waiting times between attempts. */
const PAUSES_MS = [500, 1_000, 2_000, 5_000, 10_000];

export class Tail {
  private readonly window = new Window();
  private readonly listeners = new Set<() => void>();
  private readonly workspace: string;
  private view: View = {
    link: 'connecting',
    failure: null,
    rows: [],
    forgotten: 0,
    missed: 0,
    hasOlder: false,
    isReadingBack: false,
    olderFailure: null,
  };
  private missed = 0;
  /** Where the log goes on behind the oldest row: absent before anything is known, null at its beginning. */
  private older: string | null | undefined;
  /** How far back is wanted: to this time, and so many pages. */
  private bound = Number.POSITIVE_INFINITY;
  private pages = 0;
  private isReadingBack = false;
  private olderFailure: Failure | null = null;
  private flushing: ReturnType<typeof setTimeout> | undefined;
  private stop: AbortController | null = null;

  constructor(workspace: string) {
    this.workspace = workspace;
  }

  /** Follows for as long as someone listens. */
  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    if (this.stop === null) {
      this.stop = new AbortController();
      void this.follow(this.stop.signal);
    }
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      this.stop?.abort();
      this.stop = null;
      clearTimeout(this.flushing);
      this.flushing = undefined;
    };
  };

  readonly read = () => this.view;

  private async follow(signal: AbortSignal) {
    let attempt = 0;
    while (!signal.aborted) {
      try {
        await this.listen(signal, () => {
          attempt = 0;
        });
        // The gateway ends a stream now and then, so that its reader shows again who it is.
      } catch (error) {
        if (signal.aborted) return;
        this.show('lost', error instanceof Failure ? error : Failure.unanswered(error));
        // Asking again changes nothing until someone signs in or the address is corrected.
        if (error instanceof Failure && !error.isPassing) return;
      }
      if (signal.aborted) return;
      await pause(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] ?? 0, signal);
      attempt += 1;
    }
  }

  private async listen(signal: AbortSignal, onLive: () => void) {
    const opening = take(
      api.GET('/api/v1/workspaces/{workspace}/records/stream', {
        params: { path: { workspace: this.workspace } },
        parseAs: 'stream',
        headers: { accept: 'text/event-stream' },
        signal,
      }),
    );
    // Handled where it is awaited; the reading before it may fail first.
    opening.catch(() => undefined);
    if (this.window.lastSequence < 0) {
      // Some proxies hold back a stream until something happens. The past need not wait for it.
      await this.catchUp(signal);
      this.show('connecting', null);
    }
    const stream = await opening;
    await this.catchUp(signal);
    this.show('live', null);
    onLive();
    if (stream) for await (const event of readEvents(stream, IDLE_MS)) this.receive(event);
  }

  /** Reads back as far as a record, to learn its place in the log, which is known a moment later. */
  async learnIndex(sequence: number, signal: AbortSignal) {
    let query: { limit: number; cursor?: string } = { limit: BACKLOG };
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const answer = await take(
        api.GET('/api/v1/workspaces/{workspace}/records', {
          params: { path: { workspace: this.workspace }, query },
          signal,
        }),
      );
      for (const item of answer.items) if (item.index !== null) this.window.relearn(toEntry(item));
      if (!answer.next_cursor || answer.items.some((it) => it.sequence <= sequence)) break;
      query = { limit: BACKLOG, cursor: answer.next_cursor };
    }
    this.show(this.view.link, this.view.failure);
  }

  /** Reads back until the rows reach this time, as far as there is room. */
  reachBack(at: number) {
    this.bound = at;
    void this.readOlder();
  }

  /** Reads back some pages more. */
  loadOlder() {
    this.pages = PAGES_AT_ONCE;
    void this.readOlder();
  }

  private async readOlder() {
    if (this.isReadingBack || this.stop === null || !this.wantsOlder()) return;
    const { signal } = this.stop;
    this.isReadingBack = true;
    this.olderFailure = null;
    this.show(this.view.link, this.view.failure);
    try {
      while (this.wantsOlder()) await this.readPage(signal);
    } catch (error) {
      const failure = error instanceof Failure ? error : Failure.unanswered(error);
      this.olderFailure = signal.aborted ? null : failure;
    }
    this.pages = 0;
    this.isReadingBack = false;
    this.show(this.view.link, this.view.failure);
  }

  private wantsOlder(): boolean {
    if (!this.older || this.window.isFull) return false;
    return this.pages > 0 || this.window.oldest > this.bound;
  }

  private async readPage(signal: AbortSignal) {
    const query = { limit: BACKLOG, ...(this.older ? { cursor: this.older } : {}) };
    const answer = await take(
      api.GET('/api/v1/workspaces/{workspace}/records', {
        params: { path: { workspace: this.workspace }, query },
        signal,
      }),
    );
    this.window.prepend(answer.items.map(toEntry).toReversed());
    this.older = answer.next_cursor ?? null;
    this.pages = Math.max(0, this.pages - 1);
    this.show(this.view.link, this.view.failure);
  }

  /**
   * Reads the newest records, which come newest first: a page of them, and as many more as it takes to
   * reach what is known already.
   */
  private async catchUp(signal: AbortSignal) {
    const last = this.window.lastSequence;
    const entries: Entry[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < (last < 0 ? 1 : MISSED_PAGES); page += 1) {
      const query: { limit: number; cursor?: string } =
        cursor === null ? { limit: BACKLOG } : { limit: BACKLOG, cursor };
      const answer = await take(
        api.GET('/api/v1/workspaces/{workspace}/records', {
          params: { path: { workspace: this.workspace }, query },
          signal,
        }),
      );
      entries.push(...answer.items.map(toEntry));
      cursor = answer.next_cursor ?? null;
      if (cursor === null || (entries.at(-1)?.sequence ?? 0) <= last) break;
    }
    entries.reverse();
    if (last >= 0 && cursor !== null && (entries[0]?.sequence ?? 0) > last) {
      this.window.note(
        'The connection was down. Older records from that time are in the log, but not shown here.',
        entries[0]?.at ?? Date.now(),
      );
    }
    if (this.older === undefined) this.older = cursor;
    for (const entry of entries) this.window.push(entry);
    void this.readOlder();
  }

  private receive({ event, data }: ServerEvent) {
    if (event === 'record') this.window.push(toEntry(JSON.parse(data) as RecordBody));
    if (event === 'missed') {
      const count = Number(data);
      this.missed += count;
      const records = count === 1 ? '1 record was' : `${count} records were`;
      this.window.note(
        `Up to ${records} not shown: this page was too slow. They are in the log.`,
        Date.now(),
      );
    }
    this.flushing ??= setTimeout(() => this.show('live', null), FLUSH_MS);
  }

  private show(link: Link, failure: Failure | null) {
    clearTimeout(this.flushing);
    this.flushing = undefined;
    this.window.trim();
    this.view = {
      link,
      failure,
      rows: this.window.snapshot(),
      forgotten: this.window.forgotten,
      missed: this.missed,
      hasOlder: Boolean(this.older) && !this.window.isFull,
      isReadingBack: this.isReadingBack,
      olderFailure: this.olderFailure,
    };
    for (const listener of this.listeners) listener();
  }
}
