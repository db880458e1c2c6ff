/** The page's end of the verifier's thread. */
import { Disproof } from './disproof.ts';
import type { Passed } from './proof.ts';
import type { Claim, Growth, Known } from './record.ts';
// Vite's: the address of what it makes of the file.
// oxlint-disable-next-line import/default
import address from './worker.ts?worker&url';
import type { Asked, News, Progress, Task, Told } from './worker.ts';

/** A thread that checks one thing at a time, and is there from the beginning, network or not. */
export class Verifier {
  private readonly worker = new Worker(trusted(address), { type: 'module' });
  private checks = 0;

  /** Passes one step after the other; throws a `Disproof` where one does not hold. */
  async *checkRecord(
    claim: Claim,
    known: Known | null,
    grow: Growth,
    signal: AbortSignal,
  ): AsyncGenerator<Passed, Known> {
    for await (const news of this.run({ kind: 'record', claim, known }, signal)) {
      if (news.kind === 'passed') yield news.passed;
      if (news.kind === 'grow') {
        this.ask({ kind: 'growth', hashes: await grow(news.since, news.until) });
      }
      if (news.kind === 'holds') return news.known;
    }
    throw new Error('the check has no end');
  }

  /** Tells how far it has come. Throws where the file cannot be checked at all. */
  async *checkFile(file: Blob, key: string, signal: AbortSignal): AsyncGenerator<Progress> {
    for await (const news of this.run({ kind: 'file', file, key }, signal)) {
      if (news.kind === 'progress') yield news.progress;
      if (news.kind === 'checked') return;
    }
  }

  end() {
    this.worker.terminate();
  }

  private async *run(task: Task, signal: AbortSignal): AsyncGenerator<News> {
    this.checks += 1;
    const number = this.checks;
    const waiting: News[] = [];
    let isBroken = false;
    let wake: (() => void) | null = null;
    const listening = new AbortController();
    const options = { signal: listening.signal };
    const take = ({ data }: MessageEvent<Told>) => {
      if (data.number === number) waiting.push(data);
      wake?.();
    };
    const fail = () => {
      isBroken = true;
      wake?.();
    };
    this.worker.addEventListener('message', take, options);
    this.worker.addEventListener('error', fail, options);
    signal.addEventListener('abort', () => wake?.(), options);
    this.ask({ ...task, number });
    try {
      for (;;) {
        signal.throwIfAborted();
        const next = waiting.shift();
        if (next?.kind === 'fails') throw new Disproof(next.step, next.why);
        if (next?.kind === 'broken') throw new Error(next.why);
        if (next) yield next;
        else if (isBroken) throw new Error('the verifier could not be started');
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      listening.abort();
    }
  }

  private ask(asked: Asked) {
    this.worker.postMessage(asked);
  }
}

/** What of Trusted Types is used here; not all browsers have them. */
interface TrustedTypes {
  createPolicy: (
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ) => { createScriptURL: (url: string) => string };
}

// The only policy that the page's own policy allows; it makes one address out of nothing else.
const policy = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes?.createPolicy(
  'verifier',
  {
    createScriptURL: (url) => {
      if (url !== address) throw new TypeError('this is not the verifier');
      return url;
    },
  },
);

function trusted(url: string): string {
  return policy?.createScriptURL(url) ?? url;
}
