/**
 * Tables of things: columns by TanStack Table, markup and looks by us. The sorting stands in the
 * URL as `name` or `-name`, so a table can be linked to as it is seen. Of a long table only what is
 * near to the window is in the page.
 */
import {
  type ColumnDef,
  createSortedRowModel,
  FlexRender,
  type Header,
  type Row,
  rowSortingFeature,
  sortFn_alphanumeric,
  sortFn_basic,
  sortFn_text,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { memo, type ReactNode, useMemo, useRef } from 'react';

import classes from './data-table.module.css';
import { ChevronIcon } from './icons';
import { type Deed, RowMenu } from './row-menu';
import { useWindow } from './row-window';

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

/** Rows that are chosen, by their ids. */
export interface Picks {
  ids: ReadonlySet<string>;
  onToggle: (id: string) => void;
  onToggleAll: () => void;
}

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
  isDense?: boolean;
  /** Scrolls by itself, within the room that it is given. */
  isTall?: boolean;
  picks?: Picks;
  deeds?: ((row: T) => Deed[]) | undefined;
  /** Called when the end comes into sight. */
  onEnd?: (() => void) | undefined;
  /** In place of rows. */
  empty?: ReactNode;
}

export function DataTable<T extends object>(props: Props<T>) {
  const { label, columns, rows, rowId, sort, onSort, empty } = props;
  const sorting = useMemo(() => parseSort(sort), [sort]);
  const box = useRef<HTMLDivElement>(null);
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
  const window = useWindow(shown.length, box, props);
  const width = columns.length + (props.picks ? 1 : 0) + (props.deeds ? 1 : 0);
  return (
    <div
      className={classes.box}
      ref={box}
      data-dense={props.isDense || undefined}
      data-tall={props.isTall || undefined}
    >
      <table className={classes.table} aria-label={label} aria-rowcount={window.rowCount}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {props.picks && <PickAll picks={props.picks} of={shown.length} />}
              {group.headers.map((header) => (
                <th key={header.id} {...headProps(header)}>
                  {header.column.getCanSort() ? (
                    <button
                      type="button"
                      className={classes.sort}
                      data-sorted={header.column.getIsSorted() || undefined}
                      onClick={header.column.getToggleSortingHandler()}
                    >
                      <FlexRender header={header} />
                      <ChevronIcon size={12} />
                    </button>
                  ) : (
                    <FlexRender header={header} />
                  )}
                </th>
              ))}
              {props.deeds && (
                <th scope="col" className={classes.deeds}>
                  <span className={classes.unseen}>Actions</span>
                </th>
              )}
            </tr>
          ))}
        </thead>
        <tbody>
          <Gap height={window.before} width={width} />
          {shown.slice(window.from, window.to).map((row, place) => (
            <Line
              key={row.id}
              row={row}
              columns={columns}
              place={window.from + place}
              isCounted={window.rowCount !== undefined}
              isOpen={row.id === props.openId}
              isPicked={props.picks?.ids.has(row.id) ?? false}
              onPick={props.picks?.onToggle}
              deeds={props.deeds}
              measure={window.measure}
            />
          ))}
          <Gap height={window.after} width={width} />
        </tbody>
      </table>
      {shown.length === 0 && empty && <div className={classes.empty}>{empty}</div>}
    </div>
  );
}

interface LineProps<T extends object> {
  row: Row<typeof features, T>;
  /** The row stays the same when other columns are shown. */
  columns: Column<T>[];
  place: number;
  /** Whether there are rows that are not in the page. */
  isCounted: boolean;
  isOpen: boolean;
  isPicked: boolean;
  onPick: ((id: string) => void) | undefined;
  deeds: ((row: T) => Deed[]) | undefined;
  measure: ((line: HTMLTableRowElement | null) => void) | undefined;
}

/** One row: those that stay in sight while others come and go are not made again. */
const Line = memo(function Line<T extends object>(props: LineProps<T>) {
  const { row, place, isCounted, isOpen, isPicked, onPick, deeds, measure } = props;
  return (
    <tr
      ref={measure}
      data-index={place}
      aria-rowindex={isCounted ? place + 2 : undefined}
      data-open={isOpen || undefined}
      data-picked={isPicked || undefined}
    >
      {onPick && <Pick id={row.id} isPicked={isPicked} onPick={onPick} />}
      {row.getAllCells().map((cell) => (
        <td
          key={cell.id}
          data-hide={cell.column.columnDef.meta?.hide}
          data-number={cell.column.columnDef.meta?.isNumber || undefined}
        >
          <FlexRender cell={cell} />
        </td>
      ))}
      {deeds && (
        <td className={classes.deeds}>
          <RowMenu name={row.id} deeds={deeds(row.original)} />
        </td>
      )}
    </tr>
  );
}) as <T extends object>(props: LineProps<T>) => ReactNode;

function headProps<T extends object>({ column }: Header<typeof features, T>) {
  const sorted = column.getIsSorted();
  const meta = column.columnDef.meta;
  return {
    scope: 'col',
    'data-hide': meta?.hide,
    'data-number': meta?.isNumber || undefined,
    'aria-sort': sorted ? (sorted === 'desc' ? 'descending' : 'ascending') : undefined,
  } as const;
}

function PickAll({ picks, of }: { picks: Picks; of: number }) {
  return (
    <th scope="col" className={classes.pick}>
      <input
        type="checkbox"
        aria-label="Select all rows"
        checked={of > 0 && picks.ids.size >= of}
        onChange={picks.onToggleAll}
      />
    </th>
  );
}

interface PickProps {
  id: string;
  isPicked: boolean;
  onPick: (id: string) => void;
}

function Pick({ id, isPicked, onPick }: PickProps) {
  return (
    <td className={classes.pick}>
      <input
        type="checkbox"
        data-pick
        aria-label={`Select ${id}`}
        checked={isPicked}
        onChange={() => onPick(id)}
      />
    </td>
  );
}

/** In place of rows that are not in sight. */
function Gap({ height, width }: { height: number; width: number }) {
  if (height === 0) return null;
  return (
    <tr aria-hidden="true" className={classes.gap}>
      <td colSpan={width} style={{ height }} />
    </tr>
  );
}

function parseSort(sort: string | undefined) {
  if (!sort) return [];
  const desc = sort.startsWith('-');
  return [{ id: desc ? sort.slice(1) : sort, desc }];
}
