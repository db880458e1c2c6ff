/** A chart, and the same for those who cannot see it: the table below says all of it. */
import { useEffect, useRef, useState } from 'react';

import { usePreference } from '@/app/preferences';
import { useExact } from '@/ui/time';
import { Visible } from '@/ui/visible';
import classes from './chart.module.css';
import { type Drawn, worded } from './lines';
import { looksOf } from './looks';
import type { Drawing } from './plot';
import type { Measure } from './search';

interface Props {
  label: string;
  measure: Measure;
  drawn: Drawn;
  /** Goes to what is behind a time. */
  onPick: (index: number) => void;
}

const HEIGHT = 280;

export function Chart({ label, measure, drawn, onPick }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);
  const [point, setPoint] = useState<number | null>(null);
  const isUtc = usePreference('times') === 'utc';
  const latest = useRef({ drawn, onPick, measure });
  useEffect(() => {
    latest.current = { drawn, onPick, measure };
    drawing.current?.put(drawn);
  });
  useEffect(() => {
    let isOver = false;
    const looks = {
      height: HEIGHT,
      isUtc,
      word: (value: number | null) => worded(value, latest.current.measure),
      onPoint: setPoint,
      onPick: (index: number) => latest.current.onPick(index),
    };
    const begin = async () => {
      const { draw } = await import('./plot');
      if (isOver || !box.current) return;
      drawing.current = draw(box.current, latest.current.drawn, looks);
    };
    void begin();
    return () => {
      isOver = true;
      drawing.current?.end();
      drawing.current = null;
    };
  }, [isUtc]);
  return (
    <figure className={classes.figure}>
      <div
        ref={box}
        className={classes.box}
        role="img"
        aria-label={`${label}. The table below says the same.`}
      />
      <Legend measure={measure} drawn={drawn} point={point} />
    </figure>
  );
}

function Legend({
  measure,
  drawn,
  point,
}: Pick<Props, 'measure' | 'drawn'> & { point: number | null }) {
  const exact = useExact();
  const at = point === null ? undefined : drawn.times[point];
  return (
    <figcaption className={classes.legend}>
      <span className={classes.when}>
        {at === undefined ? 'Point at it for numbers; click for the calls' : exact(iso(at))}
      </span>
      {drawn.lines.map((line, n) => (
        <span key={line.key} className={classes.entry}>
          <Sample at={n} />
          <Visible text={line.name} />
          {at !== undefined && point !== null && (
            <strong>{worded(line.values[point] ?? null, measure)}</strong>
          )}
        </span>
      ))}
    </figcaption>
  );
}

function Sample({ at }: { at: number }) {
  const { colour, dash } = looksOf(at);
  return (
    <svg width="28" height="8" aria-hidden="true" focusable="false">
      <line
        x1="0"
        y1="4"
        x2="28"
        y2="4"
        strokeWidth="2"
        className={classes.line}
        data-colour={colour}
        strokeDasharray={dash.join(' ')}
      />
    </svg>
  );
}

function iso(seconds: number): string {
  return new Date(seconds * 1_000).toISOString();
}
