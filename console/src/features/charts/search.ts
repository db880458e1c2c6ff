/** What is charted. It stands in the URL, and the calls behind a point are found by the same words. */
import { text } from '@/app/search';
import type { Schemas } from '@/api/client';

export type Measure = Schemas['Measure'];
export type By = Exclude<Schemas['By'], 'own'>;

export const MEASURES = ['calls', 'errors', 'denials', 'latency', 'tokens', 'bytes'] as const;
export const SPLITS = ['app', 'gateway', 'outcome', 'server', 'team', 'tool', 'user'] as const;
export const PARTS = ['app', 'gateway', 'server', 'team', 'tool', 'user'] as const;
const OUTCOMES = ['answered', 'cancelled', 'denied', 'error', 'failed'] as const;

/** How far back, in seconds, and from point to point. */
export const RANGES = {
  '1h': { words: 'The last hour', seconds: 3_600, step: 60 },
  '6h': { words: 'The last 6 hours', seconds: 6 * 3_600, step: 300 },
  '24h': { words: 'The last 24 hours', seconds: 24 * 3_600, step: 1_800 },
  '7d': { words: 'The last 7 days', seconds: 7 * 86_400, step: 3 * 3_600 },
  '30d': { words: 'The last 30 days', seconds: 30 * 86_400, step: 86_400 },
} as const;
export type Range = keyof typeof RANGES;

type Part = (typeof PARTS)[number];
export type Parts = Partial<Record<Part, string | undefined>>;

export interface ChartSearch extends Parts {
  by?: By | undefined;
  measure?: Measure | undefined;
  outcome?: (typeof OUTCOMES)[number] | undefined;
  range?: Range | undefined;
  /** Of latency: what servers took, and not what the gateway added. */
  side?: 'upstream' | undefined;
  /** Beside what was a whole range before. */
  compare?: true | undefined;
}

export function readChartSearch(search: Record<string, unknown>): ChartSearch {
  return {
    ...partsOf(search),
    by: SPLITS.find((it) => it === search['by']),
    compare: search['compare'] === true ? true : undefined,
    measure: MEASURES.find((it) => it === search['measure']),
    outcome: OUTCOMES.find((it) => it === search['outcome']),
    range: rangeOf(search['range']),
    side: search['side'] === 'upstream' ? 'upstream' : undefined,
  };
}

/** The same, of an exact time. */
export interface CallSearch extends ChartSearch {
  from?: string | undefined;
  to?: string | undefined;
}

export function readCallSearch(search: Record<string, unknown>): CallSearch {
  const { compare: _, by: __, side: ___, ...chart } = readChartSearch(search);
  return { ...chart, from: timeOf(search['from']), to: timeOf(search['to']) };
}

function partsOf(search: Record<string, unknown>): Parts {
  return Object.fromEntries(PARTS.map((it) => [it, text(search[it])]));
}

function rangeOf(value: unknown): Range | undefined {
  return (Object.keys(RANGES) as Range[]).find((it) => it === value);
}

function timeOf(value: unknown): string | undefined {
  const read = text(value);
  return read === undefined || Number.isNaN(Date.parse(read)) ? undefined : read;
}
