// First, so that the styles of our own components come after those that they refine.
import './app/theme';

import { createRoot } from 'react-dom/client';

import { Failure } from './api/failure';
import { makeApp } from './app/app';

const root = document.querySelector('#root');
if (root) {
  const options = {
    // A refusal is shown where it arose; anything else is a fault and is reported as one.
    onCaughtError: (error: unknown) => {
      if (!(error instanceof Failure)) globalThis.reportError(error);
    },
  };
  createRoot(root, options).render(makeApp().app);
}
