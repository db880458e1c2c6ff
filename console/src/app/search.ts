/** Search parameters are foreign input: each is read as what it must be, or is absent. */

/** Of a list: what is searched for, the sorting as `name` or `-name`, and how it is looked at. */
export interface ListSearch {
  density?: 'compact' | undefined;
  /** Columns that are left out, with commas between them. */
  hide?: string | undefined;
  /** A new one is being made. */
  make?: true | undefined;
  q?: string | undefined;
  sort?: string | undefined;
  /** Of what is open beside the list. */
  tab?: string | undefined;
}

/** Of signing in: where one goes then, by which way, and to which workspace. */
export interface SignInSearch {
  next?: string | undefined;
  with?: 'token' | undefined;
  workspace?: string | undefined;
}

/** Longer is no filter that a person has set. */
const MOST_CHARS = 500;

export function readListSearch(search: Record<string, unknown>): ListSearch {
  return {
    density: search['density'] === 'compact' ? 'compact' : undefined,
    hide: text(search['hide']),
    make: search['make'] === true ? true : undefined,
    q: text(search['q']),
    sort: text(search['sort']),
    tab: text(search['tab']),
  };
}

/** Of the approvals: a list in one state. */
export interface PinSearch extends ListSearch {
  state?: 'approved' | 'pending' | 'rejected' | undefined;
}

export function readPinSearch(search: Record<string, unknown>): PinSearch {
  const states = ['approved', 'pending', 'rejected'] as const;
  return { ...readListSearch(search), state: states.find((it) => it === search['state']) };
}

/** Which tab of a thing is open. */
export function readTab(search: Record<string, unknown>): { tab?: string | undefined } {
  return { tab: text(search['tab']) };
}

export function readSignInSearch(search: Record<string, unknown>): SignInSearch {
  return {
    next: localPath(search['next']),
    with: search['with'] === 'token' ? 'token' : undefined,
    workspace: text(search['workspace']),
  };
}

export function text(value: unknown): string | undefined {
  const read = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
  if (typeof read !== 'string' || read === '' || read.length > MOST_CHARS) return undefined;
  return read;
}

/** A path of this console. Anything that could lead elsewhere is dropped (open redirects). */
export function localPath(value: unknown): string | undefined {
  const path = text(value);
  if (!path?.startsWith('/') || /^\/[/\\]/.test(path)) return undefined;
  const url = new URL(path, globalThis.location.origin);
  const isOurs =
    url.origin === globalThis.location.origin &&
    // What `..` has uncovered may be another host again.
    !url.pathname.startsWith('//') &&
    !['/sign-in', '/set-up'].includes(url.pathname);
  return isOurs ? url.pathname + url.search : undefined;
}
