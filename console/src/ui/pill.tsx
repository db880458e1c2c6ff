import type { ReactNode } from 'react';

import classes from './pill.module.css';

export type Tone = 'good' | 'warn' | 'bad' | 'calm';

/** A state in one or two words. The shape of its mark differs too, not only the colour. */
export function Pill({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={classes.pill} data-tone={tone}>
      <svg width="8" height="8" viewBox="0 0 8 8" aria-hidden="true" className={classes.mark}>
        <path d={MARKS[tone]} />
      </svg>
      {children}
    </span>
  );
}

/** Circle, triangle, square, ring. */
const MARKS: Record<Tone, string> = {
  good: 'M4 0a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z',
  warn: 'M4 .3 8 7.7H0Z',
  bad: 'M.5.5h7v7h-7Z',
  calm: 'M4 0a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0 1.6a2.4 2.4 0 1 1 0 4.8 2.4 2.4 0 0 1 0-4.8Z',
};
