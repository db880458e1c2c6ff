/** What the browser has drawn when. These run in the page. */

export interface Frames {
  count: number;
  /** The longest time between two of them. */
  longestMs: number;
  seconds: number;
}

declare global {
  // oxlint-disable-next-line no-var
  var frameCount: { stop: () => Frames };
  // oxlint-disable-next-line no-var
  var paints: { largest: number; shift: number };
}

/** Counts frames until `frameCount.stop()`. */
export function countFrames() {
  const began = performance.now();
  let [last, count, longestMs, isOn] = [began, 0, 0, true];
  const frame = (now: number) => {
    if (!isOn) return;
    count += 1;
    longestMs = Math.max(longestMs, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  globalThis.frameCount = {
    stop: () => {
      isOn = false;
      return { count, longestMs, seconds: (performance.now() - began) / 1_000 };
    },
  };
}

/** Notes the largest contentful paint, and how far things have moved that nobody has touched. */
export function watchPaints() {
  globalThis.paints = { largest: 0, shift: 0 };
  new PerformanceObserver((list) => {
    globalThis.paints.largest = list.getEntries().at(-1)?.startTime ?? 0;
  }).observe({ type: 'largest-contentful-paint', buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & Shift)[]) {
      if (!entry.hadRecentInput) globalThis.paints.shift += entry.value;
    }
  }).observe({ type: 'layout-shift', buffered: true });
}

interface Shift {
  value: number;
  hadRecentInput: boolean;
}

export function inWords({ count, longestMs, seconds }: Frames): string {
  return `${(count / seconds).toFixed(0)} frames/s for ${seconds.toFixed(1)} s, the longest took ${longestMs.toFixed(0)} ms`;
}
