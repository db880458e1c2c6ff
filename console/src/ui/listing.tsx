/**
 * The page of a list. What is seen of it stands in the URL: search, sorting, columns, density.
 *
 * Pages come as one scrolls. What the API cannot search or sort is searched and sorted here, for
 * which all pages are fetched first: what a page says about “all” must be true.
 */
import { Menu, Button } from '@mantine/core';
import { useSuspenseInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactNode, useCallback, useEffect, useMemo, useState } from 'react';

import type { Listed } from '@/api/listing';
import { type Column, DataTable } from './data-table';
import { DownloadIcon } from './icons';
import { ListView } from './list-view';
import classes from './listing.module.css';
import { Page } from './page';
import type { Deed } from './row-menu';
import { SearchField } from './search-field';
import { type Field, save, toCsv, toJson } from './table-export';
import { Stale } from './trouble';

interface Props<T extends object> {
  title: string;
  workspace: string;
  query: Listed<T>;
  columns: Column<T>[];
  rowId: (row: T) => string;
  /** What is searched. */
  textOf: (row: T) => string;
  openId?: string | undefined;
  /** Beside the count. */
  aside?: (rows: T[]) => string;
  tools?: ReactNode;
  /** Dialogs and the like. */
  extra?: ReactNode;
  deeds?: (row: T) => Deed[];
  /** In place of a list that has nothing in it. */
  empty: ReactNode;
}

/** More are not searched here: the page says so. */
const MOST_ROWS = 20_000;

export function Listing<T extends object>(props: Props<T>) {
  const { title, workspace, query, rowId, columns } = props;
  const list = useRows(props);
  const { q, sort, hide, density } = useSearch({ strict: false });
  const navigate = useNavigate();
  const change = useCallback(
    (some: object) =>
      void navigate({ to: '.', search: (old) => ({ ...old, ...some }), replace: true }),
    [navigate],
  );
  const hidden = useMemo(() => new Set(hide?.split(',')), [hide]);
  const visible = useMemo(
    () => columns.filter((it, at) => at === 0 || !hidden.has(it.id ?? '')),
    [columns, hidden],
  );
  const picks = usePicks(list.shown, rowId);
  if (list.rows.length === 0 && !list.hasMore) {
    return (
      <Page title={title} tools={props.tools}>
        {props.extra}
        {props.empty}
      </Page>
    );
  }
  const many = title.toLowerCase();
  const choices = columns.slice(1).map((it) => ({ id: it.id ?? '', name: nameOf(it) }));
  return (
    <Page
      title={title}
      isFixed
      aside={<Count list={list} q={q} aside={props.aside?.(list.rows)} />}
      tools={
        <>
          <SearchField
            label={`Search ${many}`}
            value={q ?? ''}
            onChange={(q) => change({ q: q || undefined })}
          />
          <ListView
            workspace={workspace}
            list={query.queryKey.at(-2) ?? ''}
            columns={choices}
            hidden={hidden}
            isDense={density === 'compact'}
            onHide={(ids) => change({ hide: ids.filter(Boolean).join(',') || undefined })}
            onDense={(isDense) => change({ density: isDense ? 'compact' : undefined })}
            onView={(search) => void navigate({ href: globalThis.location.pathname + search })}
          />
          <Export
            name={`${workspace}-${query.queryKey.at(-2)}`}
            columns={visible}
            all={columns}
            shown={list.shown}
            picked={list.shown.filter((it) => picks.ids.has(rowId(it)))}
            everything={list.everything}
          />
          {props.tools}
        </>
      }
    >
      {props.extra}
      <Stale error={list.error} since={list.since} />
      <DataTable
        label={title}
        columns={visible}
        rows={list.shown}
        rowId={rowId}
        openId={props.openId}
        sort={sort}
        onSort={(sort) => change({ sort })}
        isDense={density === 'compact'}
        isTall
        picks={picks}
        deeds={props.deeds}
        onEnd={list.more}
        empty={list.hasMore ? 'Searching…' : `Nothing here matches “${q}”.`}
      />
    </Page>
  );
}

interface CountProps {
  list: { rows: unknown[]; shown: unknown[]; hasMore: boolean; isCut: boolean };
  q: string | undefined;
  aside: string | undefined;
}

function Count({ list, q, aside }: CountProps) {
  const number = new Intl.NumberFormat('en');
  const all = `${number.format(list.rows.length)}${list.hasMore ? '+' : ''}`;
  return (
    <span>
      {q ? `${number.format(list.shown.length)} of ${all}` : all}
      {list.isCut && ', not all are searched'}
      {aside && ` · ${aside}`}
    </span>
  );
}

function useRows<T extends object>({ query, textOf }: Pick<Props<T>, 'query' | 'textOf'>) {
  const { q, sort } = useSearch({ strict: false });
  const found = useSuspenseInfiniteQuery(query);
  const { data, hasNextPage, isFetching, fetchNextPage, error, dataUpdatedAt } = found;
  const rows = useMemo(() => data.pages.flatMap((page) => page.items), [data]);
  const wanted = (q ?? '').trim().toLowerCase();
  const shown = useMemo(
    () => (wanted ? rows.filter((it) => textOf(it).toLowerCase().includes(wanted)) : rows),
    [rows, wanted, textOf],
  );
  const isFull = rows.length >= MOST_ROWS;
  // By name is how the API sorts.
  const needsAll = wanted !== '' || (sort !== undefined && sort !== 'name');
  const mayFetch = hasNextPage && !isFetching && !isFull && !error;
  useEffect(() => {
    if (needsAll && mayFetch) void fetchNextPage();
  }, [needsAll, mayFetch, fetchNextPage]);
  const more = useCallback(() => {
    if (mayFetch) void fetchNextPage();
  }, [mayFetch, fetchNextPage]);
  const everything = async () => {
    let last = await fetchNextPageUnless(!hasNextPage);
    while (last?.hasNextPage && !last.error) last = await fetchNextPage();
    return last?.data?.pages.flatMap((page) => page.items) ?? rows;
  };
  const fetchNextPageUnless = (isDone: boolean) =>
    isDone ? Promise.resolve(undefined) : fetchNextPage();
  return {
    rows,
    shown,
    hasMore: hasNextPage && !isFull,
    isCut: needsAll && isFull && hasNextPage,
    error,
    since: dataUpdatedAt,
    more: hasNextPage ? more : undefined,
    everything,
  };
}

function usePicks<T>(shown: T[], rowId: (row: T) => string) {
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  return {
    ids,
    onToggle: (id: string) => {
      const next = new Set(ids);
      if (!next.delete(id)) next.add(id);
      setIds(next);
    },
    onToggleAll: () => setIds(ids.size >= shown.length ? new Set() : new Set(shown.map(rowId))),
  };
}

interface ExportProps<T extends object> {
  name: string;
  columns: Column<T>[];
  all: Column<T>[];
  shown: T[];
  picked: T[];
  everything: () => Promise<T[]>;
}

function Export<T extends object>(props: ExportProps<T>) {
  const { name, columns, all, shown, picked, everything } = props;
  const csv = (columns: Column<T>[], rows: T[]) =>
    save(`${name}.csv`, 'text/csv;charset=utf-8', toCsv(fieldsOf(columns), rows));
  const json = (rows: T[]) => save(`${name}.json`, 'application/json', toJson(rows));
  return (
    <Menu position="bottom-end" transitionProps={{ duration: 0 }}>
      <Menu.Target>
        <Button variant="default" leftSection={<DownloadIcon size={14} />}>
          {picked.length > 0 ? `Export (${picked.length})` : 'Export'}
        </Button>
      </Menu.Target>
      <Menu.Dropdown className={classes.export}>
        {picked.length > 0 && (
          <>
            <Menu.Label>The {picked.length} selected</Menu.Label>
            <Menu.Item onClick={() => csv(columns, picked)}>Selected as CSV</Menu.Item>
            <Menu.Item onClick={() => json(picked)}>Selected as JSON</Menu.Item>
          </>
        )}
        <Menu.Label>What is shown</Menu.Label>
        <Menu.Item onClick={() => csv(columns, shown)}>Shown as CSV</Menu.Item>
        <Menu.Item onClick={() => json(shown)}>Shown as JSON</Menu.Item>
        <Menu.Label>Everything</Menu.Label>
        <Menu.Item onClick={() => void everything().then((rows) => csv(all, rows))}>
          All as CSV
        </Menu.Item>
        <Menu.Item onClick={() => void everything().then(json)}>All as JSON</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function fieldsOf<T extends object>(columns: Column<T>[]): Field<T>[] {
  return columns.flatMap((column) =>
    'accessorFn' in column && column.accessorFn
      ? [{ name: nameOf(column), value: (row: T): unknown => column.accessorFn?.(row, 0) }]
      : [],
  );
}

function nameOf<T extends object>({ header, id }: Column<T>): string {
  return typeof header === 'string' ? header : (id ?? '');
}
