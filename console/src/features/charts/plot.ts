/** Draws lines over time. It comes on its own, when a chart is looked at. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import type { Drawn } from './lines';
import { looksOf } from './looks';

export interface Drawing {
  put: (drawn: Drawn) => void;
  end: () => void;
}

interface Looks {
  height: number;
  word: (value: number | null) => string;
  isUtc: boolean;
  /** What the pointer is at: the how manieth time, or none. */
  onPoint: (index: number | null) => void;
  onPick: (index: number) => void;
}

export function draw(box: HTMLElement, first: Drawn, looks: Looks): Drawing {
  let shown = first;
  let plot = make(box, first, looks);
  const room = new ResizeObserver(() => {
    plot.setSize({ width: box.clientWidth, height: looks.height });
  });
  room.observe(box);
  return {
    put: (drawn) => {
      const isSame =
        drawn.lines.map((it) => it.name).join() === shown.lines.map((it) => it.name).join();
      shown = drawn;
      if (isSame) {
        plot.setData(dataOf(drawn));
        return;
      }
      plot.destroy();
      plot = make(box, drawn, looks);
    },
    end: () => {
      room.disconnect();
      plot.destroy();
    },
  };
}

function make(box: HTMLElement, drawn: Drawn, looks: Looks): uPlot {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--o-${name}`).trim();
  const axis = {
    stroke: colour('muted'),
    grid: { stroke: colour('line'), width: 1 },
    ticks: { stroke: colour('line'), width: 1 },
  };
  const plot = new uPlot(
    {
      width: box.clientWidth,
      height: looks.height,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      tzDate: (at) =>
        looks.isUtc ? uPlot.tzDate(new Date(at * 1_000), 'UTC') : new Date(at * 1_000),
      scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] } },
      axes: [axis, { ...axis, size: 76, values: (_, ticks) => ticks.map((it) => looks.word(it)) }],
      series: [
        {},
        ...drawn.lines.map((line, at) => ({
          label: line.name,
          stroke: colour(looksOf(at).colour),
          width: 1.5,
          dash: looksOf(at).dash,
          points: { show: drawn.times.length < 60 },
        })),
      ],
      hooks: { setCursor: [(it) => looks.onPoint(it.cursor.idx ?? null)] },
    },
    dataOf(drawn),
    box,
  );
  plot.over.addEventListener('click', () => {
    const { idx } = plot.cursor;
    if (typeof idx === 'number') looks.onPick(idx);
  });
  return plot;
}

function dataOf({ times, lines }: Drawn): uPlot.AlignedData {
  return [times, ...lines.map((it) => it.values)];
}
