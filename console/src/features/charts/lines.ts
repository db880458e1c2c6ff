/** Lines as they are drawn: one value for each time, also where nothing was told. */
import type { SeriesBody } from './queries';
import type { ChartSearch } from './search';

export interface DrawnLine {
  key: string;
  name: string;
  /** By which the calls behind it are found; absent for what stands for many. */
  value: string | undefined;
  total: number;
  values: (number | null)[];
}

export interface Drawn {
  /** In seconds since 1970. */
  times: number[];
  step: number;
  lines: DrawnLine[];
}

const QUANTILES = ['p50', 'p95', 'p99'] as const;

export function drawnOf(body: SeriesBody, side: ChartSearch['side']): Drawn {
  const { step } = body;
  const first = Math.floor(Date.parse(body.from) / 1_000);
  const end = Date.parse(body.to) / 1_000;
  const count = Math.max(1, Math.ceil((end - first) / step));
  const times = Array.from({ length: count }, (_, n) => first + n * step);
  const lines = body.lines.flatMap((line) => {
    const name = nameOf(line, body.by);
    const at = new Map(line.points.map((it) => [Date.parse(it.at) / 1_000, it]));
    const value = line.is_other ? undefined : (line.value ?? undefined);
    const made = (name: string, values: DrawnLine['values']): DrawnLine => {
      const key = `${line.is_other ? '*' : `=${line.value ?? ''}`} ${name}`;
      return { key, name, value, total: line.total, values };
    };
    if (body.measure !== 'latency') {
      return [
        made(
          name,
          times.map((it) => at.get(it)?.count ?? 0),
        ),
      ];
    }
    // All quantiles of the whole, and of many lines the one that tells most.
    const shown = body.by ? (['p95'] as const) : QUANTILES;
    return shown.map((of) => {
      const values = times.map((it) => at.get(it)?.latency?.[side ?? 'gateway'][of] ?? null);
      return made(body.by ? name : of, values);
    });
  });
  return { times, step, lines };
}

function nameOf(line: SeriesBody['lines'][number], by: SeriesBody['by']): string {
  if (line.is_other) return by ? 'All others' : 'Not told apart';
  if (!by) return 'All';
  return line.name ?? (line.value || 'None');
}

/** What a number is counted in, in words. */
export function worded(value: number | null, measure: SeriesBody['measure']): string {
  if (value === null) return '–';
  if (measure === 'latency') return `${value.toLocaleString('en-GB')} ms`;
  if (measure !== 'bytes') return value.toLocaleString('en-GB');
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10));
  return `${(value / 1_024 ** power).toLocaleString('en-GB', { maximumFractionDigits: 1 })} ${units[power] ?? ''}`;
}
