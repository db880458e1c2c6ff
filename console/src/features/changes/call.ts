/** A change before it is made: what would be sent, and the same as a command and with curl. */
import type { paths } from '@/api/schema';

export type Method = 'delete' | 'patch' | 'post' | 'put';

/** Paths that can be asked in this way. */
type With<M extends Method> = {
  [P in keyof paths]: M extends keyof paths[P]
    ? paths[P][M] extends undefined
      ? never
      : P
    : never;
}[keyof paths];

type BodyOf<P extends keyof paths, M extends Method> =
  paths[P] extends Record<M, infer O>
    ? O extends { requestBody: { content: { 'application/json': infer B } } }
      ? B
      : undefined
    : undefined;

export interface Call {
  method: Method;
  /** As it is sent. */
  path: string;
  body?: object | undefined;
  /** What is shown in its place, where it holds secrets. */
  shownBody?: object | undefined;
}

/** Typed by the API's description; names of things go into the path. */
export function callOf<M extends Method, P extends With<M>>(
  method: M,
  path: P,
  names: Record<string, string>,
  ...body: BodyOf<P, M> extends undefined ? [] : [BodyOf<P, M> & object]
): Call {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = names[name];
    if (value === undefined) throw new Error(`the path needs a ${name}`);
    return encodeURIComponent(value);
  });
  return { method, path: filled, body: body[0] };
}

/** For a shell. The token stays out of it: others can read a command line. */
export function asCurl({ method, path, body, shownBody }: Call, etag?: string): string {
  const shown = shownBody ?? body;
  const lines = [
    `curl -X ${method.toUpperCase()} ${quote(globalThis.location.origin + path)}`,
    `-H "Authorization: Bearer $OSTIARY_TOKEN"`,
  ];
  if (etag !== undefined) lines.push(`-H ${quote(`If-Match: ${etag}`)}`);
  if (shown) {
    lines.push(`-H 'Content-Type: application/json'`, `-d ${quote(JSON.stringify(shown))}`);
  }
  return lines.join(' \\\n  ');
}

/** For a POSIX shell. */
export function quote(text: string): string {
  return /^[\w./:@=,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A command with its options; those without a value are left out, lists are repeated. */
export function command(
  words: string[],
  options: Record<string, string | number | boolean | string[] | null | undefined> = {},
): string {
  const parts = ['ostiary', ...words.map(quote)];
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const all = Array.isArray(value) ? (value.length > 0 ? value : ['']) : [value ?? ''];
    for (const one of all) parts.push(`--${name}`, quoteValue(String(one)));
  }
  return parts.join(' ');
}

function quoteValue(text: string): string {
  return text === '' ? "''" : quote(text);
}
