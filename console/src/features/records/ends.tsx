import { Pill, type Tone } from '@/ui/pill';
import type { Call } from './entry';

/** How a call ended, in words. */
export function End({ call }: { call: Call }) {
  const { tone, word } = endOf(call);
  return <Pill tone={tone}>{word}</Pill>;
}

export function endOf({ end, isError }: Call): { tone: Tone; word: string } {
  if (end === '') return { tone: 'calm', word: 'under way' };
  if (end === 'answered') {
    return isError ? { tone: 'warn', word: 'answered: error' } : { tone: 'good', word: 'answered' };
  }
  if (end === 'answered_here' || end === 'client_cancelled')
    return { tone: 'calm', word: words(end) };
  if (end === 'upstream') return { tone: 'warn', word: 'upstream failed' };
  return { tone: 'bad', word: words(end) };
}

/** `rule_block` reads “rule block”. */
export function words(end: string): string {
  return end.replaceAll('_', ' ');
}

/** Microseconds, to three digits. */
export function took(micros: number | null): string {
  if (micros === null) return '';
  if (micros < 1_000) return `${micros} µs`;
  const ms = micros / 1_000;
  if (ms < 100) return `${ms.toPrecision(3)} ms`;
  return ms < 10_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
