/** Why a request did not succeed, and what its reader can do about it. */
export class Failure extends Error {
  override readonly name = 'Failure';

  /** The problem document's `code`, or `unanswered` or `unreadable`. */
  readonly code: string;
  /** What was wrong this time, as the gateway says it. */
  readonly detail: string;
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  readonly requestId: string | null;

  private constructor(code: string, detail: string, status: number, requestId: string | null) {
    super(detail);
    this.code = code;
    this.detail = detail;
    this.status = status;
    this.requestId = requestId;
  }

  /** From a problem document (RFC 9457). */
  static refused(response: Response, body: unknown): Failure {
    const requestId = response.headers.get('x-request-id');
    const text = (name: string) => {
      const value: unknown =
        typeof body === 'object' && body !== null && Object.hasOwn(body, name)
          ? (body as Record<string, unknown>)[name]
          : null;
      return typeof value === 'string' ? value : null;
    };
    const code = text('code') ?? 'unreadable';
    const detail = text('detail') ?? `the answer has HTTP status ${response.status}`;
    return new Failure(code, detail, response.status, requestId);
  }

  /** Nothing came back, or not in time, or nothing that can be understood. */
  static unanswered(error: unknown): Failure {
    if (error instanceof SyntaxError) {
      return new Failure('unreadable', 'the answer cannot be read', 0, null);
    }
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    const detail = late ? 'the gateway did not answer in time' : 'the gateway does not answer';
    return new Failure('unanswered', detail, 0, null);
  }

  /** Whoever was asked for a passkey, or their browser, has said no. */
  static declined(error: unknown): Failure {
    const is = (name: string) => error instanceof DOMException && error.name === name;
    const detail = is('InvalidStateError')
      ? 'there is a passkey of this account on it already'
      : 'no passkey was used';
    return new Failure('declined', detail, 0, null);
  }

  /** Whether the same request may succeed later. */
  get isPassing(): boolean {
    return (
      (this.status === 0 && this.code !== 'declined') || this.status === 503 || this.status === 429
    );
  }

  /** One sentence about what to do now. */
  get advice(): string {
    return ADVICE[this.code] ?? ADVICE['internal'] ?? '';
  }
}

const ADVICE: Partial<Record<string, string>> = {
  busy: 'Try again in a moment.',
  cross_site: 'Open the console at the address at which the gateway serves it.',
  declined: 'Try again, or take another way.',
  duplicate: 'Choose another name.',
  forbidden: 'Ask whoever administers this workspace for it.',
  in_use: 'Remove what uses it first.',
  internal: 'Try again. If it stays, look for this moment in the log of the gateway.',
  invalid: 'Correct it and try again.',
  malformed: 'Correct it and try again.',
  mismatch: 'Reload the page to see what has changed.',
  not_found: 'It may have been renamed or deleted. Go back to the list.',
  step_up_required: 'Prove who you are, then it is done.',
  too_many_attempts: 'Wait for as long as it says, then try again.',
  unanswered: 'Check that Ostiary is running and that this machine can reach it.',
  unauthenticated: 'Sign in again.',
  unproven: 'Try again, or take another way.',
  unrecorded: 'Nothing was done. Make room on the disk that holds the log, then try again.',
};
