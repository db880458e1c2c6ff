/**
 * Server-sent events, read from the body of a fetch.
 *
 * `EventSource` would hide why a stream was refused; this way a refusal is a problem document like
 * any other. A line or an event that never ends is an error and not a full memory.
 */

export interface ServerEvent {
  event: string;
  data: string;
  /** Of the last event that had one. */
  id: string;
}

/** Far more than the longest record. */
const MOST_CHARS = 1_000_000;

/** Cuts a stream of bytes into events (HTML standard, section 9.2.6). */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  idleMs: number,
): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  // Not fatal: what is not UTF-8 becomes U+FFFD, which the page then shows.
  const decoder = new TextDecoder();
  const parser = new Parser();
  try {
    for (;;) {
      const { done, value } = await within(idleMs, reader.read());
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function within<T>(ms: number, wait: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DOMException('silent', 'TimeoutError')), ms);
    wait.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

class Parser {
  private rest = '';
  private event = '';
  private id = '';
  private data: string[] = [];
  private chars = 0;

  *push(text: string): Generator<ServerEvent> {
    this.rest += text;
    for (;;) {
      const found = /\r\n|\n|\r(?!$)/.exec(this.rest);
      if (!found) break;
      const line = this.rest.slice(0, found.index);
      this.rest = this.rest.slice(found.index + found[0].length);
      const event = this.take(line);
      if (event) yield event;
    }
    if (this.rest.length + this.chars > MOST_CHARS) throw new Error('an event is too long');
  }

  private take(line: string): ServerEvent | null {
    if (line === '') return this.finish();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    this.chars += line.length;
    if (field === 'event') this.event = value;
    if (field === 'data') this.data.push(value);
    if (field === 'id' && !value.includes('\0')) this.id = value;
    return null;
  }

  private finish(): ServerEvent | null {
    const event = { event: this.event || 'message', data: this.data.join('\n'), id: this.id };
    const isEmpty = this.data.length === 0;
    this.event = '';
    this.data = [];
    this.chars = 0;
    return isEmpty ? null : event;
  }
}
