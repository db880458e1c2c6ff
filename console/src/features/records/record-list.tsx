/**
 * The rows of the tail, of which only those in sight exist in the page.
 *
 * While following, the newest row is in sight. Scrolling up ends that, and then nothing moves under
 * the reader's eyes, not even when the oldest rows leave.
 */
import { useVirtualizer } from '@tanstack/react-virtual';
import { type RefObject, useLayoutEffect, useRef } from 'react';
import { flushSync } from 'react-dom';

import { useFace } from '@/ui/time';
import type { Row } from './entry';
import classes from './record-list.module.css';
import { RecordRow } from './record-row';

interface Props {
  rows: readonly Row[];
  openKey: string | undefined;
  isFollowing: boolean;
  onFollow: (isFollowing: boolean) => void;
}

/** In pixels, and the same in the style sheet. All rows are of one height. */
const ROW_HEIGHT = 30;

export function RecordList({ rows, openKey, isFollowing, onFollow }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const face = useFace();
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
    // Tests have no layout; browsers measure at once.
    initialRect: { width: 800, height: 600 },
  });
  /** Where it stood when it was last heard of or put somewhere, in pixels from the top. */
  const place = useRef(0);
  useAnchor(box, place, rows, isFollowing);
  const leave = () => {
    const it = box.current;
    // What cannot be scrolled has nothing else to show.
    if (!it || it.scrollHeight <= it.clientHeight) return;
    // At once: a row that comes in before would take the eyes back to the end.
    flushSync(() => onFollow(false));
  };
  // Where it ends nothing moves any more, so nothing else tells that the reader wants to be there.
  const stay = () => {
    if (box.current && isAtEnd(box.current)) onFollow(true);
  };
  const isDragging = useRef(false);
  return (
    <div
      ref={box}
      className={classes.box}
      role="region"
      aria-label="Records, newest at the bottom"
      // The region scrolls, so it can be reached by keyboard.
      tabIndex={0}
      onWheel={(event) => {
        if (event.deltaY < 0) leave();
        if (event.deltaY > 0) stay();
      }}
      onKeyDown={(event) => {
        if (['ArrowUp', 'PageUp', 'Home'].includes(event.key)) leave();
        if (['ArrowDown', 'PageDown'].includes(event.key)) stay();
        if (event.key === 'End') onFollow(true);
      }}
      onTouchMove={leave}
      onTouchEnd={stay}
      onPointerDown={() => {
        isDragging.current = true;
      }}
      onPointerUp={() => {
        isDragging.current = false;
      }}
      onPointerCancel={() => {
        isDragging.current = false;
      }}
      onScroll={(event) => {
        const isEnd = isAtEnd(event.currentTarget);
        const isDown = event.currentTarget.scrollTop > place.current;
        place.current = event.currentTarget.scrollTop;
        // Not by what has been put there itself.
        if (isEnd && isDown && !isFollowing) onFollow(true);
        // By the scroll bar.
        if (!isEnd && isFollowing && isDragging.current) leave();
      }}
    >
      <div role="table" aria-label="Records" aria-rowcount={rows.length + 1}>
        <Head />
        <div role="rowgroup" className={classes.rows} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            return (
              <div
                key={row.key}
                role="row"
                aria-rowindex={item.index + 2}
                className={classes.row}
                data-type={row.type}
                data-open={row.key === openKey || undefined}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <RecordRow row={row} time={face(row.at)} />
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function Head() {
  return (
    <div role="row" aria-rowindex={1} className={classes.head}>
      {['Time', 'App', 'Gateway', 'Server', 'What', 'End', 'Took'].map((name) => (
        <span key={name} role="columnheader" data-column={name.toLowerCase()}>
          {name}
        </span>
      ))}
    </div>
  );
}

/** Keeps the end in sight while following, and the rows in place while not. */
function useAnchor(
  box: RefObject<HTMLDivElement | null>,
  place: RefObject<number>,
  rows: readonly Row[],
  isFollowing: boolean,
) {
  const before = useRef(rows);
  useLayoutEffect(() => {
    const earlier = before.current;
    before.current = rows;
    const element = box.current;
    if (!element) return;
    if (isFollowing) {
      element.scrollTop = element.scrollHeight;
      place.current = element.scrollTop;
      return;
    }
    // What left above is taken off, so that the rest stays where it is.
    const first = rows[0]?.key;
    const left = first === undefined ? 0 : earlier.findIndex((row) => row.key === first);
    if (left > 0) {
      element.scrollTop -= left * ROW_HEIGHT;
      place.current = element.scrollTop;
    }
  }, [box, place, rows, isFollowing]);
}

function isAtEnd(element: HTMLElement): boolean {
  return element.scrollHeight - element.scrollTop - element.clientHeight < ROW_HEIGHT / 2;
}
