/** The search parameters of the records: a filter, and the row that is open. */
import { text } from '@/app/search';
import type { Filter } from './filter';

export interface RecordSearch extends Filter {
  record?: string | undefined;
}

export function readRecordSearch(search: Record<string, unknown>): RecordSearch {
  return {
    app: text(search['app']),
    end: text(search['end']),
    gateway: text(search['gateway']),
    kind: text(search['kind']),
    q: text(search['q']),
    record: text(search['record']),
    rule: text(search['rule']),
    server: text(search['server']),
    since: text(search['since']),
    tool: text(search['tool']),
    until: text(search['until']),
    user: text(search['user']),
  };
}
