/** What is looked for: typed as one line, or chosen from what has been seen. */
import { Kbd, NativeSelect, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';

import { usePreference } from '@/app/preferences';
import { SearchIcon } from '@/ui/icons';
import { words } from './ends';
import type { Row } from './entry';
import {
  DENIED,
  type Facet,
  type Facets,
  FACETS,
  facetsOf,
  type Filter,
  readQuery,
  withChosen,
  writeQuery,
} from './filter';
import type { Names } from './names';
import classes from './records-page.module.css';

interface Props {
  filter: Filter;
  rows: readonly Row[];
  names: Names;
  onChange: (filter: Filter) => void;
}

const ALL: Record<Facet, string> = {
  kind: 'All kinds',
  end: 'All ends',
  app: 'All apps',
  user: 'All users',
  gateway: 'All gateways',
  server: 'All servers',
  tool: 'All tools',
  rule: 'All rules',
};

const TIMES = [
  { value: '', label: 'Any time' },
  { value: '5m', label: 'Last 5 minutes' },
  { value: '1h', label: 'Last hour' },
  { value: '24h', label: 'Last 24 hours' },
  { value: '7d', label: 'Last 7 days' },
];

export function QueryField({ filter, onChange }: Pick<Props, 'filter' | 'onChange'>) {
  // What is being typed is left as it is; otherwise the address says what stands here.
  const [draft, setDraft] = useState<string | null>(null);
  const hasShortcuts = usePreference('shortcuts') === 'on';
  const value = draft ?? writeQuery(filter);
  const change = (text: string) => {
    setDraft(text);
    onChange(readQuery(text));
  };
  return (
    <TextInput
      type="search"
      className={classes.query ?? ''}
      aria-label="Search records"
      placeholder="Search records: server:jira end:denied since:1h"
      value={value}
      data-search
      spellCheck={false}
      leftSection={<SearchIcon size={14} />}
      rightSection={hasShortcuts && value === '' ? <Kbd size="xs">/</Kbd> : null}
      onChange={(event) => change(event.currentTarget.value)}
      onBlur={() => setDraft(null)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') setDraft(null);
        if (event.key === 'Escape' && value !== '') {
          event.preventDefault();
          event.stopPropagation();
          change('');
        }
      }}
    />
  );
}

export function FacetBar({ filter, rows, names, onChange }: Props) {
  const seen = useMemo(() => facetsOf(rows), [rows]);
  const facets = withChosen(seen, filter);
  const isOtherTime =
    filter.until !== undefined || !TIMES.some((it) => it.value === (filter.since ?? ''));
  return (
    <div className={classes.facets} role="group" aria-label="Filters">
      {FACETS.map((name) => (
        <NativeSelect
          key={name}
          aria-label={`Filter by ${name}`}
          data-active={filter[name] !== undefined || undefined}
          className={classes.facet ?? ''}
          size="xs"
          value={filter[name] ?? ''}
          data={[{ value: '', label: ALL[name] }, ...optionsOf(name, facets, names)]}
          onChange={(event) =>
            onChange({ ...filter, [name]: event.currentTarget.value || undefined })
          }
        />
      ))}
      <NativeSelect
        aria-label="Filter by time"
        data-active={filter.since !== undefined || filter.until !== undefined || undefined}
        className={classes.facet ?? ''}
        size="xs"
        value={isOtherTime ? 'other' : (filter.since ?? '')}
        data={isOtherTime ? [...TIMES, { value: 'other', label: 'Chosen time' }] : TIMES}
        onChange={(event) => {
          const since = event.currentTarget.value;
          if (since !== 'other')
            onChange({ ...filter, since: since || undefined, until: undefined });
        }}
      />
    </div>
  );
}

function optionsOf(name: Facet, facets: Facets, names: Names) {
  const seen = [...facets[name]].toSorted(([one], [other]) => one.localeCompare(other));
  const options = seen.map(([value, count]) => {
    const label = name === 'end' ? words(value) : (names.get(value) ?? value);
    return { value, label: `${label} (${count})` };
  });
  const isDenied = name === 'end' && !facets.end.has(DENIED);
  return isDenied ? [{ value: DENIED, label: 'denied: all of them' }, ...options] : options;
}
