/** Times: exact on demand, relative at a glance, in the zone that the reader has chosen. */
import { useSyncExternalStore } from 'react';

import { usePreference } from '@/app/preferences';

/** Relative times change this often; more would only move the page. */
const TICK_MS = 10_000;

/** “3 min ago”, with the exact time as its title. */
export function Ago({ at }: { at: string }) {
  const now = useNow();
  const exact = useExact();
  return (
    <time dateTime={at} title={exact(at)}>
      {relative(Date.parse(at), now)}
    </time>
  );
}

/** The exact time, with the time zone. */
export function Exact({ at }: { at: string }) {
  const exact = useExact();
  return <time dateTime={at}>{exact(at)}</time>;
}

/** Turns a time into text with date, seconds and zone. */
export function useExact(): (at: string) => string {
  const utc = usePreference('times') === 'utc';
  return (at) => exactly(at, utc);
}

/** A clock's face: hours to milliseconds, for dense lists. */
export function useFace(): (at: number) => string {
  const utc = usePreference('times') === 'utc';
  const format = utc ? FACE_UTC : FACE_LOCAL;
  return (at) => format.format(at);
}

export function relative(then: number, now: number): string {
  const seconds = Math.round((now - then) / 1000);
  const size = Math.abs(seconds);
  if (size < 5) return 'just now';
  const [count, unit] =
    size < 60
      ? [seconds, 's']
      : size < 3600
        ? [Math.round(seconds / 60), 'min']
        : size < 86_400
          ? [Math.round(seconds / 3600), 'h']
          : [Math.round(seconds / 86_400), 'd'];
  return count > 0 ? `${count} ${unit} ago` : `in ${-count} ${unit}`;
}

export function exactly(at: string, utc: boolean): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return at;
  return (utc ? EXACT_UTC : EXACT_LOCAL).format(time).replace(',', '.');
}

const FACE = {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  hourCycle: 'h23',
} as const;
const EXACT = {
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  timeZoneName: 'short',
  ...FACE,
} as const;
const FACE_LOCAL = new Intl.DateTimeFormat('en-GB', FACE);
const FACE_UTC = new Intl.DateTimeFormat('en-GB', { ...FACE, timeZone: 'UTC' });
// Sweden writes dates as ISO 8601 does.
const EXACT_LOCAL = new Intl.DateTimeFormat('sv-SE', EXACT);
const EXACT_UTC = new Intl.DateTimeFormat('sv-SE', { ...EXACT, timeZone: 'UTC' });

/** One timer for the whole page, and none while nobody looks. */
const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

function subscribe(listener: () => void) {
  if (listeners.size === 0) {
    now = Date.now();
    timer = setInterval(tick, TICK_MS);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) clearInterval(timer);
  };
}

function tick() {
  now = Date.now();
  for (const listener of listeners) listener();
}
