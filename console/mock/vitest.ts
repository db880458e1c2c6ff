/** What the browser has, and Node and jsdom have not. */
import { cleanup, configure } from '@testing-library/react';
import { afterEach } from 'vitest';

const hasPage = typeof document !== 'undefined';

// Ends what hangs; generous, since other tests may keep the machine busy.
configure({ asyncUtilTimeout: 15_000 });

if (hasPage) {
  globalThis.matchMedia = (media: string) =>
    ({
      media,
      matches: false,
      addEventListener: () => undefined,
      removeEventListener: () => undefined,
    }) as unknown as MediaQueryList;
  globalThis.ResizeObserver = class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
  Element.prototype.scrollIntoView = () => undefined;
  window.scrollTo = () => undefined;
} else {
  Object.defineProperty(globalThis, 'location', { value: new URL('http://console.test/') });
}

afterEach(() => {
  if (!hasPage) return;
  cleanup();
  localStorage.clear();
});
