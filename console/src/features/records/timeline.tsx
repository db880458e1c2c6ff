/** Counts over time, of which one can be chosen. Arrow keys go from one to the next. */
import { useElementSize } from '@mantine/hooks';
import { type KeyboardEvent, useMemo, useState } from 'react';

import { useFace } from '@/ui/time';
import type { Row } from './entry';
import { binsOf } from './bins';
import classes from './timeline.module.css';

interface Props {
  rows: readonly Row[];
  /** Narrows to these times, in milliseconds. */
  onNarrow: (from: number, to: number) => void;
}

/** Wide enough to be hit. */
const BAR_PX = 26;

export function Timeline({ rows, onNarrow }: Props) {
  const { ref, width } = useElementSize();
  const most = Math.max(8, Math.min(60, Math.floor((width || 800) / BAR_PX)));
  const bins = useMemo(() => binsOf(rows, most), [rows, most]);
  const [focused, setFocused] = useState(0);
  const face = useFace();
  const highest = Math.max(1, ...bins.map((it) => it.all));
  const place = Math.min(focused, bins.length - 1);
  const walk = (event: KeyboardEvent<HTMLElement>) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(bins.length - 1, place + step));
    setFocused(next);
    event.currentTarget.querySelectorAll('button')[next]?.focus();
  };
  return (
    <div ref={ref} className={classes.box} role="group" aria-label="Timeline" onKeyDown={walk}>
      {bins.map((bin, at) => (
        <button
          key={bin.from}
          type="button"
          className={classes.bin}
          tabIndex={at === place ? 0 : -1}
          title={`${face(bin.from)} – ${face(bin.to)}`}
          aria-label={`${bin.all} rows, ${bin.denied} denied, from ${face(bin.from)} to ${face(bin.to)}`}
          onFocus={() => setFocused(at)}
          onClick={() => onNarrow(bin.from, bin.to)}
        >
          <span className={classes.all} style={{ height: share(bin.all, highest) }}>
            <span className={classes.denied} style={{ height: share(bin.denied, bin.all) }} />
          </span>
        </button>
      ))}
    </div>
  );
}

function share(part: number, whole: number): string {
  if (part === 0) return '0';
  return `max(2px, ${((100 * part) / whole).toFixed(1)}%)`;
}
