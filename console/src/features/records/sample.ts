/** Six records of which somebody has rewritten one. The gateway's own tests make them. */
import { EXPORT_FORM } from '@/verify/bundle';
import tampered from '@/verify/tampered.json';

export const SAMPLE_KEY = tampered.key;

/** As an export has them. */
export const SAMPLE = [
  { form: EXPORT_FORM, key: tampered.key, checkpoint: '' },
  ...tampered.records.map(({ time_ms, index, sequence, kind, record, proof }) => {
    const time = new Date(time_ms).toISOString();
    return { index, sequence, time, clock_suspect: false, kind, record, proof };
  }),
]
  .map((line) => JSON.stringify(line))
  .join('\n');
