/** Which rows of a long table are in the page. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { type RefObject, useEffect } from 'react';

/** Fewer are all in the page, where the browser's own search finds them. */
const LONG = 150;
const HEIGHT = { dense: 31, roomy: 41 };

interface Options {
  isDense?: boolean;
  isTall?: boolean;
  onEnd?: (() => void) | undefined;
}

export function useWindow(
  count: number,
  box: RefObject<HTMLDivElement | null>,
  { isDense = false, isTall = false, onEnd }: Options,
) {
  const isLong = isTall && count > LONG;
  const rows = useVirtualizer({
    count,
    enabled: isLong,
    getScrollElement: () => box.current,
    estimateSize: () => (isDense ? HEIGHT.dense : HEIGHT.roomy),
    overscan: 12,
  });
  const items = rows.getVirtualItems();
  const first = items[0];
  const last = items.at(-1);
  const isNearEnd = !isLong || (last !== undefined && last.index > count - 40);
  useEffect(() => {
    if (isNearEnd) onEnd?.();
  }, [isNearEnd, onEnd]);
  if (!isLong) return { from: 0, to: count, before: 0, after: 0 };
  return {
    from: first?.index ?? 0,
    to: last ? last.index + 1 : 0,
    before: first?.start ?? 0,
    after: last ? Math.max(rows.getTotalSize() - last.end, 0) : 0,
    measure: rows.measureElement,
    rowCount: count + 1,
  };
}
