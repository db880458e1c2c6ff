/**
 * Tables of things: columns by TanStack Table, markup and looks by us. The sorting stands in the
 * URL as `name` or `-name`, so a table can be linked to as it is seen.
 */
import {
  type ColumnDef,
  createSortedRowModel,
  rowSortingFeature,
  sortFn_alphanumeric,
  sortFn_basic,
  sortFn_text,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { type ReactNode, useMemo } from 'react';

import classes from './data-table.module.css';
import { ChevronIcon } from './icons';

interface Meta {
  /** Where there is no more room than this the column goes: the same is in the detail. */
  hide?: 'narrow' | 'medium' | 'wide';
  isNumber?: boolean;
}

const META: Meta = {};

export const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { alphanumeric: sortFn_alphanumeric, basic: sortFn_basic, text: sortFn_text },
  columnMeta: META,
});

/** A column of a table of `T`. */
// The value's type differs from column to column; the library's own helper says the same.
// oxlint-disable-next-line typescript/no-explicit-any
export type Column<T extends object> = ColumnDef<typeof features, T, any>;

interface Props<T extends object> {
  /** What the table lists, for those who cannot see it. */
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowId: (row: T) => string;
  /** The row that is open in the panel. */
  openId?: string | undefined;
  sort?: string | undefined;
  onSort?: (sort: string | undefined) => void;
  /** In place of rows. */
  empty?: ReactNode;
}

export function DataTable<T extends object>(props: Props<T>) {
  const { label, columns, rows, rowId, openId, sort, onSort, empty } = props;
  const sorting = useMemo(() => parseSort(sort), [sort]);
  const table = useTable({
    features,
    columns,
    data: rows,
    getRowId: rowId,
    state: { sorting },
    enableSorting: onSort !== undefined,
    enableMultiSort: false,
    onSortingChange: (update) => {
      const next = typeof update === 'function' ? update(sorting) : update;
      onSort?.(next[0] && `${next[0].desc ? '-' : ''}${next[0].id}`);
    },
  });
  const shown = table.getRowModel().rows;
  return (
    <div className={classes.box}>
      <table className={classes.table} aria-label={label}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                const meta = header.column.columnDef.meta;
                return (
                  <th
                    key={header.id}
                    scope="col"
                    data-hide={meta?.hide}
                    data-number={meta?.isNumber || undefined}
                    aria-sort={
                      sorted ? (sorted === 'desc' ? 'descending' : 'ascending') : undefined
                    }
                  >
                    {header.column.getCanSort() ? (
                      <button
                        type="button"
                        className={classes.sort}
                        data-sorted={sorted || undefined}
                        onClick={header.column.getToggleSortingHandler()}
                      >
                        <table.FlexRender header={header} />
                        <ChevronIcon size={12} />
                      </button>
                    ) : (
                      <table.FlexRender header={header} />
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={row.id} data-open={row.id === openId || undefined}>
              {row.getAllCells().map((cell) => (
                <td
                  key={cell.id}
                  data-hide={cell.column.columnDef.meta?.hide}
                  data-number={cell.column.columnDef.meta?.isNumber || undefined}
                >
                  <table.FlexRender cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length === 0 && empty && <div className={classes.empty}>{empty}</div>}
    </div>
  );
}

/** The shape of a table that is still being fetched, so that nothing moves when it comes. */
export function TableSkeleton({ rows = 4 }: { rows?: number }) {
  return (
    <div className={classes.box} aria-hidden="true">
      {Array.from({ length: rows + 1 }, (_, place) => (
        <div key={place} className={classes.ghost}>
          <span />
        </div>
      ))}
    </div>
  );
}

function parseSort(sort: string | undefined) {
  if (!sort) return [];
  const desc = sort.startsWith('-');
  return [{ id: desc ? sort.slice(1) : sort, desc }];
}
